"""What an operation tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

PHASES = (
    "reading",
    "fetching",
    "comparing",
    "verifying",
    "hashing",
    "vetting",
    "making",
    "sending",
    "reading back",
    "packing",
)
"""What an operation does, one phase after the other; which phases it has depends on the operation."""

BEGUN, MOVED, NOTE, WARNING, ENDED = KINDS = ("begun", "moved", "note", "warning", "ended")
"""Why there is an event: work on an item begins, time or bytes went by, there is something to tell, all is over."""


@dataclass(frozen=True)
class Event:
    """One event of an operation that goes on.

    While an operation runs there are several a second.

    Attributes:
        kind: one of `KINDS`.
        phase: one of `PHASES`; empty before the first.
        step: which step of the operation the phase is, counted from 1; 0 where it is none of its own.
        steps: how many steps the operation has; it may skip some.
        item: what is worked on, such as an image; empty where that does not matter.
        bytes_done: how many bytes of the phase are done.
        bytes_total: how many bytes the phase has; 0 where they don't matter.
        message: one line for people; empty if `kind` is "moved" or "ended".
    """

    kind: str
    phase: str = ""
    step: int = 0
    steps: int = 0
    item: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    message: str = ""

    @property
    def line(self) -> str:
        """The message as people read it, where nothing else tells a warning."""
        return f"warning: {self.message}" if self.kind == WARNING else self.message
