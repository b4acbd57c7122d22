"""Where layers are kept for the next pull, and which referrers travel along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.reference import registry_reference

if TYPE_CHECKING:
    from pathlib import Path

    from ..oci.reference import Reference

_MODES = "say required, if-present or no with `signatures.include`"


@dataclass(frozen=True)
class CacheOptions:
    """Where layers are kept for the next pull.

    Attributes:
        folder: the cache; several runs may share it.
        max_size: how many bytes it may hold: the least recently used layers go first. None for no limit.
    """

    folder: str | Path
    max_size: int | None = None


REQUIRED, IF_PRESENT, NO = SIGNATURES = ("required", "if-present", "no")
"""Whether signatures travel along: there must be some, they do if there are any, they don't."""


@dataclass(frozen=True)
class SignatureOptions:
    """Which signatures and other referrers travel along with an image.

    Attributes:
        remove: leave behind signatures that an archive can't take along.
        include: one of `SIGNATURES`: whether to take along what stands in the image's repository under tags made
            from the digests of the image and of its list's children: cosign's signatures, attestations and SBOMs,
            and the tag that lists referrers. True is `required`, False is `no`.
        referrers: references with a digest that travel too.
        referrers_from: paths of files that name further referrers by digest, as `oras discover --format json` or
            `cosign tree` print them: see `source.discovered`.
    """

    remove: bool = False
    include: bool | str = NO
    referrers: tuple[str | Reference, ...] = ()
    referrers_from: tuple[str | Path, ...] = ()

    def __post_init__(self) -> None:
        """Check what was given.

        Raises:
            UsageError: `include` is none of `SIGNATURES`.
        """
        if self.mode not in SIGNATURES:
            raise UsageError(f"'{self.mode}' does not say whether signatures travel", _MODES)

    @property
    def mode(self) -> str:
        """What `include` says, as one of `SIGNATURES`."""
        return {True: REQUIRED, False: NO}[self.include] if isinstance(self.include, bool) else self.include

    @property
    def need_digests(self) -> bool:
        """Whether anything travels along that belongs to the image as it is, and to no converted one."""
        return bool(self.mode != NO or self.referrers or self.referrers_from)


def referrer_by_digest(wanted: str | Reference) -> Reference:
    """Read the reference of a referrer.

    Raises:
        UsageError: it is malformed, in no registry, or has no digest.
    """
    reference = registry_reference(wanted, "the referrer")
    if reference.digest is None:
        raise UsageError(f"{reference} has no digest", "write the referrer as HOST/NAME@sha256:DIGEST")
    return reference
