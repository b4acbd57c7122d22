"""What is a file, and what is an image in a registry."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import ContentError, UsageError
from wrapper.oci.mistakes import not_an_archive
from wrapper.oci.reference import Reference, file_meant, registry_reference

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("x"))
    for name in ("release-1.tar", "release", "volumes.tar.001", "named.tar:2"):
        (tmp_path / name).write_bytes(raw.getvalue())
    documents = {
        "site.json": {"receipt": "1"},
        "site": {"receipt": "1"},
        "one.json": {"schemaVersion": 2},
        "bundle.json": {"images": []},
        "other.json": {},
        "other": {},
    }
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
    (tmp_path / "app").write_text("#!/bin/sh\n")
    (tmp_path / "old.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "team").mkdir()
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout/index.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("release-1.tar", "oci-archive:release-1.tar"),
        ("./release-1.tar", "oci-archive:./release-1.tar"),
        ("release", "oci-archive:release"),
        ("release:2", "oci-archive:release:2"),
        ("release-1.tar:2", "oci-archive:release-1.tar:2"),
        ("named.tar:2", "oci-archive:named.tar:2"),
        ("old.tar.gz", "oci-archive:old.tar.gz"),
        ("volumes.tar", "oci-archive:volumes.tar"),
        ("volumes.tar.001", "oci-archive:volumes.tar.001"),
        ("site.json", "receipt:site.json"),
        ("site", "receipt:site"),
        ("one.json", "manifest:one.json"),
        ("./layout", "oci:./layout"),
        ("./team", "dir:./team"),
    ],
)
def test_a_file_is_told_how_it_is_written(given: str, written: str) -> None:
    with pytest.raises(UsageError, match=f"write {written}$"):
        Reference.parse(given)
    Reference.parse(written)


@pytest.mark.parametrize(
    "given",
    ["none.tar", "none.tar.gz", "none.tar.zst", "none.tar.001", "none.json", "./none", "/none/x", "../x"],
)
def test_a_file_that_is_not_there(given: str) -> None:
    with pytest.raises(UsageError, match="there is no file") as caught:
        Reference.parse(given)
    assert f":{given}" in caught.value.next_step
    # What can't be an image in a registry is not offered as one.
    assert ("docker://" in caught.value.next_step) == given.startswith("none")


def test_what_no_base_can_be() -> None:
    with pytest.raises(UsageError, match="a bundle's spec") as caught:
        Reference.parse("bundle.json")
    assert "`spec`" in caught.value.next_step
    with pytest.raises(UsageError, match="a JSON file"):
        Reference.parse("other.json")


@pytest.mark.parametrize(
    "given",
    [
        "app", "app:1", "dock:1", "other", "team/app:2", "team", "layout", "host.example/app:1",
        "h.example/x/site.json", "host.example:5000/x.tar", "localhost/none.tar", "docker://release-1.tar", "docker://site.json:1",
        f"app@sha256:{'0' * 64}", "oci-archive:none.tar", "receipt:none.json", "dir:release-1.tar",
    ],
)  # fmt: skip
def test_references_stay_references(given: str) -> None:
    assert file_meant(given) is None
    assert str(Reference.parse(given)).endswith(given)


@pytest.mark.parametrize("text", ["x" * 5000, "x/" * 3000 + "x.tar", "a\0.tar", "\udcff.tar", "x" * 300 + ":1"])
def test_names_that_no_file_can_have(text: str) -> None:
    found = file_meant(text)
    assert found is None or not found.exists


def test_an_image_that_must_be_in_a_registry() -> None:
    with pytest.raises(UsageError, match=r"the final image release-1\.tar is a file") as caught:
        registry_reference("release-1.tar", "the final image")
    assert "`base` oci-archive:release-1.tar" in caught.value.next_step


def test_json_in_place_of_an_archive(folder: Path) -> None:
    said = {
        name: not_an_archive(name, (folder / name).read_bytes()) for name in ("site", "one.json", "bundle.json")
    }
    assert [type(error) for error in said.values()] == [ContentError] * 3
    assert "a receipt" in said["site"].message
    assert "receipt:site" in said["site"].next_step
    assert "manifest:one.json" in said["one.json"].next_step
    assert "`spec`" in said["bundle.json"].next_step
    assert "a JSON file" in not_an_archive("x", b"{").message
