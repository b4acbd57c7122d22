"""Temporary folders and files: what is dead goes, what is alive or someone else's stays."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wrapper.host import temporary
from wrapper.host.temporary import ARCHIVE, LOCK, OLD, PART, PrivateFolder, create_file, remove_dead

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = temporary._this_start()
DEAD = f"skopeo-incremental-{OURS}89abcdef"
OTHERS = f"skopeo-incremental-{'0' * 8 if OURS != '0' * 8 else '1' * 8}89abcdef"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_dead_runs_left_goes(tmp_path: Path) -> None:
    folder = tmp_path / DEAD
    (folder / "layout" / "blobs").mkdir(parents=True)
    (folder / "layout" / "blobs" / "one").write_bytes(b"x")
    (folder / "auth.json").write_text("secret")
    (folder / LOCK).touch()
    (tmp_path / f"skopeo-incremental-{OURS}000000aa").mkdir()
    for name in (PART, ARCHIVE):
        (tmp_path / f"{OURS}000000bb".join(name)).write_bytes(b"half")
    assert remove_dead(tmp_path) == []
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
    (tmp_path / f"{OURS}000000bb".join(PART)).symlink_to(elsewhere / "mine")
    dead = tmp_path / f"skopeo-incremental-{OURS}000000cc"
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


def dead_folder(path: Path) -> Path:
    (path / "layout" / "blobs").mkdir(parents=True)
    (path / "layout" / "blobs" / "one").write_bytes(b"x")
    (path / LOCK).touch()
    return path


def make_old(path: Path) -> None:
    for each in (path, *path.rglob("*")):
        os.utime(each, (0, time.time() - OLD - 60))


def test_what_another_machine_may_use_stays_for_days(tmp_path: Path) -> None:
    """Its lock is none that we see."""
    folder = dead_folder(tmp_path / OTHERS)
    files = [tmp_path / OTHERS.removeprefix("skopeo-incremental-").join(name) for name in (PART, ARCHIVE)]
    for file in files:
        file.write_bytes(b"half")
    assert remove_dead(tmp_path) == sorted([folder, *files])
    assert len(names(tmp_path)) == 3
    lines: list[str] = []
    PrivateFolder.create(tmp_path, lines.append).remove()
    assert [str(path) in line for path, line in zip(sorted([folder, *files]), lines, strict=True)] == [True] * 3
    # Something in it is young.
    make_old(folder)
    os.utime(folder / "layout" / "blobs" / "one")
    make_old(files[0])
    assert remove_dead(tmp_path) == sorted([folder, files[1]])
    make_old(folder)
    make_old(files[1])
    assert remove_dead(tmp_path) == []
    assert names(tmp_path) == []


@pytest.mark.parametrize("what", ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"])
def test_another_machine_or_another_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    alive = PrivateFolder.create(tmp_path)
    alive.lock.close()
    read = Path.read_text
    temporary._this_start.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", lambda path: "other" if str(path) == what else read(path))
        assert remove_dead(tmp_path) == [alive.path]
    temporary._this_start.cache_clear()
    assert remove_dead(tmp_path) == []
    assert names(tmp_path) == []


def test_without_locks_nothing_young_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = PrivateFolder.create(tmp_path)
    path, file = create_file(tmp_path, PART)
    with file:
        assert remove_dead(tmp_path) == sorted([folder.path, path])
    folder.remove()
    make_old(path)
    assert remove_dead(tmp_path) == []
    assert names(tmp_path) == []


def test_what_cannot_be_removed_whole_keeps_its_lock(tmp_path: Path) -> None:
    folder = PrivateFolder.create(tmp_path)
    stuck = folder.path / "layout"
    (stuck / "in").mkdir(parents=True)
    (folder.path / "free").write_text("x")
    with immovable(stuck):
        folder.remove()
        assert names(folder.path) == ["layout", LOCK]
        assert remove_dead(tmp_path) == []
        assert names(folder.path) == ["layout", LOCK]
    remove_dead(tmp_path)
    assert names(tmp_path) == []


def test_out_of_file_descriptors(tmp_path: Path) -> None:
    folder = PrivateFolder.create(tmp_path)
    (folder.path / "layout").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        folder.remove()
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert names(folder.path) == ["layout", LOCK]
    remove_dead(tmp_path)
    assert names(tmp_path) == []


@contextmanager
def immovable(folder: Path) -> Iterator[None]:
    """Nothing can be removed from a folder, as from one on NFS whose files are open elsewhere."""
    if os.geteuid() == 0:
        # For root no mode is in the way, but a mount is.
        mount = ["mount", "-t", "tmpfs", "none", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed")
        yield
        subprocess.run(["umount", str(folder)], check=True)
    else:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
