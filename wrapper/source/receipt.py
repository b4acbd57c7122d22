"""Receipts: what a destination has after a push, to be carried back as the next pull's base."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.reference import Reference, path_and_tag
from . import ledger
from .ledger import RECEIPT, LedgerImage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from ..archive.contents import NamedImage
    from ..results import PushResult
    from .ledger import Ledger

_KEEP_OTHERS = ("containers-storage", "docker", "oci")
"""Transports of places that keep other images beside one that is pushed."""


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
    found = ledger.read_if_there(path, RECEIPT)
    if found is None:
        return None
    if _place(found.destination) != _place(str(destination)):
        raise UsageError(
            f"{path} is the receipt of {found.destination}, and this push goes to {destination}",
            "name another file with `receipt`: each place has its own",
        )
    return found if destination.transport in _KEEP_OTHERS else None


def require_room(images: Iterable[NamedImage], earlier: Ledger | None = None) -> None:
    """Refuse a receipt that would be too long to be read.

    Args:
        images: what is pushed.
        earlier: what it had before.

    Raises:
        UsageError: they have too many layers.
    """
    planned = [
        LedgerImage(
            named.image.root.digest, named.name, "", "", named.image.layers, {"manifests": named.image.leaves}
        )
        for named in images
    ]
    ledger.require_room(RECEIPT, [*planned, *(earlier.images if earlier else ())])


def write_receipt(
    result: PushResult, images: Iterable[NamedImage], file: BinaryIO, earlier: Ledger | None = None
) -> None:
    """Write what the destination of a push has now.

    Args:
        result: what the push did.
        images: what it sent, first the one whose digest there the result has.
        file: where to.
        earlier: what it had before.
    """
    described = {each.digest: each for each in result.images}
    pushed = {each.name: each.destination for each in result.outcomes}
    new = []
    for position, named in enumerate(images):
        image, digest = named.image, named.image.root.digest
        about = asdict(described[digest])
        if result.bundle:
            reference = pushed.get(str(named.name)) or f"{result.destination}/{named.name}"
        elif position:
            reference = about["reference"] or f"{result.destination}@{digest}"
        else:
            # skopeo may have converted the only image.
            reference, digest = result.destination, str(result.digest)
        new.append(
            LedgerImage(
                digest,
                named.name if result.bundle else None,
                reference,
                "",
                image.layers,
                {name: about[name] for name in ("media_type", "platform", "manifests")},
            )
        )
    ledger.write_ledger(RECEIPT, ledger.merged(new, earlier), file, result.destination)


def _place(destination: str) -> str:
    """Return the place whose images a receipt may name together: a registry, a layout's folder, a store."""
    transport, _, details = destination.partition(":")
    if transport == "docker":
        return details.removeprefix("//").removeprefix("docker.io/").partition("/")[0]
    if transport == "containers-storage":
        return details[: details.rfind("]") + 1]
    return f"{transport}:{path_and_tag(Reference(transport, details))[0]}"
