"""The order of the steps of pull, vet and push."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from .errors import UsageError, one_line
from .oci.platforms import Platform, wanted_platform
from .oci.reference import Reference, registry_reference
from .skopeo.access import Access, Authentications

# What runs skopeo, and what reads archives, takes long to import: each method imports what it needs.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from .archive.contents import ArchiveContents, NamedImage
    from .archive.output import RemoveOnClose, Target
    from .archive.writer import Packing
    from .delta.artifact import Settings
    from .oci.layout import Layout
    from .pull.plan import Plan, Wanted
    from .push.bundle import Shipment
    from .push.destination import Destination
    from .results import Contents, DoctorResult, InspectResult, MissingLayer, PullResult, PushResult, VetResult
    from .skopeo import runner
    from .skopeo.inspect import Source
    from .source.blobs import Supply
    from .source.cache import Cache
    from .source.spec import SpecImage

    Bases = str | Reference | Sequence[str | Reference] | None
    ArchiveFile = str | Path | BinaryIO
    Archives = ArchiveFile | Sequence[ArchiveFile]
    Spec = str | Path | Sequence[SpecImage]


# What a pull needs only after skopeo has begun to run.
_LATE = ("jsonschema.validators", f"{__package__}.archive.reader", f"{__package__}.cli.show")


class Request(NamedTuple):
    """What a pull is asked for.

    Attributes:
        wanted: the images.
        is_bundle: whether they are to be a bundle.
        gone: names of an earlier bundle's images that this one has not.
        fail_fast: whether to stop at the first image that can't be read.
    """

    wanted: tuple[Wanted, ...]
    is_bundle: bool = False
    gone: tuple[str, ...] = ()
    fail_fast: bool = False


class Fetched(NamedTuple):
    """What was fetched, and what it is for.

    Attributes:
        skopeo: whose private folder the layout is in.
        layout: holds every blob that travels and is not in the archive yet, and no placeholder.
        plan: what travels and what does not.
        packing: the archive, where it was begun.
    """

    skopeo: runner.Skopeo
    layout: Layout
    plan: Plan
    packing: Packing | None


class Selection(NamedTuple):
    """Which images of a bundle go, and under which names.

    Attributes:
        only: patterns; all images where there is none.
        names: other names for images.
    """

    only: Sequence[str]
    names: Mapping[str, str]

    def require_none(self) -> None:
        """Refuse to choose from an archive of one image.

        Raises:
            UsageError: there is a pattern or a name.
        """
        if self.only or self.names:
            raise UsageError("the archive is no bundle: it holds one image", "leave out --only and --map")


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
        jobs: int | None = None,
        delta: bool = False,
        delta_settings: Settings | None = None,
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
            jobs: how many images, or children of a list, are fetched at a time; by default three, or one where
                retries are wanted: on a bad link a cut then costs less.
            delta: let `pull` express new layers as their change, where that saves enough.
            delta_settings: how; `push` and its like only look at the memory.
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
        self._jobs = jobs
        self._delta = delta
        self._delta_settings = delta_settings
        if delta and not preserve_digests:
            raise UsageError("a change of a layer needs its digest", "leave out --delta, or --no-preserve-digests")
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
        return self._planned(self._single(base, final))

    def plan_bundle(
        self,
        spec: Spec,
        *,
        base: Bases = None,
        earlier: Spec | None = None,
        fail_fast: bool = False,
    ) -> PullResult:
        """Say what `pull_bundle` would do; no layer and no config is fetched.

        Args:
            spec: as for `pull_bundle`.
            base: as for `pull_bundle`.
            earlier: as for `pull_bundle`.
            fail_fast: as for `pull_bundle`.

        Raises:
            IncrementalError: as for `pull_bundle`.
        """
        return self._planned(self._bundle(spec, base, earlier, fail_fast=fail_fast))

    def _planned(self, request: Request) -> PullResult:
        from .pull.fetch import pull_result

        with self._skopeo() as skopeo:
            plan = self._plan(skopeo, request)
        return pull_result(plan, lambda _: None)

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
        return self._pulled(self._single(base, final), output)

    def pull_bundle(
        self,
        spec: Spec,
        *,
        base: Bases = None,
        earlier: Spec | None = None,
        output: str | Path | BinaryIO | None = None,
        fail_fast: bool = False,
    ) -> RemoveOnClose:
        """Pull several images into one archive, each as the difference to its own bases.

        Args:
            spec: the images, or the path of a file that names them, as `spec.read_spec` reads it. Where it does not
                say whether a list travels whole, what was given to this object counts.
            base: further bases of every image; of a bundle's receipt or archive, what it has in the repository of
                the image's name.
            earlier: the images of an earlier bundle, which the other side has, or their file: those in the
                repository of an image's name are its bases too.
            output: as for `pull`.
            fail_fast: stop at the first image that can't be read; else all are tried, and all failures told.

        Returns:
            The archive, as for `pull`. It holds all of the images, or there is none.

        Raises:
            BundleError: images can't be read.
            IncrementalError: as for `pull`.
        """
        return self._pulled(self._bundle(spec, base, earlier, fail_fast=fail_fast), output)

    def _pulled(self, request: Request, output: str | Path | BinaryIO | None) -> RemoveOnClose:
        from .archive.output import RemoveOnClose, open_target

        with (
            open_target(output, self._temp_dir) as target,
            self._fetched(request, target) as fetched,
        ):
            from .pull.fetch import write_archive

            result = write_archive(fetched.layout, fetched.plan, target, self.report, fetched.packing)
        return RemoveOnClose(target, result)

    @contextmanager
    def fetched(self, base: Bases, final: str | Reference, target: Target | None = None) -> Iterator[Fetched]:
        """Fetch what no base has, as long as the block lasts.

        Args:
            base: as for `pull`.
            final: as for `pull`.
            target: the archive, if one will be written; its folder is also that of temporary files, where none
                was given to this object.

        Raises:
            IncrementalError: as for `pull`.
        """
        with self._fetched(self._single(base, final), target) as fetched:
            yield fetched

    @contextmanager
    def _fetched(self, request: Request, target: Target | None) -> Iterator[Fetched]:
        # What a missing policy would stop must stop before anything is read.
        self._final.policy_flags()
        cache = self._cache()
        output = target.path.parent if target and target.path else None
        with self._skopeo(output) as skopeo:
            plan = self._plan(skopeo, request)
            from .host.space import Space
            from .pull.fetch import begin_archive, fetch

            space = Space()
            # What becomes of a layer is known when it is there.
            delta = any(item.delta for item in plan.items)
            with space.named(), begin_archive(plan, None if delta else target, self._preserve) as packing:
                layout, plan = fetch(
                    skopeo,
                    plan,
                    self._preserve,
                    self.report,
                    space,
                    cache=cache,
                    output=output,
                    packing=packing,
                    remove_signatures=self._remove_signatures,
                )
                if delta:
                    from .pull.deltas import make_deltas
                    from .source.blobs import Supply

                    with Supply([]) as supply:
                        settings = self._settings()
                        plan = make_deltas(skopeo, plan, layout, supply, settings, cache, self.report)
                yield Fetched(skopeo, layout, plan, packing)

    def doctor(self, reference: str | Reference | None = None) -> DoctorResult:
        """Say what could keep `pull` and `push` from working on this machine.

        Args:
            reference: an image or repository that a registry is asked for, by the final image's access.

        Raises:
            UsageError: the reference is malformed.
        """
        from .doctor import examine
        from .host.temporary import default_temp_dir

        asked = registry_reference(reference, "what to ask for") if reference is not None else None
        return examine(self._skopeo(), self._temp_dir or default_temp_dir(), self._final, asked)

    def inspect(
        self, src: ArchiveFile, for_: str | Reference | None = None, *, report: str | Path | None = None
    ) -> InspectResult:
        """Say what an archive holds; its layers are not verified.

        Args:
            src: a path or a seekable binary file.
            for_: a base, or a destination, that is asked for the layers that the archive leaves out; it is reached
                as the final image is. Nothing is written there. Without it no network is needed.
            report: a file that will be a page about the archive, for people; the archive is hashed for it.

        Raises:
            UsageError: there is no such archive, or nothing at `for_`.
            ContentError: it is broken, hostile, or made by a newer version.
            RegistryError: what `for_` names gave no clear answer.
        """
        from .results import InspectResult
        from .source.blobs import Supply

        asked = _reference(for_) if for_ is not None else None
        with Supply([src]) as supply:
            (found,) = supply.contents
            missing: tuple[MissingLayer, ...] = ()
            if asked and found.omitted:
                from .push.vet import layers_at, missing_layers
                from .skopeo.inspect import Source

                wanted = [found.omitted[digest] for digest in sorted(found.omitted)]
                with self._skopeo() as skopeo:
                    has = layers_at(skopeo, Source(asked, self._final, "--base"), wanted, self.report)
                missing = missing_layers(
                    {layer.digest: layer.size for layer in wanted if layer.digest not in has}, [found]
                )
            contents = _describe(found, supply)
            result = InspectResult(
                **contents.shared_fields(),
                changed=False,
                format=found.format,
                archive_size=supply.size,
                destination=str(asked) if asked else None,
                missing=missing,
                archive_sha256=supply.sha256() if report else None,
            )
        if report:
            from .cli.page import page
            from .host.files import complete_file

            name = Path(src).name if isinstance(src, (str, Path)) else "the archive"
            with complete_file(Path(report)) as file:
                file.write(page(result, name).encode())
        return result

    def diff(
        self, old: ArchiveFile, new: ArchiveFile, *, output: str | Path | BinaryIO | None = None
    ) -> RemoveOnClose:
        """Make the difference of two archives, without any registry.

        Args:
            old: an archive whose images the other side has, with all their layers.
            new: the archive that it is to get.
            output: as for `pull`.

        Returns:
            The archive, open for reading: what `pull` would have written with the old images as bases. `.result`
            says what it holds.

        Raises:
            UsageError: there is no such archive.
            ContentError: one is broken, hostile, or made by a newer version; or they contradict each other.
            HostError: one can't be read, or the output can't be written.
        """
        from .archive.output import RemoveOnClose, open_target
        from .host.space import room_for
        from .pull.difference import compare
        from .pull.fetch import archive_plan, write_archive
        from .source.blobs import Supply

        with Supply([old]) as before, Supply([new]) as supply, open_target(output, self._temp_dir) as target:
            plan = compare(before.contents[0], supply)
            supply.verify(self.report)
            with room_for(target.folder, archive_plan(plan).size):
                result = write_archive(supply, plan, target, self.report)
        return RemoveOnClose(target, result)

    def diff_plan(self, old: ArchiveFile, new: ArchiveFile) -> PullResult:
        """Say what `diff` would do; nothing is written.

        Args:
            old: as for `diff`.
            new: as for `diff`.

        Raises:
            IncrementalError: as for `diff`.
        """
        from .pull.difference import compare
        from .pull.fetch import pull_result
        from .source.blobs import Supply

        with Supply([old]) as before, Supply([new]) as supply:
            return pull_result(compare(before.contents[0], supply), supply.read)

    def push_vet(
        self,
        src: Archives,
        dst: str | Reference | None = None,
        *,
        base: Bases = None,
        only: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> VetResult:
        """Check archives, and whether a destination has what they leave out (Go: `Incremental.PushVet`).

        Args:
            src: as for `push`.
            dst: the destination's reference; without it the archives alone are checked.
            base: as for `push`.
            only: as for `push`.
            names: as for `push`.

        Returns:
            What was found; `missing` names the layers that nobody has. Nothing is written anywhere.

        Raises:
            UsageError: there is no such archive, or a reference is malformed.
            ContentError: an archive is broken, hostile, or made by a newer version.
            RegistryError: the destination gave no clear answer.
            HostError: skopeo is missing or too old.
        """
        from .archive.contents import merge
        from .push.vet import choose, vet
        from .results import VetResult
        from .source.blobs import Supply

        bases = self._holding_bases(base)
        selection = Selection(only, names or {})
        destination = self._destination(_reference(dst)) if dst is not None else None
        with Supply(_listed(src), self._delta_settings) as supply:
            if destination is None:
                supply.verify(self.report)
                found = merge(supply.contents, supply.archived)
                return VetResult(
                    **_describe(found, supply).shared_fields(), changed=False, destination=None, missing=()
                )
            if supply.is_bundle:
                return self._vetted_bundle(supply, destination.reference, bases, selection)
            selection.require_none()
            images = choose(destination, supply, self.report)
            with self._skopeo(destination.folder) as skopeo:
                _, missing = vet(skopeo, supply, images, destination, bases, self.report)
            found = merge(supply.contents, supply.archived, images)
            where = str(destination.reference)
            contents = _describe(found, supply, {found.images[0].image.root.digest: where})
            return VetResult(**contents.shared_fields(), changed=False, destination=where, missing=missing)

    def push(
        self,
        src: Archives,
        dst: str | Reference,
        *,
        base: Bases = None,
        additional_tags: Sequence[str] = (),
        overwrite_tag: bool = True,
        dry_run: bool = False,
        receipt: str | Path | None = None,
        only: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        fail_fast: bool = False,
    ) -> PushResult:
        """Push archives to a destination that holds their bases (Go: `Incremental.Push`).

        All archives are verified and the destination vetted before anything is written; tags come last.

        Args:
            src: a path or a seekable binary file; or a chain of them, each made from the one before, the oldest
                first. A registry gets all their images: the last as `dst` says; the others under their own tags
                where `dst` has none, else by their digests alone. Any other destination gets the last one.
            dst: the destination's reference, of any transport; one with a digest must name the last image. Of a
                bundle each image goes to a repository below it: a registry, or a part of one, without a tag.
            base: where layers come from that neither the archives nor the destination have, one reference or
                several, of `docker:`, `oci:`, `oci-archive:` or `dir:`.
            additional_tags: further tags in the same repository.
            overwrite_tag: whether a tag that points elsewhere may be moved, or a file replaced.
            dry_run: do all but the writing.
            receipt: a file that will say what the destination has then, for `receipt:FILE` as the next pull's base;
                a dry run writes none.
            only: of a bundle, the images whose names fit one of these patterns, with or without their tags.
            names: of a bundle, other names for images, by their names with or without tags.
            fail_fast: of a bundle, stop at the first image that fails; else the others are pushed all the same.

        Returns:
            What was done. `changed` is False where every tag already pointed to its image.

        Raises:
            BundleError: images of a bundle failed; its `result` says what happened to each.
            UsageError: there is no such archive, a reference or tag is malformed, or the destination can't keep
                digests that must be kept.
            MissingLayersError: layers that the archives leave out are nowhere to be had.
            ContentError: an archive is broken, hostile, or made by a newer version; or a base is not what it says.
            RegistryError: skopeo or a registry failed, or a tag would be overwritten.
            HostError: skopeo is missing or too old, or a folder can't be written.
        """
        from .source.blobs import Supply

        destination = self._destination(_reference(dst), additional_tags, overwrite_tag=overwrite_tag)
        bases = self._holding_bases(base)
        selection = Selection(only, names or {})
        if receipt is not None and destination.reference.transport in ("docker-archive", "docker-daemon"):
            raise UsageError(
                f"{destination.reference} keeps layers unpacked: no later archive can count on them",
                "leave out --receipt",
            )
        with ExitStack() as stack:
            file = None
            if receipt is not None and not dry_run:
                from .host.files import complete_file

                # That there is no room for it must show before the push.
                file = stack.enter_context(complete_file(Path(receipt)))
            supply = stack.enter_context(Supply(_listed(src), self._delta_settings))
            if supply.is_bundle:
                if additional_tags:
                    raise UsageError("the images of a bundle have one name each", "leave out --additional-tag")
                result, images = self._pushed_bundle(
                    supply,
                    destination.reference,
                    bases,
                    selection,
                    overwrite_tag=overwrite_tag,
                    dry_run=dry_run,
                    fail_fast=fail_fast,
                )
            else:
                selection.require_none()
                result, images = self._pushed(supply, destination, bases, dry_run=dry_run)
            if file:
                from .source.receipt import write_receipt

                write_receipt(result, [named for named in images if not named.beside], file)
        return result

    def _pushed(
        self, supply: Supply, destination: Destination, bases: Sequence[Source], *, dry_run: bool
    ) -> tuple[PushResult, Sequence[NamedImage]]:
        from .archive.contents import merge
        from .push.destination import Delivery
        from .push.tags import missing_error
        from .push.vet import choose, vet
        from .results import PushResult

        where = str(destination.reference)
        images = choose(destination, supply, self.report)
        self._require_kept(images)
        with self._skopeo(destination.folder) as skopeo:
            absent, missing = vet(skopeo, supply, images, destination, bases, self.report)
            if missing:
                raise missing_error(where, missing)
            delivery = Delivery(skopeo, supply, images, absent, self._preserve, self.report)
            sent = destination.send(delivery, dry_run=dry_run)
        found = merge(supply.contents, supply.archived, images)
        contents = _describe(found, supply, sent.references)
        result = PushResult(
            **contents.shared_fields() | {"digest": sent.digest},
            changed=sent.changed,
            destination=where,
            previous_digest=sent.tags[0].previous_digest,
            tags=sent.tags,
            image_id=sent.image_id,
        )
        return result, found.images

    def _require_kept(self, images: Iterable[NamedImage]) -> None:
        if any(named.beside for named in images) and not self._preserve:
            raise UsageError(
                "the archive holds signatures, which do not fit an image that is converted",
                "leave out --no-preserve-digests",
            )

    def _vetted_bundle(
        self, supply: Supply, dst: Reference, bases: Sequence[Source], selection: Selection
    ) -> VetResult:
        from .push.bundle import Round, all_missing, prefix_of
        from .results import VetResult

        prefix = prefix_of(dst)
        shipments = self._ship(supply, prefix, selection)
        supply.verify(self.report)
        with self._skopeo() as skopeo:
            vetting = Round(skopeo, supply, shipments, bases, self.report)
            vetting.vet()
        outcomes = vetting.outcomes()
        unclear = [outcome for outcome in outcomes if outcome.error and not outcome.missing]
        if unclear and (failure := vetting.failure("vetted")):
            raise failure
        found = merged(supply, shipments)
        return VetResult(
            **_describe(found, supply).shared_fields(),
            changed=False,
            destination=str(prefix),
            missing=all_missing(outcomes),
            outcomes=outcomes,
        )

    def _pushed_bundle(
        self,
        supply: Supply,
        dst: Reference,
        bases: Sequence[Source],
        selection: Selection,
        *,
        overwrite_tag: bool,
        dry_run: bool,
        fail_fast: bool,
    ) -> tuple[PushResult, Sequence[NamedImage]]:
        from .push.bundle import Round, prefix_of
        from .results import PushResult, TagChange

        prefix = prefix_of(dst)
        shipments = self._ship(supply, prefix, selection, overwrite_tag=overwrite_tag)
        for shipment in shipments:
            self._require_kept(shipment.images)
        supply.verify(self.report)
        with self._skopeo() as skopeo:
            sending = Round(skopeo, supply, shipments, bases, self.report, fail_fast=fail_fast)
            sending.vet()
            sending.send(self._preserve, dry_run=dry_run)
        outcomes = sending.outcomes()
        found = merged(supply, shipments)
        by_name = {outcome.name: outcome for outcome in outcomes}
        contents = _describe(found, supply)
        contents = replace(
            contents,
            images=tuple(
                replace(image, reference=by_name[image.name].destination) if image.name in by_name else image
                for image in contents.images
            ),
        )
        result = PushResult(
            **contents.shared_fields(),
            changed=any(outcome.changed for outcome in outcomes),
            destination=str(prefix),
            previous_digest=None,
            tags=tuple(TagChange(each.destination, each.previous_digest) for each in outcomes if not each.error),
            outcomes=outcomes,
        )
        if failure := sending.failure("pushed"):
            failure.result = result
            raise failure
        return result, found.images

    def _ship(
        self, supply: Supply, prefix: Reference, selection: Selection, *, overwrite_tag: bool = True
    ) -> list[Shipment]:
        from .push.bundle import ship
        from .push.registry import RegistryDestination

        def open_destination(reference: Reference) -> RegistryDestination:
            return RegistryDestination(
                reference, self._push, preserve=bool(self._preserve), overwrite_tag=overwrite_tag
            )

        return ship(supply.contents, prefix, selection.only, selection.names, open_destination)

    def complete(self, src: Archives, base: Bases, *, output: str | Path | BinaryIO | None = None) -> RemoveOnClose:
        """Make a whole archive of one that leaves layers out.

        Args:
            src: as for `push`: of a chain, the last image is made whole.
            base: as for `push`.
            output: as for `pull`.

        Returns:
            The archive, open for reading, byte for byte what `pull` would have written without a base; `.result`
            says what it holds.

        Raises:
            MissingLayersError: no base has a layer that is left out.
            IncrementalError: as for `push`.
        """
        from .archive.contents import merge
        from .archive.output import RemoveOnClose, open_target
        from .pull.fetch import written_to
        from .push.destination import Delivery
        from .push.local import ArchiveDestination, pack_whole
        from .push.tags import missing_error
        from .push.vet import choose, vet
        from .results import PullResult
        from .source.blobs import Supply

        bases = self._holding_bases(base)
        with Supply(_listed(src), self._delta_settings) as supply, open_target(output, self._temp_dir) as target:
            destination = ArchiveDestination(Reference("oci-archive", target.name), self._push, preserve=True)
            images = choose(destination, supply, self.report)
            with self._skopeo(target.folder) as skopeo:
                absent, missing = vet(skopeo, supply, images, destination, bases, self.report)
                if missing:
                    raise missing_error(target.name, missing)
                delivery = Delivery(skopeo, supply, images, absent, ["--preserve-digests"], self.report)
                written = pack_whole(delivery, target.file, None, target.name, target.folder)
                found = merge((), supply.__contains__, images)
            archive, changed = written_to(target, written)
            result = PullResult(**_describe(found, supply).shared_fields(), changed=changed, archive=archive)
        return RemoveOnClose(target, result)

    def _destination(
        self, reference: Reference, additional_tags: Sequence[str] = (), *, overwrite_tag: bool = True
    ) -> Destination:
        """Return what writes to a reference."""
        from .push.local import PLACES
        from .push.registry import RegistryDestination

        kinds: dict[str, type[Destination]] = {"docker": RegistryDestination, **PLACES}
        if reference.transport not in kinds:
            raise UsageError(f"{reference} is no place for an image", "give a registry, or an oci: layout")
        return kinds[reference.transport](
            reference,
            self._push,
            preserve=bool(self._preserve),
            additional_tags=additional_tags,
            overwrite_tag=overwrite_tag,
        )

    def _holding_bases(self, base: Bases) -> list[Source]:
        """Return the bases of a push."""
        found = self._bases(base)
        if found:
            from .source.blobs import require_holding

            require_holding(found)
        return found

    def _single(self, base: Bases, final: str | Reference) -> Request:
        from .pull.plan import Wanted

        source = self._final_source(registry_reference(final, "the final image"))
        return Request((Wanted(source, tuple(self._bases(base)), self._one_platform(), None, self._delta),))

    def _bundle(self, spec: Spec, base: Bases, earlier: Spec | None, *, fail_fast: bool) -> Request:
        from .pull.plan import Wanted
        from .source.spec import bases_from, gone_since

        if not self._preserve:
            raise UsageError("the images of a bundle keep their digests", "leave out --no-preserve-digests")
        if self._referrers:
            raise UsageError("--with names what belongs to one image, and a bundle has several", "leave it out")
        images, before = _images(spec), _images(earlier or ())
        wanted = []
        for image in images:
            bases = [*image.bases, *bases_from(before, image.name)]
            platform = image.platform
            if image.all is None:
                platform = platform or self._one_platform()
            elif not image.all:
                platform = platform or self._platform or wanted_platform()
            sources = dict.fromkeys([*self._bases(bases), *self._bases(base)])
            delta = self._delta if image.delta is None else image.delta
            wanted.append(Wanted(self._final_source(image.final), tuple(sources), platform, image.name, delta))
        return Request(tuple(wanted), True, gone_since(before, images), fail_fast)

    def _one_platform(self) -> Platform | None:
        """Return what a list is narrowed to; None where it travels whole."""
        return None if self._all else self._platform or wanted_platform()

    def _final_source(self, reference: Reference) -> Source:
        from .skopeo.inspect import Source

        return Source(reference, self._final, "--final")

    def _bases(self, base: Bases) -> list[Source]:
        from .skopeo.inspect import Source

        bases = [base] if isinstance(base, (str, Reference)) else base or ()
        return [Source(_reference(each), self._base, "--base") for each in bases]

    def _plan(self, skopeo: runner.Skopeo, request: Request) -> Plan:
        from .pull.plan import make_plan

        plan = make_plan(
            skopeo,
            request.wanted,
            self.report,
            is_bundle=request.is_bundle,
            fail_fast=request.fail_fast,
            gone=request.gone,
            with_signatures=self._with_signatures,
            referrers=self._referrers,
        )
        for warning in plan.warnings():
            self.report(f"warning: {warning}")
        if any(item.delta for item in plan.items):
            from .pull.deltas import comparisons

            plan = replace(plan, compared=comparisons(plan, self._settings()))
        return plan

    def _settings(self) -> Settings:
        from .delta.artifact import Settings

        return self._delta_settings or Settings()

    def _cache(self) -> Cache | None:
        if self._cache_dir is None:
            return None
        from .source.cache import Cache

        return Cache(self._cache_dir, self._cache_max_size, self.report)

    def _skopeo(self, temp_dir: Path | None = None) -> runner.Skopeo:
        from .skopeo.retry import Retries
        from .skopeo.runner import Skopeo

        return Skopeo(
            self._skopeo_path,
            self._temp_dir or temp_dir,
            trace=self._trace,
            progress=self._progress,
            imports=_LATE,
            retries=Retries(self._retry_times, self._retry_delay, self.report),
            timeout=self._timeout,
            copies=self._jobs,
        )

    def report(self, line: str) -> None:
        """Hand a line to the report writer, if there is one."""
        if self._report_writer:
            self._report_writer.write(f"{one_line(line)}\n")


def _reference(base: str | Reference) -> Reference:
    return Reference.parse(base) if isinstance(base, str) else base


def _listed(archives: Archives) -> Sequence[ArchiveFile]:
    return archives if isinstance(archives, (list, tuple)) else [cast("ArchiveFile", archives)]


def _describe(found: ArchiveContents, supply: Supply, references: Mapping[str, str] | None = None) -> Contents:
    from .archive.summary import describe

    return describe(
        found.images,
        references or {},
        found.omitted,
        found.bases,
        found.bases_of,
        supply.read,
        is_bundle=found.is_bundle,
        deltas=found.deltas,
    )


def _images(spec: Spec) -> tuple[SpecImage, ...]:
    from .source.spec import read_spec

    return read_spec(spec) if isinstance(spec, (str, Path)) else tuple(spec)


def merged(supply: Supply, shipments: Iterable[Shipment]) -> ArchiveContents:
    """Return what the bundle's images that go somewhere hold together, in the bundle's order."""
    from .archive.contents import merge

    images = [named for shipment in shipments for named in shipment.images]
    return merge(supply.contents, supply.archived, images[::-1])
