"""Deltas of layers in an archive: an artifact for each image says what they are, and what they are made from."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ContentError
from ..oci.documents import check_schema, parse_document
from ..oci.layout import canonical_json, descriptor, index_entry
from ..oci.manifest import OCI_MANIFEST, digest_of
from . import features

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..oci.manifest import FetchedManifest

FEATURES = frozenset({"layer-delta", *features.ALL})
"""What an archive with deltas may require of its reader: format 1 is still read."""

PREFIX = "io.skopeo-incremental."
"""What the names of our annotations begin with."""

ARTIFACT_TYPE = "application/vnd.skopeo-incremental.layer-deltas.v2"
BLOB_TYPE = "application/vnd.skopeo-incremental.layer-delta.v2"
_ARTIFACT_TYPE_1 = "application/vnd.skopeo-incremental.layer-deltas.v1"
EMPTY_CONFIG = b"{}"

_DIFF_IDS = f"{PREFIX}delta.diff-ids"

MANIFESTS = 256
"""How many manifests a delta may name, as its schema says."""

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


SOURCES = 16
"""How many layers a delta may be made from, as its schema says."""


class LayerDelta(NamedTuple):
    """A layer that travels as its change, or repacked, which is a change of nothing.

    Attributes:
        layer: the digest of the layer that it makes.
        size: how long that is, in bytes.
        blob: the digest of the delta.
        blob_size: how long that is, in bytes.
        sources: digest and size in bytes of each layer that it is made from, in order; none where it is repacked.
        manifests: digests of manifests that have those, by which they can be fetched.
        contents: how long the contents of the layer and of the sources are, in bytes, by their digests: what
            is left when they are decompressed. Nothing in format 1, which does not say.
        model: what is known of the layer's compressor, for people.
        corrections: how often that decided otherwise than was predicted.
        room: how much disk space making the layer takes beside the older contents, in bytes.
        features: what it needs beside `CHANGES`; only who made it knows.
        opened: how many streams inside of the layer's files are opened; likewise.
        diff_ids: the digests of what the sources hold, by theirs; nothing where whoever made it did not say.
    """

    layer: str
    size: int
    blob: str
    blob_size: int
    sources: Mapping[str, int]
    manifests: tuple[str, ...]
    contents: Mapping[str, int] = MappingProxyType({})
    model: str = ""
    corrections: int = 0
    room: int = 0
    features: tuple[str, ...] = ()
    opened: int = 0
    diff_ids: Mapping[str, str] = MappingProxyType({})

    @property
    def is_format_1(self) -> bool:
        """Whether an older version made it."""
        return not self.contents


class DeltaArtifact(NamedTuple):
    """What says which deltas there are for an image.

    Attributes:
        raw: the bytes of its manifest.
        subject: the digest of the image.
    """

    raw: bytes
    subject: str

    @property
    def index_entry(self) -> dict[str, Any]:
        """Its descriptor in the archive's index."""
        digest = digest_of(self.raw)
        described = index_entry(OCI_MANIFEST, digest, len(self.raw), annotations={f"{PREFIX}deltas": self.subject})
        return described | {"artifactType": ARTIFACT_TYPE}


def required_features(deltas: Collection[LayerDelta]) -> list[str]:
    """Return what an archive with deltas that were made here requires of its reader."""
    found = {feature for delta in deltas for feature in (features.CHANGES, *delta.features)}
    return [feature for feature in features.ALL if feature in found]


def make_artifact(image: FetchedManifest, deltas: Iterable[LayerDelta]) -> DeltaArtifact:
    """Return the artifact of an image's deltas (OCI image specification, manifest.md, `artifactType`)."""
    layers = [
        {
            "mediaType": BLOB_TYPE,
            "digest": delta.blob,
            "size": delta.blob_size,
            "annotations": {
                f"{PREFIX}delta.layer": delta.layer,
                f"{PREFIX}delta.size": str(delta.size),
                f"{PREFIX}delta.content": str(delta.contents[delta.layer]),
                f"{PREFIX}delta.sources": json.dumps(
                    [[digest, size, delta.contents[digest]] for digest, size in delta.sources.items()]
                ),
                f"{PREFIX}delta.manifests": json.dumps(list(delta.manifests)),
                f"{PREFIX}delta.model": delta.model,
                f"{PREFIX}delta.corrections": str(delta.corrections),
            }
            | ({f"{PREFIX}delta.room": str(delta.room)} if delta.room else {})
            | ({_DIFF_IDS: json.dumps([delta.diff_ids[each] for each in delta.sources])} if delta.diff_ids else {}),
        }
        for delta in sorted(deltas, key=lambda each: each.layer)
    ]
    raw = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": descriptor(EMPTY_TYPE, digest_of(EMPTY_CONFIG), len(EMPTY_CONFIG)),
            "layers": layers,
            "subject": descriptor(image.media_type, image.digest, image.size),
        }
    )
    return DeltaArtifact(raw, image.digest)


def read_artifact(raw: bytes, subject: str, what: str) -> list[LayerDelta]:
    """Read what `make_artifact` made.

    Args:
        raw: its bytes, which are what their digest says; of hostile origin.
        subject: the digest of the image that it is said to belong to.
        what: what it is, for messages.

    Raises:
        ContentError: it breaks its schema, or belongs to another image.
    """
    document = parse_document(raw, what)
    is_format_1 = document.get("artifactType") == _ARTIFACT_TYPE_1
    check_schema(document, "layer-deltas-1" if is_format_1 else "layer-deltas", what)
    if document["subject"]["digest"] != subject:
        raise ContentError(f"{what} belongs to {document['subject']['digest']}, not to {subject}")
    return [(_read_1 if is_format_1 else _read)(layer, what) for layer in document["layers"]]


def _read(layer: dict[str, Any], what: str) -> LayerDelta:
    said, parsed = _annotations(layer, what, "layer-delta-sources")
    digest = said[f"{PREFIX}delta.layer"]
    return LayerDelta(
        digest,
        int(said[f"{PREFIX}delta.size"]),
        layer["digest"],
        layer["size"],
        {source: size for source, size, _ in parsed["sources"]},
        tuple(parsed["manifests"]),
        {source: content for source, _, content in parsed["sources"]}
        | {digest: int(said[f"{PREFIX}delta.content"])},
        said[f"{PREFIX}delta.model"],
        int(said[f"{PREFIX}delta.corrections"]),
        int(said.get(f"{PREFIX}delta.room", 0)),
        diff_ids=dict(zip((source for source, _, _ in parsed["sources"]), parsed["diff_ids"], strict=False)),
    )


def _read_1(layer: dict[str, Any], what: str) -> LayerDelta:
    said, parsed = _annotations(layer, what, "layer-delta-sources-1")
    return LayerDelta(
        said[f"{PREFIX}delta.layer"],
        int(said[f"{PREFIX}delta.size"]),
        layer["digest"],
        layer["size"],
        dict(parsed["sources"]),
        tuple(parsed["manifests"]),
    )


def _annotations(layer: dict[str, Any], what: str, schema: str) -> tuple[dict[str, str], Any]:
    """Return a delta's annotations, and what stands in those that hold lists."""
    said = layer["annotations"]
    sources, manifests = said[f"{PREFIX}delta.sources"], said[f"{PREFIX}delta.manifests"]
    # Lists that stand in annotations are text there.
    text = f'{{"sources": {sources}, "manifests": {manifests}, "diff_ids": {said.get(_DIFF_IDS, "[]")}}}'
    parsed = parse_document(text.encode(), what)
    check_schema(parsed, schema, what)
    return said, parsed
