"""The page about an archive, in a real browser."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.archives import cut
from tests.support.browser import chromium, open_page, overflow, see_as, violations
from tests.support.images import digest_of, fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, skopeo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.support.registry import Registry
    from tests.support.release import Release
    from tests.support.tool import Tool
    from tests.support.world import World

    Show = Callable[..., Page]

MARKUP = "</style></td><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'"
LABEL = "org.opencontainers.image"
LOOKS = ("light", "dark", "print")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(tool: Tool, browser: Browser) -> Iterator[Show]:
    """Have the page about an archive made, and open it."""
    contexts = []

    def show(archive: str, *options: str, code: int = 0) -> Page:
        ran = tool("inspect", archive, "--report", "page.html", *options)
        assert ran.code == code, ran.stderr
        page = open_page(browser, tool.home / "page.html")
        contexts.append(page.context)
        return page

    yield show
    for context in contexts:
        context.close()


def rows(page: Page, table: str) -> list[list[str]]:
    """Return the cells of a table's body, row by row."""
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    found = page.eval_on_selector_all(f"#{table} tbody tr", read)
    assert isinstance(found, list)
    return found


def verdict(page: Page) -> str:
    return page.locator(".verdict").inner_text()


def unfold(page: Page) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")


def size(amount: int) -> str:
    return f"{amount:,} bytes"


def config(**labels: Any) -> bytes:
    said = {"architecture": "amd64", "os": "linux", "created": "2026-05-04T03:02:01Z", "config": {"Labels": labels}}
    return json.dumps(said).encode()


@pytest.fixture
def update(release: Release) -> Any:
    """The second release of a bundle, with the first as its base, a foreign layer, and labels."""
    foreign = {"digest": digest_of(b"foreign"), "size": 7, "urls": ["https://example.com/<layer>"]}
    kind = {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}
    put_image(release.vendor, f"{release.at}/chart", "7", [layer("chart")], foreign=[foreign | kind])
    release.pull("1")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    return release.tool.good("inspect", "2.tar", "--json").json


def test_it_says_what_inspect_says(release: Release, show: Show, update: Any) -> None:
    page = show("2.tar")
    unfold(page)
    assert page.title() == "Transfer of 2.tar"
    needed = len(update["omitted"])
    assert verdict(page).startswith(f"Needs a base: the destination must have {needed} layers (")
    tiles = page.locator(".tiles dd").all_inner_texts()
    assert size(update["archive_size"]) in tiles[1]
    assert size(sum(each["size"] for each in update["omitted"])) in tiles[3]
    alone = [image for image in update["images"] if not image["beside"]]
    pairs = rows(page, "images")
    for image, (title,), amounts in zip(alone, pairs[::2], pairs[1::2], strict=True):
        assert title.startswith(image["name"])
        assert image["digest"] in title
        for leaf in image["manifests"] or [image]:
            assert leaf["platform"] in title
        assert amounts[0] == {"new": "new", "changed": "changed", "same": "unchanged"}[image["change"]]
        assert [size(image["bytes_new"]) in amounts[1], size(image["bytes_shared"]) in amounts[2]] == [True, True]
    assert {image["change"] for image in alone} == {"changed", "same"}
    total = page.locator("#images tfoot").inner_text()
    assert size(update["bytes_new"]) in total
    assert size(update["bytes_shared"]) in total
    shown = page.locator("#layers").inner_text()
    for each in update["layers"]:
        assert each["digest"] in shown
    assert "Get it from https://example.com/<layer>" in shown
    assert "1 foreign layer never travels" in page.inner_text("main")
    omitted = {base for each in update["layers"] for base in each["bases"]}
    assert {row[0] for row in rows(page, "bases")} == {f"{update['names'][base]}\n{base}" for base in omitted}
    sha256 = digest_of((release.tool.home / "2.tar").read_bytes()).removeprefix("sha256:")
    assert rows(page, "files") == [[f"2.tar\n{sha256}", rows(page, "files")[0][1]]]
    assert "pull --dry-run" in page.inner_text("main")


