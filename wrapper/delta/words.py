# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Numbers of 32 bits in memory, as fast to reach as compiled code can.

This file is plain Python; `words.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""


class Words:
    """So many numbers of 32 bits without a sign, zeros at first.

    Attributes:
        base: the numbers. A pointer where this is compiled: whoever uses it checks places himself.
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        """Take memory for `count` numbers."""
        self.memory = bytearray(4 * count)
        self.base = as_words(self.memory)  # type: ignore[name-defined]  # noqa: F821
        self.count = count


def _as_words(memory: bytearray) -> memoryview:
    return memoryview(memory).cast("I")


if not COMPILED:
    # Compiled, it is C of the same meaning: see words.pxd.
    globals()["as_words"] = _as_words
