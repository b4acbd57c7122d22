"""For scripts and people: `SOURCE=DESTINATION`, one image a line, as `oc image mirror --filename` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .folder import ConfigFile

if TYPE_CHECKING:
    from .mapping import MirrorMapping

PATH = "mapping.txt"


def render(mapping: MirrorMapping) -> list[ConfigFile]:
    """Return the file."""
    return [ConfigFile(PATH, "".join(f"{each.source}={each.destination}\n" for each in mapping.images))]
