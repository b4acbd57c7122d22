"""The members of a tar, as far as they say which stretches of two contents belong together.

Nothing depends on it that this is right: what is misread costs bytes. So an odd tar is read up to where it is odd,
and the rest is a stretch without members.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512

MOST_MEMBERS = 1 << 18
"""How many members are told apart: each takes memory."""

_MAGIC = slice(257, 262)
_LONGEST_HEADER = 1 << 20
# A member's headers are read at once.
_LONGEST_HEADERS = 1 << 22
# So long is what a record of a POSIX header begins with at most: its own length.
_DIGITS = len(str(_LONGEST_HEADER))
# Types (POSIX.1-2017, ustar Interchange Format, and GNU tar's) of what has no data; of what is about the next one.
_EMPTY = frozenset(b"123456")
_PAX, _GNU_NAME = b"x", b"L"
_EXTENDED = (_PAX, _GNU_NAME, b"K", b"g")


class Member(NamedTuple):
    """A member of a tar.

    Attributes:
        name: its name.
        begin: where its headers begin.
        data: where its data begins.
        size: how long that is, in bytes.
        end: where it ends, with what fills it up.
    """

    name: bytes
    begin: int
    data: int
    size: int
    end: int


class Parts(NamedTuple):
    """What a content consists of.

    Attributes:
        members: its members, in order.
        rest: what comes after them: all of it, if it is no tar.
    """

    members: list[Member]
    rest: Member

    def moved(self, by: int) -> Parts:
        """Return them as they are where the content begins at another place, so many bytes further on."""
        return Parts([_moved(member, by) for member in self.members], _moved(self.rest, by))


def _moved(member: Member, by: int) -> Member:
    return member._replace(begin=member.begin + by, data=member.data + by, end=member.end + by)


def read_parts(read: Callable[[int, int], bytes], size: int) -> Parts:
    """Return what a content consists of.

    Args:
        read: returns so many of its bytes (the second) from a place (the first) on.
        size: how long it is, in bytes.
    """
    found = list(islice(members(read, 0, size), MOST_MEMBERS))
    done = found[-1].end if found else 0
    return Parts(found, Member(b"", done, done, size - done, size))


def members(read: Callable[[int, int], bytes], begin: int, end: int) -> Iterator[Member]:
    """Return the members of a tar.

    Args:
        read: returns so many bytes (the second) from a place (the first) on.
        begin: the place where the tar begins.
        end: the place where it ends.
    """
    place = start = begin
    name = b""
    length = -1
    while place + BLOCK <= end:
        header = read(place, BLOCK)
        size = _number(header[124:136])
        if header[_MAGIC] != b"ustar" or size is None:
            return
        place += BLOCK
        kind = header[156:157]
        if kind in _EXTENDED:
            padded = -(-size // BLOCK) * BLOCK
            if size > _LONGEST_HEADER or place + padded > end:
                return
            if kind == _GNU_NAME:
                name = read(place, size).rstrip(b"\0")
            elif kind == _PAX:
                for key, value in _records(read(place, size)):
                    if key == b"path":
                        name = value
                    elif key == b"size" and value.isdigit() and len(value) < 20:
                        length = int(value)
            place += padded
            if place - start > _LONGEST_HEADERS:
                return
            continue
        if not name:
            name = header[:100].partition(b"\0")[0]
            prefix = header[345:500].partition(b"\0")[0]
            if prefix and header[257:263] == b"ustar\0":
                name = prefix + b"/" + name
        if length >= 0:
            size = length
        size = 0 if kind[0] in _EMPTY else size
        member = Member(name, start, place, size, place + -(-size // BLOCK) * BLOCK)
        if member.end > end:
            return
        yield member
        place = start = member.end
        name = b""
        length = -1


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return keys and values of a POSIX header, up to where it is odd; in a time that its length bounds."""
    place = 0
    while place < len(data):
        digits = data[place : place + _DIGITS + 1].partition(b" ")[0]
        if not digits.isdigit():
            return
        end = place + int(digits)
        key, equals, value = data[place + len(digits) + 1 : max(place, end - 1)].partition(b"=")
        # A record has an end that moves on.
        if not equals or end > len(data):
            return
        yield key, value
        place = end


def _number(field: bytes) -> int | None:
    """Read a number in octal, or as GNU tar writes large ones."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    # Python would read a sign, too: a size below zero leads back to the same members again and again.
    if not digits.isdigit():
        return None
    try:
        return int(digits, 8)
    except ValueError:
        return None
