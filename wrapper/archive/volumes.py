"""Archives that were cut into volumes, `FILE.001` and so on, read as one file."""

from __future__ import annotations

import io
import itertools
import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UsageError, host_errors
from ..host.files import open_plain
from ..host.text import plural
from .pipes import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# As they are written: 001 to 999, then 1000 to 9999. Other numbers are a date, or anything.
_VOLUME = re.compile(r"(?P<stem>.+)\.(?P<number>[0-9]{3}|[1-9][0-9]{3})", re.DOTALL)


def find_volumes(path: Path) -> list[Path]:
    """Return the volumes of an archive, in order; or the archive alone, where it is in one piece.

    Args:
        path: the archive; of a volume, the first; or the name that the volumes have without their numbers.

    Raises:
        UsageError: there is no such file; a volume is missing between others, or is no plain file.
        HostError: the folder can't be read.
    """
    found = _VOLUME.fullmatch(path.name)
    stem = path
    if found and found["number"] == "001":
        stem = path.with_name(found["stem"])
    elif path.exists() or not os.path.lexists(f"{path}.001"):
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            step = "give the path of an archive that pull wrote, or docker://HOST/NAME:TAG for one in a registry"
            transport, _, rest = str(path).partition(":")
            if transport == "oci-archive":
                step = f"an archive is a file here, and not a reference: write {rest}"
            raise UsageError(f"the archive {path} {what}", step)
        return [path]
    with host_errors(f"cannot read {stem.parent}"):
        names = {each.name for each in stem.parent.iterdir()}
    numbers = {
        int(each["number"]) for name in names if (each := _VOLUME.fullmatch(name)) and each["stem"] == stem.name
    } - {0}
    volumes = [stem.with_name(f"{stem.name}.{number:03}") for number in range(1, max(numbers, default=1) + 1)]
    if missing := [volume.name for volume in volumes if volume.name not in names]:
        what = f"{plural(len(missing), 'volume')} missing: {', '.join(missing):.500}"
        raise UsageError(what, f"copy the missing ones to {stem.parent}")
    for volume in volumes:
        # One of another kind could be a pipe, on which opening it would wait for ever.
        if not volume.is_file():
            raise UsageError(f"the volume {volume} is not a plain file", f"copy the volumes to {stem.parent} again")
    return volumes


class Volumes(io.RawIOBase):
    """Files one after the other, as one that can be read and sought in.

    Attributes:
        paths: where they are, in order.
    """

    def __init__(self, paths: list[Path]) -> None:
        """Open them.

        Args:
            paths: the volumes, in order.

        Raises:
            OSError: one can't be read.
        """
        self.paths = paths
        self._files: list[BinaryIO] = []
        self._starts = [0]
        self._place = 0
        try:
            for path in paths:
                self._files.append(open_plain(path, buffering=0))
                self._starts.append(self._starts[-1] + self._files[-1].seek(0, io.SEEK_END))
        except BaseException:
            self.close()
            raise

    @property
    def sizes(self) -> list[int]:
        """How long each of them is, in bytes."""
        return [end - start for start, end in itertools.pairwise(self._starts)]

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as every file does."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read from one volume; at its end there may be fewer bytes than were asked for."""
        for file, offset, size in self._parts(self._place, len(buffer)):
            file.seek(offset)
            data = file.read(size)
            buffer[: len(data)] = data
            self._place += len(data)
            return len(data)
        return 0

    def extents(self, offset: int, size: int) -> tuple[Extent, ...]:
        """Return where a part of it lies: more than one extent where volumes meet in it."""
        return tuple(Extent(file.fileno(), start, length) for file, start, length in self._parts(offset, size))

    def close(self) -> None:
        """Close all volumes."""
        for file in self._files:
            file.close()
        super().close()

    def _parts(self, offset: int, size: int) -> Iterator[tuple[BinaryIO, int, int]]:
        for file, start, end in zip(self._files, self._starts, self._starts[1:], strict=False):
            first, last = max(offset, start), min(offset + size, end)
            if first < last:
                yield file, first - start, last - first
