"""Measures commands: wall time, memory of all their processes, disk, and what a registry sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.registry import Registry

TOOL = (sys.executable, "-m", "wrapper")
PULL = ("--final-tls-verify", "false", "--base-tls-verify", "false", "--quiet")
PUSH = ("--dest-tls-verify", "false", "--quiet")
SAMPLE = 0.01


@dataclass
class Run:
    """One run of a command: wall time in seconds; peaks of memory (of all its processes) and of disk, in bytes."""

    seconds: float
    memory: int
    disk: int
    fetched: int


class Sampler:
    """Looks at a process, at those that it began, and at folders again and again while a command runs."""

    def __init__(self, process: int, folders: Sequence[Path]) -> None:
        self._process = process
        self._folders = folders
        self._ended = threading.Event()
        self.memory = self.disk = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE):
            self.disk = max(self.disk, sum(map(_disk, self._folders)))
            self.memory = max(self.memory, _memory(self._process))


def _memory(process: int) -> int:
    """Return what a process and all below it have, in bytes; what several share counts once."""
    folder = Path(f"/proc/{process}")
    try:
        rollup = (folder / "smaps_rollup").read_text()
        own = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        children = [child for task in folder.glob("task/*/children") for child in task.read_text().split()]
    except (OSError, StopIteration):
        # It has ended meanwhile.
        return 0
    return own + sum(_memory(int(child)) for child in children)


def _disk(path: Path) -> int:
    """Return what is used below a folder, in bytes: sparse files take nothing."""
    total = 0
    try:
        for each in os.scandir(path):
            if each.is_dir(follow_symlinks=False):
                total += _disk(Path(each.path))
            else:
                total += each.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        pass
    return total


def measure(command: Sequence[str], folder: Path, registry: Registry, said: Path | None = None) -> Run:
    """Run a command in an empty folder, and measure it; what it says goes to a file, or nowhere."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    before = _sent(registry)
    # What other runs have written is not this one's to wait for.
    os.sync()
    environment = os.environ | {"TMPDIR": str(folder / "tmp")}
    begun = time.perf_counter()
    with (
        (said or Path(os.devnull)).open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output) as process,
        Sampler(process.pid, [folder]) as sampler,
    ):
        code = process.wait()
        seconds = time.perf_counter() - begun
    if code:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Run(seconds, sampler.memory, sampler.disk, _sent(registry) - before)


def _sent(registry: Registry) -> int:
    """Return how many bytes a registry has answered with so far, by its access log."""
    total = 0
    for line in registry.log.read_text().splitlines():
        parts = line.split('" ')
        if len(parts) > 1 and (fields := parts[1].split()) and len(fields) > 1 and fields[1].isdigit():
            total += int(fields[1]) if '"GET ' in line else 0
    return total
