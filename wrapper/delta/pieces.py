"""Bytes that come in pieces of any length, and are wanted in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ENOUGH = 1 << 16


class Pieces:
    """Bytes that come in pieces of any length, to be taken as they are wanted."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Begin.

        Args:
            pieces: the bytes.
        """
        self._pieces = iter(pieces)
        self._piece = b""
        self._place = 0

    def take(self, most: int) -> bytes:
        """Return the next bytes, up to so many; none at the end."""
        while self._place == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece, self._place = piece, 0
        found = self._piece[self._place : self._place + most]
        self._place += len(found)
        return found

    def take_all(self, count: int) -> bytes:
        """Return the next bytes, so many.

        Raises:
            MalformedError: there are fewer.
        """
        found = []
        while count:
            piece = self.take(count)
            if not piece:
                raise MalformedError("content that ends too early")
            found.append(piece)
            count -= len(piece)
        return found[0] if len(found) == 1 else b"".join(found)


def joined(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Return bytes in pieces that are not short.

    Args:
        pieces: the bytes, in pieces of any length.
        size: how long they are to be together, in bytes; no more is returned.

    Raises:
        MalformedError: they are longer, or shorter.
    """
    left = size
    ready = []
    waiting = 0
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise MalformedError("it is longer than stated")
        if piece:
            # There may be empty ones without end.
            ready.append(piece)
            waiting += len(piece)
        if waiting >= _ENOUGH:
            yield b"".join(ready)
            ready.clear()
            waiting = 0
    if left:
        raise MalformedError("it is shorter than stated")
    yield b"".join(ready)