def test_the_same_archive_gives_the_same_page(release: Release, show: Show, update: Any) -> None:
    page = release.tool.home / "page.html"
    written = []
    for _ in range(2):
        show("2.tar")
        written.append(page.read_bytes())
        (release.tool.home / "2.tar").touch()
    assert written[0] == written[1]


def test_what_the_verdict_says(world: World, show: Show) -> None:
    tool = world.tool
    world.pull("1")
    whole = show("1.tar")
    assert verdict(whole) == "Complete: nothing else is needed at the destination."
    assert rows(whole, "bases") == []
    assert rows(whole, "images")[1][0] == "new"
    there = ("--for", world.there("2"), "--tls-verify", "false")
    pulled = world.pull("2", base="1")
    needs = show("2.tar")
    assert verdict(needs).endswith(f" of base {world.at}:1.")
    assert [size(pulled["bytes_shared"]) in row[2] for row in rows(needs, "bases")] == [True]
    missing = show("2.tar", *there, code=3)
    assert verdict(missing).startswith(f"Not ready: docker://{world.there('2')} lacks 1 layer (")
    assert [row[0] for row in rows(missing, "missing")] == [each["digest"] for each in pulled["omitted"]]
    tool.good("push", "1.tar", world.there("1"), *PLAIN_DEST)
    assert verdict(show("2.tar", *there)).startswith(f"Ready: docker://{world.there('2')} has every layer")
    skopeo("copy", "--src-tls-verify=false", f"docker://{world.reference('1')}", f"oci-archive:{tool.home}/o.tar:o")
    other = show("o.tar")
    assert "an archive of another tool" in other.inner_text("header")
    assert rows(other, "images")[1][0] == "not known"


def test_changes_of_layers(world: World, show: Show) -> None:
    pulled = world.pull("2", "--delta", base="1")
    page = show("2.tar")
    unfold(page)
    (changed,) = (each for each in pulled["layers"] if each["travels"] == "change")
    row = page.locator("tr.delta").inner_text()
    assert changed["digest"] in row
    assert f"Travels as its change ({size(changed['delta']['size'])})" in row.replace("kB ", "")
    assert [row[0] for row in rows(page, "sources")] == changed["delta"]["sources"]


def test_volumes_and_the_sums_that_are_checked_by_hand(release: Release, show: Show) -> None:
    tool = release.tool
    release.pull("1")
    odd = tool.home / "it's $(1) release.tar"
    volumes = cut((tool.home / "1.tar").rename(odd), 4_000)
    assert len(volumes) > 2
    sums = [digest_of(volume.read_bytes()).removeprefix("sha256:") for volume in volumes]
    page = show(odd.name)
    listed = [row[0] for row in rows(page, "files")]
    assert listed == [f"{volume.name}\n{sha256}" for volume, sha256 in zip(volumes, sums, strict=True)]
    assert page.title() == f"Transfer of {odd.name}"
    found = tool.good("inspect", f"{odd.name}.001", "--report", "page.html", "--json").json
    assert [volume["sha256"] for volume in found["volumes"]] == sums
    schema = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    schema.validate(found)
    check, vet = (block.inner_text() for block in page.locator("pre").all()[:2])
    ran = subprocess.run(["sh", "-c", check], cwd=tool.home, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.count(": OK\n")) == (0, len(volumes)), ran.stderr
    vet = vet.replace("skopeo-incremental", str(tool.program))
    subprocess.run(["sh", "-c", vet], cwd=tool.home, env=tool.environment, capture_output=True, check=True)
    volumes[1].write_bytes(b"another")
    assert subprocess.run(["sh", "-c", check], cwd=tool.home, capture_output=True, check=False).returncode == 1


