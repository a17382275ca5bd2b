"""Keep docs/benchmarks.md: each benchmark rewrites its own part, and what people wrote around it stays.

The page is text; only what lies between a benchmark's two markers is replaced. What the figures mean is
written by hand below the second marker.
"""

from datetime import UTC, datetime
from pathlib import Path

from perftool.bench.host import identity

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
COMMENTARY = "Commentary: not written yet."


def heading(title: str, question: str, command: str) -> list[str]:
    """Return how a section begins: what is asked, how it was answered, where and when."""
    host = identity()
    machine = (
        f"{host.cpu}, {host.cores_usable} cores usable, {host.memory_bytes / 1e9:.0f} GB, "
        f"{host.virtualisation}, OpenVINO {host.openvino}, Python {host.python}"
    )
    return [
        f"## {title}",
        "",
        question,
        "",
        f"    {command}",
        "",
        f"{machine}; {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]


def write_section(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Replace a benchmark's section of the page; one that is not there yet is added at the end."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    page.write_text(replace_section(text, name, "\n".join(lines).rstrip()), encoding="utf-8")


def replace_section(text: str, name: str, content: str) -> str:
    """Return a page with what lies between a benchmark's markers replaced by `content`."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{content}\n\n{end}"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text.rstrip()}\n\n{section}\n\n{COMMENTARY}\n"
    _, closed, after = rest.partition(end)
    if not closed:
        raise ValueError(f"the section of {name} has a beginning and no end ({end})")
    return f"{before}{section}{after}"
