"""Lists of referrers in a registry, by which clients find what refers to an image.

Such a list stands under a tag made from the image's digest: see the referrers tag schema of the OCI distribution
specification 1.1. Registries that have a referrers API don't need it, and take no harm from it. skopeo can't tell
which ones have it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from ..archive.contents import list_tag
from ..errors import ContentError, IncrementalError, NotFoundError, RegistryError
from ..host.text import plural
from ..oci.documents import check_schema, parse_document
from ..oci.layout import Layout, canonical_json, index_document, index_entry
from ..oci.manifest import Manifest, digest_of, parse_manifest
from ..results import TagChange
from .tags import SIDE
from .upload import OfferedBlobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archive.contents import NamedImage
    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo
    from .upload import Upload

_WITHOUT_TYPES = "must be converted"
"""What skopeo says of a list that has fields that it does not know."""

_ONE_AT_A_TIME = Lock()
"""For a list that is read, and written with more: two images of a bundle may have one child, and so one list."""


def send_manifest(
    upload: Upload, layout: Layout, access: Access, node: FetchedManifest, reference: Reference, *flags: str
) -> None:
    """Send a manifest with its blobs, which stand in a layout; or with the right flag a list alone.

    Raises:
        RegistryError: it was written as something else.
        IncrementalError: it can't be written.
    """
    upload.report.begin("sending", str(reference))
    flags = *access.flags(reference, upload.skopeo.auth_files, "dest-"), *flags
    digest = upload.copy(OfferedBlobs(layout), node, str(reference), access, flags, f"cannot send {reference}")
    if digest != node.digest:
        raise RegistryError(f"{reference} was written as {digest} instead of {node.digest}")


def add_to_list(upload: Upload, access: Access, tag: Reference, referrers: Sequence[FetchedManifest]) -> None:
    """Add referrers to the list under a tag, whose other entries stay; make it where there is none.

    Args:
        upload: what skopeo sends.
        access: how the registry is reached.
        tag: the list's tag.
        referrers: manifests that are in its repository.

    Raises:
        IncrementalError: the list can't be read or written, or what stands under its tag is no list.
    """
    with _ONE_AT_A_TIME:
        (raw,) = upload.skopeo.inspect_raw([(tag, access, SIDE)])
        if isinstance(raw, NotFoundError):
            raw = index_document([])
        if isinstance(raw, IncrementalError):
            raise raw
        document = _parse(raw, tag)
        lacking = _lacking(document, referrers)
        if not lacking:
            return
        try:
            _send_list(upload, access, tag, document, [_entry(node) for node in lacking])
        except RegistryError as error:
            # Older ones of skopeo know no type in a descriptor.
            if _WITHOUT_TYPES not in error.message:
                raise
            _send_list(upload, access, tag, document, [_entry(node, typed=False) for node in lacking])


class ReferrerLists:
    """The lists that are to name the referrers of a push which travel by digest alone.

    An archive says nothing of these lists. What refers to what is in the referrers' manifests, and only what refers
    to the image, to a child of its list or to another referrer of it is listed. So no archive chooses a tag.
    """

    def __init__(self, images: Sequence[NamedImage]) -> None:
        """Find out which lists there are to be.

        Args:
            images: what is pushed. Where it has a list under its tag, that is the one that counts.
        """
        carried = {named.name for named in images if named.subject}
        by_digest = [named for named in images if named.subject and not named.name]
        subjects = {(named.subject, named.image.root.digest) for named in by_digest}
        for named in images:
            if not named.subject:
                subjects |= {(named.image.root.digest, node.digest) for node in named.image.nodes}
        self._wanted: dict[str, list[FetchedManifest]] = {}
        for named in by_digest:
            subject = str(named.image.root.parsed.subject)
            if (named.subject, subject) in subjects and list_tag(subject) not in carried:
                self._wanted.setdefault(list_tag(subject), []).append(named.image.root)
        self._behind: dict[Reference, list[FetchedManifest]] = {}
        self.tags: tuple[TagChange, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Whether a list lacks a referrer, as `look` has found them."""
        return bool(self._behind)

    def look(self, skopeo: Skopeo, destination: Reference, access: Access) -> None:
        """Look at the lists that a destination has; what can't be read is tried again when it is written."""
        references = [destination.tagged(tag) for tag in self._wanted]
        answers = skopeo.inspect_raw([(reference, access, SIDE) for reference in references])
        tags = []
        for reference, raw, referrers in zip(references, answers, self._wanted.values(), strict=True):
            previous = digest_of(raw) if isinstance(raw, bytes) else None
            tags.append(TagChange(str(reference), previous))
            if not isinstance(raw, bytes) or not _names_all(raw, reference, referrers):
                self._behind[reference] = referrers
        self.tags = tuple(tags)

    def write(self, upload: Upload, access: Access) -> None:
        """Write what is behind, once; the referrers are there without their lists, too."""
        while self._behind:
            tag, referrers = self._behind.popitem()
            try:
                add_to_list(upload, access, tag, referrers)
            except IncrementalError as error:
                what = plural(len(referrers), "referrer")
                upload.report.warn(f"{what} sent, but {tag} does not list what was sent: {error.message}")


def _parse(raw: bytes, tag: Reference) -> dict[str, Any]:
    document = parse_document(raw, f"the list of referrers {tag}")
    check_schema(document, "oci-index", f"the list of referrers {tag}")
    return document


def _names_all(raw: bytes, tag: Reference, referrers: Sequence[FetchedManifest]) -> bool:
    try:
        return not _lacking(_parse(raw, tag), referrers)
    except ContentError:
        return False


def _lacking(document: dict[str, Any], referrers: Sequence[FetchedManifest]) -> list[FetchedManifest]:
    there = {entry["digest"] for entry in document["manifests"]}
    return [node for node in {node.digest: node for node in referrers}.values() if node.digest not in there]


def _entry(node: FetchedManifest, *, typed: bool = True) -> dict[str, Any]:
    """Return what a list says of a referrer: type and annotations are those of its manifest."""
    parsed = node.parsed
    entry = index_entry(node.media_type, node.digest, node.size, annotations=parsed.annotations)
    config = parsed.config.media_type if isinstance(parsed, Manifest) else ""
    artifact_type = parsed.artifact_type or config
    return entry | ({"artifactType": artifact_type} if typed and artifact_type else {})


def _send_list(
    upload: Upload, access: Access, tag: Reference, document: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
    index = parse_manifest(canonical_json(document | {"manifests": [*document["manifests"], *entries]}))
    layout = Layout.create(upload.skopeo.new_folder("referrers"))
    layout.put(index.raw)
    send_manifest(upload, layout, access, index, tag, "--multi-arch=index-only")
