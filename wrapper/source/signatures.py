"""Referrers of an image in its repository: signatures, attestations, SBOMs and the like.

cosign keeps them under tags made from the image's digest; the OCI distribution specification lists referrers under
such a tag where a registry has no referrers API. skopeo cannot ask that API: the user names what only it knows.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..archive.contents import NamedImage, referrer_tags
from ..archive.stored import is_stored
from ..errors import IncrementalError, NotFoundError, SignaturesError, UsageError
from ..oci.documents import parse_document
from ..oci.image import resolve_image
from ..oci.layout import canonical_json
from ..oci.manifest import Index, parse_manifest
from ..oci.reference import Reference, registry_reference
from ..skopeo.inspect import ImageSource, read_image, read_roots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host.progress import Progress
    from ..oci.image import Image
    from ..skopeo.runner import Skopeo


_LOOKASIDE = re.compile(r"^\s*(lookaside|sigstore|use-sigstore-attachments)\s*:", re.MULTILINE)


def find_referrers(
    skopeo: Skopeo, final: ImageSource, image: Image, report: Progress
) -> tuple[tuple[ImageSource, NamedImage], ...]:
    """Look for signatures and other referrers under the tags that belong to an image.

    Args:
        skopeo: an entered `Skopeo`.
        final: where the image is.
        image: the image.
        report: receives a line for each that is passed over.

    Returns:
        What stands there, by tag, each with where it is.

    Raises:
        SignaturesError: there is nothing.
        IncrementalError: something can't be read, or is not what its digest or schema says.
    """
    report(f"looking for signatures of {final.reference}")
    tags = referrer_tags(image)
    sources = [ImageSource(final.reference.tagged(tag), final.access, final.side) for tag in tags]
    answers = skopeo.inspect_raw([(source.reference, source.access, source.side) for source in sources])
    found = []
    for tag, source, raw in zip(tags, sources, answers, strict=True):
        if isinstance(raw, NotFoundError):
            continue
        if isinstance(raw, IncrementalError):
            raise raw
        root = parse_manifest(raw, reference=source.reference)
        referrer = _without_archives(read_image(skopeo, source, root, report))
        # A list of referrers from which the last one was removed.
        if referrer.leaves:
            found.append((source, NamedImage(tag, referrer, image.root.digest)))
    if not found:
        raise SignaturesError(
            f"{final.reference} has no signature, attestation, SBOM or list of referrers under a tag",
            "the registry may list them only in its referrers API, which skopeo can't use: name each one, as "
            "HOST/NAME@sha256:DIGEST, with `signatures.referrers`; to take a list's signature along, take the "
            f"whole list with `all_architectures`{_of_a_list(final, image)}",
        )
    return tuple(found)


def _without_archives(referrer: Image) -> Image:
    """Return a list of referrers without archives that are stored beside the image: they are no part of it."""
    stored = {leaf.digest for leaf in referrer.leaves if is_stored(leaf.raw)}
    if not stored or not isinstance(referrer.root.parsed, Index):
        return referrer
    document = parse_document(referrer.root.raw, f"the list {referrer.root.digest}")
    entries = [entry for entry in document["manifests"] if entry["digest"] not in stored]
    raw = {node.digest: node.raw for node in referrer.nodes}
    root = parse_manifest(canonical_json(document | {"manifests": entries}))
    return resolve_image(root, lambda children: [raw.get(child.digest) for child in children])


def read_referrers(
    skopeo: Skopeo, final: ImageSource, image: Image, wanted: Sequence[str | Reference]
) -> tuple[tuple[ImageSource, NamedImage], ...]:
    """Read referrers that are to travel with an image, each named by its digest.

    Args:
        skopeo: an entered `Skopeo`.
        final: where the image is.
        image: the image.
        wanted: references with a digest.

    Raises:
        UsageError: one has no digest.
        IncrementalError: one can't be read, or is not what its digest or schema says.
    """
    sources = [ImageSource(_pinned(each), final.access, "final") for each in wanted]
    roots = read_roots(skopeo, sources)
    return tuple(
        (source, NamedImage(None, read_image(skopeo, source, root), image.root.digest))
        for source, root in zip(sources, roots, strict=True)
    )


def lookaside_is_configured() -> bool:
    """Say whether skopeo would find signatures outside an image's repository, or take tags for signatures.

    See containers-registries.d(5): the user's folder counts in place of the system's.
    """
    own = Path(os.environ.get("HOME", "/"), ".config/containers/registries.d")
    folder = own if own.is_dir() else Path("/etc/containers/registries.d")
    for path in folder.glob("*.yaml"):
        try:
            if _LOOKASIDE.search(path.read_text(errors="replace")):
                return True
        except OSError:
            # skopeo will say so.
            return True
    return False


def _pinned(wanted: str | Reference) -> Reference:
    reference = registry_reference(wanted, "the referrer")
    if reference.digest is None:
        raise UsageError(f"{reference} has no digest", "write the referrer as HOST/NAME@sha256:DIGEST")
    return reference


def _of_a_list(final: ImageSource, image: Image) -> str:
    narrowed = final.reference.digest is None and not isinstance(image.root.parsed, Index)
    return " if the image is one" if narrowed else ""
