"""Kits: made on one side, checked and pushed on the other, by the scripts that people run."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.images import digest_of, fresh, layer, put_image
from tests.support.kits import Keys, bring, by_command, environment, export, list_again, script
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry
    from tests.support.release import Release


def test_there_and_the_next_one(release: Release) -> None:
    kit = export(release, "--volume-size", "2000")
    volumes = sorted(kit.glob("release.tar.*"))
    assert len(volumes) > 3
    assert {volume.stat().st_size for volume in volumes[:-1]} == {2000}
    assert 0 < volumes[-1].stat().st_size <= 2000
    assert not (kit / "release.tar").exists()
    # It can be checked by what every machine has.
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=kit, check=True, capture_output=True)
    listed = {line.split()[1] for line in (kit / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in kit.iterdir()} - {"SHA256SUMS"}
    for path in kit.iterdir():
        path.chmod(0o444)
    kit.chmod(0o555)
    ran = bring(release, kit)
    assert ran.returncode == 0, ran.stderr
    assert release.arrived("1")
    earlier = export(release, "--base", f"receipt:{release.tool.home}/receipt.json", tag="2")
    assert (earlier / "release.tar").stat().st_size < sum(volume.stat().st_size for volume in volumes)
    assert bring(release, earlier, "--check").returncode == 0
    assert not release.arrived("2")
    assert bring(release, earlier).returncode == 0
    assert release.arrived("2")
    kit.chmod(0o755)


def test_damage_is_named_before_the_registry_is_touched(release: Release) -> None:
    kit = export(release, "--volume-size", "2000")
    watch = release.customer.watch()

    def refused(*names: str) -> None:
        ran = bring(release, kit)
        assert ran.returncode == 4, ran.stderr
        for name in names:
            assert name in ran.stderr
        assert watch.requests() == []

    second, third = kit / "release.tar.002", kit / "release.tar.003"
    kept = second.read_bytes()
    second.unlink()
    refused("missing: release.tar.002")
    second.write_bytes(kept[:100] + bytes([kept[100] ^ 1]) + kept[101:])
    refused("damaged: release.tar.002")
    second.write_bytes(third.read_bytes())
    third.write_bytes(kept)
    refused("damaged: release.tar.002", "damaged: release.tar.003")
    third.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    extra = kit / "release.tar.999"
    extra.write_bytes(b"more")
    refused("release.tar.999")
    extra.unlink()
    sums = (kit / "SHA256SUMS").read_text()
    (kit / "SHA256SUMS").write_text(f"{sums}{64 * '0'}  ../outside\n")
    refused("SHA256SUMS")
    (kit / "SHA256SUMS").write_text(sums)
    assert bring(release, kit).returncode == 0


def test_an_import_that_is_killed_is_repeated(release: Release) -> None:
    for name in ("one", "two"):
        layers = [layer(f"{release.at}{name}{number}", 3_000_000) for number in range(4)]
        release.put(f"team/{name}:1", layers)
    kit = export(release, "--volume-size=fat32")
    where = f"docker://{release.customer.host}/{release.prefix}"
    watch = release.customer.watch()
    with subprocess.Popen(
        ["dash", kit / "airgap-import", kit, where, *PLAIN_DEST],
        cwd=release.tool.home,
        env=environment(release),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        while not watch.writes() and running.poll() is None:
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGKILL)
    ran = bring(release, kit)
    assert ran.returncode == 0, ran.stderr
    assert release.arrived("1")


def test_the_kit_brings_the_program(release: Release, vendor: Registry) -> None:
    processor = platform.machine()
    ours = f"{sys.version_info.major}.{sys.version_info.minor}-{processor}"
    other = f"3.12-{'aarch64' if processor == 'x86_64' else 'x86_64'}"
    targets = [ours, f"3.13-{processor}", other]
    kit = export(release, *(f"--target={each}" for each in targets))
    assert {path.name for path in (kit / "wheels").iterdir()} == {*targets}
    own = {each: next((kit / "wheels" / each).glob("skopeo_incremental-*.whl")) for each in targets}
    # Of all Pythons on the processor that the kit is made on, none has to do without what is compiled.
    assert f"-cp311-abi3-manylinux2014_{processor}." in own[targets[1]].name
    modules = [name for name in zipfile.ZipFile(own[targets[1]]).namelist() if name.endswith(".so")]
    assert modules
    assert all(name.endswith(".abi3.so") for name in modules)
    assert own[other].name.endswith("-py3-none-any.whl")
    # Neither our own environment nor the network is there.
    offline = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": "", "SKOPEO_INCREMENTAL": ""}
    ran = bring(release, kit, **offline, PIP_INDEX_URL="http://127.0.0.1:9/")
    assert ran.returncode == 0, ran.stderr
    assert release.arrived("1")
    (kit / "wheels" / ours).rename(kit / "wheels" / "2.7-pdp11")
    list_again(kit)
    ran = bring(release, kit, **offline)
    assert ran.returncode == 6
    assert f"--target {ours}" in ran.stderr
    assert "2.7-pdp11" in ran.stderr


def test_a_failed_export_leaves_nothing(release: Release) -> None:
    spec = release.spec("1", ["team/one:1", "none:1"])
    kit = release.tool.home / "kit"
    ran = script(release, ROOT / "scripts/airgap-export", spec, kit, *PLAIN_PULL)
    assert ran.returncode == 5, ran.stderr
    assert "none:1" in ran.stderr
    assert not kit.exists()
    kit.mkdir()
    (kit / "mine").write_text("mine")
    ran = script(release, ROOT / "scripts/airgap-export", release.spec("1"), kit, *PLAIN_PULL)
    assert ran.returncode == 2
    assert [path.name for path in kit.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "words",
    [
        ["airgap-export"],
        ["airgap-export", "spec.json"],
        ["airgap-export", "none.json", "kit"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size", "many"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size", "4X"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size", "0"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size", "0.0001K"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size", "1e3"],
        ["airgap-export", "spec-1.json", "kit", "--volume-size"],
        ["airgap-export", "spec-1.json", "kit", "--target", "pdp11"],
        ["airgap-export", "spec-1.json", "kit", "--output", "x"],
        ["airgap-import", "none", "docker://host/prefix"],
        ["airgap-import", "."],
        ["airgap-import", ".", "docker://host/prefix", "--keyring", "none"],
    ],
)
def test_usage(release: Release, words: list[str]) -> None:
    release.spec("1")
    ran = script(release, ROOT / "scripts" / words[0], *words[1:])
    assert ran.returncode == 2
    assert ran.stderr


def test_help(release: Release) -> None:
    for name in ("airgap-export", "airgap-import"):
        ran = script(release, ROOT / "scripts" / name, "--help")
        assert ran.returncode == 0
        assert name in ran.stdout
        assert "set -eu" not in ran.stdout


def test_what_is_in_no_kit_was_not_sent(release: Release) -> None:
    """The pull had noted it already when a later step failed."""
    home = release.tool.home
    fails = home / "fails"
    fails.write_text(f'#!/bin/sh\n[ "$1" != inspect ] || exit 6\nexec {release.tool.program} "$@"\n')
    fails.chmod(0o755)
    words = (ROOT / "scripts/airgap-export", release.spec("2"), "kit", *PLAIN_PULL)
    for option in (("--sent-ledger", "sent.json"), ("--sent-ledger=sent.json", "--volume-size", "1M")):
        assert script(release, *words, *option, SKOPEO_INCREMENTAL=str(fails)).returncode == 6
        assert not (home / "sent.json").exists()
    export(release, "--sent-ledger", "sent.json")
    before = (home / "sent.json").read_bytes()
    by_variable = {"SKOPEO_INCREMENTAL_PULL_SENT_LEDGER": "sent.json"}
    assert script(release, *words, **by_variable, SKOPEO_INCREMENTAL=str(fails)).returncode == 6
    assert (home / "sent.json").read_bytes() == before
    assert not (home / "kit").exists()
    export(release, tag="2", **by_variable)
    assert (home / "sent.json").read_bytes() != before
    assert release.tool.leftovers() == []


def test_the_page_is_in_the_kit(release: Release) -> None:
    kit = export(release)
    text = (kit / "release.html").read_text()
    assert digest_of((kit / "release.tar").read_bytes()).removeprefix("sha256:") in text
    assert all(release.images[name].digest in text for name in release.names("1"))


def test_volumes_need_no_file_as_long_as_the_archive(release: Release, tmp_path: Path) -> None:
    """As on a disk with FAT, here with a limit of the kernel's on the length of a file."""
    repository = fresh()
    layers = [layer(f"{repository}{number}", 600_000) for number in range(4)]
    put_image(release.vendor, repository, "1", layers)
    spec = tmp_path / "spec.json"
    images = [{"name": "large:1", "final": f"{release.vendor.host}/{repository}:1"}]
    spec.write_text(json.dumps({"images": images}))
    export_script = [ROOT / "scripts/airgap-export", spec, "kit", *PLAIN_PULL]
    limited = ["-c", 'ulimit -f 2000; exec dash "$@"', "dash", *export_script]  # blocks of 512 bytes
    ran = script(release, *limited)
    assert ran.returncode == 6, ran.stderr
    assert "airgap-export" in ran.stderr
    assert not (release.tool.home / "kit").exists()
    ran = script(release, *limited, "--volume-size", "700000")
    assert ran.returncode == 0, ran.stderr
    assert len(list((release.tool.home / "kit").glob("release.tar.*"))) == 4
    assert release.tool.leftovers() == []
    ran = script(
        release, release.tool.home / "kit/airgap-import", "kit", release.customer.host, "--check", *PLAIN_DEST
    )
    assert ran.returncode == 0, ran.stderr


