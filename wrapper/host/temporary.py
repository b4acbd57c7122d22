"""Temporary folders and files that a killed run leaves behind for no longer than until the next one.

Each is locked (flock) as long as its run lives, a folder by a file inside it. Whoever makes one first removes what
stands beside it under such a name and has lost its lock. No lock can be taken twice, so a folder of a run that is
alive is never touched.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

LOCK = "skopeo-incremental.lock"
PART = (".skopeo-incremental-", ".part")
"""How the name of a file begins and ends that is to get another name when it is complete."""

ARCHIVE = ("skopeo-incremental-", ".tar")
"""How the name of an archive begins and ends that goes away when its reader is closed."""

_FOLDER = re.compile(r"skopeo-incremental-[0-9a-f]{16}")
_FILE = re.compile(r"\.skopeo-incremental-[0-9a-f]{16}\.part|skopeo-incremental-[0-9a-f]{16}\.tar")


class PrivateFolder(NamedTuple):
    """A folder that nobody else can read, locked.

    Attributes:
        path: where it is.
        lock: the open file that holds the lock.
    """

    path: Path
    lock: BinaryIO

    @classmethod
    def create(cls, parent: Path) -> PrivateFolder:
        """Make one; what dead runs left beside it is removed.

        Raises:
            OSError: `parent` cannot be written.
        """
        remove_dead(parent)
        while True:
            path = parent / f"skopeo-incremental-{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            # Before it has its lock, another run may take it for one without: then the next try is made.
            with suppress(FileNotFoundError):
                lock = (path / LOCK).open("xb")
                if _locked(lock, path / LOCK):
                    return cls(path.absolute(), lock)
                lock.close()

    def remove(self) -> None:
        """Remove it with all that it holds; what can't be removed is left to the next run."""
        _remove_folder(self.path)
        self.lock.close()
        # Where a file that is open can't be removed (NFS, FUSE), the folder was not empty until now.
        with suppress(OSError):
            self.path.rmdir()


def create_file(folder: Path, name: tuple[str, str]) -> tuple[Path, BinaryIO]:
    """Make a new file, locked as long as it is open; what dead runs left beside it is removed.

    Args:
        folder: where.
        name: how its name begins and ends: `PART` or `ARCHIVE`.

    Returns:
        Its path, and the file, open for writing and reading.

    Raises:
        OSError: the folder cannot be written.
    """
    remove_dead(folder)
    # Who may read what becomes an output is for the user's umask to say.
    mode = 0o666 if name is PART else 0o600
    while True:
        path = folder / secrets.token_hex(8).join(name)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "r+b")
        if _locked(file, path):
            return path, file
        file.close()


def remove_dead(parent: Path) -> None:
    """Remove the temporary folders and files of runs that were killed; what can't be removed stays."""
    # Another run may be removing the same at this moment; and not every folder may be listed.
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                    continue
                if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    _remove_if_dead(Path(entry.path), Path(entry.path, LOCK))
                elif _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    _remove_if_dead(Path(entry.path), Path(entry.path))


def _remove_if_dead(path: Path, lock: Path) -> None:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Not ours if it holds anything. Its run died before it had a lock, or will notice and make another.
        path.rmdir()
        return
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path == lock:
            path.unlink()
        else:
            _remove_folder(path)


def _remove_folder(path: Path) -> None:
    """Remove a folder, its lock last: what stays behind is to be known as ours."""
    with suppress(OSError):
        for entry in list(os.scandir(path)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                Path(entry.path).unlink(missing_ok=True)
        (path / LOCK).unlink(missing_ok=True)
        path.rmdir()


def _locked(file: BinaryIO, path: Path) -> bool:
    """Lock a new file, and say whether it is still there."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: nobody else can take one there either.
        return True
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def default_temp_dir() -> Path:
    """Return the folder for temporary files: TMPDIR, else /var/tmp."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108 - a private folder is made in it
