"""A containerd of a test's own, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFF = ("grpc.v1.cri", *(f"snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")))


def why_no_containerd() -> str:
    """Say why containerd can't run here; nothing where it can."""
    if os.geteuid():
        return "containerd needs root"
    return (
        ""
        if shutil.which("containerd") and shutil.which("ctr")
        else "there is no containerd: see scripts/containerd"
    )


@contextmanager
def running() -> Iterator[Path]:
    """Run one; return its socket, whose path must be short."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket = folder / "socket"
        off = ", ".join(f'"io.containerd.{plugin}"' for plugin in _OFF)
        (folder / "config.toml").write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = [{off}]\n'
            f'[grpc]\naddress = "{socket}"\n'
        )
        command = ["containerd", "--config", str(folder / "config.toml")]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as process,
        ):
            try:
                deadline = time.monotonic() + 60
                while not socket.exists():
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                yield socket
            finally:
                process.terminate()


def fetch(socket: Path, reference: str, hosts: Path) -> subprocess.CompletedProcess[str]:
    """Fetch an image's blobs, by the settings of registries in a folder."""
    command = ["ctr", "--address", str(socket), "content", "fetch", "--hosts-dir", str(hosts), reference]
    return subprocess.run(command, capture_output=True, text=True, check=False)
