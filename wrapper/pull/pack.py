"""The archive of a pull: where everything stands in it, what is put there, and what is said of it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..archive import documents
from ..archive.contents import image_descriptor, index_annotations, sparse_features
from ..archive.docker import docker_manifest
from ..archive.output import Target, written_to
from ..archive.writer import ArchiveLayout, ArchiveWriter, write_archive
from ..delta.artifact import required_features
from ..errors import host_errors
from ..host.space import INCREDIBLE
from ..oci.layout import Layout, index_document
from ..results import ArchiveInfo, PullResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..host.progress import Progress
    from ..source.blobs import BlobSource
    from .plan import PullPlan


@contextmanager
def begin_archive(plan: PullPlan, target: Target | None, *, preserve: bool) -> Iterator[ArchiveWriter | None]:
    """Begin the archive, if layers can go there as they arrive: into a file, and if the image stays as it is.

    Args:
        plan: what it will hold.
        target: where to write, if anywhere.
        preserve: whether digests stay as they are; else skopeo may convert the image.

    Raises:
        HostError: the target can't be written.
    """
    # A layer beyond belief has no place that could be reserved: what really arrives will show the lie.
    beyond_belief = any(size >= INCREDIBLE for size in plan.blob_sizes.values())
    if not target or not target.path or not preserve or beyond_belief:
        yield None
        return
    with host_errors(f"cannot write {target.path}"):
        writer = ArchiveWriter(target.file, archive_layout(plan), durable=not target.temporary)
    with writer:
        yield writer


def archive_layout(plan: PullPlan, sizes: Mapping[str, int] | None = None) -> ArchiveLayout:
    """Lay out the archive that a pull will write.

    Args:
        plan: what travels.
        sizes: digest and size in bytes of every blob that counts; by default all.
    """
    docker = docker_manifest([named for _, named in plan.parts], plan.blob_sizes)
    return ArchiveLayout(index_of(plan), plan.blob_sizes if sizes is None else sizes, plan.omitted, docker)


def index_of(plan: PullPlan) -> bytes:
    """Return the bytes of `index.json` of the archive that a pull will write."""
    images = [named for _, named in plan.parts]
    return index_document(
        [image_descriptor(named) for named in images] + [artifact.index_entry for artifact in plan.artifacts],
        index_annotations(
            plan.bases,
            plan.bases_of,
            plan.names,
            is_bundle=plan.is_bundle,
            requires=[*required_features(plan.deltas.values()), *sparse_features(images)],
        ),
    )


def require_readable(plan: PullPlan) -> None:
    """Refuse to write an archive that its reader would not take.

    Raises:
        ContentError: as the reader would raise it.
    """
    documents.require_readable(
        "the archive",
        index_of(plan),
        [named for _, named in plan.parts],
        plan.blob_sizes,
        plan.deltas,
        [artifact.raw for artifact in plan.artifacts],
    )


def finish_archive(
    blobs: Layout | BlobSource,
    plan: PullPlan,
    target: Target,
    report: Progress,
    writer: ArchiveWriter | None = None,
) -> PullResult:
    """Pack what travels, or the rest of it.

    Args:
        blobs: the layout that `fetch` returned, or what else has every blob that travels.
        plan: what travels.
        target: where to write.
        report: is told each step.
        writer: what `fetch` has begun there, with its layout.

    Raises:
        ContentError: its reader would not take the archive.
        HostError: the target can't be written.
    """
    if not writer:
        # Since it was planned, layers became changes, or skopeo converted the image.
        require_readable(plan)
    layout = archive_layout(plan)
    with report.phase("packing", layout.size), host_errors(f"cannot write {target.name}"):
        report.begin("packing", target.name)
        if writer and isinstance(blobs, Layout):
            for digest in filter(writer.lacks, plan.blob_sizes):
                writer.add(digest, blobs.blob(digest))
            written = writer.finish(report.share("packing", layout.size).at)
        else:
            written = write_archive(target.file, layout, blobs.open_blob, partial(report.add, "packing"))
    return pull_result(plan, blobs.read, *written_to(target, written))


def pull_result(
    plan: PullPlan,
    read_config: Callable[[str], bytes | None],
    archive: ArchiveInfo | None = None,
    changed: bool = False,
) -> PullResult:
    """Describe what was pulled, or would be.

    Args:
        plan: what travels.
        read_config: returns the bytes of a config, or None where it is not at hand.
        archive: the archive; None where none was written.
        changed: whether that is another file than before.
    """
    return PullResult(
        **plan.describe(read_config).shared_fields() | {"delta_sources": plan.delta_sources},
        changed=changed,
        archive=archive,
        warnings=plan.warnings(),
        gone=plan.gone,
    )
