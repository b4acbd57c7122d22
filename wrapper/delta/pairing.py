"""Which programs became which others, so that predicting addresses in them is worth while: found at the sender."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from .addresses import BLOCK, unequal
from .covers import Covers
from .programs import MOST_COVERS, Carrier, Pair, Program, read_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .members import Parts
    from .patch import Contents

# What a pair has to bring, in bytes that don't differ any more.
_LEAST_GAIN = 64


def find_pairs(new: Contents, old: Contents, parts: Sequence[Parts], covers: Covers) -> list[Pair]:
    """Find programs for which it is worth while to predict addresses.

    Args:
        new: the new content, one file.
        old: the older contents.
        parts: what the new content consists of; then for each of the older ones, with its places in all of them.
        covers: what they share, in order.

    Returns:
        Them, in the order of the new content.
    """
    news = _programs(new, parts[0])
    olds = [program for each in parts[1:] for program in _programs(old, each)]
    begins = [each.begin for each in olds]
    found = []
    for program in news:
        around = covers.within(program.begin, program.end)
        if len(around) == 1 and around.news[0] + around.lengths[0] >= program.end:
            # It is the same, or nearly so.
            continue
        share = [0] * len(olds)
        for old_place, _, length in around:
            number = bisect_right(begins, old_place) - 1
            if number >= 0 and old_place < olds[number].end:
                share[number] += length
        most = max(share, default=0)
        if not most:
            continue
        twin = olds[share.index(most)]
        if twin.machine == program.machine and len(twin.segments) == len(program.segments):
            pair = Pair(program, twin)
            own = cut(around, [pair])
            if len(own) <= MOST_COVERS and _gain(pair, new, old, own) >= _LEAST_GAIN:
                found.append(pair)
    return found


def _programs(content: Contents, parts: Parts) -> list[Program]:
    found = (read_program(content.read, each.data, each.size) for each in parts.members)
    return [each for each in found if each]


def _gain(pair: Pair, new: Contents, old: Contents, covers: Covers) -> int:
    """Return how many bytes fewer differ where addresses are predicted."""
    carrier = Carrier(pair, old, covers)
    gain = 0
    for old_place, new_place, length in covers:
        if pair.has(old_place, new_place, length):
            for at in range(0, length, BLOCK):
                count = min(BLOCK, length - at)
                now = new.read(new_place + at, count)
                gain += unequal(old.read(old_place + at, count), now)
                gain -= unequal(carrier.read(old_place + at, new_place + at, count), now)
    return gain


def cut(covers: Covers, pairs: Sequence[Pair]) -> Covers:
    """Cut covers where programs begin and end, so that each lies in a pair, or does not."""
    begins = [pair.new.begin for pair in pairs]
    found = Covers()
    for old, new, length in covers:
        places = {0, length}
        for pair in pairs[max(0, bisect_right(begins, new) - 1) : bisect_left(begins, new + length)]:
            bounds = pair.new.begin - new, pair.new.end - new, pair.old.begin - old, pair.old.end - old
            places |= {place for place in bounds if 0 < place < length}
        for begin, end in pairwise(sorted(places)):
            found.append(old + begin, new + begin, end - begin)
    return found


def carried(
    covers: Covers, pairs: Sequence[Pair], old: Contents
) -> Iterator[tuple[tuple[int, int, int], Callable[[int, int, int], bytes]]]:
    """Return covers, each with what reads a stretch of it from the older content, addresses predicted.

    Args:
        covers: covers, cut for the pairs, in order.
        pairs: pairs of programs, in order.
        old: the older contents.
    """

    def as_it_is(place: int, _: int, count: int) -> bytes:
        return old.read(place, count)

    left = list(reversed(pairs))
    carrier = None
    for cover in covers:
        while left and left[-1].new.end <= cover[1]:
            left.pop()
            carrier = None
        inside = left and left[-1].has(*cover)
        if inside and not carrier:
            pair = left[-1]
            carrier = Carrier(pair, old, covers.within(pair.new.begin, pair.new.end))
        yield cover, carrier.read if carrier and inside else as_it_is
