"""Ledgers: which images a site has (`receipt`), or was sent (`sent`), as a file that grows from push to push."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..errors import ContentError, UsageError, host_errors
from ..oci.documents import OURS, check_schema, parse_document
from ..oci.manifest import Descriptor
from ..oci.reference import DEFAULT_TAG, Reference, repository_of, title_in_bundle, title_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMAT = "1"

RECEIPT, SENT = KINDS = ("receipt", "sent")
"""What a ledger is: each document has its format's version under this name, and is a base by this transport."""

_ABOUT = ("media_type", "platform", "manifests", "absent")

CALLED = {RECEIPT: "a receipt", SENT: "a list of what was sent"}
"""What people call each kind."""

_WRITTEN_BY = {
    RECEIPT: "give a file that push wrote with `receipt`",
    SENT: "give a file that pull wrote with `sent_ledger`",
}


@dataclass(frozen=True)
class LedgerImage:
    """One image of a ledger.

    Attributes:
        digest: its digest.
        name: of a bundle's image, what the bundle calls it.
        reference: where it is; of one that was sent, where it was pulled from.
        date: when it was pushed or sent, as RFC 3339 writes it.
        layers: its layers, by digest.
        about: whatever else a receipt says of it: `media_type`, `platform`, `manifests` and `absent`.
    """

    digest: str
    name: str | None
    reference: str
    date: str
    layers: Mapping[str, Descriptor]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str | None:
        """What people call it, such as `team/app:2`; None where it has no tag, or is in no registry."""
        if self.name:
            return title_in_bundle(self.name)
        title = self.where and title_of(self.where)
        return title if title and ":" in title else None

    @property
    def where(self) -> str | None:
        """Host, repository, and tag or digest; None where it is in no registry."""
        _, docker, rest = self.reference.rpartition("docker://")
        return rest if docker else None

    @cached_property
    def repository(self) -> str | None:
        """Its repository, as its bundle or else its registry calls it; None where it is in no registry."""
        return repository_of(self.name or (self.where and title_of(self.where)))

    @property
    def place(self) -> str:
        """Its reference with the tag that is meant where it has none: there is one image at a time."""
        if not self.reference.startswith("docker://"):
            return self.reference
        try:
            reference = Reference.parse(self.reference)
        except UsageError:
            return self.reference
        return str(reference if reference.digest else reference.tagged(reference.tag or DEFAULT_TAG))

    @property
    def manifests(self) -> Sequence[Mapping[str, Any]]:
        """Of a list, what is there of its manifests, as far as a receipt says."""
        found: Sequence[Mapping[str, Any]] = self.about.get("manifests", ())
        return found

    @property
    def absent(self) -> Sequence[Mapping[str, Any]]:
        """Of a list, those of its manifests that are not there."""
        found: Sequence[Mapping[str, Any]] = self.about.get("absent", ())
        return found

    def with_parts_of(self, other: LedgerImage) -> LedgerImage:
        """Return it with the manifests and layers of another part of the same list, which stay there beside it."""
        manifests = {each["digest"]: each for each in (*self.manifests, *other.manifests)}
        absent = [each for each in self.absent if each["digest"] not in manifests]
        about = {name: self.about[name] for name in self.about if name != "absent"}
        if manifests:
            about["manifests"] = [*manifests.values()]
        if absent:
            about["absent"] = absent
        return replace(self, layers={**other.layers, **self.layers}, about=about)


@dataclass(frozen=True)
class Ledger:
    """What a ledger says.

    Attributes:
        destination: where the last push went; empty where nothing was pushed.
        date: when it was written last, as RFC 3339 writes it.
        images: its images, the latest first.
    """

    destination: str
    date: str
    images: tuple[LedgerImage, ...]

    def in_repository(self, title: str, *, in_bundle: bool) -> list[LedgerImage]:
        """Return the images in the repository of another image, whatever the tags are, the latest first.

        Args:
            title: what people call the other image.
            in_bundle: whether that is its name in a bundle: then that of a bundle's image must be the same. Else
                one may have folders before it that the other has not.
        """
        other = str(repository_of(title))
        return [
            image
            for image in self._by_last_part.get(_last_part(other), ())
            if (own := image.repository) == other
            or (own and not (image.name and in_bundle) and (own.endswith(f"/{other}") or other.endswith(f"/{own}")))
        ]

    def of_use(self, title: str | None, *, in_bundle: bool) -> list[LedgerImage]:
        """Return the images whose layers are of use to an image.

        A registry has layers by repository: those in another one are of no use. A site may call the repository
        `mirror/team/app`, or, where it has no other, as it likes; but a bundle's images go to those of their names.

        Args:
            title: what people call the image that is to be pulled; None where all count.
            in_bundle: whether that is its name in a bundle.
        """
        if title is None:
            return list(self.images)
        found = [*self.in_repository(title, in_bundle=in_bundle), *self._in_no_registry]
        return found or (list(self.images) if self._is_one_repository and not in_bundle else [])

    @cached_property
    def _by_last_part(self) -> Mapping[str, Sequence[LedgerImage]]:
        """The images by what their repositories' names end with: there may be thousands."""
        found = defaultdict(list)
        for image in self.images:
            if image.repository:
                found[_last_part(image.repository)].append(image)
        return found

    @cached_property
    def _in_no_registry(self) -> Sequence[LedgerImage]:
        return [image for image in self.images if image.where is None]

    @cached_property
    def _is_one_repository(self) -> bool:
        named = any(image.name for image in self.images)
        return not named and len({image.repository for image in self.images}) == 1


