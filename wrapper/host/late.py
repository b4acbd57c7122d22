"""Modules that will be needed, imported while we wait: much of a short command's own time is importing."""

from __future__ import annotations

from importlib import import_module

_wanted: list[str] = []


def import_later(*modules: str) -> None:
    """Have modules imported as soon as there is something to wait for.

    Args:
        modules: their full names, in the order in which they will be needed, and before those that were asked for
            earlier. What is never waited for is imported where it is used.
    """
    _wanted[:0] = modules


def import_one() -> bool:
    """Import one of them; say whether there was any."""
    try:
        module = _wanted.pop(0)
    except IndexError:
        # Nothing is left, or another thread took the last.
        return False
    import_module(module)
    return True
