"""Headless Chromium, Debian's own, and what it sees of a page."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

# Besides what playwright gives itself: an empty profile, no first run, no background networking, no updates.
_FLAGS = ("--disable-gpu", "--disable-quic", "--disable-sync")

_AXE = "axe.run().then(found => found.violations.map(each => [each.id, each.help, each.nodes.map(n => n.html)]))"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser for as long as the block runs; each page that it opens has a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*_FLAGS])
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, path: Path, width: int = 1400, height: int = 900) -> Page:
    """Open a file in a window of so many pixels."""
    # The page forbids all scripts: those that look at it are let in from outside.
    context = browser.new_context(viewport={"width": width, "height": height}, bypass_csp=True, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    return page


def see_as(page: Page, look: str) -> None:
    """Show a page "light", "dark" or as in "print"."""
    printed = look == "print"
    page.emulate_media(media="print" if printed else "screen", color_scheme="light" if printed else look)


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def violations(page: Page) -> list[Any]:
    """Return what axe-core finds: rule, what it demands, and the elements that break it."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(content=files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate(_AXE)
    assert isinstance(found, list)
    return found
