"""What new content shares with older content: found at the sender.

- Members of tars that are the same, of equal SHA-256, are covers, with their headers; these may differ in a date.
- Where much is left, what is the same for long is found wherever it stands: in files that moved, in tars within
  tars, in what is no tar at all.
- What is left then is compared, in batches that memory has room for, with what belongs to it: the older member of
  the same path, or of the same or a similar name; of large members the corresponding stretch. HDiffPatch does that,
  or more quickly a search for equal blocks.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from .blocks import BlockTable, common_end, common_start
from .covers import Covers
from .malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .members import Member, Parts
    from .patch import Contents

_READ = 1 << 20
_MAGIC = b"HDIFF13&"
# How many numbers it has at its head.
_SIZES = 11
# What HDiffPatch takes, in times the older bytes (measured: 5.2, with these), and the new ones; with its result.
_TIMES_OLD, _TIMES_NEW = 6, 3
# What a batch of the quick search takes.
_QUICK_TIMES_OLD, _QUICK_TIMES_NEW = 5, 3
_BASE = 48 << 20
_LEAST_BATCH, _MOST_BATCH = 1 << 20, 256 << 20
# So much of what is left makes it worth while to look for what is the same for long first.
_MUCH = 64 << 20
_LEAST_BLOCK = 256
# So much that belongs to nothing makes it worth while, too.
_STRANGE = 256 << 10
_QUICK_BLOCK, _QUICK_LEAST = 16, 24
# A header with more bytes changed than that has a name of its own, and is better compared as text.
_MOST_CHANGED = 48
# What comes after a tar's last member is more only where it is odd, or no tar at all: in bytes.
_ODD = 64 << 10
_MOST_SKIPPED = 1 << 12
# Letters and digits that change from release to release: numbers, and hexadecimal ones of some length.
_VERSION = re.compile(rb"[0-9a-f]{8,}|[0-9]+")


class Search(NamedTuple):
    """How covers are searched for.

    Attributes:
        quick: whether only equal blocks are searched for.
        memory: how much may be taken, in bytes.
        threads: how many may run.
        tell: is told which part is done, from 0 to 1.
        batch: how much new content is compared at once at most, in bytes, if memory allows it.
    """

    quick: bool
    memory: int
    threads: int
    tell: Callable[[float], None]
    batch: int = _MOST_BATCH


class _Task(NamedTuple):
    """A stretch of new content that is to be compared with stretches of older content."""

    begin: int
    end: int
    olds: list[tuple[int, int]]


def find_covers(new: Contents, old: Contents, parts: Sequence[Parts], search: Search) -> Covers:
    """Find what new content shares with older content.

    Args:
        new: the new content, one file.
        old: the older contents.
        parts: what the new content consists of; then for each of the older ones, with its places in all of them.
        search: how.

    Returns:
        Covers in the order of the new content, which don't overlap there; each is SHORTEST bytes long at least.

    Raises:
        MalformedError: a content changed meanwhile.
        OSError: a content can't be read.
    """
    if not old.length or not new.length:
        return Covers()
    pairs = _Pairs(new, old, parts)
    covers = pairs.covers.ordered()
    limit = _batch(search)
    left = covers.gaps(new.length)
    if sum(end - begin for begin, end in left) <= _MUCH and all(end - begin <= limit for begin, end in left):
        # It is all compared anyway; but with what?
        left = pairs.strangers()
    if left:
        found = Covers()
        for cover in _long_covers(new, old, left, search.memory // 8):
            found.add(*cover)
            covers.add(*cover)
        pairs.adopt(found)
        covers = covers.ordered()
    batches = _batches(list(_tasks(pairs, covers, limit)), pairs.unused, limit, search.threads)
    # What is being compared at a time is bounded by the threads.
    with ThreadPoolExecutor(search.threads) as pool:
        running = deque(pool.submit(_compare, new, old, batch, search.quick) for batch in batches)
        done, whole = 0, sum(batch.new_length for batch in batches)
        try:
            for batch in batches:
                for cover in running.popleft().result():
                    covers.add(*cover)
                done += batch.new_length
                search.tell(done / whole)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return covers.ordered().without_short_ones()


def _batch(search: Search) -> int:
    """Return how much new content a batch may have, in bytes; of older content it has half as much more."""
    room = (search.memory - search.memory // 8 - _BASE) // search.threads
    times = _QUICK_TIMES_OLD * 1.5 + _QUICK_TIMES_NEW if search.quick else _TIMES_OLD * 1.5 + _TIMES_NEW
    return max(_LEAST_BATCH, min(search.batch, int(room / times)))


class _Pairs:
    """Members of new content, and the older ones that they belong to.

    Attributes:
        covers: of those that are the same, and of headers; not in order.
        changed: the other ones, with the older ones that they may have become of, if any; in order.
        unused: older members that belong to none, in order: from where to before where.
        length: how long the new content is, in bytes.
    """

    def __init__(self, new: Contents, old: Contents, parts: Sequence[Parts]) -> None:
        self._new, self._old = new, old
        self.covers = Covers()
        self.changed: list[tuple[Member, Member | None]] = []
        self.length = new.length
        news, rest = parts[0]
        olds = [member for each in parts[1:] for member in each.members]
        old_rests = [each.rest for each in parts[1:]]
        # A later layer's file is the one that is seen.
        by_name = {member.name: member for member in olds}
        same = self._same(news, olds, by_name)
        used = {member.begin for member in same.values()}
        changed = []
        for member in news:
            equal = same.get(member.begin)
            twin = equal or by_name.get(member.name)
            if twin and twin.name == member.name:
                self._cover_headers(member, twin)
            if equal:
                # With what fills the block.
                self.covers.add(equal.data, member.data, min(member.end - member.data, equal.end - equal.data))
            elif member.size:
                changed.append(member)
        self._pair(changed, olds, by_name, used)
        old_rest = max(old_rests, key=lambda each: each.size)
        if rest.size > _ODD or (rest.size and not news):
            self.changed.append((rest, old_rest if old_rest.size else None))
        self._olds = sorted([*olds, *old_rests], key=lambda each: each.begin)

    def strangers(self) -> list[tuple[int, int]]:
        """Return the stretches of changed members that belong to none, or may to several, if they are worth it."""
        found = [
            (each.data, each.data + each.size)
            for each, twin in self.changed
            if each.size > _ODD and (not twin or not each.name)
        ]
        return found if sum(end - begin for begin, end in found) > _STRANGE else []

    def adopt(self, covers: Covers) -> None:
        """Let members that belong to none belong to the older ones that they share most with."""
        begins = [member.begin for member in self._olds]
        news = [member.data for member, _ in self.changed]
        shares: dict[int, dict[int, int]] = {}
        for old_place, new_place, length in covers:
            number = bisect_right(news, new_place) - 1
            if number >= 0 and self.changed[number][1] is None:
                share = shares.setdefault(number, {})
                place = bisect_right(begins, old_place) - 1
                share[place] = share.get(place, 0) + length
        for number, share in shares.items():
            twin = self._olds[max(share, key=share.__getitem__)]
            self.changed[number] = self.changed[number][0], twin

    def _cover_headers(self, member: Member, twin: Member) -> None:
        """Cover a member's headers by its twin's, if they are alike."""
        length = member.data - member.begin
        if length == twin.data - twin.begin:
            fresh = self._new.read(member.begin, length)
            old = self._old.read(twin.begin, length)
            if fresh == old or sum(a != b for a, b in zip(fresh, old, strict=True)) <= _MOST_CHANGED:
                self.covers.add(twin.begin, member.begin, length)

    def _same(
        self, news: Sequence[Member], olds: Sequence[Member], by_name: Mapping[bytes, Member]
    ) -> dict[int, Member]:
        """Return for new members, by their place, older ones of the same data; of the same name if there is one."""
        sizes = {member.size for member in news} & {member.size for member in olds} - {0}
        by_digest: dict[bytes, Member] = {}
        digests: dict[int, bytes] = {}
        for member in olds:
            if member.size in sizes:
                digests[member.begin] = _digest(self._old, member)
                by_digest[digests[member.begin]] = member
        found = {}
        for member in news:
            if member.size in sizes:
                digest = _digest(self._new, member)
                twin = by_name.get(member.name)
                if twin and digests.get(twin.begin) == digest:
                    found[member.begin] = twin
                elif digest in by_digest:
                    found[member.begin] = by_digest[digest]
        return found

    def _pair(
        self, changed: Sequence[Member], olds: Sequence[Member], by_name: Mapping[bytes, Member], used: set[int]
    ) -> None:
        """Find an older member for each that changed: of the same path, or else one unused of a similar name."""
        taken = used | {by_name[member.name].begin for member in changed if member.name in by_name}
        alike: dict[bytes, list[Member]] = {}
        for member in reversed(olds):
            if member.size and member.begin not in taken:
                for key in _likenesses(member.name):
                    alike.setdefault(key, []).append(member)
        for member in changed:
            twin = by_name.get(member.name)
            if twin is None or not twin.size:
                twin = None
                for key in _likenesses(member.name):
                    candidates = alike.get(key, [])
                    # Those that are taken are so for ever: looked at once, however many names are alike.
                    while candidates and candidates[-1].begin in taken:
                        candidates.pop()
                    if candidates:
                        twin = candidates[-1]
                        break
                if twin:
                    taken.add(twin.begin)
            self.changed.append((member, twin))
        self.unused = [(each.begin, each.end) for each in olds if each.size and each.begin not in taken]


def _likenesses(name: bytes) -> tuple[bytes, ...]:
    """Return what names have in common that are the same but for a folder, or a version; the closest first."""
    folder, _, last = name.rpartition(b"/")
    rest = _VERSION.sub(b"0", last)
    return last, _VERSION.sub(b"0", folder) + b"/" + rest, rest


def _digest(content: Contents, member: Member) -> bytes:
    sha256 = hashlib.sha256()
    for place in range(member.data, member.data + member.size, _READ):
        sha256.update(content.read(place, min(_READ, member.data + member.size - place)))
    return sha256.digest()


def _long_covers(
    new: Contents, old: Contents, stretches: Sequence[tuple[int, int]], memory: int
) -> Iterator[tuple[int, int, int]]:
    """Find what is the same for long, at any place."""
    block = _LEAST_BLOCK
    # Two numbers of 4 bytes in a table that may be four times as long.
    while old.length // block * 32 > memory:
        block *= 2
    table = BlockTable(block, old.length // block)
    for place in range(0, old.length, _READ):
        # A block that ends in the next content does no harm.
        table.add(old.read(place, min(_READ, old.length - place)), place // block)
    least = max(4 * _LEAST_BLOCK, 2 * block)
    misses = 0
    for begin, end in stretches:
        done = at = begin
        while end - at >= least:
            window = min(_READ, end - at)
            data = new.read(at, window)
            hit = table.find(data, 0, window)
            while hit >= 0:
                cover = _extended(new, old, table.number * block, at + hit, block, done, end)
                if cover and cover[2] >= least:
                    yield cover
                    done = cover[1] + cover[2]
                    hit = done - at
                    misses = 0
                else:
                    # Each takes reads. Where there are nothing but such ones, fewer and fewer are looked at.
                    misses += 1
                    hit += 1 + min(misses >> 6, _MOST_SKIPPED)
                hit = table.find(data, hit, window) if hit < window else -1
            # Blocks that begin in this window and end in the next one.
            at = max(done, at + window - block + 1) if at + window < end else end


def _extended(
    new: Contents, old: Contents, old_place: int, place: int, block: int, least: int, most: int
) -> tuple[int, int, int] | None:
    """Return the cover that a block belongs to, or none where it was not the same."""
    step = 4096
    if old_place + block > old.length or old.read(old_place, block) != new.read(place, block):
        return None
    begin, end = place, place + block
    shift = old_place - place
    while count := min(step, begin - least, begin + shift):
        same = common_end(old.read(begin + shift - count, count), new.read(begin - count, count))
        begin -= same
        if same < count:
            break
        step = min(2 * step, _READ)
    step = 4096
    while count := min(step, most - end, old.length - end - shift):
        same = common_start(old.read(end + shift, count), new.read(end, count))
        end += same
        if same < count:
            break
        step = min(2 * step, _READ)
    return begin + shift, begin, end - begin


def _tasks(pairs: _Pairs, covers: Covers, limit: int) -> Iterator[_Task]:
    """Return what no cover has, with what belongs to it; each has a batch's length at most."""
    changed = pairs.changed
    places = [member.data for member, _ in changed]
    for begin, end in covers.gaps(pairs.length):
        at = begin
        while at < end:
            # The member that this is in, or what comes before the next one.
            number = bisect_right(places, at) - 1
            if number >= 0 and at < changed[number][0].data + changed[number][0].size:
                member, twin = changed[number]
                stop = min(end, member.data + member.size)
            else:
                twin = None
                stop = min(end, places[number + 1]) if number + 1 < len(places) else end
            while at < stop:
                last = min(stop, at + limit)
                yield _Task(at, last, [_stretch(member, twin, covers, at, last, limit)] if twin else [])
                at = last


