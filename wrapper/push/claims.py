"""What a registry says it has is not sent to it: that it can be read is looked at before a tag counts on it.

A yes to HEAD may come from a cache, long after garbage collection has removed a layer. Such a registry takes a
manifest and a tag, and nobody can pull the image.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ..archive.contents import missing_layers
from ..errors import (
    HostError,
    IncrementalError,
    LinkError,
    NetworkError,
    NotFoundError,
    RegistryError,
    ServerError,
)
from ..host.text import named, plural
from ..oci.manifest import build_layers_dictionary
from ..results import MissingLayer
from ..skopeo.proxy import begin_reading
from .held import loose_bases
from .readback import is_lost, likely_images, next_step, not_given_back, what_blobs
from .tags import bringing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..host.progress import Progress
    from ..oci.reference import Reference
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from .destination import Destination
    from .held import Told
    from .plan import PushItem
    from .vet import Vetted

_OPENED = 3
"""How many of the layers' bases are tried: any image of the repository will do."""

_GROUPS = 6
"""How many groups of blobs are read side by side, where the registry is far.

Each opens an image, and a registry may allow so many of these in an hour.
"""

_ASIDE = re.compile(r'\bGet "?https?://|(status code from registry|StatusCode:|HTTP) (?!404|410)\d\d\d\b')
"""What says nothing of a blob: a proxy, or the storage that readers are sent on to, does not let anybody pass."""


class Claims:
    """What registries say that they have, for all items of a push.

    Attributes:
        unread: for the name of each item, the layers and configs that can be read only when it was uploaded.
    """

    def __init__(
        self,
        skopeo: Skopeo,
        blob_source: BlobSource,
        bases: Sequence[ImageSource],
        told: Sequence[Told],
        names: Mapping[str, str],
        report: Progress,
    ) -> None:
        """Prepare.

        Args:
            skopeo: an entered `Skopeo`.
            blob_source: the archives.
            bases: the user's own.
            told: where images are said to be that a push may count on.
            names: what people call bases, by their digests.
            report: is told each step, and receives warnings.
        """
        self._skopeo = skopeo
        self._blob_source = blob_source
        self._bases = bases
        self._told = told
        self._names = names
        self._report = report
        self._first_bytes = FirstBytes(skopeo, names, report)
        self.unread: dict[str, Sequence[MissingLayer]] = {}

    def look(self, item: PushItem, vetted: Vetted) -> None:
        """Begin to read all that a registry would not be sent, and warn where no tag holds a base of it.

        Args:
            item: what goes where; its destination has been looked at.
            vetted: what the destination has of what no archive has.

        Raises:
            RegistryError: something can't be read.
            IncrementalError: the registry gave no clear answer.
        """
        if not item.destination.may_be_wrong or not item.destination.is_behind(item.images):
            return
        left = list(self._mountable(item, vetted))
        # Any image of a repository will do for all of its blobs: what brings layers also serves for the archive's.
        likely = likely_images(item.destination.here, vetted.claimed, self._bases, _OPENED)

        def read(claimed: Sequence[MissingLayer]) -> None:
            if claimed and not self._first_bytes.can_read(item.destination.reference, claimed, likely):
                left.extend(claimed)

        steps: list[Callable[[], None]] = [
            partial(self._warn_of_loose_bases, item.destination, vetted),
            partial(read, vetted.claimed),
            lambda: read(self._at_hand(item)),
        ]
        for result in self._skopeo.side_by_side(steps):
            if result:
                raise result
        if left:
            self.unread[item.name] = left

    def read_uploaded(self, item: PushItem, digest: str, *, tagged: bool = False) -> None:
        """Begin to read what could not be read before: as a part of what was uploaded.

        Args:
            item: what went where.
            digest: that of the image there.
            tagged: whether its tag was written.

        Raises:
            RegistryError: something can't be read.
        """
        unread = self.unread.get(item.name)
        uploaded = item.destination.here.at(digest)
        reference = item.destination.reference
        if unread and not self._first_bytes.can_read(reference, unread, [uploaded], tagged=tagged):
            (raw,) = self._skopeo.inspect_raw([uploaded])
            if isinstance(raw, NotFoundError) and not tagged:
                # Of a manifest, too, it may say that it has it.
                raise not_given_back(reference, raw)
            self._report.warn(
                f"whether {reference} still has {plural(len(unread), 'blob')} that it says it has is not known: "
                "the image can't be read from here"
            )

    def _at_hand(self, item: PushItem) -> tuple[MissingLayer, ...]:
        """Ask which layers and configs of the archives a destination has: skopeo does not send them then."""
        images, destination = item
        leaves = [leaf for each in images for leaf in each.image.leaves]
        configs = {leaf.manifest.config.digest: leaf.manifest.config for leaf in leaves}
        blobs = configs | build_layers_dictionary(*leaves)
        asked = [blobs[digest] for digest in sorted(blobs) if digest in self._blob_source]
        what = f"asking {destination.reference} for {plural(len(asked), 'blob')} of the archive"
        self._report.begin("vetting", str(destination.reference), what)
        present = destination.present_layers(self._skopeo, asked)
        return tuple(MissingLayer(blob.digest, blob.size, ()) for blob in asked if blob.digest in present)

    def _mountable(self, item: PushItem, vetted: Vetted) -> tuple[MissingLayer, ...]:
        """Return the layers that a registry may take from another of its repositories: nobody sends them then."""
        if not vetted.absent or not self._blob_source.has_base_in(item.destination.reference.registry):
            return ()
        sizes = {digest: layer.size for digest, layer in vetted.absent.items()}
        return missing_layers(sizes, self._blob_source.contents)

    def _warn_of_loose_bases(self, destination: Destination, vetted: Vetted) -> None:
        bases = sorted({base for layer in vetted.claimed for base in layer.bases})
        for base in loose_bases(self._skopeo, destination.reference, destination.access, bases, self._told):
            self._report.warn(
                f"no known tag of {destination.reference.name} holds {named(base, self._names)}: the registry's "
                "retention may remove layers that this push counts on; give it a tag there"
            )


