"""The steps of a push, the same for one image and for a bundle: plan, verify, vet, upload."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from ..archive.contents import merge
from ..archive.summary import describe
from ..errors import MissingLayersError, UsageError
from ..oci.mistakes import FOLDER, new_file
from ..oci.reference import Reference, file_meant
from ..results import VetResult
from ..skopeo.inspect import image_sources
from ..skopeo.runner import Skopeo
from ..source.blobs import BlobSource
from ..source.stored import archives_at_hand
from ..source.stores import require_layer_transports
from ..source.unpacked import UNPACKED_TRANSPORTS
from .options import VERIFY, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from ..archive.reader import ArchiveFile, ArchiveFiles
    from ..host.progress import Progress
    from ..results import PushResult
    from ..skopeo.access import Access
    from ..skopeo.inspect import ImageSource, References
    from ..skopeo.options import SkopeoOptions
    from ..source.growing import Growing
    from ..source.ledger import Ledger
    from .destination import Destination
    from .held import Told
    from .options import PushOptions
    from .plan import PushPlan


class Pusher(NamedTuple):
    """Pushes archives, or looks whether they can be pushed.

    Attributes:
        skopeo: which skopeo runs, how, and who is told each step.
        options: how it is pushed.
    """

    skopeo: SkopeoOptions
    options: PushOptions

    @property
    def report(self) -> Progress:
        """Who is told each step."""
        return self.skopeo.report

    def vet(
        self,
        archives: ArchiveFiles,
        to: str | Reference | None,
        base: References,
        selection: Selection,
        expect_sha256: str | Sequence[str],
        *,
        deep: bool = False,
    ) -> VetResult:
        """Check archives, and whether a destination has what they leave out.

        Args:
            archives: one, or a chain, the oldest first.
            to: the destination; without it the archives alone are checked.
            base: where layers come from that the destination lacks.
            selection: which images of a bundle go.
            expect_sha256: what the archives hash to, as `Incremental.push` takes it.
            deep: also read the layers that the destination says it has.

        Raises:
            IncrementalError: an archive is not what it should be, or there was no clear answer.
        """
        if deep and to is None:
            raise UsageError("there is no destination to read layers from", "name one, or leave out `deep`")
        bases = self._bases(base)
        refuse_swapped(archives, to)
        destination = self._destination(to, writes=False) if to is not None else None
        with (
            self.at_hand(archives) as files,
            BlobSource(files, self.options.deltas, listed(expect_sha256)) as blob_source,
        ):
            if destination is None:
                self.report.plan("verifying")
                blob_source.verify(self.report)
                found = merge(blob_source.contents, blob_source.archived)
                contents = describe(found, blob_source.read)
                return VetResult(**contents.shared_fields(), changed=False, destination=None, missing=())
            from .job import PushJob
            from .plan import make_plan

            require_bases(bases, blob_source)
            plan = make_plan(blob_source, destination, selection)
            self.report.plan("verifying", "vetting", *(["reading back"] if deep else []))
            if sparse := plan.sparse:
                names = f" ({', '.join(sparse):.200})" if plan.is_bundle else ""
                self.report.warn(
                    f"{plan.destination} may refuse a list without all of its platforms{names}: a push says so "
                    "before the list has a tag"
                )
            blob_source.verify(self.report)
            with Skopeo(self.skopeo, destination.folder) as skopeo:
                job = PushJob(skopeo, blob_source, plan, bases, self.report, deep=deep)
                # What is missing, the result says.
                with suppress(MissingLayersError):
                    job.vet()
            return job.vet_result()

    def push(
        self,
        archives: ArchiveFiles,
        to: str | Reference,
        base: References,
        selection: Selection,
        *,
        additional_tags: Sequence[str],
        overwrite_tag: bool,
        dry_run: bool,
        receipt: str | Path | None,
        fail_fast: bool,
        expect_sha256: str | Sequence[str],
        as_delta: bool = False,
        planned: Callable[[PushPlan], None] | None = None,
        verify: str | None = None,
    ) -> PushResult:
        """Push archives to a destination that holds their bases.

        Args:
            archives: one, or a chain, the oldest first.
            to: the destination.
            base: where layers come from that the destination lacks.
            selection: which images of a bundle go.
            additional_tags: further tags in the same repository.
            overwrite_tag: whether a tag that points elsewhere may be moved, or a file replaced.
            dry_run: do all but the writing.
            receipt: a file that will say what the destination has then; what it says already stays, as far as the
                place keeps it.
            fail_fast: of a bundle, stop at the first image that fails.
            expect_sha256: what the archives hash to, as `Incremental.push` takes it.
            as_delta: store the archive itself.
            planned: is told what goes where, before anything is sent; what it raises ends the push.
            verify: what to read back before tags are written, one of `VERIFY`.

        Raises:
            BundleError: images of a bundle failed; its `result` says what happened to each.
            IncrementalError: as `Incremental.push` says.
        """
        refuse_swapped(archives, to)
        if as_delta:
            from .store import Store

            further = base or planned or verify or selection != Selection()
            if receipt is not None or additional_tags or further:
                raise UsageError(
                    "an archive is stored unchanged, under one tag",
                    "leave out `base`, `additional_tags`, `receipt`, `mirror_config`, `only`, `names` and `verify`",
                )
            storing = Store(self.skopeo, self.options)
            target = storing.target(to, archive_files(archives))
            with self.at_hand(archives) as files:
                return storing.store(
                    files,
                    target,
                    overwrite_tag=overwrite_tag,
                    dry_run=dry_run,
                    expect_sha256=listed(expect_sha256),
                )
        from .job import PushJob
        from .plan import make_plan

        destination = self._destination(to, additional_tags, overwrite_tag=overwrite_tag, writes=not dry_run)
        bases = self._bases(base)
        if verify is not None:
            require_verifiable(destination, verify)
        if receipt is not None and destination.reference.transport in ("docker-archive", "docker-daemon"):
            raise UsageError(
                f"{destination.reference} keeps layers unpacked: a later archive can't leave them out",
                "leave out `receipt`",
            )
        with ExitStack() as stack:
            ledger, earlier = self._receipt(receipt, destination, stack, dry_run=dry_run)
            sums = listed(expect_sha256)
            files = stack.enter_context(self.at_hand(archives))
            blob_source = stack.enter_context(BlobSource(files, self.options.deltas, sums))
            require_bases(bases, blob_source)
            plan = make_plan(blob_source, destination, selection)
            plan.require_preserved()
            if planned:
                planned(plan)
            if ledger:
                from ..source.receipt import planned_images

                ledger.require_room(planned_images(named for named in plan.told if not named.subject))
            fetching = ["fetching"] if bases or blob_source.deltas else []
            making = ["making"] if blob_source.deltas else []
            reading_back = ["reading back"] if destination.reference.transport == "docker" else []
            self.report.plan("verifying", "vetting", *fetching, *making, destination.phase, *reading_back)
            blob_source.verify(self.report)
            with Skopeo(self.skopeo, destination.folder) as skopeo:
                job = PushJob(
                    skopeo,
                    blob_source,
                    plan,
                    bases,
                    self.report,
                    fail_fast=fail_fast,
                    verify=verify,
                    told=_told(earlier, bases),
                )
                job.vet(look=True)
                job.upload(dry_run=dry_run)
            result = job.push_result()
            failure = job.failure("pushed")
            if failure:
                failure.result = result
                if not result.tags:
                    raise failure
            if ledger:
                from ..source.receipt import newest_first, pushed_images

                alone = (named for named in plan.told if not named.subject)
                images = newest_first(alone, blob_source.contents)
                tagged = [destination.reference.tagged(tag) for tag in additional_tags]
                ledger.add(pushed_images(result, images, tagged), result.destination)
        if failure:
            raise failure
        return result

    def at_hand(self, archives: ArchiveFiles) -> AbstractContextManager[Sequence[ArchiveFile]]:
        """Return archives, of which there may be only one, as files: those in a registry are fetched."""
        return archives_at_hand(archive_files(archives), self.skopeo, self.options.archives, self.report)

    def _destination(
        self,
        to: str | Reference,
        additional_tags: Sequence[str] = (),
        *,
        overwrite_tag: bool = True,
        writes: bool = True,
    ) -> Destination:
        """Return what writes to a reference."""
        reference = _parsed(to) if isinstance(to, str) else to
        return destination_type(reference)(
            reference,
            self.options.destination,
            preserve=self.options.preserve_digests,
            additional_tags=additional_tags,
            overwrite_tag=overwrite_tag,
            writes=writes,
        )

    def _receipt(
        self, receipt: str | Path | None, destination: Destination, stack: ExitStack, *, dry_run: bool
    ) -> tuple[Growing | None, Ledger | None]:
        """Open the receipt that is to grow, before anything is sent, and read it; of a dry run, only read it."""
        if receipt is None:
            return None, None
        from ..source.receipt import earlier_receipt, receipt_of

        if dry_run:
            return None, earlier_receipt(Path(receipt), destination.reference)
        ledger = stack.enter_context(receipt_of(destination.reference, Path(receipt)))
        return ledger, ledger.earlier

    def _bases(self, base: References) -> list[ImageSource]:
        return base_sources(base, self.options.base)


def _told(earlier: Ledger | None, bases: Sequence[ImageSource]) -> Sequence[Told]:
    """Return where images are, as a receipt and the user's bases say."""
    from .held import told_of

    told = told_of(earlier.images) if earlier else []
    return [*told, *((None, base.reference) for base in bases)]


