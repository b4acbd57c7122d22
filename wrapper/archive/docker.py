"""The `manifest.json` by which `docker load` reads a whole archive, too: it tells where config and layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..oci.layout import canonical_json
from ..oci.manifest import Manifest
from .contents import LOCAL_HOST
from .writer import BLOBS

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..oci.manifest import Descriptor
    from .contents import NamedImage

_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
# What every Docker unpacks; newer ones know zstd.
_LAYERS = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


def docker_manifest(images: Collection[NamedImage], blobs: Collection[str]) -> bytes | None:
    """Return the bytes of an archive's `manifest.json`, as `docker save` writes it.

    Args:
        images: what the archive holds.
        blobs: digests of all blobs that it holds.

    Returns:
        The document; or None where the archive leaves a layer out, or has no image that Docker could load: a list's
        platforms have no place in it, and an artifact is no image.
    """
    if any(digest not in blobs for named in images for digest in named.image.layers):
        return None
    entries = [
        {
            "Config": _path(parsed.config),
            "Layers": [_path(layer) for layer in parsed.layers],
            "RepoTags": [f"{LOCAL_HOST}{named.local_name}"] if named.local_name else None,
        }
        for named in images
        if isinstance(parsed := named.image.root.parsed, Manifest) and not named.subject and _is_loadable(parsed)
    ]
    return canonical_json(entries) if entries else None


def _is_loadable(manifest: Manifest) -> bool:
    return manifest.config.media_type in _CONFIGS and all(
        layer.media_type in _LAYERS and not layer.is_foreign for layer in manifest.layers
    )


def _path(blob: Descriptor) -> str:
    return BLOBS + blob.digest.removeprefix("sha256:")
