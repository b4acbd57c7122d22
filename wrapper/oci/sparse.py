"""Sparse lists: a list as it is, with its digest, of whose children only some are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .platforms import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .manifest import Descriptor

Wanted = Platform | tuple[Platform, ...] | None
"""What is taken of a list: the image of one platform; the list, with these platforms; or None, all of it."""

_ABOUT = "vnd.docker.reference.digest"
"""By this annotation, attestations in a list name the manifest that they are about, as BuildKit writes them."""


def select(wanted: Platform, children: Sequence[Descriptor]) -> list[Descriptor]:
    """Return what a list keeps for a platform.

    Args:
        wanted: the platform.
        children: the manifests of the list, without the lists in it.

    Returns:
        Nothing where no child fits. Else the child that skopeo would choose; others of just that platform, such as
        those for other versions of Windows; and the attestations about them.
    """
    position = choose(wanted, [child.platform for child in children])
    if position is None:
        return []
    best = _named(children[position].platform)
    chosen = [child for child in children if _named(child.platform) == best]
    digests = {child.digest for child in chosen}
    return [*chosen, *(child for child in children if child.annotations.get(_ABOUT) in digests)]


def _named(platform: Platform | None) -> tuple[str, str, str | None] | None:
    return (platform.os, platform.architecture, platform.variant) if platform else None
