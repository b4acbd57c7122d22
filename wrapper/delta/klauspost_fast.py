# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see chunks.pxd, klauspost_fast.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""A model of klauspost/compress at level 1, and of Go's compress/flate from Go 1.27 on, which took that over.

crane, ko and kaniko may use Go's level 1 ("best speed"). It keeps the last place for each hash of five bytes, looks
at two places at a time, in growing steps where nothing is found, and takes the first match, which may grow
backwards.

Learned from klauspost/compress 1.15.11 to 1.19.1, `flate/level1.go`; Go 1.27.3, `compress/flate/level1.go`.

This file is plain Python; `klauspost_fast.pxd` has the types with which Cython compiles it.
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
_TABLE = 1 << 15
# A search does not go on into so many bytes at a chunk's end.
_MARGIN = 11
# In how many bytes a search's step grows by one, as a power of two.
_PACE = 5


class KlauspostFast(Chunks):
    """Level 1. While a chunk is worked through, all places are indices into the window's `base`.

    Attributes:
        table: the last mark for each hash.
    """

    def __init__(self, window: Window, segment: int, dictionary: int) -> None:
        """Take memory.

        Args:
            window: the content.
            segment: how many bytes of content are compressed on their own; 0 for all.
            dictionary: how many bytes before a segment it may refer to, at most 32768.
        """
        super().__init__(window, segment, dictionary)
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
        eight = load_eight(data, here)
        while True:
            while True:
                hashed = hash_five(eight)
                there = table[hashed] - cur
                ahead = here + 2 + ((here - self.done) >> _PACE)
                if ahead > last:
                    return self.put_rest(end)
                table[hashed] = here + cur
                following = load_eight(data, ahead)
                hashed = hash_five(following)
                if here - there < _REACH and load_four(data, there) == low_four(eight):
                    break
                # The next place follows at once.
                here = ahead
                ahead += 1
                eight = following
                following >>= 8
                there = table[hashed] - cur
                table[hashed] = here + cur
                if here - there < _REACH and load_four(data, there) == low_four(eight):
                    break
                here = ahead
                eight = following
            table[hashed] = ahead + cur
            while True:
                length = _FOUND + same_bytes(data, there + _FOUND, here + _FOUND, end - here - _FOUND)
                while there > first and here > self.done and data[there - 1] == data[here - 1]:
                    here -= 1
                    there -= 1
                    length += 1
                self.put_literals(here)
                self.put_match(length, here - there, _LONGEST)
                # What was looked at already is not looked at again.
                here = max(self.done, ahead + 1)
                if here >= last:
                    return self.put_rest(end)
                # Another match may follow at once.
                eight = load_eight(data, here - 2)
                table[hash_five(eight)] = here - 2 + cur
                eight >>= 16
                hashed = hash_five(eight)
                there = table[hashed] - cur
                table[hashed] = here + cur
                if here - there > _REACH or load_four(data, there) != low_four(eight):
                    break
            here += 1
            eight >>= 8

    def put_rest(self, end: int) -> int:
        """Put literals up to the chunk's end into the queue, if there is anything else in it."""
        return self.put_literals(end) if self.queued else 0


def _hash_five(eight: int) -> int:
    return (((eight << 24) * 889523592379) & 0xFFFFFFFFFFFFFFFF) >> 49


if not COMPILED:
    # Compiled, they are C of the same meaning: see klauspost_fast.pxd.
    from .chunks import PURE

    globals().update(PURE, hash_five=_hash_five)
