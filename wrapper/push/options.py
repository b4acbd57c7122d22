"""How pushes are done, and what of a bundle goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..delta.options import DeltaOptions
    from ..skopeo.access import Access

MANIFESTS, LAYERS = VERIFY = ("manifests", "layers")
"""What a push may read back before it writes a tag: manifests and configs alone, or every layer, too."""


@dataclass(frozen=True)
class PushOptions:
    """How pushes are done.

    Attributes:
        base: how bases are reached.
        destination: how the destination is reached.
        archives: how the registry is reached that archives are read from.
        preserve_digests: demand that images arrive as they were; else skopeo may convert them.
        deltas: how much memory it may take to make layers of their changes.
    """

    base: Access
    destination: Access
    archives: Access
    preserve_digests: bool
    deltas: DeltaOptions


@dataclass(frozen=True)
class Selection:
    """Which images of a bundle go, and under which names.

    Attributes:
        only: patterns as a shell has them: images go whose name, with or without its tag, fits one; or all.
        names: other names for images, for names with or without tag.
    """

    only: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
