# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""What every model of a compressor can do: say which token the compressor would write next.

A token is a number: 0 for a literal byte, else `length << 15 | distance - 1` for a match. The length is 3 to 258;
259 stands for 258 where that was spelled by the code 284, which no compressor known does.

This file is plain Python; `model.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .window import Window

LITERAL = 0


class Model:
    """A compressor that decides on literals alone: what all others are derived from.

    Whoever drives a model sees to it that its window holds HISTORY bytes before `place` and AHEAD bytes after it,
    or all up to the member's end, where `window.limit` says so. He asks `predict` for the token at `place`, once,
    and tells by `accept` which one stands there. In stored blocks, where no tokens are known, he accepts what was
    predicted where that fits, and literals where not.

    Attributes:
        window: the content.
        place: where the next token begins.
        steps: how many steps match finders took, which a receiver bounds.
    """

    def __init__(self, window: Window) -> None:
        """Take memory; `begin` comes before anything else."""
        self.window = window
        self.place = 0
        self.steps = 0

    def begin(self, place: int) -> int:
        """Forget everything: a gzip member's content begins at `place`."""
        self.place = place
        return 0

    def predict(self) -> int:
        """Return the token that the compressor would write at `place`; never one that goes over the limit."""
        return LITERAL

    def accept(self, token: int) -> int:
        """Take note that `token` stands at `place`, which moves on; it lies within the member and is sound."""
        self.place += 1 if token == LITERAL else min(token >> 15, 258)
        return 0
