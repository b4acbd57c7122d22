"""Archives that are read from a registry, where `push --as-delta` has stored them."""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from ..host.files import CHUNK
from ..host.space import room_for
from ..host.text import human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..archive.reader import ArchiveFile
    from ..host.progress import Progress
    from ..skopeo.access import Access
    from ..skopeo.options import SkopeoOptions
    from ..skopeo.runner import Skopeo

_TRANSPORT = "docker://"
_SIDE = "archive"


@contextmanager
def archives_at_hand(
    archives: Sequence[ArchiveFile], options: SkopeoOptions, access: Access, report: Progress
) -> Iterator[Sequence[ArchiveFile]]:
    """Have archives as files as long as the block runs: those in a registry are fetched.

    Args:
        archives: paths and files; or references that begin with `docker://`.
        options: which skopeo runs, and how; none does where all are at hand.
        access: how their registry is reached.
        report: is told each step.

    Raises:
        UsageError: a reference is malformed, or leads to something else.
        IncrementalError: one can't be fetched, or is not what its digests say.
    """
    if not any(_is_far(archive) for archive in archives):
        yield archives
        return
    from ..skopeo.runner import Skopeo

    with Skopeo(options) as skopeo, ExitStack() as stack:
        yield [
            _fetch(skopeo, archive, access, report, stack)
            if isinstance(archive, str) and _is_far(archive)
            else archive
            for archive in archives
        ]


def _is_far(archive: ArchiveFile) -> bool:
    return isinstance(archive, str) and archive.startswith(_TRANSPORT)


def _fetch(skopeo: Skopeo, text: str, access: Access, report: Progress, stack: ExitStack) -> BinaryIO:
    from ..archive.stored import read_stored, write_stored
    from ..oci.reference import Reference
    from ..skopeo.inspect import ImageSource, read_roots
    from .download import Download, fetch_alone

    source = ImageSource(Reference.parse(text), access, _SIDE)
    with report.phase("reading"):
        report.begin("reading", str(source.reference))
        (root,) = read_roots(skopeo, [source])
    stored = read_stored(root, str(source.reference))
    total = sum(stored.sizes.values())
    begin = partial(Download, skopeo, preserve=True, cache=None, report=report)
    # It is written as a file beside its blobs, which go then.
    with room_for(skopeo.folder, 2 * total), report.phase("fetching", total):
        what = f"fetching the archive {root.digest} ({human_bytes(total)})"
        report.begin("fetching", str(source.reference), what)
        layout = fetch_alone(skopeo, begin, source, root, stored.sizes)
        layout.check(stored.sizes)
        path = layout.folder.with_suffix(".tar")
        with path.open("xb") as file:
            write_stored(stored, layout, str(source.reference), file)
        for digest in stored.sizes:
            layout.blob(digest).unlink()
    raw = io.FileIO(path)
    # What messages call it.
    vars(raw)["name"] = str(source.reference)
    return stack.enter_context(io.BufferedReader(raw, CHUNK))
