"""How many digits a figure is told with: what its interval carries, and never so few that it vanishes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftool.analysis.digits import times, with_ends
from perftool.analysis.stats import Estimate
from perftool.render.numbers import with_interval


def between(point: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(point=point, low=low, high=high)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (between(33.0, 31.7, 34.3), "33.0 ±1.3"),
        (between(101.48, 100.8, 102.4), "101.48 ±0.80"),
        (between(13.0, 11.5, 39.9), "13 +27-2"),
        (between(4.4, 3.7, 10.9), "4.4 +6.5-0.7"),
        (between(55.3, 53.0, 56.7), "55.3 +1.4-2.3"),
        (between(19.47, 19.31, 19.73), "19.5 +0.3-0.2"),
        (between(0.0689, 0.0676, 0.0702), "0.0689 ±0.0013"),
        (between(0.0325, 0.0317, 0.0344), "0.033 +0.002-0.001"),
        (between(1.2304, 1.2264, 1.2344), "1.230 ±0.004"),
        (between(20261.3, 18503.2, 22019.4), "20261 ±1758"),
        (between(0.07, None, None), "0.070"),
        (between(3698.04, None, None), "3698"),
        (between(5.5, None, None), "5.5"),
        (between(0.0, 0.0, 0.0), "0.0"),
        (between(-0.01, -1.7, 1.7), "0.0 ±1.7"),
        (between(2.5, 2.5, None), "≥2.5"),
    ],
)
def test_a_figure_in_a_table(estimate: Estimate, text: str) -> None:
    assert with_interval(estimate, 1) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (between(101.48, 100.8, 102.4), "101.5 ms (100.8 to 102.4)"),
        (between(0.0689, 0.0676, 0.0712), "0.0689 ms (0.0676 to 0.0712)"),
        (between(22715.9, 20397.2, 23912.8), "22716 ms (20397 to 23913)"),
        (between(-0.5, -2.2, 1.2), "-0.5 ms (-2.2 to 1.2)"),
        (between(107.9, 106.24, None), "107.9 ms (at least 106.2)"),
        (between(2.5, 2.5, None), "2.5 ms or more"),
        (between(0.07, None, None), "0.070 ms"),
    ],
)
def test_a_figure_in_a_sentence(estimate: Estimate, text: str) -> None:
    assert with_ends(estimate, 1, "ms") == text


def test_a_ratio() -> None:
    assert times(between(0.53, 0.5, 0.54)) == "0.53x (0.50x to 0.54x)"
    assert times(between(0.0042, 0.0037, 0.0051)) == "0.0042x (0.0037x to 0.0051x)"
    assert times(between(2.0, None, None)) == "2.00x"


@given(st.floats(1e-5, 1e6), st.floats(1e-3, 0.9), st.floats(1e-3, 5.0), st.integers(0, 2))
def test_what_is_written_is_what_was_measured(point: float, below: float, above: float, digits: int) -> None:
    """The point to 5 %, and each end no further off than a fifth of half the interval, and the rounding."""
    estimate = between(point, point * (1 - below), point * (1 + above))
    assert estimate.low is not None and estimate.high is not None
    text = with_interval(estimate, digits)
    numbers = [float(one) for one in re.findall(r"[\d.]+", text)]
    up, down = (numbers[1], numbers[1]) if "±" in text else (numbers[1], numbers[2])
    step = 10.0 ** -max(len(one.partition(".")[2]) for one in re.findall(r"[\d.]+", text))
    half = (estimate.high - estimate.low) / 2
    assert numbers[0] == pytest.approx(point, rel=0.051)
    assert abs(numbers[0] + up - estimate.high) <= 0.2 * half + 1.001 * step
    assert abs(numbers[0] - down - estimate.low) <= 0.2 * half + 1.001 * step
    assert max(up, down) > 0
