"""Stores an archive in a registry, as an artifact that belongs to its image: there others read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..archive.stored import STORED_TYPE, make_stored, stored_entry
from ..archive.summary import describe
from ..delta.artifact import EMPTY_CONFIG
from ..errors import NotFoundError, RegistryError, UsageError
from ..host.space import room_for
from ..oci.documents import parse_document
from ..oci.layout import Layout, index_document
from ..oci.manifest import OCI_INDEX, Index, parse_manifest
from ..oci.reference import Reference
from ..results import PushResult
from ..skopeo.runner import Skopeo
from ..source.blobs import BlobSource
from .tags import FLAG, read_tags, refuse_overwriting, require_sent
from .upload import OfferedBlobs, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..archive.reader import ArchiveFile
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
        report: receives a line for each step.
    """

    skopeo: SkopeoOptions
    options: PushOptions
    report: Callable[[str], None]

    def store(
        self,
        archives: Sequence[ArchiveFile],
        to: str | Reference,
        *,
        overwrite_tag: bool,
        dry_run: bool,
        expect_sha256: Sequence[str],
    ) -> PushResult:
        """Store an archive.

        Args:
            archives: one, of one image.
            to: where to, with a tag.
            overwrite_tag: whether a tag that points elsewhere may be moved.
            dry_run: do all but the writing.
            expect_sha256: what the archive hashes to, as `Incremental.push` takes it.

        Returns:
            What was done; `digest` is that of the artifact.

        Raises:
            UsageError: the archive holds several images, or the destination is no tag of a registry.
            IncrementalError: as for `push`.
        """
        reference = Reference.parse(to) if isinstance(to, str) else to
        if reference.transport != "docker" or reference.digest:
            raise UsageError(
                f"{reference} is no tag of a registry", "give --as-delta a destination as docker://HOST/NAME:TAG"
            )
        if len(archives) != 1:
            raise UsageError("one archive is stored at a time", "store each of a chain under a tag of its own")
        with BlobSource(archives, self.options.deltas, expect_sha256) as blob_source:
            (contents,) = blob_source.contents
            image = contents.single
            blob_source.verify(self.report)
            index, sizes = blob_source.table()
            node = parse_manifest(make_stored(index, sizes, contents))
            with Skopeo(self.skopeo) as skopeo:
                access = self.options.destination
                tags = read_tags(skopeo, [reference], access, self.report if overwrite_tag else None)
                if not overwrite_tag:
                    refuse_overwriting(tags, [node.digest])
                changed = tags[0].previous_digest != node.digest
                if not changed:
                    self.report(f"{reference} is {node.digest} already: nothing to send")
                elif not dry_run:
                    layout = Layout.create(skopeo.new_folder("artifact"))
                    layout.put(EMPTY_CONFIG)
                    layout.put(index)
                    layout.put(node.raw)
                    with room_for(skopeo.folder, sum(sizes.values())):
                        layout.add([], sizes, blob_source.open_blob)
                    sender = _Sender(Upload(skopeo, blob_source, [image], {}, True, self.report), layout, access)
                    sender.send(node, reference)
                    sender.send_referrers(node, reference, image.image.root.digest)
                    require_sent(skopeo, {reference: node.digest}, access, self.report)
            found = describe(contents, blob_source.read).shared_fields() | {"digest": node.digest}
        return PushResult(
            **found,
            changed=changed,
            destination=str(reference),
            previous_digest=tags[0].previous_digest,
            tags=tags,
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
        self._report(f"sending {reference}")
        flags = *self._access.flags(reference, self._upload.skopeo.auth_files, "dest-"), *flags
        offered = OfferedBlobs(self._layout, _nothing, _nothing)
        doing = f"cannot send {reference}"
        digest = self._upload.copy(offered, node, str(reference), self._access, flags, doing)
        if digest != node.digest:
            raise RegistryError(f"{reference} became {digest} instead of {node.digest}")

    def send_referrers(self, node: FetchedManifest, reference: Reference, subject: str) -> None:
        """Name an artifact in the list of what refers to its subject.

        It stands under a tag of its own (OCI distribution specification 1.1, referrers tag schema). Registries that
        keep such lists themselves don't need it, and take no harm from it.
        """
        tag = reference.tagged(subject.replace(":", "-"))
        (raw,) = self._upload.skopeo.inspect_raw([(tag, self._access, FLAG)])
        entries = []
        if isinstance(raw, bytes):
            before = parse_manifest(raw, reference=tag)
            if not isinstance(before.parsed, Index) or before.media_type != OCI_INDEX:
                self._report(f"warning: {tag} is no list of referrers: the archive is not named there")
                return
            entries = parse_document(raw, f"the list of referrers {tag}")["manifests"]
        elif not isinstance(raw, NotFoundError):
            raise raw
        if any(entry["digest"] == node.digest for entry in entries):
            return
        entry = stored_entry(node.raw)
        try:
            self._send_list([*entries, entry | {"artifactType": STORED_TYPE}], tag)
        except RegistryError as error:
            if _WITHOUT_TYPES not in error.message:
                raise
            # Older ones of skopeo know no such field.
            try:
                self._send_list([*entries, entry], tag)
            except RegistryError as other:
                if _WITHOUT_TYPES not in other.message:
                    raise
                self._report(
                    f"warning: {tag} stays as it is, and does not name the archive: this skopeo can't keep what "
                    "stands there; a newer one can"
                )

    def _send_list(self, entries: list[dict[str, Any]], tag: Reference) -> None:
        index = parse_manifest(index_document(entries))
        self._layout.put(index.raw)
        self.send(index, tag, "--multi-arch=index-only")


def _nothing() -> None:
    """Find nothing wrong: all blobs are files."""
