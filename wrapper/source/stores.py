"""Bases that have blobs at hand, in an archive or a folder; what is read of them is verified."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from ..archive.reader import Archive
from ..errors import ContentError, UsageError, host_errors
from ..oci.reference import Reference, path_and_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from ..skopeo.inspect import ImageSource

LAYER_TRANSPORTS = ("dir", "docker", "oci", "oci-archive")
"""Transports whose images have their layers as they travel; the others keep them unpacked."""


class BlobStore(Protocol):
    """What has blobs at hand: an archive, or a folder."""

    def __contains__(self, digest: str) -> bool:
        """Say whether it has the blob of `digest`."""

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading."""


class BlobFolder(NamedTuple):
    """A folder that has blobs as files: an OCI layout, or what skopeo calls `dir:`.

    Attributes:
        path: where the blobs are.
    """

    path: Path

    def __contains__(self, digest: object) -> bool:
        """Say whether there is a file of that name; its bytes are not looked at."""
        return isinstance(digest, str) and (self.path / digest.removeprefix("sha256:")).is_file()

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            HostError: it can't be read.
        """
        with host_errors(f"cannot read {self.path}"):
            return (self.path / digest.removeprefix("sha256:")).open("rb")


def open_blob_store(reference: Reference, stack: ExitStack) -> BlobStore:
    """Open a base that is not in a registry.

    Args:
        reference: of one of the transports in `LAYER_TRANSPORTS`.
        stack: closes what was opened.

    Raises:
        UsageError: there is no such base.
        ContentError: it is an archive, and broken.
        HostError: it can't be read.
    """
    path, _ = path_and_tag(reference)
    if reference.transport == "oci-archive":
        return stack.enter_context(Archive.open(path))
    if reference.transport == "dir":
        path, wanted, blobs = Path(reference.name), "manifest.json", Path(reference.name)
    else:
        wanted, blobs = "index.json", path / "blobs" / "sha256"
    if not (path / wanted).is_file():
        raise UsageError(f"{reference} is not there: {path} has no {wanted}", "give the folder that skopeo wrote")
    return BlobFolder(blobs)


def require_layer_transports(bases: Iterable[ImageSource]) -> None:
    """Refuse bases that can't give a layer.

    Raises:
        UsageError: one has no layers, or keeps them unpacked.
    """
    for base in bases:
        if base.reference.transport not in LAYER_TRANSPORTS:
            raise UsageError(
                f"{base.reference} has no layers in the form in which they travel",
                f"give a base as {', '.join(f'{name}:' for name in LAYER_TRANSPORTS)}",
            )


def verified_reader(store: BlobStore, size: int) -> Callable[[str], BinaryIO]:
    """Return what opens a blob of so many bytes by its digest.

    Reading it to its end raises ContentError where it is not what its digest says.
    """
    return lambda digest: io.BufferedReader(_VerifyingReader(store.open_blob(digest), digest, size))


class _VerifyingReader(io.RawIOBase):
    """A blob of a base, which turns out to be what its digest says, or not, at its end."""

    def __init__(self, file: BinaryIO, digest: str, size: int) -> None:
        self._file = file
        self._digest = digest
        self._left = size
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._sha256.update(data)
        self._left -= len(data)
        if self._left < 0 or (not data and self._left):
            raise self._bad("has another length")
        if not self._left and self._digest != f"sha256:{self._sha256.hexdigest()}":
            raise self._bad("has other bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _bad(self, what: str) -> ContentError:
        return ContentError(f"{self._digest} of a base {what}", "check the base, or give another with --base")
