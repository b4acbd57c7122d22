"""What every destination of a push can do, and what is handed to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.reference import is_tag
from ..skopeo.inspect import ImageSource
from .tags import SIDE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from ..archive.contents import ArchiveContents, NamedImage
    from ..host.progress import Progress
    from ..oci.manifest import Descriptor
    from ..oci.reference import Reference
    from ..results import MissingLayer, ReadBack
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from .upload import Upload, UploadResult


class Destination(ABC):
    """A place that images are pushed to.

    Attributes:
        reference: what the user calls it.
        access: how it is reached.
        folder: where it is on this machine, for temporary files beside it; None where it isn't.
        writes: whether anything will be written there; else it is only asked.
        phase: what it is called when something is written there: one of `events.PHASES`.
        may_be_wrong: whether it may say that it has what it has not: a registry's cache outlives what is removed.
    """

    folder: Path | None = None
    phase = "sending"
    may_be_wrong = False

    def __init__(
        self,
        reference: Reference,
        access: Access,
        *,
        preserve: bool,
        additional_tags: Sequence[str] = (),
        overwrite_tag: bool = True,
        writes: bool = True,
    ) -> None:
        """Check what can be checked beforehand.

        Args:
            reference: what the user calls it.
            access: how it is reached.
            preserve: whether digests must stay as they are.
            additional_tags: further tags of the image.
            overwrite_tag: whether what is there may be replaced by another image.
            writes: whether anything will be written there; else it is only asked.

        Raises:
            UsageError: something is asked for that this destination can't do.
        """
        self.reference = reference
        self.access = access
        self.preserve = preserve
        self.additional_tags = additional_tags
        self.overwrite_tag = overwrite_tag
        self.writes = writes
        for tag in additional_tags:
            if not is_tag(tag):
                raise UsageError(f"'{tag}' is not a tag")
        access.policy_flags()
        self.check()

    @property
    def here(self) -> ImageSource:
        """Its reference, as an image to read; other images of its repository are read by `at`."""
        return ImageSource(self.reference, self.access, SIDE)

    def check(self) -> None:  # noqa: B027 - not every destination has something to check
        """Refuse what this destination can't do.

        Raises:
            UsageError: something is asked for that it can't do.
        """

    @abstractmethod
    def select_images(self, contents: Sequence[ArchiveContents]) -> tuple[NamedImage, ...]:
        """Return what of the archives goes there, in this order.

        Raises:
            UsageError: they hold nothing that fits.
        """

    @abstractmethod
    def present_layers(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Return the digests of the layers that are there already; nothing is written.

        Raises:
            IncrementalError: it gave no clear answer.
        """

    def offer_delta_sources(  # noqa: B027 - few can
        self, skopeo: Skopeo, blob_source: BlobSource, layers: Collection[str], manifests: Sequence[str]
    ) -> None:
        """Let layers that are there be read, to make others of them.

        Args:
            skopeo: an entered `Skopeo`.
            blob_source: what is told.
            layers: digests of those that are needed.
            manifests: digests of manifests that may be there and have them, the likeliest first; of hostile origin.

        Raises:
            IncrementalError: it gave no clear answer.
        """

    @abstractmethod
    def read_layers(
        self,
        skopeo: Skopeo,
        layers: Sequence[MissingLayer],
        bases: Sequence[ImageSource],
        names: Mapping[str, str],
        report: Progress,
    ) -> ReadBack:
        """Read layers that `present_layers` has found, and compare: a place may say yes, and be wrong.

        Args:
            skopeo: an entered `Skopeo`.
            layers: what to read, as `missing_layers` tells it.
            bases: the user's own.
            names: what people call bases, by their digests.
            report: is told each step.

        Raises:
            IncrementalError: one can't be read.
        """

    def is_behind(self, images: Sequence[NamedImage]) -> bool:
        """Say whether an image is to be written, as `look` has found it."""
        return True

    def look(  # noqa: B027 - only a registry has tags
        self, skopeo: Skopeo, images: Sequence[NamedImage], report: Progress
    ) -> None:
        """Look at what is there under the names that images will have, before an upload.

        Args:
            skopeo: an entered `Skopeo`.
            images: what will be sent, as in `Upload`.
            report: receives a line for each name that this login may not see.

        Raises:
            IncrementalError: it gave no clear answer, or something there would be replaced that must not be.
        """

    def upload_untagged(self, upload: Upload, *, again: bool) -> None:  # noqa: B027 - only a registry can
        """Upload all that tags will point to, and leave the tags as they are.

        Args:
            upload: what goes there.
            again: upload also what tags point to already.

        Raises:
            IncrementalError: it can't be written.
        """

    def verify(self, skopeo: Skopeo, images: Sequence[NamedImage], report: Progress, *, layers: bool) -> ReadBack:
        """Read images back that were uploaded without tags.

        Args:
            skopeo: an entered `Skopeo`.
            images: what was uploaded.
            report: is told each step.
            layers: read every layer, too, and not manifests and configs alone.

        Raises:
            UsageError: this destination is no registry.
            RegistryError: something can't be read, or is not what was sent.
        """
        raise UsageError(f"{self.reference} is no registry", "leave out `verify`")

    @abstractmethod
    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Write images there, unless they are there already.

        Raises:
            IncrementalError: it can't be written, or something there would be replaced that must not be.
        """
