"""Says what an archive holds, and whether a place has what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .archive.contents import missing_layers
from .archive.summary import describe, describe_manifests, with_changes
from .oci.manifest import unnamed_layer
from .results import InspectResult
from .source.blobs import BlobSource

if TYPE_CHECKING:
    from .archive.reader import ArchiveFile
    from .host.progress import Progress
    from .results import MissingLayer
    from .skopeo.inspect import ImageSource
    from .skopeo.options import SkopeoOptions


def inspect(
    archive: ArchiveFile,
    place: ImageSource | None,
    skopeo_options: SkopeoOptions,
    report: Progress,
    *,
    checksum: bool,
) -> InspectResult:
    """Read what an archive holds; its layers are not verified.

    Args:
        archive: a path or a seekable binary file.
        place: a base or a destination, which is asked for the layers that the archive leaves out.
        skopeo_options: which skopeo runs, and how; none does without `place`.
        report: is told each step.
        checksum: whether the archive is hashed as a whole, and its volumes, if it has any.

    Raises:
        IncrementalError: the archive is broken, hostile, or made by a newer version; or the place gave no clear
            answer.
    """
    with BlobSource([archive]) as blob_source:
        (found,) = blob_source.contents
        missing = _missing_at(place, blob_source, skopeo_options, report) if place else ()
        sha256, volumes = blob_source.sha256(report) if checksum else (None, ())
        return InspectResult(
            **with_changes(describe(found, blob_source.read), found).shared_fields(),
            changed=False,
            format=found.format,
            archive_size=blob_source.size,
            destination=str(place.reference) if place else None,
            missing=missing,
            archive_sha256=sha256,
            volumes=volumes,
            manifests=describe_manifests(found, blob_source.read),
        )


def _missing_at(
    place: ImageSource, blob_source: BlobSource, skopeo_options: SkopeoOptions, report: Progress
) -> tuple[MissingLayer, ...]:
    """Ask a place for what is left out, for layers that travel as their change, and for what they are made from."""
    from .skopeo.runner import Skopeo
    from .source.presence import layers_at

    (found,) = blob_source.contents
    if found.is_bundle and place.reference.transport == "docker":
        report.warn(f"only {place.reference} is asked: use vet, as images of a bundle go to several repositories")
    wanted = {digest: layer.size for digest, layer in found.omitted.items()}
    wanted |= {digest: delta.size for digest, delta in found.deltas.items()}
    lacking = blob_source.making(wanted, blob_source.archived).lacking
    if not lacking:
        return ()
    asked = [found.omitted.get(digest) or unnamed_layer(digest, lacking[digest]) for digest in sorted(lacking)]
    with Skopeo(skopeo_options) as skopeo, report.phase("vetting"):
        present = layers_at(skopeo, place, asked, report)
    making = blob_source.making(wanted, lambda digest: digest in present or blob_source.archived(digest))
    return missing_layers(making.missing, [found])
