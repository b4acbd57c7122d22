"""Uploads to a registry: what stands below a list first, tags last."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from ..delta.artifact import MANIFESTS
from ..errors import ContentError, IncrementalError, NotFoundError, RegistryError
from ..host.text import plural
from ..oci.manifest import LISTS, Manifest, build_layers_dictionary
from ..oci.reference import DEFAULT_TAG, is_tag
from ..results import ReadBack
from ..skopeo import probe
from ..skopeo.inspect import ImageSource, try_roots
from ..skopeo.runs import PARALLEL_RUNS
from ..source.presence import layers_in_repository
from .destination import Destination
from .referrers import ReferrerLists, is_list, without_lists
from .tags import lists_in_part, read_tags, referrer_reference, refuse_overwriting, refused_list
from .upload import OfferedBlobs, Upload, UploadResult
from .waves import waves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ..archive.contents import ArchiveContents, NamedImage
    from ..host.progress import Progress
    from ..oci.image import Image
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.reference import Reference
    from ..results import MissingLayer, TagChange
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource

_LOOKUPS = MANIFESTS
"""How many manifests of old layers one repository is asked for: as many as one change may name."""

_LOOKUPS_TOGETHER = 4096
"""How many all repositories of a push are asked for, whatever its archives name."""


class RegistryDestination(Destination):
    """A repository of a registry: it takes all images of a chain, and what belongs to them."""

    may_be_wrong = True
    _blobs_are_there = False
    _found: tuple[TagChange, ...] = ()
    _in_part: frozenset[str] = frozenset()
    _lists = ReferrerLists(())

    def select_images(self, contents: Sequence[ArchiveContents]) -> tuple[NamedImage, ...]:
        """Return the archives' images, the oldest first; whoever sees one is to find its signatures.

        Raises:
            ContentError: a name that an image of a chain would go under is no tag: it may lead to another registry.
        """
        for name in (found.single.name for found in contents):
            if len(contents) > 1 and self._takes_own_names and name and not is_tag(name):
                raise ContentError(
                    f"'{name:.200}', which the archive calls an image, is not a tag", "give the destination a tag"
                )
        return tuple(named for found in contents for named in (*found.referrers, found.single))

    @property
    def _takes_own_names(self) -> bool:
        """Whether the images of a chain go under their own tags: a tag that the user gave is the last image's."""
        return not (self.reference.tag or self.reference.digest)

    def present_layers(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Ask the repository which layers it has; only who will write there asks as one who may."""
        return layers_in_repository(skopeo, self.here, layers, writes=self.writes)

    def offer_delta_sources(
        self, skopeo: Skopeo, blob_source: BlobSource, layers: Collection[str], manifests: Sequence[str]
    ) -> None:
        """Find manifests that are there and have the layers: skopeo fetches a layer only as a part of one."""
        wanted = set(layers)
        rest = list(manifests[:_LOOKUPS])
        while wanted and rest:
            few, rest = rest[:PARALLEL_RUNS], rest[PARALLEL_RUNS:]
            for source, leaf in self._look_up(skopeo, blob_source, few):
                if having := wanted & build_layers_dictionary(leaf).keys():
                    blob_source.add_delta_source(source, leaf, having)
                    wanted -= having

    def _look_up(
        self, skopeo: Skopeo, blob_source: BlobSource, digests: Sequence[str]
    ) -> list[tuple[ImageSource, FetchedManifest]]:
        """Return those manifests that are there, each asked for once for all images of a bundle."""
        known = blob_source.looked_up
        sources = [self.here.at(digest) for digest in digests]
        new = [source for source in sources if str(source.reference) not in known][: _LOOKUPS_TOGETHER - len(known)]
        for source, found in zip(new, try_roots(skopeo, new), strict=True):
            if isinstance(found, IncrementalError) and not isinstance(found, NotFoundError):
                raise found
            known[str(source.reference)] = None if isinstance(found, IncrementalError) else found
        leaves = [(source, known.get(str(source.reference))) for source in sources]
        return [(source, leaf) for source, leaf in leaves if leaf and isinstance(leaf.parsed, Manifest)]

    def read_layers(
        self,
        skopeo: Skopeo,
        layers: Sequence[MissingLayer],
        bases: Sequence[ImageSource],
        names: Mapping[str, str],
        report: Progress,
    ) -> ReadBack:
        """Find images of the repository that have the layers, and fetch these as a part of them."""
        from .readback import likely_images, read_layers

        if not layers:
            return ReadBack(0, 0, 0)
        likely = likely_images(self.here, layers, bases, _LOOKUPS)
        return read_layers(skopeo, self.reference, layers, likely, names, report)

    def verify(self, skopeo: Skopeo, images: Sequence[NamedImage], report: Progress, *, layers: bool) -> ReadBack:
        """Read them by their digests."""
        from .readback import verify_images

        return verify_images(skopeo, self.here, without_lists(images), report, layers=layers)

    def look(self, skopeo: Skopeo, images: Sequence[NamedImage], report: Progress) -> None:
        """Look at what the tags point to; of a list, at its children, too."""
        parts = self._parts(images)
        hidden = report if self.writes and self.overwrite_tag else None
        self._found = read_tags(skopeo, [reference for _, reference in parts], self.access, hidden)
        if not self.overwrite_tag:
            refuse_overwriting(self._found, [named.image.root.digest for named, _ in parts])
        pairs = zip(parts, self._found, strict=True)
        there = [named.image for (named, _), tag in pairs if tag.previous_digest == named.image.root.digest]
        self._in_part = lists_in_part(skopeo, self.reference, there, self.access)
        self._lists = ReferrerLists(images)
        self._lists.look(skopeo, self.reference, self.access)

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Upload what the tags don't point to yet, as `look` has found them."""
        return self._upload(upload, dry_run=dry_run)

    def upload_untagged(self, upload: Upload, *, again: bool) -> None:
        """Upload what the tags don't point to yet, by digest alone; or all of it."""
        # What skopeo converts has no digest yet.
        if self.preserve:
            self._upload(upload, tagged=False, again=again)
            self._blobs_are_there = True

    def _upload(
        self, upload: Upload, *, dry_run: bool = False, tagged: bool = True, again: bool = False
    ) -> UploadResult:
        wanted = upload.image
        parts = self._parts(upload.images)
        behind = self._behind(upload.images, again=again)
        listed = self._lists.images if again else self._lists.behind
        digest = wanted.image.root.digest
        changed = bool(behind) or self._lists.is_behind
        sent: dict[Reference, str] = {}
        if not behind and not listed:
            if tagged and not changed:
                upload.report(f"{self.reference} is {digest} already: nothing to send")
        elif not dry_run:
            if not self._blobs_are_there:
                upload.fetch_absent(except_for=self._mounted(upload))
            # To convert an image skopeo may read a layer more than once, in ways that are not ours to know.
            with upload.blob_layout(piped=self.preserve, layers=not self._blobs_are_there) as blobs:
                if not self._blobs_are_there:
                    for named in listed:
                        self._write_below(upload, blobs, named.image, self.reference)
                for image, group in groupby(behind, key=lambda part: part[0].image):
                    if tagged and image == wanted.image:
                        self._lists.write(upload, self.access)
                    to = [reference for _, reference in group]
                    if not tagged:
                        to = [to[0].pinned(image.root.digest)]
                    written = self._write(upload, blobs, image, to)
                    digest = written if image == wanted.image else digest
                    sent |= dict.fromkeys(to, written)
        if tagged and not dry_run:
            self._lists.write(upload, self.access)
        ordered = sorted(zip(parts, self._found, strict=True), key=lambda pair: pair[0][0] is not wanted)
        # The first reference of each, where it has several.
        references = {named.key: str(reference) for named, reference in reversed(parts)}
        tags = (*(tag for _, tag in ordered), *self._lists.tags)
        return UploadResult(changed, digest, tags, references, sent=sent)

    def is_behind(self, images: Sequence[NamedImage]) -> bool:
        """Say whether a tag is to be written."""
        return bool(self._behind(images) or self._lists.behind)

    def _behind(self, images: Sequence[NamedImage], *, again: bool = False) -> list[tuple[NamedImage, Reference]]:
        """Return the references that don't point to their images yet, or all of them; referrers come first."""
        behind = [
            (named, reference)
            for (named, reference), tag in zip(self._parts(images), self._found, strict=True)
            if again or tag.previous_digest != named.image.root.digest or tag.previous_digest in self._in_part
        ]
        # Whoever sees an image is to find them. sorted() keeps the order.
        return sorted(behind, key=lambda part: part[0].subject is None)

    def _parts(self, images: Sequence[NamedImage]) -> list[tuple[NamedImage, Reference]]:
        """Return the images with the references that each is to have, lists of referrers apart."""
        alone = [named for named in images if not is_list(named)]
        return [(named, reference) for named in alone for reference in self._references(images, named)]

    def _references(self, images: Sequence[NamedImage], named: NamedImage) -> list[Reference]:
        """Return where one of the images goes."""
        if named.subject:
            return [referrer_reference(self.reference, named)]
        chain = [each for each in images if not each.subject]
        own_names = len(chain) > 1 and self._takes_own_names
        # Two archives may have the same one.
        position = next(place for place, each in enumerate(chain) if each is named)
        later = {each.name for each in chain[position + 1 :]}
        reference = self.reference
        if own_names and named.name and named.name not in later:
            reference = reference.tagged(named.name)
        elif named is not chain[-1]:
            reference = reference.pinned(named.image.root.digest)
        elif self._takes_own_names:
            # What skopeo and registries take a name without a tag for.
            reference = reference.tagged(DEFAULT_TAG)
        further = self.additional_tags if named is chain[-1] else ()
        return [reference, *(reference.tagged(tag) for tag in further)]

    def _mounted(self, upload: Upload) -> frozenset[str]:
        """Let the registry mount layers from a base's repository, where skopeo knows them to be there."""
        if not upload.absent or not upload.blob_source.has_base_in(self.reference.registry):
            return frozenset()
        layers = list(upload.absent.values())
        mounted = probe.mount_layers(upload.skopeo, self.reference, self.access, layers)
        if mounted:
            upload.report(f"{plural(len(mounted), 'layer')} mounted from another repository")
        return mounted

    def _write(self, upload: Upload, blobs: OfferedBlobs, image: Image, references: Sequence[Reference]) -> str:
        root = image.root
        if self.preserve and not self._blobs_are_there:
            self._write_below(upload, blobs, image, references[0])
            if image.absent:
                # Not every registry accepts it: that must show before a tag is written.
                by_digest = references[0].pinned(root.digest)
                self._write_list(upload, blobs, image, root, by_digest)
                references = [reference for reference in references if reference != by_digest]
        digest = root.digest
        for reference in references:
            digest = self._copy(upload, blobs, root, reference)
            if self.preserve and digest != root.digest:
                raise RegistryError(f"{reference} was written as {digest} instead of {root.digest}")
        return digest

    def _write_below(self, upload: Upload, blobs: OfferedBlobs, image: Image, reference: Reference) -> None:
        """Write what stands below a list: its manifests side by side, then the lists in it, innermost first."""
        leaves = [leaf for leaf in image.leaves if leaf is not image.root]
        copy = partial(self._copy, upload, blobs)
        for wave in waves(leaves, upload.layers_to_send):
            steps = [partial(copy, leaf, reference.pinned(leaf.digest)) for leaf in wave]
            # Layers are made one after the other, and who waits for one must not be taken for a link that hangs.
            at_once = 1 if blobs.makes else upload.skopeo.copies
            for result in upload.skopeo.side_by_side(steps, at_once):
                if isinstance(result, IncrementalError):
                    raise result
        for node in image.lists:
            if node is not image.root:
                self._write_list(upload, blobs, image, node, reference.pinned(node.digest))

    def _write_list(
        self, upload: Upload, blobs: OfferedBlobs, image: Image, node: FetchedManifest, reference: Reference
    ) -> None:
        """Write a list of an image by its digest; children of it may be absent."""
        try:
            self._copy(upload, blobs, node, reference)
        except RegistryError as error:
            # A login, a link or a policy has nothing to do with children.
            if not image.absent or (not isinstance(error, NotFoundError) and type(error) is not RegistryError):
                raise
            raise refused_list(reference, image, error) from error

    def _copy(self, upload: Upload, blobs: OfferedBlobs, node: FetchedManifest, target: Reference) -> str:
        flags = self.access.flags(target, upload.skopeo.auth_files, "dest-")
        if node.media_type in LISTS:
            flags.append("--multi-arch=index-only" if self.preserve else "--all")
        what = f"sending {target}" + (f" ({node.platform})" if node.platform else "")
        upload.report.begin("sending", str(self.reference), what)
        ahead: AbstractContextManager[None] = nullcontext()
        if isinstance(node.parsed, Manifest) and not self._blobs_are_there:
            ahead = upload.config_ahead(node.parsed.config, target, self.access)
        with ahead:
            return upload.copy(blobs, node, str(target), self.access, flags, f"cannot send {target}")