def destination_type(reference: Reference) -> type[Destination]:
    """Return what writes to references of this kind.

    Raises:
        UsageError: images can't go there.
    """
    if reference.transport == "docker":
        from .registry import RegistryDestination

        return RegistryDestination
    from . import folder, local

    types: dict[str, type[Destination]] = {
        "containers-storage": local.StorageDestination,
        "dir": folder.FolderDestination,
        "docker-archive": local.DockerArchiveDestination,
        "docker-daemon": local.DaemonDestination,
        "oci": local.LayoutDestination,
        "oci-archive": local.ArchiveDestination,
    }
    if reference.transport not in types:
        raise UsageError(f"{reference} can't be a destination", "give a registry, or an oci: layout")
    return types[reference.transport]


def require_verifiable(destination: Destination, verify: str) -> None:
    """Refuse to verify what can't be read back as it was sent.

    Raises:
        UsageError: there is no such way, the destination is no registry, or skopeo may convert what it sends.
    """
    if verify not in VERIFY:
        raise UsageError(f"'{verify}' can't be read back", f"give {' or '.join(VERIFY)} as `verify`")
    if destination.reference.transport != "docker":
        raise UsageError(
            f"{destination.reference} is not in a registry: only a registry may say yes to what it has not",
            "leave out `verify`",
        )
    if not destination.preserve:
        raise UsageError(
            "what skopeo converts can't be compared with the archive",
            "leave out `verify`, or `preserve_digests=False`",
        )


