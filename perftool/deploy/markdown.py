"""Foreign text in Markdown: names that others gave become neither markup nor HTML. Pure."""

import re
from typing import Final

_MARKUP: Final = re.compile(r"([\\`*<>&\[\]|~])")
_BACKTICKS: Final = re.compile("`+")


def code(text: str) -> str:
    """Return a name as a code span, on one line: fenced by more backticks than it holds in a row."""
    line = _one_line(text) or "(no name)"
    fence = "`" * (max(map(len, _BACKTICKS.findall(line)), default=0) + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def prose(text: str) -> str:
    """Return text as words in a line that say nothing but themselves."""
    return _MARKUP.sub(r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
