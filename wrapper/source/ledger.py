"""Ledgers: which images a site has (`receipt`), or was sent (`sent`), as a file that grows from push to push."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from ..errors import ContentError, UsageError, host_errors
from ..host.outputs import is_stream
from ..host.text import plural
from ..oci.documents import OURS, check_schema, parse_document
from ..oci.manifest import Descriptor
from ..oci.reference import Reference, repository_of, title_in_bundle, title_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

FORMAT = "1"

RECEIPT, SENT = KINDS = ("receipt", "sent")
"""What a ledger is: each document has its format's version under this name, and is a base by this transport."""

_CALLED = {RECEIPT: "a receipt", SENT: "a list of what was sent"}
_WRITTEN_BY = {
    RECEIPT: "give a file that push wrote with `receipt`",
    SENT: "give a file that pull wrote with `sent_ledger`",
}
_BEGIN_ANOTHER = {
    RECEIPT: "begin a new file with `receipt`, or push fewer images at a time with `only`",
    SENT: "begin a new file with `sent_ledger`",
}

_IMAGE_BYTES, _LAYER_BYTES, _MANIFEST_BYTES = 1_000, 300, 400
"""What an image, its layer or its manifest takes in a ledger, in bytes; more where a name is long."""


class LedgerImage(NamedTuple):
    """One image of a ledger.

    Attributes:
        digest: its digest.
        name: of a bundle's image, what the bundle calls it.
        reference: where it is; of one that was sent, where it was pulled from.
        date: when it was pushed or sent, as RFC 3339 writes it.
        layers: its layers, by digest.
        about: whatever else a receipt says of it: `media_type`, `platform` and `manifests`.
    """

    digest: str
    name: str | None
    reference: str
    date: str
    layers: Mapping[str, Descriptor]
    about: Mapping[str, Any] = {}

    @property
    def title(self) -> str | None:
        """What people call it, such as `team/app:2`; None where it has no tag, or is in no registry."""
        if self.name:
            return title_in_bundle(self.name)
        title = self.where and title_of(self.where)
        return title if title and ":" in title else None

    @property
    def where(self) -> str | None:
        """Host, repository, and tag or digest; None where it is in no registry."""
        _, docker, rest = self.reference.rpartition("docker://")
        return rest if docker else None

    @property
    def repository(self) -> str | None:
        """Its repository, as its bundle or else its registry calls it; None where it is in no registry."""
        return repository_of(self.name or (self.where and title_of(self.where)))


class Ledger(NamedTuple):
    """What a ledger says.

    Attributes:
        destination: where the last push went; empty where nothing was pushed.
        date: when it was written last, as RFC 3339 writes it.
        images: its images, the latest first.
    """

    destination: str
    date: str
    images: tuple[LedgerImage, ...]


class Shared(NamedTuple):
    """What several sites have in common.

    Attributes:
        layers: for the digest of each image, those of its layers, by digest, that every site has.
        names: what people call the images, by their digests.
    """

    layers: Mapping[str, Mapping[str, Descriptor]]
    names: Mapping[str, str]


def read_ledger(path: Path, kind: str) -> Ledger:
    """Read a ledger.

    Args:
        path: the file.
        kind: `RECEIPT` or `SENT`.

    Raises:
        UsageError: there is no such file.
        ContentError: it is none of this kind; the message names the place, such as `images[3].digest`.
        HostError: it can't be read.
    """
    called = _CALLED[kind].removeprefix("a ")
    if not path.is_file():
        raise UsageError(f"the {called} {path} does not exist", _WRITTEN_BY[kind])
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = file.read(OURS.size + 1)
    document = parse_document(raw, f"{called} {path}", OURS)
    if document.get(kind) != FORMAT:
        step = next((f"it is {_CALLED[each]}: give {each}:{path}" for each in KINDS if each in document), None)
        raise ContentError(
            f"{path} is not {_CALLED[kind]} of format {FORMAT}",
            step if step and kind not in document else _WRITTEN_BY[kind],
        )
    check_schema(document, kind, f"{called} {path}")
    destination = document.get("destination", "")
    images = tuple(
        LedgerImage(
            digest=entry["digest"],
            name=entry.get("name"),
            reference=entry.get("reference") or _reference_before(entry, destination, is_first=not position),
            date=entry.get("date", document["date"]),
            layers={
                layer["digest"]: Descriptor.from_json({**layer, "mediaType": layer["media_type"]})
                for layer in entry["layers"]
            },
            about={name: entry[name] for name in ("media_type", "platform", "manifests") if name in entry},
        )
        for position, entry in enumerate(document["images"])
    )
    return Ledger(destination, document["date"], images)


def read_if_there(path: Path, kind: str) -> Ledger | None:
    """Read a ledger that is to grow; None where there is none yet, or an empty file, or a stream.

    Raises:
        IncrementalError: as for `read_ledger`.
    """
    with host_errors(f"cannot read {path}"):
        there = not is_stream(path) and path.exists() and path.stat().st_size > 0
    return read_ledger(path, kind) if there else None


