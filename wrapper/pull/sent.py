"""What a pull has sent, for a vendor whom nobody tells what arrived."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IncrementalError, UsageError
from ..source.growing import Growing, growing
from ..source.ledger import SENT, LedgerImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..archive.contents import NamedImage
    from ..archive.output import Output
    from ..host.progress import Progress
    from ..results import PullResult
    from ..source.ledger import Ledger
    from .plan import PullPlan
    from .request import PullRequest


class AlreadySentError(Exception):
    """The archive is there already: what ends a pull that would only take out of it what was sent.

    Attributes:
        path: the archive.
        result: what it holds.
    """

    def __init__(self, path: Path, result: PullResult) -> None:
        """Take what the pull returns then."""
        super().__init__(str(path))
        self.path = path
        self.result = result


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


def require_unsent(
    request: PullRequest, plan: PullPlan, sent: Path, earlier: Ledger | None, output: Output, report: Progress
) -> None:
    """Keep an archive from being replaced by one without the very layers that it was to bring.

    The same pull a second time has what the first one sent as its base. Nothing of that has left yet, perhaps.

    Args:
        request: what is pulled.
        plan: what would travel.
        sent: the list of what was sent, to which the pull adds.
        earlier: what it says now; None where it says nothing.
        output: where the archive goes.
        report: receives a warning where the archive stays as it is.

    Raises:
        AlreadySentError: the list is a base, too, and says that all images of the pull were sent; and a sound
            archive of these images, which leaves out no more, is there already.
    """
    bases = {base.reference for image in request.images for base in image.bases}
    if not any(base.transport == SENT and Path(base.name).resolve() == sent.resolve() for base in bases):
        return
    held = {(image.place, image.digest) for image in (earlier.images if earlier else ())}
    all_sent = held >= {(image.place, image.digest) for image in sent_images(plan)}
    if not all_sent or not isinstance(output, (str, Path)) or not Path(output).is_file():
        return
    path = Path(output)
    result = _result_of(path, plan, report)
    if result:
        report.warn(result.warnings[-1])
        raise AlreadySentError(path, result)


def _result_of(path: Path, plan: PullPlan, report: Progress) -> PullResult | None:
    """Describe the archive of an earlier run of a pull; None where there is no such archive, or a damaged one."""
    from ..archive.summary import describe, with_changes
    from ..results import ArchiveInfo, PullResult
    from ..source.blobs import BlobSource

    try:
        with BlobSource([path]) as blobs:
            (contents,) = blobs.contents
            same = _told_apart(contents.images) == _told_apart(named for _, named in plan.parts)
            if not same or not contents.omitted.keys() <= plan.omitted.keys():
                return None
            blobs.verify(report)
            archive = ArchiveInfo(str(path), blobs.sha256(report)[0], blobs.size)
            fields = with_changes(describe(contents, blobs.read), contents).shared_fields()
    except IncrementalError:
        return None
    note = f"{path} stays as it is: these images are in it, and the list of what was sent has them since"
    return PullResult(**fields, changed=False, archive=archive, warnings=(*plan.warnings(), note), gone=plan.gone)


def _told_apart(images: Iterable[NamedImage]) -> set[tuple[object, ...]]:
    return {(*named.key, named.subject, *sorted(named.image.absent)) for named in images}
