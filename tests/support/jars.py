"""Jars and other zips: two releases of one, in which some classes changed."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def text(seed: int, size: int = 6000) -> bytes:
    """Words that compress well, and not to nothing."""
    words = random.Random(seed)
    return b" ".join(b"%d" % words.randrange(5000) for _ in range(size // 4))


class _Unseekable(io.RawIOBase):
    """Where zips are written whose entries say their lengths afterwards, as jar does."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def jar(
    members: Mapping[str, bytes], *, level: int = 6, stored: Sequence[str] = (), seekable: bool = True
) -> bytes:
    out: Any = io.BytesIO() if seekable else _Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        for name, data in members.items():
            kind = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            file.writestr(zipfile.ZipInfo(name), data, kind, level)
    return out.getvalue() if seekable else bytes(out.data)


def releases(count: int = 30) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """So many classes, of which every fourth changes."""
    old = {f"org/app/Class{number}.class": text(number) for number in range(count)}
    new = {
        name: data if number % 4 else data[:3000] + b"a change" + data[3000:]
        for number, (name, data) in enumerate(old.items())
    }
    return old, new
