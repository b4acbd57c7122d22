"""Where a push takes blobs from: its archives, and the bases that hold what those leave out."""

from __future__ import annotations

import hashlib
import io
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from ..archive.contents import ArchiveContents, read_contents
from ..archive.reader import Archive
from ..delta.artifact import Settings
from ..errors import ContentError, HostError, UsageError, host_errors
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..oci.layout import Layout
from ..oci.manifest import build_layers_dictionary, digest_of
from ..oci.reference import path_and_tag
from ..skopeo.inspect import read_image, read_roots
from .download import Download, fetch_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..archive.pipes import Extent
    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.inspect import Source
    from ..skopeo.runner import Skopeo

HOLDING = ("dir", "docker", "oci", "oci-archive")
"""Transports whose images have their layers as they travel; the others keep them unpacked."""


class Holder(Protocol):
    """What has blobs at hand: an archive, or a folder."""

    def __contains__(self, digest: str) -> bool:
        """Say whether it has the blob of `digest`."""

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading."""


class Folder(NamedTuple):
    """A folder that has blobs as files: an OCI layout, or what skopeo calls `dir:`.

    Attributes:
        path: where the blobs are.
    """

    path: Path

    def __contains__(self, digest: object) -> bool:
        """Say whether there is a file of that name; its bytes are not looked at."""
        return isinstance(digest, str) and (self.path / digest.removeprefix("sha256:")).is_file()

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            HostError: it can't be read.
        """
        with host_errors(f"cannot read {self.path}"):
            return (self.path / digest.removeprefix("sha256:")).open("rb")


def open_holder(reference: Reference, stack: ExitStack) -> Holder:
    """Open a base that is not in a registry.

    Args:
        reference: of one of the transports in `HOLDING`.
        stack: closes what was opened.

    Raises:
        UsageError: there is no such base.
        ContentError: it is an archive, and broken.
        HostError: it can't be read.
    """
    path, _ = path_and_tag(reference)
    if reference.transport == "oci-archive":
        return stack.enter_context(Archive.open(path))
    if reference.transport == "dir":
        path, wanted, blobs = Path(reference.name), "manifest.json", Path(reference.name)
    else:
        wanted, blobs = "index.json", path / "blobs" / "sha256"
    if not (path / wanted).is_file():
        raise UsageError(f"{reference} is not there: {path} has no {wanted}", "give the folder that skopeo wrote")
    return Folder(blobs)


def require_holding(bases: Iterable[Source]) -> None:
    """Refuse bases that can't give a layer.

    Raises:
        UsageError: one has no layers, or keeps them unpacked.
    """
    for base in bases:
        if base.reference.transport not in HOLDING:
            raise UsageError(
                f"{base.reference} has no layers in the form in which they travel",
                f"give a base as {', '.join(f'{name}:' for name in HOLDING)}",
            )


