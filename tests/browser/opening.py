"""What the tests of the page share: opening it, and reading what it shows."""

from collections.abc import Callable
from typing import Any

from perftool.analysis.result import Summary
from perftool.analysis.stability import recommend
from perftool.spec import Limits

Show = Callable[..., Any]


def opened(show: Show, summary: Summary, limits: Limits | None = None, **context: Any) -> Any:
    """Open a summary's page as a sweep writes it, under limits."""
    return show(summary, recommend(summary, summary.run.objective, limits or Limits()), **context)


def settled(page: Any) -> None:
    """Wait until what a change leads to is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def chosen(page: Any) -> str:
    """Return what the card names."""
    settled(page)
    return str(page.inner_text("#choice-id"))


def row_of(page: Any, id: str) -> Any:
    """Return the line of a configuration in the table."""
    return page.locator("#table-body tr", has=page.get_by_role("rowheader", name=id, exact=True))
