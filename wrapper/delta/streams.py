# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Numbers and bytes in streams that are compressed, and read again piece by piece.

A number has seven bits in a byte, the lowest first; all bytes but the last have their highest bit set. A stream is
LZMA2 without any container, with a dictionary of 1 MiB; one without a byte is nothing.

This file is plain Python; `streams.pxd` has the types with which Cython compiles it. Either way it does the same.
"""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

from .malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 1 << 16
_DICTIONARY = 1 << 20
_LEVEL = 6


class StreamWriter:
    """A stream that is written.

    Attributes:
        length: how many bytes were compressed so far; all after `finish`.
        packed: to how many.
    """

    def __init__(self) -> None:
        """Begin. Memory is small until there is something to compress."""
        self.pending = bytearray(_PIECE)
        self.base = self.pending
        self.used = 0
        self.compressor: lzma.LZMACompressor | None = None
        self.done: list[bytes] = []
        self.length = 0
        self.packed = 0

    def put(self, byte: int) -> int:
        """Write a byte."""
        if self.used == _PIECE:
            self.flush()
        self.base[self.used] = byte
        self.used += 1
        return 0

    def put_number(self, number: int) -> int:
        """Write a number."""
        while number > 127:
            self.put((number & 127) | 128)
            number >>= 7
        self.put(number & 127)
        return 0

    def put_bytes(self, data: bytes) -> int:
        """Write bytes as they are."""
        for place in range(len(data)):
            self.put(data[place])
        return 0

    def flush(self) -> int:
        """Compress what is written."""
        if self.compressor is None:
            # A short stream needs no memory for a long one.
            size = _DICTIONARY if self.used == _PIECE else _PIECE
            filters = [{"id": lzma.FILTER_LZMA2, "preset": _LEVEL, "dict_size": size}]
            self.compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
        packed = self.compressor.compress(bytes(self.pending[0 : self.used]))
        self.length += self.used
        self.packed += len(packed)
        self.done.append(packed)
        self.used = 0
        return 0

    def finish(self) -> bytes:
        """Return the compressed stream, once, when all is written."""
        if self.used:
            self.flush()
        if self.compressor is not None:
            self.done.append(self.compressor.flush())
        packed = b"".join(self.done)
        self.packed = len(packed)
        self.done = []
        return packed


class StreamReader:
    """A stream that is read; of hostile origin."""

    def __init__(self, read_at: Callable[[int, int], bytes], offset: int, packed: int, length: int) -> None:
        """Begin.

        Args:
            read_at: returns so many bytes (the second) from a place (the first) on; fewer at the end.
            offset: where the compressed stream begins.
            packed: how long it is.
            length: how long it is uncompressed; more is never read, nor decompressed but for a piece.
        """
        self.read_at = read_at
        self.decompressor = lzma.LZMADecompressor(
            lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": _DICTIONARY}]
        )
        self.offset = offset
        self.packed = packed
        self.left = length
        self.chunk = b""
        self.data = self.chunk
        self.size = 0
        self.place = 0

    def fill(self) -> int:
        """Take the next piece.

        Raises:
            MalformedError: there is none, or it is no such stream.
        """
        chunk = b""
        while not chunk:
            if self.left == 0 or self.decompressor.eof:
                raise MalformedError("a stream ends too early")
            piece = b""
            if self.decompressor.needs_input:
                piece = self.read_at(self.offset, min(self.packed, _PIECE))
                if not piece:
                    raise MalformedError("a stream ends too early")
                self.offset += len(piece)
                self.packed -= len(piece)
            try:
                chunk = self.decompressor.decompress(piece, _PIECE)
            except lzma.LZMAError as error:
                raise MalformedError("a stream that can't be decompressed") from error
        if len(chunk) > self.left:
            raise MalformedError("a stream is longer than it was said to be")
        self.left -= len(chunk)
        self.chunk = chunk
        self.data = self.chunk
        self.size = len(chunk)
        self.place = 0
        return 0

    def at_end(self) -> bool:
        """Return whether all was read."""
        return self.place == self.size and self.left == 0

    def next(self) -> int:
        """Read a byte."""
        if self.place == self.size:
            self.fill()
        byte = self.data[self.place]
        self.place += 1
        return byte

    def next_number(self, most: int) -> int:
        """Read a number.

        Raises:
            MalformedError: it is more than `most`, or there is none.
        """
        number = 0
        shift = 0
        while True:
            byte = self.next()
            number |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 56:
                raise MalformedError("a number that is too large")
        if number > most:
            raise MalformedError("a number that is too large")
        return number

    def next_bytes(self, count: int) -> bytes:
        """Read so many bytes."""
        kept = bytearray()
        while count:
            if self.place == self.size:
                self.fill()
            piece = min(count, self.size - self.place)
            kept += self.chunk[self.place : self.place + piece]
            self.place += piece
            count -= piece
        return bytes(kept)

    def finish(self) -> int:
        """See that nothing is left over.

        Raises:
            MalformedError: something is.
        """
        if not self.at_end() or self.packed:
            raise MalformedError("a stream of which something is left over")
        return 0
