from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .images import Image, fresh, layer, platform, put_image, put_list
from .registry import Registry
from .release import Release

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PLAIN_PULL = ("--base-tls-verify", "false", "--final-tls-verify", "false")
PLAIN_DEST = ("--dest-tls-verify", "false")
ACCOUNTS = {"ann": "ann:first-Pa55:word", "bob": "bob:second-Pa55", "cat": "cat:third-Pa55"}


@dataclass
class Ran:
    code: int
    stdout: bytes
    stderr: str

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
        return kept | {"HOME": str(self.home), "TMPDIR": str(self.temporary)}

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

    def __call__(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        stdin: str = "",
        cwd: Path | None = None,
    ) -> Ran:
        ran = subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin.encode(),
            capture_output=True,
            env=self.environment | (env or {}),
            cwd=cwd or self.home,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in ran.stderr.decode(errors="replace"), ran.stderr.decode()
        return Ran(ran.returncode, ran.stdout, ran.stderr.decode(errors="replace"))

    def good(self, *arguments: str | Path, **more: Any) -> Ran:
        ran = self(*arguments, **more)
        assert ran.code == 0, ran.stderr
        return ran

    def leftovers(self) -> list[str]:
        """What stands in the folder for temporary files."""
        return sorted(path.name for path in self.temporary.iterdir())


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    return Tool(home, temporary)


def _running(registry: Registry) -> Iterator[Registry]:
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    yield from _running(Registry(tmp_path_factory.mktemp("vendor")))


@pytest.fixture(scope="session")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    yield from _running(Registry(tmp_path_factory.mktemp("customer")))


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that three accounts can log in to."""
    folder = tmp_path_factory.mktemp("locked")
    users = folder / "htpasswd"
    for account in ACCOUNTS.values():
        user, _, password = account.partition(":")
        create = [] if users.exists() else ["-c"]
        subprocess.run(["htpasswd", "-bB", *create, users, user, password], check=True, capture_output=True)
    extra = {"auth": {"htpasswd": {"realm": "test", "path": str(users)}}}
    yield from _running(Registry(folder, extra=extra, login=ACCOUNTS["ann"]))


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that speaks TLS, with a certificate of a CA of its own, `ca.crt` in its folder."""
    folder = tmp_path_factory.mktemp("secure")
    subject = ["-subj", "/CN=test"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    for command in (
        ["req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA"],
        ["req", *key, "-keyout", "server.key", "-out", "server.csr", *subject],
        ["x509", "-req", "-in", "server.csr", *sign, "-days", "2", "-out", "server.crt"],
    ):
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    yield from _running(Registry(folder, tls=(folder / "server.crt", folder / "server.key")))


def skopeo(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Plain skopeo, to compare with."""
    ran = subprocess.run(["skopeo", *map(str, arguments)], capture_output=True, cwd=cwd, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


@pytest.fixture
def wide(vendor: Registry) -> tuple[str, Image]:
    """A list of five platforms, which share a layer."""
    repository = fresh("wide")
    common = layer(repository, 300_000)
    leaves = [
        put_image(vendor, repository, None, [common, layer(f"{repository}{number}", 300_000)], arch=f"cpu{number}")
        for number in range(5)
    ]
    described = [(leaf, platform(f"cpu{number}")) for number, leaf in enumerate(leaves)]
    return f"{vendor.host}/{repository}:1", put_list(vendor, repository, "1", described)


@pytest.fixture
def release(tool: Tool, vendor: Registry, customer: Registry) -> Release:
    return Release(tool, vendor, customer)
