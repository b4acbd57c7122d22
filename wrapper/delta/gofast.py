# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see chunks.pxd, gofast.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""A model of Go's compress/flate at level 1 ("best speed"), up to Go 1.26: crane, ko and kaniko may use it.

It keeps the last place for each hash of four bytes, searches forward in growing steps where nothing is found, and
takes the first match.

Learned from Go 1.19, `compress/flate/deflatefast.go`, `compress/flate/deflate.go`; only Go 1.19 was tried.

This file is plain Python; `gofast.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chunks import Chunks
from .words import Words

if TYPE_CHECKING:
    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_LONGEST = 258
_FOUND = 4
_REACH = 1 << 15
_TABLE = 1 << 14
# A search does not go on into so many bytes at a chunk's end.
_MARGIN = 15
# In how many bytes a search's step grows by one, as a power of two; and what it counts from.
_PACE = 5
_STEP = 1 << _PACE


class GoFast(Chunks):
    """Level 1. While a chunk is worked through, all places are indices into the window's `base`.

    Attributes:
        table: the last mark for each hash.
    """

    def __init__(self, window: Window) -> None:
        """Take memory.

        Args:
            window: the content.
        """
        super().__init__(window, 0, 0)
        self.kept_table = Words(_TABLE)
        self.table = self.kept_table.base
        self.tables = [self.kept_table]

    def make(self, first: int, begin: int, end: int, cur: int) -> int:
        """Decide on a chunk: put tokens into the queue, and enter places into the table."""
        if end - begin < _MARGIN + 2:
            return 0
        data = self.window.base
        table = self.table
        last = end - _MARGIN
        self.done = begin
        here = begin
        four = load_four(data, here)
        while True:
            hashed = hash_four(four)
            step = _STEP
            ahead = here
            while True:
                here = ahead
                ahead = here + (step >> _PACE)
                step += step >> _PACE
                if ahead > last:
                    return self.put_literals(end)
                there = table[hashed] - cur
                table[hashed] = here + cur
                if here - there <= _REACH and load_four(data, there) == four:
                    break
                four = load_four(data, ahead)
                hashed = hash_four(four)
            self.put_literals(here)
            while True:
                most = min(_LONGEST, end - here) - _FOUND
                length = _FOUND + same_bytes(data, there + _FOUND, here + _FOUND, most)
                self.put_match(length, here - there, _LONGEST)
                here += length
                if here >= last:
                    return self.put_literals(end)
                # Another match may follow at once.
                table[hash_four(load_four(data, here - 1))] = here - 1 + cur
                four = load_four(data, here)
                hashed = hash_four(four)
                there = table[hashed] - cur
                table[hashed] = here + cur
                if here - there > _REACH or load_four(data, there) != four:
                    break
            here += 1
            four = load_four(data, here)


def _hash_four(four: int) -> int:
    return ((four * 0x1E35A7BD) & 0xFFFFFFFF) >> 18


if not COMPILED:
    # Compiled, they are C of the same meaning: see gofast.pxd.
    from .chunks import PURE

    globals().update(PURE, hash_four=_hash_four)
