"""A folder of whole layers that earlier pulls fetched: a pull that is repeated fetches only the rest.

`DIR/sha256/<hex>`, one file per layer. Nothing gets in under its name before it is whole, and nothing comes out
that does not hash to its name, so any number of runs may share a cache, and a power cut does it no harm.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, host_errors
from ..host.files import copy_file, open_plain, sha256_of
from ..host.temporary import PART, create_file

if TYPE_CHECKING:
    from ..host.progress import Progress
    from .options import CacheOptions

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, where the file system can
_ENTRY = re.compile(r"[0-9a-f]{64}")


class Cache:
    """A cache of layers."""

    def __init__(self, options: CacheOptions, report: Progress) -> None:
        """Open a cache; its folder is made where there is none.

        Args:
            options: where it is, and how much it may hold.
            report: receives a line for each layer that is dropped because it is damaged, and where the cache
                can't be written: a pull goes on without.

        Raises:
            UsageError: the folder is a part of an OCI layout, whose blobs would be taken for layers to be dropped.
            HostError: the folder cannot be made.
        """
        folder = Path(options.folder)
        if (folder.absolute().parent / "oci-layout").exists():
            raise UsageError(
                f"{folder} is part of an OCI layout, and can't be a cache", "name another folder for the cache"
            )
        self._entries = folder / "sha256"
        self._max_size = options.max_size
        self._report = report
        self._failed = False
        with host_errors(f"cannot write the cache {folder}"):
            self._entries.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where the layers lie."""
        return self._entries

    def get(self, digest: str, target: Path) -> bool:
        """Put a layer where it is needed, without copying it where the file system allows.

        Args:
            digest: of the layer.
            target: a path that is not there yet.

        Returns:
            Whether the cache had it. One with other bytes than its name says is dropped, with a line about it.
        """
        entry = self._entry(digest)
        try:
            _place(entry, target)
            # What was placed is hashed, and not what stands under the entry's name at another moment.
            with target.open("rb") as file:
                found = sha256_of(file)
            if digest != f"sha256:{found}":
                self._report.warn(f"the cached copy of {digest} is damaged, and is deleted")
                target.unlink()
                entry.unlink(missing_ok=True)
                return False
            os.utime(entry)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._warn(f"cannot read {entry}: {error.strerror}")
            return False
        return True

    def put(self, digest: str, source: Path) -> None:
        """Keep a layer, unless it is there already.

        Args:
            digest: of the layer.
            source: a file that is whole, and that hashes to `digest`.
        """
        entry = self._entry(digest)
        try:
            size = source.stat().st_size
            if entry.exists() or (self._max_size is not None and size > self._max_size):
                return
            _place(source, entry)
            os.utime(entry)
        except OSError as error:
            self._warn(f"cannot keep {digest} in {self._entries.parent}: {error.strerror}")
            return
        self._evict()

    def _entry(self, digest: str) -> Path:
        return self._entries / digest.removeprefix("sha256:")

    def _list(self) -> list[tuple[int, int, Path]]:
        """Return when each layer was last used, its size in bytes, and its path."""
        found = []
        for path in self._entries.iterdir():
            # Another run may be evicting at the same moment.
            with suppress(FileNotFoundError):
                if _ENTRY.fullmatch(path.name):
                    status = path.lstat()
                    found.append((status.st_mtime_ns, status.st_size, path))
        return found

    def _evict(self) -> None:
        if self._max_size is None:
            return
        # Looked at anew each time: other runs add to it too.
        entries = self._list()
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_size:
                return
            with suppress(OSError):
                path.unlink(missing_ok=True)
                total -= size

    def _warn(self, text: str) -> None:
        if not self._failed:
            self._failed = True
            self._report.warn(f"{text}; continuing without the cache")


def _place(source: Path, target: Path) -> None:
    """Give `target` the bytes of `source`, all at once: by a hard link, shared blocks, or a copy, in this order.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is no plain file, or can't be read or written.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise
    except OSError:
        pass
    else:
        if _is_ours(target.lstat()):
            return
        target.unlink()
    part, file = create_file(target.parent, PART)
    with file:
        try:
            with open_plain(source) as whole:
                try:
                    fcntl.ioctl(file, _FICLONE, whole.fileno())
                except OSError:
                    copy_file(whole, file)
                    file.flush()
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _is_ours(found: os.stat_result) -> bool:
    """Say whether a file is plain, and nobody else can change it under our hands."""
    others = stat.S_IWGRP | stat.S_IWOTH
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & others
