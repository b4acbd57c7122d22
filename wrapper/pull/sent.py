"""What a pull has sent, for a vendor whom nobody tells what arrived."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..source.growing import Growing, growing
from ..source.ledger import SENT, LedgerImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..archive.output import Output
    from .plan import PullPlan


@contextmanager
def sent_ledger(path: Path, output: Output) -> Iterator[Growing]:
    """Have a list of what was sent grow, if the block ends well; else it stays as it is.

    Args:
        path: the list's file; it need not exist yet.
        output: where the archive goes.

    Raises:
        UsageError: the archive goes to the same file.
        ContentError: the file is no such list.
        HostError: it can't be read or written.
    """
    if isinstance(output, (str, Path)) and Path(output).resolve() == path.resolve():
        raise UsageError(
            f"{path} can't be both the archive and the list of what was sent",
            "name another file with `sent_ledger`",
        )
    with growing(path, SENT) as ledger:
        yield ledger


def sent_images(plan: PullPlan) -> list[LedgerImage]:
    """Return what such a list says of the images of a pull."""
    return [
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
