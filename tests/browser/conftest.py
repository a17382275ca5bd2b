"""A real browser with a run's page in it; without one these tests skip, and say what is missing."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from perftool.analysis.result import Recommendation, Summary
from perftool.render.page.document import page as write_page

Show = Callable[..., Any]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a headless Chromium that is installed on this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Show]:
    """Return a function that opens a summary's page from disk.

    At the end of the test the page must have asked for nothing but itself, and have had no error.
    """
    opened = []
    asked: list[str] = []
    errors: list[str] = []

    def opening(
        summary: Summary, recommendation: Recommendation, *, run: str = "a-run", **context: Any
    ) -> Any:
        path = tmp_path / f"report{len(opened)}.html"
        named = structs.replace(summary, run=structs.replace(summary.run, id=run))
        path.write_bytes(write_page(named, recommendation))
        context = {"viewport": {"width": 1280, "height": 900}, **context}
        made = browser.new_context(**context)
        opened.append(made)
        page = made.new_page()

        def let_through(route: Any) -> None:
            if route.request.url == path.as_uri():
                route.continue_()
            else:
                asked.append(route.request.url)
                route.abort()

        page.route("**/*", let_through)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(path.as_uri())
        return page

    yield opening
    for context in opened:
        context.close()
    assert asked == [], "the page asks for nothing beside itself"
    assert errors == [], "the page has no errors"
