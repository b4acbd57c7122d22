"""Where a push takes blobs from: its archives, and the bases that hold what those leave out."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from ..archive.contents import ArchiveContents, read_contents
from ..archive.reader import Archive
from ..delta.options import DeltaOptions
from ..errors import ContentError, HostError
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..oci.layout import Layout
from ..oci.manifest import build_layers_dictionary, digest_of
from ..skopeo.inspect import read_image, read_roots
from .download import Download, fetch_alone
from .stores import BlobFolder, BlobStore, open_blob_store, verified_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from ..archive.pipes import Extent
    from ..archive.reader import ArchiveFile
    from ..oci.manifest import FetchedManifest
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo


class BlobSource:
    """The blobs of archives, and those of bases, from which single layers are taken.

    Attributes:
        contents: what each archive holds, in the archives' order.
        deltas: layers that archives have as their change, by their digests.
    """

    def __init__(self, sources: Sequence[ArchiveFile], options: DeltaOptions | None = None) -> None:
        """Open archives and read their documents.

        Args:
            sources: paths or seekable binary files; of a chain, the oldest first.
            options: how much memory it may take to make layers of their changes.

        Raises:
            UsageError: there is no such archive.
            ContentError: one is broken, hostile, or made by a newer version.
            HostError: one can't be read.
        """
        self._stack = ExitStack()
        try:
            self._archives = [self._stack.enter_context(Archive.open(source)) for source in sources]
            self.contents: list[ArchiveContents] = [read_contents(archive) for archive in self._archives]
        except BaseException:
            self._stack.close()
            raise
        self._stores: list[BlobStore] = []
        self._registry_manifests: list[tuple[ImageSource, FetchedManifest]] = []
        self._delta_manifests: list[tuple[ImageSource, FetchedManifest]] = []
        self._fetched_blobs: dict[str, Callable[[str], BinaryIO]] = {}
        self._files: dict[str, Path] = {}
        self.deltas = {digest: delta for found in self.contents for digest, delta in found.deltas.items()}
        self._options = options or DeltaOptions()

    def __enter__(self) -> BlobSource:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files that are ours."""
        self._stack.close()

    def __contains__(self, digest: str) -> bool:
        """Say whether a blob is in an archive, or was fetched from a base."""
        return digest in self._fetched_blobs or self.archived(digest)

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

    def sha256(self) -> str:
        """Return the sha256 of the only archive's bytes, as hexadecimal digits."""
        (archive,) = self._archives
        return archive.sha256()

    def verify(self, report: Callable[[str], None]) -> None:
        """Check every blob of every archive against its name.

        Raises:
            ContentError: one has other bytes.
        """
        for archive in self._archives:
            report(f"verifying {archive.name} ({human_bytes(archive.size)})")
            archive.verify()

    def add_bases(self, skopeo: Skopeo, bases: Sequence[ImageSource], report: Callable[[str], None]) -> None:
        """Look which layers bases have; of a registry's only manifests are read.

        Args:
            skopeo: an entered `Skopeo`.
            bases: of the transports in `LAYER_TRANSPORTS`.
            report: receives a line for each step.

        Raises:
            IncrementalError: one can't be read, or is not what its digest or schema says.
        """
        if self._stores or self._registry_manifests:
            # One look is enough for all images of a bundle.
            return
        report("reading " + ", ".join(f"base {base.reference}" for base in bases))
        far = [base for base in bases if base.reference.transport == "docker"]
        for base, root in zip(far, read_roots(skopeo, far), strict=True):
            for leaf in read_image(skopeo, base, root, report).leaves:
                self.add_manifest(base, leaf)
        self._stores += [
            open_blob_store(base.reference, self._stack) for base in bases if base.reference.transport != "docker"
        ]

    def add_manifest(self, base: ImageSource, leaf: FetchedManifest) -> None:
        """Add a manifest of a base in a registry, which was read."""
        self._registry_manifests.append((base, leaf))

    def offers(self, digest: str) -> bool:
        """Say whether a base has a layer."""
        return any(digest in store for store in self._stores) or any(
            digest in build_layers_dictionary(leaf) for _, leaf in self._registry_manifests
        )

    def add_delta_source(self, source: ImageSource, leaf: FetchedManifest) -> None:
        """Add a manifest of the destination, whose layers are only taken to make others of them."""
        self._delta_manifests.append((source, leaf))

    def add_delta_folder(self, folder: BlobFolder) -> None:
        """Add a destination that has blobs as files, which are only taken to make others of them."""
        self._stores.append(folder)

    def has_delta_source(self, digest: str) -> bool:
        """Say whether a layer can be read at the destination, if that has it."""
        return any(digest in build_layers_dictionary(leaf) for _, leaf in self._delta_manifests)

    def lacks(
        self, digest: str, size: int, present: Collection[str], seen: frozenset[str] = frozenset()
    ) -> dict[str, int]:
        """Return what is missing to have a layer.

        Args:
            digest: of the layer.
            size: its size in bytes.
            present: digests of layers that the destination has.
            seen: layers that are being asked for already.

        Returns:
            Digest and size in bytes of the layer, where nobody has it; or of what nobody has of those that it is
            made from, which in a chain of archives may have to be made themselves.
        """
        if digest in self or self.offers(digest) or (digest in present and self.has_delta_source(digest)):
            return {}
        if digest not in self.deltas or digest in seen:
            return {digest: size}
        missing: dict[str, int] = {}
        for source, length in self.deltas[digest].sources.items():
            missing |= self.lacks(source, length, present, seen | {digest})
        return missing

    def registries(self) -> set[str]:
        """Return the hosts of the bases that are in registries."""
        return {source.reference.registry for source, _ in self._registry_manifests}

    def fetch(
        self, skopeo: Skopeo, layers: Mapping[str, int], report: Callable[[str], None], *, preserve: bool = True
    ) -> None:
        """Fetch layers from the bases: from files where they are read, from registries into the private folder.

        Args:
            skopeo: an entered `Skopeo`.
            layers: digest and size in bytes of each; a base offers it.
            report: receives a line for each step.
            preserve: whether skopeo is to preserve digests.

        Raises:
            DiskFullError: there is too little space.
            IncrementalError: one can't be fetched.
        """
        rest = {digest: size for digest, size in layers.items() if digest not in self._fetched_blobs}
        for digest in [each for each in rest if each in self.deltas and not self.offers(each)]:
            if not self.has_delta_source(digest):
                del rest[digest]
                sources = self.deltas[digest].sources
                self.fetch(
                    skopeo, {each: sources[each] for each in sources if each not in self}, report, preserve=preserve
                )
                self._decode_layer(skopeo, digest, report)
        for digest, size in list(rest.items()):
            for store in self._stores:
                if digest in store:
                    self._fetched_blobs[digest] = verified_reader(store, size)
                    del rest[digest]
                    break
        if not rest:
            return
        report(f"fetching {plural(len(rest), 'layer')} ({human_bytes(sum(rest.values()))}) from bases")
        begin = partial(Download, skopeo, preserve=preserve, cache=None, report=report)
        with room_for(skopeo.folder, sum(rest.values())):
            for source, leaf in (*self._registry_manifests, *self._delta_manifests):
                own = {digest: rest.pop(digest) for digest in build_layers_dictionary(leaf) if digest in rest}
                if own:
                    layout = fetch_alone(skopeo, begin, source, leaf, own)
                    layout.check(own)
                    self.add_layers(layout, own)

    def _decode_layer(self, skopeo: Skopeo, digest: str, report: Callable[[str], None]) -> None:
        """Make a layer of its change and of older layers, which are at hand."""
        from ..delta.codec import decode, parse_layer, warn_where_slow

        warn_where_slow(report)
        delta = self.deltas[digest]
        needed = delta.size + sum(delta.sources.values())
        if needed > self._options.room:
            raise HostError(
                f"making {digest} of its change takes more memory than {human_bytes(self._options.memory)}",
                "allow more with --delta-memory",
            )
        report(f"making {digest} ({human_bytes(delta.size)}) of its change ({human_bytes(delta.blob_size)})")
        olds = []
        for source in delta.sources:
            with self.open_blob(source) as file:
                parts = parse_layer(file.read())
            if parts is None:
                raise ContentError(f"{digest} is said to be made of {source}, which can't be taken apart")
            olds.append(parts)
        with self.open_blob(delta.blob) as file:
            layer = decode(file.read(), olds, delta.size, self._options.parsed_room)
        if digest_of(layer) != digest:
            raise ContentError(f"the change of {digest} makes another layer", "have the archive made again")
        layout = Layout.create(skopeo.new_folder("made"))
        with room_for(skopeo.folder, len(layer)):
            layout.put(layer)
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
        """Open a blob for reading: one of an archive, which was verified, or one that was fetched.

        Reading it to its end raises ContentError where it is not what its digest says.
        """
        archive = self._holding(digest)
        return archive.open_blob(digest) if archive else self._fetched_blobs[digest](digest)

    def extents(self, digest: str) -> tuple[Extent, ...]:
        """Return where a blob lies in an archive's files; nothing where it must be copied from its place."""
        archive = self._holding(digest)
        return archive.extents(digest) if archive else ()

    def read(self, digest: str) -> bytes:
        """Return a small blob of an archive, a manifest or config.

        Raises:
            ContentError: no archive has it, or it is longer than a manifest may be.
        """
        return (self._holding(digest) or self._archives[0]).read_blob(digest)

    def _holding(self, digest: str) -> Archive | None:
        return next((archive for archive in self._archives if digest in archive), None)
