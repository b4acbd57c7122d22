"""One run of skopeo, through sh."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import sh

from ..host.signals import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TICK = 0.05
"""How often a run that goes on is looked at, in seconds."""

_GRACE = 5.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Run:
    """A skopeo that is running, or has ended."""

    def __init__(self, command: Any, arguments: Sequence[str], terminal: TextIO | None) -> None:
        """Start it.

        Args:
            command: the `sh` command, its folder and environment baked in.
            arguments: skopeo's.
            terminal: what it draws its progress bars on, in place of its standard output.
        """
        # Files in memory: a full disk must not swallow what it has to say about that.
        self._stdout = os.fdopen(os.memfd_create("stdout"), "w+b")
        self._stderr = os.fdopen(os.memfd_create("stderr"), "w+b")
        with Path(os.devnull).open("rb") as nothing:
            self._process = command(
                *arguments,
                _in=nothing,
                # sh would make a terminal of its own for skopeo to draw bars into.
                **({"_out": terminal} if terminal else {"_out": self._stdout, "_tty_out": False}),
                _err=self._stderr,
                _bg=True,
                _bg_exc=False,
                # A group of its own: a Ctrl-C is ours to handle, and it can be ended without its callers.
                _new_group=True,
                _preexec_fn=_die_with(os.getpid()),
                # Python's own files close by themselves (PEP 446); looking for others takes time.
                _close_fds=False,
            )
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
        if self._descriptor is None:
            return bool(self._process.is_alive())
        return not _ended(self._descriptor, 0)

    def bytes_read(self) -> int:
        """Return how many bytes it has read so far, from files and from the network; 0 where nobody tells."""
        try:
            lines = Path(f"/proc/{self._process.pid}/io").read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.partition(":")[2]) for line in lines if line.startswith("rchar"))

    def _watch(self, tick: Callable[[], None]) -> None:
        if self._descriptor is None:
            # sh looks by itself ten times a second, too.
            while self._process.is_alive():
                time.sleep(TICK / 2)
                check()
                tick()
            return
        while not _ended(self._descriptor, TICK):
            check()
            tick()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def kill(self) -> None:
        """End it, gently first; nothing happens if it has ended, or if somebody else does so already."""
        try:
            self._kill()
        finally:
            # Who waits for it, perhaps in another thread, closes it.
            if not self._waited_for:
                self._close()
            self._stdout.close()
            self._stderr.close()

    def _kill(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                self._process.signal_group(number)
                self._process.wait(timeout=_GRACE)
            except (ProcessLookupError, sh.ErrorReturnCode):
                return
            except sh.TimeoutException:
                continue
            return


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


class StalledError(Exception):
    """Nothing has moved for too long."""


class StallWatch:
    """Looks whether a number still grows."""

    def __init__(self, moved: Callable[[], int], timeout: float | None) -> None:
        """Begin to look.

        Args:
            moved: tells how far it has come.
            timeout: for how long it may stay the same, in seconds; None for ever.
        """
        self._moved = moved
        self._timeout = timeout
        self._last = -1
        self._since = time.monotonic()

    def look(self) -> None:
        """Look once.

        Raises:
            StalledError: it has been the same for longer than the timeout.
        """
        moved = self._moved()
        if moved != self._last:
            self._last = moved
            self._since = time.monotonic()
        elif self._timeout and time.monotonic() - self._since > self._timeout:
            raise StalledError
