"""Streams of bytes, compressed by what every Python has: lzma, or zstd.

A stream is one piece or several, each compressed by itself, so that a long one can be made on all cores. How long
each is, and how far back its decoder has to look, is known before anything is decompressed.

lzma stands for LZMA2 without a container: what would be in one stands in the change's header.
"""

from __future__ import annotations

import itertools
import lzma
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from .malformed import MalformedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

STORED, LZMA, ZSTD = range(3)
"""How a piece is compressed: not at all, by LZMA2, or as one zstd frame."""

LEAST_WINDOW, MOST_WINDOW = 12, 26
"""How far back decoders look at least and at most: the binary logarithm of bytes."""

_READ = 1 << 18
# What an lzma encoder takes, in times its window (liblzma's manual: 674 MiB with 64 MiB), and beside it, in bytes.
_LZMA_TIMES, _LZMA_MORE = 11, 4 << 20
# What a zstd encoder takes at its highest levels, likewise (measured), and what everything takes beside.
_ZSTD_TIMES, _ZSTD_MORE = 8, 16 << 20
# From which window on zstd looks for long matches far away, too.
_LONG_DISTANCE = 21
# Shorter pieces would miss too much of what is the same in others.
_LEAST_PIECE = 8 << 20
# Pieces of so many bytes are short enough to be compressed twice; and how lzma takes numbers of four bytes.
_SHORT, _TABLES = 2 << 20, {"lc": 1, "lp": 2, "pb": 2}


class Piece(NamedTuple):
    """A piece of a stream.

    Attributes:
        codec: STORED, LZMA or ZSTD.
        window: how far back its decoder looks: the binary logarithm of bytes.
        length: how long it is uncompressed, in bytes.
        packed: how long it is compressed, in bytes.
    """

    codec: int
    window: int
    length: int
    packed: int


class Effort(NamedTuple):
    """How streams are compressed.

    Attributes:
        codec: LZMA or ZSTD.
        level: lzma's preset, or zstd's level.
        literal_context: how many bits of the byte before lzma looks at, 0 to 4.
        position: how many bits of the place it looks at, 0 to 4.
        hasty: pieces longer than so many bytes are worth less of lzma's time for each.
        tables: whether short pieces are tried as numbers of four bytes, too, as programs have them.
    """

    codec: int
    level: int
    literal_context: int = 3
    position: int = 0
    hasty: int = 1 << 62
    tables: bool = False


class PackedReader:
    """A stream that is decompressed as it is read; of hostile origin."""

    def __init__(self, read_at: Callable[[int, int], bytes], place: int, pieces: Sequence[Piece]) -> None:
        """Begin; no memory is taken yet.

        Args:
            read_at: returns so many bytes (the second) from a place (the first) on; fewer at the end.
            place: where the stream begins.
            pieces: what it consists of; their windows are for the caller to check.
        """
        self._read_at = read_at
        self._place = place
        self._pieces = list(reversed(pieces))
        self._left = 0
        self._packed = 0
        self._decompressor: lzma.LZMADecompressor | zstd.ZstdDecompressor | None = None

    def read(self) -> bytes:
        """Return the next bytes, up to 256 KiB; none at the end.

        Raises:
            MalformedError: they can't be decompressed, or a piece is shorter or longer than it was said to be.
        """
        while not self._left:
            if self._decompressor is not None or self._packed:
                self._finish_piece()
            if not self._pieces:
                return b""
            self._begin_piece(self._pieces.pop())
        if self._decompressor is None:
            found = self._take(min(_READ, self._left))
        else:
            found = self._decompress(self._decompressor, min(_READ, self._left))
        self._left -= len(found)
        return found

    def _begin_piece(self, piece: Piece) -> None:
        self._left = piece.length
        self._packed = piece.packed
        if piece.codec == LZMA:
            filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << piece.window}]
            self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        elif piece.codec == ZSTD:
            options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: piece.window}
            self._decompressor = zstd.ZstdDecompressor(options=options)
        elif piece.codec != STORED or piece.length != piece.packed:
            raise MalformedError("a stream that is compressed in an unknown way")

    def _finish_piece(self) -> None:
        """See that a piece of which all bytes were read has no more."""
        decompressor = self._decompressor
        # A decoder may have to be asked once more before it knows.
        if decompressor is not None and not decompressor.eof and self._decompress(decompressor, 1):
            raise MalformedError("a stream is longer than stated")
        if self._packed or (decompressor is not None and decompressor.unused_data):
            raise MalformedError("a stream with bytes left over")
        self._decompressor = None

    def _decompress(self, decompressor: lzma.LZMADecompressor | zstd.ZstdDecompressor, most: int) -> bytes:
        """Return at least a byte; or none, where that is right at the end."""
        try:
            while True:
                if decompressor.eof:
                    if self._left:
                        raise MalformedError("a stream is shorter than stated")
                    return b""
                piece = b""
                if decompressor.needs_input:
                    if not self._packed:
                        raise MalformedError("a stream ends too early")
                    piece = self._take(min(_READ, self._packed))
                if found := decompressor.decompress(piece, most):
                    return found
        except (lzma.LZMAError, zstd.ZstdError) as error:
            raise MalformedError(f"a stream can't be decompressed: {error}") from None

    def _take(self, count: int) -> bytes:
        found = self._read_at(self._place, count)
        if not found:
            raise MalformedError("a stream ends too early")
        self._place += len(found)
        self._packed -= len(found)
        return found


class Raw(NamedTuple):
    """A stream that is to be compressed, or a stretch of one: part of a file.

    Attributes:
        descriptor: of the file.
        place: where it begins.
        length: how long it is, in bytes.
        effort: how it is compressed.
        window: how far back its decoder may look: the binary logarithm of bytes.
    """

    descriptor: int
    place: int
    length: int
    effort: Effort
    window: int = MOST_WINDOW


