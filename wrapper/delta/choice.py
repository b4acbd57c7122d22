"""Which compressor wrote a stream: models are tried on its beginning."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from io import BytesIO
from math import gcd
from typing import TYPE_CHECKING

from . import inflate, models
from .inflate import Inflater
from .malformed import MalformedError
from .prediction import Analyser
from .window import HISTORY, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Content that is looked at: more than a segment of pgzip's, unless there are so few tokens that they say nothing.
_LOOK = 5 << 18
_FURTHER = 1 << 24
_ENOUGH = 300_000
_COMPRESSED = 3 << 19
# The first trial is short, and for those that are good at it there is another one.
_SHORT = 60_000
_FINALISTS = 5
# Blocks that are looked at: empty ones tell nothing.
_BLOCKS = 1 << 16
_PIGZ, _PGZIP = 1 << 15, 1 << 14


class Beginning:
    """A stream whose beginning is looked at before it is read."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Read the beginning."""
        pieces = []
        left = _COMPRESSED
        while left:
            piece = read(left)
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        self.data = b"".join(pieces)
        self._again = BytesIO(self.data)
        self._read = read

    def read(self, count: int) -> bytes:
        """Return up to so many bytes of the whole stream."""
        return self._again.read(count) or self._read(count)


@dataclass
class _Looks:
    """What can be seen without any model."""

    counts: list[int] = field(default_factory=list)
    flushes: list[int] = field(default_factory=list)


def _look(data: bytes) -> _Looks:
    """Parse the beginning of a stream."""
    window = Window(1 << 19)
    inflater = Inflater(BytesIO(data).read, window, 1 << 16)
    found = _Looks()
    tokens = blocks = 0
    try:
        while blocks < _BLOCKS and (window.end < _LOOK or (tokens < _ENOUGH and window.end < _FURTHER)):
            event = inflater.step()
            blocks += event == inflate.BLOCK
            inflater.head = inflater.tail
            window.forget(window.end - HISTORY)
            if event == inflate.DONE:
                block = inflater.block
                tokens += block.tokens
                if block.tokens:
                    found.counts.append(block.tokens)
                elif block.stored == 0 and not block.last and window.end:
                    # Flushed: zlib has an empty stored block there; pigz empty fixed ones, or none.
                    found.flushes.append(window.end)

            elif event == inflate.FINISHED:
                break
    except MalformedError:
        # It goes on after the beginning.
        pass
    return found


def _divisions(looks: _Looks, family: int) -> list[tuple[int, int]]:
    """Return the segments, with dictionaries, that a family's compressor may have made; likely ones first."""
    segment = gcd(*looks.flushes) if looks.flushes else 0
    if segment < models.SHORTEST_SEGMENT:
        return [(0, 0)]
    # Begun anew where it was flushed, with or without what came before; or not begun anew at all.
    dictionary = _PGZIP if family == models.KLAUSPOST else _PIGZ
    return [(segment, dictionary), (segment, 0), (0, 0)]


def candidates(looks: _Looks) -> list[models.Name]:
    """Return the models to try, the most likely ones first; of a family, those that take less work first."""
    families = {
        models.ZLIB: [(level, memory_level) for memory_level in (8, 9) for level in range(1, 10)],
        models.GNU: [(level, 0) for level in range(1, 10)],
        models.GO: [(level, 0) for level in range(1, 10)],
        models.KLAUSPOST: [(level, 0) for level in (5, 6, 1)],
        models.GO_NEXT: [(level, 0) for level in (6, 5, 1)],
    }
    # What most blocks have tells much.
    usual = Counter(looks.counts).most_common(1)[0][0] if looks.counts else 0
    likely = {16_383: models.ZLIB, 32_767: models.ZLIB, 16_384: models.GO}.get(usual)
    found = [
        models.Name(family, generation, level, memory_level, *_divisions(looks, family)[0])
        for family in sorted(families, key=lambda family: family != likely)
        for level, memory_level in families[family]
        for generation in models.GENERATIONS.get(family, (0,))
    ]
    found = [name if models.is_known(name) else replace(name, segment=0, dictionary=0) for name in found]
    return [name for name in found if models.is_known(name) and not _is_doubled(name)]


def _is_doubled(name: models.Name) -> bool:
    """Return whether another family's model does the same, and is the likelier one: Go writes no segments."""
    if name.segment:
        return name.family == models.GO_NEXT
    return name.family == models.KLAUSPOST and name.generation == models.GENERATIONS[models.KLAUSPOST][0]


def choose(beginning: Beginning, names: Sequence[models.Name] | None = None) -> models.Name:
    """Choose the model that predicts the beginning of a stream best.

    Args:
        beginning: of the stream.
        names: the models to choose from; all that there are, if not given.
    """
    if names is not None and len(names) == 1:
        return names[0]
    looks = _look(beginning.data)
    best = 1 << 60
    found: list[tuple[int, int, models.Name]] = []
    for place, name in enumerate(candidates(looks) if names is None else names):
        # One that is worse than what is known already needn't be tried to the end.
        most = best + best // 4 + 100
        wrong = _try(beginning, name, _FURTHER, _SHORT, most)
        best = min(best, wrong)
        if wrong <= most:
            found.append((wrong, place, name))
    if best > _SHORT // 100:
        # No compressor that is known. A higher level has to be worth its work.
        return min(found, key=lambda each: each[0] * (20 + each[2].level))[2]
    good = [name for wrong, _, name in sorted(found)[:_FINALISTS] if wrong <= best + best // 4 + 4]
    if names is None:
        good = [
            replace(name, segment=segment, dictionary=dictionary)
            for name in good
            for segment, dictionary in _divisions(looks, name.family)
        ]
        good = [name for name in good if models.is_known(name)]
    if len(good) < 2:
        return good[0] if good else models.Name(models.LITERALS)
    best = 1 << 60
    for name in good:
        wrong = _try(beginning, name, _FURTHER, _ENOUGH, best)
        if wrong < best:
            best, chosen = wrong, name
    return chosen


def _try(beginning: Beginning, name: models.Name, content: int, tokens: int, most: int) -> int:
    """Return how many predictions of a model are wrong."""
    analyser = Analyser(BytesIO(beginning.data).read, name, None, 0)
    analyser.run_trial(content, tokens, most)
    return analyser.corrections
