"""gzip streams are parsed as they come: what is valid is taken, all else ends in an error of ours."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import deflated, gzips, uncompiled
from tests.support.parsed import Parsed, parse
from wrapper.delta import inflate, window
from wrapper.delta.malformed import MalformedError

PLAIN = uncompiled.load("inflate")
PLAIN_WINDOW = uncompiled.load("window")


def outcome(data: bytes, *, plain: bool = False, piece: int = 1 << 16) -> Any:
    try:
        parsed = parse(data, PLAIN, PLAIN_WINDOW, piece) if plain else parse(data, inflate, window, piece)
    except MalformedError as error:
        return str(error)
    members = [
        (
            member.header,
            [
                (block.kind, block.last, block.padding, block.stored, block.header, block.header_bits)
                for block in member.blocks
            ],
            member.tokens,
            member.padding,
            member.trailer,
        )
        for member in parsed.members
    ]
    return parsed.content, members, parsed.rest


@given(gzips.streams(), st.integers(1, 70))
def test_content_is_zlibs_however_the_stream_is_cut(made: tuple[bytes, bytes], piece: int) -> None:
    stream, content = made
    assert parse(stream, piece=piece).content == content


@given(gzips.streams())
def test_compiled_and_uncompiled_agree(made: tuple[bytes, bytes]) -> None:
    assert outcome(made[0]) == outcome(made[0], plain=True)


@given(gzips.streams(), st.data())
def test_damaged_streams_are_malformed_or_others(made: tuple[bytes, bytes], data: st.DataObject) -> None:
    damaged = gzips.damage(made[0], data)
    found = outcome(damaged)
    assert found == outcome(damaged, plain=True)
    try:
        expected = gzip.decompress(damaged or b"none")
    except (EOFError, OSError, zlib.error):
        return
    # Flags that RFC 1952 keeps for later, Python does not look at.
    if found != "a gzip header of a later version":
        assert found[0] == expected


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_end_in_an_error_of_ours(data: bytes) -> None:
    assert outcome(data) == outcome(data, plain=True)


def test_long_blocks_take_no_more_memory_than_short_ones() -> None:
    content = random.Random(1).randbytes(300_000) + bytes(3_000_000) + b"abc" * 200_000
    fixed = zlib.compressobj(9, zlib.DEFLATED, 31, 9, zlib.Z_FIXED)
    assert parse(fixed.compress(content) + fixed.flush()).content == content
    one = deflated.gzipped([deflated.fixed_literals(content)])
    parsed = parse(one)
    assert len(parsed.members[0].blocks) == 1
    assert parsed.content == content


def test_the_longest_length_has_two_spellings() -> None:
    bits = deflated.Bits()
    bits.put(0b011, 3)
    bits.code(0x30 + ord("a"), 8)
    for spelled in (284, 285):
        bits.code(0b11000000 + spelled - 280, 8)
        if spelled == 284:
            bits.put(31, 5)
        bits.code(0, 5)
    bits.code(0, 7)
    parsed = parse(deflated.gzipped([bits.finish()], b"a" * 517))
    assert parsed.content == b"a" * 517
    assert [token >> 15 for token in parsed.members[0].tokens[0]] == [0, 259, 258]


@pytest.mark.parametrize("literals", [257, 286, 288])
@pytest.mark.parametrize("distances", [1, 30, 32])
def test_headers_may_declare_more_than_there_is(literals: int, distances: int) -> None:
    # One literal, the end, and no distance code at all.
    lengths = {ord("x"): 1, 256: 1}
    bits = deflated.dynamic(lengths, {}, literals, distances)
    bits.code(0, 1)
    bits.code(0, 1)
    bits.code(1, 1)
    assert parse(deflated.gzipped([bits.finish()], b"xx")).content == b"xx"


def test_a_distance_code_may_stand_alone() -> None:
    bits = deflated.dynamic({ord("x"): 2, 256: 2, 257: 1}, {0: 1}, 258, 1)
    bits.code(0b10, 2)
    bits.code(0b0, 1)
    bits.code(0b0, 1)
    bits.code(0b11, 2)
    assert parse(deflated.gzipped([bits.finish()], b"xxxx")).content == b"xxxx"


def test_what_follows_the_last_member_is_kept() -> None:
    stream = gzip.compress(b"one", mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"two", mtime=0)
    for rest in (b"", bytes(1), bytes(200_000), b"\x1f\x8b", b"\x1f\x8b\x08\xff more", b"\x1f\x8b\x07\x00 more"):
        parsed: Parsed = parse(stream + rest)
        assert parsed.content == b"onetwo"
        assert len(parsed.members) == 3
        assert parsed.rest == rest


def test_all_fields_of_a_header_are_kept() -> None:
    header = bytes((0x1F, 0x8B, 8, 0b11111, 1, 2, 3, 4, 5, 6, 3, 0)) + b"abcname\0comment\0hc"
    stream = header + gzip.compress(b"content", mtime=0)[10:]
    parsed = parse(stream, piece=1)
    assert parsed.members[0].header == header
    assert parsed.content == b"content"
    with pytest.raises(MalformedError):
        parse(header[:-16] + b"n" * (1 << 21))


def test_distances_end_where_the_member_begins() -> None:
    bits = deflated.Bits()
    bits.put(0b011, 3)
    bits.code(1, 7)
    bits.code(0, 5)
    bits.code(0, 7)
    bad = deflated.gzipped([bits.finish()], b"")
    with pytest.raises(MalformedError):
        parse(gzip.compress(b"before") + bad)
