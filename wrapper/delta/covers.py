"""Covers: stretches of new content that stand in older content, too, or nearly so."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 8
"""How long covers are on average at least, in bytes: shorter ones would only cost time."""


class Covers:
    """Covers: where each begins in the older and in the new content, and how long it is; few bytes for each."""

    def __init__(self) -> None:
        """Begin without any."""
        self.olds = array("q")
        self.news = array("q")
        self.lengths = array("q")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.news)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Return them: older place, new place, length."""
        return zip(self.olds, self.news, self.lengths, strict=True)

    def add(self, old: int, new: int, length: int) -> None:
        """Add one; where it goes on what was added last, they are one."""
        if self.news:
            last = self.lengths[-1]
            if self.news[-1] + last == new and self.olds[-1] + last == old:
                self.lengths[-1] += length
                return
        self.append(old, new, length)

    def append(self, old: int, new: int, length: int) -> None:
        """Add one that stays one by itself."""
        self.olds.append(old)
        self.news.append(new)
        self.lengths.append(length)

    def within(self, begin: int, end: int) -> Covers:
        """Return those of ordered covers that lie at least partly within a stretch of the new content."""
        first = max(0, bisect_right(self.news, begin) - 1)
        last = bisect_left(self.news, end)
        found = Covers()
        found.olds, found.news, found.lengths = (
            self.olds[first:last],
            self.news[first:last],
            self.lengths[first:last],
        )
        return found

    def ordered(self) -> Covers:
        """Return them in the order of the new content, those that go on each other as one."""
        found = Covers()
        for place in sorted(range(len(self)), key=self.news.__getitem__):
            found.add(self.olds[place], self.news[place], self.lengths[place])
        return found

    def without_short_ones(self) -> Covers:
        """Return them without those that are not worth it."""
        found = Covers()
        for old, new, length in self:
            if length >= SHORTEST:
                found.add(old, new, length)
        return found

    def gaps(self, size: int) -> list[tuple[int, int]]:
        """Return what ordered covers leave over of so many bytes: from where to before where."""
        found = []
        done = 0
        for _, new, length in self:
            if new > done:
                found.append((done, new))
            done = new + length
        if size > done:
            found.append((done, size))
        return found