class Packed(NamedTuple):
    """A compressed stream.

    Attributes:
        pieces: what it consists of.
        data: those, one after the other: where each lies. Files that have no name.
    """

    pieces: list[Piece]
    data: list[_Extent]

    @property
    def size(self) -> int:
        """How long it is compressed, in bytes."""
        return sum(piece.packed for piece in self.pieces)

    def read(self) -> Iterator[bytes]:
        """Return it, chunk by chunk."""
        for extent in self.data:
            yield from extent.read()

    def close(self) -> None:
        """Give the files up."""
        for extent in self.data:
            extent.close()


class _Extent:
    """What a piece was compressed to, in a file without a name."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - kept open

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def read(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_READ):
            yield chunk

    def close(self) -> None:
        self._file.close()


def pack(
    streams: Sequence[Raw], folder: Path, memory: int, threads: int, tell: Callable[[float], None]
) -> list[Packed]:
    """Compress streams, several pieces at a time.

    Args:
        streams: the streams.
        folder: where temporary files go.
        memory: how much may be taken, in bytes. It bounds how far back encoders look.
        threads: how many may run.
        tell: is told which part is done, from 0 to 1.

    Returns:
        For each stream what became of it.
    """
    jobs = [
        (number, piece, window)
        for number, stream in enumerate(streams)
        for window in [min(stream.window, _largest_window(stream.effort, memory // threads))]
        for piece in _cut(stream, window, threads)
    ]
    # Long ones first, so that no core is idle at the end.
    order = sorted(range(len(jobs)), key=lambda place: -jobs[place][1].length)
    with ThreadPoolExecutor(threads) as pool:
        waiting = {place: pool.submit(_pack_piece, *jobs[place][1:], folder) for place in order}
        made = {}
        done, whole = 0, sum(piece.length for _, piece, _ in jobs)
        try:
            for place in order:
                made[place] = waiting[place].result()
                done += made[place][0].length
                tell(done / whole)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    packed = [Packed([], []) for _ in streams]
    for place, (number, _, _) in enumerate(jobs):
        piece, extent = made[place]
        packed[number].pieces.append(piece)
        packed[number].data.append(extent)
    return packed


def _largest_window(effort: Effort, memory: int) -> int:
    """Return how far back an encoder may look where it may take so much memory."""
    times, more = (_LZMA_TIMES, _LZMA_MORE) if effort.codec == LZMA else (_ZSTD_TIMES, _ZSTD_MORE)
    room = max(0, memory - more) // times
    return max(LEAST_WINDOW, min(MOST_WINDOW, room.bit_length() - 1))


def _cut(stream: Raw, window: int, threads: int) -> list[Raw]:
    """Cut a stream into equal pieces of about one window each; of less, where threads would have nothing to do."""
    if not stream.length:
        return []
    count = max(1, round(stream.length / (1 << window)), min(threads, stream.length // _LEAST_PIECE))
    places = [stream.length * number // count for number in range(count + 1)]
    return [
        Raw(stream.descriptor, stream.place + place, end - place, stream.effort)
        for place, end in itertools.pairwise(places)
    ]


def _pack_piece(raw: Raw, window: int, folder: Path) -> tuple[Piece, _Extent]:
    found = _compressed(raw, window, folder, {"lc": raw.effort.literal_context, "pb": raw.effort.position})
    if not raw.effort.tables or raw.length > _SHORT:
        return found
    # Measured on programs: up to 7 % fewer bytes.
    other = _compressed(raw, window, folder, _TABLES)
    best, worse = (found, other) if found[0].packed <= other[0].packed else (other, found)
    worse[1].close()
    return best


def _compressed(raw: Raw, window: int, folder: Path, properties: Mapping[str, int]) -> tuple[Piece, _Extent]:
    effort = raw.effort
    window = max(LEAST_WINDOW, min(window, (raw.length - 1).bit_length()))
    compressor: lzma.LZMACompressor | zstd.ZstdCompressor
    if effort.codec == LZMA:
        own = {
            "id": lzma.FILTER_LZMA2,
            "preset": effort.level,
            "dict_size": 1 << window,
            **properties,
        }
        if raw.length > effort.hasty:
            # Measured on programs: a third less time, 2.6 % more bytes.
            own |= {"nice_len": 32, "depth": 8}
        compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[own])
    else:
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: effort.level,
            zstd.CompressionParameter.window_log: window,
            zstd.CompressionParameter.content_size_flag: 0,
        }
        if window > _LONG_DISTANCE:
            options[zstd.CompressionParameter.enable_long_distance_matching] = 1
        compressor = zstd.ZstdCompressor(options=options)
    extent = _Extent(folder)
    try:
        packed = 0
        for chunk in _read(raw):
            if found := compressor.compress(chunk):
                packed += len(found)
                extent.write(found)
        found = compressor.flush()
        packed += len(found)
        extent.write(found)
        if packed < raw.length:
            return Piece(effort.codec, window, raw.length, packed), extent
        extent.close()
        extent = _Extent(folder)
        for chunk in _read(raw):
            extent.write(chunk)
        return Piece(STORED, LEAST_WINDOW, raw.length, raw.length), extent
    except BaseException:
        extent.close()
        raise


def _read(raw: Raw) -> Iterator[bytes]:
    place, left = raw.place, raw.length
    while left:
        chunk = os.pread(raw.descriptor, min(left, _READ), place)
        if not chunk:
            raise OSError("a file became shorter while it was read")
        place += len(chunk)
        left -= len(chunk)
        yield chunk
