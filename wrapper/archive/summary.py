"""What an archive holds, described for results."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..errors import ContentError
from ..oci.documents import DOCUMENT_BYTES, parse_document
from ..oci.manifest import Index
from ..oci.platforms import Platform
from ..results import WHERE, Contents, DeltaInfo, ImageInfo, LayerInfo, LeafInfo, OmittedLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..delta.artifact import Delta
    from ..oci.image import Image
    from ..oci.manifest import Descriptor, FetchedManifest
    from .contents import NamedImage


def describe(
    images: Sequence[NamedImage],
    references: Mapping[str, str],
    omitted: Mapping[str, Descriptor],
    bases: tuple[str, ...],
    bases_of: Mapping[str, Sequence[str]],
    read_config: Callable[[str], bytes | None],
    *,
    is_bundle: bool = False,
    deltas: Mapping[str, Delta] = {},
) -> Contents:
    """Describe for a result what an archive holds or would hold.

    Args:
        images: the images; the first one counts as the archive's.
        references: for their digests, where they were pulled from or are pushed to, as far as that is known.
        omitted: the layers that are left out.
        bases: digests of the bases, sorted.
        bases_of: for omitted layers, digests of the bases that have it.
        read_config: returns the bytes of a config, or None where it is not at hand.
        is_bundle: whether it is a bundle.
        deltas: layers that travel as their change, by their digests.
    """
    # Many images may have one config, and it may be long.
    read_platform = cache(lambda digest: _config_platform(digest, read_config))
    layers = _describe_layers([named.image for named in images], omitted, bases_of, deltas)
    sizes = {where: [layer.size for layer in layers if layer.where == where] for where in WHERE}
    changes = [layer.delta.size for layer in layers if layer.delta]
    return Contents(
        digest=None if is_bundle else images[0].image.root.digest,
        bundle=is_bundle,
        images=tuple(_describe_image(named, references, omitted, deltas, read_platform) for named in images),
        bases=bases,
        bytes_new=sum(sizes["inside"]) + sum(changes),
        bytes_shared=sum(sizes["omitted"]),
        layers_new=len(sizes["inside"]) + len(changes),
        layers_shared=len(sizes["omitted"]),
        layers_foreign=len(sizes["foreign"]),
        layers_delta=len(changes),
        omitted=tuple(OmittedLayer(digest, omitted[digest].size) for digest in sorted(omitted)),
        layers=layers,
    )


def _describe_image(
    named: NamedImage,
    references: Mapping[str, str],
    omitted: Mapping[str, Descriptor],
    deltas: Mapping[str, Delta],
    read_platform: Callable[[str], str | None],
) -> ImageInfo:
    root = named.image.root
    is_list = isinstance(root.parsed, Index)
    leaves = tuple(
        LeafInfo(leaf.digest, leaf.media_type, _platform(leaf, read_platform)) for leaf in named.image.leaves
    )
    layers = named.image.layers
    return ImageInfo(
        named.name,
        None if named.beside else references.get(root.digest),
        root.digest,
        root.media_type,
        None if is_list else leaves[0].platform,
        leaves if is_list else (),
        named.beside,
        bytes_new=sum(
            deltas[digest].blob_size if digest in deltas else layer.size
            for digest, layer in layers.items()
            if digest not in omitted
        ),
        bytes_shared=sum(layer.size for digest, layer in layers.items() if digest in omitted),
    )


def _describe_layers(
    images: Sequence[Image],
    omitted: Mapping[str, Descriptor],
    bases_of: Mapping[str, Sequence[str]],
    deltas: Mapping[str, Delta],
) -> tuple[LayerInfo, ...]:
    layers: dict[str, LayerInfo] = {}
    for image in images:
        for digest, layer in image.layers.items():
            found = deltas.get(digest)
            where = "omitted" if digest in omitted else "delta" if found else "inside"
            bases = tuple(bases_of.get(digest, ())) if where == "omitted" else ()
            change = DeltaInfo(found.blob, found.blob_size, tuple(found.sources)) if found else None
            layers.setdefault(digest, LayerInfo(digest, layer.size, layer.media_type, where, bases, (), change))
        for digest, layer in image.foreign.items():
            layers.setdefault(digest, LayerInfo(digest, layer.size, layer.media_type, "foreign", (), layer.urls))
    return tuple(layers.values())


def _platform(leaf: FetchedManifest, read_platform: Callable[[str], str | None]) -> str | None:
    if leaf.platform:
        return str(leaf.platform)
    config = leaf.manifest.config
    return read_platform(config.digest) if config.size <= DOCUMENT_BYTES else None


def _config_platform(digest: str, read_config: Callable[[str], bytes | None]) -> str | None:
    raw = read_config(digest)
    if raw is None:
        return None
    try:
        platform = Platform.from_config(parse_document(raw, f"config {digest}"))
    except ContentError:
        # Charts and other artifacts have configs of their own, which need not be JSON.
        return None
    return str(platform) if platform else None
