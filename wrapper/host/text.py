"""Amounts, as people write them, and what can be written at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_POWERS = ("", "k", "m", "g", "t")


def is_utf8(text: str) -> bool:
    """Say whether a text can be written as UTF-8; arguments and file names that were something else can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def human_bytes(size: int) -> str:
    """Write a number of bytes in decimal units: `512 B`, `12.4 MB`."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.95 or unit == "TB":
            break
        amount /= 1000
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def parse_bytes(text: str) -> int:
    """Read a number of bytes: `512`, `20G` (decimal), `20Gi` (binary); a `B` may follow.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]i?|)b?", text.strip().lower())
    if not found:
        raise ValueError(f"'{text}' is not a number of bytes, such as 500M, 20G or 20Gi")
    return int(float(found[1]) * (1024 if "i" in found[2] else 1000) ** _POWERS.index(found[2].rstrip("i")))


def plural(count: int, noun: str) -> str:
    """Write a count: `1 layer`, `2 layers`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def named(digest: str, names: Mapping[str, str]) -> str:
    """Write an image's name before its digest: `team/app:1 (sha256:...)`; the digest alone where it has no name.

    Args:
        digest: of the image; whole, so that it can be copied.
        names: what people call images, by their digests, as `Contents.names` has them.
    """
    return f"{names[digest]} ({digest})" if digest in names else digest


def show_kinds(kinds: Mapping[str, int]) -> str:
    """Return how many referrers there are of each kind, such as "2 signatures, 1 SBOM"."""
    words = {"sbom": "SBOM"}
    return ", ".join(plural(number, words.get(kind, kind)) for kind, number in kinds.items())
