"""How layers are expressed as their change."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError

EFFORTS = ("fast", "default", "best")
"""How much work may go into a change: what takes longer becomes smaller."""

MIN_SAVING = 10.0
"""What a delta has to save by default, in percent of the layer."""

MEMORY = 1 << 30
"""How much memory deltas may take by default, in bytes."""

LEAST_MEMORY = 256 << 20
"""How much memory making a change takes at least, in bytes."""


@dataclass(frozen=True)
class DeltaOptions:
    """Whether and how new layers travel as their change, or repacked; to make them again only the memory counts.

    Attributes:
        enabled: whether `pull` does so.
        effort: one of `EFFORTS`.
        min_saving: what a delta has to save, in percent of the layer.
        memory: how much memory may be taken, by all processes together, in bytes. Less of it takes longer; below
            `LEAST_MEMORY` layers travel whole.
    """

    enabled: bool = False
    effort: str = "default"
    min_saving: float = MIN_SAVING
    memory: int = MEMORY

    def __post_init__(self) -> None:
        """Refuse efforts that there are not.

        Raises:
            UsageError: it is none.
        """
        if self.effort not in EFFORTS:
            raise UsageError(f"'{self.effort:.100}' is not an effort", f"choose one of {', '.join(EFFORTS)}")
