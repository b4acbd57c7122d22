"""Layers are decompressed to their content."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO

from ..host.signals import check
from .malformed import MalformedError, TooLongError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""What compressed layers begin with."""

_READ = 1 << 20
# How much a member or frame is given first: what it leaves is copied, and there may be millions of empty ones.
_FIRST_STEP = 1 << 10
# RFC 8878 grants 8 MiB, and layers made with more are rare.
_ZSTD_WINDOW = 27
_TOO_MUCH_MEMORY = "too much memory"
"""What the zstd library says of a frame with a window that is larger (ZSTD_error_frameParameter_windowTooLarge)."""


def expand(layer: BinaryIO, out: Path, bound: int) -> int:
    """Write a layer's content to a file: that of gzip or zstd, or the layer itself where it is neither.

    Args:
        layer: the layer, open for reading; it is read to its end.
        out: the file.
        bound: how long the content may be, in bytes.

    Returns:
        How long it is.

    Raises:
        MalformedError: it can't be decompressed.
        TooLongError: the content is longer than that, and what is in the file then is not; or it can't be read in
            the memory that is allowed.
        OSError: a file can't be read or written.
    """
    left = bound
    with out.open("wb") as file:
        for chunk in _content(layer):
            check()
            left -= len(chunk)
            if left < 0:
                raise TooLongError("its content is longer than is allowed")
            file.write(chunk)
    return bound - left


def _content(layer: BinaryIO) -> Iterator[bytes]:
    data = layer.read(_READ)
    if data.startswith(GZIP_MAGIC):
        return _gunzipped(layer, data)
    if data.startswith(ZSTD_MAGIC):
        return _unzstd(layer, data)
    return _plain(layer, data)


def _plain(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = layer.read(_READ)


def _gunzipped(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    place = 0
    try:
        while data.startswith(GZIP_MAGIC, place):
            member = zlib.decompressobj(31)
            step = _FIRST_STEP
            while not member.eof:
                if place == len(data):
                    data, place = layer.read(_READ), 0
                    if not data:
                        raise MalformedError("it ends too early")
                piece = data[place : place + step]
                yield member.decompress(piece, _READ)
                place += len(piece) - len(member.unconsumed_tail) - len(member.unused_data)
                step = min(2 * step, _READ)
            if len(data) - place < len(GZIP_MAGIC):
                data, place = data[place:] + layer.read(_READ), 0
    except zlib.error as error:
        raise MalformedError(f"it is not gzip: {error}") from None
    # What follows the last member belongs to no content.
    while layer.read(_READ):
        pass


def _unzstd(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    place = 0
    try:
        while data:
            frame = zstd.ZstdDecompressor(options=options)
            step = _FIRST_STEP
            while not frame.eof:
                piece = b""
                if frame.needs_input:
                    if place == len(data):
                        data, place = layer.read(_READ), 0
                        if not data:
                            raise MalformedError("it ends too early")
                    piece = data[place : place + step]
                    place += len(piece)
                    step = min(2 * step, _READ)
                yield frame.decompress(piece, _READ)
            place -= len(frame.unused_data)
            if place == len(data):
                data, place = layer.read(_READ), 0
    except zstd.ZstdError as error:
        if _TOO_MUCH_MEMORY in str(error):
            raise TooLongError("it takes more memory to decompress than is allowed") from None
        raise MalformedError(f"it is not zstd: {error}") from None
