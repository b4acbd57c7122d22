"""Disks that people carry: exFAT, without sparse files, links and named pipes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.registry import Registry
    from tests.support.release import Release

MIB = 1024 * 1024
SIZE = 32 * MIB
PLAIN_BASE = ("--base-tls-verify", "false")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small exFAT disk, as far as this machine can mount one."""
    if os.geteuid() != 0 or not shutil.which("mount.exfat-fuse") or not shutil.which("mkfs.exfat"):
        pytest.skip("only root can mount a file system, and exfat-fuse must be there")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        os.truncate(file.fileno(), SIZE)
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    loop = subprocess.run(["losetup", "-f", "--show", image], check=False, capture_output=True, text=True)
    if loop.returncode:
        pytest.skip("there are no loop devices here")
    try:
        if subprocess.run(["mount.exfat-fuse", loop.stdout.strip(), folder], check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        subprocess.run(["losetup", "-d", loop.stdout.strip()], check=True)


def test_the_disk_is_as_such_disks_are(disk: Path) -> None:
    (disk / "file").touch()
    with pytest.raises(OSError, match="not permitted"):
        os.link(disk / "file", disk / "other")
    with (disk / "file").open("r+b") as file:
        os.truncate(file.fileno(), MIB)
        assert os.fstat(file.fileno()).st_blocks * 512 >= MIB


def test_a_small_difference_to_a_large_base_needs_little_room(
    tool: Tool, vendor: Registry, customer: Registry, disk: Path
) -> None:
    repository = fresh("disk")
    large = layer(repository, 40 * MIB)
    assert len(large) > SIZE
    put_image(vendor, repository, "1", [large])
    final = put_image(vendor, repository, "2", [large, layer("new", 20_000)])
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    pulled = tool.good("pull", two, "-b", one, "-o", disk / "x.tar", "--json", *PLAIN_PULL).json
    assert pulled["archive"]["size"] < 50_000
    assert [path.name for path in disk.iterdir()] == ["x.tar"]
    # What was chosen is used, and where it is too small, that is said.
    refused(
        tool("pull", two, "-b", one, "-o", "y.tar", "--tmpdir", disk, "--json", *PLAIN_PULL), 6, str(disk), "space"
    )
    there = f"{customer.host}/{repository}:2"
    tool.good("push", disk / "x.tar", there, "-b", one, *PLAIN_BASE, *PLAIN_DEST)
    assert customer.manifest(repository, "2") == final.raw
    assert [path.name for path in disk.iterdir()] == ["x.tar"]
    assert tool.leftovers() == []


def test_everything_works_with_all_temporary_files_there(
    tool: Tool, vendor: Registry, customer: Registry, disk: Path
) -> None:
    repository = fresh("disk")
    shared = layer(repository, MIB)
    put_image(vendor, repository, "1", [shared])
    final = put_image(vendor, repository, "2", [shared, layer("new", MIB)])
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    there = ("--tmpdir", disk)
    tool.good("pull", two, "-b", one, "-o", disk / "x.tar", *there, *PLAIN_PULL)
    tool.good("complete", disk / "x.tar", "-b", one, "-o", disk / "whole.tar", *there, *PLAIN_BASE)
    for number, base in enumerate((one, f"oci-archive:{disk}/whole.tar")):
        target = fresh("there")
        to = f"{customer.host}/{target}:2"
        tool.good("push", disk / "x.tar", to, "-b", base, *there, *PLAIN_BASE, *PLAIN_DEST)
        assert customer.manifest(target, "2") == final.raw, number
    for to in ("oci", "oci-archive", "dir"):
        for _ in range(2):
            tool.good("push", disk / "x.tar", f"{to}:{disk}/{to}", "-b", one, *there, *PLAIN_BASE)
    assert sorted(path.name for path in disk.iterdir()) == ["dir", "oci", "oci-archive", "whole.tar", "x.tar"]


def test_mirror_files_have_names_that_it_takes(release: Release, disk: Path) -> None:
    """The vendor's registry has a port, and such a disk has no names with a colon."""
    release.pull("1")
    to = f"{release.customer.host}/{release.prefix}"
    told = release.tool.good(
        "mirror-config", "1.tar", to, "--spec", release.spec("1"), "-o", disk / "mirror-config", "--json"
    ).json
    assert all(Path(path).stat().st_size for path in told["files"])
