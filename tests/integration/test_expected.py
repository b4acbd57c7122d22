"""Archives that are told what they hash to: whoever writes to them meanwhile, nothing else is pushed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from tests.support.archives import blob_name, by_digest, layout_members, members_of, write_tar
from tests.support.images import Image, fresh, layer, put_image
from tests.support.registry import Registry
from tests.support.tool import PLAIN_DEST, Tool, refused
from wrapper import Access, ContentError, Incremental, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PLAIN = Access(tls_verify=False)


def image_of(path: Path, seed: str) -> tuple[Image, dict[str, bytes]]:
    blobs = by_digest(layer(seed, 20_000), config := json.dumps({"os": seed}).encode())
    layers = [data for data in blobs.values() if data != config]
    image = put_image(Registry(path), "none", None, layers, config=config, upload=False)
    return image, blobs | {image.digest: image.raw}


class Archives:
    """Two archives of the same length: the one that is expected, and one with another image.

    Both hold the blobs of both images: they differ in `index.json` alone, or in what blobs are called, too.
    """

    def __init__(self, path: Path, *, renamed: bool = False) -> None:
        self.path = path
        self.image, blobs = image_of(path, "good")
        other, others = image_of(path, "evil")
        write_tar(path, layout_members(self.image, blobs | others))
        self.good = path.read_bytes()
        self.sha256 = hashlib.sha256(self.good).hexdigest()
        members = members_of(path)
        names = {blob_name(image.digest): image.raw for image in (self.image, other)}
        if renamed:
            members |= dict(zip(names, reversed(names.values()), strict=True))
        else:
            index = members["index.json"]
            members["index.json"] = index.replace(self.image.digest.encode(), other.digest.encode())
        write_tar(path, [*members.items()])
        self.evil = path.read_bytes()
        assert len(self.evil) == len(self.good)
        assert self.evil != self.good

    def put(self, data: bytes) -> None:
        """Write to the file that is there, whoever has it open."""
        with self.path.open("r+b") as file:
            file.write(data)


class Watched:
    """An open archive, in which something happens at some of the times when it is read."""

    def __init__(self, path: Path, at: dict[int, Callable[[], None]]) -> None:
        self._file: BinaryIO = path.open("rb", 0)
        self._at = at
        self.name = str(path)
        self.reads = 0

    def read(self, size: int) -> bytes:
        self._at.get(self.reads, lambda: None)()
        self.reads += 1
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.fixture(params=["another index", "other names of blobs"])
def archives(tmp_path: Path, request: pytest.FixtureRequest) -> Archives:
    return Archives(tmp_path / "app.tar", renamed=request.param == "other names of blobs")


def push(archives: Archives, to: str, at: dict[int, Callable[[], None]]) -> tuple[int, bool]:
    """Push with the sum; return how often the archive was read, and whether something was pushed."""
    watched = Watched(archives.path, at)
    source: Any = watched
    try:
        result = Incremental(push_auth=PLAIN).push(source, to, expect_sha256=archives.sha256)
    except ContentError:
        return watched.reads, False
    finally:
        watched.close()
    assert result.digest == archives.image.digest
    return watched.reads, True


def named(layout: Path) -> list[str]:
    path = layout / "index.json"
    return [each["digest"] for each in json.loads(path.read_bytes())["manifests"]] if path.exists() else []


def test_a_swap_at_any_moment(archives: Archives, tmp_path: Path) -> None:
    archives.put(archives.good)
    reads, _ = push(archives, f"oci:{tmp_path}/whole", {})
    assert named(tmp_path / "whole") == [archives.image.digest]
    outcomes = []
    for moment in range(reads + 1):
        there = tmp_path / f"at-{moment}"
        archives.put(archives.good)
        _, pushed = push(archives, f"oci:{there}", {moment: lambda: archives.put(archives.evil)})
        assert named(there) == ([archives.image.digest] if pushed else []), moment
        outcomes.append(pushed)
    # Too early it is found, and at the end it is too late.
    assert not outcomes[0]
    assert outcomes[-1]


def test_the_good_one_is_there_only_while_it_is_hashed(archives: Archives, tmp_path: Path) -> None:
    archives.put(archives.good)
    reads, _ = push(archives, f"oci:{tmp_path}/whole", {})
    for moment in range(reads + 1):
        for later in range(moment + 1, reads + 1, 5):
            there = tmp_path / f"at-{moment}-{later}"
            archives.put(archives.evil)
            swaps = {moment: lambda: archives.put(archives.good), later: lambda: archives.put(archives.evil)}
            _, pushed = push(archives, f"oci:{there}", swaps)
            assert named(there) == ([archives.image.digest] if pushed else []), (moment, later)


def test_a_registry_gets_what_was_expected(archives: Archives, customer: Registry) -> None:
    archives.put(archives.good)
    reads, pushed = push(archives, f"docker://{customer.host}/{fresh('expected')}:1", {})
    assert pushed
    for moment in range(0, reads, 7):
        repository = fresh("expected")
        archives.put(archives.good)
        at = {moment: lambda: archives.put(archives.evil)}
        _, pushed = push(archives, f"docker://{customer.host}/{repository}:1", at)
        assert (customer.manifest(repository, "1") is not None) == pushed
        if pushed:
            assert customer.manifest(repository, "1") == archives.image.raw


def test_vet_and_push_compare_the_sum(tool: Tool, customer: Registry, archives: Archives) -> None:
    to = f"docker://{customer.host}/{fresh('expected')}:1"
    archives.path.rename(tool.home / "app.tar")
    archives.path = tool.home / "app.tar"
    wanted = ("--expect-sha256", archives.sha256, "--json")
    watch = customer.watch()
    for words in (("vet", "app.tar"), ("vet", "app.tar", to, *PLAIN_DEST), ("push", "app.tar", to, *PLAIN_DEST)):
        archives.put(archives.good)
        last = watch.requests()
        refused(tool(*words, "--expect-sha256", "0" * 64, "--json"), 4, "app.tar is not the expected file")
        archives.put(archives.evil)
        assert tool(*words, *wanted).code == 4
        assert watch.requests() == last
        archives.put(archives.good)
        tool.good(*words, *wanted)
        tool.good(*words, "--expect-sha256", f"sha256:{archives.sha256.upper()}")
        variable = f"SKOPEO_INCREMENTAL_{words[0].upper()}_EXPECT_SHA256"
        refused(tool(*words, "--json", env={variable: "0" * 64}), 4, "not the expected file")
        for nonsense in ("", "0" * 63, "0" * 65, "g" * 64, archives.sha256 + "\n", "md5:" + "0" * 64):
            refused(tool(*words, "--expect-sha256", nonsense, "--json"), 2, "is not a sha256")


def cut(path: Path, *ends: int) -> list[str]:
    """Cut a file into volumes, and return their sums."""
    data = path.read_bytes()
    path.unlink()
    sums = []
    for number, (start, end) in enumerate(zip((0, *ends), (*ends, len(data)), strict=True), 1):
        path.with_name(f"{path.name}.{number:03}").write_bytes(data[start:end])
        sums.append(hashlib.sha256(data[start:end]).hexdigest())
    return sums


def test_the_sums_of_volumes(tmp_path: Path) -> None:
    archives = Archives(tmp_path / "app.tar")
    archives.put(archives.good)
    sums = cut(archives.path, 0, 511, 1030, 20_000)

    def vet(*sums: str) -> None:
        Incremental().push_vet(archives.path, expect_sha256=sums)

    vet(*sums)
    vet(archives.sha256)
    for number in range(len(sums)):
        with pytest.raises(ContentError, match=rf"volume {number + 1} of .* is not the expected file"):
            vet(*sums[:number], "0" * 64, *sums[number + 1 :])
    for others in (sums[:-1], sums[1:], [*sums, sums[0]]):
        with pytest.raises(ContentError, match="sha256 given for 1 archive in 5 files"):
            vet(*others)
    with pytest.raises(ContentError, match="volume 2 of"):
        vet(sums[0], sums[2], sums[1], *sums[3:])
    # Together they are what they were, and yet not these volumes.
    (tmp_path / "app.tar.005").write_bytes(b"")
    with pytest.raises(ContentError):
        vet(*sums)


def test_the_sums_of_a_chain(tmp_path: Path) -> None:
    first, last = Archives(tmp_path / "first.tar"), Archives(tmp_path / "last.tar")
    for each in (first, last):
        each.put(each.good)
    chain = [first.path, last.path]

    def push(sums: Sequence[str]) -> None:
        Incremental().push(chain, f"oci:{tmp_path}/layout", expect_sha256=sums)

    push([first.sha256, last.sha256])
    with pytest.raises(UsageError, match="1 sha256 given for 2 archives in 2 files"):
        push([first.sha256])
    last.put(last.evil)
    with pytest.raises(ContentError, match=r"last\.tar is not the expected file"):
        push([first.sha256, last.sha256])
    last.put(last.good)
    sums = cut(first.path, 5000)
    push([first.sha256, last.sha256])
    push([*sums, last.sha256])
    with pytest.raises(ContentError, match="volume 2 of"):
        push([sums[0], "0" * 64, last.sha256])
