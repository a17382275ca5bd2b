"""The search for the fewest layers to keep."""

import pytest

from perftool.sweep.restoring import fewest_kept


@pytest.mark.parametrize("layers", [1, 2, 3, 7, 8, 150])
def test_the_fewest_that_pass_are_found_in_few_trials(layers: int) -> None:
    for needed in range(1, layers + 1):
        tried: list[int] = []

        def passes(kept: int, needed: int = needed, tried: list[int] = tried) -> bool:
            tried.append(kept)
            return kept >= needed

        assert fewest_kept(layers, passes) == needed
        assert len(tried) == len(set(tried)), "no group is tried twice"
        assert len(tried) <= 2 * needed.bit_length() + 1
        assert all(1 <= kept <= layers for kept in tried)


def test_a_search_may_begin_where_some_are_known_to_fail() -> None:
    for needed in range(6, 31):
        tried: list[int] = []

        def passes(kept: int, needed: int = needed, tried: list[int] = tried) -> bool:
            tried.append(kept)
            return kept >= needed

        assert fewest_kept(30, passes, failing=5) == needed
        assert min(tried) > 5
    assert fewest_kept(5, lambda kept: True, failing=5) is None


def test_where_all_kept_do_not_do_there_is_no_answer() -> None:
    tried: list[int] = []

    def fails(kept: int) -> bool:
        tried.append(kept)
        return False

    assert fewest_kept(5, fails) is None
    assert tried == [1, 2, 4, 5]


def test_what_is_answered_was_seen_to_pass_also_where_more_kept_is_worse() -> None:
    passing = {4, 3, 7, 8}
    tried: list[int] = []

    def passes(kept: int) -> bool:
        tried.append(kept)
        return kept in passing

    found = fewest_kept(8, passes)
    assert found in passing and found in tried
