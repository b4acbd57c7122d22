"""The Ansible collection, as it stands in the checkout and as users build and install it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.tool import ROOT

FOLDER = ROOT / "scripts/ansible"
NAME = "skopeo_incremental.images"
SOURCE = FOLDER / "collections/ansible_collections" / NAME.replace(".", "/")
BIN = Path(sys.executable).parent


def ansible(
    program: str, *words: str | Path, cwd: Path, home: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of Ansible in a home of its own, where it finds no collection unless it is told where."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = kept | {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), **more}
    return subprocess.run(
        [BIN / program, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def build(folder: Path) -> Path:
    """Build the file for Galaxy."""
    ran = ansible("ansible-galaxy", "collection", "build", "--output-path", folder, cwd=SOURCE, home=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (path,) = folder.glob("*.tar.gz")
    return path


def install(file: Path, folder: Path) -> Path:
    """Install that file without a network; return the folder in which Ansible finds collections."""
    words = ("collection", "install", file, "-p", folder, "--offline")
    ran = ansible("ansible-galaxy", *words, cwd=folder, home=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder
