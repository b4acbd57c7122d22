"""Archives that their makers, or whoever can write to them, made to do harm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.archives import blob_name, by_digest, layout_members, members_of, write_tar
from tests.support.images import Image, digest_of, fresh, layer, put_image
from tests.support.registry import Registry
from tests.support.tool import ACCOUNTS, PLAIN_DEST, Tool, refused
from wrapper import Access, ContentError, Incremental
from wrapper.source.blobs import BlobSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLAIN = Access(tls_verify=False)
NOTE = "io.example.note"
CHANGED = r"app\.tar (changed while it was read|is damaged)"


class Swapped:
    """An archive in which another blob of the same length takes one's place as soon as all was verified."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.layer = layer(path, 50_000)
        config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers"}}).encode()
        extra = {"annotations": {NOTE: "good"}}
        self.image = put_image(Registry(path), "none", None, [self.layer], config=config, upload=False, extra=extra)
        self.blobs = {"manifest": self.image.raw, "config": config, "layer": self.layer}
        write_tar(path, layout_members(self.image, by_digest(config, self.layer)))
        self._monkeypatch = monkeypatch

    def swap(self, which: str) -> None:
        verify = BlobSource.verify
        old = self.blobs[which]
        new = old.replace(b"good", b"evil") if which == "manifest" else old[:-9] + bytes(9)
        assert new != old
        assert len(new) == len(old)

        def verify_then_swap(blob_source: BlobSource, report: Callable[[str], None]) -> None:
            verify(blob_source, report)
            data = self.path.read_bytes()
            assert data.count(old) == 1
            with self.path.open("r+b") as file:
                file.seek(data.index(old))
                file.write(new)

        self._monkeypatch.setattr(BlobSource, "verify", verify_then_swap)


@pytest.fixture
def swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swapped:
    return Swapped(tmp_path / "app.tar", monkeypatch)


@pytest.mark.parametrize("which", ["manifest", "layer", "config"])
def test_a_registry_gets_what_was_verified_or_no_tag(swapped: Swapped, customer: Registry, which: str) -> None:
    swapped.swap(which)
    repository = fresh("swapped")
    with pytest.raises(ContentError, match=CHANGED) as caught:
        Incremental(push_auth=PLAIN).push(swapped.path, f"docker://{customer.host}/{repository}:1")
    assert "copy the archive again" in caught.value.next_step
    assert customer.manifest(repository, "1") is None
    assert customer.manifest(repository, swapped.image.digest) is None


@pytest.mark.parametrize("which", ["manifest", "layer", "config"])
@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir"])
def test_a_place_gets_what_was_verified_or_nothing(
    swapped: Swapped, tmp_path: Path, transport: str, which: str
) -> None:
    swapped.swap(which)
    with pytest.raises(ContentError, match=CHANGED):
        Incremental().push(swapped.path, f"{transport}:{tmp_path}/there")
    there = tmp_path / "there"
    if transport == "oci":
        if (there / "index.json").exists():
            assert json.loads((there / "index.json").read_bytes())["manifests"] == []
        stored = list(there.glob("blobs/sha256/*"))
        assert all(path.name == digest_of(path.read_bytes()).partition(":")[2] for path in stored)
    else:
        assert not there.exists()


@pytest.mark.parametrize("which", ["manifest", "layer", "config"])
def test_complete_and_diff_write_what_was_verified_or_nothing(swapped: Swapped, tmp_path: Path, which: str) -> None:
    swapped.swap(which)
    whole, old = tmp_path / "whole.tar", tmp_path / "old.tar"
    config = b"{}"
    other = put_image(Registry(tmp_path), "none", None, [], config=config, upload=False)
    write_tar(old, layout_members(other, by_digest(config)))
    with pytest.raises(ContentError, match=CHANGED):
        Incremental().complete(swapped.path, None, output=whole)
    swapped.__init__(swapped.path, swapped._monkeypatch)  # type: ignore[misc]
    with pytest.raises(ContentError, match=CHANGED):
        Incremental().diff(old, swapped.path, output=whole)
    assert not whole.exists()


