"""What can be sent side by side: nothing that would be sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator, Sequence

T = TypeVar("T")


def waves(items: Sequence[T], blobs_of: Callable[[T], Collection[Hashable]]) -> Iterator[list[T]]:
    """Group what is to be sent: of those that have a blob in common the first one goes alone, then all others.

    Args:
        items: what is to be sent.
        blobs_of: returns what each brings along.

    Yields:
        What may go at the same time, in the order of `items`, when those before have gone.
    """
    rest = list(items)
    sent: set[Hashable] = set()
    while rest:
        wave, later = [], []
        claimed: set[Hashable] = set()
        for item in rest:
            new = set(blobs_of(item)) - sent
            if new & claimed:
                later.append(item)
            else:
                wave.append(item)
                claimed |= new
        yield wave
        sent |= claimed
        rest = later
