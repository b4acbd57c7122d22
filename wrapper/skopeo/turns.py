"""How many runs go on at a time: several, or one alone where a registry lets in no more."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """Lets any number of threads go on side by side, until that was too much."""

    def __init__(self) -> None:
        """Begin with any number."""
        self._changed = Condition()
        self._running = 0
        self._only_one = False

    def only_one(self) -> bool:
        """Let no more than one go on from now on; say whether that is new."""
        with self._changed:
            new = not self._only_one
            self._only_one = True
        return new

    def at_most(self, wanted: int) -> int:
        """Return how many of `wanted` may go on at a time."""
        return 1 if self._only_one else wanted

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until it is one's turn, and keep it while entered."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._only_one and self._running))
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
