"""Where a push takes blobs from: its archives, and the bases that hold what those leave out."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from ..archive.contents import ArchiveContents, merge_deltas
from ..archive.documents import read_contents
from ..archive.reader import Archive
from ..archive.sums import share_out
from ..delta.graph import STEPS, Making, plan_making, require_few_steps
from ..delta.options import DeltaOptions
from ..errors import ContentError, IncrementalError
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..oci.documents import DOCUMENT_BYTES
from ..oci.layout import Layout
from ..oci.manifest import build_layers_dictionary
from ..skopeo.inspect import read_image, read_roots
from .bases import read_base
from .download import Download, fetch_alone
from .making import LayerMaker
from .stores import LAYER_TRANSPORTS, BlobFolder, BlobStore, open_blob_store, verified_reader
from .unpacked import UNPACKED_TRANSPORTS, KnownContents, Unpacked, diff_ids_of, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..archive.pipes import Extent
    from ..archive.reader import ArchiveFile
    from ..host.progress import Progress
    from ..host.workers import Worker
    from ..oci.manifest import FetchedManifest
    from ..results import ArchiveInfo
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo


_CONFIGS = 64
"""How many configs of bases are read, whatever these have."""


class BlobSource:
    """The blobs of archives, and those of bases, from which single layers are taken.

    Attributes:
        contents: what each archive holds, in the archives' order.
        deltas: layers that archives have as their change, by their digests.
        looked_up: manifests of the destination that have been asked for, by their references; None for one that is
            not there.
        lock: whoever reads blobs, or adds any, holds it, where several threads do.
        making_turn: whoever has a process make a layer holds it: each takes much memory.
    """

    def __init__(
        self, sources: Sequence[ArchiveFile], options: DeltaOptions | None = None, sums: Sequence[str] = ()
    ) -> None:
        """Open archives and read their documents.

        Args:
            sources: paths or seekable binary files; of a chain, the oldest first.
            options: how much memory it may take to make layers of their changes.
            sums: the sha256 of each archive, or of each of their volumes, which `verify` compares; by default they
                are not known.

        Raises:
            UsageError: there is no such archive, or a sum is none.
            ContentError: one is broken, hostile, or made by a newer version.
            HostError: one can't be read.
        """
        self._stack = ExitStack()
        self.lock = threading.RLock()
        self.making_turn = threading.Lock()
        try:
            self._archives = [self._stack.enter_context(Archive.open(source)) for source in sources]
            self._sums = share_out(sums, [len(archive.volume_sizes) for archive in self._archives])
            self.contents: list[ArchiveContents] = [read_contents(archive) for archive in self._archives]
        except BaseException:
            self._stack.close()
            raise
        self._stores: list[BlobStore] = []
        self._bases_are_known = False
        self._registry_manifests: list[tuple[ImageSource, FetchedManifest]] = []
        self._registry_layers: set[str] = set()
        self._delta_manifests: list[tuple[ImageSource, FetchedManifest, frozenset[str]]] = []
        self._delta_sources: set[str] = set()
        self._fetched_blobs: dict[str, Callable[[str], BinaryIO]] = {}
        self._files: dict[str, Path] = {}
        self.deltas = merge_deltas(self.contents)
        self._contents = KnownContents(self.deltas)
        self.looked_up: dict[str, FetchedManifest | None] = {}
        self._options = options or DeltaOptions()
        self._maker = LayerMaker(self.deltas, self.open_source, self.extents, self.promised_content)
        self._stack.callback(self._maker.close)

    def __enter__(self) -> BlobSource:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files that are ours."""
        self._stack.close()

    def __contains__(self, digest: str) -> bool:
        """Say whether a blob is in an archive, was fetched from a base, or can be made of its change."""
        return digest in self._fetched_blobs or digest in self._maker or self.archived(digest)

    def archived(self, digest: str) -> bool:
        """Say whether a blob is in an archive."""
        return self._holding(digest) is not None

    @property
    def is_bundle(self) -> bool:
        """Whether an archive is a bundle."""
        return any(found.is_bundle for found in self.contents)

    @property
    def names(self) -> str:
        """What the archives are called in messages."""
        return ", ".join(archive.name for archive in self._archives)

    @property
    def size(self) -> int:
        """How long all archives are together, in bytes."""
        return sum(archive.size for archive in self._archives)

    def table(self) -> tuple[bytes, dict[str, int]]:
        """Return the only archive's `index.json`; and digest and size in bytes of every blob that it holds."""
        (archive,) = self._archives
        return archive.index, archive.sizes

    def sha256(self, report: Progress) -> tuple[str, tuple[ArchiveInfo, ...]]:
        """Return the sha256 of the only archive's bytes, as hexadecimal digits; and its volumes, if it has any."""
        (archive,) = self._archives
        with report.phase("hashing", archive.size):
            report.begin("hashing", archive.name)
            return archive.sha256(partial(report.add, "hashing"))

    def verify(self, report: Progress) -> None:
        """Check every blob of every archive against its name, and the archives against their sums.

        Raises:
            ContentError: one has other bytes.
        """
        with report.phase("verifying", self.size):
            for archive, sums in zip(self._archives, self._sums, strict=True):
                size = human_bytes(archive.size)
                report.begin("verifying", archive.name, f"verifying {archive.name} ({size})")
                archive.verify(sums, partial(report.add, "verifying"))

    def add_bases(self, skopeo: Skopeo, bases: Sequence[ImageSource], report: Progress) -> None:
        """Look which layers bases have; of a registry's only manifests are read.

        Args:
            skopeo: an entered `Skopeo`.
            bases: of the transports in `LAYER_TRANSPORTS`; of those in `UNPACKED_TRANSPORTS`, whose layers only
                serve to make others of them.
            report: is told each step.

        Raises:
            IncrementalError: one can't be read, or is not what its digest or schema says.
        """
        if self._bases_are_known:
            # One look is enough for all images of a bundle.
            return
        report.begin("reading", ", ".join(f"base {base.reference}" for base in bases))
        far = [base for base in bases if base.reference.transport == "docker"]
        for base, root in zip(far, read_roots(skopeo, far), strict=True):
            for leaf in read_image(skopeo, base, root, report).leaves:
                self.add_manifest(base, leaf)
        for base in bases:
            if base.reference.transport in UNPACKED_TRANSPORTS:
                self.add_unpacked(unpack(skopeo, base, report))
            elif base.reference.transport != "docker":
                self._stores.append(open_blob_store(base.reference, self._stack))
        self._bases_are_known = True

    def add_manifest(self, base: ImageSource, leaf: FetchedManifest) -> None:
        """Add a manifest of a base in a registry, which was read."""
        self._registry_manifests.append((base, leaf))
        self._registry_layers |= build_layers_dictionary(leaf).keys()

    def add_unpacked(self, unpacked: Unpacked, leaf: FetchedManifest | None = None) -> None:
        """Add a base whose layers are their contents: see `KnownContents.add`."""
        self._contents.add(unpacked, leaf)

    def content_size(self, digest: str) -> int | None:
        """Return how long what a layer holds is, in bytes, where a base has it unpacked; None where none has."""
        return self._contents.size(digest)

    def has_content(self, digest: str) -> bool:
        """Say whether a base has what a layer holds, unpacked or in another layer: enough to make others of it."""
        return self.content_size(digest) is not None or self._contents.other(digest) is not None

    def open_source(self, digest: str) -> BinaryIO:
        """Open a layer that others are made of, or one that holds the same, or what it holds; or a change."""
        if digest not in self:
            if content := self._contents.open(digest):
                return content
            if other := self._contents.other(digest):
                return self.open_blob(other.digest)
        return self.open_blob(digest)

    def promised_content(self, digest: str) -> str | None:
        """Return the digest of what a layer is to hold, where another one of a base is taken in its place."""
        if digest in self or self.content_size(digest) is not None or not self._contents.other(digest):
            return None
        return self._contents.diff_id(digest)

    def learn_contents(
        self, skopeo: Skopeo, bases: Sequence[ImageSource], wanted: Iterable[str], report: Progress
    ) -> None:
        """Look what the layers of bases hold, as their configs say.

        Args:
            skopeo: an entered `Skopeo`.
            bases: those that were added.
            wanted: digests of layers that nobody has: a base may have them compressed in another way.
            report: receives a line for each base that can't tell.
        """
        left = set(wanted)
        leaves = list(self._registry_manifests)
        for base in bases:
            if base.reference.transport in LAYER_TRANSPORTS and base.reference.transport != "docker":
                with _passed_over(base, report):
                    images = read_base(skopeo, base, report).images
                    leaves += [(base, leaf) for image in images for leaf in image.leaves]
        for base, leaf in leaves[:_CONFIGS]:
            with _passed_over(base, report):
                self._contents.add_others(diff_ids_of(self._config(skopeo, base, leaf, report), leaf))
            left = {digest for digest in left if not self.has_content(digest)}
            if not left:
                return

    def _config(self, skopeo: Skopeo, base: ImageSource, leaf: FetchedManifest, report: Progress) -> bytes:
        config = leaf.manifest.config
        if config.size > DOCUMENT_BYTES:
            raise ContentError(f"the config {config.digest} is longer than {DOCUMENT_BYTES} bytes")
        store = next((store for store in self._stores if config.digest in store), None)
        if store is None and base.reference.transport == "docker":
            begin = partial(Download, skopeo, preserve=True, cache=None, report=report)
            store = BlobFolder(fetch_alone(skopeo, begin, base, leaf, {}).blobs / "sha256")
        if store is None:
            raise ContentError(f"{base.reference} lacks its config {config.digest}")
        with verified_reader(store, config.size)(config.digest) as file:
            return file.read()

    def offers(self, digest: str) -> bool:
        """Say whether a base has a layer."""
        return digest in self._registry_layers or any(digest in store for store in self._stores)

    def add_delta_source(self, source: ImageSource, leaf: FetchedManifest, layers: Collection[str]) -> None:
        """Add layers of a manifest of the destination, which are only taken to make others of them."""
        self._delta_manifests.append((source, leaf, frozenset(layers)))
        self._delta_sources.update(layers)

    def add_delta_folder(self, folder: BlobFolder) -> None:
        """Add a destination that has blobs as files, which are only taken to make others of them."""
        self._stores.append(folder)

    def can_have(self, digest: str) -> bool:
        """Say whether a layer is at hand, or can be read from a base or the destination."""
        return digest in self or self.offers(digest) or digest in self._delta_sources

    def making(self, layers: Mapping[str, int], at_hand: Callable[[str], bool] | None = None) -> Making:
        """Say how layers can be had, which in a chain of archives may be made of what is made itself.

        Args:
            layers: digest and size in bytes of each.
            at_hand: says whether a layer can be had as it is; by default `can_have`.

        Raises:
            ContentError: it takes more steps than archives of `pull` need.
        """
        asked = at_hand or self.can_have

        def can_be_read(digest: str) -> bool:
            return asked(digest) or (digest not in layers and self.has_content(digest))

        making = plan_making(layers, self.deltas, can_be_read)
        require_few_steps(making, STEPS * len(self._archives), "the chain of archives")
        return making

    def has_base_in(self, registry: str) -> bool:
        """Say whether a base is in a registry, given by its host: it may mount layers for itself then."""
        return any(source.reference.registry == registry for source, _ in self._registry_manifests)

    def fetch(self, skopeo: Skopeo, layers: Mapping[str, int], report: Progress, *, preserve: bool = True) -> None:
        """Fetch layers from the bases: from files where they are read, from registries into the private folder.

        Args:
            skopeo: an entered `Skopeo`.
            layers: digest and size in bytes of each; a base offers it.
            report: is told each step.
            preserve: whether skopeo is to preserve digests.

        Raises:
            DiskFullError: there is too little space.
            IncrementalError: one can't be fetched.
        """
        making = self.making(layers)
        made = [digest for digest in making.order if not self.deltas[digest].is_format_1]
        needed, sources = {}, {}
        for digest, size in making.needed.items():
            if digest in layers and digest not in self:
                needed[digest] = size
            # Of what is made here, all that is needed may be at hand already.
            elif digest not in self and not (len(made) == len(making.order) and self._maker.has_content(digest)):
                sources[digest] = size
        for digest in [each for each in sources if not self.can_have(each)]:
            size = sources.pop(digest)
            if self.content_size(digest) is None:
                other = self._contents.other(digest)
                sources[other.digest if other else digest] = other.size if other else size
        sources = {digest: size for digest, size in sources.items() if digest not in needed}
        far = sum(
            size
            for digest, size in {**needed, **sources}.items()
            if not any(digest in store for store in self._stores)
        )
        with room_for(skopeo.folder, self._maker.room(made) + far):
            self._fetch(skopeo, needed, report, preserve)
            # Of these nothing counts but what they hold.
            self._fetch(skopeo, sources, report, True)
            if len(made) == len(making.order):
                self._maker.prepare(skopeo.folder, made, report)
                self._forget(sources)
                return
        # Older versions' changes are made in memory, each after what it is made from.
        for digest in making.order:
            if self.deltas[digest].is_format_1:
                self._make(skopeo, digest, report)
            else:
                self._maker.prepare(skopeo.folder, [digest], report)

    def bytes_to_fetch(self, layers: Mapping[str, int]) -> int:
        """Return how many bytes of layers come from registries, if they are had as `fetch` has them.

        Args:
            layers: digest and size in bytes of each.
        """
        needed = self.making(layers).needed
        return sum(
            size
            for digest, size in needed.items()
            if digest not in self and not any(digest in store for store in self._stores)
        )

    def _forget(self, digests: Iterable[str]) -> None:
        """Remove layers that were fetched for their contents alone."""
        for digest in digests:
            self._fetched_blobs.pop(digest, None)
            if path := self._files.pop(digest, None):
                path.unlink(missing_ok=True)

    def _fetch(self, skopeo: Skopeo, layers: Mapping[str, int], report: Progress, preserve: bool) -> None:
        rest = dict(layers)
        for digest, size in layers.items():
            for store in self._stores:
                if digest in store:
                    self._fetched_blobs[digest] = verified_reader(store, size)
                    del rest[digest]
                    break
        if not rest:
            return
        what = f"{plural(len(rest), 'layer')} ({human_bytes(sum(rest.values()))}) from bases"
        report.begin("fetching", "layers of bases", f"fetching {what}")
        begin = partial(Download, skopeo, preserve=preserve, cache=None, report=report)
        images = [(*each, build_layers_dictionary(each[1]).keys()) for each in self._registry_manifests]
        with room_for(skopeo.folder, sum(rest.values())):
            parts = []
            for source, leaf, having in (*images, *self._delta_manifests):
                if own := {digest: rest.pop(digest) for digest in having if digest in rest}:
                    parts.append((own, partial(fetch_alone, skopeo, begin, source, leaf, own)))
            results = skopeo.side_by_side([step for _, step in parts])
            for (own, _), layout in zip(parts, results, strict=True):
                if isinstance(layout, IncrementalError):
                    raise layout
                layout.check(own)
                self.add_layers(layout, own)

    def _make(self, skopeo: Skopeo, digest: str, report: Progress) -> None:
        """Make a layer of its change of format 1 and of older layers, which are at hand."""
        from ..delta.format1 import make_layer

        delta = self.deltas[digest]
        what = f"{digest} ({human_bytes(delta.size)}) of its change ({human_bytes(delta.blob_size)})"
        report.begin("making", digest, f"making {what}")
        with room_for(skopeo.folder, delta.size):
            layout = Layout.create(skopeo.new_folder("made"))
            layout.put(make_layer(delta, self.open_blob, self._options.memory))
        self.add_layers(layout, [digest])

    def add_layers(self, layout: Layout, digests: Iterable[str]) -> None:
        """Add layers that stand in a layout in the private folder, and are what their digests say."""
        for digest in digests:
            self._fetched_blobs[digest] = layout.open_blob
            self._files[digest] = layout.blob(digest)

    def file(self, digest: str) -> Path | None:
        """Return the file of our own that a layer was put into; None for others."""
        return self._files.get(digest)

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading: one of an archive, which was verified, one that was fetched, or that is made.

        Reading it to its end raises ContentError where it is not what its digest says.
        """
        if archive := self._holding(digest):
            return archive.open_blob(digest)
        if digest in self._fetched_blobs:
            return self._fetched_blobs[digest](digest)
        return self._maker.open(digest)

    def extents(self, digest: str) -> tuple[Extent, ...]:
        """Return where a blob lies in an archive's files; nothing where it must be copied from its place."""
        archive = self._holding(digest)
        return archive.extents(digest) if archive else ()

    def start_making(self, digest: str) -> Callable[[int], Worker] | None:
        """Return what lets a layer be made and written to a descriptor; None for what is not made."""
        return partial(self._maker.start, digest) if digest in self._maker else None

    def read(self, digest: str) -> bytes:
        """Return a small blob of an archive, a manifest or config.

        Raises:
            ContentError: no archive has it, or it is longer than a manifest may be.
        """
        return (self._holding(digest) or self._archives[0]).read_blob(digest)

    def _holding(self, digest: str) -> Archive | None:
        return next((archive for archive in self._archives if digest in archive), None)


@contextmanager
def _passed_over(base: ImageSource, report: Progress) -> Iterator[None]:
    """Pass over a base that can't tell what its layers hold."""
    try:
        yield
    except IncrementalError as error:
        report(f"the contents of the layers of {base.reference} are not known: {error.message}")
