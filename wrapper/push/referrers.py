"""Lists of referrers in a registry, by which clients find what refers to an image.

Such a list stands under a tag made from the image's digest: see the referrers tag schema of the OCI distribution
specification 1.1. Registries that have a referrers API don't need it, and take no harm from it. skopeo can't tell
which ones have it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from ..archive.contents import REFERRER_SUFFIXES, list_tag
from ..errors import ContentError, IncrementalError, NotFoundError, RegistryError
from ..host.text import plural
from ..oci.documents import check_schema, parse_document
from ..oci.image import Image
from ..oci.layout import Layout, canonical_json, index_document, index_entry
from ..oci.manifest import OCI_INDEX, digest_of, parse_manifest
from ..results import TagChange
from .tags import SIDE
from .upload import OfferedBlobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..archive.contents import NamedImage
    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo
    from .upload import Upload

_WITHOUT_TYPES = f'must be converted to type "{OCI_INDEX}"'
"""What skopeo says of a list that has fields that it does not know."""

_REFUSED = "must be converted"
"""What it says of one that a registry refuses: then it tries another type, and tells why that can't be."""

_PLAIN = frozenset({"mediaType", "digest", "size", "urls", "annotations", "platform"})
"""What every skopeo knows of an entry."""

_OF_COSIGN = REFERRER_SUFFIXES[1:]

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


def add_to_list(
    upload: Upload,
    access: Access,
    tag: Reference,
    entries: Sequence[Mapping[str, Any]],
    whole: FetchedManifest | None = None,
) -> None:
    """Add referrers to the list under a tag, whose other entries stay; make it where there is none.

    Args:
        upload: what skopeo sends.
        access: how the registry is reached.
        tag: the list's tag.
        entries: what it is to say, of manifests that are in its repository: see `list_entry`.
        whole: a list that says just that, and is written as it is where there is none.

    Raises:
        IncrementalError: the list can't be read or written, or what stands under its tag is no list.
    """
    with _ONE_AT_A_TIME:
        (raw,) = upload.skopeo.inspect_raw([(tag, access, SIDE)])
        if isinstance(raw, IncrementalError) and not isinstance(raw, NotFoundError):
            raise raw
        there = index_document([]) if isinstance(raw, NotFoundError) else raw
        document = _parse(there, tag)
        lacking = _lacking(document, entries)
        if not lacking:
            return
        index = whole if whole and there is not raw else _extended(document, lacking)
        try:
            _send_list(upload, access, tag, index)
        except RegistryError as error:
            # Debian 12's skopeo writes no list whose entries have a type: clients then look at the manifests.
            if _WITHOUT_TYPES not in error.message:
                raise
            if any(entry.keys() - _PLAIN for entry in document["manifests"]):
                raise RegistryError(
                    "it has entries with a type, and this version of skopeo can't write these",
                    "push again with skopeo 1.18 or newer",
                ) from None
            _send_list(upload, access, tag, _extended(document, [_plain(entry) for entry in lacking]))


def list_entry(node: FetchedManifest) -> dict[str, Any]:
    """Return what a list says of a referrer: type and annotations are those of its manifest."""
    entry = index_entry(node.media_type, node.digest, node.size, annotations=node.parsed.annotations)
    return entry | ({"artifactType": node.artifact_type} if node.artifact_type else {})


def is_list(named: NamedImage) -> bool:
    """Say whether what an archive holds is a list of referrers, and none itself."""
    tag = named.name or ""
    return bool(named.subject and tag) and named.image.root.media_type == OCI_INDEX and not tag.endswith(_OF_COSIGN)


def without_lists(images: Sequence[NamedImage]) -> list[NamedImage]:
    """Return images with what lists of referrers name in place of these: at the destination these may say more."""
    return [named._replace(image=Image(named.image.nodes[1:])) if is_list(named) else named for named in images]