def test_an_archive_that_vanishes_after_the_push_spoils_nothing(
    swapped: Swapped, customer: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wrapper.push.job import PushJob

    upload = PushJob.upload

    def upload_then_damage(job: PushJob, **options: Any) -> None:
        upload(job, **options)
        swapped.path.write_bytes(bytes(swapped.path.stat().st_size))

    monkeypatch.setattr(PushJob, "upload", upload_then_damage)
    result = Incremental(push_auth=PLAIN).push(swapped.path, f"docker://{customer.host}/{fresh()}:1")
    assert result.digest == swapped.image.digest
    assert result.images[0].platform == "linux/amd64"


# Where a login goes


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Registry]:
    """A registry that nobody should ask for anything."""
    registry = Registry(tmp_path / "elsewhere").start()
    yield registry
    assert registry.requests() == []
    registry.stop()


def archive_of(path: Path, name: str | None, annotations: dict[str, str] | None = None, **more: str) -> Image:
    """An archive with one image of its own, whose entry in the index has a name, and more annotations."""
    blob, config = layer(path, 300), json.dumps({"os": str(path)}).encode()
    image = put_image(Registry(path), "none", None, [blob], config=config, upload=False)
    write_tar(path, layout_members(image, by_digest(config, blob), annotations))
    members = members_of(path)
    index = json.loads(members["index.json"])
    named = {"org.opencontainers.image.ref.name": name} if name is not None else {}
    index["manifests"][0]["annotations"] = named | more
    write_tar(path, [*(members | {"index.json": json.dumps(index).encode()}).items()])
    assert blob_name(image.digest) in members
    return image


def test_nothing_in_an_archive_decides_where_a_login_goes(
    tool: Tool, locked: Registry, elsewhere: Registry
) -> None:
    creds = (*PLAIN_DEST, "--dest-creds", ACCOUNTS["ann"], "--json")
    names = [
        f"{elsewhere.port}/other/repo:1",
        f"@127.0.0.1:{elsewhere.port}/x:1",
        f"../{elsewhere.host}/x",
        f"//{elsewhere.host}/x:1",
        f"1\n{elsewhere.host}",
        f"{elsewhere.host}/other/repo:1",
        f"docker://{elsewhere.host}/other/repo:1",
        "1/../../x",
        "-1",
        "x" * 129,
        " ",
    ]
    archive_of(tool.home / "last.tar", "2")
    for name in names:
        archive_of(tool.home / "first.tar", name, **{"io.containerd.image.name": f"{elsewhere.host}/a:1"})
        # After one component, what follows a colon could be a port.
        for chain, to in (
            (["first.tar", "last.tar"], f"docker://{locked.host}/{fresh('hostile')}"),
            (["last.tar", "first.tar"], "docker://hostile"),
        ):
            refused(tool("push", *chain, to, *creds), 4, "is not a tag", "give the destination a tag")
    # By itself its name is not needed, nor where the user has given a tag.
    tool.good("push", "first.tar", f"docker://{locked.host}/{fresh('hostile')}:1", *creds)
    tool.good("push", "first.tar", "last.tar", f"docker://{locked.host}/{fresh('hostile')}:1", *creds)


def test_the_names_of_a_bundle_stay_below_its_destination(
    tool: Tool, locked: Registry, elsewhere: Registry
) -> None:
    ours = {"io.skopeo-incremental.bundle": "1", "io.skopeo-incremental.format": "1"}
    for name in (
        f"{elsewhere.host}/x:1",
        f"//{elsewhere.host}/x:1",
        f"../{elsewhere.port}/x:1",
        f"{elsewhere.port}/x:1/y",
        f"x@{elsewhere.host}",
        "",
        "X:1",
    ):
        archive_of(tool.home / "bundle.tar", name, ours)
        for to in (f"docker://{locked.host}", f"docker://{locked.host}/team"):
            ran = tool("push", "bundle.tar", to, *PLAIN_DEST, "--dest-creds", ACCOUNTS["ann"], "--json")
            refused(ran, 4, "is a bundle")
