"""Stores an archive in a registry, as an artifact that belongs to its image: there others read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..archive.contents import list_tag
from ..archive.stored import is_stored, make_stored
from ..archive.summary import describe
from ..delta.artifact import EMPTY_CONFIG
from ..errors import IncrementalError, RegistryError, UsageError
from ..host.space import room_for
from ..oci.layout import Layout
from ..oci.manifest import parse_manifest
from ..oci.reference import Reference
from ..results import MissingLayer, PushResult
from ..skopeo.inspect import ImageSource
from ..skopeo.runner import Skopeo
from ..source.blobs import BlobSource
from ..source.presence import layers_in_repository
from .claims import FirstBytes
from .referrers import add_to_list, list_entry, send_manifest
from .tags import SIDE, read_tags, refuse_overwriting, require_sent
from .upload import Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archive.reader import ArchiveFile
    from ..host.progress import Progress
    from ..oci.manifest import FetchedManifest
    from ..skopeo.options import SkopeoOptions
    from .options import PushOptions


class Store(NamedTuple):
    """Stores archives.

    Attributes:
        skopeo: which skopeo runs, how, and who is told each step.
        options: how the registry is reached.
    """

    skopeo: SkopeoOptions
    options: PushOptions

    @property
    def report(self) -> Progress:
        """Who is told each step."""
        return self.skopeo.report

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
                    upload = Upload(skopeo, blob_source, [image], {}, True, self.report)
                    if before != node.digest:
                        for document in (EMPTY_CONFIG, index, node.raw):
                            layout.put(document)
                        with self.report.phase("packing"), room_for(skopeo.folder, sum(sizes.values())):
                            layout.add([], sizes, blob_source.open_blob)
                        with self.report.phase("sending", sum(sizes.values())):
                            if claimed := self._claimed(skopeo, node, reference):
                                # A tag must not point to what nobody can read.
                                by_digest = ImageSource(reference.pinned(node.digest), access, SIDE)
                                send_manifest(upload, layout, access, node, by_digest.reference)
                                FirstBytes(skopeo, {}, self.report).can_read(reference, claimed, [by_digest])
                            send_manifest(upload, layout, access, node, reference)
                        with self.report.phase("reading back"):
                            require_sent(skopeo, {reference: node.digest}, access, self.report)
                    with self.report.phase("sending"):
                        self._list(upload, node, reference.tagged(list_tag(image.image.root.digest)))
            found = describe(contents, blob_source.read).shared_fields() | {"digest": node.digest}
        return PushResult(
            **found,
            changed=before != node.digest,
            destination=str(reference),
            previous_digest=before,
            tags=tags,
        )

    def _claimed(self, skopeo: Skopeo, node: FetchedManifest, reference: Reference) -> tuple[MissingLayer, ...]:
        """Return what a registry says it has of an artifact: nobody sends that."""
        blobs = {blob.digest: blob for blob in (node.manifest.config, *node.manifest.layers)}
        source = ImageSource(reference, self.options.destination, SIDE)
        there = layers_in_repository(skopeo, source, list(blobs.values()), writes=True)
        return tuple(MissingLayer(digest, blobs[digest].size, ()) for digest in sorted(there))

    def _refuse_others(self, skopeo: Skopeo, reference: Reference) -> None:
        """Refuse to put an archive in the place of an image."""
        (raw,) = skopeo.inspect_raw([(reference, self.options.destination, SIDE)])
        if isinstance(raw, bytes) and not is_stored(raw):
            raise RegistryError(
                f"{reference} is an image: an archive would replace it",
                "store the archive under another tag",
            )

    def _list(self, upload: Upload, node: FetchedManifest, tag: Reference) -> None:
        """Name an archive in the list of what refers to its image; it is there without that, too."""
        try:
            add_to_list(upload, self.options.destination, tag, [list_entry(node)])
        except IncrementalError as error:
            self.report.warn(f"the archive is stored, but {tag} does not list it: {error.message}")
