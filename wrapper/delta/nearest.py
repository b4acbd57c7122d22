# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Where the same bytes were last: distances of matches as compressors that are not known choose them.

Whatever a compressor's strategy is, of several earlier places that begin with the same bytes it mostly takes the
nearest. So a distance is told as how many nearer places would have done.

This file is plain Python; `nearest.pxd` has the types with which Cython compiles it. Either way it does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .words import Words

if TYPE_CHECKING:
    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_REACH = 1 << 15
_HASHES = 1 << 16
# Places are kept by their lower 32 bits: what they lead to is compared, and never too far.
_MASK = 0xFFFFFFFF
_TRIES = 1 << 10
_FAR_RANK = 64

RANKS = _FAR_RANK
"""Ranks are below this."""


class Nearest:
    """Chains of places where the same three bytes are.

    All places within reach are entered when they are needed: nothing is done where no match is asked for.

    Attributes:
        steps: how many steps were taken.
        found: the distance, less one, that was found last.
    """

    def __init__(self, window: Window) -> None:
        """Take memory."""
        self.window = window
        self.kept_heads = Words(_HASHES)
        self.heads = self.kept_heads.base
        self.kept_links = Words(_REACH)
        self.links = self.kept_links.base
        self.entered = 0
        self.steps = 0
        self.found = 0

    def enter(self, place: int) -> int:
        """Enter the places within reach of one; up to it, all and two bytes more are at hand."""
        if self.entered >= place:
            return 0
        self.steps += min(place - self.entered, _REACH) >> 3
        base = self.window.base
        start = self.window.start
        heads = self.heads
        links = self.links
        at = max(self.entered, place - _REACH, start)
        while at < place:
            key = (base[at - start] << 8 ^ base[at + 1 - start] << 4 ^ base[at + 2 - start]) & 0xFFFF
            links[at & (_REACH - 1)] = heads[key]
            heads[key] = at & _MASK
            at += 1
        self.entered = place
        return 0

    def find(self, place: int, begin: int, length: int, wanted: int, distance: int) -> int:
        """Look for a match; both it and `length` bytes from `place` on are at hand.

        Args:
            place: where it is to begin.
            begin: it must not reach back beyond this place.
            length: how long it is, 3 or more.
            wanted: it is the match of this rank, below RANKS; or -1: the one of this distance.
            distance: see `wanted`; less one.

        Returns:
            The match's rank, of which `found` is the distance; or -2 where there is none.
        """
        if place + 3 > self.window.end:
            return -2
        self.enter(place)
        base = self.window.base
        start = self.window.start
        key = (base[place - start] << 8 ^ base[place + 1 - start] << 4 ^ base[place + 2 - start]) & 0xFFFF
        most = min(place - begin, _REACH)
        low = place & _MASK
        rank = 0
        tries = 0
        far = 0
        next_far = (low - self.heads[key]) & _MASK
        while far < next_far <= most and tries < _TRIES:
            far = next_far
            tries += 1
            self.steps += 1
            if same_bytes(base, place - far - start, place - start, length) == length:  # type: ignore[name-defined]  # noqa: F821
                if rank == wanted or (wanted < 0 and far == distance + 1):
                    self.found = far - 1
                    return rank
                rank += 1
                if rank == _FAR_RANK:
                    break
            next_far = (low - self.links[(place - far) & (_REACH - 1)]) & _MASK
        return -2


if not COMPILED:
    # Compiled, it is C of the same meaning: see window.pxd.
    from .window import _same_bytes

    globals()["same_bytes"] = _same_bytes