def _reference_before(entry: Mapping[str, Any], destination: str, *, is_first: bool) -> str:
    """Return where an image is of which a receipt of an older version does not say it."""
    if name := entry.get("name"):
        return f"{destination}/{name}"
    if is_first:
        return destination
    try:
        # It may have a tag; but which one was not said.
        return str(Reference.parse(destination).pinned(entry["digest"]))
    except UsageError:
        return f"{destination}@{entry['digest']}"


def merged(new: Iterable[LedgerImage], earlier: Ledger | None) -> tuple[LedgerImage, ...]:
    """Return what a ledger has after a push.

    What stood under the same reference before goes: a registry may remove what no tag points to.

    Args:
        new: what was pushed or sent.
        earlier: the ledger before.
    """
    latest = tuple(new)
    replaced = {image.reference for image in latest}
    return (*latest, *(old for old in (earlier.images if earlier else ()) if old.reference not in replaced))


def require_room(kind: str, images: Sequence[LedgerImage]) -> None:
    """Refuse a ledger that would be too long to be read.

    Args:
        kind: `RECEIPT` or `SENT`.
        images: what it would name.

    Raises:
        UsageError: they have too many layers.
    """
    layers = sum(len(image.layers) for image in images)
    manifests = sum(len(image.about.get("manifests", ())) for image in images)
    if layers * _LAYER_BYTES + manifests * _MANIFEST_BYTES + len(images) * _IMAGE_BYTES > OURS.size:
        raise UsageError(
            f"one {_CALLED[kind].removeprefix('a ')} can't hold {plural(len(images), 'image')} with "
            f"{plural(layers, 'layer')}",
            _BEGIN_ANOTHER[kind],
        )


def write_ledger(kind: str, images: Iterable[LedgerImage], file: BinaryIO, destination: str | None = None) -> None:
    """Write a ledger.

    Args:
        kind: `RECEIPT` or `SENT`.
        images: what it holds; those without a date have the document's.
        file: where to.
        destination: where the push went.
    """
    document = {
        kind: FORMAT,
        **({"destination": destination} if destination else {}),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "images": [
            {
                "digest": image.digest,
                **({"name": image.name} if image.name else {}),
                "reference": image.reference,
                **({"date": image.date} if image.date else {}),
                **image.about,
                "layers": [
                    {"digest": layer.digest, "media_type": layer.media_type, "size": layer.size}
                    for layer in image.layers.values()
                ],
            }
            for image in images
        ],
    }
    file.write(json.dumps(document, indent=1).encode() + b"\n")


def images_for(images: Iterable[LedgerImage], title: str | None, *, in_bundle: bool) -> list[LedgerImage]:
    """Return the images whose layers are of use to an image.

    A registry has layers by repository: those in another one are of no use. A site may call the repository
    `mirror/team/app`, or, where it has no other, as it likes.

    Args:
        images: those of a ledger.
        title: what people call the image that is to be pulled; None where all count.
        in_bundle: whether that is its name in a bundle.
    """
    listed = list(images)
    if title is None:
        return listed
    found = [
        image for image in listed if image.where is None or is_same_repository(image, title, in_bundle=in_bundle)
    ]
    renamed = not any(image.name for image in listed) and len({image.repository for image in listed}) == 1
    return found or (listed if renamed else [])


def is_same_repository(image: LedgerImage, title: str, *, in_bundle: bool) -> bool:
    """Say whether an image of a ledger is in the repository of another one, whatever the tags are.

    Args:
        image: what the ledger has.
        title: what people call the other one.
        in_bundle: whether that is its name in a bundle: then that of a bundle's image must be the same. Else one
            may have folders before it that the other has not.
    """
    own, other = image.repository, repository_of(title)
    if own is None or other is None:
        return False
    if own == other or (image.name and in_bundle):
        return own == other
    return own.endswith(f"/{other}") or other.endswith(f"/{own}")


def layers_of(images: Iterable[LedgerImage]) -> dict[str, Mapping[str, Descriptor]]:
    """Return, for the digest of each image, its layers by digest."""
    return {image.digest: image.layers for image in images}


def titles_of(images: Iterable[LedgerImage]) -> dict[str, str]:
    """Return what people call images, by their digests, as far as the ledger says."""
    return {image.digest: image.title for image in reversed(list(images)) if image.title}


def in_all(sites: Sequence[Sequence[LedgerImage]], digest: str) -> Shared:
    """Return what several sites have in common, as bases.

    Args:
        sites: for each site, those of its images that are of use.
        digest: that of the image to be pulled. It is a base only if all sites have it: each common layer is in
            another image, too, where one lacks it.
    """
    held = [{layer for image in images for layer in image.layers} for images in sites]
    common = set.intersection(*held)
    whole = all(any(image.digest == digest for image in images) for images in sites)
    images = [image for site in sites for image in site if whole or image.digest != digest]
    layers = {
        image.digest: {each: layer for each, layer in image.layers.items() if each in common} for image in images
    }
    used = {base: kept for base, kept in layers.items() if kept or (whole and base == digest)}
    return Shared(used, {base: title for base, title in titles_of(images).items() if base in used})
