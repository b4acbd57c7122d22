"""One run of skopeo, through sh."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import sh

from ..host.signals import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket

TICK = 0.05
"""How often a run that goes on is looked at, in seconds."""

NOISE = 64
"""How many bytes the Go runtime may read between two looks without anything moving.

It wakes itself through a pipe, a byte or eight at a time; a ping that keeps a connection open is shorter, too. The
shortest answer of a registry is longer.
"""

MOST_MEMORY = 1 << 30
"""How much memory skopeo may take, in bytes: it reads an answer that is an error whole, be it without end.

Copies of large images take a tenth of it.
"""

_GRACE = 5.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Run:
    """A skopeo that is running, or has ended."""

    def __init__(self, command: Any, arguments: Sequence[str], stdin: socket | None = None) -> None:
        """Start it.

        Args:
            command: the `sh` command, its folder and environment baked in.
            arguments: skopeo's.
            stdin: where it reads requests, and answers them; by default there is nothing to read.
        """
        # Files in memory: a full disk must not swallow what it has to say about that.
        self._stdout = os.fdopen(os.memfd_create("stdout"), "w+b")
        self._stderr = os.fdopen(os.memfd_create("stderr"), "w+b")
        try:
            with Path(os.devnull).open("rb") as nothing:
                self._process = command(
                    *arguments,
                    _in=stdin or nothing,
                    _out=self._stdout,
                    # sh would make a terminal of its own for skopeo to draw bars into.
                    _tty_out=False,
                    _err=self._stderr,
                    _bg=True,
                    _bg_exc=False,
                    # A group of its own: a Ctrl-C is ours to handle, and it can be ended without its callers.
                    _new_group=True,
                    _preexec_fn=_die_with(os.getpid()),
                    # Python's own files close by themselves (PEP 446); looking for others takes time.
                    _close_fds=False,
                )
        except BaseException:
            self._stdout.close()
            self._stderr.close()
            raise
        self._begun = time.monotonic()
        self._closing = threading.Lock()
        self._waited_for = False
        try:
            # By this it is known even when its number is another process's.
            self._descriptor: int | None = os.pidfd_open(self._process.pid)
        except OSError:
            # Older kernels; or it has ended.
            self._descriptor = None

    def wait(self, tick: Callable[[], None] | None = None) -> tuple[int, bytes, str]:
        """Wait for its end.

        Args:
            tick: called a few times a second as long as it runs.

        Returns:
            Its exit code (a signal as a negative number), what it printed, and what it said on stderr.

        Raises:
            GreedyError: it takes too much memory; it still runs.
        """
        self._waited_for = True
        try:
            self._watch(tick or check)
        finally:
            self._close()
        with suppress(sh.ErrorReturnCode):
            self._process.wait()
        with self._stdout, self._stderr:
            stdout, stderr = _content(self._stdout), _content(self._stderr)
        return int(self._process.exit_code), stdout, stderr.decode(errors="replace")

    def is_running(self) -> bool:
        """Say whether it has not ended yet."""
        descriptor = self._descriptor
        return self.is_known() if descriptor is None else not _ended(descriptor, 0)

    def seconds(self) -> float:
        """Return how long ago it was started, in seconds."""
        return time.monotonic() - self._begun

    def require_within(self, seconds: float | None) -> None:
        """Look whether it has run for longer than it may.

        Args:
            seconds: how long that is, from its start; None for no limit.

        Raises:
            StalledError: it has.
        """
        if seconds and self.seconds() > seconds:
            raise StalledError

    def bytes_read(self) -> int:
        """Return how many bytes it has read so far, from files and from the network; 0 where nobody tells.

        They grow by `NOISE`, too.
        """
        try:
            lines = Path(f"/proc/{self._process.pid}/io").read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.partition(":")[2]) for line in lines if line.startswith("rchar"))

    def _watch(self, tick: Callable[[], None]) -> None:
        if self._descriptor is None:
            # sh looks by itself ten times a second, too.
            while self.is_known():
                time.sleep(TICK / 2)
                self.look(tick)
            return
        while not _ended(self._descriptor, TICK):
            self.look(tick)

    def look(self, tick: Callable[[], None] = check) -> None:
        """Look once whether it may go on.

        Args:
            tick: called, too.

        Raises:
            GreedyError: it takes too much memory.
        """
        check()
        if self._memory() > MOST_MEMORY:
            raise GreedyError
        tick()

    def _memory(self) -> int:
        """Return how many bytes of memory it has, files apart; 0 where nobody tells."""
        try:
            _, resident, shared, *_ = Path(f"/proc/{self._process.pid}/statm").read_text().split()
        except (OSError, ValueError):
            return 0
        return (int(resident) - int(shared)) * _PAGE

    def _close(self) -> None:
        # Several threads may end all that runs.
        with self._closing:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def send(self, number: int) -> None:
        """Send a signal to it and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def is_known(self) -> bool:
        """Say whether it has not ended yet, and take notice of its end: else it would stay as a zombie."""
        return bool(self._process.is_alive())

    def is_there(self) -> bool:
        """Say whether it, or anything that it has started, has not ended yet."""
        if self.is_known():
            return True
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def release(self) -> None:
        """Close its files, once it has ended."""
        self.is_known()
        # Who waits for it, perhaps in another thread, closes this one.
        if not self._waited_for:
            self._close()
        self._stdout.close()
        self._stderr.close()


