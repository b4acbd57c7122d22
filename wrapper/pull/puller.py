"""The steps of a pull, the same for one image and for a bundle: plan, fetch, pack."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..host.late import import_later
from ..skopeo.runner import Skopeo
from .request import request_bundle, request_image

# The rest takes long to import: that is done while skopeo runs.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..archive.output import Output, RemoveOnClose, Target
    from ..archive.writer import ArchiveWriter
    from ..host.progress import Progress
    from ..oci.layout import Layout
    from ..oci.reference import Reference
    from ..results import PullResult
    from ..skopeo.inspect import References
    from ..skopeo.options import SkopeoOptions
    from ..source.blobs import BlobSource
    from ..source.cache import Cache
    from ..source.spec import Spec
    from .plan import PullPlan
    from .request import PullOptions, PullRequest

import_later(f"{__package__}.plan", f"{__package__}.fetch")


class Fetched(NamedTuple):
    """What was fetched, and what it is for.

    Attributes:
        layout: holds every blob that travels and is not in the archive yet, and no placeholder.
        plan: what travels and what does not.
        writer: the archive, where it was begun.
    """

    layout: Layout
    plan: PullPlan
    writer: ArchiveWriter | None


class Puller(NamedTuple):
    """Pulls what is requested.

    Attributes:
        skopeo: which skopeo runs, how, and who is told each step.
        options: how it is pulled.
    """

    skopeo: SkopeoOptions
    options: PullOptions

    @property
    def report(self) -> Progress:
        """Who is told each step."""
        return self.skopeo.report

    def request_image(
        self, base: References, final: str | Reference, for_site: Sequence[str | Path] = ()
    ) -> PullRequest:
        """Ask for one image, as `request.request_image`."""
        return request_image(self.options, base, final, for_site)

    def request_bundle(
        self,
        spec: Spec,
        base: References,
        earlier: Spec | None,
        for_site: Sequence[str | Path] = (),
        *,
        fail_fast: bool,
    ) -> PullRequest:
        """Ask for the images of a spec, as `request.request_bundle`."""
        return request_bundle(self.options, spec, base, earlier, for_site, fail_fast=fail_fast)

    def plan(self, request: PullRequest) -> PullResult:
        """Say what a pull would do; no layer and no config is fetched.

        Raises:
            IncrementalError: an image can't be read, or is not what its digest or schema says.
        """
        self.report.plan("reading")
        with Skopeo(self.skopeo) as skopeo:
            plan = self._plan(skopeo, request)
        from .pack import pull_result

        return pull_result(plan, lambda _: None)

    def pull(self, request: PullRequest, output: Output, sent: str | Path | None = None) -> RemoveOnClose:
        """Pull into one archive.

        Args:
            request: what to pull.
            output: as `open_target` takes it.
            sent: a list of what was sent, to which it is added when the archive is complete.

        Raises:
            IncrementalError: something can't be fetched or written, or is not what its digest, size or schema says.
        """
        if sent is None:
            return self._pull(request, output)[0]
        from ..archive.output import RemoveOnClose, Target
        from .sent import AlreadySentError, require_unsent, sent_images, sent_ledger

        path = Path(sent)
        try:
            with sent_ledger(path, output) as ledger:

                def planned(plan: PullPlan) -> None:
                    ledger.require_room(sent_images(plan))
                    require_unsent(request, plan, path, ledger.earlier, output, self.report)

                archive, plan = self._pull(request, output, planned)
                ledger.add(sent_images(plan))
        except AlreadySentError as kept:
            # Nothing is written to it any more.
            return RemoveOnClose(Target(BytesIO(), kept.path), kept.result)
        return archive

    def _pull(
        self, request: PullRequest, output: Output, planned: Callable[[PullPlan], None] | None = None
    ) -> tuple[RemoveOnClose, PullPlan]:
        from ..archive.output import RemoveOnClose, open_target

        with (
            open_target(output, self.skopeo.temp_dir) as target,
            self.fetched(request, target, planned) as fetched,
        ):
            from .pack import finish_archive

            result = finish_archive(fetched.layout, fetched.plan, target, self.report, fetched.writer)
        return RemoveOnClose(target, result), fetched.plan

    @contextmanager
    def fetched(
        self, request: PullRequest, target: Target | None, planned: Callable[[PullPlan], None] | None = None
    ) -> Iterator[Fetched]:
        """Fetch what no base has, as long as the block lasts.

        Args:
            request: what to pull.
            target: the archive, if one will be written; its folder is also that of temporary files, where no other
                is wanted.
            planned: is told the plan before anything is fetched; what it raises ends the pull.

        Raises:
            IncrementalError: as for `pull`.
        """
        # What a missing policy would stop must stop before anything is read.
        options, report = self.options, self.report
        options.final.policy_flags()
        cache = self._open_cache()
        comparing = ("comparing",) if any(image.delta for image in request.images) else ()
        report.plan("reading", "fetching", *comparing, "packing")
        output = target.folder if target else None
        with Skopeo(self.skopeo, output) as skopeo:
            plan = self._plan(skopeo, request)
            if planned:
                planned(plan)
            from ..host.space import Space
            from .fetch import fetch
            from .pack import begin_archive

            space = Space()
            # What becomes of a layer is known when it is there.
            delta = any(planned.delta for planned in plan.images)
            preserve = options.preserve_digests
            with space.named(), begin_archive(plan, None if delta else target, preserve=preserve) as writer:
                with ExitStack() as stack:
                    with report.phase("fetching", plan.bytes_to_compare):
                        layout, plan = fetch(skopeo, plan, options, report, space, cache, output, writer)
                        blobs = self._delta_sources(skopeo, plan, cache, stack) if delta else None
                    if blobs:
                        plan = self._with_changes(skopeo, plan, layout, blobs)
                yield Fetched(layout, plan, writer)

    def _plan(self, skopeo: Skopeo, request: PullRequest) -> PullPlan:
        from .compare import make_plan

        with self.report.phase("reading"):
            plan = make_plan(skopeo, request, self.report)
        if self.options.anonymous:
            plan = plan.anonymous()
        from .pack import require_readable

        # Before anything is fetched: what can't be read at the other side is not worth it.
        require_readable(plan)
        if any(planned.delta for planned in plan.images):
            from .deltas import with_candidates

            plan = with_candidates(plan, self.options.deltas)
        for warning in plan.warnings():
            self.report.warn(warning)
        return plan

    def _delta_sources(self, skopeo: Skopeo, plan: PullPlan, cache: Cache | None, stack: ExitStack) -> BlobSource:
        """Fetch what new layers are compared with, and have it as long as `stack` is open."""
        from ..source.blobs import BlobSource
        from .deltas import fetch_sources

        blobs = stack.enter_context(BlobSource([]))
        fetch_sources(skopeo, plan, blobs, cache, self.report)
        return blobs

    def _with_changes(self, skopeo: Skopeo, plan: PullPlan, layout: Layout, blobs: BlobSource) -> PullPlan:
        from .deltas import make_changes

        folder = skopeo.new_folder("changes")
        return make_changes(plan, layout, blobs, folder, self.options.deltas, self.report)

    def _open_cache(self) -> Cache | None:
        if self.options.cache is None:
            return None
        from ..source.cache import Cache

        return Cache(self.options.cache, self.report)
