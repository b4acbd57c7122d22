"""Archives with layers as their change, written by hand: what no `pull` makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.archives import LAYOUT, blob_name, by_digest, write_tar
from tests.support.images import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PREFIX = "io.skopeo-incremental."
CONFIG = b'{"architecture":"amd64","os":"linux"}'
EMPTY = b"{}"
_EACH = 1000


def name_of(what: object) -> str:
    """A digest of a layer that is nowhere."""
    return digest_of(str(what).encode())


def change(
    layer: str,
    sources: Sequence[str] | Mapping[str, int],
    *,
    size: int = 1000,
    blob: bytes = b"no change",
    manifests: Sequence[str] = (),
    content: int = 5000,
    contents: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A layer of an artifact; sources without a size are as long as `size`, and all contents as `content`."""
    sized = [
        [
            each,
            sources[each] if not isinstance(sources, (list, tuple)) else size,
            (contents or {}).get(each, content),
        ]
        for each in sources
    ]
    return {
        "mediaType": "application/vnd.skopeo-incremental.layer-delta.v2",
        "digest": digest_of(blob),
        "size": len(blob),
        "annotations": {
            f"{PREFIX}delta.layer": layer,
            f"{PREFIX}delta.size": str(size),
            f"{PREFIX}delta.content": str((contents or {}).get(layer, content)),
            f"{PREFIX}delta.sources": json.dumps(sized),
            f"{PREFIX}delta.manifests": json.dumps(list(manifests)),
            f"{PREFIX}delta.model": "zlib 6",
            f"{PREFIX}delta.corrections": "0",
        },
    }


def change_1(
    layer: str,
    sources: Sequence[str] | Mapping[str, int],
    *,
    size: int = 1000,
    blob: bytes = b"no change",
    manifests: Sequence[str] = (),
) -> dict[str, Any]:
    """The same in format 1, which older versions made."""
    sized = [[each, sources[each] if not isinstance(sources, (list, tuple)) else size] for each in sources]
    return {
        "mediaType": "application/vnd.skopeo-incremental.layer-delta.v1",
        "digest": digest_of(blob),
        "size": len(blob),
        "annotations": {
            f"{PREFIX}delta.layer": layer,
            f"{PREFIX}delta.size": str(size),
            f"{PREFIX}delta.sources": json.dumps(sized),
            f"{PREFIX}delta.manifests": json.dumps(list(manifests)),
        },
    }


def write_changes(
    path: Path, changes: Sequence[dict[str, Any]], *blobs: bytes, layers: Mapping[str, int] | None = None
) -> str:
    """Write an archive of one image, and return its digest.

    Its layers travel as their change, but `layers` as they are, or not at all where they are not among the blobs.
    """
    by_version: dict[str, list[dict[str, Any]]] = {}
    for each in changes:
        by_version.setdefault(each["mediaType"][-1], []).append(each)
    layers_made = {
        each["annotations"][f"{PREFIX}delta.layer"]: int(each["annotations"][f"{PREFIX}delta.size"])
        for each in changes
    }
    image = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(CONFIG), "size": len(CONFIG)},
        "layers": [
            {"mediaType": OCI_LAYER, "digest": digest, "size": size}
            for digest, size in {**layers_made, **(layers or {})}.items()
        ],
    }
    raw = json.dumps(image).encode()
    subject = {"mediaType": OCI_MANIFEST, "digest": digest_of(raw), "size": len(raw)}
    artifacts = [
        json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": f"application/vnd.skopeo-incremental.layer-deltas.v{version}",
                "config": {"mediaType": OCI_CONFIG, "digest": digest_of(EMPTY), "size": len(EMPTY)},
                "layers": own[place : place + _EACH],
                "subject": subject,
            }
        ).encode()
        for version, own in by_version.items()
        for place in range(0, len(own), _EACH)
    ]
    entries = [subject | {"annotations": {"org.opencontainers.image.ref.name": "1"}}]
    entries += [
        {"mediaType": OCI_MANIFEST, "digest": digest_of(each), "size": len(each)}
        | {"annotations": {f"{PREFIX}deltas": digest_of(raw)}}
        for each in artifacts
    ]
    absent = {digest: [name_of("base")] for digest in layers or {} if digest not in by_digest(*blobs)}
    said = {"format": "1", "requires": "layer-delta,layer-delta-2", "bases": name_of("base")}
    said["omitted"] = json.dumps(absent)
    index = {
        "schemaVersion": 2,
        "manifests": entries,
        "annotations": {f"{PREFIX}{name}": text for name, text in said.items()},
    }
    contents = by_digest(raw, CONFIG, EMPTY, b"no change", *artifacts, *blobs)
    members = [(blob_name(digest), data) for digest, data in contents.items()]
    write_tar(path, [("oci-layout", LAYOUT), ("index.json", json.dumps(index).encode()), *members])
    return digest_of(raw)
