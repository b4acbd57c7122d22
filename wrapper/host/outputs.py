"""Outputs that a user names: a file, which appears complete or not at all; a device or named pipe stays one."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UsageError, host_errors
from .files import complete_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DESCRIPTOR = re.compile(r"/dev/(?P<name>stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>[0-9]{1,9})")
_LINKS = 40  # path_resolution(7)


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Write what a user has named: as `complete_file` does, or as a stream, where that is what is there.

    Args:
        path: a symbolic link stays, and what it leads to is written.

    Raises:
        UsageError: it is a folder, or a symbolic link of somebody else's.
        HostError: it can't be written.
    """
    if is_stream(path):
        with host_errors(f"cannot write {path}"), open_stream(path) as stream:
            yield stream
    else:
        with complete_file(followed(path)) as file:
            yield file


def is_stream(path: Path) -> bool:
    """Say whether `path` is there and no plain file, such as a named pipe, or an open file as `/dev/stdout` is.

    Raises:
        UsageError: it is a folder, or a symbolic link of somebody else's.
    """
    path = followed(path)
    if _DESCRIPTOR.fullmatch(str(path)):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        raise UsageError(f"the output {path} is a folder", f"name a file in it, such as {path / 'update.tar'}")
    return not stat.S_ISREG(mode)


def open_stream(path: Path) -> BinaryIO:
    """Open for writing what `is_stream` took for a stream.

    Raises:
        OSError: it can't be written.
    """
    path = followed(path)
    if not (found := _DESCRIPTOR.fullmatch(str(path))):
        return path.open("wb")
    # Opened by its name, a file behind it would be written from its beginning.
    number = int(found["number"]) if found["number"] else {"stdout": 1, "stderr": 2}[found["name"]]
    return os.fdopen(os.dup(number), "wb")


def followed(path: Path) -> Path:
    """Return where a path leads, symbolic links at its end followed.

    As the kernel does in folders like /tmp (fs.protected_symlinks), no link is followed that somebody else has put
    there.

    Raises:
        UsageError: one is somebody else's, or they lead nowhere.
    """
    for _ in range(_LINKS):
        if _DESCRIPTOR.fullmatch(str(path)) or not path.is_symlink():
            return path
        if path.lstat().st_uid not in (os.geteuid(), path.parent.stat().st_uid):
            raise UsageError(f"the output {path} is another user's symbolic link", "name another file")
        path = path.parent / path.readlink()
    raise UsageError(f"the output {path} is a symbolic link that leads nowhere", "name another file")
