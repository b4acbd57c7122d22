"""What all operations return: frozen data, which the command line shows as text or JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

WHERE = ("inside", "omitted", "foreign", "delta")
"""Where a layer of an archive's images is."""


@dataclass(frozen=True)
class OmittedLayer:
    """A layer that an archive leaves out.

    Attributes:
        digest: its digest.
        size: its size in bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True)
class LeafInfo:
    """One manifest below an image's list.

    Attributes:
        digest: its digest.
        media_type: its media type.
        platform: what it runs on, as `os/architecture[/variant]`; None where that is not known.
    """

    digest: str
    media_type: str
    platform: str | None


@dataclass(frozen=True)
class ImageInfo:
    """One image of an archive.

    Attributes:
        name: its tag; None where it has none.
        reference: where it was pulled from or pushed to; None where only the archive was read.
        digest: the digest of its manifest or list.
        media_type: the media type of its manifest or list.
        platform: what it runs on; None for a list, or where that is not known.
        manifests: for a list, the manifests below it.
        beside: the digest of the image that it belongs to, as a signature does; None for an image by itself.
        bytes_new: size in bytes of its layers that travel; what several images have counts for each.
        bytes_shared: size in bytes of its layers that are left out.
        change: "new", "changed" or "same", beside its bases; None where it was not compared.
    """

    name: str | None
    reference: str | None
    digest: str
    media_type: str
    platform: str | None
    manifests: tuple[LeafInfo, ...] = ()
    beside: str | None = None
    bytes_new: int = 0
    bytes_shared: int = 0
    change: str | None = None


@dataclass(frozen=True)
class DeltaInfo:
    """The change as which a layer travels.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        sources: digests of the layers that the layer is made from.
    """

    digest: str
    size: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class LayerInfo:
    """One layer of an archive's images.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        media_type: its media type.
        where: one of `WHERE`.
        bases: for an omitted layer, digests of the bases that have it.
        urls: for a foreign layer, where it is to be had.
        delta: for one that travels as its change, that; None for others.
    """

    digest: str
    size: int
    media_type: str
    where: str
    bases: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    delta: DeltaInfo | None = None


@dataclass(frozen=True)
class Contents:
    """What an archive holds, or would hold: the part that all results share.

    Attributes:
        digest: the digest of the image's manifest or list; None for a bundle.
        bundle: whether it is a bundle: several images, each with a name.
        images: the images.
        bases: digests of the images that it was compared with, sorted.
        bytes_new: size in bytes of the layers that travel; where their change does, of that.
        bytes_shared: size in bytes of the layers that are left out.
        layers_new: how many layers travel, each counted once.
        layers_shared: how many layers are left out.
        layers_foreign: how many layers are foreign and never travel.
        layers_delta: how many travel as their change; they are among `layers_new`.
        omitted: the layers that are left out.
        layers: every layer.
    """

    digest: str | None
    bundle: bool
    images: tuple[ImageInfo, ...]
    bases: tuple[str, ...]
    bytes_new: int
    bytes_shared: int
    layers_new: int
    layers_shared: int
    layers_foreign: int
    layers_delta: int
    omitted: tuple[OmittedLayer, ...]
    layers: tuple[LayerInfo, ...]

    def shared_fields(self) -> dict[str, Any]:
        """Return the fields that a result takes over from here."""
        return {field.name: getattr(self, field.name) for field in fields(Contents)}
