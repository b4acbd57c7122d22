"""Images for tests, put over the registry API: any media types, any JSON spacing."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import random
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.registry import Registry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_counter = itertools.count()


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(seed: object, size: int = 2000) -> bytes:
    """A gzip'd tar with one file of noise: the same for the same seed."""
    noise = random.Random(str(seed)).randbytes(size)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(f"file-{hashlib.sha256(noise).hexdigest()[:8]}")
        member.size = size
        tar.addfile(member, io.BytesIO(noise))
    return gzip.compress(out.getvalue(), mtime=0)


@dataclass
class Image:
    """An image that was put into a registry."""

    raw: bytes
    media_type: str
    config: str = ""
    layers: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    children: list[Image] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return digest_of(self.raw)

    def descriptor(self, platform: dict[str, str] | None = None) -> dict[str, Any]:
        described: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw)}
        return described | ({"platform": platform} if platform else {})


def fresh(stem: str = "app") -> str:
    """A repository that no other test uses."""
    return f"{stem}/n{next(_counter)}"


def put_image(
    registry: Registry,
    repository: str,
    tag: str | None,
    layers: list[bytes],
    *,
    docker: bool = False,
    config: bytes | None = None,
    config_type: str | None = None,
    layer_types: list[str] | None = None,
    foreign: list[dict[str, Any]] | None = None,
    arch: str = "amd64",
    indent: int | None = None,
    media_type: bool = True,
    upload: bool = True,
    extra: dict[str, Any] | None = None,
) -> Image:
    """Put an image; `indent` makes its JSON look as no tool writes it."""
    if config is None:
        diffs = [digest_of(gzip.decompress(each)) for each in layers if each.startswith(b"\x1f\x8b")]
        rootfs = {"type": "layers", "diff_ids": diffs}
        config = json.dumps({"architecture": arch, "os": "linux", "rootfs": rootfs}).encode()
    types = layer_types or [DOCKER_LAYER if docker else OCI_LAYER] * len(layers)
    descriptors = [
        {"mediaType": kind, "digest": digest_of(each), "size": len(each)}
        for kind, each in zip(types, layers, strict=True)
    ]
    kind = DOCKER_MANIFEST if docker else OCI_MANIFEST
    document: dict[str, Any] = {"schemaVersion": 2}
    if media_type:
        document["mediaType"] = kind
    document |= {
        "config": {
            "mediaType": config_type or (DOCKER_CONFIG if docker else OCI_CONFIG),
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": descriptors + (foreign or []),
        **(extra or {}),
    }
    raw = json.dumps(document, indent=indent).encode()
    if upload:
        for blob in (config, *layers):
            registry.put_blob(repository, digest_of(blob), blob)
        registry.put_manifest(repository, tag or digest_of(raw), raw, kind)
    return Image(
        raw,
        kind,
        digest_of(config),
        [descriptor["digest"] for descriptor in descriptors],
        {digest_of(blob): len(blob) for blob in (config, *layers)},
    )


def put_list(
    registry: Registry,
    repository: str,
    tag: str | None,
    children: list[tuple[Image, dict[str, str] | None]],
    *,
    docker: bool = False,
    indent: int | None = None,
) -> Image:
    kind = DOCKER_LIST if docker else OCI_INDEX
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "manifests": [child.descriptor(platform) for child, platform in children],
    }
    raw = json.dumps(document, indent=indent).encode()
    registry.put_manifest(repository, tag or digest_of(raw), raw, kind)
    return Image(raw, kind, children=[child for child, _ in children])


def platform(arch: str, variant: str | None = None) -> dict[str, str]:
    return {"os": "linux", "architecture": arch} | ({"variant": variant} if variant else {})
