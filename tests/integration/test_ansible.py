"""The collection, built and installed as users do: a real ansible-playbook against real registries."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.collection import BIN, FOLDER, NAME, build, install
from tests.support.images import digest_of, fresh
from tests.support.registry import free_port
from tests.support.tool import ACCOUNTS, ROOT

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.release import Release

ROLE = f"{NAME}.incremental_image"
LOCAL = "localhost ansible_connection=local\n"


class Played:
    """What a run of ansible-playbook did."""

    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        self.code, self.text = ran.returncode, ran.stdout + ran.stderr
        found = re.findall(r"^(\S+) +: (ok=.*)$", ran.stdout, re.MULTILINE)
        self.recap = {
            host: {name: int(count) for name, _, count in (each.partition("=") for each in counts.split())}
            for host, counts in found
        }

    @property
    def changed(self) -> int:
        return self.recap["localhost"]["changed"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the collection, as users install it from a file."""
    return install(build(tmp_path_factory.mktemp("built")), tmp_path_factory.mktemp("installed"))


@pytest.fixture(autouse=True)
def found(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Playbooks find the installed collection; those of the checkout bring their own."""
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(installed))


def play(release: Release, playbook: Path | str, *options: str, inventory: str = LOCAL, **variables: Any) -> Played:
    home = release.tool.home
    (home / "inventory").write_text(inventory)
    interpreter = {
        "ansible_python_interpreter": sys.executable,
        "incremental_image_executable": str(release.tool.program),
    }
    given = ["-i", str(home / "inventory"), "-e", json.dumps({**interpreter, **variables})]
    environment = release.tool.environment | {"ANSIBLE_NOCOLOR": "1", "PYTHONPATH": str(ROOT)}
    if isinstance(playbook, Path) and playbook.is_relative_to(ROOT):
        del environment["ANSIBLE_COLLECTIONS_PATH"]
    ran = subprocess.run(
        [BIN / "ansible-playbook", *given, *options, playbook],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Played(ran)


def task(release: Release, entry: str, /, **variables: Any) -> Path:
    """A playbook with one task, which keeps what it returned in `result.json`, whatever became of it."""
    path = release.tool.home / f"{entry}.yml"
    given = {f"incremental_image_{name}": value for name, value in variables.items()}
    include = {"include_role": {"name": ROLE, "tasks_from": entry}, "vars": given}
    content = "{{ incremental_image_result | default({}) | to_json }}"
    keep = {"copy": {"content": content, "dest": str(release.tool.home / "result.json")}, "check_mode": False}
    keep |= {"changed_when": False, "diff": False}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [{"block": [include], "always": [keep]}]}]
    path.write_text(json.dumps(plays))
    return path


def result(release: Release) -> Any:
    return json.loads((release.tool.home / "result.json").read_text())


@pytest.fixture
def plain() -> dict[str, bool]:
    return {"base_tls_verify": False, "final_tls_verify": False}


def test_both_sides_of_a_gap(release: Release) -> None:
    """The examples: first told by --check, then done, then nothing left to do."""
    for tag in "12":
        for name in ("app", "worker"):
            release.put(f"{name}:{tag}", [release.common, name.encode() * 1000, f"{name}{tag}".encode() * 1000])
    for image in ("app", "worker"):
        for data in (release.common, image.encode() * 1000):
            release.customer.put_blob(f"{release.prefix}/{image}", digest_of(data), data)
    archive = release.tool.home / "release.tar"
    pulling = {"archive": str(archive), "prefix": f"{release.vendor.host}/{release.at}", "plain_http": True}
    sites = f"berlin registry={release.customer.host}/{release.prefix}\n"
    pushing = {"archive": str(archive), "plain_http": True}
    checked = play(release, FOLDER / "export.yml", "--check", **pulling)
    assert (checked.code, checked.changed) == (0, 1), checked.text
    assert not archive.exists()
    done = play(release, FOLDER / "export.yml", **pulling)
    assert (done.code, done.changed) == (0, 1), done.text
    assert "2 layers" in done.text
    before = archive.stat().st_mtime_ns
    watch = release.vendor.watch()
    for options in ((), ("--check",)):
        again = play(release, FOLDER / "export.yml", *options, **pulling)
        assert (again.code, again.changed) == (0, 0), again.text
    assert archive.stat().st_mtime_ns == before
    assert watch.blobs() == []

    watch = release.customer.watch()
    checked = play(release, FOLDER / "import.yml", "--check", "--diff", inventory=sites, **pushing)
    assert (checked.code, checked.recap["berlin"]["changed"]) == (0, 1), checked.text
    assert watch.writes() == []
    assert (
        f"+docker://{release.customer.host}/{release.prefix}/app:2 {release.images['app:2'].digest}" in checked.text
    )
    done = play(release, FOLDER / "import.yml", inventory=sites, **pushing)
    assert (done.code, done.recap["berlin"]["changed"]) == (0, 1), done.text
    assert release.there("app:2") == release.images["app:2"].digest
    for options in ((), ("--check",)):
        again = play(release, FOLDER / "import.yml", *options, inventory=sites, **pushing)
        assert (again.code, again.recap["berlin"]["changed"]) == (0, 0), again.text


def test_one_image(release: Release, plain: dict[str, bool]) -> None:
    archive = str(release.tool.home / "o.tar")
    final, base = release.reference("team/one:2"), release.reference("team/one:1")
    pull = task(release, "pull", archive=archive, final=final, base=[base], **plain)
    assert play(release, pull, "--check").changed == 1
    assert play(release, pull).changed == 1
    assert play(release, pull).changed == 0
    assert result(release)["meaning"] == "done"
    # What is not as it should be any more is pulled again.
    new = release.images["team/one:2"].layers[2].removeprefix("sha256:").encode()
    data = bytearray(Path(archive).read_bytes())
    data[data.index(b"blobs/sha256/" + new) + 1000] ^= 1
    Path(archive).write_bytes(data)
    assert play(release, pull).changed == 1
    assert play(release, pull).changed == 0
    there = f"{release.customer.host}/{release.prefix}:2"
    vet = task(release, "vet", archive=archive, destination=there, dest_tls_verify=False)
    lacking = play(release, vet)
    assert lacking.code == 2
    failed = result(release)
    assert (failed["code"], failed["changed"], failed["failed"]) == (3, False, True)
    assert failed["meaning"] == "layers are missing at the destination"
    image = release.images["team/one:2"]
    assert {layer["digest"] for layer in failed["missing"]} == set(image.layers[:2])
    assert all(digest in lacking.text for digest in image.layers[:2])
    push = task(
        release,
        "push",
        archive=archive,
        destination=there,
        expect_sha256=[hashlib.sha256(Path(archive).read_bytes()).hexdigest()],
        dest_tls_verify=False,
        base=[base],
        base_tls_verify=False,
        additional_tags=["latest"],
        receipt=str(release.tool.home / "receipt.json"),
    )
    assert play(release, push, "--check").changed == 1
    assert not (release.tool.home / "receipt.json").exists()
    assert play(release, push).changed == 1
    assert (release.tool.home / "receipt.json").exists()
    assert play(release, push).changed == 0
    assert play(release, vet).code == 0
    others = task(
        release, "vet", archive=archive, destination=there, dest_tls_verify=False, expect_sha256=["0" * 64]
    )
    assert play(release, others).code != 0
    assert result(release)["code"] == 4


def test_four_sites_of_which_two_fail(release: Release, customer: Registry) -> None:
    """One lacks the base, one is down: these fail alone and say why, the others are done."""
    release.pull("1")
    prefixes = {site: fresh(site) for site in ("berlin", "oslo", "rome")}
    for site in ("berlin", "rome"):
        release.push("1.tar", prefix=prefixes[site])
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    sites = "".join(f"{site} registry={customer.host}/{prefix}\n" for site, prefix in prefixes.items())
    sites += f"paris registry=127.0.0.1:{free_port()}/site\n"
    variables = {"archive": str(release.tool.home / "2.tar"), "plain_http": True}
    played = play(release, FOLDER / "import.yml", inventory=sites, **variables)
    assert played.code != 0
    failed = {site: counts["failed"] for site, counts in played.recap.items()}
    assert failed == {"berlin": 0, "oslo": 1, "paris": 1, "rome": 0}, played.text
    for site in ("berlin", "rome"):
        assert played.recap[site]["changed"] == 1
        assert release.arrived("2", prefixes[site])
    assert not release.arrived("2", prefixes["oslo"])
    assert release.images["team/one:2"].layers[1] in played.text
    assert "connection refused" in played.text


def test_passwords_are_not_shown(release: Release, locked: Registry) -> None:
    release.tool.good("pull", release.reference("chart:7"), "-o", "o.tar", "--final-tls-verify", "false")
    there = f"{locked.host}/{fresh('chart')}:7"
    archive = str(release.tool.home / "o.tar")
    given = {"archive": archive, "destination": there, "dest_tls_verify": False}
    refused = play(release, task(release, "push", **given), "-vvv")
    assert refused.code == 2
    assert result(release)["code"] == 5
    push = task(release, "push", **given, dest_creds="{{ password_of_the_site }}")
    allowed = play(release, push, "-vvv", "--diff", password_of_the_site=ACCOUNTS["ann"])
    assert allowed.code == 0, allowed.text
    shown = allowed.text.replace(json.dumps(ACCOUNTS["ann"]), "")
    assert ACCOUNTS["ann"].partition(":")[2] not in shown.partition("TASK")[2]


@pytest.mark.parametrize(
    ("entry", "variables", "word"),
    [
        ("pull", {"archive": "o.tar"}, "incremental_image_final"),
        ("main", {"action": "fly", "archive": "o.tar"}, "fly"),
        ("bundle", {"archive": "o.tar", "images": "x"}, "images"),
        ("push", {"archive": "o.tar", "destination": "x", "overwrite_tag": "maybe"}, "overwrite_tag"),
        ("pull", {"archive": "o.tar", "final": "x", "executable": "not-there"}, "not-there"),
    ],
)
def test_arguments_are_checked(release: Release, entry: str, variables: dict[str, Any], word: str) -> None:
    extra = {f"incremental_image_{name}": value for name, value in variables.items() if name == "executable"}
    played = play(release, task(release, entry, **variables), **extra)
    assert played.code != 0
    assert word in played.text


def test_the_main_entry_point_takes_an_action(release: Release, plain: dict[str, bool]) -> None:
    archive = str(release.tool.home / "o.tar")
    final = release.reference("chart:7")
    playbook = task(release, "main", action="pull", archive=archive, final=final, **plain)
    assert play(release, playbook).changed == 1
    assert Path(archive).exists()
