# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see double_fast.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""A model of klauspost/compress's zstd at its default speed, level 3: that of skopeo, podman, buildah and BuildKit.

It keeps the last place for each hash of five bytes, and of eight; it prefers the longer match, tries the distance
that it used last one byte further on, and the one before that right after a match; and moves on in growing steps
where nothing is found.

Learned from klauspost/compress 1.15.12 and 1.19, `zstd/enc_dfast.go` and `enc_base.go`: both decide alike.

This file is plain Python; `double_fast.pxd` has the types with which Cython compiles it. Either way it does the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .malformed import MalformedError
from .words import Words
from .zstd_blocks import MOST_CONTENT

if TYPE_CHECKING:
    from .zstd_blocks import Sequences

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_MOST_CONTENT = MOST_CONTENT
_WINDOW = 1 << 23
_HISTORY = 2 * _WINDOW
_SLACK = 16
_LONG_BITS, _SHORT_BITS = 17, 15
# A search does not go on into so many bytes at a block's end; and there is none in blocks that are short.
_MARGIN, _LEAST = 10, 16
_PACE = 7
_SHORTEST, _LONGEST = 3, 131_074
# Places are kept by their lower 32 bits. Those that are out of reach are forgotten in time.
_MASK = 0xFFFFFFFF
_FORGET = 1 << 30


