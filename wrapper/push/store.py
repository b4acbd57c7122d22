"""Stores an archive in a registry, as an artifact that belongs to its image: there others read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..archive.stored import STORED_TYPE, is_stored, make_stored
from ..archive.summary import describe
from ..delta.artifact import EMPTY_CONFIG
from ..errors import IncrementalError, NotFoundError, RegistryError, UsageError
from ..host.space import room_for
from ..oci.documents import check_schema, parse_document
from ..oci.layout import Layout, canonical_json, index_document, index_entry
from ..oci.manifest import parse_manifest
from ..oci.reference import Reference
from ..results import PushResult
from ..skopeo.runner import Skopeo
from ..source.blobs import BlobSource
from .tags import SIDE, read_tags, refuse_overwriting, require_sent
from .upload import OfferedBlobs, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archive.reader import ArchiveFile
    from ..host.progress import Progress
    from ..oci.manifest import FetchedManifest
    from ..skopeo.access import Access
    from ..skopeo.options import SkopeoOptions
    from .options import PushOptions


_WITHOUT_TYPES = "must be converted"
"""What skopeo says of a list that has fields that it does not know."""


class Store(NamedTuple):
    """Stores archives.

    Attributes:
        skopeo: which skopeo runs, and how.
        options: how the registry is reached.
        report: is told each step.
    """

    skopeo: SkopeoOptions
    options: PushOptions
    report: Progress

    def target(self, to: str | Reference, archives: Sequence[ArchiveFile]) -> Reference:
        """Return where an archive is to be stored.

        Args:
            to: where to, with a tag.
            archives: one: there is nothing else to be stored.

        Raises:
            UsageError: it is no tag of a registry, or there are several archives.
        """
        reference = Reference.parse(to) if isinstance(to, str) else to
        if reference.transport != "docker" or reference.digest or not reference.tag:
            raise UsageError(
                f"{reference} is not a tag in a registry",
                "give the destination of `as_delta` as docker://HOST/NAME:TAG",
            )
        if len(archives) != 1:
            raise UsageError(
                "only one archive can be stored at a time", "store each archive of a chain under its own tag"
            )
        return reference

    def store(
        self,
        archives: Sequence[ArchiveFile],
        reference: Reference,
        *,
        overwrite_tag: bool,
        dry_run: bool,
        expect_sha256: Sequence[str],
    ) -> PushResult:
        """Store an archive.

        Args:
            archives: one, of one image.
            reference: where to: see `target`.
            overwrite_tag: whether a tag that points to another archive may be moved.
            dry_run: do all but the writing.
            expect_sha256: what the archive hashes to, as `Incremental.push` takes it.

        Returns:
            What was done; `digest` is that of the artifact.

        Raises:
            UsageError: the archive is a bundle, or holds several images.
            RegistryError: the tag points to something that is no archive.
            IncrementalError: as for `push`.
        """
        with BlobSource(archives, self.options.deltas, expect_sha256) as blob_source:
            (contents,) = blob_source.contents
            if contents.is_bundle:
                raise UsageError(
                    f"{blob_source.names} is a bundle, and only an archive of one image can be stored",
                    "pull each image into an archive of its own",
                )
            image = contents.single
            blob_source.verify(self.report)
            index, sizes = blob_source.table()
            node = parse_manifest(make_stored(index, sizes, contents))
            with Skopeo(self.skopeo) as skopeo:
                access = self.options.destination
                with self.report.phase("vetting"):
                    tags = read_tags(skopeo, [reference], access, self.report if overwrite_tag else None)
                if not overwrite_tag:
                    refuse_overwriting(tags, [node.digest])
                before = tags[0].previous_digest
                if before not in (None, node.digest):
                    self._refuse_others(skopeo, reference)
                if before == node.digest:
                    self.report(f"{reference} is {node.digest} already: nothing to send")
                if not dry_run:
                    layout = Layout.create(skopeo.new_folder("artifact"))
                    sender = _Sender(Upload(skopeo, blob_source, [image], {}, True, self.report), layout, access)
                    if before != node.digest:
                        for document in (EMPTY_CONFIG, index, node.raw):
                            layout.put(document)
                        with self.report.phase("packing"), room_for(skopeo.folder, sum(sizes.values())):
                            layout.add([], sizes, blob_source.open_blob)
                        with self.report.phase("sending", sum(sizes.values())):
                            sender.send(node, reference)
                        with self.report.phase("reading back"):
                            require_sent(skopeo, {reference: node.digest}, access, self.report)
                    with self.report.phase("sending"):
                        sender.name(node, reference.tagged(image.image.root.digest.replace(":", "-")))
            found = describe(contents, blob_source.read).shared_fields() | {"digest": node.digest}
        return PushResult(
            **found,
            changed=before != node.digest,
            destination=str(reference),
            previous_digest=before,
            tags=tags,
        )

    def _refuse_others(self, skopeo: Skopeo, reference: Reference) -> None:
        """Refuse to put an archive in the place of an image."""
        (raw,) = skopeo.inspect_raw([(reference, self.options.destination, SIDE)])
        if isinstance(raw, bytes) and not is_stored(raw):
            raise RegistryError(
                f"{reference} is an image: an archive would replace it",
                "store the archive under another tag",
            )


class _Sender:
    """Sends manifests whose blobs stand in a layout."""

    def __init__(self, upload: Upload, layout: Layout, access: Access) -> None:
        self._upload = upload
        self._layout = layout
        self._access = access
        self._report = upload.report

    def send(self, node: FetchedManifest, reference: Reference, *flags: str) -> None:
        """Send a manifest with its blobs, or a list alone."""
        self._report.begin("sending", str(reference))
        flags = *self._access.flags(reference, self._upload.skopeo.auth_files, "dest-"), *flags
        offered = OfferedBlobs(self._layout, _nothing, _nothing, makes=False)
        doing = f"cannot send {reference}"
        digest = self._upload.copy(offered, node, str(reference), self._access, flags, doing)
        if digest != node.digest:
            raise RegistryError(f"{reference} was written as {digest} instead of {node.digest}")

    def name(self, node: FetchedManifest, tag: Reference) -> None:
        """Name an artifact in the list of what refers to its subject.

        It stands under a tag of its own (OCI distribution specification 1.1, referrers tag schema). Registries that
        keep such lists themselves don't need it, and take no harm from it. The archive is there without it, too.
        """
        try:
            self._name(node, tag)
        except IncrementalError as error:
            self._report.warn(f"the archive is stored, but {tag} does not list it: {error.message}")

    def _name(self, node: FetchedManifest, tag: Reference) -> None:
        (raw,) = self._upload.skopeo.inspect_raw([(tag, self._access, SIDE)])
        if isinstance(raw, NotFoundError):
            raw = index_document([])
        if isinstance(raw, IncrementalError):
            raise raw
        document = parse_document(raw, f"the list of referrers {tag}")
        check_schema(document, "oci-index", f"the list of referrers {tag}")
        if any(each["digest"] == node.digest for each in document["manifests"]):
            return
        entry = index_entry(node.media_type, node.digest, node.size)
        try:
            self._send_list(document, entry | {"artifactType": STORED_TYPE}, tag)
        except RegistryError as error:
            # Older ones of skopeo know no such field.
            if _WITHOUT_TYPES not in error.message:
                raise
            self._send_list(document, entry, tag)

    def _send_list(self, document: dict[str, Any], entry: dict[str, Any], tag: Reference) -> None:
        index = parse_manifest(canonical_json(document | {"manifests": [*document["manifests"], entry]}))
        self._layout.put(index.raw)
        self.send(index, tag, "--multi-arch=index-only")


def _nothing() -> None:
    """Find nothing wrong: all blobs are files."""
