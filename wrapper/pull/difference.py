"""The difference of two archives on disk: as if it was pulled with the older one's images as bases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..archive.output import RemoveOnClose, open_target
from ..errors import ContentError
from ..host.space import room_for
from ..host.temporary import default_temp_dir, private_folder
from ..oci.layout import Layout
from ..oci.reference import repository_of
from ..source.blobs import BlobSource
from .pack import archive_layout, finish_archive, pull_result, require_readable
from .plan import PlannedImage, PullPlan

if TYPE_CHECKING:
    from pathlib import Path

    from ..archive.contents import ArchiveContents, NamedImage
    from ..archive.output import Output, Target
    from ..archive.reader import ArchiveFile
    from ..delta.options import DeltaOptions
    from ..host.progress import Progress
    from ..oci.manifest import Descriptor
    from ..results import PullResult


def diff(
    old: ArchiveFile,
    new: ArchiveFile,
    output: Output,
    temp_dir: Path | None,
    deltas: DeltaOptions,
    report: Progress,
    *,
    anonymous: bool,
) -> RemoveOnClose:
    """Write the difference of two archives.

    Args:
        old: an archive whose images the other side has, with all their layers.
        new: the archive that it is to get.
        output: as `open_target` takes it.
        temp_dir: the folder of temporary files and a temporary output; None leaves it to the output.
        deltas: whether and how new layers travel as their change.
        report: is told each step.
        anonymous: keep names out of the archive.

    Raises:
        IncrementalError: as for `compare`; or something can't be read or written.
    """
    with BlobSource([old]) as before, BlobSource([new]) as after, open_target(output, temp_dir) as target:
        plan = _plan(before, after, deltas, anonymous=anonymous)
        report.plan("verifying", *(["comparing"] if deltas.enabled else []), "packing")
        after.verify(report)
        if deltas.enabled:
            before.verify(report)
            result = _finish_with_changes(plan, before, after, target, temp_dir, deltas, report)
        else:
            with room_for(target.folder, archive_layout(plan).size):
                result = finish_archive(after, plan, target, report)
    return RemoveOnClose(target, result)


def _finish_with_changes(
    plan: PullPlan,
    old: BlobSource,
    new: BlobSource,
    target: Target,
    temp_dir: Path | None,
    deltas: DeltaOptions,
    report: Progress,
) -> PullResult:
    from .deltas import make_changes

    with private_folder(temp_dir or target.folder or default_temp_dir()) as folder:
        layout = Layout.create(folder / "layout")
        with room_for(folder, sum(plan.blob_sizes.values())), report.phase("reading"):
            layout.add([], plan.blob_sizes, new.open_blob)
        plan = make_changes(plan, layout, old, folder / "changes", deltas, report)
        with room_for(target.folder, archive_layout(plan).size):
            return finish_archive(layout, plan, target, report)


def plan_diff(old: ArchiveFile, new: ArchiveFile, deltas: DeltaOptions, *, anonymous: bool) -> PullResult:
    """Say what `diff` would do; nothing is written.

    Raises:
        IncrementalError: as for `diff`.
    """
    with BlobSource([old]) as before, BlobSource([new]) as after:
        return pull_result(_plan(before, after, deltas, anonymous=anonymous), after.read)


def _plan(old: BlobSource, new: BlobSource, deltas: DeltaOptions, *, anonymous: bool) -> PullPlan:
    plan = compare(old.contents[0], new, delta=deltas.enabled)
    if anonymous:
        plan = plan.anonymous()
    if deltas.enabled:
        from .deltas import with_candidates

        return with_candidates(plan, deltas)
    return plan


def compare(old: ArchiveContents, new: BlobSource, *, delta: bool = False) -> PullPlan:
    """Compare an archive's images with those of an older one.

    Args:
        old: what the other side has: all layers of its images, also those that it left out itself.
        new: the archive that is to become smaller; what it leaves out stays left out.
        delta: whether new layers may travel as their change.

    Returns:
        What travels, and what does not. Images of two bundles are compared where they have one name, whatever their
        tags are.

    Raises:
        ContentError: the two contradict each other; or the newer one leaves out a layer, and does not say of which
            base.
    """
    (contents,) = new.contents
    both = old.is_bundle and contents.is_bundle
    names = contents.names | old.names
    before = [named for named in old.images if not named.subject]

    def compare_one(named: NamedImage) -> PlannedImage:
        alike = [each for each in before if not both or repository_of(each.name) == repository_of(named.name)]
        bases: dict[str, dict[str, Descriptor]] = {
            each.image.root.digest: dict(each.image.layers) for each in alike
        }
        referrers = tuple((None, each) for each in contents.referrers if each.subject == named.image.root.digest)
        for part in (named, *(each for _, each in referrers)):
            for digest in part.image.layers.keys() & contents.omitted.keys():
                for base in contents.bases_of.get(digest, ()):
                    bases.setdefault(base, {})[digest] = contents.omitted[digest]
        known = {node.digest for each in alike for node in each.image.nodes}
        return PlannedImage(
            None,
            named.image,
            bases,
            named.name,
            known=frozenset(known),
            leaves=tuple((None, leaf) for each in alike for leaf in each.image.leaves),
            referrers=referrers,
            delta=delta,
            title=named.title,
            base_names={base: names[base] for base in bases if base in names},
        )

    planned = tuple(compare_one(named) for named in contents.images if not named.subject)
    left = {repository_of(named.name) for named in contents.images}
    gone = tuple(str(named.name) for named in before if both and repository_of(named.name) not in left)
    plan = PullPlan(planned, contents.is_bundle, gone)
    if absent := [digest for digest in plan.blob_sizes if digest not in new]:
        raise ContentError(
            f"the newer archive lacks layer {absent[0]}, and so does the older one",
            "make the newer archive whole first, with complete",
        )
    require_readable(plan)
    return plan
