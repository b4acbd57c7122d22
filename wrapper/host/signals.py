"""What is to end a command or a call, looked at by whatever takes long.

A signal is kept until it has ended the command: where C code calls Python, an exception can get lost.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_look: ContextVar[Callable[[], None] | None] = ContextVar("look", default=None)
_pending: BaseException | None = None
_armed = True


def interrupt(error: BaseException) -> None:
    """Raise an exception from a signal's handler, and again from `check` should it get lost."""
    global _pending
    if not _armed:
        return
    _pending = error
    # Python would print a traceback where it gets lost.
    sys.unraisablehook = _say_unless_kept
    raise error


def disarm() -> None:
    """Pass over what comes from now on: the command is about to end as it is."""
    global _armed
    _armed = False


def _say_unless_kept(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_value is not _pending:
        sys.__unraisablehook__(unraisable)


@contextmanager
def ended_by(look: Callable[[], None]) -> Iterator[None]:
    """Let `check` look at something more, as long as this is entered, in this thread's context.

    Args:
        look: raises what is to end whatever goes on.
    """
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)


def check() -> None:
    """Raise what is to end whatever goes on, if anything: what a signal has raised before, or what a call has."""
    if _pending:
        raise _pending
    if look := _look.get():
        look()
