"""Which image of which registry is where now: what all kinds of mirror files are made from."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..oci.reference import DEFAULT_TAG, DOCKER_HUB, Reference
from ..results import MirroredImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..source.spec import SpecImage

_INDEX = f"index.{DOCKER_HUB}"


class PlacedImage(NamedTuple):
    """An image of a bundle at its destination.

    Attributes:
        name: what the bundle calls it.
        reference: its reference at the destination.
        digest: the digest of its manifest or list.
    """

    name: str
    reference: Reference
    digest: str


class Repository(NamedTuple):
    """A repository under its full name, as the clients of clusters write it.

    Attributes:
        host: the registry, with its port if it has one.
        path: the rest; of an official image of Docker Hub with `library/`.
    """

    host: str
    path: str

    @classmethod
    def of(cls, reference: Reference) -> Repository:
        """Return the repository of a registry's reference (distribution's `ParseNormalizedNamed`)."""
        host = reference.registry
        path = reference.name.removeprefix(f"{host}/")
        if host in (DOCKER_HUB, _INDEX):
            return cls(DOCKER_HUB, path if "/" in path else f"library/{path}")
        return cls(host, path)

    def __str__(self) -> str:
        """Write host and path."""
        return f"{self.host}/{self.path}"


class MirroredRepository(NamedTuple):
    """A repository whose images are elsewhere, too.

    Attributes:
        source: the repository.
        mirrors: where its images are; more than one where they went to different places.
        by_tag: whether tags may be looked up there: images have the tags that they have at the source. Otherwise
            a tag of the source might be another image there, and only digests tell.
        renamed: its images with another tag there, as lines for people.
    """

    source: Repository
    mirrors: tuple[Repository, ...]
    by_tag: bool
    renamed: tuple[str, ...]


class MirrorMapping(NamedTuple):
    """Which images are where.

    Attributes:
        prefix: where all of them are: a registry's host, or a part of that registry.
        insecure: whether the registry there is reached without TLS, or its certificate is not verified.
        images: each image, sorted.
        repositories: the repositories of these images, sorted, without those that are their own mirrors.
        warnings: what the user should know, one line each.
    """

    prefix: str
    insecure: bool
    images: tuple[MirroredImage, ...]
    repositories: tuple[MirroredRepository, ...]
    warnings: tuple[str, ...]

    @property
    def digests_only(self) -> tuple[str, ...]:
        """Why some repositories must not be asked for tags, as lines for people; nothing where all may."""
        return renamed_notes(self.repositories)

    def by_host(self) -> dict[str, list[MirroredRepository]]:
        """Return the repositories by their hosts."""
        return {host: list(found) for host, found in groupby(self.repositories, key=lambda each: each.source.host)}


def renamed_notes(repositories: Iterable[MirroredRepository]) -> tuple[str, ...]:
    """Return lines for people about images with another tag at the mirror: one in short, and one for each image."""
    renamed = [line for each in repositories for line in each.renamed]
    short = "some images have another tag at the mirror, so that it is used for digests only"
    return (short, *renamed) if renamed else ()


def make_mapping(
    spec: Sequence[SpecImage], placed: Iterable[PlacedImage], prefix: str, *, insecure: bool
) -> MirrorMapping:
    """Say which image of which registry is where now.

    Args:
        spec: where the images of the bundle come from, by their names.
        placed: where they are now.
        prefix: where all of them are, as `docker://HOST/PREFIX`.
        insecure: whether the registry there is reached without verified TLS.

    Raises:
        UsageError: the spec names none of these images.
    """
    finals = {image.name: image.final for image in spec}
    placed = list(placed)
    known = [each for each in placed if each.name in finals]
    unknown = [each.name for each in placed if each.name not in finals]
    if not known:
        raise UsageError(
            f"the spec names none of the images of the bundle: {', '.join(unknown):.500}",
            "give the file that the bundle was pulled with as `spec`",
        )
    warnings = [f"the spec does not name {name}: nothing leads to it" for name in unknown]
    warnings += [
        f"nobody finds {_full(finals[each.name])} by this digest: the bundle has one platform of it, "
        f"{each.digest}; pull the list whole"
        for each in known
        if finals[each.name].digest not in (None, each.digest)
    ]
    pairs = sorted(
        {(finals[each.name], each.reference) for each in known},
        key=lambda pair: (Repository.of(pair[0]), *map(_full, pair)),
    )
    repositories = [
        _mirrored(source, list(found)) for source, found in groupby(pairs, key=lambda pair: Repository.of(pair[0]))
    ]
    return MirrorMapping(
        prefix.removeprefix("docker://"),
        insecure,
        tuple(MirroredImage(_full(source), _full(there)) for source, there in pairs),
        tuple(each for each in repositories if each.source not in each.mirrors),
        tuple(warnings),
    )


def _mirrored(source: Repository, pairs: Sequence[tuple[Reference, Reference]]) -> MirroredRepository:
    tagged = [(final, there) for final, there in pairs if final.tag or not final.digest]
    renamed = tuple(
        f"{source}:{_tag(final)} is {_full(there)} there" for final, there in tagged if _differs(final, there)
    )
    mirrors = dict.fromkeys(Repository.of(there) for _, there in pairs)
    return MirroredRepository(source, tuple(mirrors), bool(tagged) and not renamed, renamed)


def _differs(final: Reference, there: Reference) -> bool:
    """Say whether an image has a tag at its mirror that may be another image's at the source."""
    # `spec` tells images of one tag apart by a digest at the end of the tag: no vendor has that tag.
    made_up = final.digest and _tag(there).endswith(f"-{final.digest.partition(':')[2][:12]}")
    return _tag(final) != _tag(there) and not made_up


def _tag(reference: Reference) -> str:
    return reference.tag or DEFAULT_TAG


def _full(reference: Reference) -> str:
    """Write a reference with its host; its digest counts, as everywhere."""
    end = f"@{reference.digest}" if reference.digest else f":{_tag(reference)}"
    return f"{Repository.of(reference)}{end}"
