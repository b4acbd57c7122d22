"""The folder with mirror files: what is written, and what is left alone."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError, host_errors
from ..host.files import complete_file, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HEADER = "# Written by skopeo-incremental, which replaces or removes this file as long as this line is its first."
"""The first line of every file: what has it is ours."""


class ConfigFile(NamedTuple):
    """A file for one kind of client.

    Attributes:
        path: where it is in the folder.
        body: its lines, without comments.
        notes: what it can't express, one line each; the first says all in short.
    """

    path: str
    body: str
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> bytes:
        """The bytes of the file. All kinds of files have comments that begin with `#`."""
        return "\n".join([HEADER, *(f"# {note}" for note in self.notes), self.body]).encode()


def require_ours(folder: Path, files: Iterable[str]) -> None:
    """Refuse to replace what somebody else has written, and a place where nothing can be written.

    Args:
        folder: where files are to be written.
        files: their paths in it.

    Raises:
        UsageError: one is there, and not ours; or `folder` is no folder.
        HostError: nothing can be written there.
    """
    with host_errors(f"cannot write into {folder}"):
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists() or each.is_symlink())
        if not there.is_dir():
            raise UsageError(f"{there} is not a folder", "name a folder for the mirror files")
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for path in (folder / name for name in files):
            if (path.exists() or path.is_symlink()) and not _is_ours(path):
                raise UsageError(
                    f"{path} was not written by skopeo-incremental, and is not replaced",
                    "move it away, or name another folder for the mirror files",
                )


def write_files(folder: Path, files: Sequence[ConfigFile], patterns: Iterable[str], *, dry_run: bool) -> bool:
    """Write files, and remove those that an earlier run wrote and this one does not.

    Args:
        folder: where; made if it is not there.
        files: the files: each appears complete. One that has these bytes already stays as it is.
        patterns: where in the folder an earlier run may have written, as `Path.glob` takes it.
        dry_run: write nothing.

    Returns:
        Whether anything was, or in a dry run would be, written or removed.

    Raises:
        UsageError: a file is there that is not ours; nothing is written then.
        HostError: the folder or the disk refuses.
    """
    require_ours(folder, [file.path for file in files])
    new = [file for file in files if not _has(folder / file.path, file.content)]
    wanted = {folder / file.path for file in files}
    there = sorted(path for pattern in patterns for path in folder.glob(pattern))
    stale = [path for path in there if path not in wanted and _is_ours(path)]
    if not dry_run:
        with host_errors(f"cannot write into {folder}"):
            for file in new:
                path = folder / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                with complete_file(path) as out:
                    out.write(file.content)
                # Disks for all systems (FAT) have no such permissions.
                with suppress(PermissionError):
                    path.chmod(0o644)
            for path in stale:
                path.unlink()
                # Clients take an empty folder for settings, too.
                with suppress(OSError):
                    path.parent.rmdir()
    return bool(new or stale)


def _is_ours(path: Path) -> bool:
    return _begins_with(path, HEADER.encode())


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and _begins_with(path, content)
    except OSError:
        return False


def _begins_with(path: Path, start: bytes) -> bool:
    if path.is_symlink():
        return False
    try:
        with open_plain(path) as file:
            return file.read(len(start)) == start
    except OSError:
        return False
