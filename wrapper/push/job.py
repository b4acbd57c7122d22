"""The work of a push: every destination is vetted first, then all is uploaded, and tags come last."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..archive.contents import merge, missing_layers
from ..archive.summary import describe, with_references
from ..errors import BundleError, IncrementalError
from ..results import Outcome, PushResult, ReadBack, VetResult
from .claims import Claims
from .options import LAYERS
from .tags import missing_error, require_sent
from .upload import Upload
from .vet import vet
from .waves import waves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..host.progress import Progress
    from ..oci.manifest import Descriptor
    from ..results import Failure, MissingLayer
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from .held import Told
    from .plan import PushItem, PushPlan
    from .upload import UploadResult
    from .vet import Vetted


class PushJob:
    """A push, or its vetting.

    An item of a bundle that fails does not stop the others; what went wrong is told at the end.
    """

    def __init__(
        self,
        skopeo: Skopeo,
        blob_source: BlobSource,
        plan: PushPlan,
        bases: Sequence[ImageSource],
        report: Progress,
        *,
        fail_fast: bool = False,
        deep: bool = False,
        verify: str | None = None,
        told: Sequence[Told] = (),
    ) -> None:
        """Prepare.

        Args:
            skopeo: an entered `Skopeo`.
            blob_source: the archives' blobs, verified.
            plan: what goes where.
            bases: what has layers that the destination lacks.
            report: is told each step.
            fail_fast: stop at the first item of a bundle that fails.
            deep: also read the layers that destinations say they have.
            verify: what to read back before there are tags, as `Incremental.push` takes it.
            told: where images are said to be that a push may count on.
        """
        self._skopeo = skopeo
        self._blob_source = blob_source
        self._plan = plan
        self._bases = bases
        self._report = report
        self._fail_fast = fail_fast
        self._deep = deep
        self._verify = verify
        # Now, while nothing is written: the archives may become unreadable later.
        found = merge(blob_source.contents, blob_source.archived, plan.told)
        self._contents = describe(found, blob_source.read)
        self._claims = Claims(skopeo, blob_source, bases, told, self._contents.names, report)
        self._vetted: dict[str, Vetted] = {}
        self._missing: dict[str, tuple[MissingLayer, ...]] = {}
        self._errors: dict[str, IncrementalError] = {}
        self._uploaded: dict[str, UploadResult] = {}
        self._read_back: list[ReadBack] = []

    def vet(self, *, look: bool = False) -> None:
        """Ask all destinations, side by side, whether they have what the archives leave out.

        Args:
            look: look at their tags, too, for an upload.

        Raises:
            MissingLayersError: the only one has not.
            RegistryError: in a deep vet, the only one can't give a layer that it says it has.
            IncrementalError: the only one gave no clear answer.
        """

        def vet_one(item: PushItem) -> None:
            steps: list[Callable[[], None]] = [partial(self._vet_one, item)]
            if look:
                steps.append(partial(item.destination.look, self._skopeo, item.images, self._report))
            for result in self._skopeo.side_by_side(steps):
                if result:
                    raise result
            if look:
                self._claims.look(item, self._vetted[item.name])

        with self._report.phase("vetting"):
            self._for_each(vet_one, self._plan.items)

    def upload(self, *, dry_run: bool = False) -> None:
        """Upload the items that passed: first all that they are made of, then their tags.

        One alone is uploaded with its tag, if nothing is to be read before that.

        Args:
            dry_run: only look what would be uploaded.

        Raises:
            IncrementalError: the only one can't be uploaded, or reads as something else afterwards.
        """
        items = self._plan.items
        if self._fail_fast and self._errors:
            return
        left = [item for item in items if item.name not in self._errors]

        def upload_untagged(item: PushItem) -> None:
            # A tag may point to what a registry once took, and can't give any more.
            item.destination.upload_untagged(self._upload_of(item), again=bool(self._verify))

        def upload_one(item: PushItem) -> None:
            self._uploaded[item.name] = item.destination.upload(self._upload_of(item), dry_run=dry_run)

        def read_untagged(item: PushItem) -> None:
            if item.destination.preserve:
                self._claims.read_uploaded(item, item.image.image.root.digest)

        def read_back(item: PushItem) -> None:
            uploaded = self._uploaded[item.name]
            try:
                require_sent(self._skopeo, uploaded.sent, item.destination.access, self._report)
                # What skopeo converts is there only with its tag.
                if uploaded.sent and not item.destination.preserve:
                    self._claims.read_uploaded(item, uploaded.digest, tagged=True)
            except IncrementalError:
                del self._uploaded[item.name]
                raise

        total = 0 if dry_run else sum(self._upload_of(item).bytes_to_send for item in left)
        with self._report.phase(items[0].destination.phase, total):
            if (len(items) > 1 or self._verify or self._claims.unread) and not dry_run:
                for wave in waves(left, self._blobs_to_send):
                    self._for_each(upload_untagged, wave)
                if self._verify != LAYERS:
                    self._for_each(read_untagged, left)
            if self._verify and not dry_run:
                self._verify_all(left)
            self._for_each(upload_one, items)
        sent = [item for item in items if item.name in self._uploaded]
        with self._report.phase("reading back"):
            self._for_each(read_back, sent, whatever_failed=True)

    def _verify_all(self, items: Sequence[PushItem]) -> None:
        """Read back what was uploaded; the tags of what can't be read are not written."""
        layers = self._verify == LAYERS

        def verify_one(item: PushItem) -> None:
            read_back = item.destination.verify(self._skopeo, item.images, self._report, layers=layers)
            self._read_back.append(read_back)

        total = sum(layer.size for item in items for layer in _layers_of(item).values()) if layers else 0
        with self._report.phase("reading back", total):
            self._for_each(verify_one, items)

    def failure(self, done: str) -> BundleError | None:
        """Return the error that says which items of a bundle failed; None where none did.

        Args:
            done: what could not be done, such as "pushed".
        """
        ordered = [(each.name, self._errors[each.name]) for each in self._plan.items if each.name in self._errors]
        return BundleError(done, ordered, len(self._plan.items)) if ordered else None

    def vet_result(self) -> VetResult:
        """Say what the vetting found.

        Raises:
            BundleError: a destination gave no clear answer; its `result` says what was found.
        """
        contents = self._contents if self._plan.is_bundle else with_references(self._contents, self._references())
        result = VetResult(
            **contents.shared_fields(),
            changed=False,
            destination=self._plan.destination,
            missing=self._all_missing(),
            outcomes=self._outcomes(),
            read_back=self._all_read_back() if self._deep else None,
        )
        unclear = self._errors.keys() - self._missing.keys()
        if unclear and (failure := self.failure("vetted")):
            failure.result = result
            raise failure
        return result

    def push_result(self) -> PushResult:
        """Say what was uploaded."""
        uploaded = [self._uploaded[item.name] for item in self._plan.items if item.name in self._uploaded]
        contents = with_references(self._contents, self._references())
        # A bundle has no digest or tag as a whole, and each of its images one.
        single = None if self._plan.is_bundle else uploaded[0]
        return PushResult(
            **contents.shared_fields() | ({"digest": single.digest} if single else {}),
            changed=any(each.changed for each in uploaded),
            destination=self._plan.destination,
            previous_digest=single.tags[0].previous_digest if single else None,
            tags=single.tags if single else tuple(each.tags[0] for each in uploaded),
            image_id=single.image_id if single else None,
            outcomes=self._outcomes(self._left_out()),
            missing=self._all_missing(),
            read_back=self._all_read_back() if self._read_back else None,
        )

    def _vet_one(self, item: PushItem) -> None:
        vetted = vet(self._skopeo, self._blob_source, item, self._bases, self._report)
        self._vetted[item.name] = vetted
        if vetted.missing:
            self._missing[item.name] = vetted.missing
            reference = item.destination.reference
            local = reference.transport != "docker"
            raise missing_error(str(reference), vetted.missing, self._contents.names, local=local)
        if self._deep:
            layers = missing_layers(vetted.there, self._blob_source.contents)
            read_back = item.destination.read_layers(
                self._skopeo, layers, self._bases, self._contents.names, self._report
            )
            self._read_back.append(read_back)

    def _upload_of(self, item: PushItem) -> Upload:
        absent = self._vetted[item.name].absent
        preserve = item.destination.preserve
        return Upload(self._skopeo, self._blob_source, item.images, absent, preserve, self._report)

    def _blobs_to_send(self, item: PushItem) -> set[tuple[str, str]]:
        """Return the layers that an item brings to its repository."""
        repository = item.destination.reference.name
        upload = self._upload_of(item)
        leaves = (leaf for named in item.images for leaf in named.image.leaves)
        return {(repository, digest) for leaf in leaves for digest in upload.layers_to_send(leaf)}

    def _for_each(
        self, step: Callable[[PushItem], object], items: Sequence[PushItem], *, whatever_failed: bool = False
    ) -> None:
        """Take a step for each item that has not failed yet, side by side; if need be, whatever others failed."""

        def take(item: PushItem) -> None:
            if self._fail_fast and self._errors and not whatever_failed:
                return
            try:
                step(item)
            except IncrementalError as error:
                if not self._plan.is_bundle:
                    raise
                self._errors[item.name] = error
                self._report(f"{item.name}: {error.message}")

        left = [item for item in items if item.name not in self._errors]
        for result in self._skopeo.side_by_side([partial(take, item) for item in left], self._skopeo.copies):
            if result:
                raise result

    def _references(self) -> dict[tuple[str | None, str], str]:
        """Return where each image went, or was to go, by its key."""
        references = {item.image.key: str(item.destination.reference) for item in self._plan.items}
        for result in self._uploaded.values():
            references |= result.references
        return references

    def _all_missing(self) -> tuple[MissingLayer, ...]:
        """Return the layers that nobody has, each once."""
        missing = {layer.digest: layer for found in self._missing.values() for layer in found}
        return tuple(missing[digest] for digest in sorted(missing))

    def _all_read_back(self) -> ReadBack:
        """Return what was read back of all items together."""
        amounts = [(each.manifests, each.layers, each.bytes) for each in self._read_back]
        return ReadBack(*map(sum, zip((0, 0, 0), *amounts, strict=True)))

    def _left_out(self) -> Failure | None:
        """Return what is wrong with images that nobody tried to upload, as another one had failed."""
        failure = self.failure("pushed")
        if not failure:
            return None
        message = "not pushed, as another image of the bundle failed"
        return replace(failure.as_failure(), message=message, next="mend that, or leave out `fail_fast`")

    def _outcomes(self, left_out: Failure | None = None) -> tuple[Outcome, ...]:
        """Say what happened to each image of a bundle so far, in the bundle's order.

        Args:
            left_out: what is wrong with those that should have been uploaded, and were not.
        """
        return tuple(self._outcome(item, left_out) for item in self._plan.items) if self._plan.is_bundle else ()

    def _outcome(self, item: PushItem, left_out: Failure | None) -> Outcome:
        error, uploaded = self._errors.get(item.name), self._uploaded.get(item.name)
        return Outcome(
            item.name,
            uploaded.tags[0].reference if uploaded else str(item.destination.reference),
            item.image.image.root.digest,
            changed=bool(uploaded and uploaded.changed),
            previous_digest=uploaded.tags[0].previous_digest if uploaded else None,
            missing=self._missing.get(item.name, ()),
            error=error.as_failure() if error else None if uploaded else left_out,
        )


def _layers_of(item: PushItem) -> dict[str, Descriptor]:
    return {digest: layer for named in item.images for digest, layer in named.image.layers.items()}
