from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wrapper import UsageError
from wrapper.mirror.folder import HEADER, ConfigFile, write_files

if TYPE_CHECKING:
    from pathlib import Path

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
    assert all(path.exists() for path in others)


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
    with pytest.raises(UsageError, match="is not a folder"):
        write_files(tmp_path / "folder/file", FILES, PATTERNS, dry_run=(folder / "file").touch() is None)
