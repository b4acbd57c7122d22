"""Kits from a disk that somebody else could write to: nothing that the list does not name is run or pushed."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.kits import Keys, bring, export, list_again

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.release import Release

TARGET = f"{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}"
SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
# Neither our own environment nor the network is there.
BARE = {"PATH": SYSTEM, "PYTHONPATH": "", "SKOPEO_INCREMENTAL": ""}

ADDITIONS: dict[str, Callable[[Path], object]] = {
    "a wheel of a higher version": lambda kit: plant(
        kit / f"wheels/{TARGET}/skopeo_incremental-99.0-py3-none-any.whl"
    ),
    "a source": lambda kit: plant(kit / f"wheels/{TARGET}/click-99.0.tar.gz"),
    "a path file": lambda kit: plant(kit / f"wheels/{TARGET}/evil.pth"),
    "wheels for another machine": lambda kit: plant(kit / "wheels/3.99-none/click-99.0-py3-none-any.whl"),
    "a file that is hidden": lambda kit: plant(kit / ".pip.conf"),
    "another list": lambda kit: plant(kit / "SHA256SUMS.txt"),
    "a volume": lambda kit: plant(kit / "release.tar.002"),
    "an empty folder": lambda kit: (kit / "empty").mkdir(),
    "a link": lambda kit: (kit / "linked").symlink_to("README.txt"),
    "a pipe": lambda kit: os.mkfifo(kit / "release.tar.001"),
    "a name of a line and a half": lambda kit: plant(kit / "README.txt\nREADME.txt"),
    "a name that ends in a newline": lambda kit: plant(kit / "README.txt\n"),
    "a name that writes on the terminal": lambda kit: plant(kit / "\033]0;evil\007\033[2Jall is well"),
    "a name that reads backwards": lambda kit: plant(kit / "\u202etxt.exe"),
    "a name that is no text": lambda kit: plant(kit / os.fsdecode(b"\xff\xfe")),
    "names that look like escaped ones": lambda kit: plant(kit / "README.txt\\000." / "README.txt"),
}


def plant(path: Path, data: str = "print('evil')\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)


def program(path: Path, lines: str) -> None:
    plant(path, f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


@pytest.fixture
def kit(release: Release) -> Path:
    kit = export(release)
    plant(kit / f"wheels/{TARGET}/click-8.0-py3-none-any.whl")
    list_again(kit)
    return kit


def test_what_the_list_does_not_name_refuses_the_kit(release: Release, kit: Path) -> None:
    watch = release.customer.watch()
    for what, add in ADDITIONS.items():
        copy = release.tool.home / "copy"
        shutil.copytree(kit, copy)
        add(copy)
        ran = bring(release, copy)
        assert ran.returncode == 4, (what, ran.stderr)
        assert "not of this kit" in ran.stderr, what
        # What is told about it is text, a line at a time.
        assert all(line.startswith("airgap-import: ") for line in ran.stderr.splitlines()), (what, ran.stderr)
        assert (ran.stderr.replace("\n", "")).isascii(), what
        assert (ran.stderr.replace("\n", "")).isprintable(), what
        shutil.rmtree(copy)
    assert watch.requests() == []
    assert bring(release, kit).returncode == 0
    assert release.arrived("1")


def test_links_in_place_of_files_and_folders(release: Release, kit: Path) -> None:
    for name in ("README.txt", "wheels", "SHA256SUMS"):
        away = (kit / name).rename(release.tool.home / f"away-{name}")
        (kit / name).symlink_to(away)
        ran = bring(release, kit)
        assert ran.returncode == 4, (name, ran.stderr)
        assert name in ran.stderr
        (kit / name).unlink()
        away.rename(kit / name)
    assert bring(release, kit, "--check").returncode == 0


def test_every_line_of_the_list_counts(release: Release, kit: Path) -> None:
    list_file, sums = kit / "SHA256SUMS", (kit / "SHA256SUMS").read_text()
    lines = sums.splitlines(keepends=True)
    last = kit / lines[-1].split()[1]
    kept = last.read_bytes()
    # Without its last newline it is as good a list, and its last file is one of the kit.
    list_file.write_text(sums.removesuffix("\n"))
    assert bring(release, kit, "--check").returncode == 0
    last.write_bytes(b"evil")
    ran = bring(release, kit)
    assert ran.returncode == 4
    assert f"damaged: {last.relative_to(kit)}" in ran.stderr
    last.write_bytes(kept)
    digest = hashlib.sha256(b"").hexdigest()
    watch = release.customer.watch()
    for text in (
        "",
        "\n",
        sums + "\n",
        sums + "evil",
        sums + lines[0],
        sums + digest,
        sums + f"{digest}  ",
        sums + f"{digest}  ../outside\n",
        sums + f"{digest}  wheels/../../outside\n",
        sums + f"{digest}  ./README.txt\n",
        sums + f"{digest}  /etc/hostname\n",
        sums + f"{digest} *README.txt\n",
        sums + f"{digest.upper()}  README.txt\n",
        sums + f"{digest}  two words\n",
        sums + f"{digest}  n\0ull\n",
        sums + f"{digest}  \033[2J\n",
        sums + f"\\{digest}  new\\nline\n",
        sums + f"# {digest}  README.txt\n",
        sums.replace("\n", "\r\n"),
        "\ufeff" + sums,
        sums + f"{digest}  nothing\n" * 40_000,
    ):
        list_file.write_bytes(text.encode())
        ran = bring(release, kit)
        assert ran.returncode == 4, (text[-200:], ran.stderr)
        assert "SHA256SUMS" in ran.stderr
        assert "\033" not in ran.stderr
    assert watch.requests() == []


def test_only_the_user_says_which_program_runs(release: Release, kit: Path) -> None:
    shutil.rmtree(kit / "wheels")
    list_again(kit)
    marker = release.tool.home / "ran"
    for folder in (kit.parent, kit.parent / "scripts", release.tool.home):
        program(folder / ".venv/bin/skopeo-incremental", f"touch {marker}")
        program(folder / "skopeo-incremental", f"touch {marker}")
    ran = bring(release, kit, **BARE)
    assert ran.returncode == 6, ran.stderr
    assert "SKOPEO_INCREMENTAL" in ran.stderr
    assert not marker.exists()
    assert bring(release, kit, **BARE | {"SKOPEO_INCREMENTAL": "/none"}).returncode == 6
    # By their own PATH they may.
    program(release.tool.home / "own/skopeo-incremental", f'exec {release.tool.program} "$@"')
    bare = {"SKOPEO_INCREMENTAL": "", "PATH": f"{release.tool.home}/own:{SYSTEM}"}
    assert bring(release, kit, **bare).returncode == 0
    assert release.arrived("1")


def test_the_receipt_does_not_go_into_the_kit(release: Release, kit: Path) -> None:
    watch = release.customer.watch()
    ran = bring(release, kit, cwd=kit)
    assert ran.returncode == 2
    assert "--receipt" in ran.stderr
    assert bring(release, kit, "--receipt", kit / "wheels/r.json").returncode == 2
    assert watch.requests() == []
    assert bring(release, kit, "--check", cwd=kit).returncode == 0
    assert bring(release, kit, "--receipt", release.tool.home / "r.json", cwd=kit).returncode == 0
    assert (release.tool.home / "r.json").is_file()


def test_a_list_that_changes_after_its_signature_was_checked(release: Release, kit: Path) -> None:
    keys = Keys(release.tool.home / "g")
    keys.make("ours")
    keys.sign(kit, "ours")
    (release.tool.home / "ours.gpg").write_bytes(keys.export("ours"))
    keys.close()
    # Whoever can write to the disk does so as soon as gpg has looked.
    evil = release.tool.home / "evil"
    shutil.copytree(kit, evil)
    (evil / "release.txt").write_text("evil")
    list_again(evil)
    swap = f"cp {evil}/release.txt {evil}/SHA256SUMS {kit}/"
    bin_folder = release.tool.home / "bin"
    program(bin_folder / "gpg", f'/usr/bin/gpg "$@"; code=$?; case "$*" in *--verify*) {swap} ;; esac; exit $code')
    watch = release.customer.watch()
    options = ("--keyring", release.tool.home / "ours.gpg")
    ran = bring(release, kit, *options, PATH=f"{bin_folder}:{os.environ['PATH']}")
    assert "the signature is good" in ran.stderr
    assert ran.returncode == 4
    assert "damaged: release.txt" in ran.stderr
    assert watch.requests() == []


def test_wheels_are_installed_as_they_were_checked(release: Release) -> None:
    kit = export(release, "--self-contained")
    marker = release.tool.home / "ran"
    (ours,) = kit.glob("wheels/*/skopeo_incremental-*.whl")
    # Python and pip look into the current folder, and into settings: nothing of that counts.
    cwd = release.tool.home / "disk"
    for name in ("platform.py", "venv.py", "pip.py", "sitecustomize.py", "encodings.py", "wrapper/__init__.py"):
        plant(cwd / name, f"open({str(marker)!r}, 'w')\n")
    for name in ("pip.conf", ".config/pip/pip.conf", ".pip/pip.conf"):
        plant(cwd / name, "[install]\nno-binary = :all:\ntarget = /nowhere\n")
    settings = {
        "HOME": str(cwd),
        "XDG_CONFIG_HOME": str(cwd / ".config"),
        "PIP_CONFIG_FILE": str(cwd / "pip.conf"),
        "PIP_FIND_LINKS": str(cwd),
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_NO_BINARY": ":all:",
        "PIP_TARGET": "/nowhere",
    }
    ran = bring(release, kit, "--receipt", "r.json", cwd=cwd, **BARE | settings)
    assert ran.returncode == 0, ran.stderr
    assert release.arrived("1")
    assert not marker.exists()
    # A wheel that changes once all has been checked.
    evil = release.tool.home / "evil.whl"
    evil.write_bytes(b"evil")
    bin_folder = release.tool.home / "bin"
    program(bin_folder / "cp", f'case "$*" in *{ours.name}*) /bin/cp {evil} {ours} ;; esac; exec /bin/cp "$@"')
    ran = bring(release, kit, **BARE | {"PATH": f"{bin_folder}:{SYSTEM}"})
    assert ran.returncode == 4, ran.stderr
    assert f"{ours.name} has changed" in ran.stderr


@pytest.mark.parametrize("size", [None, 20_000])
def test_an_archive_that_changes_after_its_sum_was_checked(release: Release, size: int | None) -> None:
    kit = export(release, *(["--volume-size", str(size)] if size else []))
    release.pull("2")
    data, evil = (release.tool.home / "2.tar").read_bytes(), release.tool.home / "evil"
    evil.mkdir()
    for number, start in enumerate(range(0, len(data), size or len(data)), 1):
        name = f"release.tar.{number:03}" if size else "release.tar"
        (evil / name).write_bytes(data[start : start + (size or len(data))])
    # Whoever can write to the disk does so as soon as the program is started.
    swaps = [f"rm {kit}/release.tar*; cp {evil}/* {kit}"]
    if size:
        count = len(list(kit.glob("release.tar.*")))
        swaps += [f"cp {kit}/README.txt {kit}/release.tar.{count + 1:03}", f"rm {kit}/release.tar.{count:03}"]
    copy, swapping = release.tool.home / "copy", release.tool.home / "bin/skopeo-incremental"
    shutil.copytree(kit, copy)
    watch = release.customer.watch()
    for swap in swaps:
        program(swapping, f'{swap}\nexec {release.tool.program} "$@"')
        for options in ((), ("--check",)):
            ran = bring(release, kit, *options, SKOPEO_INCREMENTAL=str(swapping))
            assert "all files are there and sound" in ran.stderr, swap
            assert ran.returncode == 4, (swap, ran.stderr)
            shutil.rmtree(kit)
            shutil.copytree(copy, kit)
    assert watch.requests() == []
    assert bring(release, kit).returncode == 0
    assert release.arrived("1")
