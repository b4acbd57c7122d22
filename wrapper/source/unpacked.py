"""Bases that keep layers unpacked, as local stores and Docker do: what is left of a layer there is its content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError, host_errors
from ..oci.manifest import Manifest, parse_manifest
from .stores import BlobFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..oci.manifest import Descriptor, FetchedManifest
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo

UNPACKED_TRANSPORTS = ("containers-storage", "docker-archive", "docker-daemon")
"""Transports that know a layer's content alone, by its sha256: what an image's config calls a DiffID."""


class Unpacked(NamedTuple):
    """An image whose layers are their contents.

    Attributes:
        folder: has each as a blob, by its DiffID.
        sizes: how long they are, in bytes, in the order of the image.
    """

    folder: BlobFolder
    sizes: Mapping[str, int]


def diff_ids_of(config: bytes, leaf: FetchedManifest) -> dict[str, Descriptor]:
    """Return an image's layers by what they hold, as its config says (OCI image specification, config.md, rootfs).

    Args:
        config: the bytes of its config, of hostile origin: what it says counts only for which layer is tried.
        leaf: its manifest.
    """
    try:
        said = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    layers = leaf.manifest.layers
    if not isinstance(said, list) or len(said) != len(layers):
        return {}
    pairs = zip(said, layers, strict=True)
    return {diff_id: layer for diff_id, layer in pairs if isinstance(diff_id, str) and not layer.is_foreign}


def unpack(skopeo: Skopeo, base: ImageSource, report: Callable[[str], None]) -> Unpacked:
    """Let skopeo write a base's layers into the private folder, as they are in it.

    Args:
        skopeo: an entered `Skopeo`.
        base: of one of `UNPACKED_TRANSPORTS`.
        report: receives a line.

    Raises:
        ContentError: what comes is no image.
        IncrementalError: it can't be read.
    """
    report(f"unpacking {base.reference}")
    folder = skopeo.new_folder("unpacked")
    doing = f"cannot read {base.reference}"
    # How long the contents are is known when they are there: no room can be demanded beforehand.
    skopeo.copy(
        str(base.reference),
        f"dir:{folder.name}",
        flags=base.access.flags(base.reference, skopeo.auth_files, "src-"),
        policy=base.access.policy_flags(),
        doing=doing,
        flag=base.flag,
    )
    with host_errors(doing):
        root = parse_manifest((folder / "manifest.json").read_bytes())
    if not isinstance(root.parsed, Manifest):
        raise ContentError(f"{base.reference} is a list, and not an image", "name the image of one platform")
    sizes = {}
    for layer in root.parsed.layers:
        with host_errors(doing):
            sizes[layer.digest] = (folder / layer.digest.removeprefix("sha256:")).stat().st_size
    return Unpacked(BlobFolder(folder), sizes)
