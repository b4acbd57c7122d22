"""What a pull has sent, for a vendor whom nobody tells what arrived."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..host.outputs import output_file
from ..source.ledger import SENT, LedgerImage, merged, read_if_there, require_room, write_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .plan import PullPlan


@contextmanager
def sent_ledger(path: Path) -> Iterator[Callable[[PullPlan], None]]:
    """Add what a pull sends to a list of what was sent, when the block ends well; else the list stays as it is.

    Args:
        path: the list's file; it need not exist yet.

    Returns:
        What is to be called, once, with the images of the archive, when that is complete.

    Raises:
        UsageError: the list would become too long to be read.
        ContentError: the file is no such list.
        HostError: it can't be read or written.
    """
    # What is wrong with it must show before anything is fetched.
    read_if_there(path, SENT)
    with output_file(path) as file:

        def add(plan: PullPlan) -> None:
            new = [
                LedgerImage(
                    digest=planned.image.root.digest,
                    name=planned.name if plan.is_bundle else None,
                    reference=str(planned.source.reference),
                    date="",
                    layers=planned.image.layers,
                )
                for planned in plan.images
                if planned.source
            ]
            # Another pull may have added to it since.
            images = merged(new, read_if_there(path, SENT))
            require_room(SENT, images)
            write_ledger(SENT, images, file)

        yield add
