from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from wrapper import HostError, UsageError
from wrapper.mirror.folder import HEADER, ConfigFile, require_ours, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

PATTERNS = ("a.txt", "certs.d/*/b.txt")
FILES = [ConfigFile("a.txt", "one\n", ("note",)), ConfigFile("certs.d/x.example/b.txt", "two\n")]


def test_files_are_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "new/folder"
    assert write_files(folder, FILES, PATTERNS, dry_run=True)
    assert not folder.exists()
    assert write_files(folder, FILES, PATTERNS, dry_run=False)
    assert (folder / "a.txt").read_text() == f"{HEADER}\n# note\none\n"
    assert (folder / "a.txt").stat().st_mode & 0o777 == 0o644
    before = (folder / "a.txt").stat()
    assert not write_files(folder, FILES, PATTERNS, dry_run=False)
    assert (folder / "a.txt").stat() == before


def test_what_is_no_longer_written_goes_and_nothing_else(tmp_path: Path) -> None:
    write_files(tmp_path, FILES, PATTERNS, dry_run=False)
    others = [
        tmp_path / "certs.d/own.example/b.txt",
        tmp_path / "other/a.txt",
        tmp_path / "certs.d/x.example/c.txt",
    ]
    for path, text in zip(others, ("theirs\n", f"{HEADER}\n", f"{HEADER}\n"), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert write_files(tmp_path, FILES[:1], PATTERNS, dry_run=True)
    assert (tmp_path / FILES[1].path).exists()
    assert write_files(tmp_path, FILES[:1], PATTERNS, dry_run=False)
    assert not (tmp_path / FILES[1].path).exists()
    assert (tmp_path / FILES[1].path).parent.exists()
    assert all(path.exists() for path in others)


def test_no_empty_folder_is_left(tmp_path: Path) -> None:
    """containerd takes it for the settings of that registry."""
    write_files(tmp_path, FILES, PATTERNS, dry_run=False)
    write_files(tmp_path, FILES[:1], PATTERNS, dry_run=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.txt", "certs.d"]


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_others_wrote_stays(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = folder / FILES[1].path
    path.parent.mkdir(parents=True)
    if kind == "file":
        path.write_text("theirs\n")
    elif kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "elsewhere").write_text(f"{HEADER}\n")
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"b\.txt was not written by skopeo-incremental"):
        write_files(folder, FILES, PATTERNS, dry_run=False)
    assert not (folder / "a.txt").exists()


def test_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/new/folder", "link", "link/new"):
        with pytest.raises(UsageError, match=rf"{name[:4]} is not a folder"):
            require_ours(tmp_path / name, [])
    with pytest.raises(HostError, match="cannot write into"):
        require_ours(tmp_path / ("a" * 300), [])


def test_a_folder_that_is_not_ours_to_write() -> None:
    # Others can't even look into pytest's folders.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        with as_user():
            for folder in (Path(name), Path(name) / "new/folder"):
                with pytest.raises(HostError, match=f"cannot write into {folder}: Permission denied"):
                    require_ours(folder, [])


@contextmanager
def as_user() -> Iterator[None]:
    """Root may write everywhere, and anybody else may not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
