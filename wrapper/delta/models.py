"""The models of compressors that there are, by numbers that recipes carry.

A number once given keeps its meaning: where a compressor's later version decides otherwise, that is another
generation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import headers
from .chains import GnuChains, GoChains, ZlibChains
from .gofast import GoFast
from .klauspost import Klauspost
from .klauspost_fast import KlauspostFast
from .malformed import MalformedError
from .model import Model

if TYPE_CHECKING:
    from .window import Window

LITERALS, ZLIB, GNU, GO, KLAUSPOST, GO_NEXT = 1, 2, 3, 4, 5, 6
"""Families: no compressor's; zlib; GNU gzip; Go's compress/flate up to 1.26; klauspost/compress; Go since 1.27."""

GENERATIONS: dict[int, tuple[int, ...]] = {KLAUSPOST: (4, 3, 2, 1), GO_NEXT: (127,)}
"""Of families that have several generations, which they are; the likeliest first."""

SHORTEST_SEGMENT = 1 << 14
"""Shorter ones would have models begin anew all the time."""

_CHUNK = 65_535
# The last generation of klauspost/compress some of whose versions fill up counts before they build codes.
_LAST_FILLED = 2
# Its last generation: the only one whose level 1 is known.
_NEWEST = 4
_LONGEST_SEGMENT = 1 << 30
_DICTIONARIES = (0, 16_384, 32_768)


@dataclass(frozen=True)
class Name:
    """Which model: what recipes carry.

    Attributes:
        family: see above.
        generation: of those that decide otherwise than others of the same name, which one; 0 where there is one.
        level: the compressor's level.
        memory_level: zlib's.
        segment: after how many bytes of content the compressor begins anew; 0: only where a member begins.
        dictionary: how many bytes before a segment it may refer to.
    """

    family: int
    generation: int = 0
    level: int = 0
    memory_level: int = 0
    segment: int = 0
    dictionary: int = 0

    def __str__(self) -> str:
        """Return what people call it."""
        family = ("", "literals", "zlib", "GNU gzip", "Go", "klauspost", "Go 1.27")[self.family]
        words = [family] if self.family == LITERALS else [f"{family} {self.level}"]
        if self.family == ZLIB and self.memory_level != 8:
            words.append(f"memory level {self.memory_level}")
        if self.generation:
            words.append(f"generation {self.generation}")
        if self.segment:
            words.append(f"segments of {self.segment}")
        return ", ".join(words)


@dataclass(frozen=True)
class Traits:
    """How a compressor divides what it writes.

    Attributes:
        tokens: how many a block has, where it has no reason for another number; 0 where that can't be said.
        chunk: blocks end where a chunk of so many bytes of content does; 0: they don't.
        headers: which builders of `headers` predict what is before a block's tokens.
    """

    tokens: int
    chunk: int
    headers: tuple[int, ...]


def traits(name: Name) -> Traits:
    """Return how the compressor of a model divides what it writes."""
    if name.family == ZLIB:
        return Traits((1 << (name.memory_level + 6)) - 1, 0, (headers.ZLIB,))
    if name.family == GNU:
        return Traits(0, 0, (headers.ZLIB,))
    if name.family == GO and name.level == 1:
        return Traits(0, _CHUNK, (headers.GO,))
    if name.family == GO:
        return Traits(16_384, 0, (headers.GO,))
    if name.family == KLAUSPOST and name.generation <= _LAST_FILLED:
        return Traits(0, _CHUNK, (headers.KLAUSPOST_FILLED, headers.KLAUSPOST, headers.GO))
    if name.family in (KLAUSPOST, GO_NEXT):
        return Traits(0, _CHUNK, (headers.KLAUSPOST, headers.GO))
    return Traits(0, 0, (headers.ZLIB, headers.GO))


def _build_klauspost(window: Window, name: Name, generation: int) -> Model:
    if name.level == 1:
        return KlauspostFast(window, name.segment, name.dictionary)
    return Klauspost(window, name.level, generation, name.segment, name.dictionary)


_Build = Callable[["Window", Name], Model]

# For each family: its levels, memory levels, and how a model is built. Models with a segment take that, too.
_FAMILIES: dict[int, tuple[tuple[int, ...], tuple[int, ...], _Build]] = {
    LITERALS: ((0,), (0,), lambda window, name: Model(window)),
    ZLIB: (
        tuple(range(1, 10)),
        (8, 9),
        lambda window, name: ZlibChains(window, name.level, name.memory_level, name.segment, name.dictionary),
    ),
    GNU: (
        tuple(range(1, 10)),
        (0,),
        lambda window, name: GnuChains(window, name.level, name.segment, name.dictionary),
    ),
    GO: (
        tuple(range(1, 10)),
        (0,),
        lambda window, name: (
            GoFast(window) if name.level == 1 else GoChains(window, name.level, name.segment, name.dictionary)
        ),
    ),
    KLAUSPOST: ((1, 5, 6), (0,), lambda window, name: _build_klauspost(window, name, name.generation)),
    # Go took these levels over from klauspost/compress.
    GO_NEXT: ((1, 5, 6), (0,), lambda window, name: _build_klauspost(window, name, _NEWEST)),
}


def is_known(name: Name) -> bool:
    """Return whether there is such a model."""
    if name.family not in _FAMILIES:
        return False
    levels, memory_levels, _ = _FAMILIES[name.family]
    divided = name.segment or name.dictionary
    return (
        name.generation in GENERATIONS.get(name.family, (0,))
        and name.level in levels
        and name.memory_level in memory_levels
        and (name.segment == 0 or SHORTEST_SEGMENT <= name.segment <= _LONGEST_SEGMENT)
        and name.dictionary in _DICTIONARIES
        and not (name.family == KLAUSPOST and name.level == 1 and name.generation != _NEWEST)
        and not (divided and (name.family == LITERALS or (name.family, name.level) == (GO, 1)))
    )


def build(name: Name, window: Window) -> Model:
    """Build a model.

    Raises:
        MalformedError: there is none of that name.
    """
    if not is_known(name):
        raise MalformedError("a model that is not known here")
    return _FAMILIES[name.family][2](window, name)
