"""Work and memory are bounded by how long things are, whatever they are: changes, layers, and tars in them."""

from __future__ import annotations

import gzip
import io
import time
import tracemalloc
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from tests.support import deflated
from wrapper.delta import models, recipe
from wrapper.delta.expand import expand
from wrapper.delta.malformed import MalformedError, TooLongError
from wrapper.delta.members import Member, members
from wrapper.delta.models import Name
from wrapper.delta.packing import zstd
from wrapper.delta.search import _Pairs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ZLIB = Name(models.ZLIB, 0, 6, 8)
MIB = 1 << 20
LAST, EMPTY = 4, 3 << 3
"""Of a recipe's blocks."""


def frames(what: int, rest: bytes = b"") -> bytes:
    """Return the frame of one member whose content goes on to the end."""
    header = deflated.gzipped([])[:10]
    return bytes((len(header),)) + header + bytes((0, what)) + rest


def number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


@pytest.mark.parametrize("long", [False, True])
def test_what_follows_a_stream_is_not_kept_in_memory(long: bool) -> None:
    count = 32
    rest = (number(MIB) + bytes(MIB)) * count if long else (number(1 << 10) + bytes(1 << 10)) * (count << 10)
    streams = [frames(2 << 1, rest), bytes((1 | LAST | EMPTY,)), b"", b"", b"", b""]
    made = deflated.recipe(ZLIB, 0, 1 << 20, streams)
    del rest, streams
    size = 10 + 2 + 8 + count * MIB
    tracemalloc.start()
    try:
        assert sum(map(len, recipe.rebuild([], made, size))) == size
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_empty_blocks_are_work(kind: int) -> None:
    streams = [frames(0), bytes((kind | EMPTY,)) * (70_000 if kind else 1_100_000), b"", b"", b"", b""]
    made = deflated.recipe(ZLIB, 0, 1 << 28, streams)
    with pytest.raises(MalformedError, match=r"too many blocks|more steps"):
        for _ in recipe.rebuild([], made, 1 << 30):
            pass


def test_streams_of_empty_blocks_are_too_much_work() -> None:
    # Empty fixed blocks have 10 bits.
    four = sum(0b010 << (10 * each) for each in range(4)).to_bytes(5, "little")
    stream = deflated.gzipped([four * (MIB // 8)])
    with pytest.raises(TooLongError):
        recipe.analyse(io.BytesIO(stream).read)


@pytest.mark.parametrize("compress", [lambda: gzip.compress(b"", mtime=0), lambda: zstd.compress(b"")])
def test_millions_of_empty_members_take_no_more_time_than_their_length(
    tmp_path: Path, compress: Callable[[], bytes]
) -> None:
    def seconds(length: int) -> float:
        layer = compress() * (length // len(compress()))
        begun = time.process_time()
        assert expand(io.BytesIO(layer), tmp_path / "content", 0) == 0
        return time.process_time() - begun

    # Eight times as much; thirty times as long, were each of them to copy what follows.
    assert seconds(MIB) < 18 * max(seconds(MIB // 8) for _ in range(3))


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    field = name.ljust(124, b"\0") + size.rjust(11, b"0") + b"\0"
    return (field.ljust(156, b"\0") + kind).ljust(257, b"\0") + b"ustar\x0000".ljust(512 - 257, b"\0")


def found_in(tar: bytes, most: int = 1000) -> list[Member]:
    return list(islice(members(lambda place, size: tar[place : place + size], 0, len(tar)), most))


@pytest.mark.parametrize("size", [b"-2000", b"-1000", b"-1", b"+1", b"0o1", b"1_0"])
def test_sizes_of_members_are_octal_digits(size: bytes) -> None:
    tar = header(b"a", b"0") + header(b"b", size.rjust(11, b" ")) + bytes(4096)
    assert [each.name for each in found_in(tar)] == [b"a"]
    assert not found_in(header(b"a", size.rjust(11, b" "), b"L") + bytes(4096))


@pytest.mark.parametrize(
    "data",
    [b"1" * MIB, b"1 path=" * (MIB // 8), b"0 path=a\n" * 1000, b"1 path=a\n" * 1000, b"7 path=", b"99 path=a\n"],
)
def test_odd_records_are_read_in_no_time(data: bytes) -> None:
    tar = header(b"x", b"%o" % len(data), b"x") + data + bytes(-len(data) % 512) + header(b"a", b"0")
    begun = time.process_time()
    assert len(found_in(tar)) == 1
    assert time.process_time() - begun < 5


def test_records_are_read() -> None:
    data = b"9 mtime=\n" + b"15 path=a long\n" + b"12 size=512\n"
    tar = header(b"x", b"%o" % len(data), b"x") + data + bytes(-len(data) % 512) + header(b"a", b"0") + bytes(512)
    assert found_in(tar) == [Member(b"a long", 0, 1536, 512, 2048)]


def test_headers_without_end_are_odd() -> None:
    one = header(b"x", b"%o" % MIB, b"x") + bytes(MIB)
    assert len(found_in(one * 3 + header(b"a", b"0"))) == 1
    assert not found_in(one * 5 + header(b"a", b"0"))


def test_members_of_like_names_are_paired_in_their_order_and_in_no_time() -> None:
    count = 20_000
    places = [(each << 10, (each << 10) + 512, 512, (each + 1) << 10) for each in range(count)]
    news = [Member(b"n/%d" % (count + each), *place) for each, place in enumerate(places)]
    olds = [Member(b"o/%d" % each, *place) for each, place in enumerate(places)]
    pairs = _Pairs.__new__(_Pairs)
    pairs.changed = []
    begun = time.process_time()
    pairs._pair(news, olds, {member.name: member for member in olds}, set())
    assert time.process_time() - begun < 3
    assert pairs.changed == list(zip(news, olds, strict=True))
    assert pairs.unused == []
