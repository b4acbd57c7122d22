"""Bases that have blobs at hand, in an archive or a folder; what is read of them is verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from ..archive.reader import Archive
from ..archive.verified import verified
from ..errors import ContentError, UsageError, host_errors
from ..oci.reference import Reference, path_and_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import ExitStack

    from ..skopeo.inspect import ImageSource

LAYER_TRANSPORTS = ("dir", "docker", "oci", "oci-archive")
"""Transports whose images have their layers as they travel; the others keep them unpacked."""


class BlobStore(Protocol):
    """What has blobs at hand: an archive, or a folder."""

    def __contains__(self, digest: str) -> bool:
        """Say whether it has the blob of `digest`."""

    def open_unverified(self, digest: str) -> BinaryIO:
        """Open a blob for reading, whatever its bytes are."""


class BlobFolder(NamedTuple):
    """A folder that has blobs as files: an OCI layout, or what skopeo calls `dir:`.

    Attributes:
        path: where the blobs are.
    """

    path: Path

    def __contains__(self, digest: object) -> bool:
        """Say whether there is a file of that name; its bytes are not looked at."""
        return isinstance(digest, str) and (self.path / digest.removeprefix("sha256:")).is_file()

    def open_unverified(self, digest: str) -> BinaryIO:
        """Open a blob for reading, whatever its bytes are.

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
        raise UsageError(f"{reference} does not exist: {path} has no {wanted}", "give the folder that skopeo wrote")
    return BlobFolder(blobs)


def require_layer_transports(bases: Iterable[ImageSource], more: Collection[str] = ()) -> None:
    """Refuse bases that can't give a layer.

    Args:
        bases: the bases.
        more: further transports that will do.

    Raises:
        UsageError: one has no layers, or keeps them unpacked.
    """
    for base in bases:
        if base.reference.transport not in (*LAYER_TRANSPORTS, *more):
            raise UsageError(
                f"{base.reference} has no compressed layers",
                f"give a base as {', '.join(f'{name}:' for name in LAYER_TRANSPORTS)}",
            )


def verified_reader(store: BlobStore, size: int) -> Callable[[str], BinaryIO]:
    """Return what opens a blob of so many bytes by its digest.

    Reading it to its end raises ContentError where it is not what its digest says.
    """

    def open_verified(digest: str) -> BinaryIO:
        def refuse(what: str) -> ContentError:
            return ContentError(f"{digest} of a base {what}", "check the base, or give another one with `base`")

        return verified(store.open_unverified(digest), digest, size, refuse)

    return open_verified
