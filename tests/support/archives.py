"""Archives made by hand for tests: what other tools write, and what nobody should."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from tests.support.images import Image, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


def write_tar(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> None:
    """Write a tar as other tools do: any order, any kind of member."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            if member.isreg():
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def layout_members(
    image: Image, blobs: dict[str, bytes], annotations: dict[str, str] | None = None
) -> list[tuple[str, bytes]]:
    """The members of an OCI layout with one image."""
    index: dict[str, Any] = {"schemaVersion": 2, "manifests": [image.descriptor()]}
    if annotations:
        index["annotations"] = annotations
    contents = {image.digest: image.raw, **blobs}
    return [
        ("oci-layout", LAYOUT),
        ("index.json", json.dumps(index).encode()),
        *((blob_name(digest), data) for digest, data in contents.items()),
    ]


def blob_name(digest: str) -> str:
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def by_digest(*blobs: bytes) -> dict[str, bytes]:
    return {digest_of(blob): blob for blob in blobs}


def members_of(path: Path) -> dict[str, bytes]:
    """Everything in a tar, by name."""
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file
            found[member.name] = file.read()
    return found


def repack(path: Path, changes: dict[str, bytes | None]) -> None:
    """Replace members of a tar, or leave them out."""
    members = {**members_of(path), **changes}
    write_tar(path, [(name, data) for name, data in members.items() if data is not None])


def cut(path: Path, size: int) -> list[Path]:
    """Cut a file into volumes, and remove it."""
    data = path.read_bytes()
    volumes = []
    for number, start in enumerate(range(0, len(data), size), 1):
        volumes.append(path.with_name(f"{path.name}.{number:03}"))
        volumes[-1].write_bytes(data[start : start + size])
    path.unlink()
    return volumes
