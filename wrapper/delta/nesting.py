"""Which streams inside of contents are opened, and how they are closed again: found at the sender.

Streams are looked for in zips (jars, wheels), gzip files and PNG images, wherever these stand. Those that stand in
the new content and in older ones alike stay as they are. The others are opened in the older contents; in the new
one where a model predicts their compressor's decisions well enough. `openings` says what becomes of them.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from bisect import bisect_left, bisect_right
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from .choice import Beginning, choose
from .malformed import MalformedError
from .members import MOST_MEMBERS, Member, Parts, read_parts
from .openings import MOST_LEVELS, MOST_RECIPES, SHORTEST, Level, View, inflated, open_content
from .pieces import Pieces, joined
from .recipe import analyse
from .varint import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .models import Name
    from .recipe import Analysis

_ZIP, _GZIP, _PNG = b"PK\x03\x04", b"\x1f\x8b\x08", b"IDAT"
_IMAGE = b"\x89PNG"
# What a zip's entry begins with (PKWARE's APPNOTE, 4.3.7), from its version on.
_ENTRY = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED, _LENGTHS_FOLLOW = 1, 8
_STORED, _DEFLATED = 0, 8
# Of a gzip member (RFC 1952): flags, and how long its fixed header and its trailer are.
_CHECKED, _EXTRA, _NAMED, _COMMENTED, _RESERVED = 2, 4, 8, 16, 0xE0
_GZIP_HEADER, _GZIP_TRAILER = 10, 8
_LONGEST_NAME = 1 << 12
# What of a stream's length its recipe may take, and what all of it may that are opened in vain.
_PRICE, _WASTE = 8, 50
# What there must be to open, in bytes: a recipe takes some itself.
_LEAST = 2048
# Streams of one kind have so many compressors at most; which, so many of the longest ones may tell.
_COMPRESSORS, _LONGEST = 2, 2
# How many times as long as a content all that its streams hold may be, and so many bytes more; and how much is read
# and decompressed of what turns out to be none. Each that only looks like one counts for something.
_TIMES, _AND = 4, 64 << 20
_VAIN_TIMES, _VAIN_AND, _MISS = 2, 256 << 20, 64
# Zips that are stored in zips, and how long their names are together.
_DEPTH = 8
# What a stream that is known takes of memory, in bytes.
_EACH = 2048
# How much content tells whether a model is worth it, in bytes; and what part of the streams it has to close.
_SAMPLE, _SHARE = 8 << 20, 10


class Stream(NamedTuple):
    """A file inside of a member.

    Attributes:
        name: its name.
        begin: where its headers begin.
        place: where it begins.
        size: how long it is, in bytes.
        length: how long what it holds is, in bytes; 0 where that is itself.
        kind: what it stands in.
        digest: the SHA-256 of it.
    """

    name: bytes
    begin: int
    place: int
    size: int
    length: int
    kind: bytes
    digest: bytes

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.place + self.size


class Content(NamedTuple):
    """A content that may be opened.

    Attributes:
        path: the file with it.
        parts: what it consists of.
        searched: where streams may be that were not looked for: from where to before where.
    """

    path: Path
    parts: Parts
    searched: list[tuple[int, int]]


class OpenedLevel(NamedTuple):
    """A level of streams that were opened.

    Attributes:
        level: how long contents and recipes are.
        old_gaps: for each older content, the numbers that say where its streams are.
        new_gaps: those of the new content's.
        recipes: how these are closed.
        streams: how many those are.
    """

    level: Level
    old_gaps: tuple[list[int], ...]
    new_gaps: list[int]
    recipes: list[bytes]
    streams: int

    def only(self, used: Sequence[int]) -> OpenedLevel:
        """Return it without the older contents that are not used."""
        sizes = tuple(self.level.old_sizes[number] for number in used)
        return self._replace(
            level=self.level._replace(old_sizes=sizes), old_gaps=tuple(self.old_gaps[number] for number in used)
        )

    def numbers(self) -> bytes:
        """Return the numbers that say where."""
        step = 2 if len(self.recipes) > 1 else 1
        found = []
        for gaps in self.old_gaps:
            found += [len(gaps), *gaps]
        found += [len(self.new_gaps) // step, *self.new_gaps]
        return b"".join(map(encode, found))


def whole(path: Path) -> Content:
    """Return a content of which nothing was opened."""
    with View(path) as view:
        return Content(path, read_parts(view.read, view.size), [(0, view.size)])


def open_streams(
    new: Content, olds: Sequence[Content], out: Path, memory: int
) -> Iterator[tuple[OpenedLevel, list[Content]]]:
    """Open streams inside of contents, as often as that brings something.

    Args:
        new: the new content.
        olds: the older ones.
        out: what the names of files begin with that are written: for the caller to remove.
        memory: how much may be taken, in bytes.

    Yields:
        Each level, and the contents as they are then: the new one, and the older ones.

    Raises:
        OSError: a file can't be read or written.
    """
    contents = [new, *olds]
    recipes = 0
    for number in range(MOST_LEVELS):
        opened = _open_level(
            contents, out.with_name(f"{out.name}.opened{number}"), MOST_RECIPES - recipes, memory // _EACH
        )
        if opened is None:
            return
        contents = opened[1]
        recipes += len(opened[0].recipes)
        yield opened


def _open_level(
    contents: Sequence[Content], out: Path, recipes: int, most: int
) -> tuple[OpenedLevel, list[Content]] | None:
    found: list[list[Stream]] = []
    for content in contents:
        found.append(_find(content))
        most -= len(found[-1])
        if most < 0 or sum(stream.size for stream in found[0] if stream.length) < _LEAST:
            return None
    digests = {stream.digest for stream in chain(*found[1:])}
    fresh = [stream for stream in found[0] if stream.length and stream.digest not in digests]
    if sum(stream.size for stream in fresh) < _LEAST:
        return None
    groups = _groups(contents[0].path, fresh, recipes)
    if not groups:
        return None
    digests = {stream.digest for stream in found[0]}
    numbers = {stream.place: number for number, group in enumerate(groups) for stream in group.streams}
    opened = [[stream for stream in found[0] if stream.place in numbers]]
    opened += [
        [stream for stream in streams if stream.length and stream.digest not in digests] for streams in found[1:]
    ]
    done = []
    gaps = []
    for number, (content, streams, own) in enumerate(zip(contents, found, opened, strict=True)):
        gaps.append(_gaps(own))
        done.append(_opened(content, streams, own, out.with_name(f"{out.name}.{number}")))
    sizes = [content.parts.rest.end for content in done]
    new_gaps = gaps[0]
    if len(groups) > 1:
        new_gaps = list(chain(*zip(gaps[0], (numbers[stream.place] for stream in opened[0]), strict=True)))
    packed = [group.analysis.recipe for group in groups]
    level = Level(tuple(sizes[1:]), sizes[0], tuple(map(len, packed)))
    return OpenedLevel(level, tuple(gaps[1:]), new_gaps, packed, len(opened[0])), done


def _gaps(streams: Sequence[Stream]) -> list[int]:
    ends = [0, *(stream.end for stream in streams)]
    return [stream.place - end for stream, end in zip(streams, ends, strict=False)]


def _opened(content: Content, streams: Sequence[Stream], opened: Sequence[Stream], out: Path) -> Content:
    """Write a content with some of its streams opened; say what it consists of then."""
    size = content.parts.rest.end + sum(stream.length - stream.size for stream in opened)
    if opened:
        open_content(content.path, _gaps(opened), out, size)
    places = [stream.place for stream in opened]
    shifts = [0]
    for stream in opened:
        shifts.append(shifts[-1] + stream.length - stream.size)

    def moved(place: int) -> int:
        return place + shifts[bisect_left(places, place)]

    begins = [stream.begin for stream in streams]
    members = [*content.parts.members, content.parts.rest]
    if len(members) + 2 * len(streams) <= MOST_MEMBERS:
        members = [
            part
            for member in members
            for part in _split(member, streams[bisect_left(begins, member.data) : bisect_left(begins, member.end)])
        ]
    members = [
        member._replace(
            begin=moved(member.begin),
            data=moved(member.data),
            size=moved(member.data + member.size) - moved(member.data),
            end=moved(member.end),
        )
        for member in members
    ]
    path = out if opened else content.path
    searched = [(moved(stream.place), moved(stream.end)) for stream in opened]
    return Content(path, Parts(members[:-1], members[-1]), searched)


def _split(member: Member, streams: Sequence[Stream]) -> Iterator[Member]:
    """Return what a member consists of: what stands before its streams, they themselves, what comes after them."""
    if not streams:
        yield member
        return
    first = streams[0].begin
    yield member._replace(size=first - member.data, end=first)
    done = first
    for number, stream in enumerate(streams):
        if stream.begin - done > SHORTEST:
            yield Member(b"%b!%d-" % (member.name, number), done, done, stream.begin - done, stream.begin)
            done = stream.begin
        name = b"%b!%b" % (member.name, stream.name or b"%d" % number)
        yield Member(name, done, stream.place, stream.size, stream.end)
        done = stream.end
    yield Member(member.name + b"!", done, done, max(0, member.data + member.size - done), member.end)


class _Group(NamedTuple):
    """Streams that one recipe closes."""

    streams: list[Stream]
    analysis: Analysis

    @property
    def size(self) -> int:
        """How long they are, in bytes."""
        return sum(stream.size for stream in self.streams)


def _groups(content: Path, streams: Sequence[Stream], most: int) -> list[_Group]:
    """Put streams together that were made by one compressor, as far as it is known."""
    found: list[_Group] = []
    with View(content) as view:
        for kind in (_ZIP, _GZIP, _PNG):
            left = [stream for stream in streams if stream.kind == kind]
            for _ in range(_COMPRESSORS):
                if len(found) == most or sum(stream.size for stream in left) < _LEAST:
                    break
                group = _group(view, left)
                if not group:
                    break
                found.append(group)
                places = {stream.place for stream in group.streams}
                left = [stream for stream in left if stream.place not in places]
    return found


def _group(view: View, streams: list[Stream]) -> _Group | None:
    """Return those of the streams that one compressor made; of all, or of one of the longest."""
    longest = sorted(streams, key=lambda stream: -stream.length)[:_LONGEST]
    found = None
    names = set()
    for sample in (streams, *([stream] for stream in longest)):
        name = choose(Beginning(_wrapped(view, sample)))
        if name in names:
            continue
        names.add(name)
        try:
            if not _is_worth_it(view, streams, name):
                continue
            group = _closed_by(view, streams, name)
        except MalformedError:
            # One that only zlib can read, or whose recipe would be too long.
            continue
        if found is None or group.size > found.size:
            found = group
        if 2 * group.size > sum(stream.size for stream in streams):
            break
    return found if found and found.size >= _LEAST else None


def _is_worth_it(view: View, streams: list[Stream], name: Name) -> bool:
    """Say, by some of the streams, whether a model predicts enough of them."""
    step = -(-sum(stream.length for stream in streams) // _SAMPLE)
    some = streams[::step]
    return len(some) == len(streams) or _SHARE * _closed_by(view, some, name).size >= sum(
        each.size for each in some
    )


def _closed_by(view: View, streams: list[Stream], name: Name) -> _Group:
    """Return those of the streams that a model predicts well."""
    analysis = _analyse(view, streams, name)
    costs = [price - before for before, price in zip([0, *analysis.prices], analysis.prices, strict=False)]
    good = [stream for stream, cost in zip(streams, costs, strict=True) if cost * _PRICE <= stream.size]
    wasted = sum(cost for stream, cost in zip(streams, costs, strict=True) if cost * _PRICE > stream.size)
    if not good or wasted * _WASTE <= sum(stream.size for stream in good):
        return _Group(streams if good else good, analysis)
    return _Group(good, _analyse(view, good, name))


def _analyse(view: View, streams: Sequence[Stream], name: Name) -> Analysis:
    size = sum(stream.size for stream in streams)
    return analyse(_wrapped(view, streams), bound=max(1 << 16, size // 2), names=[name], bare=True)


def _wrapped(view: View, streams: Sequence[Stream]) -> Callable[[int], bytes]:
    """Return what reads deflate streams as members of a gzip stream, of which only they count."""
    around = _GZIP_HEADER + _GZIP_TRAILER
    # Each stream by itself would be short.
    return Pieces(joined(_members(view, streams), sum(stream.size + around for stream in streams))).take


def _members(view: View, streams: Sequence[Stream]) -> Iterator[bytes]:
    for stream in streams:
        yield _GZIP + bytes(_GZIP_HEADER - len(_GZIP))
        yield from view.stretch(stream.place, stream.end)
        yield bytes(_GZIP_TRAILER)


def _find(content: Content) -> list[Stream]:
    """Return the streams of a content, in order."""
    found: list[Stream] = []
    begins = [member.data for member in [*content.parts.members, content.parts.rest]]
    with View(content.path) as view:
        finder = _Finder(view, _TIMES * view.size + _AND, _VAIN_TIMES * view.size + _VAIN_AND)
        for begin, end in content.searched:
            for stream in finder.all(begin, end):
                if _lies_in(content.parts, begins, stream):
                    found.append(stream)
                if len(found) == MOST_MEMBERS:
                    return found
    return found


def _lies_in(parts: Parts, begins: Sequence[int], stream: Stream) -> bool:
    number = bisect_right(begins, stream.begin) - 1
    member = parts.members[number] if 0 <= number < len(parts.members) else parts.rest
    return member.data <= stream.begin and stream.end <= member.data + member.size


class _Finder:
    """Looks for streams in a content, stretch by stretch."""

    def __init__(self, view: View, room: int, vain: int) -> None:
        self._view = view
        self._room = room
        self._vain = vain
        self._begin = self._end = 0
        # Zips that are stored in others: their names, and where they end.
        self._outer: list[tuple[int, bytes]] = []

    def all(self, begin: int, end: int) -> Iterator[Stream]:
        """Return those between two places, in order, as long as not too much was looked at in vain."""
        self._begin, self._end = begin, end
        self._outer.clear()
        readers: dict[bytes, Callable[[int], Stream | None]] = {
            _ZIP: self._in_zip,
            _GZIP: self._in_gzip,
            _PNG: self._in_image,
        }
        at = begin
        nexts = dict.fromkeys(readers, -2)
        while self._vain > 0:
            for kind, place in nexts.items():
                if place != -1 and place < at:
                    nexts[kind] = self._view.find(kind, at, self._end)
            hits = [(place, kind) for kind, place in nexts.items() if place >= 0]
            if not hits:
                return
            place, kind = min(hits)
            stream = readers[kind](place)
            if stream:
                yield stream
                self._room -= stream.length
            else:
                self._vain -= _MISS
            at = stream.end if stream else place + 1

    def _in_zip(self, begin: int) -> Stream | None:
        header = self._view.read(begin, _ENTRY.size)
        if begin + len(header) > self._end or len(header) < _ENTRY.size:
            return None
        _, _, flags, method, _, _, _, size, length, name_size, extra = _ENTRY.unpack(header)
        place = begin + _ENTRY.size + name_size + extra
        if flags & _ENCRYPTED or name_size > _LONGEST_NAME or place >= self._end:
            return None
        own = self._view.read(begin + _ENTRY.size, name_size)
        if method == _DEFLATED:
            return self._deflated(own, begin, place, _ZIP)
        if method != _STORED or flags & _LENGTHS_FOLLOW or size != length or not size or place + size > self._end:
            return None
        if self._view.read(place, 4).startswith((_ZIP, _GZIP, _IMAGE)):
            # There are streams in it.
            self._leave(begin)
            if len(self._outer) < _DEPTH:
                self._outer.append((place + size, own))
            return None
        return Stream(self._name(own, begin), begin, place, size, 0, _ZIP, self._digest(place, size))

    def _leave(self, begin: int) -> None:
        while self._outer and self._outer[-1][0] <= begin:
            self._outer.pop()

    def _name(self, own: bytes, begin: int) -> bytes:
        self._leave(begin)
        name = b"!".join([*(outer for _, outer in self._outer), own])
        return name if len(name) <= _LONGEST_NAME else hashlib.sha256(name).digest()

    def _in_gzip(self, begin: int) -> Stream | None:
        header = self._view.read(begin, min(_GZIP_HEADER + _LONGEST_NAME, self._end - begin))
        if len(header) < _GZIP_HEADER or header[3] & _RESERVED:
            return None
        at = _GZIP_HEADER
        if header[3] & _EXTRA:
            at += 2 + int.from_bytes(header[at : at + 2], "little")
        for flag in (_NAMED, _COMMENTED):
            if header[3] & flag:
                at = header.find(b"\0", at) + 1
                if not at:
                    return None
        if header[3] & _CHECKED:
            at += 2
        # What only looks like one has no such check sum.
        return self._deflated(b"", begin, begin + at, _GZIP)

    def _in_image(self, begin: int) -> Stream | None:
        # A chunk has its length first (PNG, 5.3); the stream begins after two bytes (RFC 1950, 2.2).
        header = self._view.read(begin + len(_PNG), 2)
        if begin - 4 < self._begin or len(header) < 2 or header[0] & 15 != 8 or int.from_bytes(header, "big") % 31:
            return None
        return self._deflated(b"", begin, begin + len(_PNG) + 2, _PNG)

    def _deflated(self, name: bytes, begin: int, place: int, kind: bytes) -> Stream | None:
        """Return a deflate stream, if it is one that can be opened."""
        if place >= self._end:
            return None
        length, end, check = 0, place, 0
        is_one = False
        try:
            for data, end in inflated(self._view, place, self._end):  # noqa: B007 - the last one counts
                length += len(data)
                check = zlib.crc32(data, check)
                if length > min(self._room, self._vain):
                    break
            else:
                is_one = True
        except MalformedError:
            pass
        size = end - place
        if is_one and kind == _GZIP:
            trailer = struct.pack("<II", check, length & 0xFFFFFFFF)
            is_one = self._view.read(end, len(trailer)) == trailer
        if not is_one or size < SHORTEST or length <= size:
            self._vain -= size + length
            return None
        return Stream(self._name(name, begin), begin, place, size, length, kind, self._digest(place, size))

    def _digest(self, place: int, size: int) -> bytes:
        sha256 = hashlib.sha256()
        for data in self._view.stretch(place, place + size):
            sha256.update(data)
        return sha256.digest()
