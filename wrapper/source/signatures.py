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
from ..errors import ContentError, IncrementalError, NotFoundError, SignaturesError
from ..oci.documents import parse_document
from ..oci.image import resolve_image
from ..oci.layout import canonical_json
from ..oci.manifest import Index, parse_manifest
from ..skopeo.inspect import ImageSource, read_image, read_roots
from .options import NO, REQUIRED, referrer_by_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..host.progress import Progress
    from ..oci.image import Image
    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.runner import Skopeo
    from .options import SignatureOptions


_LOOKASIDE = re.compile(r"^\s*(lookaside|sigstore|use-sigstore-attachments)\s*:", re.MULTILINE)


Found = tuple[tuple[ImageSource, NamedImage], ...]
"""Referrers, each with where it is."""


def gather_referrers(
    skopeo: Skopeo,
    final: ImageSource,
    image: Image,
    options: SignatureOptions,
    discovered: Sequence[str],
    report: Progress,
) -> Found:
    """Find what is to travel with an image.

    Args:
        skopeo: an entered `Skopeo`.
        final: where the image is.
        image: the image.
        options: whether what stands under its tags travels, and what else.
        discovered: digests of what another tool found to refer to the image.
        report: receives a line for each that is passed over.

    Returns:
        What travels, each once: first what stands under tags.

    Raises:
        SignaturesError: signatures are required, and there is nothing.
        UsageError: a referrer has no digest.
        ContentError: what was discovered refers to another image.
        IncrementalError: something can't be read, or is not what its digest or schema says.
    """
    tagged = _find_tagged(skopeo, final, image, report) if options.mode != NO else ()
    listed = {node.digest for _, named in tagged for node in named.image.nodes}
    named_by_user = _read(skopeo, final, image, options.referrers)
    found = _read(skopeo, final, image, [final.reference.pinned(digest) for digest in discovered])
    others = {node.digest for _, named in named_by_user for node in named.image.nodes}
    _require_subjects(final, image, [named.image.root for _, named in found], listed | others)
    found += named_by_user
    # What a list under a tag names travels with that.
    by_digest = {named.key: (source, named) for source, named in found if named.key[1] not in listed}
    travelling = (*tagged, *by_digest.values())
    if not travelling and options.mode == REQUIRED:
        raise SignaturesError(
            f"{final.reference} has no signature, attestation, SBOM or list of referrers under a tag",
            "the registry may list them only in its referrers API, which skopeo can't use: name each one, as "
            "HOST/NAME@sha256:DIGEST, with `signatures.referrers`, or a file that lists them with "
            "`signatures.referrers_from`; to take a list's signature along, take the list with `all_architectures` "
            f"or `platforms`{_of_a_list(final, image)}; to pull images that have none, too, say if-present with "
            "`signatures.include`",
        )
    return travelling


def _find_tagged(skopeo: Skopeo, final: ImageSource, image: Image, report: Progress) -> Found:
    """Look for referrers under the tags that belong to an image."""
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


def _read(skopeo: Skopeo, final: ImageSource, image: Image, wanted: Sequence[str | Reference]) -> Found:
    """Read referrers that are named by their digests."""
    sources = [ImageSource(referrer_by_digest(each), final.access, "final") for each in wanted]
    roots = read_roots(skopeo, sources)
    return tuple(
        (source, NamedImage(None, read_image(skopeo, source, root), image.root.digest))
        for source, root in zip(sources, roots, strict=True)
    )


def _require_subjects(
    final: ImageSource, image: Image, discovered: Sequence[FetchedManifest], others: Collection[str]
) -> None:
    """Refuse what does not refer to the image, a child of its list, or a referrer that travels."""
    subjects = {node.digest for node in (*image.nodes, *discovered)} | {*others}
    for root in discovered:
        if root.parsed.subject not in subjects:
            subject = root.parsed.subject
            if subject in image.absent:
                raise ContentError(
                    f"{root.digest} belongs to {subject}, which {final.reference} names, and which does not travel",
                    "leave it out of the file, or take that platform along with `platforms`",
                )
            refers = f"refers to {subject}" if subject else "is no referrer: it has no subject"
            raise ContentError(
                f"{root.digest} does not belong to {final.reference}, which is {image.root.digest}: it {refers}",
                "find the referrers of this digest again; what refers to a list travels with the list, which "
                f"`all_architectures` and `platforms` take{_of_a_list(final, image)}",
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


def _of_a_list(final: ImageSource, image: Image) -> str:
    narrowed = final.reference.digest is None and not isinstance(image.root.parsed, Index)
    return " if the image is one" if narrowed else ""
