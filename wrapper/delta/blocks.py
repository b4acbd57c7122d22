# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Blocks of older content, found again at any place of new content.

As rsync does it: a table knows the older content's blocks, which do not overlap, by a sum that is cheap to move on
by a byte. So whatever is the same for two blocks' length is found.

This file is plain Python; `blocks.pxd` has the types with which Cython compiles it. Either way it does the same.
"""

from __future__ import annotations

from .words import Words

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_ALL = 0xFFFFFFFFFFFFFFFF
# Odd numbers with bits all over (the golden ratio's, and primes of xxHash).
_STEP = 0x9E3779B185EBCA87
_MIX = 0xC2B2AE3D27D4EB4F
_PROBES = 16
_MOST_FILTER = 26
# How much worse a cover may get on the way to more bytes that are the same.
_DROP = 48


class BlockTable:
    """Where blocks stand in older content, by what they consist of."""

    def __init__(self, block: int, count: int) -> None:
        """Take memory: 8 bytes for each place of a table that is at least twice as long as is asked for.

        Args:
            block: how long a block is, in bytes; more than 7.
            count: for how many blocks.
        """
        bits = max(10, (2 * count - 1).bit_length())
        filter_bits = min(_MOST_FILTER, bits + 3)
        self.block = block
        self.mask = (1 << bits) - 1
        self.shift = 64 - bits
        self.filter_shift = 64 - filter_bits
        self.sums = Words(1 << bits)
        self.numbers = Words(1 << bits)
        self.filter = Words(1 << (filter_bits - 5))
        out = 1
        for _ in range(block):
            out = out * _STEP & _ALL
        # What a byte weighs in a sum when it leaves it.
        self.out = out
        self.number = 0

    def add(self, data: bytes, first: int) -> int:
        """Add the blocks of older content.

        Of those that are the same the first one counts; such as consist of one byte again and again don't.

        Args:
            data: the content, or a piece of it.
            first: the number of its first block.
        """
        if len(data) < self.block:
            return 0
        base = data
        size = len(data)
        at = 0
        number = first
        while at + self.block <= size:
            if not is_even(base, at, self.block):  # type: ignore[name-defined]  # noqa: F821
                total = 0
                for place in range(at, at + self.block):
                    total = (total * _STEP + base[place] + 1) & _ALL
                self.insert(total, number)
            at += self.block
            number += 1
        return 0

    def insert(self, total: int, number: int) -> int:
        """Add a block by its sum."""
        mixed = (total ^ (total >> 29)) * _MIX & _ALL
        print_ = (mixed ^ (total >> 7)) & 0xFFFFFFFF
        slot = mixed >> self.shift
        for _ in range(_PROBES):
            if self.numbers.base[slot] == 0:
                self.sums.base[slot] = print_
                self.numbers.base[slot] = number + 1
                bit = mixed >> self.filter_shift
                self.filter.base[bit >> 5] |= 1 << (bit & 31)
                return 1
            if self.sums.base[slot] == print_:
                return 0
            slot = (slot + 1) & self.mask
        return 0

    def look_up(self, total: int) -> int:
        """Return the number of a block by its sum, or -1."""
        mixed = (total ^ (total >> 29)) * _MIX & _ALL
        bit = mixed >> self.filter_shift
        if not (self.filter.base[bit >> 5] >> (bit & 31)) & 1:
            return -1
        print_ = (mixed ^ (total >> 7)) & 0xFFFFFFFF
        slot = mixed >> self.shift
        for _ in range(_PROBES):
            if self.numbers.base[slot] == 0:
                return -1
            if self.sums.base[slot] == print_:
                number: int = self.numbers.base[slot]
                return number - 1
            slot = (slot + 1) & self.mask
        return -1

    def find(self, data: bytes, at: int, end: int) -> int:
        """Find the next place where a block stands, by its sum: whether it does is for the caller to see.

        Args:
            data: new content.
            at: where to begin.
            end: where blocks have to end.

        Returns:
            The place, or -1; `number` says which block it is.
        """
        if at < 0 or end > len(data) or end - at < self.block:
            return -1
        base = data
        block = self.block
        out = self.out
        total = 0
        for place in range(at, at + block):
            total = (total * _STEP + base[place] + 1) & _ALL
        while True:
            found = self.look_up(total)
            if found >= 0:
                self.number = found
                return at
            if at + block >= end:
                return -1
            total = (total * _STEP + base[at + block] + 1 - out * (base[at] + 1)) & _ALL
            at += 1

    def covers(self, old: bytes, new: bytes, least: int) -> list[tuple[int, int, int]]:
        """Find what is the same, or nearly so, in two contents that are at hand; quickly.

        Args:
            old: the older content, of which the blocks were added; the first one's number is 0.
            new: the new content.
            least: how many bytes in a row have to be the same for a cover.

        Returns:
            Covers: where each begins in the older and in the new content, and how long it is, in order.
        """
        found: list[tuple[int, int, int]] = []
        old_base = old
        new_base = new
        old_size = len(old)
        new_size = len(new)
        at = 0
        done = 0
        while True:
            at = self.find(new, at, new_size)
            if at < 0:
                return found
            place = self.number * self.block
            if place >= old_size:
                at += 1
                continue
            length = same_on(old_base, place, old_size, new_base, at, new_size)  # type: ignore[name-defined]  # noqa: F821
            before = same_back(old_base, place, new_base, at, done)  # type: ignore[name-defined]  # noqa: F821
            if length + before < least or length < self.block:
                at += 1
                continue
            # On in both directions, for as long as more bytes are the same than not.
            best = score = size = 0
            most = min(old_size - place, new_size - at) - length
            while size < most and score > best - _DROP:
                score += 1 if old_base[place + length + size] == new_base[at + length + size] else -1
                size += 1
                if score > best:
                    best = score
                    kept = size
            if best:
                length += kept
            best = score = size = 0
            most = min(place, at - done) - before
            while size < most and score > best - _DROP:
                size += 1
                score += 1 if old_base[place - before - size] == new_base[at - before - size] else -1
                if score > best:
                    best = score
                    kept = size
            if best:
                before += kept
            found.append((place - before, at - before, length + before))
            at += length
            done = at


def common_start(old: bytes, new: bytes) -> int:
    """Return how many bytes are the same at the beginning of both."""
    old_base = old
    new_base = new
    return same_on(old_base, 0, len(old), new_base, 0, len(new))  # type: ignore[name-defined,no-any-return]  # noqa: F821


def common_end(old: bytes, new: bytes) -> int:
    """Return how many bytes are the same at the end of both."""
    old_base = old
    new_base = new
    least = max(0, len(new) - len(old))
    return same_back(old_base, len(old), new_base, len(new), least)  # type: ignore[name-defined,no-any-return]  # noqa: F821


def _is_even(data: bytes, at: int, count: int) -> bool:
    return data[at + 1 : at + count] == data[at : at + count - 1]


def _same_on(old: bytes, place: int, old_size: int, new: bytes, at: int, new_size: int) -> int:
    most = min(old_size - place, new_size - at)
    found = 0
    while found < most and old[place + found] == new[at + found]:
        found += 1
    return found


def _same_back(old: bytes, place: int, new: bytes, at: int, least: int) -> int:
    most = min(place, at - least)
    found = 0
    while found < most and old[place - found - 1] == new[at - found - 1]:
        found += 1
    return found


if not COMPILED:
    # Compiled, it is C of the same meaning: see blocks.pxd.
    globals().update(is_even=_is_even, same_on=_same_on, same_back=_same_back)
