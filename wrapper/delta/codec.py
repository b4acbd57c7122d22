"""A changed layer as its change: what is made at pull and applied at push. `docs/layer-delta.md` has the format.

The streams that `deflate` parses an old layer to are what zstd compresses the new layer's streams against.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError
from .deflate import COMPILED, MalformedError, parse, serialize

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAGIC = b"LAYDELT1"
_GZIP = b"\x1f\x8b"
_RAW, _DEFLATE = 0, 1
_HEADER = struct.Struct("<8sB8Q")
# zstd takes no shorter prefix.
_SHORTEST_PREFIX = 8
_LARGEST_WINDOW = 31 if sys.maxsize > 2**32 else 30
# How many times as long as a layer its parts may be: a match of two bits is four bytes.
_EXPANSION = 16


class ParsedLayer(NamedTuple):
    """A layer, parsed.

    Attributes:
        kind: what it was: gzip, or anything else, which is one part of raw bytes.
        streams: what it consists of, as `deflate.parse` gives it.
    """

    kind: int
    streams: tuple[bytes, bytes, bytes, bytes]

    @property
    def size(self) -> int:
        """How long they are together, in bytes."""
        return sum(map(len, self.streams))


def warn_where_slow(report: Callable[[str], None]) -> None:
    """Say so where this runs uncompiled."""
    if not COMPILED:
        report("warning: the deflate module is not compiled here: changes of layers take some twenty times as long")


def parse_layer(layer: bytes) -> ParsedLayer | None:
    """Parse a gzip stream, or take a tar as it is; None for what can't be parsed."""
    if layer.startswith(_GZIP):
        try:
            return ParsedLayer(_DEFLATE, parse(layer))
        except MalformedError:
            return None
    if layer[257:262] == b"ustar":
        return ParsedLayer(_RAW, (b"", b"", b"", layer))
    return None


def encode(new: ParsedLayer, olds: Sequence[ParsedLayer], level: int) -> bytes:
    """Express a layer against older ones.

    Args:
        new: the layer.
        olds: the older ones, of the same kind.
        level: zstd's, 1 to 22.
    """
    frames = [
        _compress(stream, b"".join(old.streams[place] for old in olds), level)
        for place, stream in enumerate(new.streams)
    ]
    sizes = [size for pair in zip(map(len, new.streams), map(len, frames), strict=True) for size in pair]
    return _HEADER.pack(MAGIC, new.kind, *sizes) + b"".join(frames)


def decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, room: int) -> bytes:
    """Make a layer of older ones.

    Args:
        delta: what `encode` returned; of hostile origin.
        olds: the older layers, in the same order.
        size: how long the layer is, in bytes.
        room: how long all parts, the older layers' and its own, may be together, in bytes.

    Raises:
        ContentError: it is malformed, or makes something longer or shorter.
    """
    try:
        layer = _decode(delta, olds, size, room)
    except (MalformedError, zstd.ZstdError, struct.error, EOFError) as error:
        raise ContentError(f"a layer's delta is malformed: {error}", "have the archive made again") from None
    if len(layer) != size:
        raise ContentError(f"a layer's delta makes {len(layer)} bytes, and {size} were promised")
    return layer


def _decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, room: int) -> bytes:
    if len(delta) < _HEADER.size or not delta.startswith(MAGIC) or delta[len(MAGIC)] not in (_RAW, _DEFLATE):
        raise ContentError("a layer's delta is of another format", "install the version that made the archive")
    kind = delta[len(MAGIC)]
    if any(old.kind != kind for old in olds):
        raise MalformedError("it is for layers of another kind")
    sizes = _HEADER.unpack_from(delta)[2:]
    if sum(sizes[::2]) > _EXPANSION * size + 65536:
        raise MalformedError("its parts are longer than such a layer's can be")
    if sum(sizes[::2]) + sum(old.size for old in olds) > room:
        raise MalformedError("its parts are longer than memory is allowed for")
    place = _HEADER.size
    streams = []
    for number, (length, packed) in enumerate(zip(sizes[::2], sizes[1::2], strict=True)):
        if packed > len(delta) - place:
            raise MalformedError("it ends too early")
        prefix = b"".join(old.streams[number] for old in olds)
        streams.append(_decompress(delta[place : place + packed], prefix, length))
        place += packed
    if place != len(delta):
        raise MalformedError("there is more than was promised")
    if kind == _RAW:
        return streams[3]
    return serialize(streams[0], streams[1], streams[2], streams[3], size)


def _compress(data: bytes, prefix: bytes, level: int) -> bytes:
    window = max(10, min(_LARGEST_WINDOW, (len(data) + len(prefix)).bit_length()))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.window_log: window,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    return zstd.compress(data, options=options, zstd_dict=_dictionary(prefix))


def _decompress(data: bytes, prefix: bytes, size: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW}
    decompressor = zstd.ZstdDecompressor(zstd_dict=_dictionary(prefix), options=options)
    # One byte more than was promised is enough to know.
    found = decompressor.decompress(data, max_length=size + 1)
    if len(found) != size or not decompressor.eof or decompressor.unused_data:
        raise MalformedError("a part has another length")
    return found


def _dictionary(prefix: bytes) -> tuple[zstd.ZstdDict, int] | None:
    return zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= _SHORTEST_PREFIX else None
