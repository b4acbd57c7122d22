"""Receipts: what a destination has after a push, to be carried back as the next pull's base."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from ..errors import ContentError, UsageError, host_errors
from ..host.text import plural
from ..oci.documents import OURS, check_schema, parse_document
from ..oci.manifest import Descriptor
from ..oci.reference import is_bundle_name, repository_of, title_in_bundle, title_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from ..archive.contents import NamedImage
    from ..results import PushResult

FORMAT = "1"

_LAYER_BYTES, _MANIFEST_BYTES = 300, 400
"""What a layer or a manifest takes in a receipt, in bytes; more where a name is long."""


class Receipt(NamedTuple):
    """What a receipt says.

    Attributes:
        layers: for the digest of each image, its layers by digest.
        names: what people call the images, by their digests, as far as it says.
    """

    layers: dict[str, dict[str, Descriptor]]
    names: dict[str, str]


def require_room(images: Iterable[NamedImage]) -> None:
    """Refuse a receipt that would be too long to be read.

    Args:
        images: what it would name.

    Raises:
        UsageError: they have too many layers.
    """
    listed = list(images)
    layers = sum(len(named.image.layers) for named in listed)
    manifests = sum(len(named.image.leaves) for named in listed)
    if layers * _LAYER_BYTES + manifests * _MANIFEST_BYTES > OURS.size:
        raise UsageError(
            f"one receipt can't hold {plural(len(listed), 'image')} with {plural(layers, 'layer')}",
            "leave out `receipt`, or push fewer images at a time with `only`",
        )


def write_receipt(result: PushResult, images: Iterable[NamedImage], file: BinaryIO) -> None:
    """Write what the destination of a push has now.

    Args:
        result: what the push did.
        images: what it sent, first the one whose digest there the result has.
        file: where to.
    """
    described = {each.digest: asdict(each) for each in result.images}
    shown = []
    for position, named in enumerate(images):
        image = named.image
        layers = [
            {"digest": layer.digest, "media_type": layer.media_type, "size": layer.size}
            for layer in image.layers.values()
        ]
        own = {name: described[image.root.digest][name] for name in ("media_type", "platform", "manifests")}
        # skopeo may have converted the only image.
        digest = image.root.digest if position or result.bundle else result.digest
        name = {"name": named.name} if result.bundle else {}
        shown.append({"digest": digest, **name, **own, "layers": layers})
    document = {
        "receipt": FORMAT,
        "destination": result.destination,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "images": shown,
    }
    file.write(json.dumps(document, indent=1).encode() + b"\n")


def read_receipt(path: Path, name: str | None = None) -> Receipt:
    """Read a receipt.

    Args:
        path: the file.
        name: of an image in a bundle: of a bundle's receipt only images of that name count, whatever their tags.

    Raises:
        UsageError: there is no such file.
        ContentError: it is no receipt.
        HostError: it can't be read.
    """
    document = read_receipt_document(path)
    images = [
        image
        for image in document["images"]
        if not name or repository_of(image.get("name", name)) == repository_of(name)
    ]
    layers = {
        image["digest"]: {
            layer["digest"]: Descriptor.from_json({**layer, "mediaType": layer["media_type"]})
            for layer in image["layers"]
        }
        for image in images
    }
    names = {
        image["digest"]: title_in_bundle(image["name"]) for image in images if is_bundle_name(image.get("name", ""))
    }
    # Of images that went to a registry together, its reference names the first.
    first = document["images"][0]
    if "name" not in first and (title := title_of(document["destination"].partition("docker://")[2])):
        names[first["digest"]] = title
    return Receipt(layers, names)


def read_receipt_document(path: Path) -> dict[str, Any]:
    """Read a receipt as the document that it is, checked.

    Args:
        path: the file.

    Raises:
        UsageError: there is no such file.
        ContentError: it is no receipt.
        HostError: it can't be read.
    """
    if not path.is_file():
        raise UsageError(f"the receipt {path} does not exist", "give a file that push wrote with `receipt`")
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = file.read(OURS.size + 1)
    document = parse_document(raw, f"receipt {path}", OURS)
    if document.get("receipt") != FORMAT:
        raise ContentError(
            f"{path} is not a receipt of format {FORMAT}", "give a file that push wrote with `receipt`"
        )
    check_schema(document, "receipt", f"receipt {path}")
    return document
