"""Trying again where a link fails, with growing pauses and an end."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ..errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST_PAUSE = 60.0
"""How long one pause is at most, in seconds."""

WAITING = 900.0
"""How long all pauses of one step are at most together, in seconds."""


class Retries(NamedTuple):
    """How often and how patiently to try again; only `LinkError` is worth another try.

    Attributes:
        times: how often in a row without progress; 0 never.
        delay: the first pause, in seconds; each further one is twice as long, and each is up to a quarter longer
            or shorter by chance, so that many who lost the same link don't come back at the same moment.
        report: receives a line with the reason for each.
        pause: waits for so many seconds; it may raise what ends that.
    """

    times: int
    delay: float
    report: Callable[[str], None]
    pause: Callable[[float], None] = lambda seconds: time.sleep(seconds)

    def begin(self) -> Attempts:
        """Begin a step that may need several attempts."""
        return Attempts(self)

    def run(self, step: Callable[[], T]) -> T:
        """Do a step, and again where that is worth it.

        Args:
            step: what to do; it raises `LinkError` where another try may help.

        Raises:
            LinkError: the last try failed too.
        """
        attempts = self.begin()
        while True:
            try:
                return step()
            except LinkError as error:
                attempts.wait_after(error)


class Attempts:
    """The attempts at one step."""

    def __init__(self, retries: Retries) -> None:
        """Begin with all of them left."""
        self._retries = retries
        self._failed = 0
        self._waited = 0.0

    def progressed(self) -> None:
        """Begin to count anew: the last attempt got at least a part of it done."""
        self._failed = 0

    def wait_after(self, error: LinkError) -> None:
        """Pause before the next attempt.

        Raises:
            LinkError: `error`, where there is none left.
        """
        times, delay, report, wait = self._retries
        if self._failed >= times or self._waited >= WAITING:
            raise error
        pause = min(delay * 2.0 ** min(self._failed, 60), LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        pause = min(max(pause, error.retry_after), LONGEST_PAUSE, WAITING - self._waited)
        self._failed += 1
        self._waited += pause
        report(f"{error.message}; trying again in {pause:.1f} s ({self._failed} of {times})")
        wait(pause)
