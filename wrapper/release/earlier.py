"""Images of what was delivered: a receipt, or an archive. Names and digests are those of then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ContentError, UsageError
from ..oci.manifest import Index
from ..oci.platforms import Platform
from ..oci.reference import Reference, is_bundle_name
from ..results import FoundImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..oci.image import Image
    from .hints import Finding

_ATTESTATION = "unknown/unknown"
_NO_NAME = "has no name that says where it is: it is left out"


def images_in_receipt(path: Path, registry: str | None) -> Iterator[Finding]:
    """Yield the images of a receipt: where the push wrote them, or in another registry.

    Args:
        path: the receipt.
        registry: where they are, a host and the part of the repositories that their names lack; None for the
            destination of the push.

    Raises:
        UsageError: the destination was no registry, and no other is given.
        ContentError: it is no receipt.
    """
    from ..source.ledger import RECEIPT, read_ledger

    ledger = read_ledger(path, RECEIPT)
    if not registry and not any(image.where for image in ledger.images):
        raise UsageError(
            f"{path} is of a push to {ledger.destination}, where nothing can be pulled from",
            "say where the images are with `registry`",
        )
    for position, image in enumerate(ledger.images):
        where = f"{path}: images[{position}]"
        name = image.name if is_bundle_name(image.name or "") else None
        if registry and (name or image.title):
            name = name or image.title or ""
            reference = f"{_prefix(registry)}/{name}@{image.digest}"
        elif not registry and image.where:
            reference = _pinned(image.where, image.digest, f"{where}.reference")
        else:
            yield f"{where}: {image.digest} {_NO_NAME}"
            continue
        platforms = _in_a_spec(child["platform"] for child in image.manifests) if image.absent else ()
        yield FoundImage(reference, where, name or "", bool(image.manifests) and not platforms, platforms)


def images_in_archive(path: Path, registry: str | None) -> Iterator[Finding]:
    """Yield the images of an archive.

    Args:
        path: the archive, or the name of its volumes without their numbers.
        registry: where they are, as for `images_in_receipt`: archives hold no hosts.

    Raises:
        UsageError: `registry` is not given.
        ContentError: the archive is broken or hostile.
    """
    from ..source.blobs import BlobSource

    if not registry:
        raise UsageError(
            f"the archive {path} does not hold which registry its images are in",
            "say it with `registry`, such as vendor.example",
        )
    with BlobSource([str(path)]) as blobs:
        (contents,) = blobs.contents
        for named in contents.images:
            if named.subject:
                continue
            digest = named.image.root.digest
            name = named.name if contents.is_bundle else named.title
            if name and is_bundle_name(name):
                reference = f"{_prefix(registry)}/{name}@{digest}"
                is_list = isinstance(named.image.root.parsed, Index)
                platforms = _in_a_spec(_children(named.image)) if named.image.absent else ()
                yield FoundImage(reference, str(path), name, is_list and not platforms, platforms)
            else:
                yield f"{path}: {digest} {_NO_NAME}"
        if contents.referrers:
            yield (
                f"{path} has signatures or other referrers, too: to pull them again, write the fields signatures, "
                "with or with_from into the spec"
            )


def _prefix(registry: str) -> str:
    """Return what stands before the names of images in a registry, a host with, perhaps, a part of a repository."""
    bare = registry.removeprefix("docker://").rstrip("/")
    try:
        return Reference.parse(f"docker://{bare}/image").name.removesuffix("/image")
    except UsageError:
        step = "write `registry` as HOST or HOST/NAME, such as vendor.example/team"
        raise UsageError(f"'{registry}' is not a registry, or a part of one", step) from None


def _children(image: Image) -> Iterator[str | None]:
    for child in image.nodes[1:]:
        yield str(child.platform) if child.platform else None


def _in_a_spec(platforms: Iterable[str | None]) -> tuple[str, ...]:
    """Return a list's platforms as a spec selects them; none where it can't, as one of them has no such name."""
    # Attestations come along with the image that they are about.
    named = sorted({platform or "" for platform in platforms} - {_ATTESTATION})
    try:
        return tuple(str(Platform.parse(platform)) for platform in named)
    except UsageError:
        return ()


def _pinned(name: str, digest: str, place: str) -> str:
    try:
        reference = Reference.parse(f"docker://{name}")
    except UsageError as error:
        raise ContentError(f"{place}: {error.message}") from None
    tag = f":{reference.tag}" if reference.tag else ""
    return f"{reference.name}{tag}@{digest}"
