"""The order of the steps of pull, vet and push."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from .access import Access, Authentications
from .errors import UsageError, one_line
from .platforms import Platform, wanted_platform
from .reference import Reference, is_tag, registry_reference

# What runs skopeo, and what reads archives, takes long to import: each method imports what it needs.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from . import skopeo as runner
    from .archive import Archive
    from .cache import Cache
    from .contents import ArchiveContents, InspectResult
    from .doctor import DoctorResult
    from .fetch import Source
    from .layout import Layout
    from .output import RemoveOnClose
    from .pulling import Plan, PullResult
    from .pushing import MissingLayer, PushResult, VetResult
    from .results import Contents

    Bases = str | Reference | Sequence[str | Reference] | None


# What a pull needs only after skopeo has begun to run.
_LATE = ("jsonschema.validators", f"{__package__}.archive", f"{__package__}.show")


class Fetched(NamedTuple):
    """What was fetched, and what it is for.

    Attributes:
        skopeo: whose private folder the layout is in.
        layout: holds every blob that travels, and no placeholder.
        plan: what travels and what does not.
    """

    skopeo: runner.Skopeo
    layout: Layout
    plan: Plan


class Incremental:
    """Moves images as the difference to what the other side has (Go: `incremental.Incremental`)."""

    def __init__(
        self,
        *,
        authentications: Authentications | None = None,
        base_auth: Access | None = None,
        final_auth: Access | None = None,
        push_auth: Access | None = None,
        all_architectures: bool = False,
        platform: Platform | None = None,
        report_writer: TextIO | None = None,
        temp_dir: str | Path | None = None,
        skopeo: str = "skopeo",
        preserve_digests: bool = True,
        remove_signatures: bool = False,
        with_signatures: bool = False,
        referrers: Sequence[str | Reference] = (),
        cache_dir: str | Path | None = None,
        cache_max_size: int | None = None,
        retry_times: int = 0,
        retry_delay: float = 1.0,
        timeout: float | None = 600.0,
        progress: TextIO | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare; nothing is read or run yet.

        Args:
            authentications: how the three sides are reached, in one argument.
            base_auth: how bases are reached; counts before `authentications`, as do the next two.
            final_auth: how the final image is reached.
            push_auth: how the destination is reached.
            all_architectures: take a list whole; else it is narrowed to one platform.
            platform: which one; this machine's by default.
            report_writer: receives a line for each step; nothing is ever printed.
            temp_dir: the folder for temporary files; by default the output's own for `pull`, else TMPDIR,
                else /var/tmp.
            skopeo: skopeo's path, or its name on PATH.
            preserve_digests: demand that images arrive as they were; else skopeo may convert them.
            remove_signatures: let `pull` leave behind signatures that an archive can't take along.
            with_signatures: let `pull` take along what stands beside the image: cosign's tags for signatures,
                attestations and SBOMs, and the tag that lists referrers. That there is none is an error.
            referrers: references with a digest that `pull` takes along too.
            cache_dir: a folder that keeps the layers that `pull` fetches, for the next one; several may share it.
            cache_max_size: how many bytes it may hold: the least recently used layers go first.
            retry_times: how often in a row to try again where the link fails and nothing more arrives.
            retry_delay: the pause before the first such try, in seconds; each further one is twice as long.
            timeout: how long a copy may move no bytes, and one answer may take, in seconds; None for ever.
            progress: a terminal for skopeo's progress bars.
            trace: receives a line for each call of skopeo, and what it said.
        """
        given = authentications or Authentications()
        self._base = base_auth or given.base
        self._final = final_auth or given.final
        self._push = push_auth or given.push
        self._all = all_architectures
        self._platform = platform
        self._report_writer = report_writer
        self._temp_dir = Path(temp_dir) if temp_dir else None
        self._skopeo_path = skopeo
        self._preserve = ["--preserve-digests"] if preserve_digests else []
        self._remove_signatures = remove_signatures
        self._with_signatures = with_signatures
        self._referrers = tuple(referrers)
        if (with_signatures or referrers) and not preserve_digests:
            raise UsageError(
                "a signature does not fit an image that is converted",
                "leave out --no-preserve-digests, or --with-signatures and --with",
            )
        self._cache_dir = Path(cache_dir) if cache_dir else None
        self._cache_max_size = cache_max_size
        self._retry_times = retry_times
        self._retry_delay = retry_delay
        self._timeout = timeout
        self._progress = progress
        self._trace = trace

    def plan(self, base: Bases, final: str | Reference) -> PullResult:
        """Say what `pull` would do; no layer and no config is fetched.

        Args:
            base: as for `pull`.
            final: as for `pull`.

        Raises:
            IncrementalError: as for `pull`.
        """
        from .pulling import PullResult

        final_source, bases = self._sources(base, final)
        with self._skopeo() as skopeo:
            plan = self._plan(skopeo, final_source, bases)
        contents = plan.describe(lambda _: None)
        return PullResult(**contents.shared_fields(), changed=False, archive=None, warnings=plan.warnings())

    def pull(
        self, base: Bases, final: str | Reference, *, output: str | Path | BinaryIO | None = None
    ) -> RemoveOnClose:
        """Pull the difference between bases and a final image (Go: `Incremental.Pull`).

        Args:
            base: one reference, several, or None for the whole image; see `bases` for those outside of registries.
            final: the image to pull.
            output: a path, where the archive appears complete or not at all; or a binary file, to which it is
                streamed once it is known to be good; or None for a temporary file.

        Returns:
            The archive, open for reading; `.result` says what was pulled. A binary file given as `output` is
            not read back: what is returned then reads as empty.

        Raises:
            UsageError: a reference is malformed, the platform is unknown, or the output is a folder.
            ContentError: something is not what its digest, size or schema says.
            RegistryError: skopeo or a registry failed.
            HostError: skopeo is missing or too old, or a folder can't be written.
        """
        from .output import RemoveOnClose, open_target

        with (
            open_target(output, self._temp_dir) as target,
            self.fetched(base, final, target.path.parent if target.path else None) as fetched,
        ):
            from .pulling import write_archive

            result = write_archive(fetched.layout, fetched.plan, target, self.report)
        return RemoveOnClose(target, result)

    @contextmanager
    def fetched(self, base: Bases, final: str | Reference, output: Path | None = None) -> Iterator[Fetched]:
        """Fetch what no base has into a layout that lasts as long as the block.

        Args:
            base: as for `pull`.
            final: as for `pull`.
            output: the folder where the archive will be written, if it will be; also that of temporary files,
                where none was given to this object.

        Raises:
            IncrementalError: as for `pull`.
        """
        final_source, bases = self._sources(base, final)
        # What a missing policy would stop must stop before anything is read.
        self._final.policy_flags()
        cache = self._cache()
        with self._skopeo(output) as skopeo:
            plan = self._plan(skopeo, final_source, bases)
            from .pulling import fetch
            from .space import Space

            space = Space()
            with space.named():
                layout, plan = fetch(
                    skopeo,
                    plan,
                    self._preserve,
                    self.report,
                    space,
                    cache=cache,
                    output=output,
                    remove_signatures=self._remove_signatures,
                )
                yield Fetched(skopeo, layout, plan)

    def doctor(self, reference: str | Reference | None = None) -> DoctorResult:
        """Say what could keep `pull` and `push` from working on this machine.

        Args:
            reference: an image or repository that a registry is asked for, by the final image's access.

        Raises:
            UsageError: the reference is malformed.
        """
        from .doctor import examine
        from .skopeo import default_temp_dir

        asked = registry_reference(reference, "what to ask for") if reference is not None else None
        return examine(self._skopeo(), self._temp_dir or default_temp_dir(), self._final, asked)

    def inspect(self, src: str | Path | BinaryIO) -> InspectResult:
        """Say what an archive holds, without any network; its layers are not verified.

        Args:
            src: a path or a seekable binary file.

        Raises:
            UsageError: there is no such archive.
            ContentError: it is broken, hostile, or made by a newer version.
        """
        from .archive import Archive
        from .contents import InspectResult, read_contents

        with Archive.open(src) as archive:
            found = read_contents(archive)
            contents = _describe(found, archive)
            return InspectResult(
                **contents.shared_fields(), changed=False, format=found.format, archive_size=archive.size
            )

    def push_vet(self, src: str | Path | BinaryIO, dst: str | Reference | None = None) -> VetResult:
        """Check an archive, and whether a destination has what it leaves out (Go: `Incremental.PushVet`).

        Args:
            src: a path or a seekable binary file.
            dst: the destination's reference; without it the archive alone is checked.

        Returns:
            What was found; `missing` names the layers that neither has. Nothing is written anywhere.

        Raises:
            UsageError: there is no such archive, or a reference is malformed.
            ContentError: the archive is broken, hostile, or made by a newer version.
            RegistryError: the destination gave no clear answer.
            HostError: skopeo is missing or too old.
        """
        from .archive import Archive
        from .contents import read_contents
        from .pushing import VetResult, find_missing, require_digest, verify

        destination = registry_reference(dst, "the destination") if dst is not None else None
        with Archive.open(src) as archive:
            found = read_contents(archive)
            if destination:
                require_digest(destination, found.single.image)
            verify(archive, self.report)
            missing: tuple[MissingLayer, ...] = ()
            if destination:
                with self._skopeo() as skopeo:
                    missing = find_missing(skopeo, found, destination, self._push, self.report)
            where = str(destination) if destination else None
            contents = _describe(found, archive, where)
            return VetResult(**contents.shared_fields(), changed=False, destination=where, missing=missing)

    def push(
        self,
        src: str | Path | BinaryIO,
        dst: str | Reference,
        *,
        additional_tags: Sequence[str] = (),
        overwrite_tag: bool = True,
        dry_run: bool = False,
        receipt: str | Path | None = None,
    ) -> PushResult:
        """Push an archive to a destination that holds its bases (Go: `Incremental.Push`).

        The archive is verified and the destination vetted before anything is written; tags come last.

        Args:
            src: a path or a seekable binary file.
            dst: the destination's reference; one with a digest must name the archive's image.
            additional_tags: further tags in the same repository.
            overwrite_tag: whether a tag that points elsewhere may be moved.
            dry_run: do all but the writing.
            receipt: a file that will say what the destination has then, for `receipt:FILE` as the next pull's base;
                a dry run writes none.

        Returns:
            What was done. `changed` is False where every tag already pointed to the image.

        Raises:
            UsageError: there is no such archive, or a reference or tag is malformed.
            MissingLayersError: the destination lacks layers that the archive leaves out.
            ContentError: the archive is broken, hostile, or made by a newer version.
            RegistryError: skopeo or the registry failed, or a tag would be overwritten.
            HostError: skopeo is missing or too old, or a folder can't be written.
        """
        if receipt is None or dry_run:
            return self._pushed(src, dst, additional_tags, overwrite_tag, dry_run)
        from .output import complete_file
        from .receipt import write_receipt

        # That there is no room for it must show before the push.
        with complete_file(Path(receipt)) as file:
            result = self._pushed(src, dst, additional_tags, overwrite_tag, dry_run)
            write_receipt(result, file)
        return result

    def _pushed(
        self,
        src: str | Path | BinaryIO,
        dst: str | Reference,
        additional_tags: Sequence[str],
        overwrite_tag: bool,
        dry_run: bool,
    ) -> PushResult:
        from .archive import Archive
        from .contents import read_contents
        from .pushing import (
            PushResult,
            Sender,
            find_missing,
            missing_error,
            read_tags,
            reference_beside,
            refuse_overwriting,
            require_digest,
            verify,
        )

        destination = registry_reference(dst, "the destination")
        self._push.policy_flags()
        for tag in additional_tags:
            if not is_tag(tag):
                raise UsageError(f"'{tag}' is no tag")
        wanted = [destination, *(destination.tagged(tag) for tag in additional_tags)]
        with Archive.open(src) as archive:
            found = read_contents(archive)
            image = found.single.image
            require_digest(destination, image)
            if found.beside and not self._preserve:
                raise UsageError(
                    "the archive holds signatures, which do not fit an image that is converted",
                    "leave out --no-preserve-digests",
                )
            verify(archive, self.report)
            with self._skopeo() as skopeo:
                if missing := find_missing(skopeo, found, destination, self._push, self.report):
                    raise missing_error(str(destination), missing)
                digest = image.root.digest
                beside = [each.image for each in found.beside]
                # Whoever sees the image is to find its signatures: they are sent first.
                parts = [
                    *((signed.image, reference_beside(destination, signed)) for signed in found.beside),
                    *((image, reference) for reference in wanted),
                ]
                tags = read_tags(skopeo, [reference for _, reference in parts], self._push)
                behind = [
                    (part, reference)
                    for (part, reference), tag in zip(parts, tags, strict=True)
                    if tag.previous_digest != part.root.digest
                ]
                if not overwrite_tag:
                    refuse_overwriting(tags, [part.root.digest for part, _ in parts])
                if not behind:
                    self.report(f"{destination} is {digest} already: nothing to send")
                elif not dry_run:
                    sender = Sender(skopeo, archive, [image, *beside], self._push, self._preserve, self.report)
                    for part, group in groupby(behind, key=itemgetter(0)):
                        sent = sender.send(part, [reference for _, reference in group])
                        digest = sent if part is image else digest
                tags = (*tags[len(beside) :], *tags[: len(beside)])
            contents = _describe(found, archive, str(destination))
            return PushResult(
                **contents.shared_fields() | {"digest": digest},
                changed=bool(behind),
                destination=str(destination),
                previous_digest=tags[0].previous_digest,
                tags=tags,
            )

    def _sources(self, base: Bases, final: str | Reference) -> tuple[Source, list[Source]]:
        from .fetch import Source

        bases = [base] if isinstance(base, (str, Reference)) else base or ()
        return (
            Source(registry_reference(final, "the final image"), self._final, "--final"),
            [Source(_reference(each), self._base, "--base") for each in bases],
        )

    def _plan(self, skopeo: runner.Skopeo, final: Source, bases: Sequence[Source]) -> Plan:
        from .pulling import make_plan

        platform = None if self._all else self._platform or wanted_platform()
        plan = make_plan(
            skopeo,
            final,
            bases,
            platform,
            self.report,
            with_signatures=self._with_signatures,
            referrers=self._referrers,
        )
        for warning in plan.warnings():
            self.report(f"warning: {warning}")
        return plan

    def _cache(self) -> Cache | None:
        if self._cache_dir is None:
            return None
        from .cache import Cache

        return Cache(self._cache_dir, self._cache_max_size, self.report)

    def _skopeo(self, temp_dir: Path | None = None) -> runner.Skopeo:
        from .retry import Retries
        from .skopeo import Skopeo

        return Skopeo(
            self._skopeo_path,
            self._temp_dir or temp_dir,
            trace=self._trace,
            progress=self._progress,
            imports=_LATE,
            retries=Retries(self._retry_times, self._retry_delay, self.report),
            timeout=self._timeout,
        )

    def report(self, line: str) -> None:
        """Hand a line to the report writer, if there is one."""
        if self._report_writer:
            self._report_writer.write(f"{one_line(line)}\n")


def _reference(base: str | Reference) -> Reference:
    return Reference.parse(base) if isinstance(base, str) else base


def _describe(found: ArchiveContents, archive: Archive, reference: str | None = None) -> Contents:
    from .contents import describe

    return describe(
        found.images,
        reference,
        found.omitted,
        found.bases,
        found.bases_of,
        lambda digest: archive.read_blob(digest),
    )
