"""Sending to a registry: what stands below a list first, tags last."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from ..errors import IncrementalError, NotFoundError, RegistryError
from ..host.text import plural
from ..oci.manifest import LISTS, Manifest
from ..skopeo.inspect import Source, try_roots
from ..skopeo.probe import mount_layers, present_layers
from .destination import Destination, Sent
from .tags import FLAG, read_tags, reference_beside, refuse_overwriting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archive.contents import ArchiveContents, NamedImage
    from ..oci.image import Image
    from ..oci.layout import Layout
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.runner import Skopeo
    from ..source.blobs import Supply
    from .destination import Delivery


class RegistryDestination(Destination):
    """A repository of a registry: it takes all images of a chain, and what belongs to them."""

    _staged = False

    def choose(self, contents: Sequence[ArchiveContents]) -> tuple[NamedImage, ...]:
        """Return the archives' images, the oldest first; whoever sees one is to find its signatures."""
        return tuple(named for found in contents for named in (*found.beside, found.single))

    def present(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Ask the repository which layers it has."""
        return present_layers(skopeo, self.reference, self.access, layers)

    def lend(self, skopeo: Skopeo, supply: Supply, manifests: Sequence[str]) -> None:
        """Find out which of the manifests are there: skopeo fetches a layer only as a part of one."""
        sources = [Source(self.reference.pinned(digest), self.access, FLAG) for digest in manifests]
        for source, found in zip(sources, try_roots(skopeo, sources), strict=True):
            if isinstance(found, NotFoundError):
                continue
            if isinstance(found, IncrementalError):
                raise found
            if isinstance(found.parsed, Manifest):
                supply.lend(source, found)

    def send(self, delivery: Delivery, *, dry_run: bool) -> Sent:
        """Send what the tags don't point to yet."""
        return self._sent(delivery, dry_run=dry_run)

    def stage(self, delivery: Delivery) -> None:
        """Send what the tags don't point to yet, and leave the tags as they are.

        Raises:
            IncrementalError: it can't be written, or a tag that must not be moved points elsewhere.
        """
        # What skopeo converts has no digest yet.
        if self.preserve:
            self._sent(delivery, staging=True)
            self._staged = True

    def _sent(self, delivery: Delivery, *, dry_run: bool = False, staging: bool = False) -> Sent:
        asked_for = delivery.image
        parts = [
            (named.image, reference)
            for named in delivery.images
            for reference in self._references(delivery.images, named)
        ]
        found = read_tags(delivery.skopeo, [reference for _, reference in parts], self.access)
        if not self.overwrite_tag:
            refuse_overwriting(found, [image.root.digest for image, _ in parts])
        behind = [
            (image, reference)
            for (image, reference), tag in zip(parts, found, strict=True)
            if tag.previous_digest != image.root.digest
        ]
        digest = asked_for.image.root.digest
        if not behind:
            delivery.report(f"{self.reference} is {digest} already: nothing to send")
        elif not dry_run:
            if not self._staged:
                delivery.take(except_for=self._mounted(delivery))
            # To convert an image skopeo may read a layer more than once, in ways that are not ours to know.
            with delivery.at_hand(piped=self.preserve, layers=not self._staged) as blobs:
                for image, group in groupby(behind, key=itemgetter(0)):
                    to = [reference for _, reference in group]
                    if staging:
                        to = [to[0].pinned(image.root.digest)]
                    sent = self._send(delivery, blobs, image, to)
                    digest = sent if image is asked_for.image else digest
        # sorted() keeps the order of equals.
        ordered = sorted(zip(parts, found, strict=True), key=lambda pair: pair[0][0] is not asked_for.image)
        # The first reference of each, where it has several.
        references = {image.root.digest: str(reference) for image, reference in reversed(parts)}
        return Sent(bool(behind), digest, tuple(tag for _, tag in ordered), references)

    def _references(self, images: Sequence[NamedImage], named: NamedImage) -> list[Reference]:
        """Return where one of the images goes."""
        if named.beside:
            return [reference_beside(self.reference, named)]
        chain = [each for each in images if not each.beside]
        # A tag that the user gave is the last image's. Without one, each of a chain goes under its own.
        own_names = len(chain) > 1 and not (self.reference.tag or self.reference.digest)
        later = {each.name for each in chain[chain.index(named) + 1 :]}
        reference = self.reference
        if own_names and named.name and named.name not in later:
            reference = reference.tagged(named.name)
        elif named is not chain[-1]:
            reference = reference.pinned(named.image.root.digest)
        further = self.additional_tags if named is chain[-1] else ()
        return [reference, *(reference.tagged(tag) for tag in further)]

    def _mounted(self, delivery: Delivery) -> frozenset[str]:
        """Let the registry mount layers from a base's repository, where skopeo knows them to be there."""
        if not delivery.absent or self.reference.registry not in delivery.supply.registries():
            return frozenset()
        layers = list(delivery.absent.values())
        mounted = mount_layers(delivery.skopeo, self.reference, self.access, layers)
        if mounted:
            delivery.report(f"{plural(len(mounted), 'layer')} mounted from another repository")
        return mounted

    def _send(self, delivery: Delivery, blobs: Layout, image: Image, references: Sequence[Reference]) -> str:
        root = image.root
        if self.preserve and not self._staged:
            for node in (*image.leaves, *image.lists):
                if node is not root:
                    self._copy(delivery, blobs, node, references[0].pinned(node.digest))
        digest = root.digest
        for reference in references:
            digest = self._copy(delivery, blobs, root, reference)
            if self.preserve and digest != root.digest:
                raise RegistryError(f"{reference} became {digest} instead of {root.digest}")
        return digest

    def _copy(self, delivery: Delivery, blobs: Layout, node: FetchedManifest, target: Reference) -> str:
        flags = self.access.flags(target, delivery.skopeo.folder, "dest-")
        if node.media_type in LISTS:
            flags.append("--multi-arch=index-only" if self.preserve else "--all")
        delivery.report(f"sending {target}" + (f" ({node.platform})" if node.platform else ""))
        return delivery.copy(blobs, node, str(target), self.access, flags, f"cannot send {target}")
