"""The steps of a pull, the same for one image and for a bundle: plan, fetch, pack."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ..host.late import import_later
from ..skopeo.runner import Skopeo
from .request import request_bundle, request_image

# The rest takes long to import: that is done while skopeo runs.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..archive.output import Output, RemoveOnClose, Target
    from ..archive.writer import ArchiveWriter
    from ..oci.layout import Layout
    from ..oci.reference import Reference
    from ..results import PullResult
    from ..skopeo.inspect import References
    from ..skopeo.options import SkopeoOptions
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
        skopeo: which skopeo runs, and how.
        options: how it is pulled.
        report: receives a line for each step.
    """

    skopeo: SkopeoOptions
    options: PullOptions
    report: Callable[[str], None]

    def request_image(self, base: References, final: str | Reference) -> PullRequest:
        """Ask for one image, as `request.request_image`."""
        return request_image(self.options, base, final)

    def request_bundle(self, spec: Spec, base: References, earlier: Spec | None, *, fail_fast: bool) -> PullRequest:
        """Ask for the images of a spec, as `request.request_bundle`."""
        return request_bundle(self.options, spec, base, earlier, fail_fast=fail_fast)

    def plan(self, request: PullRequest) -> PullResult:
        """Say what a pull would do; no layer and no config is fetched.

        Raises:
            IncrementalError: an image can't be read, or is not what its digest or schema says.
        """
        with Skopeo(self.skopeo) as skopeo:
            plan = self._plan(skopeo, request)
        from .pack import pull_result

        return pull_result(plan, lambda _: None)

    def pull(self, request: PullRequest, output: Output) -> RemoveOnClose:
        """Pull into one archive.

        Args:
            request: what to pull.
            output: as `open_target` takes it.

        Raises:
            IncrementalError: something can't be fetched or written, or is not what its digest, size or schema says.
        """
        from ..archive.output import RemoveOnClose, open_target

        with open_target(output, self.skopeo.temp_dir) as target, self.fetched(request, target) as fetched:
            from .pack import finish_archive

            result = finish_archive(fetched.layout, fetched.plan, target, self.report, fetched.writer)
        return RemoveOnClose(target, result)

    @contextmanager
    def fetched(self, request: PullRequest, target: Target | None) -> Iterator[Fetched]:
        """Fetch what no base has, as long as the block lasts.

        Args:
            request: what to pull.
            target: the archive, if one will be written; its folder is also that of temporary files, where no other
                is wanted.

        Raises:
            IncrementalError: as for `pull`.
        """
        # What a missing policy would stop must stop before anything is read.
        self.options.final.policy_flags()
        cache = self._open_cache()
        output = target.folder if target else None
        with Skopeo(self.skopeo, output) as skopeo:
            plan = self._plan(skopeo, request)
            from ..host.space import Space
            from .fetch import fetch
            from .pack import begin_archive

            space = Space()
            # What becomes of a layer is known when it is there.
            delta = any(planned.delta for planned in plan.images)
            preserve = self.options.preserve_digests
            with space.named(), begin_archive(plan, None if delta else target, preserve=preserve) as writer:
                layout, plan = fetch(
                    skopeo, plan, self.options, self.report, space, cache=cache, output=output, writer=writer
                )
                if delta:
                    plan = self._with_deltas(skopeo, plan, layout, cache)
                yield Fetched(layout, plan, writer)

    def _plan(self, skopeo: Skopeo, request: PullRequest) -> PullPlan:
        from .compare import make_plan

        plan = make_plan(skopeo, request, self.options.signatures, self.report)
        from .pack import require_readable

        # Before anything is fetched: what can't be read at the other side is not worth it.
        require_readable(plan)
        for warning in plan.warnings():
            self.report(f"warning: {warning}")
        if any(planned.delta for planned in plan.images):
            from .deltas import with_candidates

            return with_candidates(plan, self.options.deltas)
        return plan

    def _with_deltas(self, skopeo: Skopeo, plan: PullPlan, layout: Layout, cache: Cache | None) -> PullPlan:
        from ..source.blobs import BlobSource
        from .deltas import make_deltas

        with BlobSource([]) as blobs:
            return make_deltas(skopeo, plan, layout, blobs, self.options.deltas, cache, self.report)

    def _open_cache(self) -> Cache | None:
        if self.options.cache is None:
            return None
        from ..source.cache import Cache

        return Cache(self.options.cache, self.report)