def archive_files(archives: ArchiveFiles) -> Sequence[ArchiveFile]:
    """Return a chain of archives, of which there may be only one."""
    return archives if isinstance(archives, (list, tuple)) else [cast("ArchiveFile", archives)]


def refuse_swapped(archives: ArchiveFiles, to: str | Reference | None) -> None:
    """Refuse a destination that is an archive, where what stands before it is none.

    Raises:
        UsageError: it is one.
    """
    if not isinstance(to, str) or not (found := file_meant(to)) or not found.exists:
        return
    for each in archive_files(archives):
        if isinstance(each, str) and not each.startswith("docker://") and not _exists(each):
            raise UsageError(
                f"{found.path} is a file, and {each} is not: the archive comes first, and the destination last",
                f"write {found.path} {each}",
            )


def _exists(archive: str) -> bool:
    return os.path.lexists(archive) or os.path.lexists(f"{archive}.001")


def _parsed(to: str) -> Reference:
    """Read a destination's reference.

    Raises:
        UsageError: it is malformed, or the name of a file.
    """
    found = file_meant(to)
    if found and found.reference and found.kind != FOLDER:
        raise new_file(to)
    return Reference.parse(to)


def listed(texts: str | Sequence[str]) -> Sequence[str]:
    """Return texts, of which one may stand alone."""
    return [texts] if isinstance(texts, str) else texts


def base_sources(base: References, access: Access) -> list[ImageSource]:
    """Return the bases of a push.

    Raises:
        UsageError: a reference is malformed, or a base never has any layer.
    """
    found = image_sources(base, access, "base")
    require_layer_transports(found, UNPACKED_TRANSPORTS)
    return found


def require_bases(bases: Sequence[ImageSource], blob_source: BlobSource) -> None:
    """Refuse bases that bring nothing: those that keep layers unpacked only serve to make others of them.

    Raises:
        UsageError: one has no layers as they travel.
    """
    require_layer_transports(bases, UNPACKED_TRANSPORTS if blob_source.deltas else ())