def test_volumes_of_what_cannot_be_pulled(release: Release, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"images": [{"name": "none:1", "final": f"{release.vendor.host}/none:1"}]}))
    command = (ROOT / "scripts/airgap-export", spec, "kit", *PLAIN_PULL, "--volume-size")
    assert script(release, *command, "2000").returncode == 5
    assert not (release.tool.home / "kit").exists()
    assert release.tool.leftovers() == []


def test_the_commands_do_what_the_scripts_do(release: Release) -> None:
    keys = Keys(release.tool.home / "g")
    keys.make("ours")
    kit = export(release, "--volume-size", "2kB", "--override-arch", "amd64")
    options = ("--volume-size", "2k", "--override-arch", "amd64", "--sign", "ours", "--jobs", "2", *PLAIN_PULL)
    ran = by_command(release, "export", release.spec("1"), "the kit", *options, GNUPGHOME=str(keys.folder))
    assert ran.returncode == 0, ran.stderr
    assert "the kit is ready" in ran.stderr
    ours = release.tool.home / "the kit"
    names = {path.name for path in kit.iterdir()} | {"SHA256SUMS.asc"}
    assert {path.name for path in ours.iterdir()} == names
    for name in names:
        if name.startswith(("release.tar.", "airgap-import")):
            assert (ours / name).read_bytes() == (kit / name).read_bytes()
    (release.tool.home / "ours.gpg").write_bytes(keys.export("ours"))
    keys.close()
    where = f"docker://{release.customer.host}/{release.prefix}"
    importing = ("import", "the kit", where, "--keyring", "ours.gpg", "--dest-tls-verify", "false")
    ran = by_command(release, *importing, "--check")
    assert ran.returncode == 0, ran.stderr
    assert not release.arrived("1")
    ran = by_command(release, *importing, "--receipt=r.json", "--json")
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)["images"]) == len(release.names("1"))
    assert release.arrived("1")
    assert (release.tool.home / "r.json").is_file()
    # What is told to push by the environment, the import is told.
    variables = {"SKOPEO_INCREMENTAL_KIT_IMPORT_ONLY": "none", "SKOPEO_INCREMENTAL_PUSH_DEST_TLS_VERIFY": "no"}
    ran = by_command(release, *importing[:-2], **variables)
    assert ran.returncode == 2, ran.stderr
    assert "none" in ran.stderr
    (ours / "release.tar.002").write_bytes(b"damaged")
    ran = by_command(release, *importing)
    assert ran.returncode == 4
    assert "damaged: release.tar.002" in ran.stderr


