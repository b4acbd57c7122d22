"""A signal that is to end the command, kept until it has: where C code calls Python, an exception can get lost."""

from __future__ import annotations

import sys

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


def check() -> None:
    """Raise what a signal has raised before, if anything."""
    if _pending:
        raise _pending
