# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""The part of a layer's content that a compressor looks at, held in memory.

This file is plain Python; `window.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

HISTORY = 1 << 17
"""How many bytes before the place where a model is are at hand at least (or all, where there are fewer)."""

AHEAD = 1 << 17
"""How many bytes after the place where a model is are at hand at least (or all up to the member's end)."""

_NO_LIMIT = 1 << 62


class Window:
    """Content, of which a stretch is at hand. Places are counted from the layer's first byte of content.

    Attributes:
        base: the bytes; `base[place - start]` is the byte at a place.
        start: the place of the first byte that is at hand.
        end: the place after the last one that is at hand.
        limit: the place where the gzip member ends, or more than any where that is not known yet.
    """

    def __init__(self, size: int) -> None:
        """Take memory.

        Args:
            size: for how many bytes; 3 * (HISTORY + AHEAD) or more is sensible.
        """
        self.buffer = bytearray(size)
        # A pointer where this is compiled: whoever uses it checks places himself.
        self.base = self.buffer
        self.size = size
        self.start = 0
        self.end = 0
        self.limit = _NO_LIMIT

    def room(self) -> int:
        """Return how many bytes can be added."""
        return self.size - (self.end - self.start)

    def forget(self, place: int) -> int:
        """Give up what is before a place, as far as that is worth moving the rest."""
        gone = place - self.start
        if gone * 2 < self.size:
            return 0
        kept = self.end - place
        self.buffer[0:kept] = self.buffer[gone : gone + kept]
        self.start = place
        return gone

    def add(self, data: bytes, first: int, count: int) -> int:
        """Add bytes of `data` at the end; there must be room."""
        if count > self.room() or first < 0 or count < 0 or first + count > len(data):
            raise ValueError("no room")
        place = self.end - self.start
        self.buffer[place : place + count] = data[first : first + count]
        self.end += count
        return count

    def slice(self, first: int, end: int) -> bytes:
        """Return what is from one place to before another; both must be at hand."""
        if first < self.start or end > self.end or first > end:
            raise ValueError("not at hand")
        return bytes(self.buffer[first - self.start : end - self.start])

    def match(self, earlier: int, later: int, most: int) -> int:
        """Return how many bytes are the same from two places on; up to `most`, and within what is at hand."""
        if earlier < self.start or later < earlier or most <= 0 or later >= self.end:
            return 0
        if later + most > self.end:
            most = self.end - later
        return same_bytes(self.base, earlier - self.start, later - self.start, most)  # type: ignore[name-defined,no-any-return]  # noqa: F821


def _same_bytes(data: bytearray, earlier: int, later: int, most: int) -> int:
    found = 0
    while found < most and data[earlier + found] == data[later + found]:
        found += 1
    return found


if not COMPILED:
    # Compiled, it is C of the same meaning, eight bytes at a time: see window.pxd.
    globals()["same_bytes"] = _same_bytes
