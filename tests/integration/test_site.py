"""The documents as a site: it builds, it needs no other host, and its reference is that of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.support.tool import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
_LINK = re.compile(r"\[[^]]*\]\(([^)]+)\)")
_IN_CSS = re.compile(r"url\(\s*[\"']?(https?:|//)|@import\s+[\"']?(https?:|//)")


class Page(HTMLParser):
    """What a browser loads to show a page, and the text of it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        place = dict(attrs).get(_LOADED.get(tag, ""))
        if place:
            self.loaded.append(place)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    ran = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        for place in Page(path).loaded:
            assert not re.match("https?:|//", place), f"{path.name} loads {place}"
    for path in site.rglob("*.css"):
        assert not _IN_CSS.search(path.read_text()), path.name


def test_the_reference_has_every_option(site: Path) -> None:
    from wrapper.cli.main import cli

    text = Page(site / "reference/commands.html").text
    for name, command in cli.commands.items():
        assert f"skopeo-incremental {name}" in text
        for option in (each for parameter in command.params for each in parameter.opts):
            assert not option.startswith("-") or option in text, option


def test_the_reference_has_the_schemas(site: Path) -> None:
    text = Page(site / "reference/json.html").text
    for value in ("layers[].delta.corrections", "outcomes[].missing[].bases", "images[].layers[].size"):
        assert value in text
    assert "defaults.platform" in Page(site / "reference/spec.html").text
    for path in site.rglob("*.html"):
        assert not re.search("<!-- (commands|schema: )", path.read_text()), path.name


def documents() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield from ROOT.glob("docs/**/*.md")


def test_links_lead_somewhere() -> None:
    """mkdocs looks at those in its pages; here are those of all others, too."""
    for path in documents():
        for link in _LINK.findall(path.read_text()):
            place = link.partition("#")[0]
            if place and not place.startswith("http"):
                assert (path.parent / place).exists(), f"{path.name} leads to {link}"


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "![" not in text, "a picture would not show on other sites"
    assert text.index("scripts/demo") < text.index("scripts/test") < text.index("\n## ")
