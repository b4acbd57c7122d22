"""Reading archives, tars of an OCI image layout: they are hostile until they are checked."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from ..errors import ContentError, host_errors
from ..host.files import CHUNK, open_plain
from ..oci.documents import DOCUMENT_BYTES, OURS
from ..oci.manifest import digest_of
from ..oci.mistakes import not_an_archive
from ..oci.reference import is_digest
from ..results import ArchiveInfo
from .pipes import Extent
from .sums import HashedFile
from .verified import verified
from .volumes import Volumes, find_volumes
from .writer import BLOBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ArchiveFile = str | Path | BinaryIO
"""An archive: a path, a seekable binary file, or `docker://HOST/NAME:TAG` of one that is stored in a registry."""

ArchiveFiles = ArchiveFile | Sequence[ArchiveFile]
"""An archive, or a chain of them, each made from the one before, the oldest first."""

HEADER_BYTES = 16 * 1024
"""How much the headers of one member may take, in bytes: no name or extension needs as much.

Pythons before 3.11.10 and 3.12.6 take time and memory by the square of it for a PAX header.
"""

MEMBERS = 100_000
"""How many members an archive may have."""

NAME_LENGTH = 1024
"""How long a member's name may be, in characters."""

COPY_AGAIN = "copy the archive again and compare its sha256"

_CONVERT = "convert Docker's old format with: skopeo copy docker-archive:FILE oci-archive:NEW"
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# What we read of other members, or look for to say what the archive is instead.
_OTHERS = ("index.json", "manifest.json", "oci-layout")


class _Extent(NamedTuple):
    offset: int
    size: int


class _BoundedReader:
    """What tarfile reads headers from: never more than a bound, and never less than it asked for.

    tarfile reads a header as long as the header says it is; and some of its loops take the end of the file
    for one more empty block, for ever.
    """

    def __init__(self, file: BinaryIO | HashedFile, name: str) -> None:
        self._file = file
        self._name = name
        self.left = HEADER_BYTES
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise ContentError(f"{self._name} has a member whose headers claim more than {HEADER_BYTES} bytes")
        self.left -= size
        data = self._file.read(size)
        if len(data) < size:
            raise ContentError(f"{self._name} is truncated", COPY_AGAIN)
        self.last = data
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _BlobReader(io.RawIOBase):
    """One member of a tar, as a file of its own."""

    def __init__(self, file: BinaryIO, extent: _Extent, name: str) -> None:
        self._file = file
        self._place, self._left = extent
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._place)
        data = self._file.read(min(len(buffer), self._left))
        if self._left and not data:
            raise ContentError(f"{self._name} became shorter while it was read")
        buffer[: len(data)] = data
        self._place += len(data)
        self._left -= len(data)
        return len(data)


