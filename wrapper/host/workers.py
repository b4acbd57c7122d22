"""Functions of ours that run in processes of their own: on other cores, within their own memory, and to be ended.

A worker is a fresh Python, not a fork: what threads and locks this process has does not matter to it. It ends when
the thread ends that started it, however that comes about.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import errors
from .signals import check

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOOT = f"""import json, sys
call = json.loads(sys.argv[1])
sys.path[:] = call["path"]
from {__name__} import serve
serve(call)
"""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK = 0.01
_GRACE = 5.0
_PARTS = 10_000
# In a worker, the descriptor where it says how far it is.
_told = -1


class WorkerError(Exception):
    """A worker ended without a result: it was killed, or met what nobody expected."""


class Worker:
    """A function that runs, or has run, in a process of its own."""

    def __init__(
        self, function: str, arguments: Sequence[Any], output: int | None = None, inherited: Sequence[int] = ()
    ) -> None:
        """Start it.

        Args:
            function: the module, a colon, and the function's name in it.
            arguments: what JSON has values for.
            output: the descriptor that its standard output is; by default that goes nowhere.
            inherited: descriptors that it has under the same numbers.

        Raises:
            HostError: no process can be started.
        """
        self._result = os.memfd_create("result")
        self._stderr = os.memfd_create("stderr")
        self._told = os.memfd_create("told")
        try:
            call = {
                "path": sys.path,
                "function": function,
                "arguments": list(arguments),
                "result": self._result,
                "told": self._told,
                "parent": os.getpid(),
            }
            with errors.host_errors("cannot start another process"):
                self._process = subprocess.Popen(  # noqa: S603 - nothing but ourselves
                    [sys.executable, "-P", "-c", _BOOT, json.dumps(call)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if output is None else output,
                    stderr=self._stderr,
                    pass_fds=(self._result, self._told, *inherited),
                    # A Ctrl-C is ours to handle.
                    process_group=0,
                )
        except BaseException:
            self._close()
            raise

    def is_running(self) -> bool:
        """Say whether it has not ended yet."""
        return self._process.poll() is None

    def told(self) -> float:
        """Return how far it is: which part of its work it has done, as far as it says so with `tell`."""
        return int.from_bytes(_content(self._told), "little") / _PARTS

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, for so many seconds at most; say whether it has ended. A signal ends the wait."""
        begun = time.monotonic()
        while self.is_running():
            check()
            if seconds is not None and time.monotonic() - begun > seconds:
                return False
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK)
        return True

    def result(self) -> Any:
        """Wait for its end, and return what the function returned.

        Raises:
            IncrementalError: as the function raised it.
            WorkerError: it ended without a result.
        """
        try:
            self.wait()
            answer = _content(self._result)
            said = _content(self._stderr).decode(errors="replace").strip()
        finally:
            self.end()
        if not answer:
            code = self._process.returncode
            why = (
                f"its process was ended by signal {-code}"
                if code < 0
                else said.rpartition("\n")[2] or f"exit code {code}"
            )
            raise WorkerError(why)
        found = json.loads(answer)
        if "error" in found:
            kind, message, next_step = found["error"]
            raise getattr(errors, kind)(message, next_step)
        return found["result"]

    def end(self) -> None:
        """End it, if it still runs; its result is gone."""
        if self.is_running():
            with suppress(ProcessLookupError):
                # All that it has started, too.
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        self._close()

    def _close(self) -> None:
        for descriptor in (self._result, self._stderr, self._told):
            if descriptor >= 0:
                os.close(descriptor)
        self._result = self._stderr = self._told = -1


def tell(part: float) -> None:
    """Say which part of its work a worker's function has done, from 0 to 1; elsewhere nobody listens."""
    if _told >= 0:
        os.pwrite(_told, int(min(part, 1) * _PARTS).to_bytes(2, "little"), 0)


def serve(call: dict[str, Any]) -> None:
    """Do what a worker is for, and end."""
    global _told
    _told = call["told"]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != call["parent"]:
        os._exit(1)
    module, _, name = call["function"].partition(":")
    try:
        answer = {"result": getattr(import_module(module), name)(*call["arguments"])}
    except errors.IncrementalError as error:
        kind = next(each.__name__ for each in type(error).__mro__ if each.__module__ == errors.__name__)
        answer = {"error": [kind, error.message, error.next_step]}
    os.write(call["result"], json.dumps(answer).encode())
    # Nothing is left to be done: what is in memory need not be given back piece by piece.
    os._exit(0)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
