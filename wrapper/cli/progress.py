"""How a command shows what goes on: `--progress`."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..events import ENDED, MOVED, NOTE, WARNING
from .wording import as_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from ..events import Event
    from .bar import Bar

_AT_ONCE = 0.3
"""What is over sooner needs no display, in seconds."""

_PAUSE = 1.0
"""How often JSON says how far it is, in seconds."""


def display(options: Mapping[str, Any]) -> Callable[[Event], None] | None:
    """Return what shows events; None where nobody wants to see any.

    Args:
        options: the command's options.
    """
    show = _receiver(options)
    if not show:
        return None

    broken = False

    def show_if_possible(event: Event) -> None:
        nonlocal broken
        try:
            if not broken:
                show(replace(event, message=as_options(event.message)) if event.message else event)
        except (OSError, ValueError):
            # Whoever looked has gone away; the work goes on.
            broken = True

    return show_if_possible


def _receiver(options: Mapping[str, Any]) -> Callable[[Event], None] | None:
    mode = "none" if options["quiet"] else options["progress"]
    if mode == "auto":
        # What --debug shows would tear the display apart.
        mode = "bar" if _is_terminal() and not options["debug"] else "plain"
    if mode == "bar":
        return _OnTerminal(sys.stderr)
    if mode == "plain":
        from ..host.lines import PlainLines

        return PlainLines(sys.stderr)
    return _JsonLines() if mode == "json" else None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


class _OnTerminal:
    """Shows what goes on in one place of a terminal, and what is to stay above that."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._bar: Bar | None = None

    def __call__(self, event: Event) -> None:
        if event.kind == ENDED:
            if self._bar:
                self._bar.close()
            self._bar, self._begun = None, time.monotonic()
            return
        if not self._bar and time.monotonic() - self._begun > _AT_ONCE:
            from .bar import Bar

            self._bar = Bar(self._out)
            # Now, whatever comes, it is closed.
            self._bar.start()
        # What is begun, the display shows.
        if event.kind in (NOTE, WARNING):
            (self._bar.say if self._bar else self._write)(event.line)
        if self._bar:
            self._bar.draw(event)

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")


class _JsonLines:
    """Writes a JSON object a line to standard error; `progress.json` among the schemas describes it."""

    def __init__(self) -> None:
        self._begun = time.monotonic() - _PAUSE
        self._last: dict[str, float] = {"": time.monotonic()}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        finished = event.bytes_total and event.bytes_done == event.bytes_total
        if event.kind == MOVED:
            if now - self._last.get(event.phase, self._begun) < _PAUSE and not finished:
                return
            self._last[event.phase] = now
        sys.stderr.write(json.dumps(asdict(event)) + "\n")
        sys.stderr.flush()
