"""The display on a terminal: a line for each phase that goes on, which stays in its place.

It takes long to import, so that is done only where it is shown.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from ..host.lines import clock, numbered
from ..host.text import human_bytes

if TYPE_CHECKING:
    from typing import TextIO

    from ..events import Event

_OVER = 1.0
"""A phase of which nothing is heard for so long is over, in seconds: one that goes on gives a sign more often."""

_ITEM = 40
"""How many characters of an item are shown."""


class Bar:
    """Draws events on a terminal."""

    def __init__(self, out: TextIO) -> None:
        """Draw on `out`."""
        what = TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="crop", ratio=1)
        )
        self._progress = Progress(
            SpinnerColumn("line"),
            what,
            BarColumn(20),
            *(each(Column(no_wrap=True)) for each in (_Amount, _Speed, _Left)),
            console=Console(file=out),
            expand=True,
            # There is an event several times a second.
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._heard: dict[str, float] = {}

    def start(self) -> None:
        """Begin to draw."""
        self._progress.start()

    def draw(self, event: Event) -> None:
        """Draw how far it is."""
        now = time.monotonic()
        # What belongs to no phase matters where there is nothing else to be seen.
        if event.phase or not self._tasks or "" in self._tasks:
            if event.phase not in self._tasks:
                self._tasks[event.phase] = self._progress.add_task("", total=None)
            self._heard[event.phase] = now
            self._progress.update(
                self._tasks[event.phase],
                description=f"{numbered(event)}{event.phase or 'working'} {_short(event.item)}".rstrip(),
                completed=event.bytes_done,
                # Of what makes no step before its end, the bar shows that it goes on.
                total=event.bytes_total if event.bytes_done else None,
            )
        for phase in [phase for phase, heard in self._heard.items() if now - heard > _OVER]:
            self._progress.remove_task(self._tasks.pop(phase))
            del self._heard[phase]
        self._progress.refresh()

    def say(self, line: str) -> None:
        """Write a line above what stays in its place."""
        self._progress.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        """Remove what was drawn."""
        self._progress.stop()


class _Amount(ProgressColumn):
    """How much is done, such as "212.0 of 369.1 MB"."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text()
        done, whole = human_bytes(int(task.completed)), human_bytes(int(task.total))
        # "212.0 MB of 369.1 MB" says the unit twice.
        amount, unit = done.split()
        return Text(f"{amount if whole.endswith(f' {unit}') else done} of {whole}")


class _Speed(ProgressColumn):
    """How fast it goes, such as "4.1 MB/s"."""

    def render(self, task: Task) -> Text:
        speed = task.total and task.speed
        return Text(f"{human_bytes(int(speed))}/s" if speed else "")


class _Left(ProgressColumn):
    """How long it will take, such as "0:38 left"; where nobody knows, how long it has taken."""

    def render(self, task: Task) -> Text:
        left = task.total and task.time_remaining
        return Text(f"{clock(left)} left" if left else clock(task.elapsed or 0.0))


def _short(item: str) -> str:
    """Return what people call an item, without transport and digest, and its end alone where it is long."""
    name = item.partition("://")[2].partition("@")[0] or item
    return name if len(name) <= _ITEM else f"...{name[3 - _ITEM :]}"
