# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Content expressed as what it shares with older content, and what it does not.

It is a row of covers, each a stretch that stands in the older content, too, or nearly so. Between them is what
stands nowhere: extra bytes. All in streams:

- moves: for each cover, where it begins in the older content, less where the cover before it ended there; as a
  number that is doubled, or where it is less than zero, doubled without its sign, less one.
- gaps: how many extra bytes come before it.
- lengths: how long it is.
- zeros, runs: for the bytes of all covers, one after the other: how many are the same in both contents, then how
  many are not, and so on; the same ones at the end don't count.
- differences: of each of the bytes that are not the same the new one less the old one. In a run of them what goes
  below zero is borrowed from the next one, as with numbers whose lowest byte comes first: addresses in programs
  differ by the same number often. The first bytes of the runs may be one stream, the second ones another, and all
  others a third; or all are one.
- extra: the extra bytes; those after the last cover, too.
- programs: pairs of programs (`programs`), in whose covers addresses are predicted before bytes are compared. It
  may be absent.

A number has seven bits in a byte, the lowest first; all bytes but the last have their highest bit set.

The idea is bsdiff's and HDiffPatch's. This file is plain Python; `patch.pxd` has the types with which Cython
compiles it. Either way it does the same.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING

from .addresses import BLOCK
from .covers import SHORTEST, Covers
from .malformed import MalformedError
from .programs import MOST_COVERS, PairReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

MOVES, GAPS, LENGTHS, ZEROS, RUNS, EXTRA, DIFFERENCES = range(7)
"""The streams, by their numbers; one of differences or three, and after them that of programs, if there is one."""

_FEW = 1024
_PIECE = 1 << 20
_SINK = 1 << 16


def most_covers(size: int) -> int:
    """Return how many covers content of so many bytes may have."""
    return size // SHORTEST + _FEW


class Contents:
    """Files, one after the other, as one row of bytes that is read by place. Open until they are closed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open them.

        Raises:
            OSError: they can't be opened.
        """
        self._descriptors: list[int] = []
        self.lengths: list[int] = []
        self.begins: list[int] = []
        self.length = 0
        try:
            for path in paths:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._descriptors.append(descriptor)
                self.begins.append(self.length)
                length = os.fstat(descriptor).st_size
                self.lengths.append(length)
                self.length += length
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Contents:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def number(self, place: int) -> int:
        """Return which file a place is in."""
        return bisect_right(self.begins, place) - 1

    def read_into(self, place: int, view: memoryview) -> None:
        """Fill a view with the bytes from a place on; all must be there.

        Raises:
            MalformedError: they are not.
        """
        at = 0
        for descriptor, begin, length in zip(self._descriptors, self.begins, self.lengths, strict=True):
            while at < len(view) and begin <= place < begin + length:
                found = os.preadv(descriptor, [view[at : at + begin + length - place]], place - begin)
                if not found:
                    raise MalformedError("older content became shorter")
                at += found
                place += found
        if at < len(view):
            raise MalformedError("a place outside of the older content")

    def read(self, place: int, count: int) -> bytes:
        """Return so many bytes from a place on.

        Raises:
            MalformedError: they are not there.
        """
        found = bytearray(count)
        self.read_into(place, memoryview(found))
        return bytes(found)


class Sink:
    """A stream that is written: numbers and bytes.

    Attributes:
        length: how many bytes there are, once flushed.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Begin.

        Args:
            write: takes the bytes, piece by piece.
        """
        self.write = write
        self.pending = bytearray(_SINK)
        self.base = self.pending
        self.used = 0
        self.length = 0

    def put(self, byte: int) -> int:
        """Write a byte."""
        if self.used == _SINK:
            self.flush()
        self.base[self.used] = byte
        self.used += 1
        return 0

    def put_number(self, number: int) -> int:
        """Write a number."""
        while number > 127:
            self.put((number & 127) | 128)
            number >>= 7
        self.put(number)
        return 0

    def flush(self) -> int:
        """Give away what is pending."""
        self.write(bytes(self.pending[0 : self.used]))
        self.length += self.used
        self.used = 0
        return 0


