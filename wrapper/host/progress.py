"""Tells what an operation does while it goes on, and ends it where nobody wants it any more."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import LIMITS, HostError, one_line
from ..events import BEGUN, ENDED, MOVED, NOTE, WARNING, Event
from .signals import check, ended_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEAT = 0.25
"""How often there is a sign of life, in seconds."""


class _Phase:
    """What is known of a phase that goes on."""

    def __init__(self) -> None:
        self.users = 0
        self.item = ""
        self.done = 0
        self.total = 0


class Progress:
    """Tells what one operation does.

    The receiver of events is called by one thread at a time, whichever that is. What it raises ends the operation:
    `signals.check` raises it again in every thread.
    """

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        """Begin.

        Args:
            on_event: receives the events, if anybody does.
        """
        self._on_event = on_event
        self._steps: tuple[str, ...] = ()
        self._phases: dict[str, _Phase] = {}
        # What the receiver calls may come back here.
        self._lock = threading.RLock()
        self._stopped: BaseException | None = None
        self._over = False

    @contextmanager
    def running(self) -> Iterator[Progress]:
        """Give signs of life as long as this is entered, whatever else goes on."""
        if not self._on_event:
            yield self
            return
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=[ended], name="progress", daemon=True)
        with ended_by(self.check):
            try:
                beating.start()
            except RuntimeError as error:
                raise HostError(f"a thread can't be started: {error}", LIMITS) from None
            try:
                yield self
            except BaseException as error:
                # On its way it may have been taken for something else.
                if self._stopped is not None and error is not self._stopped:
                    raise self._stopped from None
                raise
            finally:
                ended.set()
                try:
                    beating.join()
                finally:
                    self._end()
            # It may have been too late to be met anywhere.
            self.check()

    def _end(self) -> None:
        """Let the receiver put away what it shows, whatever has happened; nothing is told after that."""
        with self._lock:
            self._over = True
            if self._on_event:
                with suppress(BaseException):
                    self._on_event(Event(ENDED))

    def _beat(self, ended: threading.Event) -> None:
        with suppress(BaseException):
            while not ended.wait(BEAT):
                with self._lock:
                    # What began last is what goes on.
                    for name in list(reversed(self._phases)) or [""]:
                        self._tell(MOVED, name)

    def check(self) -> None:
        """Raise what the receiver of events has raised, if it has."""
        if self._stopped is not None:
            raise self._stopped

    def plan(self, *steps: str) -> None:
        """Say which phases the operation will have, in their order."""
        self._steps = steps

    @contextmanager
    def phase(self, name: str, total: int = 0) -> Iterator[None]:
        """Be in a phase as long as this is entered; several threads may be in one, and in several phases.

        Args:
            name: one of `events.PHASES`.
            total: how many bytes this adds to the phase; 0 where bytes don't matter.
        """
        with self._lock:
            phase = self._phases.setdefault(name, _Phase())
            phase.users += 1
            phase.total += total
        try:
            with self._lock:
                self._tell(MOVED, name)
            yield
            with self._lock:
                if phase.users == 1:
                    # What a destination had already did not move.
                    phase.done = phase.total
                    self._tell(MOVED, name)
        finally:
            with self._lock:
                phase.users -= 1
                if not phase.users:
                    del self._phases[name]

    def begin(self, name: str, item: str, message: str = "") -> None:
        """Say that work on an item begins.

        Args:
            name: the phase.
            item: what is worked on, such as an image.
            message: the line for people; by default phase and item.
        """
        with self._lock:
            if name in self._phases:
                self._phases[name].item = item
            self._tell(BEGUN, name, message or f"{name} {item}", item)

    def __call__(self, message: str) -> None:
        """Tell something."""
        with self._lock:
            self._tell(NOTE, next(reversed(self._phases), ""), message)

    def warn(self, message: str) -> None:
        """Tell something that the user should know."""
        with self._lock:
            self._tell(WARNING, next(reversed(self._phases), ""), message)

    def add(self, name: str, count: int) -> None:
        """Count bytes of a phase; fewer where some are lost again."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done += count
        check()

    def share(self, name: str, size: int) -> Share:
        """Return what counts a part of a phase's bytes.

        Args:
            name: the phase.
            size: how long the part is at most, in bytes.
        """
        return Share(self, name, size)

    def _tell(self, kind: str, name: str, message: str = "", item: str = "") -> None:
        self.check()
        if not self._on_event or self._over:
            return
        phase = self._phases.get(name) or _Phase()
        step = self._steps.index(name) + 1 if name in self._steps else 0
        event = Event(
            kind,
            name,
            step,
            len(self._steps),
            one_line(item or phase.item),
            max(0, min(phase.done, phase.total)),
            phase.total,
            one_line(message),
        )
        try:
            self._on_event(event)
        except BaseException as error:
            self._stopped = error
            raise


class Share:
    """A part of a phase's bytes, such as one copy's."""

    def __init__(self, progress: Progress, name: str, size: int) -> None:
        """Begin with none of them done."""
        self._progress = progress
        self._name = name
        self._size = size
        self._done = 0

    def reach(self, done: int) -> None:
        """Say how many of its bytes are done, unless more were: what is tried again begins anew."""
        self.at(max(done, self._done))

    def at(self, done: int) -> None:
        """Say how many of its bytes are done; fewer than before where some were lost."""
        done = min(done, self._size)
        moved, self._done = done - self._done, done
        self._progress.add(self._name, moved)
