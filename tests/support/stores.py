"""Local stores of podman's, and its Docker API."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path


class Store:
    """A local store of podman's."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.podman = ["podman", "--root", f"{home}/s", "--runroot", f"{home}/r", "--storage-driver", "vfs"]

    def reference(self, name: str) -> str:
        return f"containers-storage:[vfs@{self._home}/s+{self._home}/r]localhost/{name}"

    def layers(self) -> list[str]:
        path = self._home / "s/vfs-layers/layers.json"
        return [each["compressed-diff-digest"] for each in json.loads(path.read_bytes())] if path.exists() else []

    def images(self) -> list[str]:
        shown = ["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.Id}}"]
        return subprocess.run([*self.podman, *shown], capture_output=True, text=True, check=True).stdout.split()

    def run(self, name: str, *command: str) -> str:
        """Run a program of an image; where a sandbox refuses podman that, in its folder."""
        ran = subprocess.run(
            [*self.podman, "run", "--rm", "--network=none", f"localhost/{name}", *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode == 0:
            return ran.stdout
        mount = [*self.podman, "image", "mount", f"localhost/{name}"]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=True).stdout.strip()
        return subprocess.run(["chroot", mounted, *command], capture_output=True, text=True, check=True).stdout

    def remove(self) -> None:
        subprocess.run([*self.podman, "image", "umount", "--all"], capture_output=True, check=False)
        shutil.rmtree(self._home)


@cache
def why_no_store() -> str:
    """Say why no image can be put into a local store here, as without privileges; nothing where one can."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with tarfile.open(f"{folder}/x.tar", "w") as tar:
            tar.add(__file__, "x")
        store = Store(Path(folder))
        ran = subprocess.run(
            [*store.podman, "import", f"{folder}/x.tar", "x"], capture_output=True, text=True, check=False
        )
    return f"podman has no local store here: {ran.stderr.strip()[-200:]}" if ran.returncode else ""
