"""`Writer`: one call that copies an image to any place, without the layers that a base has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .archive.output import open_target
from .errors import UsageError
from .incremental import Incremental
from .oci.layout import Layout, index_entry
from .oci.reference import Reference, path_and_tag
from .pull.pack import finish_archive
from .results import PushResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from .events import Event
    from .results import Contents
    from .skopeo.access import Access


class Writer:
    """Copies images into a destination, only the layers that a base lacks (Go: `incremental.Writer`)."""

    def __init__(
        self,
        from_: str | Reference,
        to: str | Reference,
        *,
        from_access: Access | None = None,
        to_access: Access | None = None,
        all_architectures: bool = False,
        on_event: Callable[[Event], None] | None = None,
        report_writer: TextIO | None = None,
        temp_dir: str | Path | None = None,
        skopeo: str = "skopeo",
    ) -> None:
        """Prepare; nothing is read or run yet.

        Args:
            from_: the base: what it has is not copied.
            to: where images go, of any of skopeo's transports.
            from_access: how the base is reached.
            to_access: how the destination is reached.
            all_architectures: take a list whole; else it is narrowed to this machine's platform.
            on_event: receives events, as for `Incremental`.
            report_writer: receives a line for each step.
            temp_dir: the folder for temporary files.
            skopeo: skopeo's path, or its name on PATH.

        Raises:
            UsageError: a reference is malformed.
        """
        self._from = Reference.parse(from_) if isinstance(from_, str) else from_
        self._to = Reference.parse(to) if isinstance(to, str) else to
        if self._to.transport in ("manifest", "receipt", "sent"):
            raise UsageError(f"{self._to} can't be a destination", "give an oci: layout or a registry")
        self._from_access = from_access
        self._to_access = to_access
        self._all = all_architectures
        self._on_event = on_event
        self._report_writer = report_writer
        self._temp_dir = Path(temp_dir) if temp_dir else None
        self._skopeo_path = skopeo

    def copy(self, final: str | Reference, access: Access | None = None) -> PushResult:
        """Copy an image.

        An `oci:` layout or `oci-archive:` gets the image without the layers that the base has. Any other place must
        hold them, and is vetted before anything is written; those that begin empty (`dir:`, `docker-archive:`,
        `docker-daemon:`) never do.

        Args:
            final: the image.
            access: how it is reached.

        Returns:
            What was done.

        Raises:
            MissingLayersError: the destination lacks layers that the base has.
            IncrementalError: as for `Incremental.pull` and `Incremental.push`.
        """
        incremental = Incremental(
            base_auth=self._from_access,
            final_auth=access,
            push_auth=self._to_access,
            all_architectures=self._all,
            on_event=self._on_event,
            report_writer=self._report_writer,
            temp_dir=self._temp_dir,
            skopeo=self._skopeo_path,
        )
        if self._to.transport not in ("oci", "oci-archive"):
            with incremental.pull(self._from, final) as archive:
                return incremental.push(archive, self._to)
        path, tag = path_and_tag(self._to)
        with incremental.operation() as report:
            puller = incremental.puller(report)
            request = puller.request_image(self._from, final)
            if self._to.transport == "oci-archive":
                with open_target(path, None) as target, puller.fetched(request, None) as fetched:
                    plan = fetched.plan.called(tag)
                    result = finish_archive(fetched.layout, plan, target, puller.report)
                return self._result(result, changed=result.changed)
            with puller.fetched(request, None) as fetched:
                contents = fetched.plan.describe(fetched.layout.read)
                image = fetched.plan.single.image
                root = image.root
                changed = Layout(path.absolute()).add(
                    [index_entry(root.media_type, root.digest, root.size, tag)],
                    image.blob_sizes(fetched.plan.omitted),
                    fetched.layout.open_blob,
                )
            return self._result(contents, changed=changed)

    def _result(self, contents: Contents, *, changed: bool) -> PushResult:
        return PushResult(
            **contents.shared_fields(), changed=changed, destination=str(self._to), previous_digest=None
        )
