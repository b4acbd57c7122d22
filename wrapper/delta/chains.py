# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see chains.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""Models of the compressors that look for matches along hash chains: zlib, GNU gzip, Go's compress/flate.

At each place where they stop, these compressors enter the next three or four bytes into a hash table, and follow
the chain of earlier places with the same hash, nearest first, as far as their level allows. The *fast* levels take
what they find. The *lazy* ones look at the next place, too, before they take a match: where that has a longer one,
the first byte becomes a literal.

The models run closed loop: they are told what the compressor really did, and go on from there. So a wrong
prediction costs a correction, and then the tables hold what the compressor's hold.

Learned from zlib 1.2.13, `deflate.c`; GNU gzip 1.12, `deflate.c`; Go 1.19, `compress/flate/deflate.go`.

This file is plain Python; `chains.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .model import Model
from .words import Words

if TYPE_CHECKING:
    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""


class Zlib(NamedTuple):
    """What a level of zlib or GNU gzip means (`configuration_table` there)."""

    good: int
    """A match of this length at the place before: only a quarter of the chain is followed."""
    lazy: int
    """Lazy levels: a match of this length is taken at once. Fast ones: a longer one only enters its begin."""
    nice: int
    """A match of this length is good enough: the search ends."""
    chain: int
    """So many earlier places are looked at."""


class Go(NamedTuple):
    """What a level of Go's means (`levels` there). Its `good` is left out: no search begins with such a length."""

    lazy: int
    """Lazy levels: a match of this length is taken at once."""
    nice: int
    """A match of this length is good enough: the search ends."""
    chain: int
    """So many earlier places are looked at."""
    enters: int
    """Fast levels: longer matches enter nothing but their begin. 0: the level is lazy."""


ZLIB_LEVELS = {
    1: Zlib(good=4, lazy=4, nice=8, chain=4),
    2: Zlib(good=4, lazy=5, nice=16, chain=8),
    3: Zlib(good=4, lazy=6, nice=32, chain=32),
    4: Zlib(good=4, lazy=4, nice=16, chain=16),
    5: Zlib(good=8, lazy=16, nice=32, chain=32),
    6: Zlib(good=8, lazy=16, nice=128, chain=128),
    7: Zlib(good=8, lazy=32, nice=128, chain=256),
    8: Zlib(good=32, lazy=128, nice=258, chain=1024),
    9: Zlib(good=32, lazy=258, nice=258, chain=4096),
}
LAST_FAST_ZLIB_LEVEL = 3

GO_LEVELS = {
    2: Go(lazy=0, nice=16, chain=8, enters=5),
    3: Go(lazy=0, nice=32, chain=32, enters=6),
    4: Go(lazy=4, nice=16, chain=16, enters=0),
    5: Go(lazy=16, nice=32, chain=32, enters=0),
    6: Go(lazy=16, nice=128, chain=128, enters=0),
    7: Go(lazy=32, nice=128, chain=256, enters=0),
    8: Go(lazy=128, nice=258, chain=1024, enters=0),
    9: Go(lazy=258, nice=258, chain=4096, enters=0),
}

_LONGEST = 258
_WINDOW = 1 << 15
# So much is moved away at once: compressors hold two windows.
_TWO_WINDOWS = 2 * _WINDOW
# A compressor wants to see so much ahead, or the end.
_LOOK_AHEAD = 262
# zlib and GNU gzip look back so far: MAX_DIST there.
_FARTHEST = _WINDOW - _LOOK_AHEAD
# Beyond this distance they take no match of the shortest length, which is 3; nor does Go, where it is 4.
_TOO_FAR = 4096
_ZLIB_SHORTEST = 3
_GO_SHORTEST = 4
_GO_HASH_BITS = 17
_GO_HASH_FACTOR = 0x1E35A7BD
# Farther than any match reaches: links of chains are kept as distances, in 16 bits.
_NOWHERE = 0xFFFF
_WORD = 0xFFFFFFFF
# Places in hash tables have 32 bits. Old ones are made "nowhere" before they seem to be new ones.
_SWEEP = 1 << 30
_FAR_AWAY = 1 << 62
# Shorter segments would be all dictionary.
_SHORTEST_SEGMENT = 1 << 12
# So much after the content's end GNU gzip may compare.
_BEYOND = _LONGEST + 2


class Chains(Model):
    """What models of hash-chain compressors have in common.

    A segment is what a parallel compressor gives to one of its workers: matches don't go over its end, and the
    dictionary, the content before it, is all of the past that the worker knows.

    Matches that were found are kept as tokens; 0 stands for none.

    Attributes:
        is_lazy: whether the next place is looked at before a match is taken.
        enters: fast levels: a longer match enters nothing but its begin into the tables.
        first: where the compressor's first window began; nothing before it exists for the compressor.
        stop: where the segment ends.
        turn: the place where `predict` has more to do than to predict.
        heads: for each hash the last place that has it, its low 32 bits.
        links: for each place, modulo the window's size, how far before it the last one with the same hash is.
        is_ready: whether `decided` is the prediction at `place`.
        is_visited: whether `place` has been entered into the tables, and `best` was found there.
        is_next_visited: the same for the next place, and `next_best`.
    """

    def __init__(self, window: Window, segment: int, dictionary: int, hash_bits: int) -> None:
        """Take memory; `begin` comes before anything else.

        Args:
            window: the content.
            segment: how many bytes of content are compressed for themselves; 0 for all.
            dictionary: how many bytes before a segment are known in it.
            hash_bits: the logarithm of how many hashes there are.

        Raises:
            ValueError: a number that no compressor uses.
        """
        if segment and segment < _SHORTEST_SEGMENT:
            raise ValueError("a segment that is too small")
        if segment < 0 or not 0 <= dictionary <= _WINDOW:
            raise ValueError("a dictionary that no compressor uses")
        super().__init__(window)
        self.segment = segment
        self.dictionary = dictionary
        self.hash_count = 1 << hash_bits
        self.kept_heads = Words(self.hash_count)
        self.link_memory = bytearray(2 * _WINDOW)
        # Pointers where this is compiled: what indexes them is always masked.
        self.heads = self.kept_heads.base
        self.links = half_words(self.link_memory)
        self.is_lazy = False
        self.enters = 0
        self.member = 0
        self.first = 0
        self.stop = 0
        self.turn = 0
        self.decided = 0
        self.best = 0
        self.next_best = 0
        self.is_ready = False
        self.is_visited = False
        self.is_next_visited = False

    def begin(self, place: int) -> int:
        """Forget everything: a gzip member's content begins at `place`."""
        self.place = place
        self.member = place
        self.stop = place
        self.turn = place
        self.is_ready = False
        return 0

    def predict(self) -> int:
        """Return the token that the compressor would write at `place`."""
        if self.is_ready:
            return self.decided
        if self.place >= self.turn:
            self.make_turn()
        place = self.place
        end = self.end()
        self.is_ready = True
        self.is_next_visited = False
        self.next_best = 0
        self.decided = 0
        if place >= end:
            return 0
        if not self.is_visited:
            self.best = self.visit(place, 0, end)
            self.is_visited = True
        self.decided = self.best
        if self.is_lazy and place + 1 < end:
            self.next_best = self.visit(place + 1, self.best, end)
            self.is_next_visited = True
            if self.next_best >> 15 > self.best >> 15:
                self.decided = 0
        return self.decided

    def accept(self, token: int) -> int:
        """Take note that `token` stands at `place`, which moves on."""
        if not self.is_ready:
            self.predict()
        place = self.place
        end = self.end()
        self.is_ready = False
        self.is_visited = False
        if token == 0:
            self.place = place + 1
            if self.is_next_visited:
                self.is_visited = True
                self.best = self.next_best
                if self.decided:
                    # So far only a match that would be better than the one before was looked for.
                    self.best = self.look_again(place + 1, end)
            return 0
        length = min(token >> 15, _LONGEST)
        self.place = place + length
        if self.is_lazy:
            self.enter(place + 2, place + length, end)
        elif length <= self.enters:
            self.enter(place + 1, place + length, end)
        return 0

    def end(self) -> int:
        """Return where the content ends that the compressor may look at, as far as it is at hand."""
        return min(self.stop, self.window.limit, self.window.end)

    def make_turn(self) -> int:
        """Begin a segment, or clean the tables of places that are too old."""
        place = self.place
        if place < self.stop:
            for hashed in range(self.hash_count):
                if ((place - self.heads[hashed]) & _WORD) > _NOWHERE:
                    self.heads[hashed] = (place - _NOWHERE - 1) & _WORD
            self.turn = min(self.stop, place + _SWEEP)
            return 0
        begin = self.member
        self.stop = _FAR_AWAY
        if self.segment:
            begin += (place - begin) // self.segment * self.segment
            self.stop = begin + self.segment
        self.first = max(self.member, begin - self.dictionary, self.window.start)
        self.turn = min(self.stop, place + _SWEEP)
        self.is_visited = False
        for hashed in range(self.hash_count):
            self.heads[hashed] = (self.first - _NOWHERE - 1) & _WORD
        # As much work as so many steps.
        self.steps += self.hash_count // 16 + (place - self.first)
        self.reset()
        self.enter(self.first, place, self.end())
        return 0

    def reset(self) -> int:
        """Begin a window at `first`."""
        return 0

    def enter(self, place: int, stop: int, end: int) -> int:
        """Enter the places from `place` up to before `stop` into the tables, except the very last before `end`."""
        raise NotImplementedError

    def visit(self, place: int, previous: int, end: int) -> int:
        """Enter a place, and look for a match.

        Args:
            place: where; it lies before `end`.
            previous: the match at the place before, where that is still a candidate, or 0.
            end: where the content ends.

        Returns:
            The match; none that is not longer than the one before.
        """
        raise NotImplementedError

    def look_again(self, place: int, end: int) -> int:
        """Look for a match at a place that was visited, now whatever was found before it."""
        raise NotImplementedError


class ZlibChains(Chains):
    """zlib's levels 1 to 9."""

    def __init__(
        self, window: Window, level: int, memory_level: int = 8, segment: int = 0, dictionary: int = _WINDOW
    ) -> None:
        """Take memory; `begin` comes before anything else.

        Args:
            window: the content.
            level: 1 to 9.
            memory_level: 1 to 9, zlib's `memLevel`; hashes depend on it.
            segment: how many bytes of content are compressed for themselves; 0 for all.
            dictionary: how many bytes before a segment are known in it.

        Raises:
            ValueError: a number that no compressor uses.
        """
        if level not in ZLIB_LEVELS or not 1 <= memory_level <= 9:
            raise ValueError("a level that there is not")
        super().__init__(window, segment, dictionary, memory_level + 7)
        parameters = ZLIB_LEVELS[level]
        self.good = parameters.good
        self.lazy = parameters.lazy
        self.nice = parameters.nice
        self.chain = parameters.chain
        self.is_lazy = level > LAST_FAST_ZLIB_LEVEL
        self.enters = parameters.lazy
        self.mask = self.hash_count - 1
        self.shift = (memory_level + 7 + 2) // 3

    def enter(self, place: int, stop: int, end: int) -> int:
        """Enter places into the tables."""
        stop = min(stop, end - _ZLIB_SHORTEST + 1)
        if place >= stop or place < self.window.start:
            return 0
        data, heads, links = self.window.base, self.heads, self.links
        shift, mask = self.shift, self.mask
        behind = self.window.start
        hashed = (data[place - behind] << shift) ^ data[place - behind + 1]
        while place < stop:
            # Three shifts, and a byte has left.
            hashed = ((hashed << shift) ^ data[place - behind + 2]) & mask
            gap = (place - heads[hashed]) & _WORD
            heads[hashed] = place & _WORD
            links[place & (_WINDOW - 1)] = min(gap, _NOWHERE)
            place += 1
        return 0

    def visit(self, place: int, previous: int, end: int) -> int:
        """Enter a place, and look for a match."""
        if end - place < _ZLIB_SHORTEST:
            return 0
        self.enter(place, place + 1, end)
        return self.search(place, previous, end)

    def look_again(self, place: int, end: int) -> int:
        """Look for a match at a place that was visited."""
        if end - place < _ZLIB_SHORTEST:
            return 0
        return self.search(place, 0, end)

    def search(self, place: int, previous: int, end: int) -> int:
        """Look for a match at a place that was entered, longer than the one before."""
        most = min(end - place, _LONGEST)
        length = previous >> 15
        if length >= most or (self.is_lazy and length >= self.lazy):
            return 0
        start = self.window.start
        return self.follow(self.window.base, place - start, start, place, length, min(self.nice, most), most)

    def follow(self, data: bytearray, here: int, start: int, place: int, length: int, nice: int, most: int) -> int:
        """Follow a chain.

        Args:
            data: content.
            here: where in it the place is.
            start: the first place that is in it.
            place: the place.
            length: a match must be longer, and than 2.
            nice: from that length on a match ends the search.
            most: matches are compared so far; as much content follows.

        Returns:
            The best match, or 0.
        """
        links = self.links
        # The window's first byte is never matched: its place, 0, means "none" to zlib.
        limit = min(place - self.first, place - start + 1)
        distance: int = links[place & (_WINDOW - 1)]
        if distance > _FARTHEST or distance >= limit:
            return 0
        # Only the first place of a chain may be as far away as that.
        limit = min(limit, _FARTHEST)
        allowed = self.chain
        if length >= self.good:
            allowed >>= 2
        tries = allowed
        longest = max(length, _ZLIB_SHORTEST - 1)
        found = 0
        # The last byte by which a match must be longer, and the one before it.
        last = load_16(data, here + longest - 1)
        while True:
            tries -= 1
            candidate = here - distance
            if load_16(data, candidate + longest - 1) == last:
                same = same_bytes(data, candidate, here, most)
                if same > longest:
                    longest = same
                    found = distance
                    if same >= nice:
                        break
                    last = load_16(data, here + longest - 1)
            distance += links[(place - distance) & (_WINDOW - 1)]
            if distance >= limit or tries == 0:
                break
        self.steps += allowed - tries
        return self.taken(longest, found)

    def taken(self, length: int, distance: int) -> int:
        """Return a match as a token, or 0 where the compressor wants none so short and far."""
        if distance == 0 or length < _ZLIB_SHORTEST:
            return 0
        if self.is_lazy and length == _ZLIB_SHORTEST and distance > _TOO_FAR:
            return 0
        return length << 15 | (distance - 1)


class GnuChains(ZlibChains):
    """GNU gzip's levels 1 to 9: as zlib's, but for what happens where the content ends.

    There it compares more than is left. What follows in its memory are two zeros, then what the window held before;
    a match that goes on there longer than others is taken, and cut. And near the window's end, when nothing more
    can be read, it does not look for matches any more.

    Attributes:
        base: where its window begins now.
        is_all_read: whether it has read to the end.
        tail: the last of the content, and what follows in its memory.
        tail_start: the place where that begins.
        tail_end: the place where the content in it ends.
    """

    def __init__(self, window: Window, level: int, segment: int = 0, dictionary: int = _WINDOW) -> None:
        """Take memory; `begin` comes before anything else.

        Args:
            window: the content.
            level: 1 to 9.
            segment: how many bytes of content are compressed for themselves; 0 for all.
            dictionary: how many bytes before a segment are known in it.

        Raises:
            ValueError: a number that no compressor uses.
        """
        super().__init__(window, level, 8, segment, dictionary)
        self.base = 0
        self.is_all_read = False
        self.tail_memory = bytearray(_WINDOW + _LOOK_AHEAD + _BEYOND)
        # A pointer where this is compiled.
        self.tail = self.tail_memory
        self.tail_start = 0
        self.tail_end = 0

    def reset(self) -> int:
        """Begin a window at `first`."""
        self.base = self.first
        self.is_all_read = False
        return 0

    def visit(self, place: int, previous: int, end: int) -> int:
        """Enter a place, and look for a match."""
        while not self.is_all_read and min(self.base + _TWO_WINDOWS, end) - place < _LOOK_AHEAD:
            self.read(place, end)
        return ZlibChains.visit(self, place, previous, end)

    def read(self, place: int, end: int) -> int:
        """Do as it does when too little is ahead: move the window if its end is near, and read as much as fits."""
        seen = min(self.base + _TWO_WINDOWS, end)
        if place - self.base >= _TWO_WINDOWS - _LOOK_AHEAD:
            self.base += _WINDOW
        if min(self.base + _TWO_WINDOWS, end) == seen:
            self.is_all_read = True
            self.keep_tail(end)
        return 0

    def keep_tail(self, end: int) -> int:
        """Keep the last of the content, and put after it what stands in the compressor's memory there."""
        data, tail, start = self.window.base, self.tail, self.window.start
        self.tail_start = max(self.first, start, end - _WINDOW - _LOOK_AHEAD)
        self.tail_end = end
        kept = end - self.tail_start
        for offset in range(kept):
            tail[offset] = data[self.tail_start - start + offset]
        for offset in range(kept, kept + _BEYOND):
            # Each half of the memory was written again only if the window was moved before.
            base = self.base if self.tail_start + offset - self.base >= _WINDOW else self.base - _WINDOW
            if offset >= kept + 2 and base > self.first and offset >= _WINDOW:
                tail[offset] = tail[offset - _WINDOW]
            else:
                tail[offset] = 0
        return 0

    def search(self, place: int, previous: int, end: int) -> int:
        """Look for a match at a place that was entered, longer than the one before."""
        if place - self.base > _TWO_WINDOWS - _LOOK_AHEAD:
            return 0
        if end - place >= _LONGEST or not self.is_all_read or end != self.tail_end:
            return ZlibChains.search(self, place, previous, end)
        length = previous >> 15
        if length >= _LONGEST or (self.is_lazy and length >= self.lazy):
            return 0
        here = place - self.tail_start
        match = self.follow(self.tail, here, self.tail_start, place, length, self.nice, _LONGEST)
        return self.taken(min(match >> 15, end - place), (match & (_WINDOW - 1)) + 1) if match else 0


class GoChains(Chains):
    """Go's levels 2 to 9, up to Go 1.26.

    Attributes:
        base: where its window begins now: it holds two times 32 KiB, and moves by half of that. Just after that it
            can't look back 32 KiB.
    """

    def __init__(self, window: Window, level: int, segment: int = 0, dictionary: int = _WINDOW) -> None:
        """Take memory; `begin` comes before anything else.

        Args:
            window: the content.
            level: 2 to 9.
            segment: how many bytes of content are compressed for themselves; 0 for all.
            dictionary: how many bytes before a segment are known in it.

        Raises:
            ValueError: a number that no compressor uses.
        """
        if level not in GO_LEVELS:
            raise ValueError("a level that there is not")
        super().__init__(window, segment, dictionary, _GO_HASH_BITS)
        parameters = GO_LEVELS[level]
        self.lazy = parameters.lazy
        self.nice = parameters.nice
        self.chain = parameters.chain
        self.enters = parameters.enters
        self.is_lazy = parameters.enters == 0
        self.base = 0

    def reset(self) -> int:
        """Begin a window at `first`."""
        self.base = self.first
        return 0

    def enter(self, place: int, stop: int, end: int) -> int:
        """Enter places into the tables."""
        stop = min(stop, end - _GO_SHORTEST + 1)
        if place < self.window.start:
            return 0
        data, heads, links = self.window.base, self.heads, self.links
        behind = self.window.start
        while place < stop:
            word = load_32_big(data, place - behind)
            hashed = ((word * _GO_HASH_FACTOR) & _WORD) >> (32 - _GO_HASH_BITS)
            gap = (place - heads[hashed]) & _WORD
            heads[hashed] = place & _WORD
            links[place & (_WINDOW - 1)] = min(gap, _NOWHERE)
            place += 1
        return 0

    def visit(self, place: int, previous: int, end: int) -> int:
        """Enter a place, and look for a match."""
        if place - self.base > _TWO_WINDOWS - _LOOK_AHEAD and end > self.base + _TWO_WINDOWS:
            self.base += _WINDOW
        if end - place < _GO_SHORTEST:
            return 0
        self.enter(place, place + 1, end)
        return self.search(place, previous, end)

    def look_again(self, place: int, end: int) -> int:
        """Look for a match at a place that was visited."""
        if end - place < _GO_SHORTEST:
            return 0
        return self.search(place, 0, end)

    def search(self, place: int, previous: int, end: int) -> int:
        """Look for a match at a place that was entered; it need not be longer than the one before."""
        most = min(end - place, _LONGEST)
        length = previous >> 15
        if self.is_lazy and (length >= self.lazy or length >= most):
            return 0
        data, links = self.window.base, self.links
        here = place - self.window.start
        limit = min(_WINDOW, place - self.base, here)
        distance: int = links[place & (_WINDOW - 1)]
        if distance > limit:
            return 0
        nice = min(self.nice, most)
        tries = self.chain
        longest = _GO_SHORTEST - 1
        found = 0
        # The last byte by which a match must be longer, and the three before it.
        last = load_32_big(data, here + longest - 3)
        while True:
            tries -= 1
            if load_32_big(data, here - distance + longest - 3) == last:
                same = same_bytes(data, here - distance, here, most)
                if same > longest and (same > _GO_SHORTEST or distance <= _TOO_FAR):
                    longest = same
                    found = distance
                    if same >= nice:
                        break
                    last = load_32_big(data, here + longest - 3)
            # What is a whole window away has no link any more: the place itself has taken it.
            if tries == 0 or distance == _WINDOW:
                break
            distance += links[(place - distance) & (_WINDOW - 1)]
            if distance > limit:
                break
        self.steps += self.chain - tries
        return longest << 15 | (found - 1) if found else 0


def _load_16(data: bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "little")


def _load_32_big(data: bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "big")


if not COMPILED:
    # Compiled, it is C of the same meaning: see chains.pxd.
    from . import window as _window

    globals().update(
        half_words=lambda memory: memoryview(memory).cast("H"),
        load_16=_load_16,
        load_32_big=_load_32_big,
        same_bytes=_window.__dict__["same_bytes"],
    )
