"""Runs of the command by a process that has read all modules already: it forks for each run.

Two thousand runs would else spend half of their time on starting Python.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parents[2]
_MOST = 100_000
_MODULES = (
    "jsonschema.validators",
    *(f"wrapper.cli.{name}" for name in ("main", "calls", "show", "pull", "push", "vet", "inspect", "diff")),
    *(f"wrapper.pull.{name}" for name in ("puller", "plan", "compare", "fetch", "pack", "deltas", "difference")),
    *(f"wrapper.push.{name}" for name in ("pusher", "registry", "upload")),
    "wrapper.inspection",
    "wrapper.__main__",
)


class Forker:
    """That process; it ends with the one that began it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.variables = _that_python_reads(os.environ)
        self._lock = threading.Lock()
        code = f"from tests.support.forked import serve; serve({theirs.fileno()})"
        self._process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        atexit.register(self.close)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()

    def takes(self, arguments: list[str], environment: dict[str, str]) -> bool:
        """Say whether a run would be as one by a Python of its own; and where its lines are counted, it has one."""
        if "COVERAGE_PROCESS_CONFIG" in environment:
            return False
        size = sum(map(len, arguments)) + sum(len(name) + len(text) for name, text in environment.items())
        alike = size < _MOST and _that_python_reads(environment) == self.variables
        return alike and self._process.poll() is None

    def run(
        self, arguments: list[str], environment: dict[str, str], folder: Path, stdin: bytes, seconds: float
    ) -> tuple[subprocess.CompletedProcess[bytes], float]:
        """Run the command, as `subprocess.run` does it; return what came of it, and its seconds of CPU."""
        call = json.dumps([arguments, environment, str(folder)]).encode()
        with TemporaryFile() as into, TemporaryFile() as out, TemporaryFile() as err:
            into.write(stdin)
            into.seek(0)
            read, write = os.pipe()
            try:
                with self._lock:
                    socket.send_fds(self._ours, [call], [into.fileno(), out.fileno(), err.fileno(), write])
            finally:
                os.close(write)
            with open(read, "rb") as status:  # noqa: PTH123 - a descriptor
                assert select.select([status], [], [], seconds)[0], f"{arguments} did not end within {seconds} s"
                code, cpu = status.read().split()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, int(code), out.read(), err.read()), float(cpu)


def _that_python_reads(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Return the variables that count when Python starts."""
    return {name: text for name, text in environment.items() if name.startswith(("LC_", "LANG", "PYTHON"))}


def serve(descriptor: int) -> None:
    """Run what comes from a socket, until it is closed."""
    import importlib

    for name in _MODULES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    calls = socket.socket(fileno=descriptor)
    while True:
        data, descriptors, _, _ = socket.recv_fds(calls, 2 * _MOST, 4)
        if not data:
            os._exit(0)
        if os.fork() == 0:
            calls.close()
            _wait_for_run(json.loads(data), descriptors)
        for each in descriptors:
            os.close(each)


def _wait_for_run(call: list[object], descriptors: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = descriptors.pop()
    child = os.fork()
    if child == 0:
        os.close(status)
        _run(call, descriptors)
    for each in descriptors:
        os.close(each)
    _, code, used = os.wait4(child, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(code)} {used.ru_utime + used.ru_stime}".encode())
    os._exit(0)


def _run(call: list[object], descriptors: list[int]) -> None:
    arguments, environment, folder = call
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(environment)  # type: ignore[arg-type]
    os.chdir(str(folder))
    sys.argv = [str(ROOT / "wrapper/__main__.py"), *arguments]  # type: ignore[misc]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, name)
        mode = "w" if number else "r"
        made = open(number, mode, encoding=was.encoding, errors=was.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, made)
    from wrapper.__main__ import main

    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
