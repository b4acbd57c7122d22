"""The command as a test runs it, and what it answers; beside it plain skopeo, to compare with."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.forked import Forker

ROOT = Path(__file__).parents[2]
PLAIN_PULL = ("--base-tls-verify", "false", "--final-tls-verify", "false")
PLAIN_DEST = ("--dest-tls-verify", "false")
ACCOUNTS = {"ann": "ann:first-Pa55:word", "bob": "bob:second-Pa55", "cat": "cat:third-Pa55"}


_SECONDS = 600
"""Whatever runs longer hangs, on any machine. How much work a run may be is asserted of its CPU time."""

forker = cache(Forker)
"""What runs the command without starting Python each time."""


@dataclass
class Ran:
    """What a run answered; and the seconds of CPU that it took, with all that it started."""

    code: int
    stdout: bytes
    stderr: str
    cpu: float = 0.0

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value


@dataclass
class Tool:
    """The command, run as a user would, in a world of its own."""

    home: Path
    temporary: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SKOPEO_INCREMENTAL", "XDG_", "REGISTRY_AUTH", "DOCKER_"))
        }
        own = {"HOME": self.home, "TMPDIR": self.temporary, "CONTAINERS_STORAGE_CONF": self.storage}
        return kept | {name: str(path) for name, path in own.items()}

    @property
    def storage(self) -> Path:
        """What says where the local store is: root's is otherwise the machine's own."""
        path = self.home.parent / "storage.conf"
        store = self.home.parent / "store"
        path.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{store}/r"\ngraphroot = "{store}/s"\n')
        return path

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "wrapper"]

    @property
    def program(self) -> Path:
        """The command as one file, for scripts that run it."""
        path = self.home.parent / "skopeo-incremental"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m wrapper "$@"\n')
        path.chmod(0o755)
        return path

    def spy(self, before: str) -> Path:
        """A skopeo before which a shell does something; `$*` are its arguments."""
        path = self.home.parent / "spy"
        path.write_text(f'#!/bin/sh\n{before}\nexec {shutil.which("skopeo")} "$@"\n')
        path.chmod(0o755)
        return path

    def __call__(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        stdin: str = "",
        cwd: Path | None = None,
    ) -> Ran:
        words, environment = [*map(str, arguments)], self.environment | (env or {})
        if forker().takes(words, environment):
            ran, cpu = forker().run(words, environment, cwd or self.home, stdin.encode(), _SECONDS)
        else:
            before = _cpu_of_children()
            ran = subprocess.run(
                [*self.command, *words],
                input=stdin.encode(),
                capture_output=True,
                env=environment,
                cwd=cwd or self.home,
                timeout=_SECONDS,
                check=False,
            )
            cpu = _cpu_of_children() - before
        assert "Traceback" not in ran.stderr.decode(errors="replace"), ran.stderr.decode()
        return Ran(ran.returncode, ran.stdout, ran.stderr.decode(errors="replace"), cpu)

    def good(self, *arguments: str | Path, **more: Any) -> Ran:
        ran = self(*arguments, **more)
        assert ran.code == 0, ran.stderr
        return ran

    def leftovers(self) -> list[str]:
        """What stands in the folder for temporary files."""
        return sorted(path.name for path in self.temporary.iterdir())


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def skopeo(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Plain skopeo, to compare with."""
    ran = subprocess.run(["skopeo", *map(str, arguments)], capture_output=True, cwd=cwd, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


def refused(ran: Ran, code: int, *words: str) -> None:
    """The exit code is right, both in fact and in JSON, and the message has the words."""
    assert ran.code == code, (ran.text, ran.stderr)
    error = ran.json["error"]
    assert error["code"] == code
    assert "\n" not in error["message"]
    for word in words:
        assert word in error["message"] + " " + error["next"], error
