"""Events as lines of plain text: for logs, pipes, and whoever reads them later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..events import MOVED
from .text import human_bytes

if TYPE_CHECKING:
    from typing import TextIO

    from ..events import Event

_SILENCE = 6.0
"""How long nothing may be said while an operation goes on, in seconds: well below ten, as machines may be busy."""

_STEP, _PAUSE = 0.05, 2.0
"""A line for so much of a phase, but not for one that lasts no longer than so many seconds."""


class PlainLines:
    """Writes a line for each event that has a message, and how far it is while there is nothing else to say."""

    def __init__(self, out: TextIO) -> None:
        """Write to `out`."""
        self._out = out
        self._last = time.monotonic()
        self._begun: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Take an event."""
        now = time.monotonic()
        part = event.bytes_done / event.bytes_total if event.bytes_total else 0.0
        if part < self._said.get(event.phase, 1.0 + part):
            # An operation may come to a phase again.
            self._begun[event.phase], self._said[event.phase] = now, 0.0
        patience = _PAUSE if part - self._said[event.phase] >= _STEP else _SILENCE
        if event.message:
            self._write(event.line)
        elif event.kind == MOVED and now - self._last >= patience:
            self._said[event.phase] = part
            self._write(f"{numbered(event)}{how_far(event)}, {clock(now - self._begun[event.phase])} so far")

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
        self._last = time.monotonic()


def numbered(event: Event) -> str:
    """Return which step of how many an event belongs to, such as "[2/5] "; nothing where it is none of its own."""
    return f"[{event.step}/{event.steps}] " if event.step else ""


def how_far(event: Event) -> str:
    """Return what goes on, and how much of it is done, such as "fetching team/app:2: 212.0 MB of 369.1 MB"."""
    # A digest is long, and was told when its turn began.
    what = f"{event.phase or 'working'} {event.item.partition('@')[0]}".rstrip()
    if not event.bytes_total:
        return what
    return f"{what}: {human_bytes(event.bytes_done)} of {human_bytes(event.bytes_total)}"


def clock(seconds: float) -> str:
    """Return a time as people write it, such as "1:05" or "2:00:10"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