class PatchWriter:
    """Covers that are written, in the order of the new content."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        """Begin.

        Args:
            sinks: MOVES, GAPS, LENGTHS, ZEROS, RUNS; then those for the differences' first, second, and other
                bytes, and for all of them. (EXTRA and programs are not written here.)
        """
        self.moves = sinks[MOVES]
        self.gaps = sinks[GAPS]
        self.lengths = sinks[LENGTHS]
        self.zeros = sinks[ZEROS]
        self.runs = sinks[RUNS]
        self.firsts = sinks[EXTRA]
        self.seconds = sinks[EXTRA + 1]
        self.others = sinks[EXTRA + 2]
        self.all = sinks[EXTRA + 3]
        self.old_place = 0
        self.new_place = 0
        self.equal = 0
        self.run = 0
        self.borrow = 0

    def cover(self, old: int, new: int, length: int) -> int:
        """Write a cover: where it begins in the older and in the new content, and how long it is, in bytes."""
        move = old - self.old_place
        self.moves.put_number(2 * move if move >= 0 else -2 * move - 1)
        self.gaps.put_number(new - self.new_place)
        self.lengths.put_number(length)
        self.old_place = old + length
        self.new_place = new + length
        return 0

    def compare(self, old: bytes, new: bytes) -> int:
        """Write how the next bytes of covers differ: the older ones and the new ones, as many of both."""
        if len(old) != len(new):
            raise ValueError("not as many")
        place = 0
        size = len(new)
        old_base = old
        new_base = new
        while place < size:
            if self.run == 0:
                same = same_start(old_base, new_base, place, size)  # type: ignore[name-defined]  # noqa: F821
                self.equal += same
                place += same
                if place == size:
                    break
                self.borrow = 0
            elif old_base[place] == new_base[place]:
                self.end_run()
                continue
            difference = new_base[place] - old_base[place] - self.borrow
            self.borrow = 1 if difference < 0 else 0
            difference &= 255
            self.all.put(difference)
            if self.run == 0:
                self.firsts.put(difference)
            elif self.run == 1:
                self.seconds.put(difference)
            else:
                self.others.put(difference)
            self.run += 1
            place += 1
        return 0

    def end_run(self) -> int:
        """Write a run of bytes that differ, which has ended, and the same ones before it."""
        if self.run:
            self.zeros.put_number(self.equal)
            self.runs.put_number(self.run)
            self.equal = 0
            self.run = 0
        return 0

    def finish(self) -> int:
        """Write what is left."""
        self.end_run()
        for sink in (
            self.moves,
            self.gaps,
            self.lengths,
            self.zeros,
            self.runs,
            self.firsts,
            self.seconds,
            self.others,
            self.all,
        ):
            sink.flush()
        return 0


class Source:
    """A stream of numbers and bytes that is read; of hostile origin."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        """Begin.

        Args:
            read: returns the next bytes, and none at the end.
        """
        self.read = read
        self.chunk = b""
        self.data = self.chunk
        self.size = 0
        self.place = 0

    def fill(self) -> int:
        """Take the next piece; return how long it is, 0 at the end."""
        self.chunk = self.read()
        self.data = self.chunk
        self.size = len(self.chunk)
        self.place = 0
        return self.size

    def has_more(self) -> int:
        """Return whether there are more bytes."""
        if self.place < self.size:
            return 1
        return 1 if self.fill() else 0

    def next(self) -> int:
        """Read a byte."""
        if self.place == self.size and self.fill() == 0:
            raise MalformedError("a stream ends too early")
        byte = self.data[self.place]
        self.place += 1
        return byte

    def next_number(self) -> int:
        """Read a number; of less than 56 bits."""
        number = 0
        shift = 0
        while True:
            byte = self.next()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 49:
                raise MalformedError("a number that is too large")


class Patcher:
    """Content that is made of older content and a patch, piece by piece."""

    def __init__(self, reads: Sequence[Callable[[], bytes]], old: Contents, size: int) -> None:
        """Begin.

        Args:
            reads: for each stream, by its number, what returns its next bytes, and none at its end. One of
                differences or three, with programs or without.
            old: the older content.
            size: how long the content is, in bytes.
        """
        sources = [Source(read) for read in reads]
        self.programs = sources.pop() if len(sources) % 2 == 0 else Source(bytes)
        self.moves = sources[MOVES]
        self.gaps = sources[GAPS]
        self.lengths = sources[LENGTHS]
        self.zeros = sources[ZEROS]
        self.runs = sources[RUNS]
        self.extra = sources[EXTRA]
        # One of differences is all three.
        self.firsts = sources[DIFFERENCES]
        self.seconds = sources[(len(sources) + DIFFERENCES) // 2]
        self.others = sources[len(sources) - 1]
        self.old = old
        self.old_length = old.length
        self.old_place = 0
        self.size = size
        # The cover that was read last: where it begins, how long it is; where it ends in the older content; and how
        # many bytes come after it in the new one.
        self.read_old = 0
        self.read_new = 0
        self.read_length = 0
        self.read_end = 0
        self.read_left = size
        # Pairs of programs; where in the content something is to be done about them; covers that were read ahead,
        # and how many of these are done with; and, while a cover lies in a pair, its bytes with addresses
        # predicted, and how many of those are done with.
        self.pairs = PairReader(self.programs, old, size)
        self.turn = self.pairs.turn
        self.ahead = Covers()
        self.done = 0
        self.carries = False
        self.carried = b""
        self.carried_at = 0
        # What is left of: the content, extra bytes before the cover, the cover; bytes that are the same, a run of
        # others; covers that may come.
        self.left = size
        self.gap = 0
        self.length = 0
        self.equal = 0
        self.run = 0
        self.index = 0
        self.carry = 0
        self.covers = most_covers(size)
        self.pending = bytearray(min(size, _PIECE))
        self.view = memoryview(self.pending)
        self.base = self.pending

    def step(self) -> bytes:
        """Make the next bytes, up to 1 MiB; none when all are made.

        Raises:
            MalformedError: patch and older content don't make content of that size.
        """
        room = min(self.left, _PIECE)
        if room == 0:
            self.finish()
            return b""
        at = 0
        while at < room:
            if self.gap == 0 and self.length == 0:
                self.next_cover()
            if self.gap:
                count = min(self.gap, room - at)
                self.copy_extra(at, count)
                self.gap -= count
            else:
                count = min(self.length, room - at)
                if self.carries:
                    count = self.copy_carried(at, count)
                else:
                    self.old.read_into(self.old_place, self.view[at : at + count])
                self.old_place += count
                self.length -= count
                self.change(at, count)
            at += count
            self.left -= count
        return bytes(self.pending[0:room])

    def next_cover(self) -> int:
        """Take the next cover; or where there is none, what is left as extra bytes."""
        if self.done < len(self.ahead):
            self.read_old = self.ahead.olds[self.done]
            self.read_new = self.ahead.news[self.done]
            self.read_length = self.ahead.lengths[self.done]
            self.done += 1
        elif self.read_cover() == 0:
            self.gap = self.left
            return 0
        old = self.read_old
        new = self.read_new
        length = self.read_length
        if new >= self.turn:
            if self.pairs.reaches(new):
                self.read_ahead(old, new, length)
            self.turn = self.pairs.turn
        self.old_place = old
        self.gap = new - (self.size - self.left)
        self.length = length
        self.carries = self.pairs.has(old, new, length)
        self.carried = b""
        self.carried_at = 0
        return 0

    def read_cover(self) -> int:
        """Read a cover; return whether there is one."""
        if not self.moves.has_more():
            return 0
        if self.covers == 0:
            raise MalformedError("more covers than there can be")
        self.covers -= 1
        move = self.moves.next_number()
        self.read_old = self.read_end + (-(move >> 1) - 1 if move & 1 else move >> 1)
        gap = self.gaps.next_number()
        length = self.lengths.next_number()
        if length == 0 or gap > self.read_left or length > self.read_left - gap:
            raise MalformedError("a cover outside of the content")
        if self.read_old < 0 or self.read_old > self.old_length or length > self.old_length - self.read_old:
            raise MalformedError("a cover outside of the older content")
        self.read_new = self.size - self.read_left + gap
        self.read_length = length
        self.read_left -= gap + length
        self.read_end = self.read_old + length
        return 1

    def read_ahead(self, old: int, new: int, length: int) -> int:
        """Read all covers of a pair, of which this is the first one, and one more: they say what went where."""
        ahead = Covers()
        ahead.append(old, new, length)
        while self.read_cover():
            ahead.append(self.read_old, self.read_new, self.read_length)
            if self.read_new >= self.pairs.end:
                break
            if len(ahead) > MOST_COVERS:
                raise MalformedError("a program with more covers than there can be")
        self.pairs.enter(ahead)
        self.ahead = ahead
        self.done = 1
        return 0

    def copy_carried(self, at: int, count: int) -> int:
        """Take up to so many bytes of a cover, with addresses predicted; return how many."""
        if self.carried_at == len(self.carried):
            self.carried = self.pairs.read(self.old_place, self.size - self.left, min(self.length, BLOCK))
            self.carried_at = 0
        count = min(count, len(self.carried) - self.carried_at)
        self.pending[at : at + count] = self.carried[self.carried_at : self.carried_at + count]
        self.carried_at += count
        return count

    def copy_extra(self, at: int, count: int) -> int:
        """Take so many extra bytes."""
        source = self.extra
        while count:
            if source.place == source.size and source.fill() == 0:
                raise MalformedError("a stream ends too early")
            piece = min(count, source.size - source.place)
            self.pending[at : at + piece] = source.chunk[source.place : source.place + piece]
            source.place += piece
            at += piece
            count -= piece
        return 0

    def change(self, at: int, count: int) -> int:
        """Change bytes of older content, which are pending, to new ones."""
        out = self.base
        end = at + count
        while at < end:
            if self.run == 0 and self.equal == 0:
                if not self.zeros.has_more():
                    return 0
                self.equal = self.zeros.next_number()
                self.run = self.runs.next_number()
                self.index = 0
                self.carry = 0
                if self.run == 0:
                    raise MalformedError("a run of no bytes")
            if self.equal:
                piece = min(self.equal, end - at)
                self.equal -= piece
                at += piece
                continue
            if self.index == 0:
                byte = self.firsts.next()
            elif self.index == 1:
                byte = self.seconds.next()
            else:
                byte = self.others.next()
            self.index += 1
            byte += out[at] + self.carry
            self.carry = byte >> 8
            out[at] = byte & 255
            at += 1
            self.run -= 1
        return 0

    def finish(self) -> int:
        """See that nothing is left over."""
        if self.gap or self.length or self.run or self.equal:
            raise MalformedError("a patch of which something is left over")
        for source in (
            self.moves,
            self.gaps,
            self.lengths,
            self.zeros,
            self.runs,
            self.extra,
            self.firsts,
            self.seconds,
            self.others,
            self.programs,
        ):
            if source.has_more():
                raise MalformedError("a patch of which something is left over")
        return 0


def apply(reads: Sequence[Callable[[], bytes]], old: Contents, size: int) -> Iterator[bytes]:
    """Make content of older content and a patch, of hostile origin.

    Args:
        reads: for each stream of the patch, by its number, what returns its next bytes, and none at its end: see
            `Patcher`.
        old: the older content.
        size: how long the content is, in bytes.

    Yields:
        The content, in pieces of 1 MiB at most.

    Raises:
        MalformedError: it does not become content of that size, or something is left over.
    """
    patcher = Patcher(reads, old, size)
    while piece := patcher.step():
        yield piece


def _same_start(old: bytes, new: bytes, place: int, size: int) -> int:
    if old[place:size] == new[place:size]:
        return size - place
    found = place
    while old[found] == new[found]:
        found += 1
    return found - place


if not COMPILED:
    # Compiled, it is C of the same meaning, eight bytes at a time: see patch.pxd.
    globals()["same_start"] = _same_start
