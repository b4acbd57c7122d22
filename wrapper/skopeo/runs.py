"""Runs of one skopeo in one folder: copies, and questions, several at a time."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import sh

from ..errors import LIMITS, ContentError, HostError, LinkError, UsageError, one_line
from ..host.late import import_one
from ..host.signals import check
from ..host.text import human_bytes
from .process import MOST_MEMORY, EarlyEndError, GreedyError, Run, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..errors import IncrementalError

    Ended = tuple[int, bytes, str]

PARALLEL_RUNS = 6
"""How many short skopeo runs go on at a time."""

_MARGIN = 1.0
"""For how much longer than it may take skopeo is left to itself: it says best what it waited for. In seconds."""

_NOTICE = 0.1
"""How long a signal may take that has reached a child of ours already, in seconds."""


class Question(NamedTuple):
    """A run of skopeo that moves no layers.

    Attributes:
        arguments: skopeo's.
        seconds: how long it may take; None for ever.
    """

    arguments: Sequence[str]
    seconds: float | None


class Runs:
    """All runs that go on; they can be ended together."""

    def __init__(
        self, command: Any, folder: str, environment: Mapping[str, str], trace: Callable[[str], None] | None
    ) -> None:
        """Begin with none.

        Args:
            command: the `sh` command.
            folder: where it runs.
            environment: its environment variables.
            trace: receives a line for each call and what it said.
        """
        self._command = command
        self._folder = folder
        self._environment = environment
        self._trace = trace
        self._running: list[Run] = []
        self._closed = False

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        terminal: TextIO | None = None,
    ) -> Run:
        """Start one.

        Args:
            arguments: skopeo's.
            environment: further environment variables.
            terminal: what it draws its progress bars on.

        Raises:
            UsageError: an argument has characters that skopeo can't be given.
            HostError: `close` was called; or there may be no more processes or threads.
        """
        check()
        if self._closed:
            raise HostError("another copy has failed")
        if self._trace:
            self._trace(f"+ {shlex.join(['skopeo', *arguments])}")
        command = self._command.bake(_cwd=self._folder, _env={**self._environment, **(environment or {})})
        require_writable(*arguments)
        with starting("skopeo"):
            run = Run(command, arguments, terminal)
        self._running.append(run)
        return run

    def finish(self, run: Run, tick: Callable[[], None] | None = None) -> Ended:
        """Wait for the end of one, as `Run.wait` does."""
        while run.is_running() and import_one():
            pass
        code, stdout, stderr = run.wait(tick)
        self._running.remove(run)
        if self._trace:
            for line in stderr.splitlines():
                self._trace(f"  {one_line(line)}")
            self._trace(f"  exit {code}")
        return code, stdout, stderr

    def ask(
        self,
        questions: Sequence[Question],
        environment: Mapping[str, str] | None = None,
        at_once: int = PARALLEL_RUNS,
    ) -> list[Ended | EarlyEndError]:
        """Ask several questions, a few at a time.

        Args:
            questions: what to ask.
            environment: further environment variables.
            at_once: how many at a time.

        Returns:
            Exit code, stdout and stderr of each; for the first that had to be ended, and those after it, why.
        """
        answers: list[Ended | EarlyEndError] = []
        runs: list[Run] = []
        for position, question in enumerate(questions):
            while len(runs) < min(len(questions), position + at_once):
                runs.append(self.start(questions[len(runs)].arguments, environment))
            seconds = question.seconds + _MARGIN if question.seconds else None
            try:
                answers.append(self.finish(runs[position], partial(runs[position].require_within, seconds)))
            except EarlyEndError as why:
                self.end(runs[position:])
                return answers + [why] * (len(questions) - position)
        return answers

    def end(self, runs: Sequence[Run]) -> None:
        """End some of them."""
        end(runs)
        for run in runs:
            self._running.remove(run)

    def end_all(self) -> None:
        """End all; a second call ends those that are left."""
        end(list(self._running))

    def close(self) -> None:
        """End all, and let no other start."""
        self._closed = True
        self.end_all()


def require_writable(*arguments: str) -> None:
    """Refuse what can't be an argument of skopeo's: names in another character set than the machine's.

    Raises:
        UsageError: one can't be.
    """
    for argument in arguments:
        try:
            argument.encode(sh.DEFAULT_ENCODING)
        except UnicodeEncodeError as error:
            raise UsageError(
                f"'{argument}' is not {error.encoding}, and skopeo can't be given it",
                "give it another name; or set LC_ALL=C.UTF-8, if this is UTF-8",
            ) from None


@contextmanager
def starting(what: str) -> Iterator[None]:
    """Say what is wrong where no process or thread can be started.

    Args:
        what: is to be started.

    Raises:
        HostError: it can't be.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise HostError(f"{what} can't be started: {error}", LIMITS) from error
    except sh.ForkException as error:
        reason = str(error).strip().rpartition("\n")[2].strip()
        raise HostError(f"{what} can't be started: {reason}", LIMITS) from error
    except ValueError as error:
        # sh could not make sense of what its child said before it became skopeo: nothing, for something ended it. A
        # Ctrl-C does that, for until then the child is in our group; our own notice of it may come a moment later.
        time.sleep(_NOTICE)
        check()
        raise HostError(f"{what} was ended while it started", LIMITS) from error


def no_answer(doing: str, why: EarlyEndError, seconds: float | None) -> IncrementalError:
    """Return what is wrong where skopeo had to be ended.

    Args:
        doing: what it was to do.
        why: the reason.
        seconds: how long it had.
    """
    if isinstance(why, GreedyError):
        return ContentError(
            f"{doing}: what came does not end: skopeo took more than {human_bytes(MOST_MEMORY)} of memory for it",
            "tell who runs the registry",
        )
    return LinkError(
        f"{doing}: nothing came for {seconds or 0:g} s, and nothing was written",
        "see whether a credential helper waits for somebody; try again, or allow more time with --timeout",
    )
