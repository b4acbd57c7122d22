"""Where layers are kept for the next pull, and which referrers travel along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..oci.reference import Reference


@dataclass(frozen=True)
class CacheOptions:
    """Where layers are kept for the next pull.

    Attributes:
        folder: the cache; several runs may share it.
        max_size: how many bytes it may hold: the least recently used layers go first. None for no limit.
    """

    folder: str | Path
    max_size: int | None = None


@dataclass(frozen=True)
class SignatureOptions:
    """Which signatures and other referrers travel along with an image.

    Attributes:
        remove: leave behind signatures that an archive can't take along.
        include: take along what stands in the image's repository under tags made from its digest: cosign's
            signatures, attestations and SBOMs, and the tag that lists referrers. That there is none is an error.
        referrers: references with a digest that travel too.
    """

    remove: bool = False
    include: bool = False
    referrers: tuple[str | Reference, ...] = ()
