"""Says what an archive holds, and whether a place has what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .archive.contents import missing_layers
from .archive.summary import describe
from .results import InspectResult
from .source.blobs import BlobSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from .archive.contents import ArchiveContents
    from .archive.reader import ArchiveFile
    from .results import MissingLayer
    from .skopeo.inspect import ImageSource
    from .skopeo.options import SkopeoOptions


def inspect(
    archive: ArchiveFile,
    place: ImageSource | None,
    skopeo_options: SkopeoOptions,
    report: Callable[[str], None],
    *,
    checksum: bool,
) -> InspectResult:
    """Read what an archive holds; its layers are not verified.

    Args:
        archive: a path or a seekable binary file.
        place: a base or a destination, which is asked for the layers that the archive leaves out.
        skopeo_options: which skopeo runs, and how; none does without `place`.
        report: receives a line for each step.
        checksum: whether the archive as a whole is hashed.

    Raises:
        IncrementalError: the archive is broken, hostile, or made by a newer version; or the place gave no clear
            answer.
    """
    with BlobSource([archive]) as blob_source:
        (found,) = blob_source.contents
        missing = _missing_at(place, found, skopeo_options, report) if place and found.omitted else ()
        return InspectResult(
            **describe(found, blob_source.read).shared_fields(),
            changed=False,
            format=found.format,
            archive_size=blob_source.size,
            destination=str(place.reference) if place else None,
            missing=missing,
            archive_sha256=blob_source.sha256() if checksum else None,
        )


def _missing_at(
    place: ImageSource, found: ArchiveContents, skopeo_options: SkopeoOptions, report: Callable[[str], None]
) -> tuple[MissingLayer, ...]:
    from .skopeo.runner import Skopeo
    from .source.presence import layers_at

    wanted = [found.omitted[digest] for digest in sorted(found.omitted)]
    with Skopeo(skopeo_options) as skopeo:
        present = layers_at(skopeo, place, wanted, report)
    return missing_layers({layer.digest: layer.size for layer in wanted if layer.digest not in present}, [found])
