"""What a push is to do, as a value: which images go where. One image, or a chain, is a list of one item."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..host.text import named as titled
from ..oci.image import Image
from ..oci.reference import Reference, is_bundle_name, repository_of, require_repository
from .registry import RegistryDestination
from .tags import require_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..archive.contents import ArchiveContents, NamedImage
    from ..oci.manifest import FetchedManifest
    from ..source.blobs import BlobSource
    from .destination import Destination
    from .options import Selection


class PushItem(NamedTuple):
    """Images that go to one destination together.

    Attributes:
        images: what goes there, in this order: referrers, older images of a chain, and at the end the image that
            the destination's reference names.
        destination: where to.
    """

    images: tuple[NamedImage, ...]
    destination: Destination

    @property
    def image(self) -> NamedImage:
        """The image that the destination's reference names."""
        return self.images[-1]

    @property
    def name(self) -> str:
        """What the archive calls it."""
        return str(self.image.name)


class PushPlan(NamedTuple):
    """What a push is to do.

    Attributes:
        items: what goes where.
        destination: where all of it goes, as results call it: the only item's reference, or a bundle's prefix.
        is_bundle: whether each item is an image of a bundle.
    """

    items: tuple[PushItem, ...]
    destination: str
    is_bundle: bool = False

    @property
    def told(self) -> list[NamedImage]:
        """All images in the order in which results tell of them: of a chain the newest first, referrers last."""
        ordered = [named for item in self.items for named in (item.images if self.is_bundle else item.images[::-1])]
        return sorted(ordered, key=lambda named: named.subject is not None)

    @property
    def sparse(self) -> list[str]:
        """What the archive calls images that go to registries as lists without all of their platforms."""
        return [
            item.name
            for item in self.items
            if item.destination.reference.transport == "docker" and any(each.image.absent for each in item.images)
        ]

    def require_preserved(self) -> None:
        """Refuse to convert images that have signatures, and lists that lack platforms.

        Raises:
            UsageError: that is what is asked for.
        """
        for item in self.items:
            if not item.destination.preserve and any(named.subject for named in item.images):
                raise UsageError(
                    "the archive holds signatures, which do not match a converted image",
                    "leave out `preserve_digests=False`",
                )
            if not item.destination.preserve and any(named.image.absent for named in item.images):
                raise UsageError(
                    "a list can't be converted without all of its platforms", "leave out `preserve_digests=False`"
                )


def make_plan(blob_source: BlobSource, destination: Destination, selection: Selection) -> PushPlan:
    """Say which image goes where.

    Args:
        blob_source: the archives: one, a chain, or bundles, each made from the one before.
        destination: where to: of a bundle each image goes to a repository below it.
        selection: which images of a bundle go.

    Raises:
        UsageError: nothing fits, the destination names another digest, or something is asked for that only a
            bundle, or only one image, can do.
    """
    if blob_source.is_bundle:
        return _plan_bundle(blob_source.contents, destination, selection)
    if selection.only or selection.names:
        raise UsageError("the archive is not a bundle: it holds one image", "leave out `only` and `names`")
    return plan_image(blob_source.contents, destination)


def plan_image(contents: Sequence[ArchiveContents], destination: Destination) -> PushPlan:
    """Say what of an archive or a chain goes to a destination.

    Raises:
        UsageError: nothing fits, the archives of a chain are in the wrong order, or the destination names another
            digest, or no repository.
    """
    require_repository(destination.reference)
    _require_order(contents)
    item = PushItem(_joined(destination.select_images(contents)), destination)
    require_digest(destination.reference, item.image.image)
    return PushPlan((item,), str(destination.reference))


def _joined(images: Sequence[NamedImage]) -> tuple[NamedImage, ...]:
    """Give a list that archives of a chain have in parts all of these: some registries take no less."""
    nodes: dict[str, dict[str, FetchedManifest]] = {}
    for named in images:
        nodes.setdefault(named.image.root.digest, {}).update({node.digest: node for node in named.image.nodes})
    return tuple(named._replace(image=Image(tuple(nodes[named.image.root.digest].values()))) for named in images)


