"""Reads of a list what is wanted: the image of one platform, or the list with some of its platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.image import Image, resolve_image
from ..oci.manifest import LISTS, Index, parse_manifest
from ..oci.platforms import choose, offered
from ..oci.sparse import select
from .inspect import read_children

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.platforms import Platform
    from .inspect import ImageSource, Known
    from .runner import Skopeo


def read_platform(
    skopeo: Skopeo,
    source: ImageSource,
    root: FetchedManifest,
    wanted: Platform,
    known: Known | None = None,
    passed_over: Callable[[str], None] | None = None,
) -> Image:
    """Narrow a list to the manifest for one platform; lists in lists are looked into.

    Args:
        skopeo: an entered `Skopeo`.
        source: where `root` was read.
        root: a manifest, which is taken as it is, or a list.
        wanted: the platform.
        known: what was read ahead.
        passed_over: as for `read_platforms`.

    Returns:
        The image; the lists alone where they name no manifest at all, or where that was passed over.

    Raises:
        UsageError: none fits; the message lists the platforms that there are.
        IncrementalError: the child can't be read, or is not what its descriptor says.
    """
    if not isinstance(root.parsed, Index):
        return Image((root,))
    tree, leaves = _read_lists(skopeo, source, root, known)
    if not leaves:
        return tree
    position = choose(wanted, [leaf.platform for leaf in leaves])
    if position is None:
        if passed_over:
            return tree
        raise _no_platform(source, wanted, leaves, "choose one with `platform`")
    leaf = leaves[position]
    (raw,) = read_children(skopeo, source, [leaf], passed_over, known)
    if raw is None:
        return tree
    return Image((parse_manifest(raw, reference=source.reference.pinned(leaf.digest), descriptor=leaf),))


def read_platforms(
    skopeo: Skopeo,
    source: ImageSource,
    root: FetchedManifest,
    wanted: Sequence[Platform],
    known: Known | None = None,
    passed_over: Callable[[str], None] | None = None,
) -> Image:
    """Read a list with some of its platforms; lists in lists are looked into, and kept.

    Args:
        skopeo: an entered `Skopeo`.
        source: where `root` was read.
        root: a manifest, which is taken as it is, or a list.
        wanted: the platforms.
        known: what was read ahead.
        passed_over: receives a line for each child that the registry does not have. Platforms that the list lacks
            are no error then, either.

    Returns:
        The image, whose root is the list; all other children of it are absent.

    Raises:
        UsageError: the list lacks a platform; the message lists those that there are.
        IncrementalError: a child can't be read, or is not what its descriptor says.
    """
    if not isinstance(root.parsed, Index):
        return Image((root,))
    tree, leaves = _read_lists(skopeo, source, root, known)
    chosen: dict[str, Descriptor] = {}
    for platform in wanted if leaves else ():
        found = select(platform, leaves)
        if not found and not passed_over:
            raise _no_platform(source, platform, leaves, "name those that you want with `platforms`")
        chosen |= {leaf.digest: leaf for leaf in found}
    raws = read_children(skopeo, source, list(chosen.values()), passed_over, known)
    return Image(
        (
            *tree.nodes,
            *(
                parse_manifest(raw, reference=source.reference.pinned(leaf.digest), descriptor=leaf)
                for leaf, raw in zip(chosen.values(), raws, strict=True)
                if raw is not None
            ),
        )
    )


def _read_lists(
    skopeo: Skopeo, source: ImageSource, root: FetchedManifest, known: Known | None
) -> tuple[Image, list[Descriptor]]:
    """Return a list with the lists in it, and what all of them say of their manifests."""

    def lists_only(children: Sequence[Descriptor]) -> list[bytes | None]:
        lists = [child for child in children if child.media_type in LISTS]
        found = dict(zip(lists, read_children(skopeo, source, lists, known=known), strict=True))
        return [found.get(child) for child in children]

    tree = resolve_image(root, lists_only, source.reference.pinned)
    return tree, [
        child
        for node in tree.nodes
        if isinstance(node.parsed, Index)
        for child in node.parsed.manifests
        if child.media_type not in LISTS
    ]


def _no_platform(source: ImageSource, wanted: Platform, leaves: Sequence[Descriptor], step: str) -> UsageError:
    return UsageError(
        f"{source.reference} has no image for {wanted}; it has {offered(leaf.platform for leaf in leaves)}",
        f"{step}, or take all of them with `all_architectures`",
    )