class DoubleFast:
    """Decides on sequences, block by block. What it is given is bounded; so is what it does with it."""

    def __init__(self) -> None:
        """Take memory."""
        self.memory = bytearray(_HISTORY + _SLACK)
        self.data = self.memory
        self.kept_long_places = Words(1 << _LONG_BITS)
        self.long_places = self.kept_long_places.base
        self.kept_long_values = Words(1 << _LONG_BITS)
        self.long_values = self.kept_long_values.base
        self.kept_short_places = Words(1 << _SHORT_BITS)
        self.short_places = self.kept_short_places.base
        self.kept_short_values = Words(1 << _SHORT_BITS)
        self.short_values = self.kept_short_values.base
        # How many bytes are at hand; what is added to an index to have a place; the last two distances.
        self.filled = 0
        self.shift = 2 * _WINDOW
        self.forgot = 0
        self.recent = 1
        self.before = 4

    def begin(self) -> int:
        """Begin a frame: nothing before it is within reach."""
        self.shift += _WINDOW + self.filled
        self.filled = 0
        self.recent = 1
        self.before = 4
        return 0

    def encode(self, block: bytes, alone: bool, sequences: Sequences) -> int:
        """Decide on the frame's next block.

        Args:
            block: its content.
            alone: whether it is the frame's only block.
            sequences: where the sequences go.
        """
        sequences.clear()
        begin = self.add(block)
        if self.filled - begin >= _LEAST:
            self.search(begin, alone, sequences)
        return 0

    def add(self, block: bytes) -> int:
        """Take a block; return where it is."""
        size = len(block)
        if size > _MOST_CONTENT:
            raise MalformedError("a block whose content is too long")
        if self.filled + size > _HISTORY:
            gone = self.filled - _WINDOW
            self.memory[0:_WINDOW] = self.memory[gone : gone + _WINDOW]
            self.filled = _WINDOW
            self.shift += gone
        begin = self.filled
        self.memory[begin : begin + size] = block
        self.filled += size
        if self.shift - self.forgot > _FORGET:
            self.forgot = self.shift
            self.forget(self.long_places, 1 << _LONG_BITS)
            self.forget(self.short_places, 1 << _SHORT_BITS)
        return begin

    def forget(self, places: memoryview, count: int) -> int:
        """Replace places that are out of reach, before their lower bits come again."""
        now = (self.shift + self.filled) & _MASK
        for number in range(count):
            if ((now - places[number]) & _MASK) > 2 * _WINDOW:
                places[number] = (now - 2 * _WINDOW) & _MASK
        return 0

    def enter(self, place: int) -> int:
        """Enter eight bytes, and the five after the first of them; return those after it."""
        shift = self.shift & _MASK
        after: int = load_eight(self.data, place)
        long = hash_eight(after)
        self.long_places[long] = (place + shift) & _MASK
        self.long_values[long] = after & _MASK
        after >>= 8
        short = hash_five(after)
        self.short_places[short] = (place + 1 + shift) & _MASK
        self.short_values[short] = after & _MASK
        return after

    def search(self, begin: int, alone: bool, sequences: Sequences) -> int:
        """Find what is copied."""
        data = self.data
        long_places, long_values = self.long_places, self.long_values
        short_places, short_values = self.short_places, self.short_values
        end = self.filled
        limit = end - _MARGIN
        shift = self.shift & _MASK
        at = emitted = begin
        recent = self.recent
        before = self.before
        eight = load_eight(data, at)
        after = eight
        while True:
            there = -1
            repeats = sequences.count > 2
            while there < 0:
                long = hash_eight(eight)
                short = hash_five(eight)
                # Wherever an entry's place is, only the distance to it counts.
                far = (at + shift - long_places[long]) & _MASK
                near = (at + shift - short_places[short]) & _MASK
                far_value = long_values[long]
                near_value = short_values[short]
                value = eight & _MASK
                long_places[long] = short_places[short] = (at + shift) & _MASK
                long_values[long] = short_values[short] = value
                back = at + 1 - recent
                if repeats and back >= 0 and load_four(data, back) == load_four(data, at + 1):
                    length = 4 + same_bytes(data, back + 4, at + 5, end - at - 5)
                    start = at + 1
                    match = length
                    low = max(0, at - _WINDOW)
                    # It never takes all literals: a sequence without any would mean something else.
                    while (
                        back > low
                        and start > emitted + 1
                        and data[back - 1] == data[start - 1]
                        and match < _LONGEST - 1
                    ):
                        back -= 1
                        start -= 1
                        match += 1
                    sequences.add(start - emitted, match, 1)
                    at += length + 1
                    emitted = at
                    if at >= limit:
                        self.recent, self.before = recent, before
                        return 0
                    eight = load_eight(data, at)
                    continue
                if far < _WINDOW and far <= at and value == far_value:
                    there = at - far
                elif near < _WINDOW and near <= at and value == near_value:
                    there = at - near
                    # Perhaps a longer one begins one byte further on.
                    eight = load_eight(data, at + 1)
                    long = hash_eight(eight)
                    far = (at + 1 + shift - long_places[long]) & _MASK
                    far_value = long_values[long]
                    value = eight & _MASK
                    long_places[long] = (at + 1 + shift) & _MASK
                    long_values[long] = value
                    if far < _WINDOW and far <= at + 1 and value == far_value:
                        at += 1
                        there = at - far
                else:
                    at += 1 + ((at - emitted) >> _PACE)
                    if at >= limit:
                        self.recent, self.before = recent, before
                        return 0
                    eight = load_eight(data, at)
            before = recent
            recent = at - there
            match = 4 + same_bytes(data, there + 4, at + 4, end - at - 4)
            low = max(0, at - _WINDOW)
            while there > low and at > emitted and data[there - 1] == data[at - 1] and match < _LONGEST:
                at -= 1
                there -= 1
                match += 1
            sequences.add(at - emitted, match, at - there + _SHORTEST)
            start = at
            at += match
            emitted = at
            if at >= limit:
                self.recent, self.before = recent, before
                return 0
            self.enter(start + 1)
            after = self.enter(at - 2)
            eight = load_eight(data, at)
            if alone:
                # Here it counts what it has just found: so it is in what this was learned from.
                repeats = sequences.count > 2
            while repeats and before <= at and load_four(data, at - before) == eight & _MASK:
                long = hash_eight(eight)
                # And what is alone in its frame is entered under another hash.
                short = hash_five(after >> 8 if alone else eight)
                match = 4 + same_bytes(data, at - before + 4, at + 4, end - at - 4)
                long_places[long] = short_places[short] = (at + shift) & _MASK
                long_values[long] = short_values[short] = eight & _MASK
                sequences.add(0, match, 1)
                at += match
                emitted = at
                recent, before = before, recent
                if at >= limit:
                    self.recent, self.before = recent, before
                    return 0
                eight = load_eight(data, at)


def _hash_eight(eight: int) -> int:
    return (eight * 0xCF1BBCDCB7A56463 & 0xFFFFFFFFFFFFFFFF) >> (64 - _LONG_BITS)


def _hash_five(eight: int) -> int:
    return ((eight << 24 & 0xFFFFFFFFFFFFFFFF) * 889523592379 & 0xFFFFFFFFFFFFFFFF) >> (64 - _SHORT_BITS)


if not COMPILED:
    # Compiled, they are C of the same meaning: see double_fast.pxd.
    from .chunks import PURE

    globals().update(PURE, hash_eight=_hash_eight, hash_five=_hash_five)