class FirstBytes:
    """Begins to read blobs of a registry; their first bytes are enough."""

    def __init__(self, skopeo: Skopeo, names: Mapping[str, str], report: Progress) -> None:
        """Prepare.

        Args:
            skopeo: an entered `Skopeo`.
            names: what people call bases, by their digests.
            report: is told each step, and receives warnings.
        """
        self._skopeo = skopeo
        self._names = names
        self._report = report
        self._out_of_reach = False

    def can_read(
        self,
        reference: Reference,
        claimed: Sequence[MissingLayer],
        likely: Sequence[ImageSource],
        *,
        tagged: bool = False,
    ) -> bool:
        """Begin to read blobs, unless some were out of reach before: each would be waited for as long again.

        Args:
            reference: where the registry says that it has them.
            claimed: what to read, with the bases that would bring each.
            likely: images of that repository, the likeliest first; they need not exist.
            tagged: whether a tag was written.

        Returns:
            Whether there is such an image: else nothing could be read.

        Raises:
            RegistryError: something is not there.
            IncrementalError: the registry gave no clear answer.
        """
        if self._out_of_reach:
            return True
        sizes = {blob.digest: blob.size for blob in claimed}
        what = f"reading the first bytes of {plural(len(sizes), 'blob')} of {reference}"
        self._report.begin("vetting", str(reference), what)
        unread = self._unread(likely, sizes)
        if unread is None:
            return False
        lost = {digest: error for digest, error in unread.items() if _is_lost(error)}
        if lost:
            first = next(iter(lost.values()))
            bases = bringing([blob for blob in claimed if blob.digest in lost and blob.bases], self._names)
            raise RegistryError(
                f"{reference} says that it has every blob, but {what_blobs(lost, sizes)} can't be read there: "
                f"{first.message}; {'its tag was written' if tagged else 'no tag was written'}",
                next_step(first, f"{bases} and then this archive" if bases else "this archive"),
            )
        if unread:
            first = next(iter(unread.values()))
            last = "; nothing else is read there" if self._out_of_reach else ""
            self._report.warn(
                f"{reference} says that it has {what_blobs(unread, sizes)}, which can't be read from here: "
                f"{first.message}{last}"
            )
        return True

    def _unread(
        self, likely: Sequence[ImageSource], sizes: Mapping[str, int]
    ) -> dict[str, IncrementalError] | None:
        """Begin to read; return what is wrong with each that can't be read, or None where there is no image.

        Raises:
            IncrementalError: the registry gave no clear answer.
        """
        skopeo = self._skopeo
        blobs = list(sizes.items())
        count = 1 if skopeo.is_near else min(_GROUPS, len(blobs))
        groups = [dict(blobs[first::count]) for first in range(count)]
        unread: dict[str, IncrementalError] = {}
        results = skopeo.side_by_side([partial(_read, skopeo, likely, group) for group in groups])
        for group, result in zip(groups, results, strict=True):
            if result is None:
                return None
            if isinstance(result, dict):
                unread |= result
            elif isinstance(result, ServerError) or not isinstance(result, (HostError, NetworkError)):
                raise result
            else:
                # Storage may be out of reach from here, or only so much may be read; and the command that reads is
                # an experiment of skopeo's: a push needs none of that.
                self._out_of_reach = True
                unread |= dict.fromkeys(group, result)
        return unread


def _is_lost(error: IncrementalError) -> bool:
    """Say whether an error is that of a blob which is not there, and not that of the way to it."""
    return is_lost(error) and not (type(error) is RegistryError and _ASIDE.search(error.message))


def _read(
    skopeo: Skopeo, likely: Sequence[ImageSource], blobs: Mapping[str, int]
) -> dict[str, IncrementalError] | None:
    """Begin to read blobs, and those again for which the connection was cut, as often as retries are wanted."""
    attempts = skopeo.retries.begin()
    while True:
        unread = skopeo.steadily(partial(begin_reading, skopeo, likely, blobs))
        cut = next((error for error in (unread or {}).values() if isinstance(error, LinkError)), None)
        if not unread or not cut:
            return unread
        try:
            attempts.wait_after(cut)
        except LinkError:
            # A server that has nothing to send cuts each time.
            return {
                digest: NotFoundError(error.message) if isinstance(error, LinkError) else error
                for digest, error in unread.items()
            }
        blobs = {digest: blobs[digest] for digest in unread}
