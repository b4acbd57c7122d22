"""Signals that end a command: what they raise, what is said of it, and its exit code."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from ..errors import IncrementalError
from ..host.signals import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_CLEANING_UP = 10.0
"""For how long after a signal further ones are passed over, in seconds."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: what is open is cleaned up on the way out."""


class CancelledError(IncrementalError):
    """Ctrl-C ended the command."""

    code = 130
    kind = "interrupted"
    retryable = True


class TerminatedError(IncrementalError):
    """SIGTERM or SIGHUP ended the command."""

    code = 143
    kind = "interrupted"
    retryable = True


def end_on_signals() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, and SIGTERM and SIGHUP Terminated.

    What the caller ignores, such as SIGHUP under nohup, stays ignored.
    """
    handler = _handler()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _handler() -> Callable[[int, FrameType | None], None]:
    """Return a handler that ends the command, and lets nobody disturb its clean-up."""
    own = os.getpid()
    first = -_CLEANING_UP

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != own:
            # Forked to become skopeo, and reached before it is: the clean-up is not its business.
            os._exit(255)
        if time.monotonic() - first < _CLEANING_UP:
            return
        first = time.monotonic()
        interrupt(KeyboardInterrupt() if number == signal.SIGINT else Terminated())

    return handle
