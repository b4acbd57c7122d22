"""scripts/setup in a checkout of its own: what it installs, and what it says about that. Its apt-get is ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.tool import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DEMO = ("--for", "demo")
APT_GET = """#!/bin/sh
case $* in
*--print-uris*)
    echo "Reading package lists..."
    echo "'http://x/a.deb' a.deb 1500000 SHA256:0"
    echo "'http://x/b.deb' b.deb 900000 SHA256:0"
    ;;
*) echo "chatter of apt-get"; echo "$RUNLEVEL $SYSTEMD_OFFLINE $*" >>"$CALLS"; exit "${APT_CODE:-0}" ;;
esac
"""
DPKG_QUERY = """#!/bin/sh
for name; do case $name in -*) ;; umoci) echo "umoci ${UMOCI:-installed}" ;; *) echo "$name installed" ;; esac; done
"""


@dataclass
class Checkout:
    folder: Path
    programs: Path
    calls: Path

    def setup(self, *words: str, user: bool = False, code: int = 0, **variables: str) -> str:
        """Run it as root, or as a user who may not become root; return what it says."""
        command = [str(self.folder / "scripts/setup"), *words]
        # Where it is somebody else's, a folder of root's is as good as our own.
        as_root = os.geteuid() == 0
        if user and as_root:
            command = ["unshare", "--user", *command]
        elif not user and not as_root:
            pytest.skip("only root installs packages")
        environment = os.environ | {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "CALLS": str(self.calls),
            "TMPDIR": str(self.calls.parent),
        }
        ran = subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def logs(self) -> list[Path]:
        return list(self.calls.parent.glob("*.log"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder, programs, temporary = tmp_path / "checkout", tmp_path / "programs", tmp_path / "temporary"
    for each in (folder, programs, temporary):
        each.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("scripts", "skopeo_incremental", "wrapper", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name, text in {"apt-get": APT_GET, "dpkg-query": DPKG_QUERY, "sudo": "#!/bin/sh\nexit 1\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Checkout(folder, programs, temporary / "calls")


def test_the_demo_gets_what_it_needs_and_no_more(checkout: Checkout) -> None:
    said = checkout.setup(*DEMO, UMOCI="not-installed").splitlines()
    installed, made = "installed umoci", "made .venv"
    assert said[0] == f"setup: {installed}; {made}; ready"
    assert said[1:4] == [
        "setup: Debian packages are missing: umoci",
        "setup: apt-get update: reading which versions there are",
        "setup: apt-get install: 2 packages in all, 2.4 MB to download",
    ]
    assert [line.partition(":")[0] for line in said] == ["setup"] * 5
    update, install = checkout.calls.read_text().splitlines()
    # In run level 1, and offline for systemctl, no server is started.
    assert update == "1 1 -q update"
    assert install.startswith("1 1 install --no-install-recommends ")
    assert install.endswith(" umoci")
    programs = {path.name for path in (checkout.folder / ".venv/bin").iterdir()}
    assert "skopeo-incremental" in programs
    assert not {"pytest", "mypy", "ruff", "cython"} & programs
    assert checkout.logs() == []
    # Once more, there is nothing left to do; for a user, neither.
    assert checkout.setup(*DEMO, user=True) == "setup: nothing to do, all is ready\n"
    # For work, it is not enough.
    said = "".join(checkout.setup(code=1, PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null", PIP_FIND_LINKS=""))
    assert "with the command, linters and test tools" in said
    assert "setup: pip failed with exit code 1; all that was said is in " in said


def test_what_fails_is_named_with_its_log(checkout: Checkout) -> None:
    said = checkout.setup(UMOCI="not-installed", APT_CODE="100", code=1)
    (log,) = checkout.logs()
    assert f"setup: apt-get update failed with exit code 100; all that was said is in {log}" in said
    assert "chatter of apt-get" in log.read_text()


@pytest.mark.parametrize("words", [(), DEMO])
def test_who_is_not_root_is_told_what_root_has_to_do(checkout: Checkout, words: tuple[str, ...]) -> None:
    said = checkout.setup(*words, user=True, code=1, UMOCI="not-installed").splitlines()
    assert "(2 packages in all, 2.4 MB to download)" in said[0]
    no_server = "env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1"
    assert said[1:] == ["apt-get update", f"{no_server} apt-get install --no-install-recommends umoci"]
    assert not checkout.calls.exists()
    assert checkout.logs() == []


def test_it_takes_one_purpose(checkout: Checkout) -> None:
    for words in (["--for"], ["--for", "work"], ["demo"], ["--for", "demo", "x"]):
        assert "no arguments but --for demo" in checkout.setup(*words, user=True, code=1)
