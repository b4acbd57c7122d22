"""What an archive holds, described for results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ContentError
from ..oci.documents import DOCUMENT_BYTES, parse_document
from ..oci.manifest import Index
from ..oci.platforms import Platform
from ..results import (
    CHANGE,
    LIST,
    REPACKED,
    WHERE,
    WHOLE,
    Contents,
    DeltaInfo,
    ImageInfo,
    LayerInfo,
    LeafInfo,
    ManifestInfo,
    OmittedLayer,
)
from .kinds import kind_of, kind_of_manifest, kinds_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..delta.artifact import LayerDelta
    from ..oci.manifest import FetchedManifest
    from .contents import ArchiveContents, NamedImage

CREATED = "org.opencontainers.image.created"
LABELS = (
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
    "org.opencontainers.image.revision",
    CREATED,
)
"""What is told of a manifest (OCI image specification, annotations.md)."""

LABEL_LENGTH = 255
"""How much of it is told, in characters."""


def describe(found: ArchiveContents, read_config: Callable[[str], bytes | None]) -> Contents:
    """Describe for a result what an archive holds or would hold.

    Args:
        found: what it holds; its first image counts as the archive's.
        read_config: returns the bytes of a config, or None where it is not at hand.
    """
    # Many images may have one config, and it may be long.
    read_platform = cache(lambda digest: _config_platform(digest, read_config))
    layers = _describe_layers(found)
    sizes = {where: [layer.size for layer in layers if layer.where == where] for where in WHERE}
    changes = [layer.delta.size for layer in layers if layer.delta]
    # Of an image that a bundle calls by two names, each name has brought them.
    referrers = {(named.subject, *named.key): named for named in found.referrers}
    images = [named for named in found.images if not named.subject]
    kinds: dict[str, Counter[str]] = {}
    for referrer in referrers.values():
        kinds.setdefault(str(referrer.subject), Counter()).update(kinds_in(referrer))
    needed = {digest: layer.size for digest, layer in found.omitted.items()} | dict(found.sources)
    return Contents(
        digest=None if found.is_bundle else found.images[0].image.root.digest,
        bundle=found.is_bundle,
        images=tuple(
            _describe_image(named, found, read_platform, kinds) for named in (*images, *referrers.values())
        ),
        bases=found.bases,
        names=found.names,
        bytes_new=sum(sizes["inside"]) + sum(changes),
        bytes_shared=sum(sizes["omitted"]),
        layers_new=len(sizes["inside"]) + len(changes),
        layers_shared=len(sizes["omitted"]),
        layers_foreign=len(sizes["foreign"]),
        layers_delta=len(changes),
        omitted=_sorted(needed),
        layers=layers,
        delta_sources=_sorted(found.sources),
    )


def with_references(contents: Contents, references: Mapping[tuple[str | None, str], str]) -> Contents:
    """Return a description with where images were pulled from or are pushed to, by the images' keys."""
    images = (
        image if image.beside else replace(image, reference=references.get((image.name, image.digest)))
        for image in contents.images
    )
    return replace(contents, images=tuple(images))


def with_changes(contents: Contents, found: ArchiveContents) -> Contents:
    """Return a description with what each image is beside its bases, as far as its archive tells.

    Args:
        contents: what `describe` says of `found`.
        found: what the archive holds; other tools' archives tell nothing.
    """
    if found.format is None:
        return contents
    shared = found.omitted.keys() | {digest for digest, delta in found.deltas.items() if delta.sources}

    def change(named: NamedImage) -> str | None:
        if named.subject:
            return None
        # Of a list that is a base itself, the base may lack platforms.
        if named.image.root.digest in found.bases and named.image.layers.keys() <= found.omitted.keys():
            return "same"
        return "changed" if shared & named.image.layers.keys() else "new"

    pairs = zip(contents.images, found.images, strict=True)
    return replace(contents, images=tuple(replace(image, change=change(named)) for image, named in pairs))


def describe_manifests(
    found: ArchiveContents, read_config: Callable[[str], bytes | None]
) -> dict[str, ManifestInfo]:
    """Say of every manifest of an archive, by its digest, which layers it has and what it says of itself.

    Args:
        found: what the archive holds.
        read_config: as for `describe`.
    """
    read_labels = cache(lambda digest: _config_labels(digest, read_config))
    manifests: dict[str, ManifestInfo] = {}
    for leaf in (leaf for named in found.images for leaf in named.image.leaves):
        manifest = leaf.manifest
        said = dict(read_labels(manifest.config.digest)) if manifest.config.size <= DOCUMENT_BYTES else {}
        said |= {name: manifest.annotations[name] for name in LABELS if manifest.annotations.get(name)}
        layers = tuple(layer.digest for layer in manifest.layers)
        labels = {name: said[name][:LABEL_LENGTH] for name in LABELS if name in said}
        manifests[leaf.digest] = ManifestInfo(layers, labels)
    return manifests


