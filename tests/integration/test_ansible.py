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
    from tests.support.images import Image
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


def reporting(release: Release, words: str = "") -> Path:
    """The command behind a shell that notes how it was called, and puts words into what it says of an error."""
    path = release.tool.home.parent / "reporting"
    path.write_text(
        f"#!/bin/sh\n"
        f'printf "%s\\n" "$@" >>{path}.arguments\nenv >>{path}.environment\n'
        f'out=$({release.tool.program} "$@")\ncode=$?\n'
        f"""printf '%s\\n' "$out" | sed 's/"error": {{/&{words}/g'\nexit $code\n"""
    )
    path.chmod(0o755)
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
    for playbook, options in ((FOLDER / "export.yml", ()), (f"{NAME}.export", ("--check",))):
        again = play(release, playbook, *options, **pulling)
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
    for playbook, options in ((FOLDER / "import.yml", ()), (f"{NAME}.import", ("--check",))):
        again = play(release, playbook, *options, inventory=sites, **pushing)
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
    home = release.tool.home
    told = {"for_site": [str(home / "receipt.json")], "sent_ledger": str(home / "sent.json")}
    pull = task(
        release, "pull", archive=str(home / "again.tar"), final=release.reference("team/one:2"), **told, **plain
    )
    assert play(release, pull, "--check").changed == 1
    assert not (home / "sent.json").exists()
    assert play(release, pull).changed == 1
    assert (home / "sent.json").exists()
    assert release.tool.good("inspect", "again.tar", "--json").json["layers_new"] == 0
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
    program = reporting(release)
    password = {"password_of_the_site": ACCOUNTS["ann"]}
    allowed = play(release, push, "-vvv", "--diff", **password, incremental_image_executable=str(program))
    assert allowed.code == 0, allowed.text
    shown = allowed.text.replace(json.dumps(ACCOUNTS["ann"]), "")
    assert ACCOUNTS["ann"].partition(":")[2] not in shown.partition("TASK")[2]
    assert ACCOUNTS["ann"] not in program.with_suffix(".arguments").read_text()
    assert ACCOUNTS["ann"] in program.with_suffix(".environment").read_text()


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


def test_options_reach_the_command(release: Release, wide: tuple[str, Image], plain: dict[str, bool]) -> None:
    """What they do there, other tests show; a platform, a cache and a folder for what is temporary show it here."""
    reference, image = wide
    home = release.tool.home
    program = reporting(release)
    given: dict[str, Any] = {
        "archive": str(home / "o.tar"),
        "final": reference,
        "platform": "linux/cpu3",
        "delta": True,
        "delta_effort": "fast",
        "delta_memory": "300Mi",
        "delta_min_saving": 20,
        "cache_dir": str(home / "cache"),
        "cache_max_size": "1G",
        "retry_times": 2,
        "retry_delay": 0.5,
        "timeout": 60,
        "jobs": 3,
        "tmpdir": str(release.tool.temporary),
        "extra_args": ["--debug"],
        **plain,
    }
    played = play(release, task(release, "pull", **given), incremental_image_executable=str(program))
    assert (played.code, played.changed) == (0, 1), played.text
    told = result(release)
    assert told["result"]["digest"] == image.children[3].digest
    assert any(line.startswith("+") for line in told["log"])
    assert list((home / "cache").iterdir())
    called = program.with_suffix(".arguments").read_text()
    for words in (
        ["--override-os", "linux", "--override-arch", "cpu3"],
        ["--delta", "--delta-effort", "fast"],
        ["--delta-memory", "300Mi"],
        ["--delta-min-saving", "20.0"],
        ["--cache-max-size", "1G"],
        ["--retry-times", "2"],
        ["--retry-delay", "0.5"],
        ["--timeout", "60.0"],
        ["--jobs", "3"],
        ["--tmpdir", str(release.tool.temporary)],
    ):
        assert "\n".join(["", *words, ""]) in called, words
    assert "--override-variant" not in called
    assert "SKOPEO_INCREMENTAL_PULL_PROGRESS=plain\n" in program.with_suffix(".environment").read_text()


def test_a_bundle_that_was_noted_as_sent_is_not_pulled_again(release: Release, plain: dict[str, bool]) -> None:
    home = release.tool.home
    release.pull("1", "--sent-ledger", "sent.json")
    images = [{"name": name, "final": release.reference(name)} for name in release.names("2")]
    sent = {"sent_ledger": str(home / "sent.json"), "base": [f"sent:{home}/sent.json"]}
    bundle = task(release, "bundle", archive=str(home / "2.tar"), images=images, **sent, **plain)
    assert play(release, bundle).changed == 1
    before = (home / "2.tar").read_bytes()
    for options in (["--check"], []):
        played = play(release, bundle, *options)
        assert (played.code, played.changed) == (0, 0), played.text
    assert (home / "2.tar").read_bytes() == before


