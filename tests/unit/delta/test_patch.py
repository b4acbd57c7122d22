"""Content comes back from older content and a patch; hostile patches end in an error, soon."""

from __future__ import annotations

import io
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import uncompiled
from wrapper.delta import patch
from wrapper.delta.malformed import MalformedError
from wrapper.delta.patch import DIFFERENCES, EXTRA, Contents, most_covers

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = uncompiled.load("patch")

Cover = tuple[int, int, int]


class Memory:
    """Older content in memory, as `Contents` is in files."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    def read_into(self, place: int, view: memoryview) -> None:
        assert 0 <= place <= len(self.data) - len(view)
        view[:] = self.data[place : place + len(view)]

    def read(self, place: int, count: int) -> bytes:
        return self.data[place : place + count]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes, list[Cover]]:
    """Older and new content with covers, which may be good or bad ones."""
    old = draw(st.binary(max_size=300))
    new = b""
    covers = []
    for _ in range(draw(st.integers(0, 5))):
        new += draw(st.binary(max_size=9))
        if not old:
            break
        begin = draw(st.integers(0, len(old) - 1))
        length = draw(st.integers(1, len(old) - begin))
        piece = bytearray(old[begin : begin + length])
        for place in draw(st.lists(st.integers(0, length - 1), max_size=20)):
            piece[place] = draw(st.integers(0, 255))
        covers.append((begin, len(new), length))
        new += piece
    return old, new + draw(st.binary(max_size=9)), covers


def write(old: bytes, new: bytes, covers: list[Cover], module: Any = patch) -> list[bytes]:
    """Return all ten streams: differences are there as three, and as one."""
    outs = [io.BytesIO() for _ in range(DIFFERENCES + 4)]
    writer = module.PatchWriter([module.Sink(out.write) for place, out in enumerate(outs) if place != EXTRA])
    done = 0
    for begin, place, length in covers:
        outs[EXTRA].write(new[done:place])
        writer.cover(begin, place, length)
        for at in range(0, length, 7):
            end = min(at + 7, length)
            writer.compare(old[begin + at : begin + end], new[place + at : place + end])
        done = place + length
    outs[EXTRA].write(new[done:])
    writer.finish()
    return [out.getvalue() for out in outs]


def follow(streams: list[bytes], old: bytes, size: int, piece: int = 5, module: Any = patch) -> bytes:
    reads = [iter([stream[at : at + piece] for at in range(0, len(stream), piece)]) for stream in streams]
    return b"".join(module.apply([lambda read=read: next(read, b"") for read in reads], Memory(old), size))


@given(pairs(), st.integers(1, 20))
def test_content_comes_back(pair: tuple[bytes, bytes, list[Cover]], piece: int) -> None:
    old, new, covers = pair
    streams = write(old, new, covers)
    assert follow(streams[:-1], old, len(new), piece) == new
    assert follow([*streams[:DIFFERENCES], streams[-1]], old, len(new), piece) == new
    assert write(old, new, covers, PLAIN) == streams
    assert follow(streams[:-1], old, len(new), piece, PLAIN) == new


def test_there_may_be_nothing() -> None:
    assert follow([b""] * 7, b"", 0) == b""
    assert follow([b""] * 7, b"old", 0) == b""
    assert follow([b"", b"", b"", b"", b"", b"new", b""], b"", 3) == b"new"


def test_addresses_differ_by_the_same_bytes() -> None:
    old = b"".join(number.to_bytes(4, "little") for number in (0x12FF, 0x34F0, 0x5601))
    new = b"".join(number.to_bytes(4, "little") for number in (0x140F, 0x3600, 0x5711))
    streams = write(old, new, [(0, 0, 12)])
    assert streams[-1] == b"\x10\x01\x10\x01\x10\x01"


@given(st.lists(st.binary(max_size=12), min_size=7, max_size=9).filter(lambda each: len(each) != 8))
def test_any_streams_make_content_or_an_error(streams: list[bytes]) -> None:
    def outcome(module: Any) -> object:
        try:
            return follow(streams, bytes(range(40)), 50, module=module)
        except MalformedError as error:
            return str(error)

    assert outcome(patch) == outcome(PLAIN)


OLD = bytes(range(100))
NEW = OLD[10:60] + b"extra" + OLD[5:30]
STREAMS = write(OLD, NEW, [(10, 0, 50), (5, 55, 25)])


@pytest.mark.parametrize("module", [patch, PLAIN], ids=["compiled", "uncompiled"])
@pytest.mark.parametrize(
    ("number", "stream", "why"),
    [
        (0, b"\x01\x6d", "outside of the older"),
        (0, b"\x66", "outside of the older"),
        (0, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "outside of the older"),
        (0, b"\xfe\xff\xff\xff\xff\xff\xff\x7f", "outside of the older"),
        (0, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "too large"),
        (0, b"\x94", "ends too early"),
        (0, STREAMS[0] + b"\x00", "left over"),
        (1, b"\x51\x00", "outside of the content"),
        (1, b"", "ends too early"),
        (1, STREAMS[1] + b"\x00", "left over"),
        (2, b"\x00\x19", "outside of the content"),
        (2, b"\xff\xff\xff\xff\xff\xff\xff\x7f", "outside of the content"),
        (2, STREAMS[2] + b"\x01", "left over"),
        (3, b"\x01", "ends too early"),
        (3, b"\x7f", "ends too early"),
        (5, b"extr", "ends too early"),
        (5, b"extras", "left over"),
        (6, b"\x00", "left over"),
    ],
)
def test_hostile_patches(module: Any, number: int, stream: bytes, why: str) -> None:
    streams = STREAMS[:7]
    assert follow(streams, OLD, len(NEW), module=module) == NEW
    streams[number] = stream
    with pytest.raises(MalformedError, match=why):
        follow(streams, OLD, len(NEW), module=module)


@pytest.mark.parametrize("module", [patch, PLAIN], ids=["compiled", "uncompiled"])
@pytest.mark.parametrize(
    ("zeros", "runs", "differences", "why"),
    [
        (b"\x05", b"\x00", b"", "a run of no bytes"),
        (b"\x05", b"\x02", b"\x01", "ends too early"),
        (b"\x49", b"\x03", b"\x01\x01\x01", "left over"),
        (b"\x4c", b"\x01", b"\x01", "left over"),
        (b"\x05\x01", b"\x02", b"\x01\x01", "ends too early"),
        (b"\x05", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x01" * 100, "left over"),
    ],
)
def test_hostile_differences(module: Any, zeros: bytes, runs: bytes, differences: bytes, why: str) -> None:
    streams = [*STREAMS[:3], zeros, runs, STREAMS[EXTRA], differences]
    with pytest.raises(MalformedError, match=why):
        follow(streams, OLD, len(NEW), module=module)


def test_many_tiny_covers_are_refused() -> None:
    size = 1 << 20
    count = most_covers(size) + 1
    streams = [b"\x00" + b"\x01" * (count - 1), b"\x00" * count, b"\x01" * count, b"", b"", b"\x00" * size, b""]
    begun = time.process_time()
    with pytest.raises(MalformedError, match="more covers"):
        follow(streams, b"old", size, 1 << 16)
    assert time.process_time() - begun < 5


def test_long_content(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(bytes(range(256)) * 20_000)
    old = Contents([tmp_path / "old", tmp_path / "old"])
    size = old.length + 3
    data = old.read(0, old.length)
    new = b"\x01" + data[:7_000_000] + b"\x00\x00" + data[7_000_000:]
    reads = [
        io.BytesIO(stream) for stream in write(data, new, [(0, 1, 7_000_000), (7_000_000, 7_000_003, 3_240_000)])
    ]
    with old:
        pieces = list(patch.apply([read.read for read in reads[:-1]], old, size))
    assert b"".join(pieces) == new
    assert max(map(len, pieces)) == 1 << 20


class TestContents:
    def test_are_one_row_of_bytes(self, tmp_path: Path) -> None:
        parts = [b"one", b"", b"two", b"", b"three"]
        for number, part in enumerate(parts):
            (tmp_path / str(number)).write_bytes(part)
        whole = b"".join(parts)
        with Contents([tmp_path / str(number) for number in range(len(parts))]) as contents:
            assert contents.length == len(whole)
            assert contents.lengths == [*map(len, parts)]
            for begin in range(len(whole) + 1):
                for end in range(begin, len(whole) + 1):
                    assert contents.read(begin, end - begin) == whole[begin:end]
            for begin, end in pairwise([*contents.begins, contents.length]):
                assert all(contents.begins[contents.number(place)] == begin for place in range(begin, end))
            for place, count in ((0, len(whole) + 1), (len(whole), 1), (len(whole) + 5, 1), (-1, 1)):
                with pytest.raises(MalformedError):
                    contents.read(place, count)

    def test_a_file_that_becomes_shorter(self, tmp_path: Path) -> None:
        (tmp_path / "old").write_bytes(b"old")
        with Contents([tmp_path / "old"]) as contents:
            (tmp_path / "old").write_bytes(b"o")
            with pytest.raises(MalformedError):
                contents.read(0, 3)

    def test_none_is_left_open(self, tmp_path: Path) -> None:
        (tmp_path / "old").write_bytes(b"old")
        with pytest.raises(FileNotFoundError):
            Contents([tmp_path / "old", tmp_path / "missing"])
        with Contents([tmp_path / "old"]) as contents:
            pass
        contents.close()
