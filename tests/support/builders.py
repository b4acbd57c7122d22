"""Small documents and archives, made without a registry."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from wrapper.archive.reader import Archive
from wrapper.oci.manifest import OCI_INDEX, OCI_MANIFEST, FetchedManifest, digest_of, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


def part(data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": "application/x", "digest": digest_of(data), "size": len(data), **more}


def manifest(*layers: bytes, config: bytes = b"{}", **change: Any) -> bytes:
    document = {"schemaVersion": 2, "config": part(config), "layers": [part(each) for each in layers]}
    return json.dumps(document | change).encode()


def index(*children: dict[str, Any], **change: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(children), **change}).encode()


def child(raw: bytes, media_type: str = OCI_MANIFEST, **more: Any) -> dict[str, Any]:
    return part(raw, **more) | {"mediaType": media_type}


def list_child(raw: bytes) -> dict[str, Any]:
    return child(raw, OCI_INDEX)


def node(raw: bytes) -> FetchedManifest:
    return parse_manifest(raw)


def name_of(data: bytes) -> str:
    return "blobs/sha256/" + digest_of(data).removeprefix("sha256:")


def members(
    *blobs: bytes, images: Iterable[bytes] = (), annotations: dict[str, str] | None = None
) -> list[tuple[str, bytes]]:
    """The members of a layout whose index names `images`."""
    images = list(images)
    extra = {"annotations": annotations} if annotations is not None else {}
    raw = index(*(child(image) for image in images), **extra)
    return [("oci-layout", LAYOUT), ("index.json", raw), *((name_of(blob), blob) for blob in (*images, *blobs))]


def tar(entries: Iterable[tuple[str | tarfile.TarInfo, bytes]], **options: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as archive:
        for name, data in entries:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            if member.isreg():
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def opened(data: bytes) -> Archive:
    return Archive.open(io.BytesIO(data))


CONFIG, LAYER = b'{"os":"linux","architecture":"amd64"}', b"a layer"
IMAGE = manifest(LAYER, config=CONFIG)
WHOLE = members(CONFIG, LAYER, images=[IMAGE])
"""The members of an archive with one small image, and nothing left out."""