def test_certificates_and_a_platform_that_is_none(release: Release, secure: Registry) -> None:
    release.tool.good("pull", release.reference("chart:7"), "-o", "o.tar", "--final-tls-verify", "false")
    archive, there = str(release.tool.home / "o.tar"), f"{secure.host}/{fresh('chart')}:7"
    certificates = release.tool.home / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(Path(secure.folder, "ca.crt").read_bytes())
    assert play(release, task(release, "push", archive=archive, destination=there)).code == 2
    push = task(release, "push", archive=archive, destination=there, dest_cert_dir=str(certificates))
    assert play(release, push).changed == 1
    # Without a destination nothing is asked.
    assert play(release, task(release, "vet", archive=archive)).code == 0
    assert result(release)["result"]["destination"] is None
    wrong = task(release, "pull", archive=archive, final="x", platform="arm64")
    assert play(release, wrong).code == 2
    told = result(release)
    assert (told["code"], told["missing"]) == (2, [])
    assert "arm64" in told["msg"]
    assert "linux/arm64" in told["next"]


def test_a_failure_says_what_kind_it_is_and_what_a_bundle_lacks(release: Release) -> None:
    release.pull("1")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    program = reporting(release, '"kind": "missing-layers", "retryable": false, ')
    given = {
        "archive": str(release.tool.home / "2.tar"),
        "destination": f"docker://{release.customer.host}/{release.prefix}",
        "dest_tls_verify": False,
        "only": ["team/*"],
        "fail_fast": False,
    }
    for entry in ("vet", "push"):
        failed = play(release, task(release, entry, **given), incremental_image_executable=str(program))
        assert failed.code == 2
        told = result(release)
        error = told["result"]["error"]
        assert (told["code"], told["kind"], told["retryable"]) == (3, error["kind"], error["retryable"])
        lacking = [layer["digest"] for layer in told["missing"]]
        assert len(lacking) == len(set(lacking))
        assert set(lacking) >= {digest_of(release.common), release.images["team/one:2"].layers[1]}
        assert {layer for name in ("one", "two") for layer in release.images[f"team/{name}:2"].layers[:2]} <= set(
            lacking
        )


def test_clusters_pull_from_the_mirror(release: Release) -> None:
    release.pull("1")
    images = [{"name": name, "final": release.reference(name)} for name in release.names("1")]
    push = task(
        release,
        "push",
        archive=str(release.tool.home / "1.tar"),
        destination=f"{release.customer.host}/{release.prefix}",
        dest_tls_verify=False,
        mirror_config=str(release.tool.home / "config"),
        images=images,
    )
    mapping = release.tool.home / "config/mapping.txt"
    for options, changed, there in ((("--check",), 1, False), ((), 1, True), ((), 0, True)):
        played = play(release, push, *options)
        assert played.changed == changed, played.text
        assert mapping.exists() is there
    assert len(mapping.read_text().splitlines()) == 5
    assert "[WARNING]: certs.d/" in played.text
    without = task(release, "push", archive="o.tar", destination="x.example", mirror_config="config")
    assert "required by 'mirror_config': images" in play(release, without).text


def test_warnings_are_ansibles_too(release: Release, plain: dict[str, bool]) -> None:
    final = release.reference("team/many:2")
    bases = [release.reference("chart:7")]
    pull = task(release, "pull", archive=str(release.tool.home / "o.tar"), final=final, base=bases, **plain)
    played = play(release, pull)
    assert played.changed == 1, played.text
    (warning,) = result(release)["result"]["warnings"]
    assert f"[WARNING]: {warning[:30]}" in played.text


def test_an_archive_that_a_registry_stores(release: Release) -> None:
    release.tool.good("pull", release.reference("chart:7"), "-o", "o.tar", "--final-tls-verify", "false")
    stored = f"docker://{release.customer.host}/{fresh('stored')}:7"
    given = {"archive": str(release.tool.home / "o.tar"), "destination": stored, "dest_tls_verify": False}
    store = task(release, "push", **given, as_delta=True)
    assert [play(release, store, *options).changed for options in (("--check",), (), ())] == [1, 1, 0]
    there = f"{release.customer.host}/{release.prefix}/chart:7"
    given = {"archive": stored, "destination": there, "dest_tls_verify": False, "src_tls_verify": False}
    assert play(release, task(release, "push", **given)).changed == 1
    assert release.there("chart:7") == release.images["chart:7"].digest
