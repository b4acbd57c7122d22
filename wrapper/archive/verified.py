"""Blobs that are hashed while they are read: what was verified may have changed since."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from ..host.signals import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import ContentError


def verified(file: BinaryIO, digest: str, size: int, refuse: Callable[[str], ContentError]) -> BinaryIO:
    """Return a reader of a blob that gives its last bytes only where all of them are what the digest says.

    Args:
        file: the blob; it is closed with the reader.
        digest: what it must hash to.
        size: how long it must be, in bytes.
        refuse: makes the error of what is wrong with it, such as "has other bytes".
    """
    return io.BufferedReader(_VerifyingReader(file, digest, size, refuse))


class _VerifyingReader(io.RawIOBase):
    def __init__(self, file: BinaryIO, digest: str, size: int, refuse: Callable[[str], ContentError]) -> None:
        self._file = file
        self._digest = digest
        self._left = size
        self._refuse = refuse
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        check()
        data = self._file.read(len(buffer))
        self._sha256.update(data)
        self._left -= len(data)
        if self._left < 0 or (not data and self._left):
            raise self._refuse("has another length")
        if not self._left and self._digest != f"sha256:{self._sha256.hexdigest()}":
            raise self._refuse("has other bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
