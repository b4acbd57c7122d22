"""Ledgers that grow: what is added is there complete or not at all, also where several add at the same time."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .._version import __version__
from ..errors import UsageError, host_errors
from ..host.files import alone_in
from ..host.outputs import followed, is_stream, output_file
from ..host.text import plural
from ..oci.documents import OURS
from .ledger import CALLED, FORMAT, RECEIPT, SENT, read_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from .ledger import Ledger, LedgerImage

    Read = Callable[[], Ledger | None]

_BEGIN_ANOTHER = {
    RECEIPT: "begin a new file with `receipt`, or push fewer images at a time with `only`",
    SENT: "begin a new file with `sent_ledger`",
}

_IMAGE_BYTES, _LAYER_BYTES, _MANIFEST_BYTES = 1_000, 300, 400
"""What an image, its layer or its manifest takes in a ledger, in bytes; more where a name is long."""


class Growing:
    """A ledger that is to grow.

    Attributes:
        earlier: what it had when it was opened.
    """

    def __init__(self, kind: str, file: BinaryIO, read: Read, take_turn: Callable[[], object]) -> None:
        """Take what `growing` has opened."""
        self.earlier = read()
        self._kind, self._file, self._read, self._take_turn = kind, file, read, take_turn

    def require_room(self, images: Iterable[LedgerImage]) -> None:
        """Refuse more images than can be read again.

        Raises:
            UsageError: the ledger would be too long.
        """
        _require_room(self._kind, _merged(images, self.earlier))

    def add(self, images: Iterable[LedgerImage], destination: str | None = None) -> None:
        """Add images, once.

        Args:
            images: what was pushed or sent, the latest first.
            destination: where the push went.

        Raises:
            UsageError: the ledger would be too long.
            IncrementalError: as for `read_ledger`.
        """
        self._take_turn()
        # Another run may have added to it since it was opened.
        merged = _merged(images, self._read())
        _require_room(self._kind, merged)
        _write(self._kind, merged, self._file, destination)


@contextmanager
def growing(path: Path, kind: str, read: Read | None = None) -> Iterator[Growing]:
    """Have a ledger grow, if the block ends well; else it stays as it is.

    Args:
        path: its file; it need not exist yet.
        kind: `RECEIPT` or `SENT`.
        read: reads what stays of it; by default all of it does.

    Raises:
        HostError: it can't be read or written.
        IncrementalError: as for `read_ledger`.
    """
    with ExitStack() as turn, output_file(path) as file:
        # Nobody else reads it from here until this one is in its place.
        yield Growing(
            kind,
            file,
            read or (lambda: read_if_there(path, kind)),
            lambda: None if is_stream(path) else turn.enter_context(alone_in(followed(path).parent)),
        )


def read_if_there(path: Path, kind: str) -> Ledger | None:
    """Read a ledger that is to grow; None where there is none yet, or an empty file, or a stream.

    Raises:
        IncrementalError: as for `read_ledger`.
    """
    with host_errors(f"cannot read {path}"):
        there = not is_stream(path) and path.exists() and path.stat().st_size > 0
    return read_ledger(path, kind) if there else None


def _merged(new: Iterable[LedgerImage], earlier: Ledger | None) -> tuple[LedgerImage, ...]:
    """Return what a ledger has then.

    What stood under the same reference before goes: a registry may remove what no tag points to.
    """
    latest: dict[str, LedgerImage] = {}
    for image in new:
        latest.setdefault(image.place, image)
    left = []
    for old in earlier.images if earlier else ():
        instead = latest.get(old.place)
        if instead is None:
            left.append(old)
        elif instead.digest == old.digest:
            latest[old.place] = instead.with_parts_of(old)
    return (*latest.values(), *left)


def _require_room(kind: str, images: Sequence[LedgerImage]) -> None:
    layers = sum(len(image.layers) for image in images)
    manifests = sum(len(image.manifests) + len(image.absent) for image in images)
    if layers * _LAYER_BYTES + manifests * _MANIFEST_BYTES + len(images) * _IMAGE_BYTES > OURS.size:
        raise UsageError(
            f"one {CALLED[kind].removeprefix('a ')} can't hold {plural(len(images), 'image')} with "
            f"{plural(layers, 'layer')}",
            _BEGIN_ANOTHER[kind],
        )


def _write(kind: str, images: Iterable[LedgerImage], file: BinaryIO, destination: str | None) -> None:
    """Write a ledger; images without a date have the document's."""
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
