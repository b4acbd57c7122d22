"""`Incremental`: every operation of this package, as a table of contents; the steps of each are in its wing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .delta.options import DeltaOptions
from .errors import UsageError
from .host.progress import Progress
from .skopeo.access import Access, Authentications
from .skopeo.options import LinkOptions, SkopeoOptions
from .source.options import SignatureOptions

# What only some operations need is imported by those: it takes long.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO, TextIO

    from .archive.output import Output, RemoveOnClose
    from .archive.reader import ArchiveFile, ArchiveFiles
    from .events import Event
    from .mirror.config import MirrorConfig
    from .oci.platforms import Platform
    from .oci.reference import Reference
    from .pull.puller import Puller
    from .push.pusher import Pusher
    from .results import (
        DoctorResult,
        InspectResult,
        MirrorConfigResult,
        PullResult,
        PushResult,
        SpecResult,
        StatusResult,
        VetResult,
    )
    from .skopeo.inspect import References
    from .source.options import CacheOptions
    from .source.spec import Spec


class Incremental:
    """Moves images as the difference to what the other side has (Go: `incremental.Incremental`)."""

    def __init__(
        self,
        *,
        authentications: Authentications | None = None,
        base_auth: Access | None = None,
        final_auth: Access | None = None,
        push_auth: Access | None = None,
        archive_auth: Access | None = None,
        all_architectures: bool = False,
        platform: Platform | None = None,
        platforms: Sequence[Platform] = (),
        preserve_digests: bool = True,
        signatures: SignatureOptions | None = None,
        cache: CacheOptions | None = None,
        deltas: DeltaOptions | None = None,
        anonymous: bool = False,
        link: LinkOptions | None = None,
        jobs: int | None = None,
        temp_dir: str | Path | None = None,
        skopeo: str = "skopeo",
        on_event: Callable[[Event], None] | None = None,
        report_writer: TextIO | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare; nothing is read or run yet.

        Args:
            authentications: how the sides are reached, in one argument.
            base_auth: how bases are reached; counts before `authentications`, as do the next three.
            final_auth: how the final image is reached.
            push_auth: how the destination is reached.
            archive_auth: how the registry is reached that archives are read from.
            all_architectures: take a list whole; else it is narrowed to one platform.
            platform: which one; this machine's by default.
            platforms: take a list as it is, with its digest, but of its platforms these alone.
            preserve_digests: demand that images arrive as they were; else skopeo may convert them.
            signatures: which signatures and other referrers `pull` takes along; none by default.
            cache: where `pull` keeps the layers that it fetches, for the next one.
            deltas: whether and how `pull` expresses new layers as their change; `push` and its like only look at
                the memory.
            anonymous: keep repositories' names and tags out of archives that `pull` and `diff` write: else those of
                images and bases stand there, without hosts, to explain digests. A bundle's images keep their names.
            link: how a link is dealt with that may be slow or fail.
            jobs: how many images, or children of a list, are worked on at a time; by default ten, or one where
                retries are wanted: on a bad link a cut then costs less.
            temp_dir: the folder for temporary files; by default the output's own for `pull`, else TMPDIR,
                else /var/tmp.
            skopeo: skopeo's path, or its name on PATH.
            on_event: receives several events a second as long as an operation runs, from one thread at a time. What
                it raises ends the operation within a second, and is raised by it; what was begun is cleaned up.
            report_writer: receives these events as lines of text: one for each step, and at least one every ten
                seconds. Nothing is ever printed.
            trace: receives a line for each call of skopeo, and what it said.
        """
        given = authentications or Authentications()
        self._access = Authentications(
            base_auth or given.base,
            final_auth or given.final,
            push_auth or given.push,
            archive_auth or given.archive,
        )
        self._all_architectures = all_architectures
        self._platform = platform
        self._platforms = tuple(platforms)
        self._preserve_digests = preserve_digests
        self._signatures = signatures
        self._cache = cache
        self._deltas = deltas or DeltaOptions()
        self._on_event = on_event
        self._anonymous = anonymous
        self._report_writer = report_writer
        self._skopeo = SkopeoOptions(
            path=skopeo,
            temp_dir=Path(temp_dir) if temp_dir else None,
            link=link or LinkOptions(),
            jobs=jobs,
            trace=trace,
        )

    def plan(self, base: References, final: str | Reference, *, for_site: Sequence[str | Path] = ()) -> PullResult:
        """Say what `pull` would do; no layer and no config is fetched.

        Args:
            base: as for `pull`.
            final: as for `pull`.
            for_site: as for `pull`.

        Raises:
            IncrementalError: as for `pull`.
        """
        with self.operation() as report:
            puller = self.puller(report)
            return puller.plan(puller.request_image(base, final, for_site))

    def plan_bundle(
        self,
        spec: Spec,
        *,
        base: References = None,
        earlier: Spec | None = None,
        for_site: Sequence[str | Path] = (),
        fail_fast: bool = False,
    ) -> PullResult:
        """Say what `pull_bundle` would do; no layer and no config is fetched.

        Args:
            spec: as for `pull_bundle`.
            base: as for `pull_bundle`.
            earlier: as for `pull_bundle`.
            for_site: as for `pull`.
            fail_fast: as for `pull_bundle`.

        Raises:
            IncrementalError: as for `pull_bundle`.
        """
        with self.operation() as report:
            puller = self.puller(report)
            return puller.plan(puller.request_bundle(spec, base, earlier, for_site, fail_fast=fail_fast))

    def pull(
        self,
        base: References,
        final: str | Reference,
        *,
        output: Output = None,
        for_site: Sequence[str | Path] = (),
        sent_ledger: str | Path | None = None,
    ) -> RemoveOnClose:
        """Pull the difference between bases and a final image (Go: `Incremental.Pull`).

        Args:
            base: one reference, several, or None for the whole image; see `bases` for those outside of registries.
            final: the image to pull.
            output: a path, where the archive appears complete or not at all; or a binary file, to which it is
                streamed once it is known to be good; or None for a temporary file.
            for_site: the receipts of all sites that are to get the archive: what each of them has is a base, too.
            sent_ledger: a file that lists what was sent, for `sent:FILE` as a base: the image is added when the
                archive is complete.

        Returns:
            The archive, open for reading; `.result` says what was pulled. A binary file given as `output` is
            not read back: what is returned then reads as empty.

        Raises:
            UsageError: a reference is malformed, the platform is unknown, or the output is a folder.
            ContentError: something is not what its digest, size or schema says.
            RegistryError: skopeo or a registry failed.
            HostError: skopeo is missing or too old, or a folder can't be written.
        """
        with self.operation() as report:
            puller = self.puller(report)
            return puller.pull(puller.request_image(base, final, for_site), output, sent_ledger)

    def pull_bundle(
        self,
        spec: Spec,
        *,
        base: References = None,
        earlier: Spec | None = None,
        output: Output = None,
        fail_fast: bool = False,
        for_site: Sequence[str | Path] = (),
        sent_ledger: str | Path | None = None,
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
            for_site: as for `pull`; for each image, what the sites have in the repository of its name.
            sent_ledger: as for `pull`.

        Returns:
            The archive, as for `pull`. It holds all of the images, or there is none.

        Raises:
            BundleError: images can't be read.
            IncrementalError: as for `pull`.
        """
        with self.operation() as report:
            puller = self.puller(report)
            request = puller.request_bundle(spec, base, earlier, for_site, fail_fast=fail_fast)
            return puller.pull(request, output, sent_ledger)

    def push_vet(
        self,
        src: ArchiveFiles,
        dst: str | Reference | None = None,
        *,
        base: References = None,
        only: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        expect_sha256: str | Sequence[str] = (),
        deep: bool = False,
    ) -> VetResult:
        """Check archives, and whether a destination has what they leave out (Go: `Incremental.PushVet`).

        Args:
            src: as for `push`.
            dst: the destination's reference; without it the archives alone are checked.
            base: as for `push`.
            only: as for `push`.
            names: as for `push`.
            expect_sha256: as for `push`.
            deep: also read every layer that the destination says it has, and verify it: a registry's cache may say
                yes to a layer that garbage collection has removed. skopeo fetches them as a part of the bases that
                the archive names, of the image that `dst` names, or of those of `base` in the same repository.

        Returns:
            What was found; `missing` names the layers that nobody has. Nothing is written anywhere.

        Raises:
            UsageError: there is no such archive, or a reference is malformed.
            ContentError: an archive is broken, hostile, made by a newer version, or not what it is to hash to.
            RegistryError: the destination gave no clear answer; or, where `deep`, a layer that it says it has can't
                be read, or no image there is known that has it.
            BundleError: that is so for images of a bundle; its `result` says what was found.
            HostError: skopeo is missing or too old.
        """
        from .push.options import Selection

        with self.operation() as report:
            return self._pusher(report).vet(src, dst, base, Selection(only, names or {}), expect_sha256, deep=deep)

    def push(
        self,
        src: ArchiveFiles,
        dst: str | Reference,
        *,
        base: References = None,
        additional_tags: Sequence[str] = (),
        overwrite_tag: bool = True,
        dry_run: bool = False,
        receipt: str | Path | None = None,
        only: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        fail_fast: bool = False,
        expect_sha256: str | Sequence[str] = (),
        as_delta: bool = False,
        mirror_config: str | Path | None = None,
        spec: Spec | None = None,
        verify: str | None = None,
    ) -> PushResult:
        """Push archives to a destination that holds their bases (Go: `Incremental.Push`).

        All archives are verified and the destination vetted before anything is written; tags come last. What a
        registry says it has is not sent; where it can't give the first bytes of that, no tag is written.

        Args:
            src: a path or a seekable binary file; or `docker://HOST/NAME:TAG`, of an archive that was stored there;
                or a chain of them, each made from the one before, the oldest first. A registry gets all their
                images: the last as `dst` says; the others under their own tags where `dst` has none, else by their
                digests alone. Any other destination gets the last one.
            dst: the destination's reference, of any transport; one with a digest must name the last image. Of a
                bundle each image goes to a repository below it: a registry, or a part of one, without a tag.
            base: where layers come from that neither the archives nor the destination have, one reference or
                several, of `docker:`, `oci:`, `oci-archive:` or `dir:`.
            additional_tags: further tags in the same repository.
            overwrite_tag: whether a tag that points elsewhere may be moved, or a file replaced.
            dry_run: do all but the writing.
            receipt: a file that will say what the destination has then, for `receipt:FILE` as the next pull's base;
                one of the same registry is added to. A dry run writes none.
            only: of a bundle, the images whose names fit one of these patterns, with or without their tags.
            names: of a bundle, other names for images, by their names with or without tags.
            fail_fast: of a bundle, stop at the first image that fails; else the others are pushed all the same.
            expect_sha256: what the archives hash to, in hexadecimal digits, as many as there are archives; or, of
                archives in volumes, as many as there are files. What is pushed is then what archives with these
                sums hold, whoever writes to the files meanwhile.
            as_delta: store the archive itself at `dst`, a tag of a registry, for others to read it from there: an
                artifact whose subject is its image. Nothing is vetted then, and no layer that it leaves out is
                needed; of the other arguments `overwrite_tag`, `dry_run` and `expect_sha256` count.
            mirror_config: of a bundle, a folder for files that make clusters pull from there, as the method of this
                name writes them; they are written when all images are there, and a dry run writes none.
            spec: the images that the bundle was pulled with, or their file; for `mirror_config` alone.
            verify: read images back from a registry before any tag points to them: "manifests" for manifests and
                configs, "layers" for every layer, too, whoever has sent it. By default each tag is read back.

        Returns:
            What was done. `changed` is False where every tag already pointed to its image.

        Raises:
            BundleError: images of a bundle failed; its `result` says what happened to each.
            UsageError: there is no such archive, a reference or tag is malformed, or the destination can't keep
                digests that must be kept.
            MissingLayersError: layers that the archives leave out are missing everywhere.
            ContentError: an archive is broken, hostile, made by a newer version, or not what it is to hash to; or a
                base is not what it says.
            RegistryError: skopeo or a registry failed, a tag would be overwritten, or what was sent can't be read
                back.
            HostError: skopeo is missing or too old, or a folder can't be written.
        """
        from .push.options import Selection

        with self.operation() as report:
            mirror = None if mirror_config is None and spec is None else self._mirror_config(mirror_config, spec)
            result = self._pusher(report).push(
                src,
                dst,
                base,
                Selection(only, names or {}),
                additional_tags=additional_tags,
                overwrite_tag=overwrite_tag,
                dry_run=dry_run,
                receipt=receipt,
                fail_fast=fail_fast,
                expect_sha256=expect_sha256,
                as_delta=as_delta,
                planned=mirror.prepare if mirror else None,
                verify=verify,
            )
            return replace(result, mirror_config=mirror.write(report, dry_run=dry_run)) if mirror else result

    def mirror_config(
        self,
        src: ArchiveFiles,
        dst: str | Reference,
        spec: Spec,
        output: str | Path,
        *,
        only: Sequence[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> MirrorConfigResult:
        """Write files that make clusters and hosts pull a bundle's images from where they were pushed.

        They are for podman and CRI-O (`registries.conf.d`), containerd (`certs.d`), OpenShift, k3s and RKE2; and
        `mapping.txt` has one image a line. No registry is asked.

        Args:
            src: the bundle, or a chain of them, as for `push`.
            dst: as for `push`. Where its access has `tls_verify=False`, the files say so.
            spec: the images that the bundle was pulled with, or their file: it says where they come from.
            output: a folder. Of what is there, only such files are replaced or removed that this method wrote.
            only: as for `push`.
            names: as for `push`.

        Raises:
            UsageError: there is no such archive, or it is no bundle; the spec is malformed, or names none of its
                images; a reference is malformed; or a file is there that somebody else has written.
            ContentError: the archive is broken, hostile, or made by a newer version.
            HostError: the folder can't be written.
        """
        from .mirror.config import write_planned
        from .push.options import Selection

        with self.operation() as report:
            mirror = self._mirror_config(output, spec)
            return write_planned(mirror, self._pusher(report), src, dst, Selection(only, names or {}))

    def complete(self, src: ArchiveFiles, base: References, *, output: Output = None) -> RemoveOnClose:
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
        from .push.complete import complete

        with self.operation() as report:
            return complete(self._pusher(report), src, base, output)

    def inspect(
        self, src: ArchiveFile, for_: str | Reference | None = None, *, checksum: bool = False
    ) -> InspectResult:
        """Say what an archive holds; its layers are not verified.

        Args:
            src: as for `push`, but one.
            for_: a base, or a destination, that is asked for the layers that the archive leaves out; it is reached
                as the final image is. Nothing is written there. Without it no network is needed.
            checksum: whether to hash the archive as a whole, and its volumes, if it has any.

        Raises:
            UsageError: there is no such archive, or nothing at `for_`.
            ContentError: it is broken, hostile, or made by a newer version.
            RegistryError: what `for_` names gave no clear answer.
        """
        from .inspection import inspect
        from .skopeo.inspect import image_sources
        from .source.stored import archives_at_hand

        places = image_sources(for_, self._access.final, "final")
        place = places[0] if places else None
        with self.operation() as report:
            options = replace(self._skopeo, report=report)
            with archives_at_hand([src], options, self._access.archive, report) as (archive,):
                return inspect(archive, place, options, report, checksum=checksum)

    def diff(self, old: ArchiveFile, new: ArchiveFile, *, output: Output = None) -> RemoveOnClose:
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
        from .pull.difference import diff

        with self.operation() as report:
            temp_dir = self._skopeo.temp_dir
            return diff(old, new, output, temp_dir, self._deltas, report, anonymous=self._anonymous)

    def diff_plan(self, old: ArchiveFile, new: ArchiveFile) -> PullResult:
        """Say what `diff` would do; nothing is written.

        Args:
            old: as for `diff`.
            new: as for `diff`.

        Raises:
            IncrementalError: as for `diff`.
        """
        from .pull.difference import plan_diff

        with self.operation():
            return plan_diff(old, new, self._deltas, anonymous=self._anonymous)

    def doctor(self, reference: str | Reference | None = None) -> DoctorResult:
        """Say what could keep `pull` and `push` from working on this machine.

        Args:
            reference: an image or repository that a registry is asked for, by the final image's access.

        Raises:
            UsageError: the reference is malformed.
        """
        from .doctor import examine

        with self.operation() as report:
            return examine(replace(self._skopeo, report=report), self._access.final, reference)

    def spec_from(
        self, *sources: str | Path | BinaryIO, registry: str | None = None, pin: bool = False
    ) -> SpecResult:
        """Make the spec of a bundle from what names images.

        Args:
            sources: each a path, or a binary file that is open for reading: rendered Kubernetes manifests, Compose
                files, a list of references, an archive or a receipt; or a folder of manifests, or a Helm chart as a
                folder or `.tgz`. A chart is rendered by helm where that is installed.
            registry: where the images of archives are, such as `vendor.example`, with the part of the repositories
                that their names lack; for a receipt, where that is not its push's destination.
            pin: whether each tag gets the digest beside it that it has now. Registries are reached as for final
                images. Without it nothing is asked.

        Returns:
            The spec, where each image was found, and warnings. Nothing is written anywhere.

        Raises:
            UsageError: there is no such file, it names no image, or PyYAML is needed and not installed.
            BundleError: tags can't be looked up.
            ContentError: a file is not what it seems to be.
            HostError: a file can't be read, or skopeo is missing.
        """
        from .release.spec import make_spec

        with self.operation() as report:
            options = replace(self._skopeo, report=report)
            return make_spec(sources, registry, (options, self._access.final) if pin else None, report)

    def status(self, spec: Spec, sites: Sequence[str | Path]) -> StatusResult:
        """Say what sites have of a release, as their receipts say.

        Args:
            spec: the release, as for `pull_bundle`. Its registries are asked only for images without a digest, by
                the final image's access.
            sites: the receipts of the sites.

        Raises:
            UsageError: there is no such file, or the spec is malformed.
            ContentError: a receipt is none.
            BundleError: images can't be read.
        """
        from .source.status import status

        with self.operation() as report:
            return status(replace(self._skopeo, report=report), self._access.final, spec, sites)

    @contextmanager
    def operation(self) -> Iterator[Progress]:
        """Run one operation, which tells how it goes to whoever was named to this object."""
        receivers = [self._on_event] if self._on_event else []
        if self._report_writer:
            from .host.lines import PlainLines

            receivers.append(PlainLines(self._report_writer))

        def tell(event: Event) -> None:
            for receive in receivers:
                receive(event)

        with Progress(tell if receivers else None).running() as report:
            yield report

    def puller(self, report: Progress) -> Puller:
        """Return what pulls.

        Args:
            report: is told each step.

        Raises:
            UsageError: the options contradict each other.
        """
        from .pull.puller import Puller
        from .pull.request import PullOptions

        options = PullOptions(
            base=self._access.base,
            final=self._access.final,
            all_architectures=self._all_architectures,
            platform=self._platform,
            platforms=self._platforms,
            preserve_digests=self._preserve_digests,
            signatures=self._signatures or SignatureOptions(),
            cache=self._cache,
            deltas=self._deltas,
            anonymous=self._anonymous,
        )
        return Puller(replace(self._skopeo, report=report), options)

    def _mirror_config(self, folder: str | Path | None, spec: Spec | None) -> MirrorConfig:
        from .mirror.config import MirrorConfig

        if folder is None or spec is None:
            raise UsageError(
                "`mirror_config` needs `spec`, which says where images come from, and `spec` is for it alone",
                "give both, or none",
            )
        return MirrorConfig(spec, folder, insecure=self._access.push.tls_verify is False)

    def _pusher(self, report: Progress) -> Pusher:
        from .push.options import PushOptions
        from .push.pusher import Pusher

        options = PushOptions(
            base=self._access.base,
            destination=self._access.push,
            archives=self._access.archive,
            preserve_digests=self._preserve_digests,
            deltas=self._deltas,
        )
        return Pusher(replace(self._skopeo, report=report), options)
