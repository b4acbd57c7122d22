"""Logins: each side its own, and none where others can read it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, ROOT, Tool

if TYPE_CHECKING:
    from tests.support.registry import Registry

ANN, BOB, CAT = ACCOUNTS.values()
SECRETS = [
    *(account.partition(":")[2] for account in ACCOUNTS.values()),
    *(base64.b64encode(account.encode()).decode() for account in ACCOUNTS.values()),
]


class Arguments:
    """Collects the arguments of every process while the block runs, but for the tool's own."""

    def __enter__(self) -> Arguments:
        self.seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            for process in Path("/proc").iterdir():
                try:
                    line = (process / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if "wrapper" not in line.split("\0"):
                    self.seen.add(line)


class Prepared:
    """Two releases in a registry with logins, and the first one where it is to go."""

    def __init__(self, locked: Registry) -> None:
        self.host = locked.host
        self.repository, self.target = fresh(), fresh("there")
        put_image(locked, self.repository, "1", [layer("a")])
        self.final = put_image(locked, self.repository, "2", [layer("a"), layer("b")])
        put_image(locked, self.target, "1", [layer("a")])

    def pull(self) -> tuple[str, ...]:
        one, two = f"{self.host}/{self.repository}:1", f"{self.host}/{self.repository}:2"
        return ("pull", two, "-b", one, "-o", "x.tar", *PLAIN_PULL)

    def push(self, tag: str = "2") -> tuple[str, ...]:
        return ("push", "x.tar", f"{self.host}/{self.target}:{tag}", *PLAIN_DEST)


@pytest.fixture
def prepared(locked: Registry) -> Prepared:
    return Prepared(locked)


def test_three_accounts_on_one_host_and_no_secret_in_sight(
    tool: Tool, locked: Registry, prepared: Prepared
) -> None:
    said = ""
    with Arguments() as arguments:
        for ran in (
            tool.good(*prepared.pull(), "--base-creds", ANN, "--final-creds", BOB, "--debug"),
            tool.good("vet", *prepared.push()[1:], "--dest-creds", CAT, "--debug"),
            tool.good(*prepared.push(), "--dest-creds", CAT, "--debug"),
        ):
            said += ran.text + ran.stderr
    assert any("skopeo" in line for line in arguments.seen)
    content = (tool.home / "x.tar").read_bytes().decode("latin1")
    for secret in SECRETS:
        assert not [line for line in arguments.seen if secret in line]
        assert secret not in said
        assert secret not in content
    assert locked.manifest(prepared.target, "2") == prepared.final.raw


def test_a_wrong_login_is_refused(tool: Tool, prepared: Prepared) -> None:
    for flags, side in (
        (["--base-creds", ANN], "--final-creds"),
        (["--final-creds", ANN], "--base-creds"),
        (["--final-creds", ANN, "--base-creds", "ann:wrong-Pa55"], "--base-creds"),
        (["--final-creds", "bob:wrong-Pa55", "--base-creds", BOB], "--final-creds"),
    ):
        ran = tool(*prepared.pull(), *flags, "--json", "--debug")
        assert ran.code == 5
        assert side in ran.json["error"]["next"]
        assert "wrong-Pa55" not in ran.text + ran.stderr
    tool.good(*prepared.pull(), "--final-creds", ANN, "--base-creds", ANN)
    for command in (("vet", *prepared.push()[1:]), prepared.push()):
        ran = tool(*command, "--json")
        assert ran.code == 5
        assert "--dest-creds" in ran.json["error"]["next"]


def auth_file(path: Path, host: str, account: str) -> str:
    encoded = base64.b64encode(account.encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
    return str(path)


def test_auth_files_in_their_order(tool: Tool, prepared: Prepared) -> None:
    good = auth_file(tool.home / "good.json", prepared.host, ANN)
    bad = auth_file(tool.home / "bad.json", prepared.host, "ann:wrong")
    # Each one counts before those that come after it.
    tool.good(*prepared.pull(), "--authfile", good)
    tool.good(*prepared.pull(), env={"REGISTRY_AUTH_FILE": good})
    tool.good(*prepared.pull(), "--authfile", good, env={"REGISTRY_AUTH_FILE": bad})
    sides = ["--base-authfile", "good.json", "--final-authfile", good]
    tool.good(*prepared.pull(), *sides, "--authfile", bad)
    tool.good(*prepared.pull(), "--base-creds", ANN, "--final-creds", BOB, "--authfile", bad)
    assert tool(*prepared.pull(), "--authfile", bad, env={"REGISTRY_AUTH_FILE": good}).code == 5
    # What is left is skopeo's own.
    (tool.home / ".docker").mkdir()
    auth_file(tool.home / ".docker" / "config.json", prepared.host, ANN)
    tool.good(*prepared.pull())


def test_credentials_from_the_environment_and_from_standard_input(tool: Tool, prepared: Prepared) -> None:
    environment = {"SKOPEO_INCREMENTAL_PULL_BASE_CREDS": ANN, "SKOPEO_INCREMENTAL_PULL_FINAL_CREDS": BOB}
    tool.good(*prepared.pull(), env=environment)
    tool.good(*prepared.pull(), "--base-creds", "-", "--final-creds", "-", stdin=f"{ANN}\n{BOB}\n")
    tool.good(*prepared.push(), "--dest-creds", "-", stdin=f"{CAT}\n")
    assert tool(*prepared.push(), "--dest-creds", "-").code == 2


def test_our_variables_do_not_reach_skopeo(tool: Tool, prepared: Prepared) -> None:
    spy = tool.home / "spy"
    spy.write_text(f'#!/bin/sh\nenv >> {tool.home}/environment\nexec skopeo "$@"\n')
    spy.chmod(0o755)
    environment = {"SKOPEO_INCREMENTAL_PULL_BASE_CREDS": ANN, "SKOPEO_INCREMENTAL_PULL_FINAL_CREDS": BOB}
    tool.good(*prepared.pull(), "--skopeo", spy, env=environment)
    seen = (tool.home / "environment").read_text()
    assert "PATH=" in seen
    assert "SKOPEO_INCREMENTAL" not in seen


def test_a_user_without_a_runtime_folder(tool: Tool, vendor: Registry) -> None:
    """As after su: root has made /run/containers, and skopeo may not look into it."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*become, sys.executable, "-c", "import wrapper.cli.main"], cwd=ROOT, check=False).returncode:
        pytest.skip("the checkout is out of other users' reach")
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    hidden = Path("/run/containers")
    made = not hidden.exists()
    hidden.mkdir(exist_ok=True)
    mode = stat.S_IMODE(hidden.stat().st_mode)
    hidden.chmod(0o700)
    home = Path(tempfile.mkdtemp())
    try:
        home.chmod(0o777)
        ran = subprocess.run(
            [*become, *tool.command, "pull", f"{vendor.host}/{repository}:1", "-o", "x.tar", *PLAIN_PULL],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)},
            capture_output=True, check=False, cwd=home,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr.decode()
        assert (home / "x.tar").exists()
    finally:
        hidden.chmod(mode)
        if made:
            hidden.rmdir()
        shutil.rmtree(home)
