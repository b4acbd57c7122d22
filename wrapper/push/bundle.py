"""Pushing a bundle: each image under the prefix, all vetted first, tags last."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BundleError, IncrementalError, UsageError
from ..oci.reference import Reference, is_bundle_name, repository_of
from ..results import Failure, Outcome
from .destination import Delivery
from .tags import missing_error
from .vet import vet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..archive.contents import ArchiveContents, NamedImage
    from ..oci.manifest import Descriptor
    from ..results import MissingLayer
    from ..skopeo.inspect import Source
    from ..skopeo.runner import Skopeo
    from ..source.blobs import Supply
    from .destination import Sent
    from .registry import RegistryDestination


class Shipment(NamedTuple):
    """An image of a bundle, and where it goes.

    Attributes:
        images: what stands beside it, then the image.
        destination: where it goes.
    """

    images: tuple[NamedImage, ...]
    destination: RegistryDestination

    @property
    def name(self) -> str:
        """What the bundle calls it."""
        return str(self.images[-1].name)


def prefix_of(destination: str | Reference) -> Reference:
    """Read where a bundle goes: a registry, or a part of it, to which each image's name is added.

    Raises:
        UsageError: it is malformed, not in a registry, or has a tag or digest.
    """
    text = str(destination)
    details = text.removeprefix("docker://")
    # By itself this would be taken for a repository with a tag.
    if details and "/" not in details and "@" not in details and (":" in details or "." in details):
        Reference.parse(f"docker://{details}/any")
        return Reference("docker", details)
    reference = Reference.parse(text)
    if reference.transport != "docker":
        raise UsageError(f"{reference} is not in a registry", "a bundle goes to docker://HOST/PREFIX")
    if reference.tag or reference.digest:
        raise UsageError(
            f"{reference} has a tag or digest, and a bundle's images have their own",
            "give a prefix, docker://HOST/PREFIX",
        )
    return reference


def ship(
    contents: Sequence[ArchiveContents],
    prefix: Reference,
    only: Sequence[str],
    renames: Mapping[str, str],
    open_destination: Callable[[Reference], RegistryDestination],
) -> list[Shipment]:
    """Say which image goes where.

    Args:
        contents: of bundles, each made from the one before; of two images of one name the later one goes.
        prefix: what their names are added to.
        only: patterns as a shell has them: images go whose name, with or without its tag, fits one; or all.
        renames: other names, for names with or without tag.
        open_destination: returns what writes to a reference.

    Raises:
        UsageError: an archive is no bundle, nothing fits a pattern or new name, or two images would go to one
            place.
    """
    if not all(found.is_bundle for found in contents):
        raise UsageError("a bundle and an archive of one image don't go together", "push one after the other")
    named = {each.name: (found, each) for found in contents for each in found.images if not each.beside}
    names = [str(name) for name in named]
    for pattern in (*only, *renames):
        if not any(_fits(name, pattern) for name in names):
            raise UsageError(
                f"the bundle has no image '{pattern}'; it has {', '.join(names):.500}",
                "inspect the bundle for its names",
            )
    shipments: dict[str, Shipment] = {}
    for found, image in named.values():
        name = str(image.name)
        if only and not any(_fits(name, pattern) for pattern in only):
            continue
        target = _renamed(name, renames)
        reference = Reference.parse(f"docker://{prefix.name}/{target}")
        if str(reference) in shipments:
            raise UsageError(f"two images would go to {reference}", "give one of them another name with --map")
        beside = tuple(each for each in found.beside if each.beside == image.image.root.digest)
        shipments[str(reference)] = Shipment((*beside, image), open_destination(reference))
    return list(shipments.values())


class Round:
    """A push of a bundle, or its vetting."""

    def __init__(
        self,
        skopeo: Skopeo,
        supply: Supply,
        shipments: Sequence[Shipment],
        bases: Sequence[Source],
        report: Callable[[str], None],
        *,
        fail_fast: bool = False,
    ) -> None:
        """Prepare.

        Args:
            skopeo: an entered `Skopeo`.
            supply: the bundle's blobs, verified.
            shipments: what goes where.
            bases: what has layers that the destination lacks.
            report: receives a line for each step.
            fail_fast: stop at the first image that fails; else the others go on.
        """
        self._skopeo = skopeo
        self._supply = supply
        self._shipments = shipments
        self._bases = bases
        self._report = report
        self._fail_fast = fail_fast
        self._absent: dict[str, Mapping[str, Descriptor]] = {}
        self._missing: dict[str, tuple[MissingLayer, ...]] = {}
        self._errors: dict[str, IncrementalError] = {}
        self._sent: dict[str, Sent] = {}

    def vet(self) -> None:
        """Ask for every image whether its repository has what the bundle leaves out."""

        def vet_one(shipment: Shipment) -> None:
            absent, missing = vet(
                self._skopeo,
                self._supply,
                shipment.images,
                shipment.destination,
                self._bases,
                self._report,
            )
            self._absent[shipment.name] = absent
            if missing:
                self._missing[shipment.name] = missing
                raise missing_error(str(shipment.destination.reference), missing)

        self._each(vet_one)

    def send(self, preserve: Sequence[str], *, dry_run: bool) -> None:
        """Send the images that passed, first all that they are made of, then their tags.

        Args:
            preserve: skopeo's flags to preserve digests.
            dry_run: only look what would be sent.
        """

        def deliver(shipment: Shipment) -> Delivery:
            absent = self._absent[shipment.name]
            return Delivery(self._skopeo, self._supply, shipment.images, absent, preserve, self._report)

        def send_one(shipment: Shipment) -> None:
            self._sent[shipment.name] = shipment.destination.send(deliver(shipment), dry_run=dry_run)

        if not dry_run:
            self._each(lambda shipment: shipment.destination.stage(deliver(shipment)))
        self._each(send_one)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Say what happened to each image so far, in the bundle's order."""
        return tuple(self._outcome(shipment) for shipment in self._shipments)

    def failure(self, done: str) -> BundleError | None:
        """Return the error that says which images failed; None where none did.

        Args:
            done: what could not be done, such as "pushed".
        """
        ordered = [(each.name, self._errors[each.name]) for each in self._shipments if each.name in self._errors]
        return BundleError(done, ordered, len(self._shipments)) if ordered else None

    def _each(self, step: Callable[[Shipment], object]) -> None:
        for shipment in self._shipments:
            if shipment.name in self._errors:
                continue
            if self._fail_fast and self._errors:
                return
            try:
                step(shipment)
            except IncrementalError as error:
                self._errors[shipment.name] = error
                self._report(f"{shipment.name}: {error.message}")

    def _outcome(self, shipment: Shipment) -> Outcome:
        error, sent = self._errors.get(shipment.name), self._sent.get(shipment.name)
        return Outcome(
            shipment.name,
            str(shipment.destination.reference),
            shipment.images[-1].image.root.digest,
            changed=bool(sent and sent.changed),
            previous_digest=sent.tags[0].previous_digest if sent else None,
            missing=self._missing.get(shipment.name, ()),
            error=Failure(error.code, error.message, error.next_step) if error else None,
        )


def all_missing(outcomes: Collection[Outcome]) -> tuple[MissingLayer, ...]:
    """Return what the destinations of a bundle lack together, each layer once."""
    found = {layer.digest: layer for outcome in outcomes for layer in outcome.missing}
    return tuple(found[digest] for digest in sorted(found))


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(str(repository_of(name)), pattern)


def _renamed(name: str, renames: Mapping[str, str]) -> str:
    repository, colon, tag = name.partition(":")
    new = renames.get(name, renames.get(repository))
    if new is None:
        return name
    target = new if ":" in new or not colon else f"{new}:{tag}"
    if not is_bundle_name(target):
        raise UsageError(
            f"'{target}' is no name for an image", "a name is a repository and a tag, such as team/app:2"
        )
    return target