def _config_labels(digest: str, read_config: Callable[[str], bytes | None]) -> dict[str, str]:
    """Return what a config says by the names in `LABELS`; nothing has checked it."""
    config = _parse_config(digest, read_config)
    container = config.get("config")
    labels = container.get("Labels") if isinstance(container, dict) else None
    said = {CREATED: config.get("created")} | (labels if isinstance(labels, dict) else {})
    return {name: text[:LABEL_LENGTH] for name in LABELS if isinstance(text := said.get(name), str) and text}


def _sorted(layers: Mapping[str, int]) -> tuple[OmittedLayer, ...]:
    return tuple(OmittedLayer(digest, layers[digest]) for digest in sorted(layers))


def _describe_image(
    named: NamedImage,
    found: ArchiveContents,
    read_platform: Callable[[str], str | None],
    kinds: Mapping[str, Mapping[str, int]],
) -> ImageInfo:
    root, layers = named.image.root, named.image.layers
    is_list = isinstance(root.parsed, Index)
    kind = kind_of(named) if named.subject else None
    leaves = tuple(
        LeafInfo(
            leaf.digest,
            leaf.media_type,
            _platform(leaf, read_platform),
            kind_of_manifest(leaf) if kind == LIST else None,
            leaf.artifact_type or None if kind == LIST else None,
        )
        for leaf in named.image.leaves
    )
    return ImageInfo(
        name=named.name,
        reference=None,
        digest=root.digest,
        media_type=root.media_type,
        platform=None if is_list else leaves[0].platform,
        manifests=leaves if is_list else (),
        absent=tuple(
            LeafInfo(child.digest, child.media_type, str(child.platform) if child.platform else None)
            for child in named.image.absent.values()
        ),
        beside=named.subject,
        bytes_new=sum(
            found.deltas[digest].blob_size if digest in found.deltas else layer.size
            for digest, layer in layers.items()
            if digest not in found.omitted
        ),
        bytes_shared=sum(layer.size for digest, layer in layers.items() if digest in found.omitted),
        kind=kind,
        referrers={} if named.subject else dict(sorted(kinds.get(root.digest, {}).items())),
        artifact_type=root.artifact_type or None if named.subject else None,
    )


def _describe_layers(found: ArchiveContents) -> tuple[LayerInfo, ...]:
    layers: dict[str, LayerInfo] = {}
    for image in (named.image for named in found.images):
        for digest, layer in image.layers.items():
            delta = found.deltas.get(digest)
            where = "omitted" if digest in found.omitted else "delta" if delta else "inside"
            bases = tuple(found.bases_of.get(digest, ())) if where == "omitted" else ()
            travels = None if where == "omitted" else _travels(delta)
            change = _describe_delta(delta) if delta and where == "delta" else None
            layers.setdefault(
                digest, LayerInfo(digest, layer.size, layer.media_type, where, bases, (), change, travels)
            )
        for digest, layer in image.foreign.items():
            layers.setdefault(digest, LayerInfo(digest, layer.size, layer.media_type, "foreign", (), layer.urls))
    return tuple(layers.values())


def _travels(delta: LayerDelta | None) -> str:
    if delta is None:
        return WHOLE
    return CHANGE if delta.sources else REPACKED


def _describe_delta(delta: LayerDelta) -> DeltaInfo:
    return DeltaInfo(
        delta.blob,
        delta.blob_size,
        tuple(delta.sources),
        delta.contents.get(delta.layer),
        delta.model,
        delta.corrections,
    )


def _platform(leaf: FetchedManifest, read_platform: Callable[[str], str | None]) -> str | None:
    if leaf.platform:
        return str(leaf.platform)
    config = leaf.manifest.config
    return read_platform(config.digest) if config.size <= DOCUMENT_BYTES else None


def _config_platform(digest: str, read_config: Callable[[str], bytes | None]) -> str | None:
    platform = Platform.from_config(_parse_config(digest, read_config))
    return str(platform) if platform else None


def _parse_config(digest: str, read_config: Callable[[str], bytes | None]) -> dict[str, Any]:
    """Return what a config says; nothing where it is not at hand, or no JSON object."""
    raw = read_config(digest)
    if raw is None:
        return {}
    try:
        return parse_document(raw, f"config {digest}")
    except ContentError:
        # Charts and other artifacts have configs of their own, which need not be JSON.
        return {}
