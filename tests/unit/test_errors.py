"""What libraries say in several lines is made one."""

from perftool.errors import last_line, one_line


def test_all_of_an_error_goes_on_one_line() -> None:
    assert (
        one_line(RuntimeError("Check failed:\n  cannot write\t file\n")) == "Check failed: cannot write file"
    )
    assert one_line(EOFError()) == "EOFError", "its kind where it says nothing"


def test_the_last_line_that_says_something_is_taken() -> None:
    assert last_line(RuntimeError("Exception from a.cpp:12:\n\nNo such device.\n \n")) == "No such device"
    assert last_line("no stop") == "no stop"
    assert last_line("\n") == "no reason given"
