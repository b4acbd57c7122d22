"""Programs among the members of a tar that became others, so that addresses in them can be predicted (`addresses`).

In a patch a pair of programs is so many numbers, one after the other:

- how many bytes stand between the pair before it, or the content's beginning, and the new program, and how long
  that is;
- where the older one begins in the older contents, less where that of the pair before it ended; and how long it is;
- for each segment of the older program that is loaded, in the order of its program headers: where the new one's
  lies in the file, what its address is, how long it is there, and how long in memory; each less what the older
  segment has.

Numbers that may be less than zero are doubled, or where they are, doubled without their sign, less one. All are as
in `patch`. The older segments are read from the older program itself (ELF: System V ABI, chapters 4 and 5).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from .addresses import AARCH64, LEAD, MOST_SEGMENTS, X86_64, Addresses
from .covers import Covers
from .malformed import MalformedError
from .varint import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    Segment = tuple[int, int, int, int]

MOST_COVERS = 1 << 18
"""How many covers a pair may have: they are kept in memory."""

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_MAGIC = b"\x7fELF\x02\x01"
_LOADED = 1
_MOST_HEADERS = 256
_MOST_SIZE, _MOST_NUMBER = 1 << 32, 1 << 48


if TYPE_CHECKING:

    class Source(Protocol):
        """A stream of numbers."""

        def has_more(self) -> int:
            """Return whether there are more bytes."""

        def next_number(self) -> int:
            """Read a number."""

    class Readable(Protocol):
        """Older contents."""

        length: int

        def read(self, place: int, count: int) -> bytes:
            """Return so many bytes from a place on."""


class Program(NamedTuple):
    """A program.

    Attributes:
        begin: where it begins in the content.
        size: how long it is, in bytes.
        machine: what it is for: X86_64 or AARCH64.
        segments: those that are loaded: for each where it lies in the file, its address, how long it is there, and
            how long in memory, in bytes.
    """

    begin: int
    size: int
    machine: int
    segments: tuple[Segment, ...]

    @property
    def end(self) -> int:
        """Where it ends in the content."""
        return self.begin + self.size


class Pair(NamedTuple):
    """A program and the older one that it was, both for the same machine and with as many segments."""

    new: Program
    old: Program

    def has(self, old: int, new: int, length: int) -> bool:
        """Say whether a cover lies in both."""
        return (
            self.new.begin <= new
            and new + length <= self.new.end
            and self.old.begin <= old
            and old + length <= self.old.end
        )


def read_program(read: Callable[[int, int], bytes], begin: int, size: int) -> Program | None:
    """Read what addresses a program has.

    Args:
        read: returns so many bytes (the second) from a place (the first) on.
        begin: the place where it begins.
        size: how long it is, in bytes.

    Returns:
        That; or None where it is no program, or one that nothing is predicted for.
    """
    if not _HEADER.size < size < _MOST_SIZE:
        return None
    ident, _, machine, _, _, place, _, _, _, each, count, *_ = _HEADER.unpack(read(begin, _HEADER.size))
    if not ident.startswith(_MAGIC) or machine not in (X86_64, AARCH64):
        return None
    if each != _SEGMENT.size or count > _MOST_HEADERS or place > size - count * each:
        return None
    loaded = []
    for kind, _, offset, address, _, length, memory, _ in _SEGMENT.iter_unpack(read(begin + place, count * each)):
        if kind == _LOADED:
            loaded.append((offset, address, length, memory))
    if not 0 < len(loaded) <= MOST_SEGMENTS or not all(map(_is_possible, loaded)):
        return None
    return Program(begin, size, machine, tuple(loaded))


def _is_possible(segment: Sequence[int]) -> bool:
    offset, _, length, memory = segment
    return (
        min(segment) >= 0 and max(segment) < _MOST_NUMBER and offset < _MOST_SIZE and length <= memory < _MOST_SIZE
    )


class Carrier:
    """Stretches of an older program, with the addresses that they should have in the new one."""

    def __init__(self, pair: Pair, old: Readable, covers: Covers) -> None:
        """Begin.

        Args:
            pair: the programs.
            old: the older contents.
            covers: what both share, in the order of the new content; others may be among them.
        """
        self.pair = pair
        self._old = old
        inside = Covers()
        for old_place, new_place, length in covers:
            if pair.has(old_place, new_place, length):
                inside.append(old_place - pair.old.begin, new_place - pair.new.begin, length)
        self._addresses = Addresses(pair.new.machine, pair.old.segments, pair.new.segments, inside)

    def read(self, old: int, new: int, length: int) -> bytes:
        """Return such a stretch.

        Args:
            old: where it begins in the older contents.
            new: where it begins in the new one.
            length: how long it is, in bytes: BLOCK at most.

        Raises:
            MalformedError: the older contents became shorter.
        """
        place = old - self.pair.old.begin
        lead = min(LEAD, place)
        data = self._old.read(old - lead, lead + length)
        return self._addresses.carry(data, lead, place, new - self.pair.new.begin)


def write_pairs(pairs: Sequence[Pair]) -> bytes:
    """Return pairs as the numbers of a stream."""
    numbers = []
    old_end = new_end = 0
    for new, old in pairs:
        numbers += [new.begin - new_end, new.size, _signed(old.begin - old_end), old.size]
        for fresh, former in zip(new.segments, old.segments, strict=True):
            numbers += [_signed(a - b) for a, b in zip(fresh, former, strict=True)]
        new_end, old_end = new.end, old.end
    return b"".join(map(encode, numbers))


def _signed(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1


class PairReader:
    """Pairs that are read from a stream, of hostile origin, while content is made.

    Attributes:
        turn: from where on, in the new content, `reaches` is to be asked.
        end: where the pair ends that was reached.
    """

    def __init__(self, numbers: Source, old: Readable, size: int) -> None:
        """Begin.

        Args:
            numbers: the stream.
            old: the older contents.
            size: how long the new content is, in bytes.
        """
        self._numbers = numbers
        self._old = old
        self._size = size
        self._new_end = self._old_end = 0
        self._pair: Pair | None = None
        self._carrier: Carrier | None = None
        self.turn = self.end = 0

    def reaches(self, place: int) -> bool:
        """Go on to the pair that a place in the new content is in, or that comes after it; say whether it is in it.

        Raises:
            MalformedError: there can be no such pair.
        """
        self._carrier = None
        while self._pair is None or self._pair.new.end <= place:
            self._pair = self._next()
            if self._pair is None:
                self.turn = self._size + 1
                return False
        self.turn, self.end = self._pair.new.begin, self._pair.new.end
        return place >= self.turn

    def enter(self, covers: Covers) -> None:
        """Take the covers of the pair that was reached, in the order of the new content, perhaps with others."""
        if self._pair:
            self._carrier = Carrier(self._pair, self._old, covers)
            self.turn = self.end

    def has(self, old: int, new: int, length: int) -> bool:
        """Say whether a cover lies in the pair that was entered."""
        return self._carrier is not None and self._carrier.pair.has(old, new, length)

    def read(self, old: int, new: int, length: int) -> bytes:
        """Return a stretch of the pair that was entered: see `Carrier.read`."""
        return self._carrier.read(old, new, length) if self._carrier else b""

    def _next(self) -> Pair | None:
        if not self._numbers.has_more():
            return None
        begin = self._new_end + self._numbers.next_number()
        size = self._numbers.next_number()
        old_begin = self._old_end + self._signed()
        old_size = self._numbers.next_number()
        if begin + size > self._size or not 0 <= old_begin <= old_begin + old_size <= self._old.length:
            raise MalformedError("a program outside of the content")
        old = read_program(self._old.read, old_begin, old_size)
        if old is None or not size < _MOST_SIZE:
            raise MalformedError("an older program that is none")
        segments = []
        for offset, address, length, memory in old.segments:
            shifts = [self._signed() for _ in range(4)]
            segments.append((offset + shifts[0], address + shifts[1], length + shifts[2], memory + shifts[3]))
        if not all(map(_is_possible, segments)):
            raise MalformedError("a program with a segment that is impossible")
        self._new_end, self._old_end = begin + size, old_begin + old_size
        return Pair(Program(begin, size, old.machine, tuple(segments)), old)

    def _signed(self) -> int:
        number = self._numbers.next_number()
        return -(number >> 1) - 1 if number & 1 else number >> 1