class Shared(NamedTuple):
    """What several sites have in common.

    Attributes:
        layers: for the digest of each image, those of its layers, by digest, that every site has.
        names: what people call the images, by their digests.
    """

    layers: Mapping[str, Mapping[str, Descriptor]]
    names: Mapping[str, str]


def read_ledger(path: Path, kind: str) -> Ledger:
    """Read a ledger.

    Args:
        path: the file.
        kind: `RECEIPT` or `SENT`.

    Raises:
        UsageError: there is no such file.
        ContentError: it is none of this kind; the message names the place, such as `images[3].digest`.
        HostError: it can't be read.
    """
    called = CALLED[kind].removeprefix("a ")
    if not path.is_file():
        wrong = "is no plain file" if path.exists() else "does not exist"
        raise UsageError(f"the {called} {path} {wrong}", _WRITTEN_BY[kind])
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = file.read(OURS.size + 1)
    try:
        document = parse_document(raw, f"{called} {path}", OURS)
        if document.get(kind) != FORMAT:
            _refuse(document, path, kind)
        check_schema(document, kind, f"{called} {path}")
    except ContentError as error:
        raise ContentError(error.message, error.next_step or _WRITTEN_BY[kind]) from None
    destination = document.get("destination", "")
    images = tuple(
        LedgerImage(
            digest=entry["digest"],
            name=entry.get("name"),
            reference=entry.get("reference") or _reference_before(entry, destination, is_first=not position),
            date=entry.get("date", document["date"]),
            layers={
                layer["digest"]: Descriptor.from_json({**layer, "mediaType": layer["media_type"]})
                for layer in entry["layers"]
            },
            about={name: entry[name] for name in _ABOUT if name in entry},
        )
        for position, entry in enumerate(document["images"])
    )
    return Ledger(destination, document["date"], images)


def _refuse(document: Mapping[str, Any], path: Path, kind: str) -> NoReturn:
    """Say that a document is no ledger of this kind, and what it is."""
    other = next((each for each in KINDS if each in document and kind not in document), None)
    step = f"it is {CALLED[other]}: as a base, it is {other}:{path}" if other else ""
    raise ContentError(f"{path} is not {CALLED[kind]} of format {FORMAT}", step)


def _reference_before(entry: Mapping[str, Any], destination: str, *, is_first: bool) -> str:
    """Return where an image is of which a receipt of an older version does not say it."""
    if name := entry.get("name"):
        return f"{destination}/{name}"
    if is_first:
        return destination
    try:
        # It may have a tag; but which one was not said.
        return str(Reference.parse(destination).pinned(entry["digest"]))
    except UsageError:
        return f"{destination}@{entry['digest']}"


def layers_of(images: Iterable[LedgerImage]) -> dict[str, Mapping[str, Descriptor]]:
    """Return, for the digest of each image, its layers by digest; of a list that is there in parts, all of them."""
    found: dict[str, Mapping[str, Descriptor]] = {}
    for image in images:
        found[image.digest] = {**found.get(image.digest, {}), **image.layers}
    return found


def titles_of(images: Iterable[LedgerImage]) -> dict[str, str]:
    """Return what people call images, by their digests, as far as the ledger says."""
    return {image.digest: image.title for image in reversed(list(images)) if image.title}


def in_all(sites: Sequence[Sequence[LedgerImage]], digest: str) -> Shared:
    """Return what several sites have in common, as bases.

    Args:
        sites: for each site, those of its images that are of use.
        digest: that of the image to be pulled. It is a base only if all sites have it: each common layer is in
            another image, too, where one lacks it.
    """
    held = [{layer for image in images for layer in image.layers} for images in sites]
    common = set.intersection(*held)
    whole = all(any(image.digest == digest for image in images) for images in sites)
    images = [image for site in sites for image in site if whole or image.digest != digest]
    layers = {
        base: {each: layer for each, layer in own.items() if each in common}
        for base, own in layers_of(images).items()
    }
    used = {base: kept for base, kept in layers.items() if kept or (whole and base == digest)}
    return Shared(used, {base: title for base, title in titles_of(images).items() if base in used})


def _last_part(repository: str) -> str:
    return repository.rpartition("/")[2]
