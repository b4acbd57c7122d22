"""How layers are expressed as their change."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 15
"""zstd's level by default: see README."""

MIN_SAVING = 10.0
"""What a delta has to save by default, in percent of the layer."""

MEMORY = 1 << 30
"""How much memory a delta may take by default, in bytes."""

# Of a layer and its sources together: they, their parts, and what zstd keeps about those, most at its highest
# levels.
_TIMES, _TIMES_HIGHEST, _HIGHEST = 6, 16, 20


@dataclass(frozen=True)
class DeltaOptions:
    """Whether and how new layers are expressed as their change; to make them again only the memory counts.

    Attributes:
        enabled: whether `pull` does so.
        level: zstd's, 1 to 22.
        min_saving: what a delta has to save, in percent of the layer.
        memory: how much memory may be taken, in bytes.
    """

    enabled: bool = False
    level: int = LEVEL
    min_saving: float = MIN_SAVING
    memory: int = MEMORY

    @property
    def room(self) -> int:
        """How long a layer and its sources may be together, in bytes: that is known before they are there."""
        return self.memory // (_TIMES_HIGHEST if self.level >= _HIGHEST else _TIMES)
