"""Runs of one skopeo in one folder: copies, and questions, several at a time."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import sh

from ..errors import LIMITS, ContentError, HostError, LinkError, UsageError, one_line
from ..host.late import import_one
from ..host.signals import check
from ..host.text import human_bytes
from .messages import without_queries
from .process import MOST_MEMORY, EarlyEndError, GreedyError, Run, end
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from socket import socket

    from ..errors import IncrementalError

    Ended = tuple[int, bytes, str]

PARALLEL_RUNS = 24
"""How many short skopeo runs go on at a time: they wait for answers, and take little else.

On a link of 50 ms each of them waits for half a second.
"""

_SHORT_RUN = {"GOGC": "200"}
"""Go's garbage collector is half as busy in short runs: that spares a sixth of their work, and takes no memory."""

_AHEAD = 2 * PARALLEL_RUNS

_MARGIN = 1.0
"""For how much longer than it may take skopeo is left to itself: it says best what it waited for. In seconds."""

_NOTICE = 0.1
"""How long a signal may take that has reached a child of ours already, in seconds."""


class Question(NamedTuple):
    """A run of skopeo that moves no layers.

    Attributes:
        arguments: skopeo's.
        seconds: how long it may take; None for no limit.
    """

    arguments: Sequence[str]
    seconds: float | None


class Runs:
    """All runs that go on; they can be ended together.

    Attributes:
        turns: whoever asks a question takes one.
        quickest: how long the quickest answer took so far, in seconds; None before the first one.
    """

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
        self.turns = Turns(PARALLEL_RUNS)
        self.quickest: float | None = None
        self._running: list[Run] = []
        self._closed = False

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        stdin: socket | None = None,
    ) -> Run:
        """Start one.

        Args:
            arguments: skopeo's.
            environment: further environment variables.
            stdin: where it reads requests, and answers them.

        Raises:
            UsageError: an argument has characters that skopeo can't be given.
            HostError: `close` was called; or there may be no more processes or threads.
        """
        check()
        self.require_open()
        if self._trace:
            self._trace(f"+ {shlex.join(['skopeo', *arguments])}")
        command = self._command.bake(_cwd=self._folder, _env={**self._environment, **(environment or {})})
        require_writable(*arguments)
        with starting("skopeo"):
            run = Run(command, arguments, stdin)
        self._running.append(run)
        return run

    def finish(self, run: Run, tick: Callable[[], None] | None = None) -> Ended:
        """Wait for the end of one, as `Run.wait` does."""
        while run.is_running() and import_one():
            pass
        code, stdout, stderr = run.wait(tick)
        # What was ended because of a signal has nothing to say.
        check()
        self._running.remove(run)
        if self._trace:
            for line in stderr.splitlines():
                self._trace(f"  {one_line(without_queries(line))}")
            self._trace(f"  exit {code}")
        return code, stdout, stderr

    def ask(
        self, questions: Iterable[Question], environment: Mapping[str, str] | None = None
    ) -> list[Ended | EarlyEndError]:
        """Ask several questions, as many at a time as may be.

        Args:
            questions: what to ask; each is made when it is its turn.
            environment: further environment variables.

        Returns:
            Exit code, stdout and stderr of each. Where one has to be ended, the reason; all others that have not
            ended by then have the same.
        """
        given = {name: text for name, text in _SHORT_RUN.items() if name not in self._environment}
        asking = _Asking(self, iter(questions), {**given, **(environment or {})})
        answers: list[Ended | EarlyEndError] = []
        try:
            while asking.start() or len(answers) < len(asking.begun):
                question, run = asking.begun[len(answers)]
                seconds = question.seconds + _MARGIN if question.seconds else None

                def look(run: Run = run, seconds: float | None = seconds) -> None:
                    run.require_within(seconds)
                    asking.start()

                try:
                    answers.append(self.finish(run, look))
                except EarlyEndError as why:
                    rest = [run for _, run in asking.begun[len(answers) + 1 :]]
                    ended = [run for run in rest if not run.is_running()]
                    self.end([run, *(run for run in rest if run not in ended)])
                    answers += [why, *(self.finish(run) if run in ended else why for run in rest)]
                    return answers + [why] * len(list(asking.questions))
                asking.read += 1
        finally:
            asking.settle()
        return answers

    def end(self, runs: Sequence[Run]) -> None:
        """End some of them."""
        end(runs)
        for run in runs:
            self._running.remove(run)

    def end_all(self) -> None:
        """End all; a second call ends those that are left."""
        end(list(self._running))

    def require_open(self) -> None:
        """Refuse to go on after `close`.

        Raises:
            HostError: it was called.
        """
        if self._closed:
            raise HostError("another copy has failed")

    def close(self) -> None:
        """End all, and let no other start."""
        self._closed = True
        self.end_all()


class _Asking:
    """Questions of one caller that are asked, as far as there are turns for them."""

    def __init__(self, runs: Runs, questions: Iterator[Question], environment: Mapping[str, str] | None) -> None:
        self.questions = questions
        self.begun: list[tuple[Question, Run]] = []
        self.read = 0
        self._runs = runs
        self._environment = environment
        self._holding: list[Run] = []

    def start(self) -> bool:
        """Start what may go on; with none going on, wait for a turn. Say whether an answer is still to come."""
        while True:
            for run in [run for run in self._holding if not run.is_running()]:
                self._give_back(run)
            # Those that have ended keep their files until somebody reads them.
            if len(self.begun) - self.read >= _AHEAD or not self._runs.turns.take(wait=not self._holding):
                return True
            try:
                if (question := next(self.questions, None)) is None:
                    self._runs.turns.give_back()
                    return bool(self._holding)
                self.begun.append((question, self._runs.start(question.arguments, self._environment)))
            except BaseException:
                self._runs.turns.give_back()
                raise
            self._holding.append(self.begun[-1][1])

    def settle(self) -> None:
        """Give back all turns."""
        while self._holding:
            self._give_back(self._holding[0])

    def _give_back(self, run: Run) -> None:
        self._holding.remove(run)
        self._runs.turns.give_back()
        took = run.seconds()
        self._runs.quickest = min(took, self._runs.quickest or took)


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
                "give it another name; or set LC_ALL=C.UTF-8 if it is UTF-8",
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
            f"{doing}: the answer does not end: skopeo took more than {human_bytes(MOST_MEMORY)} of memory for it",
            "tell the people who run the registry",
        )
    return LinkError(
        f"{doing}: nothing came for {seconds or 0:g} s, and nothing was written",
        "check whether a credential helper waits for input; try again, or allow more time with `link.timeout`",
    )