class Supply:
    """The blobs of archives, and those of bases, from which single layers are taken.

    Attributes:
        contents: what each archive holds, in the archives' order.
        deltas: layers that archives have as their change, by their digests.
    """

    def __init__(self, sources: Sequence[str | Path | BinaryIO], settings: Settings | None = None) -> None:
        """Open archives and read their documents.

        Args:
            sources: paths or seekable binary files; of a chain, the oldest first.
            settings: how much memory it may take to make layers of their changes.

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
        self._near: list[Holder] = []
        self._far: list[tuple[Source, FetchedManifest]] = []
        self._lent: list[tuple[Source, FetchedManifest]] = []
        self._taken: dict[str, Callable[[str], BinaryIO]] = {}
        self._files: dict[str, Path] = {}
        self.deltas = {digest: delta for found in self.contents for digest, delta in found.deltas.items()}
        self._settings = settings or Settings()

    def __enter__(self) -> Supply:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all files that are ours."""
        self._stack.close()

    def __contains__(self, digest: str) -> bool:
        """Say whether a blob is in an archive, or was taken from a base."""
        return digest in self._taken or self.archived(digest)

    def archived(self, digest: str) -> bool:
        """Say whether a blob is in an archive."""
        return self._holding(digest) is not None

    @property
    def is_bundle(self) -> bool:
        """Whether an archive is a bundle."""
        return any(found.is_bundle for found in self.contents)

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

    def add_bases(self, skopeo: Skopeo, bases: Sequence[Source], report: Callable[[str], None]) -> None:
        """Look which layers bases have; of a registry's only manifests are read.

        Args:
            skopeo: an entered `Skopeo`.
            bases: of the transports in `HOLDING`.
            report: receives a line for each step.

        Raises:
            IncrementalError: one can't be read, or is not what its digest or schema says.
        """
        if self._near or self._far:
            # One look is enough for all images of a bundle.
            return
        report("reading " + ", ".join(f"base {base.reference}" for base in bases))
        far = [base for base in bases if base.reference.transport == "docker"]
        for base, root in zip(far, read_roots(skopeo, far), strict=True):
            for leaf in read_image(skopeo, base, root, report).leaves:
                self.add_leaf(base, leaf)
        self._near += [
            open_holder(base.reference, self._stack) for base in bases if base.reference.transport != "docker"
        ]

    def add_leaf(self, base: Source, leaf: FetchedManifest) -> None:
        """Add a manifest of a base in a registry, which was read."""
        self._far.append((base, leaf))

    def offers(self, digest: str) -> bool:
        """Say whether a base has a layer."""
        return any(digest in holder for holder in self._near) or any(
            digest in build_layers_dictionary(leaf) for _, leaf in self._far
        )

    def lend(self, source: Source, leaf: FetchedManifest) -> None:
        """Add a manifest of the destination, whose layers are only taken to make others of them."""
        self._lent.append((source, leaf))

    def lend_folder(self, folder: Folder) -> None:
        """Add a destination that has blobs as files, which are only taken to make others of them."""
        self._near.append(folder)

    def lends(self, digest: str) -> bool:
        """Say whether a layer can be taken from the destination, if that has it."""
        return any(digest in build_layers_dictionary(leaf) for _, leaf in self._lent)

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
        if digest in self or self.offers(digest) or (digest in present and self.lends(digest)):
            return {}
        if digest not in self.deltas or digest in seen:
            return {digest: size}
        missing: dict[str, int] = {}
        for source, length in self.deltas[digest].sources.items():
            missing |= self.lacks(source, length, present, seen | {digest})
        return missing

    def registries(self) -> set[str]:
        """Return the hosts of the bases that are in registries."""
        return {source.reference.registry for source, _ in self._far}

    def take(
        self, skopeo: Skopeo, layers: Mapping[str, int], preserve: Sequence[str], report: Callable[[str], None]
    ) -> None:
        """Take layers from the bases: from files where they are read, from registries into the private folder.

        Args:
            skopeo: an entered `Skopeo`.
            layers: digest and size in bytes of each; a base offers it.
            preserve: skopeo's flags to preserve digests.
            report: receives a line for each step.

        Raises:
            DiskFullError: there is too little space.
            IncrementalError: one can't be fetched.
        """
        rest = {digest: size for digest, size in layers.items() if digest not in self._taken}
        for digest in [each for each in rest if each in self.deltas and not self.offers(each)]:
            if not self.lends(digest):
                del rest[digest]
                sources = self.deltas[digest].sources
                self.take(skopeo, {each: sources[each] for each in sources if each not in self}, preserve, report)
                self._make(skopeo, digest, report)
        for digest, size in list(rest.items()):
            for holder in self._near:
                if digest in holder:
                    self._taken[digest] = _verified(holder, size)
                    del rest[digest]
                    break
        if not rest:
            return
        report(f"fetching {plural(len(rest), 'layer')} ({human_bytes(sum(rest.values()))}) from bases")
        begin = partial(Download, skopeo, preserve=preserve, cache=None, report=report)
        with room_for(skopeo.folder, sum(rest.values())):
            for source, leaf in (*self._far, *self._lent):
                own = {digest: rest.pop(digest) for digest in build_layers_dictionary(leaf) if digest in rest}
                if own:
                    layout = fetch_alone(skopeo, begin, source, leaf, own)
                    layout.check(own)
                    self.keep(layout, own)

    def _make(self, skopeo: Skopeo, digest: str, report: Callable[[str], None]) -> None:
        """Make a layer of its change and of older layers, which are at hand."""
        from ..delta.codec import apply, take_apart, warn_where_slow

        warn_where_slow(report)
        delta = self.deltas[digest]
        needed = delta.size + sum(delta.sources.values())
        if needed > self._settings.room:
            raise HostError(
                f"making {digest} of its change takes more memory than {human_bytes(self._settings.memory)}",
                "allow more with --delta-memory",
            )
        report(f"making {digest} ({human_bytes(delta.size)}) of its change ({human_bytes(delta.blob_size)})")
        olds = []
        for source in delta.sources:
            with self.open_blob(source) as file:
                parts = take_apart(file.read())
            if parts is None:
                raise ContentError(f"{digest} is said to be made of {source}, which can't be taken apart")
            olds.append(parts)
        with self.open_blob(delta.blob) as file:
            layer = apply(file.read(), olds, delta.size, self._settings.parts)
        if digest_of(layer) != digest:
            raise ContentError(f"the change of {digest} makes another layer", "have the archive made again")
        layout = Layout.create(skopeo.new_folder("made"))
        with room_for(skopeo.folder, len(layer)):
            layout.put(layer)
        self.keep(layout, [digest])

    def keep(self, layout: Layout, digests: Iterable[str]) -> None:
        """Take layers that stand in a layout in the private folder, and are what their digests say."""
        for digest in digests:
            self._taken[digest] = layout.open_blob
            self._files[digest] = layout.blob(digest)

    def file(self, digest: str) -> Path | None:
        """Return the file of our own that a layer was put into; None for others."""
        return self._files.get(digest)

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading: one of an archive, which was verified, or one that was taken.

        Reading it to its end raises ContentError where it is not what its digest says.
        """
        archive = self._holding(digest)
        return archive.open_blob(digest) if archive else self._taken[digest](digest)

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


def _verified(holder: Holder, size: int) -> Callable[[str], BinaryIO]:
    return lambda digest: io.BufferedReader(_VerifyingReader(holder.open_blob(digest), digest, size))


class _VerifyingReader(io.RawIOBase):
    """A blob of a base, which turns out to be what its digest says, or not, at its end."""

    def __init__(self, file: BinaryIO, digest: str, size: int) -> None:
        self._file = file
        self._digest = digest
        self._left = size
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._sha256.update(data)
        self._left -= len(data)
        if self._left < 0 or (not data and self._left):
            raise self._bad("has another length")
        if not self._left and self._digest != f"sha256:{self._sha256.hexdigest()}":
            raise self._bad("has other bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _bad(self, what: str) -> ContentError:
        return ContentError(f"{self._digest} of a base {what}", "check the base, or give another with --base")
