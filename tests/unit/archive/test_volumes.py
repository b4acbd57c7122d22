"""Which files beside an archive's first volume are its others."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from wrapper.archive.volumes import Volumes, find_volumes
from wrapper.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The first of two volumes."""
    for number in (1, 2):
        (tmp_path / f"x.tar.{number:03}").write_bytes(b"%d" % number)
    return tmp_path / "x.tar.001"


def names(path: Path) -> list[str]:
    return [volume.name for volume in find_volumes(path)]


@pytest.mark.parametrize(
    "name",
    [
        "x.tar.20261124",
        "x.tar.999999999999",
        "x.tar." + "9" * 200,
        "x.tar.00003",
        "x.tar.0003",
        "x.tar.000",
        "x.tar.3",
    ],
)
def test_what_is_numbered_otherwise_is_no_volume(first: Path, name: str) -> None:
    (first.parent / name).touch()
    tracemalloc.start()
    assert names(first) == names(first.with_name("x.tar")) == ["x.tar.001", "x.tar.002"]
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_volume_far_away_is_a_gap(first: Path) -> None:
    (first.parent / "x.tar.9999").touch()
    with pytest.raises(UsageError, match=r"missing: x\.tar\.003, x\.tar\.004") as error:
        find_volumes(first)
    assert len(error.value.message) < 600


def test_a_thousand_volumes_are_in_order(first: Path) -> None:
    for number in range(3, 1013):
        (first.parent / f"x.tar.{number:03}").touch()
    assert names(first)[996:1002] == [f"x.tar.{number:03}" for number in range(997, 1003)]
    assert len(names(first)) == 1012


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        os.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path.name),
    ],
    ids=["pipe", "folder", "device", "nowhere", "itself"],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_volume_that_is_no_plain_file(first: Path, number: int, make: Callable[[Path], None]) -> None:
    volume = first.with_name(f"x.tar.{number:03}")
    volume.unlink(missing_ok=True)
    make(volume)
    for path in (first, first.with_name("x.tar")):
        with pytest.raises(UsageError, match=rf"{volume.name} is not a plain file"):
            find_volumes(path)


def test_volumes_may_be_links_to_where_they_lie(first: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (first.parent / "x.tar.003").symlink_to((first.parent / "x.tar.002").rename(tmp_path / "disk/2"))
    (first.parent / "x.tar.002").symlink_to(tmp_path / "disk/2")
    with Volumes(find_volumes(first)) as volumes:
        assert volumes.read() == b"122"


def test_a_volume_that_becomes_a_pipe_before_it_is_opened(first: Path) -> None:
    volumes = find_volumes(first)
    volumes[1].unlink()
    os.mkfifo(volumes[1])
    with pytest.raises(OSError, match="no plain file"):
        Volumes(volumes)
