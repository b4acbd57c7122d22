"""Temporary folders and files: what is dead goes, what is alive or someone else's stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wrapper.host.temporary import ARCHIVE, LOCK, PART, PrivateFolder, create_file, remove_dead

if TYPE_CHECKING:
    from pathlib import Path

DEAD = "skopeo-incremental-0123456789abcdef"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_dead_runs_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / DEAD
    (folder / "layout" / "blobs").mkdir(parents=True)
    (folder / "layout" / "blobs" / "one").write_bytes(b"x")
    (folder / "auth.json").write_text("secret")
    (folder / LOCK).touch()
    (tmp_path / "skopeo-incremental-00000000000000aa").mkdir()
    for name in (PART, ARCHIVE):
        (tmp_path / "00000000000000bb".join(name)).write_bytes(b"half")
    remove_dead(tmp_path)
    assert names(tmp_path) == []


def test_what_is_alive_stays(tmp_path: Path) -> None:
    alive = PrivateFolder.create(tmp_path)
    path, file = create_file(tmp_path, PART)
    archive, second = create_file(tmp_path, ARCHIVE)
    with file, second:
        other = PrivateFolder.create(tmp_path)
        assert names(tmp_path) == sorted(each.name for each in (alive.path, other.path, path, archive))
    alive.remove()
    other.remove()
    remove_dead(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["skopeo-incremental-0123", f"{DEAD}.bak", f"x{DEAD}", "skopeo-incremental-notes", f"{DEAD}.tar.gz"]
)
def test_what_only_looks_like_ours_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / f"{name}-file").write_text("mine")
    remove_dead(tmp_path)
    assert names(tmp_path) == [name, f"{name}-file"]


def test_a_folder_without_our_lock_stays_unless_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / DEAD).mkdir()
    (tmp_path / DEAD / "mine").write_text("mine")
    remove_dead(tmp_path)
    assert names(tmp_path / DEAD) == ["mine"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    (elsewhere / "mine").write_text("mine")
    (tmp_path / DEAD).symlink_to(elsewhere)
    (tmp_path / "00000000000000bb".join(PART)).symlink_to(elsewhere / "mine")
    dead = tmp_path / "skopeo-incremental-00000000000000cc"
    dead.mkdir()
    (dead / LOCK).touch()
    (dead / "folder").symlink_to(elsewhere)
    remove_dead(tmp_path)
    assert names(elsewhere) == ["mine", LOCK]
    assert not dead.exists()


def test_only_its_owner_can_look_into_a_folder(tmp_path: Path) -> None:
    folder = PrivateFolder.create(tmp_path)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
