"""What is done with changes in a process of its own: a change is made and proved, a layer or its content is made.

What comes in is hostile: whatever is wrong with it is a ContentError here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, host_errors
from ..host.text import human_bytes
from ..host.workers import tell
from .change import open_change
from .expand import expand
from .make import MADE, Made, make_change
from .malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from .change import Change

MAKE, WRITE_LAYER, WRITE_CONTENT = (f"{__name__}:{name}" for name in ("make", "write_layer", "write_content"))
"""What a worker is told."""

_AGAIN = "have the archive made again"


def make(
    layer: str, digest: str, contents: Sequence[str], out: str, effort: str, memory: int, limit: int
) -> dict[str, Any]:
    """Express a layer as its change, and prove that by making the layer of it.

    Args:
        layer: the file with the layer.
        digest: the layer's.
        contents: files with the contents of older layers, in order; none to repack it.
        out: the file for the change; others beside it begin with its name.
        effort: one of `EFFORTS`.
        memory: how much may be taken, in bytes.
        limit: how long a file may become, in bytes: the layer's content is one.

    Returns:
        The attributes of `Made`; with `reason` set where there is no change.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    olds = [Path(content) for content in contents]
    with host_errors(f"cannot write {out}"):
        try:
            made = make_change(Path(layer), olds, Path(out), effort, memory, Path(out).parent)
        except MemoryError:
            return Made(0, 0, reason="it is too large: there is not enough memory to make its change")._asdict()
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            bound = human_bytes(limit)
            return Made(0, 0, reason=f"it is too large: its content takes more than {bound}")._asdict()
    if made.reason:
        return made._asdict()
    with host_errors(f"cannot write {out}"), Path(out).open("rb") as file:
        sha256 = hashlib.sha256()
        change = open_change(lambda place, size: os.pread(file.fileno(), size, place), made.size)
        done, whole = 0, Path(layer).stat().st_size
        try:
            for chunk in change.apply([olds[each] for each in made.used]):
                sha256.update(chunk)
                done += len(chunk)
                tell(MADE + (1 - MADE) * done / whole)
        except MalformedError as error:
            return made._replace(reason=f"the check of its change failed: {error}")._asdict()
    if digest != f"sha256:{sha256.hexdigest()}":
        return made._replace(reason="the check of its change failed: it makes another layer")._asdict()
    return made._replace(room=change.room)._asdict()


def write_layer(
    extents: Sequence[tuple[int, int, int]], contents: Sequence[str], room: int, digest: str, size: int
) -> bool:
    """Make a layer of its change, and write it to standard output.

    Its last bytes are only written where all of them are what the digest says.

    Args:
        extents: where the change lies: descriptors, offsets and sizes in bytes of its parts.
        contents: files with the contents of older layers, in order. Others may be put beside them meanwhile.
        room: how much disk space those were said to take, in bytes.
        digest: the layer's.
        size: its size in bytes.

    Returns:
        Whether somebody read all of it.

    Raises:
        ContentError: the change is malformed, or makes another layer.
        HostError: a file can't be read.
    """
    sha256 = hashlib.sha256()
    left = size
    held = b""
    try:
        with _named(digest), host_errors(f"cannot make {digest}"):
            for chunk in _open(extents, room).apply([Path(content) for content in contents]):
                left -= len(chunk)
                if left < 0:
                    break
                sha256.update(chunk)
                _write(held)
                held = chunk
        if left or digest != f"sha256:{sha256.hexdigest()}":
            raise ContentError(f"the change of {digest} makes another layer", _AGAIN)
        _write(held)
    except _UnreadError:
        return False
    return True


def write_content(
    extents: Sequence[tuple[int, int, int]], contents: Sequence[str], room: int, digest: str, size: int, out: str
) -> None:
    """Make a layer's content of its change, and write it to a file.

    Whether it is right shows when a layer is made of it.

    Args:
        extents: as for `write_layer`.
        contents: likewise.
        room: likewise.
        digest: the layer's.
        size: how long its content was said to be, in bytes.
        out: the file.

    Raises:
        ContentError: the change is malformed, or makes something longer or shorter.
        HostError: a file can't be read or written.
    """
    left = size
    with _named(digest), host_errors(f"cannot write {out}"), Path(out).open("wb") as file:
        for chunk in _open(extents, room).apply_content([Path(content) for content in contents]):
            left -= len(chunk)
            if left < 0:
                break
            file.write(chunk)
    if left:
        raise ContentError(f"the change of {digest} makes content of another length", _AGAIN)


def expand_layer(layer: BinaryIO, digest: str, out: Path, size: int) -> None:
    """Write an older layer's content to a file.

    Args:
        layer: the layer, open for reading; it is read to its end.
        digest: its digest.
        out: the file.
        size: how long its content was said to be, in bytes.

    Raises:
        ContentError: it can't be decompressed, or its content is longer or shorter.
        HostError: the file can't be written.
    """
    with _named(digest), host_errors(f"cannot write {out}"):
        if expand(layer, out, size) != size:
            raise MalformedError("its content is not as long as the archive says")


@contextmanager
def _named(digest: str) -> Iterator[None]:
    try:
        yield
    except MalformedError as error:
        raise ContentError(f"{digest}, or what it is made from, is malformed: {error}", _AGAIN) from None


def _open(extents: Sequence[tuple[int, int, int]], room: int) -> Change:
    def read_at(place: int, size: int) -> bytes:
        found = []
        for descriptor, offset, length in extents:
            if place < length and size:
                data = os.pread(descriptor, min(size, length - place), offset + place)
                found.append(data)
                size -= len(data)
                place += len(data)
                if place < length:
                    # A file that became shorter, or nothing more that was asked for.
                    break
            place -= length
        return b"".join(found)

    change = open_change(read_at, sum(length for _, _, length in extents))
    if change.room > room:
        raise MalformedError("it takes more disk space than the archive says")
    return change


class _UnreadError(Exception):
    """Whoever read has gone away."""


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except BrokenPipeError:
            # Whoever reads has gone away, and may come again.
            raise _UnreadError from None