def test_labels_of_configs_and_annotations(tool: Tool, vendor: Registry, show: Show) -> None:
    at = fresh()
    labels = {f"{LABEL}.title": "App", f"{LABEL}.version": "inherited", f"{LABEL}.revision": 7, "other": "x"}
    said = {"annotations": {f"{LABEL}.version": "2.0.1"}}
    image = put_image(vendor, at, "2", [layer(at)], config=config(**labels), extra=said)
    tool.good("pull", f"{vendor.host}/{at}:2", "-o", "o.tar", *PLAIN_PULL)
    found = tool.good("inspect", "o.tar", "--json").json["manifests"]
    expected = {f"{LABEL}.title": "App", f"{LABEL}.version": "2.0.1", f"{LABEL}.created": "2026-05-04T03:02:01Z"}
    assert found == {image.digest: {"layers": image.layers, "labels": expected}}
    (title, *_) = rows(show("o.tar"), "images")[0]
    assert "title App" in title
    assert "version 2.0.1" in title
    assert "created 2026-05-04\n" in f"{title}\n"


@pytest.fixture
def hostile(tool: Tool, vendor: Registry) -> str:
    """An archive whose labels are markup, far too long, or meant for a terminal."""
    at = fresh()
    labels = {
        f"{LABEL}.title": MARKUP,
        f"{LABEL}.version": "1" * 100_000,
        f"{LABEL}.revision": "\x1b[2J\u202egnp.exe{{ 7 * 7 }}",
    }
    url = "https://example.com/" + "very-long/" * 500 + MARKUP
    foreign = {"digest": digest_of(at.encode()), "size": 10**15, "urls": [url]}
    kind = {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}
    put_image(vendor, at, "2", [layer(at)], config=config(**labels), foreign=[foreign | kind])
    tool.good("pull", f"{vendor.host}/{at}:2", "-o", "o.tar", *PLAIN_PULL)
    return "o.tar"


def test_what_archives_say_is_only_text(tool: Tool, show: Show, hostile: str) -> None:
    page = show(hostile)
    unfold(page)
    assert page.title() == f"Transfer of {hostile}"
    assert page.locator("script, img, link, iframe").count() == 0
    text = page.inner_text("body")
    assert MARKUP in text
    assert "{{ 7 * 7 }}" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "1" * 256 not in text
    assert "(shortened)" in text
    assert len((tool.home / "page.html").read_bytes()) < 40_000


def test_nothing_is_loaded(show: Show, hostile: str, tool: Tool, browser: Browser) -> None:
    show(hostile)
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tool.home / "page.html").as_uri())
        assert asked == [(tool.home / "page.html").as_uri()]


@pytest.mark.parametrize("archive", ["update", "hostile"])
def test_it_fits_and_is_accessible(
    archive: str, request: pytest.FixtureRequest, show: Show, tmp_path: Path
) -> None:
    """On a phone, a tablet and a desk; light, dark and on paper; folded and open."""
    request.getfixturevalue(archive)
    page = show("2.tar" if archive == "update" else "o.tar")
    pictures = set()
    for look in LOOKS:
        see_as(page, look)
        for width in (1400, 800, 380):
            page.set_viewport_size({"width": width, "height": 900})
            for opened in (False, True):
                page.eval_on_selector_all("details", "(all, open) => all.forEach(each => each.open = open)", opened)
                assert overflow(page) == 0, (look, width, opened)
            pictures.add(page.screenshot(path=tmp_path / f"{look}-{width}.png", full_page=True))
        assert violations(page) == [], look
    assert len(pictures) == 9


def test_on_paper_only_what_is_open_is_shown(show: Show, hostile: str) -> None:
    page = show(hostile)
    see_as(page, "print")
    assert not page.locator("#layers").is_visible()
    assert page.locator("#approval").is_visible()
    assert page.pdf().startswith(b"%PDF")
    unfold(page)
    assert page.locator("#layers").is_visible()
