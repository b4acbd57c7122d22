"""Manifests and lists as typed, checked values, and the dictionary of the layers that they name."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ContentError
from .documents import FOREIGN, Bounds, check_schema, parse_document
from .platforms import Platform
from .reference import is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .reference import Reference

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

SCHEMAS = {
    OCI_MANIFEST: "oci-manifest",
    OCI_INDEX: "oci-index",
    DOCKER_MANIFEST: "docker-manifest",
    DOCKER_LIST: "docker-list",
}
LISTS = frozenset({OCI_INDEX, DOCKER_LIST})


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest or list says of a blob (OCI image specification, descriptor.md).

    Attributes:
        media_type: the blob's media type.
        digest: the blob's digest.
        size: its size in bytes.
        urls: where else it may be had; where there are any, the layer is foreign and never travels.
        platform: for the children of a list, what they run on.
        annotations: free text by name.
    """

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_foreign(self) -> bool:
        """Whether it lies elsewhere: skopeo neither fetches, pushes nor asks for such a layer."""
        return bool(self.urls)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Descriptor:
        """Read a descriptor that has passed its schema."""
        platform = value.get("platform")
        return cls(
            # There may be hundreds of thousands, of few types.
            media_type=sys.intern(value["mediaType"]),
            digest=value["digest"],
            size=value["size"],
            urls=tuple(value.get("urls") or ()),
            platform=Platform.from_json(platform) if platform else None,
            annotations=value.get("annotations") or {},
        )


def unnamed_layer(digest: str, size: int) -> Descriptor:
    """Return a descriptor of a layer of which no manifest at hand tells the media type; `size` is in bytes."""
    return Descriptor("application/octet-stream", digest, size)


@dataclass(frozen=True)
class Manifest:
    """One image or artifact: a config and layers.

    Attributes:
        media_type: OCI's or Docker's type of a manifest.
        config: the config's descriptor.
        layers: the layers' descriptors, in order; one digest may come twice.
        annotations: free text by name.
        artifact_type: what kind of artifact it is, where it says so itself; else empty.
        subject: the digest of the manifest or list that it refers to; None where there is none.
    """

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: str | None = None


@dataclass(frozen=True)
class Index:
    """A list of manifests or lists: an OCI index or a Docker manifest list.

    Attributes:
        media_type: OCI's or Docker's type of a list.
        manifests: the children's descriptors, in order.
        annotations: free text by name.
        artifact_type: as for a manifest.
        subject: as for a manifest.
    """

    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: str | None = None


