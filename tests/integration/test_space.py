"""Full disks: found before anything is fetched where that can be known, and cleaned up where not."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.registry import Registry

MEGABYTE = 1_000_000


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def large(vendor: Registry) -> str:
    repository = fresh("large")
    put_image(vendor, repository, "1", [layer(f"{repository}{number}", MEGABYTE) for number in range(3)])
    return f"{vendor.host}/{repository}:1"


def needed(message: str) -> int:
    found = re.search(r"(\d+) bytes", message)
    assert found, message
    return int(found[1])


def test_folders_on_one_file_system_count_together(tool: Tool, vendor: Registry, small: Path, large: str) -> None:
    watch = vendor.watch()
    ran = tool("pull", large, "-o", small / "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 6, str(small), "free some space")
    assert 6 * MEGABYTE < needed(ran.json["error"]["message"]) < 7 * MEGABYTE
    assert watch.blobs() == []
    assert list(small.iterdir()) == []
    # Alone either has room.
    tool.good("pull", large, "-o", small / "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
    (small / "o.tar").unlink()
    tool.good("pull", large, "-o", "o.tar", "--tmpdir", small, *PLAIN_PULL)
    assert list(small.iterdir()) == []


@pytest.mark.parametrize("where", ["output", "temporary"])
def test_a_disk_that_fills_up_later(tool: Tool, vendor: Registry, small: Path, where: str) -> None:
    """A manifest that says less than there is hides the need: only writing shows it."""
    repository = fresh("lying")
    layers = [layer(f"{repository}{number}", MEGABYTE) for number in range(6)]
    image = put_image(vendor, repository, "1", layers)
    lie = image.raw
    for size in set(image.sizes.values()):
        if size > MEGABYTE:
            lie = lie.replace(f'"size": {size}'.encode(), b'"size": 10')
    vendor.put_manifest(repository, "2", lie, image.media_type)
    small_first = ("-o", small / "o.tar") if where == "output" else ("-o", "o.tar", "--tmpdir", small)
    ran = tool("pull", f"{vendor.host}/{repository}:2", *small_first, "--json", *PLAIN_PULL)
    assert ran.code in (4, 6), ran.stderr
    assert list(small.iterdir()) == []
    assert list(tool.home.iterdir()) == []


def test_push_needs_room_for_what_it_unpacks(tool: Tool, customer: Registry, small: Path, large: str) -> None:
    tool.good("pull", large, "-o", "o.tar", *PLAIN_PULL)
    (small / "ballast").write_bytes(bytes(2 * MEGABYTE))
    watch = customer.watch()
    push = ("push", "o.tar", f"{customer.host}/{fresh('there')}:1", "--json", *PLAIN_DEST, "--no-preserve-digests")
    ran = tool(*push, "--tmpdir", small)
    refused(ran, 6, str(small))
    assert 3 * MEGABYTE < needed(ran.json["error"]["message"]) < 4 * MEGABYTE
    assert watch.writes() == []
    assert [path.name for path in small.iterdir()] == ["ballast"]
    # To a registry nothing is unpacked, unless the image is to be converted.
    (small / "ballast").write_bytes(bytes(3 * MEGABYTE + 800_000))
    tool.good("push", "o.tar", f"{customer.host}/{fresh('there')}:1", *PLAIN_DEST, "--tmpdir", small)


def test_a_full_cache_is_no_failure(tool: Tool, small: Path, large: str) -> None:
    (small / "ballast").write_bytes(bytes(3 * MEGABYTE))
    ran = tool.good("pull", large, "-o", "o.tar", "--cache-dir", small / "cache", *PLAIN_PULL)
    assert "continuing without" in ran.stderr
    assert not list(small.rglob("*.part"))


@pytest.mark.parametrize("size", [10**12, 2**50, 2**62, 2**63 - 1])
def test_a_layer_beyond_belief_is_the_manifests_fault(
    tool: Tool, vendor: Registry, tmp_path: Path, size: int
) -> None:
    repository = fresh("absurd")
    image = put_image(vendor, repository, "1", [layer(f"{repository}{number}", 1000) for number in range(2)])
    true = max(image.sizes.values())
    lie = image.raw.replace(f'"size": {true}'.encode(), f'"size": {size}'.encode(), 1)
    assert lie != image.raw
    vendor.put_manifest(repository, "2", lie, image.media_type)
    ran = tool("pull", f"{vendor.host}/{repository}:2", "-o", tmp_path / "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 4, "sha256:", str(size))
    assert not (tmp_path / "o.tar").exists()