class ReferrerLists:
    """The lists that are to name the referrers of a push, at the destination.

    They are those of the archive, with what travels by digest alone; what is listed there already stays listed. An
    archive does not say where referrers by digest are listed: what refers to what is in their manifests, and only
    what refers to the image, to a child of its list or to another referrer of it is listed. So no archive chooses a
    tag.
    """

    def __init__(self, images: Sequence[NamedImage]) -> None:
        """Find out which lists there are to be.

        Args:
            images: what is pushed.
        """
        self.images = tuple(named for named in images if is_list(named))
        by_digest = [named for named in images if named.subject and not named.name]
        subjects = {(named.subject, named.image.root.digest) for named in by_digest}
        self._wanted: dict[str, dict[str, Mapping[str, Any]]] = {}
        for named in images:
            if not named.subject:
                subjects |= {(named.image.root.digest, node.digest) for node in named.image.nodes}
        for named in self.images:
            tag, root = str(named.name), named.image.root
            subjects |= {(named.subject, node.digest) for node in named.image.nodes[1:]}
            for entry in _parse(root.raw, root.digest)["manifests"]:
                # What a registry names and does not have, another may refuse to list.
                if entry["digest"] not in named.image.absent:
                    self._wanted.setdefault(tag, {}).setdefault(entry["digest"], entry)
        for named in by_digest:
            subject = str(named.image.root.parsed.subject)
            if (named.subject, subject) in subjects:
                entry = list_entry(named.image.root)
                self._wanted.setdefault(list_tag(subject), {}).setdefault(entry["digest"], entry)
        self._behind: dict[Reference, str] = {}
        self.tags: tuple[TagChange, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Whether a list lacks a referrer, as `look` has found them."""
        return bool(self._behind)

    @property
    def behind(self) -> list[NamedImage]:
        """Those lists of the archive that name what the destination's do not: it may not have that either."""
        return [named for named in self.images if named.name in self._behind.values()]

    def look(self, skopeo: Skopeo, destination: Reference, access: Access) -> None:
        """Look at the lists that a destination has; what can't be read is tried again when it is written."""
        references = {destination.tagged(tag): tag for tag in self._wanted}
        answers = skopeo.inspect_raw([(reference, access, SIDE) for reference in references])
        tags = []
        for (reference, tag), raw in zip(references.items(), answers, strict=True):
            previous = digest_of(raw) if isinstance(raw, bytes) else None
            tags.append(TagChange(str(reference), previous))
            if not isinstance(raw, bytes) or not _names_all(raw, reference, self._entries(tag)):
                self._behind[reference] = tag
        self.tags = tuple(tags)

    def write(self, upload: Upload, access: Access) -> None:
        """Write what is behind, once; the referrers are there without their lists, too."""
        while self._behind:
            reference, tag = self._behind.popitem()
            entries = self._entries(tag)
            try:
                add_to_list(upload, access, reference, entries, self._whole(tag))
            except IncrementalError as error:
                what = plural(len(entries), "referrer")
                why = f"{error.message} ({error.next_step})" if error.next_step else error.message
                if _REFUSED in error.message:
                    why = "the registry does not accept it"
                upload.report.warn(f"{what} sent, but {reference} does not list what was sent: {why}")

    def _entries(self, tag: str) -> list[Mapping[str, Any]]:
        return list(self._wanted[tag].values())

    def _whole(self, tag: str) -> FetchedManifest | None:
        """Return a list of the archive that says all that there is to say."""
        for image in (named.image for named in self.images if named.name == tag and not named.image.absent):
            if self._wanted[tag].keys() <= {node.digest for node in image.nodes}:
                return image.root
        return None


def _parse(raw: bytes, tag: Reference | str) -> dict[str, Any]:
    document = parse_document(raw, f"the list of referrers {tag}")
    check_schema(document, "oci-index", f"the list of referrers {tag}")
    return document


def _names_all(raw: bytes, tag: Reference, entries: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return not _lacking(_parse(raw, tag), entries)
    except ContentError:
        return False


def _lacking(document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    there = {entry["digest"] for entry in document["manifests"]}
    return [entry for entry in entries if entry["digest"] not in there]


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name in _PLAIN}


def _extended(document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> FetchedManifest:
    return parse_manifest(canonical_json({**document, "manifests": [*document["manifests"], *entries]}))


def _send_list(upload: Upload, access: Access, tag: Reference, index: FetchedManifest) -> None:
    layout = Layout.create(upload.skopeo.new_folder("referrers"))
    layout.put(index.raw)
    send_manifest(upload, layout, access, index, tag, "--multi-arch=index-only")
