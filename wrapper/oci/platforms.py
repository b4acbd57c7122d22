"""Platforms: what an image runs on, and which child of a list fits."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Go's names for what uname calls the machine, with the variant where that says more.
_MACHINES = {
    "aarch64": ("arm64", None),
    "amd64": ("amd64", None),
    "arm64": ("arm64", None),
    "armv5l": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "i386": ("386", None),
    "i686": ("386", None),
    "loongarch64": ("loong64", None),
    "x86_64": ("amd64", None),
}

NOT_RUN = "unknown"
"""The operating system and architecture of what a list has beside its images, such as attestations (BuildKit)."""

_LENGTH = 255
"""How long a part of a platform may be, in characters, as the schemas of indexes have it, too."""

_TEXT = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?")

# From most to least demanding, as skopeo walks them down (containers/image, internal/pkg/platform).
_VARIANTS = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}


@dataclass(frozen=True)
class Platform:
    """What an image runs on (OCI image specification, the `platform` of an index's descriptors).

    Attributes:
        os: the operating system, by Go's name.
        architecture: the processor, by Go's name.
        variant: its variant, such as `v7`.
        os_version: the operating system's version, which Windows images have.
    """

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Platform:
        """Read a descriptor's `platform`, which has passed its schema."""
        return cls(
            value["os"], value["architecture"], value.get("variant") or None, value.get("os.version") or None
        )

    @classmethod
    def from_config(cls, value: dict[str, Any]) -> Platform | None:
        """Read an image's config, which nothing has checked; None where it names no platform that could be one."""
        named = {name: value.get(name) for name in ("os", "architecture", "variant", "os.version")}
        if not named["os"] or not named["architecture"]:
            return None
        texts = [text or "" for text in named.values()]
        fits = all(isinstance(text, str) and len(text) <= _LENGTH for text in texts)
        return cls.from_json(named) if fits else None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read what `str` writes.

        Raises:
            UsageError: it is no platform.
        """
        if not _TEXT.fullmatch(text):
            raise UsageError(f"'{text:.200}' is not a platform", "write it as os/architecture, such as linux/arm64")
        return cls(*text.split("/"))

    def __str__(self) -> str:
        """Write it as `os/architecture[/variant]`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def wanted_platform(os: str | None = None, architecture: str | None = None, variant: str | None = None) -> Platform:
    """Return the platform to choose from a list.

    Args:
        os: overrides this machine's operating system.
        architecture: overrides this machine's processor; its variant then is any.
        variant: overrides this machine's variant.
    """
    machine, machine_variant = _MACHINES.get(platform.machine().lower(), (platform.machine().lower(), None))
    if architecture is None:
        variant = variant or machine_variant
    return Platform(os or sys.platform, architecture or machine, variant)


def offered(platforms: Iterable[Platform | None]) -> str:
    """Return what there is to choose from, as text; that of attestations is no platform.

    Args:
        platforms: those of a list's children; None where the list names none.
    """
    named = {str(each) for each in platforms if each and each.os != NOT_RUN}
    return ", ".join(sorted(named)) or "none with a name"


def choose(wanted: Platform, offered: Sequence[Platform | None]) -> int | None:
    """Choose as skopeo does: the best variant that this platform can run, the first one among equals.

    Args:
        wanted: what the image is to run on.
        offered: the platforms of a list's children; None where the list names none.

    Returns:
        The position in `offered`, or None where nothing fits.
    """
    known = _VARIANTS.get(wanted.architecture, ())
    if wanted.variant is None:
        ranking: tuple[str | None, ...] = (None, *known)
    elif wanted.variant in known:
        ranking = (*known[known.index(wanted.variant) :], None)
    else:
        ranking = (wanted.variant, None)
    for variant in ranking:
        for position, platform_ in enumerate(offered):
            if platform_ and (platform_.os, platform_.architecture, platform_.variant) == (
                wanted.os,
                wanted.architecture,
                variant,
            ):
                return position
    return None