def _require_order(contents: Sequence[ArchiveContents]) -> None:
    """Refuse a chain in which an archive comes before the one that it was made from."""
    roots = [{each.image.root.digest for each in found.images if not each.subject} for found in contents]
    for position, found in enumerate(contents):
        for later in range(position + 1, len(contents)):
            # A way back names a later image as its base too, and is in order.
            if (swapped := roots[later] & {*found.bases}) and not roots[position] & {*contents[later].bases}:
                base = titled(min(swapped), found.names)
                raise UsageError(
                    f"the archives are in the wrong order: one is made from {base}, which comes after it",
                    "put the oldest archive first",
                )


def _plan_bundle(contents: Sequence[ArchiveContents], destination: Destination, selection: Selection) -> PushPlan:
    """Say where the images of bundles go; of two images of one name the later one goes."""
    if destination.additional_tags:
        raise UsageError("each image of a bundle has one name", "leave out `additional_tags`")
    prefix = _prefix_of(destination.reference)
    if not all(found.is_bundle for found in contents):
        raise UsageError(
            "a bundle and an archive of one image can't be pushed together", "push them one after the other"
        )
    by_name = {each.name: (found, each) for found in contents for each in found.images if not each.subject}
    names = [str(name) for name in by_name]
    _require_names(names, (*selection.only, *selection.names))
    items: dict[str, PushItem] = {}
    for found, named in by_name.values():
        name = str(named.name)
        if selection.only and not any(_fits(name, pattern) for pattern in selection.only):
            continue
        target = _renamed(name, selection.names)
        reference = Reference.parse(f"docker://{prefix.name}/{target}")
        if str(reference) in items:
            raise UsageError(f"two images would go to {reference}", "give one of them another name with `names`")
        referrers = tuple(each for each in found.referrers if each.subject == named.image.root.digest)
        repository = RegistryDestination(
            reference,
            destination.access,
            preserve=destination.preserve,
            overwrite_tag=destination.overwrite_tag,
            writes=destination.writes,
        )
        items[str(reference)] = PushItem((*referrers, named), repository)
    return PushPlan(tuple(items.values()), str(prefix), is_bundle=True)


def _prefix_of(destination: Reference) -> Reference:
    """Read where a bundle goes: a registry, or a part of it, to which each image's name is added.

    Raises:
        UsageError: it is malformed, not in a registry, or has a tag or digest.
    """
    if destination.transport != "docker":
        raise UsageError(f"{destination} is not in a registry", "push a bundle to docker://HOST/PREFIX")
    details = str(destination).removeprefix("docker://")
    # By itself this was taken for a repository with a tag.
    if details and "/" not in details and "@" not in details and (":" in details or "." in details):
        Reference.parse(f"docker://{details}/any")
        return Reference("docker", details)
    if destination.tag or destination.digest:
        raise UsageError(
            f"{destination} has a tag or digest, and a bundle's images have their own",
            "give a prefix, docker://HOST/PREFIX",
        )
    return destination


def _require_names(names: Sequence[str], patterns: Iterable[str]) -> None:
    """Refuse a pattern or name that fits no image."""
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            raise UsageError(
                f"the bundle has no image '{pattern}'; it has {', '.join(names):.500}",
                "inspect the bundle to see its names",
            )


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(str(repository_of(name)), pattern)


def _renamed(name: str, names: Mapping[str, str]) -> str:
    repository, colon, tag = name.partition(":")
    new = names.get(name, names.get(repository))
    if new is None:
        return name
    target = new if ":" in new or not colon else f"{new}:{tag}"
    if not is_bundle_name(target):
        raise UsageError(
            f"'{target}' is not a name for an image", "a name is a repository and a tag, such as team/app:2"
        )
    return target
