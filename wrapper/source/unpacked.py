"""Bases that keep layers unpacked, as local stores and Docker do: what is left of a layer there is its content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import ContentError, UsageError, host_errors
from ..oci.documents import parse_document
from ..oci.manifest import Manifest, parse_manifest
from ..oci.reference import Reference
from .stores import BlobFolder, verified_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..delta.artifact import LayerDelta
    from ..host.progress import Progress
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo

UNPACKED_TRANSPORTS = ("containers-storage", "docker-archive", "docker-daemon")
"""Transports that know a layer's content alone, by its sha256: what an image's config calls a DiffID."""


class Unpacked(NamedTuple):
    """An image whose layers are their contents.

    Attributes:
        folder: has each as a blob, by its DiffID.
        diff_ids: these, in the order of the image; one may come twice.
        sizes: how long they are, in bytes.
    """

    folder: BlobFolder
    diff_ids: tuple[str, ...]
    sizes: Mapping[str, int]


class KnownContents:
    """What layers hold that changes are made from, where it is at hand in another way: unpacked, or in others."""

    def __init__(self, deltas: Mapping[str, LayerDelta]) -> None:
        """Begin with what archives say of their sources.

        Args:
            deltas: layers as their change, by their digests; of hostile origin.
        """
        self._diff_ids = {layer: each for delta in deltas.values() for layer, each in delta.diff_ids.items()}
        # Older versions' changes are made from the layers themselves.
        self._barred = {source for delta in deltas.values() if delta.is_format_1 for source in delta.sources}
        self._unpacked: list[Unpacked] = []
        self._others: dict[str, Descriptor] = {}

    def __bool__(self) -> bool:
        """Say whether a base was added."""
        return bool(self._unpacked)

    def diff_id(self, digest: str) -> str:
        """Return the digest of what a layer holds; the layer's own where that is not known."""
        return self._diff_ids.get(digest, digest)

    def add(self, unpacked: Unpacked, leaf: FetchedManifest | None = None) -> None:
        """Add a base whose layers are their contents.

        Args:
            unpacked: the base.
            leaf: its manifest, if that is known: there its layers may be called otherwise.
        """
        self._unpacked.append(unpacked)
        if leaf and len(leaf.manifest.layers) == len(unpacked.diff_ids):
            own = (layer.digest for layer in leaf.manifest.layers)
            self._diff_ids |= dict(zip(own, unpacked.diff_ids, strict=True))

    def add_others(self, others: Mapping[str, Descriptor]) -> None:
        """Add layers of bases by what they are said to hold; of several the first counts."""
        self._others = {**others, **self._others}

    def size(self, digest: str) -> int | None:
        """Return how long what a layer holds is, in bytes, where a base has it unpacked; None where none has."""
        if digest in self._barred:
            return None
        diff_id = self.diff_id(digest)
        return next((each.sizes[diff_id] for each in self._unpacked if diff_id in each.sizes), None)

    def open(self, digest: str) -> BinaryIO | None:
        """Open what a layer holds, where a base has it unpacked."""
        diff_id = self.diff_id(digest)
        for unpacked in self._unpacked:
            if diff_id in unpacked.sizes:
                return verified_reader(unpacked.folder, unpacked.sizes[diff_id])(diff_id)
        return None

    def other(self, digest: str) -> Descriptor | None:
        """Return a base's layer that is said to hold the same as a layer."""
        return None if digest in self._barred else self._others.get(self.diff_id(digest))


_LINK = "docker-archive"


def found_by_skopeo(skopeo: Skopeo, reference: Reference) -> Reference:
    """Return a base as skopeo finds it from its folder: a file that is named from here has a link there.

    Raises:
        UsageError: there is no such file.
    """
    if reference.transport != "docker-archive":
        return reference
    path, colon, rest = reference.name.partition(":")
    if not Path(path).is_file():
        raise UsageError(
            f"{reference} does not exist: {path} is not a file", "give the file that docker save wrote"
        )
    link = skopeo.new_folder(_LINK)
    link.symlink_to(Path(path).absolute())
    return Reference(reference.transport, f"{link.name}{colon}{rest}")


def diff_ids_of(config: bytes, leaf: FetchedManifest) -> dict[str, Descriptor]:
    """Return an image's layers by what they hold, as its config says (OCI image specification, config.md, rootfs).

    Args:
        config: the bytes of its config, of hostile origin: what it says counts only for which layer is tried.
        leaf: its manifest.
    """
    try:
        said = parse_document(config, "a base's config")["rootfs"]["diff_ids"]
    except (ContentError, KeyError, TypeError):
        return {}
    layers = leaf.manifest.layers
    if not isinstance(said, list) or len(said) != len(layers):
        return {}
    pairs = zip(said, layers, strict=True)
    return {diff_id: layer for diff_id, layer in pairs if isinstance(diff_id, str) and not layer.is_foreign}


def unpack(skopeo: Skopeo, base: ImageSource, report: Progress) -> Unpacked:
    """Let skopeo write a base's layers into the private folder, as they are in it.

    Args:
        skopeo: an entered `Skopeo`.
        base: of one of `UNPACKED_TRANSPORTS`.
        report: receives a line.

    Raises:
        ContentError: what comes is no image.
        IncrementalError: it can't be read.
    """
    report.begin("fetching", str(base.reference), f"unpacking {base.reference}")
    folder = skopeo.new_folder("unpacked")
    doing = f"cannot read {base.reference}"
    # How long the contents are is known when they are there: no room can be demanded beforehand.
    skopeo.copy(
        str(found_by_skopeo(skopeo, base.reference)),
        f"dir:{folder.name}",
        # A signature is one of the image as a registry has it.
        flags=["--remove-signatures", *base.access.flags(base.reference, skopeo.auth_files, "src-")],
        policy=base.access.policy_flags(),
        doing=doing,
        side=base.side,
        access=base.access,
    )
    with host_errors(doing):
        root = parse_manifest((folder / "manifest.json").read_bytes())
    if not isinstance(root.parsed, Manifest):
        raise ContentError(f"{base.reference} is a list, not an image", "name the image of one platform")
    diff_ids = tuple(layer.digest for layer in root.parsed.layers)
    with host_errors(doing):
        sizes = {each: (folder / each.removeprefix("sha256:")).stat().st_size for each in diff_ids}
    return Unpacked(BlobFolder(folder), diff_ids, sizes)
