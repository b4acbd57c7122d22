"""Temporary folders and files that a killed run leaves behind for no longer than until the next one.

Each is locked (flock) as long as its run lives, a folder by a file inside it. Whoever makes one first removes what
stands beside it under such a name and has lost its lock. No lock can be taken twice, so a folder of a run that is
alive is never touched.

Where several machines share a file system, a lock may be seen by one of them alone. So each name says who made it:
this machine, since it was started. What others made, or may have, is left alone until nothing has changed in it for
days.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK = "skopeo-incremental.lock"
PART = (".skopeo-incremental-", ".part")
"""How the name of a file begins and ends that is to get another name when it is complete."""

ARCHIVE = ("skopeo-incremental-", ".tar")
"""How the name of an archive begins and ends that goes away when its reader is closed."""

OLD = 5 * 24 * 3600.0
"""For how long nothing changes in what no run uses any more, wherever it runs, in seconds."""

_FOLDER = re.compile(r"skopeo-incremental-[0-9a-f]{16}")
_FILE = re.compile(r"\.skopeo-incremental-[0-9a-f]{16}\.part|skopeo-incremental-[0-9a-f]{16}\.tar")
_MAKER = re.compile(r"skopeo-incremental-([0-9a-f]{8})")


class PrivateFolder(NamedTuple):
    """A folder that nobody else can read, locked.

    Attributes:
        path: where it is.
        lock: the open file that holds the lock.
    """

    path: Path
    lock: BinaryIO

    @classmethod
    def create(cls, parent: Path, report: Callable[[str], None] | None = None) -> PrivateFolder:
        """Make one; what dead runs left beside it is removed.

        Args:
            parent: where.
            report: receives a line for each thing that another machine's run may still use.

        Raises:
            OSError: `parent` cannot be written.
        """
        for path in remove_dead(parent):
            if report:
                report(
                    f"{path} may be in use on another machine, or older than a restart: remove it if it is unused"
                )
        while True:
            path = parent / _new_name(("skopeo-incremental-", ""))
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            try:
                lock = (path / LOCK).open("xb")
            except FileNotFoundError:
                # Before it has its lock, another run may take it for one without: then the next try is made.
                continue
            except OSError:
                path.rmdir()
                raise
            if _locked(lock, path / LOCK):
                return cls(path.absolute(), lock)
            lock.close()

    def remove(self) -> None:
        """Remove it with all that it holds; what can't be removed is left to the next run."""
        _empty(self.path)
        self.lock.close()
        _remove_empty(self.path)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Have a folder that nobody else can read, for as long as the block lasts.

    Args:
        parent: where.

    Raises:
        HostError: `parent` cannot be written.
    """
    try:
        private = PrivateFolder.create(parent)
    except OSError as error:
        raise unwritable(parent, error) from None
    try:
        yield private.path
    finally:
        private.remove()


def unwritable(parent: Path, error: OSError) -> HostError:
    """Return what is wrong where no private folder can be made in `parent`."""
    return HostError(
        f"cannot write to the temporary folder {parent}: {error.strerror}", "choose another one with `temp_dir`"
    )


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
        path = folder / _new_name(name)
        try:
            # Unlike `os.fdopen`, this keeps the file's name.
            file = open(path, "x+b", opener=partial(os.open, mode=mode))  # noqa: SIM115 - takes an opener
        except FileExistsError:
            continue
        if _locked(file, path):
            return path, file
        file.close()


def remove_dead(parent: Path) -> list[Path]:
    """Remove the temporary folders and files of runs that were killed; what can't be removed stays.

    Returns:
        What stays since a run may still use it that is not of this machine, or not of its present start.
    """
    left = []
    # Another run may be removing the same at this moment; and not every folder may be listed.
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                    continue
                path = Path(entry.path)
                if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    is_left = _remove_if_dead(path, path / LOCK)
                elif _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    is_left = _remove_if_dead(path, path)
                else:
                    continue
                if is_left:
                    left.append(path)
    return sorted(left)


def _remove_if_dead(path: Path, lock: Path) -> bool:
    """Remove what has lost its lock; say whether it was left alone since it may be somebody else's."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Not ours if it holds anything. Its run died before it had a lock, or will notice and make another.
        path.rmdir()
        return False
    with os.fdopen(descriptor, "r+b") as file:
        is_known = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A file system without locks.
            is_known = False
        if not (is_known and _is_of_this_start(path)) and time.time() - _last_change(path) < OLD:
            return True
        if path == lock:
            path.unlink()
            return False
        _empty(path)
    _remove_empty(path)
    return False


def _empty(path: Path) -> None:
    """Remove what a folder holds but its lock, as far as that can be."""
    with suppress(OSError):
        for entry in list(os.scandir(path)):
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.name != LOCK:
                    Path(entry.path).unlink(missing_ok=True)


def _remove_empty(path: Path) -> None:
    """Remove a folder that holds its lock alone: by that, what stays behind is known as ours.

    The lock is closed before: NFS and FUSE keep what is open under another name, and the folder with it.
    """
    with suppress(OSError):
        if os.listdir(path) == [LOCK]:  # noqa: PTH208 - names are all that counts
            (path / LOCK).unlink()
            path.rmdir()


def _new_name(name: tuple[str, str]) -> str:
    return f"{_this_start()}{secrets.token_hex(4)}".join(name)


def _is_of_this_start(path: Path) -> bool:
    maker = _MAKER.search(path.name)
    return bool(maker and maker[1] == _this_start())


@cache
def _this_start() -> str:
    """Return eight hexadecimal digits that stand for this machine since it was started.

    Not for its name: containers have one each, and the locks of their kernel.
    """
    known = []
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            known.append(Path(path).read_text())
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _last_change(path: Path) -> float:
    """Return when anything last changed in a file or folder, as seconds since 1970."""
    return max((entry.lstat().st_mtime for entry in _tree(path)), default=0.0)


def _tree(path: Path) -> Iterator[Path]:
    yield path
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *files))


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
