"""OCI layouts: filled, checked, and added to."""

from __future__ import annotations

import io
import json
import resource
from typing import TYPE_CHECKING, Any

import pytest

import wrapper.oci.layout
from tests.support.builders import LAYER, LAYOUT
from wrapper.errors import ContentError, HostError
from wrapper.oci.layout import Layout, index_document, index_entry
from wrapper.oci.manifest import OCI_MANIFEST, Descriptor, digest_of, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path


def test_placeholders_have_their_size_and_go_away(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layer = Descriptor("x", digest_of(LAYER), 5 * 10**9)
    with layout.placeholders({layer.digest: layer.size}):
        stats = layout.blob(layer.digest).stat()
        assert (stats.st_size, stats.st_blocks) == (layer.size, 0)
    assert not layout.blob(layer.digest).exists()
    with pytest.raises(RuntimeError), layout.placeholders({layer.digest: layer.size}):
        raise RuntimeError
    assert not layout.blob(layer.digest).exists()
    absurd = Descriptor("x", digest_of(LAYER), 2**63 - 1)
    with pytest.raises(ContentError, match="claims"), layout.placeholders({absurd.digest: absurd.size}):
        pass
    assert not layout.blob(layer.digest).exists()


def test_a_layout_is_checked(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    digest = layout.put(LAYER)
    layout.check({digest: len(LAYER)})
    with pytest.raises(ContentError, match="manifest says"):
        layout.check({digest: 1})
    with pytest.raises(ContentError, match="did not fetch"):
        layout.check({digest_of(b"x"): 1})


def test_adding_keeps_other_images(tmp_path: Path) -> None:
    theirs = Layout(tmp_path / "theirs")
    blobs = {digest_of(b"blob"): b"blob"}

    def add(image: dict[str, Any]) -> bool:
        sizes = {digest: len(blob) for digest, blob in blobs.items()}
        return theirs.add([image], sizes, lambda digest: io.BytesIO(blobs[digest]))

    one, two = (index_entry(OCI_MANIFEST, digest_of(name.encode()), 1, name) for name in ("one", "two"))
    nameless = index_entry(OCI_MANIFEST, digest_of(b"zero"), 1)
    for image in (nameless, one, two):
        assert add(image)
        assert not add(image)
    assert json.loads(theirs.read_index())["manifests"] == [nameless, one, two]
    moved = index_entry(OCI_MANIFEST, digest_of(b"new"), 1, "one")
    assert theirs.digest_named("one") == one["digest"]
    assert add(moved)
    assert json.loads(theirs.read_index())["manifests"] == [nameless, two, moved]
    assert theirs.digest_named("one") == moved["digest"]
    assert theirs.digest_named("three") is None
    # A blob that was cut short is written again.
    theirs.blob(digest_of(b"blob")).write_bytes(b"bl")
    assert add(moved)
    assert theirs.read(digest_of(b"blob")) == b"blob"
    (theirs.folder / "index.json").write_text("no")
    with pytest.raises(ContentError):
        add(one)


def test_adding_makes_a_layout_only_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/oci-layout").write_bytes(b"{}")
    assert Layout(tmp_path / "begun").add([], {}, lambda _: io.BytesIO())
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").touch()
    with pytest.raises(ContentError, match="not an OCI layout"):
        Layout(tmp_path / "home").add([], {}, lambda _: io.BytesIO())
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]


def test_the_layout_file_is_what_the_specification_says() -> None:
    assert json.loads(LAYOUT) == json.loads(wrapper.oci.layout.LAYOUT_FILE)
    assert parse_manifest(index_document([])).parsed.media_type == "application/vnd.oci.image.index.v1+json"


def test_a_file_system_with_small_files_is_no_lie_of_the_manifest(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with (
            pytest.raises(HostError, match="File too large") as caught,
            layout.placeholders({digest_of(LAYER): 5 * 2**30}),
        ):
            pass
        with pytest.raises(ContentError, match="no file can be"), layout.placeholders({digest_of(LAYER): 10**13}):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "airgap-export" in caught.value.next_step
