"""Logins: each side its own, and none where others can read it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
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
from wrapper import Access, Authentications, Incremental

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


def test_one_login_for_all_sides(tool: Tool, prepared: Prepared) -> None:
    one, two = f"{prepared.host}/{prepared.repository}:1", f"{prepared.host}/{prepared.repository}:2"
    bare = ("pull", two, "-b", one, "-o", "x.tar")
    pull = (*bare, "--tls-verify", "false")
    good = auth_file(tool.home / "good.json", prepared.host, ANN)
    bad = auth_file(tool.home / "bad.json", prepared.host, "ann:wrong")
    tool.good(*pull, "--creds", ANN)
    tool.good(*pull, env={"SKOPEO_INCREMENTAL_PULL_CREDS": ANN})
    tool.good(*pull, "--creds", "-", stdin=f"{ANN}\n")
    tool.good(*pull, "--creds", ANN, "--authfile", bad)
    # What a side has itself counts for it.
    tool.good(*pull, "--creds", "ann:wrong", "--base-creds", BOB, "--final-creds", ANN)
    tool.good(*pull, "--creds", "ann:wrong", "--base-authfile", good, "--final-creds", ANN)
    assert tool(*pull, "--creds", ANN, "--base-creds", "ann:wrong").code == 5
    assert tool(*pull, "--creds", ANN, "--final-authfile", bad).code == 5
    # The line for all sides comes first.
    tool.good(*pull, "--creds", "-", "--base-creds", "-", "--final-creds", ANN, stdin=f"ann:wrong\n{BOB}\n")
    ran = tool(*pull, "--creds", "-", "--base-creds", "-", stdin=f"{ANN}\n", env={"LC_ALL": "C.UTF-8"})
    assert ran.code == 2
    assert "--base-creds is -" in ran.stderr
    tool.good(*bare, "--creds", ANN, "--tls-verify", "true", *PLAIN_PULL)
    assert tool(*bare, "--creds", ANN, "--tls-verify", "true", "--base-tls-verify", "false").code == 5
    there = f"{prepared.host}/{prepared.target}:2"
    for words in (
        ("vet", "x.tar", there),
        ("push", "x.tar", there),
        ("complete", "x.tar", "-b", one, "-o", "y.tar"),
    ):
        tool.good(*words, "--creds", CAT, "--tls-verify", "false")


def test_certificates_for_all_sides(tool: Tool, secure: Registry) -> None:
    repository = fresh()
    for tag in "12":
        put_image(secure, repository, tag, [layer("a"), layer(f"b{tag}")])
    certificates = tool.home / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes((secure.folder / "ca.crt").read_bytes())
    (tool.home / "none").mkdir()
    one, two = f"{secure.host}/{repository}:1", f"{secure.host}/{repository}:2"
    pull = ("pull", two, "-b", one, "-o", "x.tar")
    assert tool(*pull).code == 5
    tool.good(*pull, "--cert-dir", "certificates")
    assert tool(*pull, "--cert-dir", "certificates", "--base-cert-dir", "none").code == 5
    tool.good(*pull, "--cert-dir", "none", "--base-cert-dir", certificates, "--final-tls-verify", "no")
    # As the manual says.
    tool.good(*pull, env={"SSL_CERT_FILE": str(certificates / "ca.crt")})
    tool.good(*pull, env={"SSL_CERT_DIR": str(certificates)})


def test_a_login_for_the_side_that_is_asked_reaches_no_other(
    tool: Tool, locked: Registry, prepared: Prepared
) -> None:
    tool.good(*prepared.pull(), "--creds", ANN)
    stored, there = f"docker://{locked.host}/{fresh()}:1", f"{locked.host}/{prepared.target}:2"
    tool.good("push", "x.tar", stored, "--as-delta", "--creds", ANN, *PLAIN_DEST)
    inspect = ("inspect", stored, "--for", there, "--tls-verify", "false")
    tool.good(*inspect, "--creds", ANN)
    tool.good(*inspect, "--dest-creds", ANN, "--src-creds", BOB)
    ran = tool(*inspect, "--dest-creds", ANN, "--json")
    assert ran.code == 5
    assert "--src-creds" in ran.json["error"]["next"]


def test_kits_show_no_login(tool: Tool, prepared: Prepared) -> None:
    images = [{"name": "app:2", "final": f"{prepared.host}/{prepared.repository}:2"}]
    (tool.home / "spec.json").write_text(json.dumps({"images": images}))
    environment = tool.environment | {"PYTHONPATH": str(ROOT), "SKOPEO_INCREMENTAL_KIT_IMPORT_DEST_CREDS": CAT}

    def kit(*words: str, stdin: str = "") -> None:
        command = [str(tool.program), "kit", *words, "--debug"]
        ran = subprocess.run(
            command, env=environment, cwd=tool.home, input=stdin, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert not [secret for secret in SECRETS if secret in ran.stdout + ran.stderr]

    with Arguments() as arguments:
        kit("export", "spec.json", "kit", "--final-creds", ANN, "--final-tls-verify", "false")
        for words in (["--check"], []):
            kit("import", "kit", f"{prepared.host}/{prepared.target}", *words, *PLAIN_DEST)
        shutil.rmtree(tool.home / "kit")
        kit("export", "spec.json", "kit", "--creds", "-", "--tls-verify", "false", stdin=f"{BOB}\n")
    assert any("airgap-import" in line for line in arguments.seen)
    # It was told to the command itself, once.
    exposed = [line for line in arguments.seen if any(secret in line for secret in SECRETS)]
    assert not [line for line in exposed if "airgap" in line or " pull " in line.replace("\0", " ")]


def test_our_variables_do_not_reach_skopeo(tool: Tool, prepared: Prepared) -> None:
    spy = tool.spy(f"env >> {tool.home}/environment")
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


class Spy:
    """A skopeo that first writes down where the auth files lie that it is given, and which files have a password.

    Its working folder, the home and the folder for temporary files are searched.
    """

    def __init__(self, tool: Tool) -> None:
        self.path = tool.home.parent / "spy"
        self._log = tool.home.parent / "spied"
        places = f". {tool.home} {tool.temporary}"
        self.path.write_text(
            "#!/bin/sh\n"
            f'for each; do case $each in *authfile=*) stat -Lfc %T "${{each#*=}}" >> {self._log}\n'
            f'stat -Lc %a "${{each#*=}}" >> {self._log};; esac; done\n'
            f'grep -rlE "Pa55|{"|".join(SECRETS[3:])}" {places} >> {self._log}\n'
            f'exec {shutil.which("skopeo")} "$@"\n'
        )
        self.path.chmod(0o755)

    def seen(self) -> set[str]:
        lines = set(self._log.read_text().split()) if self._log.exists() else set()
        self._log.unlink(missing_ok=True)
        return lines


@pytest.fixture(params=[False, True], ids=["", "no shared memory"])
def hidden(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """What a command is run by: nothing, or what takes /dev/shm and the runtime folders away."""
    if not request.param:
        return []
    (tmp_path / "empty").mkdir()
    script = 'for each in /dev/shm /run/user; do [ ! -d $each ] || mount --bind "$0" $each; done; exec "$@"'
    become = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "empty")]
    if subprocess.run([*become, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    return become


@pytest.mark.parametrize("command", ["pull", "bundle", "vet", "push", "complete", "inspect", "doctor", "writer"])
def test_passwords_are_never_on_a_disk(tool: Tool, prepared: Prepared, hidden: list[str], command: str) -> None:
    spy = Spy(tool)
    tool.good(*prepared.pull(), "--base-creds", ANN, "--final-creds", BOB)
    one, two = f"{prepared.host}/{prepared.repository}:1", f"{prepared.host}/{prepared.repository}:2"
    there = f"{prepared.host}/{prepared.target}:2"
    (tool.home / "spec").write_text(json.dumps({"images": [{"name": "app:2", "final": two, "base": one}]}))
    sides = {
        "base": ("--base-creds", ANN, "--base-tls-verify", "false"),
        "final": ("--final-creds", BOB, "--final-tls-verify", "false"),
        "dest": ("--dest-creds", CAT, *PLAIN_DEST),
    }
    output = ("-o", "folder/o.tar")
    (tool.home / "folder").mkdir()
    wanted = {
        "pull": ("pull", two, "-b", one, *output, *sides["base"], *sides["final"]),
        "bundle": ("pull", "--spec", "spec", *output, *sides["base"], *sides["final"]),
        "vet": ("vet", "x.tar", there, *sides["dest"]),
        "push": ("push", "x.tar", there, "-b", one, *sides["base"], *sides["dest"]),
        "complete": ("complete", "x.tar", "-b", one, *output, *sides["base"]),
        "inspect": ("inspect", "x.tar", "--for", there, *sides["dest"]),
        "doctor": ("doctor", there, "--creds", CAT, "--tls-verify", "false"),
    }
    if command == "writer":
        script = (
            "import sys, wrapper\n"
            "base, final, to, skopeo, *creds = sys.argv[1:]\n"
            "accesses = [wrapper.Access(creds=each, tls_verify=False) for each in creds]\n"
            "writer = wrapper.Writer(\n"
            "    base, to, from_access=accesses[0], to_access=accesses[2], skopeo=skopeo, temp_dir='folder'\n"
            ")\n"
            "writer.copy(final, accesses[1])\n"
        )
        line = [sys.executable, "-c", script, one, two, f"docker://{there}", str(spy.path), ANN, BOB, CAT]
    else:
        tmpdir = ("--tmpdir", "folder") if command not in ("pull", "bundle", "complete") else ()
        line = [*tool.command, *wanted[command], *tmpdir, "--skopeo", str(spy.path)]
    ran = subprocess.run(
        [*hidden, *line], env=tool.environment, cwd=tool.home, capture_output=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert spy.seen() == {"tmpfs", "600"}


def test_a_password_does_not_outlive_a_kill(tool: Tool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        running = subprocess.Popen(
            [*tool.command, "pull", f"{host}/app:1", "-o", "o.tar", "--final-creds", ANN], env=tool.environment,
            cwd=tool.home, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        # By then skopeo has its login.
        silent.accept()[0].close()
        running.kill()
        running.wait()
    places = [str(place) for place in (tool.home, tool.temporary, Path("/dev/shm")) if place.exists()]
    assert subprocess.run(["grep", "-rlE", "|".join(SECRETS), *places], check=False).returncode == 1
    assert list(tool.home.glob("skopeo-incremental-*"))


def test_only_its_owner_reads_a_temporary_archive(
    tool: Tool, vendor: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    monkeypatch.setenv("TMPDIR", str(tool.temporary))
    usual = os.umask(0)
    try:
        plain = Authentications(final=Access(tls_verify=False))
        with Incremental(authentications=plain).pull(None, f"{vendor.host}/{repository}:1"):
            (archive,) = tool.temporary.iterdir()
            assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    finally:
        os.umask(usual)
