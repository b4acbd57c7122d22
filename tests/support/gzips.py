"""gzip streams for property tests, and how they are damaged."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import strategies as st

from tests.support.deflated import gzipped

_WORDS = st.sampled_from(
    [b"a", b"bin", b"/usr/lib/", b"\0" * 40, b"\xff\xfe", b"the ", b"of", b"0123456789", b"\n"]
)


def contents(most: int = 60) -> st.SearchStrategy[bytes]:
    """Contents with repetitions, and without."""
    return st.one_of(
        st.binary(max_size=5 * most),
        st.lists(_WORDS, max_size=most).map(b"".join),
        st.tuples(st.integers(0, 20), st.integers(1, 2000)).map(lambda pair: bytes(range(pair[0])) * pair[1]),
        st.tuples(st.binary(min_size=1, max_size=50), st.integers(1, 3000))
        .map(lambda pair: pair[0] * pair[1])
        .map(lambda content: content[:20_000]),
    )


@st.composite
def members(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return one gzip member, and its content."""
    content = draw(contents())
    level = draw(st.integers(0, 9))
    strategy = draw(
        st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
    )
    compressor = zlib.compressobj(
        level, zlib.DEFLATED, -draw(st.integers(9, 15)), draw(st.integers(1, 9)), strategy
    )
    flush = draw(
        st.sampled_from([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK])
    )
    cut = draw(st.integers(0, len(content)))
    body = compressor.compress(content[:cut])
    if flush != zlib.Z_NO_FLUSH:
        body += compressor.flush(flush)
    body += compressor.compress(content[cut:]) + compressor.flush()
    flags = draw(st.integers(0, 31))
    header = bytes((0x1F, 0x8B, 8, flags)) + draw(st.binary(min_size=6, max_size=6))
    if flags & 4:
        extra = draw(st.binary(max_size=20))
        header += len(extra).to_bytes(2, "little") + extra
    for flag in (8, 16):
        if flags & flag:
            header += draw(st.binary(max_size=10)).replace(b"\0", b"x") + b"\0"
    if flags & 2:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return gzipped([body], content).replace(gzip_header(), header, 1), content


def gzip_header() -> bytes:
    """Return the header that `gzipped` writes."""
    return gzipped([])[:10]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a gzip stream of several members, perhaps with zeros after it, and its content."""
    parts = draw(st.lists(members(), min_size=1, max_size=3))
    stream = b"".join(part for part, _ in parts)
    content = b"".join(part for _, part in parts)
    assert gzip.decompress(stream) == content
    return stream + bytes(draw(st.sampled_from([0, 0, 0, 1, 600]))), content


def damage(stream: bytes, data: st.DataObject) -> bytes:
    """Return a stream with a few bits turned, or cut."""
    damaged = bytearray(stream)
    for place in data.draw(st.lists(st.integers(0, 8 * len(stream) - 1), max_size=3)):
        damaged[place >> 3] ^= 1 << (place & 7)
    return bytes(damaged[: data.draw(st.sampled_from([len(stream), data.draw(st.integers(0, len(stream)))]))])