def end(runs: Sequence[Run]) -> None:
    """End runs and all that they have started, such as a credential helper: gently first, then for good.

    Nothing happens to those that have ended, or that somebody else ends already.
    """
    left = [run for run in runs if run.is_running()]
    for run in left:
        run.send(signal.SIGTERM)
        # What is stopped learns of it when it goes on.
        run.send(signal.SIGCONT)
    left = _wait_until_none(left, Run.is_there)
    for run in left:
        run.send(signal.SIGKILL)
    _wait_until_none(left, Run.is_known)
    for run in runs:
        run.release()


def _wait_until_none(runs: list[Run], there: Callable[[Run], bool]) -> list[Run]:
    """Wait for a grace at most; return the runs that are there all the same."""
    deadline = time.monotonic() + _GRACE
    while (runs := [run for run in runs if there(run)]) and time.monotonic() < deadline:
        time.sleep(TICK / 2)
    return runs


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes skopeo, so that it ends when we do, even by SIGKILL.

    The signal comes when the *thread* that forked ends: each run is started by the thread that waits for it.
    """
    prctl = ctypes.CDLL(None).prctl

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return in_the_child


def _ended(descriptor: int, seconds: float) -> bool:
    """Wait so long at most for a process to end, and say whether it has."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _content(file: BinaryIO) -> bytes:
    # The child wrote through a descriptor of its own, which shares the position.
    file.seek(0)
    return file.read()


class EarlyEndError(Exception):
    """A run has to be ended before it ends by itself."""


class StalledError(EarlyEndError):
    """Nothing has moved for too long."""


class GreedyError(EarlyEndError):
    """It takes more memory than any good answer needs."""


class StallWatch:
    """Looks whether a number still grows.

    Attributes:
        moved: how far it had come at the last look.
    """

    def __init__(self, count: Callable[[], int], timeout: float | None, noise: int = 0) -> None:
        """Begin to look.

        Args:
            count: tells how far it has come.
            timeout: for how long it may stay the same, in seconds; None for no limit.
            noise: by how much it may grow between two looks without having moved.
        """
        self.moved = count()
        self._count = count
        self._timeout = timeout
        self._noise = noise
        self._since = time.monotonic()

    def look(self) -> None:
        """Look once.

        Raises:
            StalledError: it has been the same for longer than the timeout.
        """
        before, self.moved = self.moved, self._count()
        if abs(self.moved - before) > self._noise:
            self._since = time.monotonic()
        elif self._timeout and time.monotonic() - self._since > self._timeout:
            raise StalledError