@dataclass(frozen=True)
class FetchedManifest:
    """A manifest or list as it was read somewhere, byte for byte.

    Attributes:
        reference: where it was read; None inside an archive.
        digest: the sha256 of `raw`.
        media_type: its media type, inferred where the document names none.
        raw: the bytes.
        parsed: what they say.
        platform: what the list that led here says that it runs on.
    """

    reference: Reference | None
    digest: str
    media_type: str
    raw: bytes = field(repr=False)
    parsed: Manifest | Index = field(repr=False)
    platform: Platform | None = None

    @property
    def size(self) -> int:
        """Length of `raw` in bytes."""
        return len(self.raw)

    @property
    def artifact_type(self) -> str:
        """What it is as an artifact; empty where that is not said.

        It is what lists of referrers say: where a manifest has no type itself, that of its config (OCI distribution
        specification, "Listing Referrers").
        """
        parsed = self.parsed
        return parsed.artifact_type or (parsed.config.media_type if isinstance(parsed, Manifest) else "")

    @property
    def manifest(self) -> Manifest:
        """What a manifest says; never asked of a list."""
        if not isinstance(self.parsed, Manifest):
            raise TypeError(f"{self.digest} is a list")
        return self.parsed


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of `data`, as `sha256:` and hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse_manifest(
    raw: bytes,
    *,
    reference: Reference | None = None,
    descriptor: Descriptor | None = None,
    bounds: Bounds = FOREIGN,
) -> FetchedManifest:
    """Check and parse the bytes of a manifest or list.

    Args:
        raw: the bytes, of hostile origin.
        reference: where they come from.
        descriptor: what led to them; digest, size and media type must then agree.
        bounds: what the document may be at most.

    Returns:
        The manifest, with its digest computed from `raw`.

    Raises:
        ContentError: it contradicts `descriptor`, breaks its schema, or is of a kind that can't travel
            (Docker schema 1, sha512 digests, unknown media types).
    """
    digest = digest_of(raw)
    what = f"manifest {descriptor.digest if descriptor else digest}"
    if reference:
        what += f" of {reference}"
    if descriptor and descriptor.digest != digest:
        raise ContentError(
            f"{what} has other bytes: they hash to {digest}",
            "fetch it again, and tell the people who run the server",
        )
    if descriptor and descriptor.size != len(raw):
        raise ContentError(f"{what} is {len(raw)} bytes long, but its descriptor says {descriptor.size}")
    document = parse_document(raw, what, bounds)
    media_type = _media_type(document, descriptor, what)
    check_schema(document, SCHEMAS[media_type], what)
    # Docker's have none of these, and its schemas do not check what stands there.
    said = document if media_type in (OCI_MANIFEST, OCI_INDEX) else {}
    subject = said.get("subject")
    more = (said.get("annotations") or {}, said.get("artifactType", ""), subject["digest"] if subject else None)
    parsed: Manifest | Index
    if media_type in LISTS:
        children = tuple(Descriptor.from_json(child) for child in document["manifests"])
        _require_sha256(children, what)
        parsed = Index(media_type, children, *more)
    else:
        config = Descriptor.from_json(document["config"])
        layers = tuple(Descriptor.from_json(layer) for layer in document["layers"])
        _require_sha256((config, *layers), what)
        parsed = Manifest(media_type, config, layers, *more)
    platform = descriptor.platform if descriptor else None
    return FetchedManifest(reference, digest, media_type, raw, parsed, platform)


def build_layers_dictionary(*manifests: FetchedManifest) -> dict[str, Descriptor]:
    """Collect the layers that manifests name (Go: `incremental.BuildLayersDictionary`).

    Args:
        manifests: manifests and lists; lists name no layers themselves.

    Returns:
        Digest to descriptor, in order of first appearance. Foreign layers are left out: whoever has the
        manifest does not have them.
    """
    layers: dict[str, Descriptor] = {}
    for manifest in manifests:
        if isinstance(manifest.parsed, Manifest):
            for layer in manifest.parsed.layers:
                if not layer.is_foreign:
                    layers.setdefault(layer.digest, layer)
    return layers


def _media_type(document: dict[str, Any], descriptor: Descriptor | None, what: str) -> str:
    if document.get("schemaVersion") == 1:
        raise ContentError(
            f"{what} is a Docker schema 1 manifest, which has no digests of layers",
            "have the image pushed again with a current tool, or convert it with skopeo copy to format v2s2",
        )
    is_manifest = "config" in document or "layers" in document
    if is_manifest and "manifests" in document:
        raise ContentError(f"{what} is both a manifest and a list")
    inferred = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    declared = document.get("mediaType", descriptor.media_type if descriptor else inferred)
    if not isinstance(declared, str) or declared not in SCHEMAS:
        raise ContentError(f"{what} has the unsupported media type {declared!r:.200}")
    if descriptor and descriptor.media_type != declared:
        raise ContentError(f"{what} says that it is {declared}, but its descriptor says {descriptor.media_type}")
    if (declared in LISTS) == is_manifest:
        raise ContentError(f"{what} says that it is {declared}, but its content says otherwise")
    return declared


def _require_sha256(descriptors: tuple[Descriptor, ...], what: str) -> None:
    for descriptor in descriptors:
        if not is_digest(descriptor.digest):
            raise ContentError(
                f"{what} names {descriptor.digest}, and only sha256 digests are supported",
                "skopeo can't copy other digests: have the image built with sha256",
            )
