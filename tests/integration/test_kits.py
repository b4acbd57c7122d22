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
from tests.support.kits import bring, environment, export, list_again, script
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
    assert "--volume-size" in ran.stderr
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
