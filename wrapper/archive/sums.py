"""What somebody says that archives hash to: as a whole each, or volume by volume."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING, BinaryIO

from ..errors import ContentError, UsageError
from ..host.files import CHUNK
from ..host.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHA256 = re.compile(r"(sha256:)?(?P<digits>[0-9a-fA-F]{64})")


def share_out(sums: Sequence[str], files: Sequence[int]) -> list[tuple[str, ...]]:
    """Say which sums are whose.

    Args:
        sums: as many as there are archives, or as there are files, in their order.
        files: of how many files each archive is.

    Returns:
        The sums of each archive, of it as a whole or of each of its volumes, as digits in lower case; none, where
        none were given.

    Raises:
        UsageError: one is no sha256, or there are fewer than archives.
        ContentError: there are other archives or volumes than sums.
    """
    if not sums:
        return [()] * len(files)
    digits = []
    for each in sums:
        if not (found := _SHA256.fullmatch(each)):
            raise UsageError(f"'{each}' is not a sha256", "write it as sha256sum does: 64 hexadecimal digits")
        digits.append(found["digits"].lower())
    if len(digits) not in (len(files), sum(files)):
        rule = "give one sha256 for each archive, or one for each volume, in the same order"
        these = f"{plural(len(files), 'archive')} in {plural(sum(files), 'file')}"
        what = f"{len(sums)} sha256 given for {these}"
        raise UsageError(what, rule) if len(sums) < len(files) else ContentError(what, rule)
    counts = [1] * len(files) if len(digits) == len(files) else files
    rest = iter(digits)
    return [tuple(next(rest) for _ in range(count)) for count in counts]


class HashedFile:
    """A file that is read once, from its beginning on: what is skipped is hashed as what is read."""

    def __init__(self, file: BinaryIO, sizes: Sequence[int]) -> None:
        """Go to its beginning.

        Args:
            file: seekable; until the end nobody else reads it.
            sizes: how long its parts are, in bytes, each of which is hashed by itself.
        """
        file.seek(0)
        self._file = file
        self._left = list(sizes)
        self._hashes = [hashlib.sha256() for _ in sizes]
        self._part = 0
        self._place = 0

    def read(self, size: int) -> bytes:
        """Read on; what lies behind the last part is not hashed."""
        data = self._file.read(size)
        self._place += len(data)
        rest = memoryview(data)
        while rest and self._part < len(self._hashes):
            piece = rest[: self._left[self._part]]
            self._hashes[self._part].update(piece)
            self._left[self._part] -= len(piece)
            rest = rest[len(piece) :]
            if not self._left[self._part]:
                self._part += 1
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a later place."""
        if whence != io.SEEK_SET or offset < self._place:
            raise io.UnsupportedOperation("it is read once")
        while self._place < offset and self.read(min(CHUNK, offset - self._place)):
            pass
        return self._place

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._place

    def finish(self) -> list[str]:
        """Read the rest, and return the sha256 of each part as hexadecimal digits."""
        while self._part < len(self._hashes) and self.read(CHUNK):
            pass
        return [each.hexdigest() for each in self._hashes]