class Archive:
    """An archive that is read: first its table of contents, then blobs by digest.

    Archives of other tools are welcome: members may stand in any order, names may begin with `./`, and other
    regular files and folders are passed over.

    Attributes:
        name: what to call it in messages.
        index: the bytes of `index.json`, not yet checked.
        layout_file: the bytes of `oci-layout`, not yet checked.
        size: length in bytes.
    """

    def __init__(self, file: BinaryIO, name: str, *, owned: bool) -> None:
        """Read the table of contents.

        Args:
            file: seekable.
            name: what to call it in messages.
            owned: whether to close the file with the archive.

        Raises:
            ContentError: it is not a tar, it is compressed, truncated or hostile, or it is not an OCI layout.
        """
        self.name = name
        self._file = file
        self._owned = owned
        self.size = file.seek(0, os.SEEK_END)
        self._refuse_others()
        self._blobs = dict(self._entries(file))
        others = {each: self._blobs.pop(each) for each in _OTHERS if each in self._blobs}
        if "index.json" not in others or "oci-layout" not in others:
            raise self._not_a_layout(others)
        self.index = self._read_small(others["index.json"], "index.json", OURS.size)
        self.layout_file = self._read_small(others["oci-layout"], "oci-layout")

    @classmethod
    def open(cls, source: ArchiveFile) -> Archive:
        """Open an archive.

        Args:
            source: a path, of volumes the first one's; or a seekable binary file, which stays open when the archive
                is closed.

        Raises:
            UsageError: there is no such file.
            ContentError: as the constructor.
            HostError: it cannot be read.
        """
        if not isinstance(source, (str, Path)):
            name = str(getattr(source, "name", "the archive"))
            return cls(source, name, owned=False)
        path = Path(source)
        volumes = find_volumes(path)
        with host_errors(f"cannot read {path}"):
            file = open_plain(path) if volumes == [path] else io.BufferedReader(Volumes(volumes), CHUNK)
        try:
            return cls(file, str(path), owned=True)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Archive:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, if it is ours."""
        if self._owned:
            self._file.close()

    def __contains__(self, digest: str) -> bool:
        """Say whether the archive holds the blob of `digest`."""
        return digest in self._blobs

    @property
    def sizes(self) -> dict[str, int]:
        """Digest and size in bytes of every blob that the archive holds."""
        return {digest: extent.size for digest, extent in self._blobs.items()}

    def blob_size(self, digest: str) -> int:
        """Return the size in bytes of a blob that the archive holds."""
        return self._blobs[digest].size

    def read_blob(self, digest: str) -> bytes:
        """Return a small blob, a manifest or config.

        Raises:
            ContentError: it is absent, longer than a manifest may be, or not what its digest says.
        """
        if digest not in self._blobs:
            raise ContentError(f"{self.name} lacks {digest}, which it names", "have the archive made again")
        data = self._read_small(self._blobs[digest], digest)
        # Each time: whoever can write to the file may have put another one there since.
        if (found := digest_of(data)) != digest:
            raise self._damaged(digest, found)
        return data

    def sha256(self, count: Callable[[int], None] = lambda _: None) -> tuple[str, tuple[ArchiveInfo, ...]]:
        """Return the sha256 of its bytes, as hexadecimal digits; and its volumes, where it was cut into any.

        Args:
            count: is told how many bytes more were looked at.
        """
        whole = hashlib.sha256()
        volumes = self._volumes
        file = HashedFile(self._file, volumes.sizes if volumes else [])
        while chunk := file.read(CHUNK):
            whole.update(chunk)
            count(len(chunk))
        if file.tell() != self.size:
            raise ContentError(f"{self.name} changed its length while it was read")
        sums = zip(volumes.paths, file.finish(), volumes.sizes, strict=True) if volumes else ()
        return whole.hexdigest(), tuple(ArchiveInfo(str(path), sha256, size) for path, sha256, size in sums)

    @property
    def volume_sizes(self) -> list[int]:
        """How long each of its files is, in bytes: it may have been cut into volumes."""
        volumes = self._volumes
        return volumes.sizes if volumes else [self.size]

    @property
    def _volumes(self) -> Volumes | None:
        raw = getattr(self._file, "raw", None)
        return raw if isinstance(raw, Volumes) else None

    def verify(self, sums: Sequence[str] = (), count: Callable[[int], None] = lambda _: None) -> None:
        """Check every blob against its name, in one pass over the file.

        The table of contents is read again from the bytes that are hashed. It and the two documents that no digest
        names must be as they were: all others are hashed whenever they are read.

        Args:
            sums: the sha256 of the archive, or of each of its volumes, as hexadecimal digits; by default it is not
                known.
            count: is told how many bytes more were looked at.

        Raises:
            ContentError: a blob has other bytes than its name says, the archive others than a sum says; or it
                changed since it was opened.
        """
        parts = self.volume_sizes if len(sums) > 1 else [self.size]
        file = HashedFile(self._file, parts) if sums else self._file
        documents = {"index.json": digest_of(self.index), "oci-layout": digest_of(self.layout_file)}
        blobs = {}
        for name, extent in self._entries(file):
            sha256 = hashlib.sha256()
            for chunk in self._chunks(extent, file):
                sha256.update(chunk)
                count(len(chunk))
            found = f"sha256:{sha256.hexdigest()}"
            if name not in _OTHERS:
                blobs[name] = extent
                if found != name:
                    raise self._damaged(name, found)
            elif documents.get(name, found) != found:
                raise self._changed(name)
        if isinstance(file, HashedFile):
            self._require_sums(sums, file.finish())
        if blobs != self._blobs:
            raise self._changed("its table of contents")

    def _require_sums(self, sums: Sequence[str], found: Sequence[str]) -> None:
        for number, (wanted, sha256) in enumerate(zip(sums, found, strict=True), 1):
            if wanted != sha256:
                what = f"volume {number} of {self.name}" if len(sums) > 1 else self.name
                raise ContentError(
                    f"{what} is not the expected file: its sha256 is {sha256}, not {wanted}",
                    "check the sum with the person who gave it to you, and copy the archive again",
                )

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading; several may be open at a time.

        Reading it to its end raises ContentError where it is not what its digest says: since it was verified, the
        file may have changed.
        """

        def refuse(what: str) -> ContentError:
            return ContentError(f"{self.name} changed while it was read: {digest} {what}", COPY_AGAIN)

        return verified(self.open_unverified(digest), digest, self.blob_size(digest), refuse)

    def open_unverified(self, digest: str) -> BinaryIO:
        """Open a blob for reading, whatever its bytes are; several may be open at a time."""
        return io.BufferedReader(_BlobReader(self._file, self._blobs[digest], self.name))

    def extents(self, digest: str) -> tuple[Extent, ...]:
        """Return where a blob lies in the open file or files; nothing where those are none of the system's."""
        place = self._blobs[digest]
        if volumes := self._volumes:
            return volumes.extents(place.offset, place.size)
        try:
            return (Extent(self._file.fileno(), place.offset, place.size),)
        except OSError:
            return ()

    def _refuse_others(self) -> None:
        if self.size == 0:
            raise ContentError(f"{self.name} is empty", COPY_AGAIN)
        self._file.seek(0)
        start = self._file.read(8)
        for magic, compression in _COMPRESSIONS.items():
            if start.startswith(magic):
                raise ContentError(
                    f"{self.name} is compressed with {compression}", f"unpack it with {compression} -d"
                )
        if start.lstrip().startswith(b"{"):
            raise not_an_archive(self.name, start + self._file.read(OURS.size))
        self._file.seek(0)

    def _entries(self, file: BinaryIO | HashedFile) -> Iterator[tuple[str, _Extent]]:
        """Read the table of contents: digests of blobs, and names of the other members that we know."""
        seen = set()
        for path, extent in self._members(file):
            name = f"sha256:{path.removeprefix(BLOBS)}" if path.startswith(BLOBS) else path
            if name != path and not is_digest(name):
                raise ContentError(f"{self.name} holds {path}, which is not named by a digest")
            if name == path and name not in _OTHERS:
                continue
            if name in seen:
                raise ContentError(f"{self.name} holds {path} twice")
            seen.add(name)
            yield name, extent

    def _members(self, file: BinaryIO | HashedFile) -> Iterator[tuple[str, _Extent]]:
        file.seek(0)
        reader = _BoundedReader(file, self.name)
        try:
            tar = tarfile.TarFile(fileobj=cast("IO[bytes]", reader), mode="r")
            count = 0
            while (member := tar.next()) is not None:
                count += 1
                if count > MEMBERS:
                    raise ContentError(f"{self.name} has more than {MEMBERS} members")
                path = self._safe(member)
                if path and member.isreg():
                    yield path, _Extent(member.offset_data, member.size)
                # tarfile keeps what it has read, as long as the archive is.
                tar.members.clear()  # type: ignore[attr-defined]
                tar.pax_headers = {}
                reader.left = HEADER_BYTES
        except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise ContentError(f"{self.name} is not a tar archive: {error}", COPY_AGAIN) from None
        # tarfile takes a broken header for the end.
        if reader.last.strip(b"\0"):
            raise ContentError(f"{self.name} is damaged: no tar header at byte {tar.offset}")

    def _safe(self, member: tarfile.TarInfo) -> str:
        name = member.name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or not name.isprintable() or len(name) > NAME_LENGTH:
            raise ContentError(f"{self.name} holds a member with the unsafe name '{name[:NAME_LENGTH]}'")
        if not (member.isreg() or member.isdir()) or member.sparse is not None:
            raise ContentError(f"{self.name} holds '{name}', which is neither a plain file nor a folder", _CONVERT)
        if member.size < 0 or member.offset_data + member.size > self.size:
            raise ContentError(f"{self.name} is truncated inside '{name}'", COPY_AGAIN)
        return "/".join(parts)

    def _chunks(self, extent: _Extent, file: BinaryIO | HashedFile | None = None) -> Iterator[bytes]:
        file = file or self._file
        file.seek(extent.offset)
        left = extent.size
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise ContentError(f"{self.name} became shorter while it was read")
            left -= len(chunk)
            yield chunk

    def _read_small(self, extent: _Extent, what: str, bound: int = DOCUMENT_BYTES) -> bytes:
        if extent.size > bound:
            raise ContentError(f"{what} in {self.name} is longer than {bound} bytes")
        return b"".join(self._chunks(extent))

    def _damaged(self, digest: str, found: str) -> ContentError:
        return ContentError(f"{self.name} is damaged: {digest} has other bytes, which hash to {found}", COPY_AGAIN)

    def _changed(self, what: str) -> ContentError:
        return ContentError(f"{self.name} changed while it was read: {what} is not the same", COPY_AGAIN)

    def _not_a_layout(self, others: Mapping[str, object]) -> ContentError:
        if "manifest.json" in others:
            step = _CONVERT
        else:
            step = "give a file that pull wrote, or skopeo copy with oci-archive:"
        lacking = "index.json" if "index.json" not in others else "oci-layout"
        return ContentError(f"{self.name} is not an OCI layout: it has no {lacking}", step)
