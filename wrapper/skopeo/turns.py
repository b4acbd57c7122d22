"""How many runs go on at a time: several, or one alone where a registry lets in no more."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

from ..host.signals import check

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK = 0.05
"""How often who waits for a turn looks whether a signal came, in seconds."""


class Turns:
    """Lets so many go on side by side, whatever threads they are of, until that was too much."""

    def __init__(self, most: int) -> None:
        """Begin with none.

        Args:
            most: how many may go on at a time.
        """
        self._changed = Condition()
        self._running = 0
        self._most = most

    @property
    def alone(self) -> bool:
        """Whether no more than one goes on at a time."""
        return self._most == 1

    def only_one(self) -> None:
        """Let no more than one go on from now on."""
        with self._changed:
            self._most = 1

    def take(self, *, wait: bool) -> bool:
        """Take a turn; whoever has taken one gives it back.

        Args:
            wait: wait until there is one.

        Returns:
            Whether there was one.
        """
        with self._changed:
            while self._running >= self._most:
                if not wait:
                    return False
                self._changed.wait(_LOOK)
                check()
            self._running += 1
        return True

    def give_back(self) -> None:
        """Let the next one go on."""
        with self._changed:
            self._running -= 1
            self._changed.notify()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until it is one's turn, and keep it while entered."""
        self.take(wait=True)
        try:
            yield
        finally:
            self.give_back()
