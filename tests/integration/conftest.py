from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support.certificates import make_certificates
from tests.support.images import Image, fresh, layer, platform, put_image, put_list
from tests.support.registry import Registry, free_port
from tests.support.release import Release
from tests.support.stores import Store, why_no_store
from tests.support.tool import ACCOUNTS, Tool
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

# What tests build is not measured: that it is built soon counts.
os.environ.setdefault("CFLAGS", "-O0")


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


@pytest.fixture
def world(tool: Tool, vendor: Registry, customer: Registry) -> World:
    return World(tool, vendor, customer)


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
    yield from _running(Registry(folder, tls=make_certificates(folder)))


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


@pytest.fixture
def stores() -> Iterator[list[Store]]:
    """Two of them, empty; podman wants their paths to be short."""
    if why := why_no_store():
        pytest.skip(why)
    made = [Store(Path(tempfile.mkdtemp())) for _ in range(2)]
    yield made
    for store in made:
        store.remove()


@pytest.fixture
def daemon(stores: list[Store]) -> Iterator[tuple[str, Store]]:
    """podman's Docker API: where it listens, and its store."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*stores[0].podman, "system", "service", "--time=0", f"tcp:{address}"], stderr=subprocess.DEVNULL
    ) as running:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urlopen(f"http://{address}/_ping"):
                    break
            except OSError:
                time.sleep(0.05)
        yield f"http://{address}", stores[0]
        running.terminate()
