"""What is handed to a destination: images, and every blob that it lacks, so that skopeo can read them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ..archive.pipes import PipeFeeder
from ..archive.reader import COPY_AGAIN
from ..errors import ContentError, IncrementalError
from ..host.signals import check
from ..host.space import room_for
from ..oci.layout import Layout, index_document, index_entry
from ..oci.manifest import Manifest, build_layers_dictionary
from ..skopeo.options import preserve_flags
from ..skopeo.probe import private_policy, sending
from .tags import SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..archive.contents import NamedImage
    from ..archive.pipes import Extent, Start
    from ..host.progress import Progress
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.reference import Reference
    from ..results import TagChange
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource

_SHORT = 16 * 1024
"""Blobs of so many bytes are written to files: a pipe would not be worth it."""


class UploadResult(NamedTuple):
    """What a destination has now.

    Attributes:
        changed: whether anything was, or in a dry run would be, written.
        digest: the digest of the image there.
        tags: what was written under which name, the asked-for one first, with what each pointed to before.
        references: for the keys of the images, where each went.
        image_id: the digest of the config, by which local stores name an image; None elsewhere.
        sent: the digest of what was sent, for each reference, where it is to be read back.
    """

    changed: bool
    digest: str
    tags: tuple[TagChange, ...]
    references: Mapping[tuple[str | None, str], str]
    image_id: str | None = None
    sent: Mapping[Reference, str] = {}


def _nothing() -> None:
    """Find nothing wrong: all blobs are files."""


class OfferedBlobs(NamedTuple):
    """Blobs that skopeo can read; by default all of them are files.

    Attributes:
        layout: where they are.
        check: raises what is wrong, as `PipeFeeder.check`, if some can't be read any more.
        settle: likewise, as `PipeFeeder.settle`, when nobody reads any more.
        makes: whether layers are made as they are read, one after the other.
        layers: whether there are layers among them.
    """

    layout: Layout
    check: Callable[[], None] = _nothing
    settle: Callable[[], None] = _nothing
    makes: bool = False
    layers: bool = True


class Upload(NamedTuple):
    """What goes to a destination.

    Attributes:
        skopeo: an entered `Skopeo`.
        blob_source: has every blob that is needed and that the destination lacks.
        images: what to send, in this order; the image that the reference names is the last.
        absent: the layers that no archive and not the destination has: a base offers them.
        preserve: whether digests stay as they are; else skopeo may convert an image.
        report: is told each step.
    """

    skopeo: Skopeo
    blob_source: BlobSource
    images: Sequence[NamedImage]
    absent: Mapping[str, Descriptor]
    preserve: bool
    report: Progress

    @property
    def image(self) -> NamedImage:
        """The image that the destination's reference names."""
        return self.images[-1]

    @property
    def bytes_to_send(self) -> int:
        """Size in bytes of all that the destination may lack."""
        return sum(({digest: layer.size for digest, layer in self.absent.items()} | self.sizes()).values())

    def fetch_absent(self, except_for: frozenset[str] = frozenset()) -> None:
        """Fetch from the bases what is absent.

        Raises:
            IncrementalError: a base can't be read.
        """
        wanted = {digest: layer.size for digest, layer in self.absent.items() if digest not in except_for}
        if not wanted:
            return
        with self.blob_source.lock, self.report.phase("fetching", self.blob_source.bytes_to_fetch(wanted)):
            self.blob_source.fetch(self.skopeo, wanted, self.report, preserve=self.preserve)

    @contextmanager
    def config_ahead(self, config: Descriptor, target: Reference, access: Access) -> Iterator[None]:
        """Send a config while its image is sent, if that is worth it: skopeo sends it when all layers are there.

        Args:
            config: its descriptor; in the archive, as all configs are.
            target: where the image goes.
            access: how the destination is reached.

        Raises:
            ContentError: it is not what its digest says.
        """
        # Who holds the lock may be fetching layers, which takes long.
        if not self.skopeo.is_far or not self.blob_source.lock.acquire(blocking=False):
            yield
            return
        try:
            raw = self.blob_source.read(config.digest)
        finally:
            self.blob_source.lock.release()
        with self.skopeo.beside(sending(self.skopeo, target, access, raw)):
            yield

    def layers_to_send(self, leaf: FetchedManifest) -> set[str]:
        """Return the digests of the layers of a manifest that the destination may lack."""
        return {
            digest
            for digest in build_layers_dictionary(leaf)
            if digest in self.absent or digest in self.blob_source
        }

    def sizes(self, *, layers: bool = True) -> dict[str, int]:
        """Return digest and size in bytes of every blob that is at hand and that the images need.

        Args:
            layers: whether layers count, too, or manifests and configs alone.
        """
        images = [named.image for named in self.images]
        parts = [image.blob_sizes(()) if layers else image.metadata for image in images]
        needed = {digest: size for part in parts for digest, size in part.items()}
        return {digest: needed[digest] for digest in sorted(needed) if digest in self.blob_source}

    @contextmanager
    def blob_layout(self, *, piped: bool = False, layers: bool = True) -> Iterator[OfferedBlobs]:
        """Give skopeo these blobs.

        Args:
            piped: let skopeo read layers straight out of archives, or as they are made, through named pipes; what
                can't be read so is written to the private folder, as is all the rest.
            layers: whether skopeo needs any layer; else the destination has them all.

        Raises:
            ContentError: a blob of a base is not what its digest says.
            HostError: the folder can't be written.
        """
        blobs = Layout.create(self.skopeo.new_folder("blobs"))
        look = settle = _nothing
        # The turn is given back when nothing is fed any more.
        with ExitStack() as turn, ExitStack() as stack:
            # Readers of one archive share its file, and the place in it; others fetch layers, and forget them.
            with self.blob_source.lock:
                sizes = self.sizes(layers=layers)
                pipes = self._pipes(sizes) if piped else {}
                if pipes:
                    by_name = {blobs.blob(digest).name: blob for digest, blob in pipes.items()}
                    try:
                        feeder = PipeFeeder(blobs.blobs / "sha256", by_name, self.blob_source.names)
                        stack.enter_context(feeder)
                        look, settle = feeder.check, feeder.settle
                    except OSError as error:
                        self.skopeo.trace(f"no named pipes in {self.skopeo.folder} ({error.strerror}): unpacking")
                        pipes = {}
                rest = {digest: size for digest, size in sizes.items() if digest not in pipes}
                for digest in list(rest):
                    # What is in the private folder already is copied where a file can't have two names.
                    if file := self.blob_source.file(digest):
                        with suppress(OSError):
                            blobs.blob(digest).hardlink_to(file)
                            del rest[digest]
                with room_for(self.skopeo.folder, sum(rest.values())):
                    blobs.add([], rest, self.blob_source.open_blob)
            makes = any(map(callable, pipes.values()))
            if makes:
                # Layers are made for one upload at a time: each takes much memory, and who waits reads nothing.
                turn.enter_context(self.blob_source.making_turn)
            yield OfferedBlobs(blobs, look, settle, makes, layers)

    def _pipes(self, sizes: Mapping[str, int]) -> dict[str, tuple[Extent, ...] | Start]:
        """Return what can go through a pipe: layers of an archive, or that are made, with one reader at a time.

        Short ones go by files.
        """
        times: Counter[str] = Counter()
        for named in self.images:
            times.update(dict.fromkeys(named.image.metadata, 2))
            for leaf in named.image.leaves:
                times |= Counter(layer.digest for layer in leaf.manifest.layers)
        found = {
            digest: self.blob_source.start_making(digest) or self.blob_source.extents(digest)
            for digest, size in sizes.items()
            if size > _SHORT and times[digest] == 1
        }
        return {digest: blob for digest, blob in found.items() if blob}

    def copy(
        self,
        blobs: OfferedBlobs,
        node: FetchedManifest,
        target: str,
        access: Access,
        flags: Sequence[str],
        doing: str,
    ) -> str:
        """Let skopeo copy one manifest, or a list, and what it needs.

        Args:
            blobs: holds all that the destination lacks.
            node: the manifest or list.
            target: where to, as skopeo takes it.
            access: how the destination is reached.
            flags: of `copy`.
            doing: what to call it in an error.

        Returns:
            The digest of what was written.

        Raises:
            IncrementalError: as `messages.explain` reads skopeo's message.
        """
        # A layout for each: with a tag skopeo refuses Docker's media types, without one it wants one image.
        layout = Layout.create(
            self.skopeo.new_folder("image"), index_document([index_entry(node.media_type, node.digest, node.size)])
        )
        size = self._bytes_of(node) if blobs.layers else 0
        share = self.report.share("sending", size)
        # What arrived is not sent again: skopeo asks for each blob first.
        try:
            digest = self.skopeo.steadily(
                lambda: self.skopeo.copy(
                    f"oci:{layout.folder.name}",
                    target,
                    flags=[*preserve_flags(self.preserve), f"--src-shared-blob-dir={blobs.layout.blobs}", *flags],
                    policy=access.policy_flags() or [f"--policy={private_policy(layout)}"],
                    doing=doing,
                    side=SIDE,
                    access=access,
                    tick=blobs.check,
                    share=share,
                )
            )
            # What was there already did not move.
            share.at(size)
            return digest
        except IncrementalError as error:
            check()
            # What skopeo says of a pipe that ended early is not the reason.
            blobs.settle()
            if not isinstance(error, ContentError):
                raise
            # All of it was verified: what skopeo reads straight out of an archive may be another by now.
            raise ContentError(
                f"{self.blob_source.names} changed while it was read: {error.message}", COPY_AGAIN
            ) from error

    def _bytes_of(self, node: FetchedManifest) -> int:
        """Return how many bytes of layers go with a manifest; or with a list that skopeo copies as a whole."""
        if not isinstance(node.parsed, Manifest):
            return self.bytes_to_send
        own = self.layers_to_send(node)
        return sum(layer.size for layer in node.parsed.layers if layer.digest in own)
