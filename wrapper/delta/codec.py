"""A changed layer as its change: what is made at pull and applied at push. `docs/layer-delta.md` has the format.

The streams that `deflate` parses an old layer to are what zstd compresses the new layer's streams against.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError, HostError
from .deflate import COMPILED, MalformedError, TooLongError, parse, serialize

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
_FRAME = b"\x28\xb5\x2f\xfd"
_SINGLE_SEGMENT = 0x20
# zstd takes no shorter prefix.
_SHORTEST_PREFIX = 8
_LARGEST_WINDOW = 31 if sys.maxsize > 2**32 else 30
# What every decoder grants (RFC 8878, 3.1.1.1.2), in bytes.
_COMMON_WINDOW = 8 << 20
# How many times as long as a layer its parts may be: a match of two bits is four bytes.
_EXPANSION = 16
# What zstd's tables take up to a level, in bytes (`ZSTD_defaultCParameters`).
_TABLES = ((8, 8 << 20), (15, 64 << 20), (19, 80 << 20), (20, 160 << 20), (21, 320 << 20), (22, 640 << 20))
_TABLES_TIMES = 16
_OTHER = 8 << 20


class TooLargeError(HostError):
    """It would take more memory than is allowed."""

    def __init__(self, what: str = "a layer's change") -> None:
        """Say what takes so much."""
        super().__init__(f"{what} takes more memory than is allowed", "allow more with --delta-memory")


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


def parse_layer(layer: bytes, memory: int = sys.maxsize) -> ParsedLayer | None:
    """Parse a gzip stream, or take a tar as it is; None for what can't be parsed.

    Args:
        layer: its bytes; of hostile origin.
        memory: how much may be taken beside them, in bytes.

    Raises:
        TooLargeError: it would be more.
    """
    if layer.startswith(_GZIP):
        try:
            # The longest part is there twice while it is put together, and may be nearly all.
            return ParsedLayer(_DEFLATE, parse(layer, max(memory, 0) // 2))
        except TooLongError:
            raise TooLargeError from None
        except MalformedError:
            return None
    if layer[257:262] == b"ustar":
        return ParsedLayer(_RAW, (b"", b"", b"", layer))
    return None


def encode(new: ParsedLayer, olds: Sequence[ParsedLayer], level: int, memory: int = sys.maxsize) -> bytes:
    """Express a layer against older ones.

    Args:
        new: the layer.
        olds: the older ones, of the same kind.
        level: zstd's, 1 to 22.
        memory: how much may be taken, these parts included, in bytes.

    Raises:
        TooLargeError: it would be more.
    """
    if _encoding_memory(new, olds, level) > memory:
        raise TooLargeError()
    frames = [
        _compress(stream, b"".join(old.streams[place] for old in olds), level)
        for place, stream in enumerate(new.streams)
    ]
    sizes = [size for pair in zip(map(len, new.streams), map(len, frames), strict=True) for size in pair]
    return _HEADER.pack(MAGIC, new.kind, *sizes) + b"".join(frames)


def _encoding_memory(new: ParsedLayer, olds: Sequence[ParsedLayer], level: int) -> int:
    """Return what `encode` takes at most, in bytes."""
    most = 0
    for place, stream in enumerate(new.streams):
        prefix = sum(len(old.streams[place]) for old in olds)
        window = 1 << (len(stream) + prefix).bit_length()
        tables = min(next(size for up_to, size in _TABLES if level <= up_to), _TABLES_TIMES * window)
        # The prefix joined, and zstd's copy; the stream in zstd's buffer, and twice what comes out.
        most = max(most, prefix * (2 if len(olds) > 1 else 1) + 3 * len(stream) + tables)
    # What does not get shorter is there as frames, and once more when those are joined.
    return new.size + sum(old.size for old in olds) + max(most + new.size, 2 * new.size) + _OTHER


def decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, memory: int) -> bytes:
    """Make a layer of older ones.

    Args:
        delta: what `encode` returned; of hostile origin.
        olds: the older layers, in the same order.
        size: how long the layer is, in bytes.
        memory: how much may be taken, the delta and the older layers included, in bytes.

    Raises:
        ContentError: it is malformed, or makes something longer or shorter.
        TooLargeError: it would take more memory.
    """
    try:
        layer = _decode(delta, olds, size, memory)
    except (MalformedError, zstd.ZstdError, struct.error, EOFError) as error:
        raise ContentError(f"a layer's delta is malformed: {error}", "have the archive made again") from None
    if len(layer) != size:
        raise ContentError(f"a layer's delta makes {len(layer)} bytes, and {size} were promised")
    return layer


class _Stream(NamedTuple):
    """A stream of a delta, as its header describes it: lengths in bytes, and where the frame begins."""

    length: int
    place: int
    packed: int
    prefix: int
    window: int


def _decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, memory: int) -> bytes:
    if len(delta) < _HEADER.size or not delta.startswith(MAGIC) or delta[len(MAGIC)] not in (_RAW, _DEFLATE):
        raise ContentError("a layer's delta is of another format", "install the version that made the archive")
    kind = delta[len(MAGIC)]
    if any(old.kind != kind for old in olds):
        raise MalformedError("it is for layers of another kind")
    expected = _read_header(delta, olds, size)
    if _decoding_memory(len(delta), expected, olds, size) > memory:
        raise TooLargeError()
    streams = []
    for number, stream in enumerate(expected):
        prefix = b"".join(old.streams[number] for old in olds)
        streams.append(_decompress(delta[stream.place : stream.place + stream.packed], prefix, stream.length))
    if kind == _RAW:
        return streams[3]
    return serialize(streams[0], streams[1], streams[2], streams[3], size)


def _read_header(delta: bytes, olds: Sequence[ParsedLayer], size: int) -> list[_Stream]:
    """Read how long everything will be; nothing is decompressed."""
    sizes = _HEADER.unpack_from(delta)[2:]
    if sum(sizes[::2]) > _EXPANSION * size + 65536:
        raise MalformedError("its parts are longer than such a layer's can be")
    place = _HEADER.size
    found = []
    for number, (length, packed) in enumerate(zip(sizes[::2], sizes[1::2], strict=True)):
        if packed > len(delta) - place:
            raise MalformedError("it ends too early")
        prefix = sum(len(old.streams[number]) for old in olds)
        window = _window(delta[place : place + min(packed, 18)])
        if window > max(_COMMON_WINDOW, 2 * (length + prefix)):
            raise MalformedError("its window is larger than what it could be used for")
        found.append(_Stream(length, place, packed, prefix, window))
        place += packed
    if place != len(delta):
        raise MalformedError("there is more than was promised")
    return found


def _window(frame: bytes) -> int:
    """Return how much of its output a zstd frame wants to be kept, in bytes, by its header (RFC 8878, 3.1.1.1)."""
    content = zstd.get_frame_info(frame).decompressed_size
    # Frames to be skipped have no window, and nothing in them.
    if not frame.startswith(_FRAME) or len(frame) < 6:
        raise MalformedError("no zstd frame")
    if frame[4] & _SINGLE_SEGMENT:
        return content or 0
    base = 1 << (10 + (frame[5] >> 3))
    return base + (base >> 3) * (frame[5] & 7)


def _decoding_memory(delta: int, streams: Sequence[_Stream], olds: Sequence[ParsedLayer], size: int) -> int:
    """Return what `decode` takes at most, in bytes."""
    most = 0
    done = 0
    for stream in streams:
        # The prefix joined, and zstd's copy; zstd's window, and twice what comes out.
        prefix = stream.prefix * (2 if len(olds) > 1 else 1)
        most = max(most, done + stream.packed + prefix + stream.window + 2 * stream.length)
        done += stream.length
    return delta + sum(old.size for old in olds) + max(most, done + 2 * size)


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
