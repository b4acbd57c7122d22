"""A signal that is to end the command, kept until it has: where C code calls Python, an exception can get lost."""

from __future__ import annotations

_pending: BaseException | None = None


def interrupt(error: BaseException) -> None:
    """Raise an exception from a signal's handler, and again from `check` should it get lost."""
    global _pending
    _pending = error
    raise error


def check() -> None:
    """Raise what a signal has raised before, if anything."""
    if _pending:
        raise _pending
