"""What is said on standard error while a sweep runs."""

import pytest

from perftool.render.live import LiveDisplay, Scene


def scene(subject: str) -> Scene:
    return Scene(
        stage="probe", subject=subject, part=None, share=0.0, seconds_left=None, best=None, failures=0
    )


def test_what_is_looked_at_is_named_and_before_it_has_a_name_it_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with LiveDisplay() as display:
        display.show(scene(""))
        display.show(scene("CPU"))
    assert capsys.readouterr().err == "[  0%] starting\n[  0%] looking at CPU\n"