def _stretch(member: Member, twin: Member, covers: Covers, begin: int, end: int, limit: int) -> tuple[int, int]:
    """Return which stretch of the older member corresponds to one of the new member."""
    # Another name's headers may help to compare those of this one.
    low = twin.data if twin.name == member.name else twin.begin
    high = twin.data + twin.size
    if high - low <= limit + limit // 2:
        return low, high
    number = bisect_right(covers.news, begin)
    around = [covers.olds[each] - covers.news[each] for each in (number - 1, number) if 0 <= each < len(covers)]
    shifts = [shift for shift in around if low <= begin + shift < high]
    if not shifts:
        shifts = [low + (begin - member.data) * (high - low) // member.size - begin]
    margin = min(limit // 4, end - begin + (1 << 16))
    first, last = begin + min(shifts) - margin, end + max(shifts) + margin
    if last - first > limit + limit // 2:
        # They lead to places far from each other: what comes before it counts.
        first, last = begin + shifts[0] - margin, end + shifts[0] + margin
    return max(low, first), min(high, last)


class _Batch:
    """Stretches of new and of older content that are compared at once."""

    def __init__(self) -> None:
        self.news: list[tuple[int, int]] = []
        self.olds: list[tuple[int, int]] = []
        self.new_length = 0
        self.old_length = 0
        # How much of it belongs to nothing.
        self.alone = 0

    def add(self, task: _Task) -> None:
        """Add a stretch."""
        self.news.append((task.begin, task.end))
        self.new_length += task.end - task.begin
        if not task.olds:
            self.alone += task.end - task.begin
        for old in task.olds:
            self.add_old(old)

    def has(self, old: tuple[int, int]) -> bool:
        """Say whether a stretch of older content goes on the last one, or lies in it: those of one member do."""
        return bool(self.olds) and self.olds[-1][0] <= old[0] <= self.olds[-1][1]

    def more(self, old: tuple[int, int]) -> int:
        """Return by how much a stretch of older content would make it longer."""
        return max(0, old[1] - self.olds[-1][1]) if self.has(old) else old[1] - old[0]

    def add_old(self, old: tuple[int, int]) -> None:
        """Add a stretch of older content, unless it is there."""
        self.old_length += self.more(old)
        if self.has(old):
            self.olds[-1] = self.olds[-1][0], max(old[1], self.olds[-1][1])
        else:
            self.olds.append(old)


def _batches(tasks: Sequence[_Task], unused: Sequence[tuple[int, int]], limit: int, threads: int) -> list[_Batch]:
    """Put what is to be compared together, as much as memory and threads make sensible."""
    total = sum(task.end - task.begin for task in tasks)
    target = min(limit, max(_LEAST_BATCH, total // (2 * threads)))
    found = [_Batch()]
    for task in tasks:
        last = found[-1]
        length = last.new_length + task.end - task.begin
        more = sum(map(last.more, task.olds))
        # A member's stretches stay together, if memory allows.
        together = any(map(last.has, task.olds))
        full = length > (limit if together else target) or last.old_length + more > limit + limit // 2
        if last.news and full:
            found.append(_Batch())
        found[-1].add(task)
    # What belongs to nothing may have become of what nothing belongs to; what stands near it is tried.
    count = len(found)
    for number, batch in enumerate(found):
        room = min(limit + limit // 2 - batch.old_length, 2 * batch.alone)
        for begin, end in unused[len(unused) * number // count : len(unused) * (number + 1) // count]:
            if end - begin <= room:
                batch.add_old((begin, end))
                room -= end - begin
    return [batch for batch in found if batch.olds]


def _compare(new: Contents, old: Contents, batch: _Batch, quick: bool) -> Covers:
    fresh = b"".join(new.read(begin, end - begin) for begin, end in batch.news)
    older = b"".join(old.read(begin, end - begin) for begin, end in batch.olds)
    found = Covers()
    new_map, old_map = _Map(batch.news), _Map(batch.olds)
    for old_place, new_place, length in _quick_covers(older, fresh) if quick else _best_covers(older, fresh):
        done = 0
        while done < length:
            new_at, new_room = new_map.find(new_place + done)
            old_at, old_room = old_map.find(old_place + done)
            piece = min(length - done, new_room, old_room)
            found.add(old_at, new_at, piece)
            done += piece
    return found


class _Map:
    """Where the bytes of stretches that were put together come from."""

    def __init__(self, stretches: Sequence[tuple[int, int]]) -> None:
        self._stretches = stretches
        self._begins = []
        total = 0
        for begin, end in stretches:
            self._begins.append(total)
            total += end - begin

    def find(self, place: int) -> tuple[int, int]:
        """Return where a byte comes from, and how many follow there."""
        number = bisect_right(self._begins, place) - 1
        begin, end = self._stretches[number]
        at = begin + place - self._begins[number]
        return at, end - at


def _quick_covers(old: bytes, new: bytes) -> list[tuple[int, int, int]]:
    table = BlockTable(_QUICK_BLOCK, len(old) // _QUICK_BLOCK)
    table.add(old, 0)
    return table.covers(old, new, _QUICK_LEAST)


def _best_covers(old: bytes, new: bytes) -> Iterator[tuple[int, int, int]]:
    # Nothing else needs it, and it takes time to load.
    import hdiffpatch

    return read_covers(hdiffpatch.diff(old, new, compression=None, validate=False), len(old), len(new))


def read_covers(diff: bytes, old_size: int, new_size: int) -> Iterator[tuple[int, int, int]]:
    """Return the covers of what HDiffPatch made.

    Args:
        diff: that, uncompressed (HDiffPatch 4, libHDiffPatch/HDiff/diff.cpp, `serialize_compressed_diff`).
        old_size: how long the older content is, in bytes.
        new_size: how long the new one is.

    Raises:
        MalformedError: it is something else.
    """
    place = diff.find(b"\0", 0, 64) + 1
    if not diff.startswith(_MAGIC) or not place:
        raise MalformedError("HDiffPatch made something unknown")
    sizes = []
    for _ in range(_SIZES):
        value, place = _number(diff, place, 7)
        sizes.append(value)
    count, end = sizes[2], place + sizes[3]
    if sizes[:2] != [new_size, old_size] or sizes[4]:
        raise MalformedError("HDiffPatch compared something else")
    old_place = new_place = 0
    for _ in range(count):
        less = place < len(diff) and diff[place] >> 7
        move, place = _number(diff, place, 6)
        gap, place = _number(diff, place, 7)
        length, place = _number(diff, place, 7)
        old_place += -move if less else move
        new_place += gap
        if not 0 <= old_place <= old_size - length or new_place > new_size - length:
            raise MalformedError("HDiffPatch made covers outside of the content")
        yield old_place, new_place, length
        old_place += length
        new_place += length
    if place != end:
        raise MalformedError("HDiffPatch made something else than it says")


def _number(data: bytes, place: int, bits: int) -> tuple[int, int]:
    """Read a number of which the first byte has so many bits, after one that says whether more bytes follow."""
    more = 1 << bits
    value = 0
    mask = more - 1
    while True:
        if place >= len(data):
            raise MalformedError("HDiffPatch's diff ends too early")
        byte = data[place]
        place += 1
        value = value << 7 | byte & mask
        if not byte & more:
            return value, place
        more, mask = 128, 127
