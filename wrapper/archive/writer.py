"""Writing archives: every byte's place is known beforehand, so blobs may go there in any order, as they arrive."""

from __future__ import annotations

import errno
import hashlib
import os
import tarfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import ContentError
from ..host.files import CHUNK
from ..host.signals import check
from ..oci.layout import LAYOUT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

BLOBS = "blobs/sha256/"

_BLOCK = tarfile.BLOCKSIZE
_LOOK = 0.1
"""How often somebody looks how far the hashing is, in seconds."""

_AT_ONCE = 64 << 20
"""How much the kernel copies between two looks at what may end it, in bytes: a disk may be slow."""

# Not the two zero blocks that end a tar, and no header either: whoever reads on stumbles here.
_POISON = b"\xff" * _BLOCK
_NOT_HERE = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


class WrittenArchive(NamedTuple):
    """What was written.

    Attributes:
        size: its length in bytes.
        sha256: the sha256 of its bytes, as hexadecimal digits.
    """

    size: int
    sha256: str


class _Member(NamedTuple):
    """A file of the archive: its header at `offset`, its bytes after that, filled up to whole blocks."""

    name: str
    size: int
    offset: int
    header: bytes
    content: bytes | None = None

    @property
    def start(self) -> int:
        return self.offset + len(self.header)

    @property
    def padding(self) -> int:
        return -self.size % _BLOCK

    @property
    def end(self) -> int:
        return self.start + self.size + self.padding


