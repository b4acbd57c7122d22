"""Files that appear complete under their names, or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from ..errors import host_errors
from .signals import check
from .temporary import PART, create_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


CHUNK = 1024 * 1024
"""How many bytes are copied at a time."""


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name when the block ends well, and not at all otherwise.

    It is written under a temporary name in the same folder, and reaches the disk before it gets its own.
    An existing file stays as it is until then.

    Args:
        path: its name.

    Raises:
        HostError: the folder or the disk refuses.
    """
    with host_errors(f"cannot write {path}"):
        temporary, file = create_file(path.parent, PART)
        with file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                check()
                # While it is open it is locked: closed under this name, it would be taken for a dead run's.
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)


def open_plain(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a plain file for reading; a named pipe would make us wait for ever.

    Args:
        path: the file.
        buffering: as `open` takes it.

    Raises:
        OSError: there is none, or it is something else.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no plain file")
    return file


def holds(path: Path, size: int, sha256: str) -> bool:
    """Say whether the file at `path` has that size in bytes, and that sha256, already."""
    try:
        with open_plain(path) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            return sha256_of(file) == sha256
    except OSError:
        return False


def sha256_of(file: BinaryIO) -> str:
    """Read a file to its end; return the sha256 of what was read, as hexadecimal digits."""
    found = hashlib.sha256()
    while chunk := file.read(CHUNK):
        check()
        found.update(chunk)
    return found.hexdigest()


def copy_file(source: BinaryIO, target: BinaryIO, count: Callable[[int], None] = lambda _: None) -> None:
    """Copy what is left of a file.

    Args:
        source: where from.
        target: where to.
        count: is told how many bytes more were copied.
    """
    while chunk := source.read(CHUNK):
        check()
        target.write(chunk)
        count(len(chunk))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep out others who want to be alone in a folder, too, as long as the block lasts.

    Args:
        folder: it must be there.

    Raises:
        OSError: it can't be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # In a file system without locks nobody else can take one either; NFS has none for folders.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
