"""Deltas of layers in an archive: an artifact for each image says what they are, and what they are made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ContentError
from ..oci.documents import check_schema, parse_document
from ..oci.layout import canonical_json, index_entry
from ..oci.manifest import OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..oci.manifest import FetchedManifest

FEATURE = "layer-delta"
"""What an archive with deltas requires of its reader."""

PREFIX = "io.skopeo-incremental."
"""What the names of our annotations begin with."""

ARTIFACT_TYPE = "application/vnd.skopeo-incremental.layer-deltas.v1"
BLOB_TYPE = "application/vnd.skopeo-incremental.layer-delta.v1"
EMPTY_CONFIG = b"{}"

MANIFESTS = 256
"""How many manifests a delta may name, as its schema says."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


class LayerDelta(NamedTuple):
    """A layer that travels as its change.

    Attributes:
        layer: the digest of the layer that it makes.
        size: how long that is, in bytes.
        blob: the digest of the delta.
        blob_size: how long that is, in bytes.
        sources: digest and size in bytes of each layer that it is made from, in order.
        manifests: digests of manifests that have those, by which they can be fetched.
    """

    layer: str
    size: int
    blob: str
    blob_size: int
    sources: Mapping[str, int]
    manifests: tuple[str, ...]


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
                f"{PREFIX}delta.sources": json.dumps([[digest, size] for digest, size in delta.sources.items()]),
                f"{PREFIX}delta.manifests": json.dumps(list(delta.manifests)),
            },
        }
        for delta in sorted(deltas)
    ]
    raw = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(EMPTY_CONFIG), "size": len(EMPTY_CONFIG)},
            "layers": layers,
            "subject": {"mediaType": image.media_type, "digest": image.digest, "size": image.size},
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
    check_schema(document, "layer-deltas", what)
    if document["subject"]["digest"] != subject:
        raise ContentError(f"{what} belongs to {document['subject']['digest']}, not to {subject}")
    return [_read(layer, what) for layer in document["layers"]]


def _read(layer: dict[str, Any], what: str) -> LayerDelta:
    said = layer["annotations"]
    sources, manifests = said[f"{PREFIX}delta.sources"], said[f"{PREFIX}delta.manifests"]
    # Lists that stand in annotations are text there.
    text = f'{{"sources": {sources}, "manifests": {manifests}}}'
    parsed = parse_document(text.encode(), what)
    check_schema(parsed, "layer-delta-sources", what)
    return LayerDelta(
        said[f"{PREFIX}delta.layer"],
        int(said[f"{PREFIX}delta.size"]),
        layer["digest"],
        layer["size"],
        dict(parsed["sources"]),
        tuple(parsed["manifests"]),
    )