class ArchiveLayout:
    """Where everything stands in an archive: its documents, then the blobs by digest."""

    def __init__(
        self,
        index: bytes,
        sizes: Mapping[str, int],
        omitted: Iterable[str] = (),
        docker_manifest: bytes | None = None,
    ) -> None:
        """Lay it out; the same contents always give the same bytes.

        Args:
            index: the bytes of `index.json`.
            sizes: digest and size in bytes of every blob.
            omitted: digests that must not travel.
            docker_manifest: the bytes of `manifest.json`, if there is to be one.

        Raises:
            ValueError: a blob was to be omitted.
        """
        if clash := set(omitted) & sizes.keys():
            raise ValueError(f"omitted, and yet to be packed: {sorted(clash)}")
        self.blobs: dict[str, _Member] = {}
        self._end = 0
        self._first = [
            self._next("oci-layout", len(LAYOUT_FILE), LAYOUT_FILE),
            self._next("index.json", len(index), index),
        ]
        if docker_manifest:
            self._first.append(self._next("manifest.json", len(docker_manifest), docker_manifest))
        for digest in sorted(sizes):
            self.blobs[digest] = self._next(BLOBS + digest.removeprefix("sha256:"), sizes[digest])
        # Two blocks of zeros, and what makes a whole record.
        self.size = -(-(self._end + 2 * _BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE

    def _next(self, name: str, size: int, content: bytes | None = None) -> _Member:
        described = tarfile.TarInfo(name)
        described.size = size
        described.mode = 0o644
        header = described.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        member = _Member(name, size, self._end, header, content)
        self._end = member.end
        return member

    @property
    def members(self) -> Iterator[_Member]:
        """Everything in the archive, in order."""
        yield from self._first
        yield from self.blobs.values()


def write_archive(
    out: BinaryIO,
    layout: ArchiveLayout,
    open_blob: Callable[[str], BinaryIO],
    count: Callable[[int], None] = lambda _: None,
) -> WrittenArchive:
    """Write an archive from its first byte to its last.

    Where it fails after the first byte, what was written is made unreadable as a tar.

    Args:
        out: where to write; it need not be seekable.
        layout: what the archive will be.
        open_blob: opens the blob of a digest for reading.
        count: is told how many bytes more were written.

    Raises:
        ContentError: a blob is shorter than its size says.
        OSError: reading or writing failed.
    """
    writer = _HashingWriter(out, count)
    try:
        for member in layout.members:
            writer.write(member.header)
            if member.content is not None:
                writer.write(member.content)
            else:
                with open_blob("sha256:" + member.name.removeprefix(BLOBS)) as blob:
                    _copy_exactly(blob, writer, member)
            writer.write(bytes(member.padding))
        writer.write(bytes(layout.size - writer.size))
        out.flush()
    except BaseException:
        if writer.size:
            _spoil(out)
        raise
    return WrittenArchive(writer.size, writer.sha256)


class ArchiveWriter:
    """An archive that is written as its blobs arrive, into a file that can be read back.

    Each blob is copied to its place by the kernel. Meanwhile the archive is hashed, from its beginning as far as it
    is there, and brought to the disk.
    """

    def __init__(self, file: BinaryIO, layout: ArchiveLayout, *, durable: bool = True) -> None:
        """Begin.

        Args:
            file: an empty file, open for writing and reading.
            layout: what the archive will be.
            durable: whether it is to reach the disk; whoever wants to be sure of that still has to see to it.

        Raises:
            OSError: writing failed.
        """
        self._descriptor = file.fileno()
        self._layout = layout
        self._there: set[str] = set()
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        self._more = threading.Event()
        self._closed = False
        self._problem: BaseException | None = None
        self._written = threading.Event()
        self._threads = [threading.Thread(target=self._hash_all, name="hashing", daemon=True)]
        if durable:
            self._threads.append(threading.Thread(target=self._flush, name="flushing", daemon=True))
        for member in layout.members:
            _write(self._descriptor, member.header, member.offset)
            if member.content is not None:
                _write(self._descriptor, member.content, member.start)
                self._there.add(member.name)
        os.truncate(self._descriptor, layout.size)
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self.__exit__()
            raise OSError(errno.EAGAIN, str(error)) from None

    def lacks(self, digest: str) -> bool:
        """Say whether a blob is to be packed, and is not there yet."""
        member = self._layout.blobs.get(digest)
        return member is not None and member.name not in self._there

    def add(self, digest: str, source: Path) -> None:
        """Put a blob into its place.

        Args:
            digest: of the blob; it was verified.
            source: where it stands.

        Raises:
            ContentError: it has another length than was planned.
            OSError: reading or writing failed.
        """
        member = self._layout.blobs[digest]
        with source.open("rb") as blob:
            found = os.fstat(blob.fileno()).st_size
            if found != member.size:
                raise ContentError(f"{digest} is {found} bytes long, but its manifest says {member.size}")
            _copy(blob.fileno(), self._descriptor, member.size, member.start)
        self._there.add(member.name)
        self._more.set()
        self._written.set()

    def finish(self, hashed: Callable[[int], None] = lambda _: None) -> WrittenArchive:
        """Return what was written; every blob must be there.

        Args:
            hashed: is told several times a second how many bytes are done.

        Raises:
            ValueError: one is absent.
            OSError: reading failed.
            MemoryError: there was none left.
        """
        if absent := [member.name for member in self._layout.members if member.name not in self._there]:
            raise ValueError(f"not packed: {absent}")
        while self._threads[0].is_alive():
            self._threads[0].join(_LOOK)
            hashed(self._hashed)
        if self._problem:
            raise self._problem
        return WrittenArchive(self._layout.size, self._sha256.hexdigest())

    def __enter__(self) -> ArchiveWriter:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what still goes on; the file is not closed."""
        self._closed = True
        self._more.set()
        self._written.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _flush(self) -> None:
        # To leave it all to the end would be to wait for it there.
        while self._written.wait() and not self._closed:
            self._written.clear()
            with suppress(OSError):
                os.fdatasync(self._descriptor)

    def _hash_all(self) -> None:
        """Hash the archive as far as it is there, and wait for more, up to its end."""
        try:
            for member in self._layout.members:
                while member.name not in self._there:
                    self._more.wait()
                    self._more.clear()
                    if self._closed:
                        return
                self._hash(member.end)
            self._hash(self._layout.size)
        except BaseException as error:
            # Whatever it is, there is no sum then.
            self._problem = error

    def _hash(self, end: int) -> None:
        while self._hashed < end and not self._closed:
            chunk = os.pread(self._descriptor, min(CHUNK, end - self._hashed), self._hashed)
            if not chunk:
                raise OSError(errno.EIO, "the output became shorter while it was written")
            self._sha256.update(chunk)
            self._hashed += len(chunk)


class _HashingWriter:
    """A binary output that knows how long it is and what it hashes to."""

    def __init__(self, out: BinaryIO, count: Callable[[int], None]) -> None:
        self._out = out
        self._count = count
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._out.write(rest) :]
        self._sha256.update(data)
        self.size += len(data)
        self._count(len(data))

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _copy_exactly(blob: BinaryIO, writer: _HashingWriter, member: _Member) -> None:
    left = member.size
    while left:
        chunk = blob.read(min(CHUNK, left))
        if not chunk:
            raise ContentError(f"{member.name} is {left} bytes shorter than its manifest says")
        writer.write(chunk)
        left -= len(chunk)


def _copy(source: int, target: int, size: int, offset: int) -> None:
    """Copy `size` bytes from the beginning of one file to `offset` in another, inside the kernel where it can."""
    done = 0
    while done < size:
        check()
        try:
            copied = os.copy_file_range(source, target, min(_AT_ONCE, size - done), done, offset + done)
        except OSError as error:
            # Other file systems, older kernels, and a quota's EPERM is met again below.
            if error.errno not in _NOT_HERE:
                raise
            copied = 0
        # Some file systems copy nothing, and say nothing.
        if not copied:
            chunk = os.pread(source, min(CHUNK, size - done), done)
            if not chunk:
                raise OSError(errno.EIO, "a blob became shorter while it was packed")
            _write(target, chunk, offset + done)
            copied = len(chunk)
        done += copied


def _write(descriptor: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def _spoil(out: BinaryIO) -> None:
    try:
        out.write(_POISON)
        out.flush()
    except OSError:
        return
