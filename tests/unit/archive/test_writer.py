"""Archives are packed in one way only."""

from __future__ import annotations

import errno
import io
import os
import random
import subprocess
import tarfile
import tempfile
import threading
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import opened
from wrapper.archive.reader import Archive
from wrapper.archive.writer import ArchiveLayout, ArchiveWriter, write_archive
from wrapper.errors import ContentError
from wrapper.oci.manifest import digest_of

if TYPE_CHECKING:
    from pathlib import Path


def packed(blobs: dict[str, bytes], order: list[str] | None = None) -> bytes:
    out = io.BytesIO()
    sizes = {digest: len(blobs[digest]) for digest in order or blobs}
    writer = write_archive(out, ArchiveLayout(b"{}", sizes), lambda digest: io.BytesIO(blobs[digest]))
    assert writer.size == len(out.getvalue())
    return out.getvalue()


def test_the_same_blobs_give_the_same_bytes() -> None:
    blobs = {digest_of(bytes([n])): bytes([n]) for n in range(20)}
    data = packed(blobs)
    assert data == packed(blobs, sorted(blobs, reverse=True))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.getmembers()
    assert [each.name for each in found] == [
        "oci-layout", "index.json", *(f"blobs/sha256/{digest[7:]}" for digest in sorted(blobs))
    ]  # fmt: skip
    for each in found:
        assert (each.uid, each.gid, each.uname, each.gname, each.mtime, each.mode) == (0, 0, "", "", 0, 0o644)
        assert not each.pax_headers


@settings(max_examples=25)
@given(blobs=st.lists(st.binary(max_size=3000), max_size=6))
def test_what_is_packed_is_read(blobs: list[bytes]) -> None:
    data = packed({digest_of(blob): blob for blob in blobs})
    with opened(data) as archive:
        archive.verify()
        assert archive.index == b"{}"
        for blob in blobs:
            assert archive.read_blob(digest_of(blob)) == blob
        # Several may be open at a time.
        readers = [archive.open_blob(digest_of(blob)) for blob in blobs]
        starts = [reader.read(10) for reader in readers]
        assert [start + reader.read() for start, reader in zip(starts, readers, strict=True)] == blobs


@settings(max_examples=25)
@given(blobs=st.lists(st.binary(max_size=3000), max_size=6, unique=True), seed=st.integers())
def test_blobs_may_come_in_any_order(
    blobs: list[bytes], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("blobs")
    by_digest = {digest_of(blob): blob for blob in blobs}
    sizes = {digest: len(blob) for digest, blob in by_digest.items()}
    with (folder / "out.tar").open("w+b") as file, ArchiveWriter(file, ArchiveLayout(b"{}", sizes)) as packing:
        for digest in chance.sample(sorted(by_digest), len(by_digest)):
            assert packing.lacks(digest)
            (folder / "blob").write_bytes(by_digest[digest])
            packing.add(digest, folder / "blob")
            assert not packing.lacks(digest)
        written = packing.finish()
    data = (folder / "out.tar").read_bytes()
    assert data == packed(by_digest)
    assert written == (len(data), digest_of(data).removeprefix("sha256:"))


def test_a_packing_wants_every_blob_in_its_length(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"four")
    plan = ArchiveLayout(b"{}", {"sha256:0": 4, "sha256:1": 5})
    with (tmp_path / "out.tar").open("w+b") as file, ArchiveWriter(file, plan) as packing:
        packing.add("sha256:0", tmp_path / "blob")
        with pytest.raises(ContentError, match="manifest says 5"):
            packing.add("sha256:1", tmp_path / "blob")
        with pytest.raises(ValueError, match="blobs/sha256/1"):
            packing.finish()


def test_a_packing_copies_where_the_kernel_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blob").write_bytes(b"x" * 3_000_000)
    written = []
    for answer in (None, OSError(errno.EXDEV, "another file system"), 0):
        if answer is not None:
            monkeypatch.setattr(os, "copy_file_range", Mock(side_effect=[answer] * 9))
        plan = ArchiveLayout(b"{}", {"sha256:0": 3_000_000})
        with (tmp_path / "out.tar").open("w+b") as file, ArchiveWriter(file, plan) as packing:
            packing.add("sha256:0", tmp_path / "blob")
            written.append(packing.finish())
    assert len(set(written)) == 1


def test_what_is_omitted_is_never_packed() -> None:
    with pytest.raises(ValueError, match="omitted"):
        ArchiveLayout(b"{}", {"sha256:1": 0}, ["sha256:1"])


def test_a_pack_that_fails_leaves_no_tar(tmp_path: Path) -> None:
    blobs = {"sha256:0": b"x" * 1024, "sha256:1": b"short"}
    out = tmp_path / "out.tar"
    with out.open("wb") as file, pytest.raises(ContentError, match="shorter"):
        write_archive(
            file, ArchiveLayout(b"{}", dict.fromkeys(blobs, 1024)), lambda digest: io.BytesIO(blobs[digest])
        )
    assert out.stat().st_size
    assert subprocess.run(["tar", "tf", out], capture_output=True, check=False).returncode != 0
    with pytest.raises(ContentError):
        Archive.open(out)


def test_a_raw_output_may_take_less_than_it_is_given() -> None:
    blob = os.urandom(3_000_000)
    reader, writer = os.pipe()
    whole = io.BytesIO()
    write_archive(whole, ArchiveLayout(b"{}", {"sha256:0": len(blob)}), lambda _: io.BytesIO(blob))
    with subprocess.Popen(["sha256sum"], stdin=reader, stdout=subprocess.PIPE) as child:
        os.close(reader)
        with open(writer, "wb", buffering=0) as out:  # noqa: PTH123
            result = write_archive(out, ArchiveLayout(b"{}", {"sha256:0": len(blob)}), lambda _: io.BytesIO(blob))
        assert child.stdout
        assert child.stdout.read().split()[0].decode() == result.sha256
    assert result.size == len(whole.getvalue())


def test_without_threads_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[str] = []
    start = threading.Thread.start

    def start_one(thread: threading.Thread) -> None:
        starts.append(thread.name)
        if len(starts) > 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    before = threading.active_count()
    with tempfile.TemporaryFile() as file, pytest.raises(OSError, match="can't start new thread"):
        ArchiveWriter(file, ArchiveLayout(b"{}", {}, ()))
    assert starts == ["hashing", "flushing"]
    assert threading.active_count() == before


def test_a_hash_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def pread(*_: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr("wrapper.archive.writer.os.pread", pread)
    layout = ArchiveLayout(b"{}", {}, ())
    with tempfile.TemporaryFile() as file, ArchiveWriter(file, layout) as writer, pytest.raises(MemoryError):
        writer.finish()
