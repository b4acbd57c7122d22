# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""What models of compressors have in common that work through content chunk by chunk.

klauspost/compress at levels 1 to 6, and Go's compress/flate at level 1, take up to 65,535 bytes of content, decide
on all their tokens, and write a block or two. No match goes over a chunk's end. A chunk in which next to nothing
was found is written as literals. *Parallel* compressors (pgzip) cut the content into segments, too: each is
compressed on its own, with the end of the segment before it as a dictionary.

So these models run open loop: they decide on a chunk's tokens when the first of them is asked for, and say those
that begin where the question is. What really stood there changes nothing of what comes later.

Learned from klauspost/compress 1.18, `flate/deflate.go`, `flate/fast_encoder.go`; klauspost/pgzip 1.2.6, `gzip.go`.

This file is plain Python; `chunks.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import window as window_module
from .model import Model
from .words import Words

if TYPE_CHECKING:
    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

CHUNK = 65535
"""How many bytes of content a compressor takes at once."""

_LITERAL = 0
_LONGEST = 258
_SHORTEST = 3
# Matches reach no farther back.
_REACH = 1 << 15
# Fewer bytes, at a segment's end, are written as literals.
_FEW = 128
_NEVER = 1 << 62
# Tables hold places as numbers of 32 bits, less an origin. Before they grow out of that, the origin is moved.
_MOST = 1 << 30


class Chunks(Model):
    """A model that decides chunk by chunk; `make` decides, which others override.

    Tables hold *marks*: a mark is a place less `origin`. Whatever is no place of this segment has a mark so low
    that it lies out of reach of all places in it: so nothing must be cleared when a segment begins, and a mark
    within reach is a place within the segment or its dictionary, whose bytes are at hand. So it is safe to
    follow marks without checks.

    Attributes:
        segment: how many bytes of content are compressed on their own; 0 for all.
        dictionary: how many bytes before a segment it may refer to.
        member: where the gzip member's content begins.
        chunk_end, segment_end: where the chunk and the segment end that were decided on last.
        history: where the segment's dictionary begins, or the segment itself.
        origin: see above.
        queue: the tokens of the chunk; `queued` of them, all literals after those.
        taken: so many of them begin before `taken_place`.
        done: up to there the tokens of the chunk that is decided on are in the queue.
        tables: what holds marks.
    """

    def __init__(self, window: Window, segment: int, dictionary: int) -> None:
        """Take memory.

        Args:
            window: the content.
            segment: how many bytes of content are compressed on their own; 0 for all.
            dictionary: how many bytes before a segment it may refer to, at most 32768.
        """
        super().__init__(window)
        if segment < 0 or not 0 <= dictionary <= _REACH:
            raise ValueError("no such segments or dictionary")
        self.segment = segment
        self.dictionary = dictionary
        self.kept_queue = Words(CHUNK + 1)
        self.queue = self.kept_queue.base
        self.tables: list[Words] = []
        self.queued = 0
        self.done = 0
        self.taken = 0
        self.taken_place = 0
        self.member = 0
        self.chunk_end = 0
        self.segment_end = 0
        self.history = 0
        self.origin = 0

    def begin(self, place: int) -> int:
        """Forget everything: a gzip member's content begins at `place`."""
        # Marks go on from where they are.
        self.origin += place - self.chunk_end
        self.place = place
        self.member = place
        self.chunk_end = place
        self.segment_end = place
        self.queued = 0
        self.taken = 0
        self.taken_place = place
        return 0

    def predict(self) -> int:
        """Return the token that the compressor would write at `place`; never one that goes over the limit."""
        while self.place >= self.chunk_end:
            if not self.next_chunk():
                return _LITERAL
        place = self.place
        length = 0
        while self.taken_place <= place and self.taken < self.queued:
            token: int = self.queue[self.taken]
            length = 1 if token == _LITERAL else token >> 15
            if self.taken_place + length > place:
                if self.taken_place == place:
                    return token
                # The compressor did something else; most likely the rest of this match is right.
                length -= place - self.taken_place
                return _LITERAL if length < _SHORTEST else (length << 15) | (token & (_REACH - 1))
            self.taken_place += length
            self.taken += 1
        return _LITERAL

    def next_chunk(self) -> int:
        """Decide on the next chunk's tokens; return 0 where there is none."""
        window = self.window
        begin = self.chunk_end
        end = min(window.end, window.limit)
        if begin >= end:
            return 0
        if end < window.limit and end - begin < CHUNK:
            raise ValueError("too little of what comes is at hand")
        if begin == self.segment_end:
            self.begin_segment(begin)
        end = min(end, begin + CHUNK, self.segment_end)
        if begin - self.origin > _MOST:
            self.sweep(begin - self.origin - 2 * _REACH)
        self.decide(begin, end)
        length = end - begin
        if length < _FEW or self.queued > length - (length >> 4):
            self.queued = 0
        self.chunk_end = end
        return 1

    def begin_segment(self, place: int) -> int:
        """Begin with a segment: only its dictionary is known of what was before it."""
        used = place - self.origin
        if used > _MOST:
            self.sweep(used)
            used = 0
        self.segment_end = place + self.segment if self.segment else _NEVER
        self.history = max(self.member, place - self.dictionary)
        # All marks before this one are out of reach.
        self.origin = self.history - used - 2 * _REACH
        if self.history < place:
            # Compressors go through the dictionary as through a chunk, and throw the tokens away.
            self.decide(self.history, place)
        return 0

    def decide(self, begin: int, end: int) -> int:
        """Fill the queue with the tokens of a chunk."""
        window = self.window
        self.queued = 0
        self.taken = 0
        self.taken_place = begin
        # Nothing before this can be reached, whatever the segment's length.
        first = max(self.history, begin - _REACH)
        if first < window.start or end > window.end:
            raise ValueError("too little of what was is at hand")
        self.steps += end - begin
        return self.make(first - window.start, begin - window.start, end - window.start, window.start - self.origin)

    def make(self, first: int, begin: int, end: int, cur: int) -> int:
        """Decide on a chunk: put tokens into the queue, and enter places into the tables.

        Args:
            first: the first byte of the window's `base` that may be looked at.
            begin: where in `base` the chunk begins.
            end: where it ends.
            cur: what to add to an index into `base` to get its mark.
        """
        return 0

    def put_literals(self, place: int) -> int:
        """Put literals up to a place into the queue."""
        count = place - self.done
        queue = self.queue
        for number in range(self.queued, self.queued + count):
            queue[number] = _LITERAL
        self.queued += count
        self.done = place
        return 0

    def put_match(self, length: int, distance: int, cut: int) -> int:
        """Put a match into the queue, in several tokens if it is too long for one.

        Args:
            length: how long it is.
            distance: how far before it the same bytes are.
            cut: to which length it is cut then; more than three bytes are left for the next token.
        """
        self.done += length
        while length > 0:
            part = length
            if part > _LONGEST:
                part = cut if part > cut + _SHORTEST else _LONGEST - _SHORTEST
            length -= part
            self.queue[self.queued] = (part << 15) | (distance - 1)
            self.queued += 1
        return 0

    def sweep(self, count: int) -> int:
        """Move the origin by `count`: lower all marks, and those below to 0."""
        for table in self.tables:
            self.lower(table, count)
        self.origin += count
        return 0

    def lower(self, table: Words, count: int) -> int:
        """Lower a table's marks."""
        marks = table.base
        for number in range(table.count):
            mark = marks[number]
            marks[number] = mark - count if mark > count else 0
        return 0


# Compiled, these are C of the same meaning: see chunks.pxd.


def _load_eight(data: bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")


def _load_four(data: bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _low_four(eight: int) -> int:
    return eight & 0xFFFFFFFF


PURE = {
    "load_eight": _load_eight,
    "load_four": _load_four,
    "low_four": _low_four,
    "same_bytes": window_module._same_bytes,
}
"""What those who are not compiled use in place of that C."""