def test_the_commands_see_mistakes_first(release: Release) -> None:
    release.spec("1")
    for words in (
        ("export", "spec-1.json"),
        ("export", "spec-1.json", "kit", "--volume-size", "4X"),
        ("export", "spec-1.json", "kit", "--output", "x.tar"),
        ("export", "spec-1.json", "kit", "--base-tls-verify", "perhaps"),
        ("import", "kit"),
        ("import", "kit", "host/prefix", "--expect-sha256", "0"),
        ("import", "kit", "host/prefix"),
    ):
        ran = by_command(release, *words)
        assert ran.returncode == 2, (words, ran.stderr)
        assert "Traceback" not in ran.stderr
        assert not (release.tool.home / "kit").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_export_that_is_interrupted_leaves_nothing(release: Release, number: int, code: int) -> None:
    release.tool.spy("sleep 60 & wait")
    words = ["kit", "export", release.spec("1"), "kit", "--skopeo", release.tool.home.parent / "spy", *PLAIN_PULL]
    with subprocess.Popen(
        [release.tool.program, *map(str, words)],
        cwd=release.tool.home,
        env=environment(release),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stderr
        # It reads the images by now, and waits.
        assert b"reading" in running.stderr.readline()
        os.killpg(running.pid, number)
        running.stderr.read()
    assert running.returncode == code
    assert not (release.tool.home / "kit").exists()


@pytest.mark.parametrize(
    ("size", "length"), [("2K", 2_000), ("2KiB", 2_048), ("2.5kB", 2_500), ("0.003M", 3_000), ("2100", 2_100)]
)
def test_sizes_have_units(release: Release, size: str, length: int) -> None:
    from wrapper.host.text import parse_bytes

    assert parse_bytes(size) == length
    spec = release.spec("1", ["chart:7"])
    release.put("chart:7", [layer(f"{release.at}chart", 9_000)], config=b"{}")
    ran = script(release, ROOT / "scripts/airgap-export", spec, "kit", "--volume-size", size, *PLAIN_PULL)
    assert ran.returncode == 0, ran.stderr
    volumes = sorted((release.tool.home / "kit").glob("release.tar.*"))
    assert {volume.stat().st_size for volume in volumes[:-1]} == {length}
