"""What a registry says it has is not sent to it: that it can be read is looked at before a tag counts on it.

A yes to HEAD may come from a cache, long after garbage collection has removed a layer. Such a registry takes a
manifest and a tag, and nobody can pull the image.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..errors import (
    BusyError,
    ContentError,
    HostError,
    IncrementalError,
    NotFoundError,
    RegistryError,
    ServerError,
)
from ..host.text import plural
from ..skopeo.proxy import begin_reading
from .readback import next_step, what_blobs
from .tags import bringing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..host.progress import Progress
    from ..oci.reference import Reference
    from ..results import MissingLayer
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo

_GROUPS = 6
"""How many groups of blobs are read side by side, where the registry is far: a group takes one after the other."""

_CUT = ("EOF", "connection reset")
"""What is said where a server begins an answer, and then has nothing to send."""


def require_readable(
    skopeo: Skopeo,
    destination: Reference,
    likely: Sequence[ImageSource],
    claimed: Sequence[MissingLayer],
    names: Mapping[str, str],
    report: Progress,
) -> bool:
    """Begin to read layers and configs that a repository says it has; their first bytes are enough.

    Args:
        skopeo: an entered `Skopeo`.
        destination: what the user calls the repository.
        likely: images of the repository, the likeliest first; they need not exist.
        claimed: what to read, with the bases that would bring each.
        names: what people call bases, by their digests.
        report: is told each step, and receives a warning where something can't be read for another reason.

    Returns:
        Whether one of the images is there: else nothing could be read.

    Raises:
        RegistryError: something is not there.
        IncrementalError: the registry gave no clear answer.
    """
    sizes = {blob.digest: blob.size for blob in claimed}
    what = f"reading the first bytes of {plural(len(sizes), 'blob')} of {destination}"
    report.begin("vetting", str(destination), what)
    try:
        unread = _unread(skopeo, likely, sizes)
    except HostError as error:
        # The command that is used is an experiment of skopeo's: that it is there is no condition for a push.
        report.warn(f"whether {destination} still has what it says it has is not known: {error.message}")
        return True
    if unread is None:
        return False
    lost = {digest: error for digest, error in unread.items() if _is_lost(error)}
    if lost:
        first = next(iter(lost.values()))
        bases = bringing([blob for blob in claimed if blob.digest in lost and blob.bases], names)
        raise RegistryError(
            f"{destination} says that it has every blob, but {what_blobs(lost, sizes)} can't be read there: "
            f"{first.message}; no tag was written",
            next_step(first, f"{bases} and then this archive" if bases else "this archive"),
        )
    if unread:
        first = next(iter(unread.values()))
        report.warn(
            f"{destination} says that it has {what_blobs(unread, sizes)}, which can't be read from here: "
            f"{first.message}"
        )
    return True


def _unread(
    skopeo: Skopeo, likely: Sequence[ImageSource], sizes: Mapping[str, int]
) -> dict[str, IncrementalError] | None:
    """Begin to read; return what is wrong with each that can't be read, or None where there is no image."""

    def read(blobs: Mapping[str, int]) -> dict[str, IncrementalError] | None:
        unread = begin_reading(skopeo, likely, blobs)
        for error in (unread or {}).values():
            if isinstance(error, (BusyError, ServerError)):
                raise error
        return unread

    blobs = list(sizes.items())
    groups = 1 if skopeo.is_near else min(_GROUPS, len(blobs))
    steps = [partial(skopeo.steadily, partial(read, dict(blobs[first::groups]))) for first in range(groups)]
    unread: dict[str, IncrementalError] = {}
    for result in skopeo.side_by_side(steps):
        if isinstance(result, IncrementalError):
            raise result
        if result is None:
            return None
        unread |= result
    return unread


def _is_lost(error: IncrementalError) -> bool:
    """Say whether an error is that of a blob which is not there; no network and no login has a part in that."""
    if isinstance(error, (ContentError, NotFoundError)) or type(error) is RegistryError:
        return True
    return any(sign in error.message for sign in _CUT)
