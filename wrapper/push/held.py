"""Bases that no tag of a repository holds: retention may remove them, and layers that a push counts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import IncrementalError, NotFoundError, UsageError
from ..oci.manifest import digest_of
from ..oci.reference import DEFAULT_TAG, Reference
from .tags import SIDE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo
    from ..source.ledger import LedgerImage

Told = tuple[str | None, Reference]
"""Where an image is said to be, and its digest, if that is said, too."""


def told_of(images: Iterable[LedgerImage]) -> list[Told]:
    """Return where a receipt says that images and their children are; what is no reference is left out."""
    told: list[Told] = []
    for image in images:
        try:
            reference = Reference.parse(image.reference)
        except UsageError:
            continue
        children = (child["digest"] for child in image.manifests)
        told += [(digest, reference) for digest in (image.digest, *children)]
    return told


def loose_bases(
    skopeo: Skopeo, destination: Reference, access: Access, bases: Collection[str], told: Iterable[Told]
) -> list[str]:
    """Return the digests of bases that are said to be in a repository, and that no tag holds as far as is said.

    Args:
        skopeo: an entered `Skopeo`.
        destination: the repository; its tag may hold them, too.
        access: how its registry is reached.
        bases: their digests.
        told: what is said to be where; images of other places do not count.
    """
    here = [
        (digest or reference.digest, reference) for digest, reference in told if reference.is_beside(destination)
    ]
    asked = [base for base in bases if any(digest == base for digest, _ in here)]
    if not asked:
        return []
    holding = [reference for digest, reference in here if digest is None or digest in asked]
    tags = {reference.tag or DEFAULT_TAG for reference in [*holding, destination] if not reference.digest}
    answers = skopeo.inspect_raw([(destination.tagged(tag), access, SIDE) for tag in sorted(tags)])
    if any(isinstance(raw, IncrementalError) and not isinstance(raw, NotFoundError) for raw in answers):
        # Nobody knows.
        return []
    found = [raw for raw in answers if isinstance(raw, bytes)]
    # A list names its children.
    return [base for base in asked if not any(digest_of(raw) == base or base.encode() in raw for raw in found)]
