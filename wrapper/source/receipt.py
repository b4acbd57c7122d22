"""Receipts: what a destination has after a push, to be carried back as the next pull's base."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.reference import Reference, path_and_tag
from .growing import Growing, growing, read_if_there
from .ledger import RECEIPT, LedgerImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..archive.contents import ArchiveContents, NamedImage
    from ..results import PushResult
    from .ledger import Ledger

_KEEP_OTHERS = ("containers-storage", "docker", "oci")
"""Transports of places that keep other images beside one that is pushed."""


@contextmanager
def receipt_of(destination: Reference, path: Path) -> Iterator[Growing]:
    """Have a receipt grow, if the block ends well; else it stays as it is.

    Args:
        destination: where the push goes.
        path: the file; it need not exist yet.

    Raises:
        UsageError: it is another place's.
        IncrementalError: as for `growing`.
    """
    with growing(path, RECEIPT, lambda: earlier_receipt(path, destination)) as receipt:
        yield receipt


def earlier_receipt(path: Path, destination: Reference) -> Ledger | None:
    """Read the receipt that a push is to add to.

    Args:
        path: the file.
        destination: where the push goes.

    Returns:
        What the place had before; None where there is no receipt yet, or where a push replaces everything.

    Raises:
        UsageError: it is another place's.
        IncrementalError: as for `ledger.read_ledger`.
    """
    found = read_if_there(path, RECEIPT)
    if found is None:
        return None
    if _place(found.destination) != _place(str(destination)):
        raise UsageError(
            f"{path} is the receipt of {found.destination}, and this push goes to {destination}",
            "name another file with `receipt`: each place has its own",
        )
    return found if destination.transport in _KEEP_OTHERS else None


def planned_images(images: Iterable[NamedImage]) -> list[LedgerImage]:
    """Return what a receipt is to say of images that are to be pushed, as far as its length goes."""
    return [
        LedgerImage(
            named.image.root.digest,
            named.name,
            # Which it will be is not known yet. All are different.
            str(position),
            "",
            named.image.layers,
            {
                "manifests": [{"digest": leaf.digest} for leaf in named.image.leaves],
                "absent": [{"digest": digest} for digest in named.image.absent],
            },
        )
        for position, named in enumerate(images)
    ]


def newest_first(images: Iterable[NamedImage], contents: Iterable[ArchiveContents]) -> list[NamedImage]:
    """Return images in the order of a ledger: those of a chain's newest archive first, as they are otherwise.

    Args:
        images: the images.
        contents: what each archive of the chain holds, the oldest first.
    """
    archives = {named.image.root.digest: place for place, found in enumerate(contents) for named in found.images}
    return sorted(images, key=lambda named: archives[named.image.root.digest], reverse=True)


def pushed_images(
    result: PushResult, images: Iterable[NamedImage], further: Iterable[Reference] = ()
) -> list[LedgerImage]:
    """Return what a receipt says of images that were pushed.

    Args:
        result: what the push did; what it could not push of a bundle is left out.
        images: what it was to send, first the one whose digest there the result has.
        further: what else leads to the first.
    """
    described = {each.digest: each for each in result.images}
    goes_to = {each.name: each.destination for each in result.outcomes}
    arrived = {tag.reference for tag in result.tags}
    new = []
    for position, named in enumerate(images):
        image, digest = named.image, named.image.root.digest
        about = asdict(described[digest])
        if result.bundle:
            reference = goes_to[str(named.name)]
            if reference not in arrived:
                continue
        elif position:
            reference = about["reference"] or f"{result.destination}@{digest}"
        else:
            # skopeo may have converted the only image.
            reference, digest = result.tags[0].reference, str(result.digest)
        new.append(
            LedgerImage(
                digest,
                named.name if result.bundle else None,
                reference,
                "",
                image.layers,
                {name: about[name] for name in ("media_type", "platform", "manifests")}
                | ({"absent": [_named(each) for each in about["absent"]]} if about["absent"] else {}),
            )
        )
    # A tag is one image's at a time, so each has an entry.
    return [*new[:1], *(replace(new[0], reference=str(each)) for each in further), *new[1:]]


def _named(manifest: Mapping[str, object]) -> dict[str, object]:
    return {name: manifest[name] for name in ("digest", "media_type", "platform")}


def _place(destination: str) -> str:
    """Return the place whose images a receipt may name together: a registry, a layout's folder, a store."""
    transport, _, details = destination.partition(":")
    if transport == "docker":
        # A bundle may go to a registry's host alone.
        details = details.removeprefix("//")
        return Reference("docker", details if "/" in details else f"{details}/").registry
    if transport == "containers-storage":
        return details[: details.rfind("]") + 1]
    return f"{transport}:{path_and_tag(Reference(transport, details))[0]}"
