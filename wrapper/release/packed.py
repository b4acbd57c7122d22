"""Packed charts, of any origin: what of them is read, without writing any of it."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from typing import TYPE_CHECKING, cast

from ..archive.reader import HEADER_BYTES, MEMBERS
from ..errors import ContentError
from .chart import CHART, LOCK
from .documents import STREAM_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, BinaryIO

UNPACKED_BYTES = 256 * 1024 * 1024
"""How long a packed chart, with all that it has packed in it, may be unpacked, in bytes."""

_SKIPPED = 64 * 1024
_OWN = re.compile(rf"[^/]+(?:/charts/[^/]+)*/(?:{re.escape(CHART)}|{re.escape(LOCK)})")
_PACKED = re.compile(r"[^/]+(?:/charts/[^/]+)*/charts/[^/]+\.tgz")


def files_in(file: BinaryIO, what: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a packed chart, and the charts in it, say of themselves: name and bytes of each file.

    Args:
        file: the chart.
        what: its name.
        depth: how deep packed charts in it are looked for.

    Raises:
        ContentError: it is no packed chart, or breaks a bound.
    """
    yield from _files_in(_Unpacked(file, what), what, depth)


class _Unpacked:
    """A gzip file that is unpacked as it is read, and all of them together not without end.

    tarfile reads a header as long as the header says it is, by `read`: that is bounded for each member, too.
    """

    def __init__(self, file: BinaryIO, what: str, outer: _Unpacked | None = None) -> None:
        self._file = gzip.GzipFile(fileobj=file)
        self._what = what
        self._outer = outer
        self._left = UNPACKED_BYTES
        self._position = 0
        self.headers = HEADER_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.headers:
            raise ContentError(f"{self._what} has a member whose headers claim more than {HEADER_BYTES} bytes")
        self.headers -= size
        return self.take(size)

    def seek(self, offset: int) -> None:
        """Go on to an offset: there is no way back, and tarfile takes none."""
        while self._position < offset and self.take(min(_SKIPPED, offset - self._position)):
            pass

    def tell(self) -> int:
        return self._position

    def take(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        data = self._file.read(size)
        self._position += len(data)
        self._count(len(data))
        return data

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ContentError(f"{self._what} is longer than {UNPACKED_BYTES} bytes when it is unpacked")
        if self._outer:
            self._outer._count(size)


def _files_in(packed: _Unpacked, what: str, depth: int) -> Iterator[tuple[str, bytes]]:
    try:
        for member in _members(packed, what):
            name = member.name.removeprefix("./")
            if _OWN.fullmatch(name):
                yield f"{what}/{name}", packed.take(min(member.size, STREAM_BYTES + 1))
            elif _PACKED.fullmatch(name) and depth:
                inner = f"{what}/{name}"
                raw = io.BytesIO(packed.take(min(member.size, STREAM_BYTES + 1)))
                yield from _files_in(_Unpacked(raw, inner, packed), inner, depth - 1)
    except (tarfile.TarError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ContentError(f"{what} is not a packed chart: {error}") from None


def _members(packed: _Unpacked, what: str) -> Iterator[tarfile.TarInfo]:
    """Yield the plain files of a tar; the next bytes are then those of the file."""
    tar = tarfile.TarFile(fileobj=cast("IO[bytes]", packed), mode="r")
    for _ in range(MEMBERS + 1):
        if (member := tar.next()) is None:
            return
        if member.isreg() and member.sparse is None:
            yield member
        # tarfile keeps what it has read, as long as the chart is.
        tar.members.clear()  # type: ignore[attr-defined]
        tar.pax_headers = {}
        packed.headers = HEADER_BYTES
    raise ContentError(f"{what} has more than {MEMBERS} members")
