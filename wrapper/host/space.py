"""Disk space: what is needed, compared with what is free, before anything is fetched."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import FREE_SPACE, DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INCREDIBLE = 10**12
"""A layer that claims as many bytes is not counted: rather its manifest lies, which fetching it will show."""

_TRIED = 256 * 1024


class Space:
    """How much room is needed, and where."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._needs: dict[int, tuple[Path, int]] = {}

    def need(self, folder: Path, size: int) -> None:
        """Count something that will be written.

        Args:
            folder: where; folders on one file system are counted together.
            size: how much, in bytes.
        """
        try:
            device = folder.stat().st_dev
        except OSError:
            # Whoever writes there will say so.
            return
        first, needed = self._needs.get(device, (folder, 0))
        self._needs[device] = first, needed + size

    def require(self) -> None:
        """Compare it with what is free.

        Raises:
            DiskFullError: it is more than that.
        """
        for folder, needed in self._needs.values():
            free = _free(folder)
            if needed > free:
                raise DiskFullError(
                    f"not enough space in {folder}: {needed} bytes needed, {free} bytes free", FREE_SPACE
                )

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let an error about a full disk in the block say what was needed, and where.

        Raises:
            DiskFullError: as in the block, with that.
        """
        try:
            yield
        except DiskFullError as error:
            needs = ", ".join(f"{needed} bytes in {folder}" for folder, needed in self._needs.values())
            raise DiskFullError(f"{error.message} (needed: {needs})", error.next_step) from error


@contextmanager
def room_for(folder: Path | None, size: int) -> Iterator[None]:
    """Require room before the block, which then writes.

    Args:
        folder: where; None, or one that is not there yet, is not looked at.
        size: how much, in bytes.

    Raises:
        DiskFullError: there is too little, now or in the block.
    """
    space = Space()
    if folder:
        space.need(folder, size)
    space.require()
    with space.named():
        yield


def holds_sparse_files(folder: Path) -> bool:
    """Say whether a file takes no more room in a folder than what was written to it; on FAT and exFAT it does.

    Args:
        folder: of our own; nothing is left in it.

    Raises:
        OSError: it can't be written.
    """
    path = folder / "sparse"
    try:
        with path.open("xb") as file:
            os.truncate(file.fileno(), _TRIED)
            return os.fstat(file.fileno()).st_blocks * 512 < _TRIED
    finally:
        path.unlink(missing_ok=True)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    # A part is kept for root.
    return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)
