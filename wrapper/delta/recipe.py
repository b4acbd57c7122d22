"""gzip streams as recipes: what has to be known beside the content to write the same stream again, bit for bit.

A model of the compressor predicts its decisions from the content; the recipe has the model's name, and where it was
wrong. It is a head of numbers and six streams (`streams` says how numbers and streams are written):

- head: version; the model's family, generation, level, memory level, segment and dictionary; how long the content
  is; how many steps that takes; for each stream how long it is, and how long compressed.
- frames: for each gzip member its header (length, bytes), how long its content is plus one, or 0 where that goes on
  to the end; then a byte: bit 0 that the trailer is not what follows from the content, and stands here with the
  padding before it; bits 1 and 2 what follows: nothing, another member, or other bytes (how many, bytes; again and
  again to the stream's end).
- blocks: for each a byte: bits 0 and 1 the kind, bit 2 "the last one", bits 3 and 4 how its end is known, bits 5
  and 6 which prediction of its header was right, bit 7 that the padding of a stored block is not zero, and follows;
  then the number that its end is known by, if it is by one.
- headers: of dynamic blocks of which no prediction was right: how many bits, and the bits.
- runs: how many predictions of tokens were right before each that was wrong; none after the last.
- lengths: of each token that was predicted wrong its length less 2, or 0 for a literal; 255 and more in two bytes.
- distances: of each match among them how many nearer ones have as many bytes the same (`nearest` says which are
  counted); or, from 64 on, 63 more than the distance.

Deflate streams that stand by themselves (RFC 1951) are members without headers and trailers: bare ones. Of each of
them the frames have how long its content is, and the bits after its last block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import choice, models
from .malformed import MalformedError, TooLongError
from .prediction import STREAMS, Analyser, Rebuilder, most_steps
from .streams import StreamReader
from .varint import VarintReader, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_VERSION = 1
_HEAD = 1 << 10
_MOST_CONTENT = 1 << 42
_LONGEST = 1 << 28


@dataclass(frozen=True)
class Analysis:
    """What became of a stream.

    Attributes:
        model: the model's name.
        recipe: the recipe.
        content: how long the content is, in bytes.
        tokens: how many tokens there are outside of stored blocks.
        corrections: how many of them the model did not predict.
        blocks: how many blocks there are.
        verbatim_headers: how many of their headers were not predicted.
        steps: how many steps the model takes.
        prices: for each bare member, what was not predicted in it and those before it takes about, in bytes.
    """

    model: models.Name
    recipe: bytes
    content: int
    tokens: int
    corrections: int
    blocks: int
    verbatim_headers: int
    steps: int
    prices: list[int]


def analyse(
    read: Callable[[int], bytes],
    on_content: Callable[[bytes], object] | None = None,
    *,
    bound: int = 1 << 26,
    names: Sequence[models.Name] | None = None,
    bare: bool = False,
) -> Analysis:
    """Make the recipe of a gzip stream, streaming.

    Args:
        read: returns up to so many bytes of the stream; none at its end.
        on_content: is given the content, piece by piece.
        bound: how long the recipe may be, in bytes.
        names: the models to choose from; all that there are, if not given.
        bare: whether the recipe is to be one of bare members.

    Raises:
        TooLongError: the recipe would be longer, or the model would take too many steps for anyone to follow.
        MalformedError: this is no gzip stream.
    """
    beginning = choice.Beginning(read)
    name = choice.choose(beginning, names)
    analyser = Analyser(beginning.read, name, on_content, bound, bare)
    while analyser.advance():
        pass
    steps = analyser.finish()
    packed = [stream.finish() for stream in analyser.streams]
    content = analyser.content
    numbers = [_VERSION, name.family, name.generation, name.level, name.memory_level, name.segment, name.dictionary]
    numbers += [content, steps]
    for stream in analyser.streams:
        numbers += [stream.length, stream.packed]
    recipe = b"".join([*map(encode, numbers), *packed])
    if len(recipe) > bound:
        raise TooLongError("the recipe is longer than it may be")
    return Analysis(
        name,
        recipe,
        content,
        analyser.tokens,
        analyser.corrections,
        analyser.block_count,
        analyser.verbatim_headers,
        steps,
        analyser.prices,
    )


class Recipe:
    """A recipe that is read; of hostile origin.

    Attributes:
        model: the model's name.
        content: how long the content is, in bytes.
        steps: how many steps the model may take.
        length: how long the recipe is, in bytes.
    """

    def __init__(self, recipe: bytes | Callable[[int, int], bytes]) -> None:
        """Read the head.

        Args:
            recipe: its bytes, or what returns so many of them (the second) from a place (the first) on.

        Raises:
            MalformedError: it is none, or its model is not known here.
        """
        if isinstance(recipe, bytes):
            data = recipe
            self._read_at: Callable[[int, int], bytes] = lambda place, count: data[place : place + count]
        else:
            self._read_at = recipe
        head = VarintReader(self._read_at(0, _HEAD), 0, "a recipe without a head")
        if head.next(127) != _VERSION:
            raise MalformedError("a recipe of another version")
        family, generation, level, memory_level = (head.next(255) for _ in range(4))
        segment, dictionary = head.next(1 << 30), head.next(1 << 15)
        self.model = models.Name(family, generation, level, memory_level, segment, dictionary)
        if not models.is_known(self.model):
            raise MalformedError("a model that is not known here")
        self.content = head.next(_MOST_CONTENT)
        self.steps = head.next(most_steps(self.content))
        self._streams = [(head.next(1 << 42), head.next(_LONGEST)) for _ in range(STREAMS)]
        self._begin = head.place
        self.length = self._begin + sum(packed for _, packed in self._streams)

    def rebuilder(self, size: int, *, bare: bool = False) -> Rebuilder:
        """Return what follows the recipe.

        Args:
            size: how long the stream, or all bare members together, may become, in bytes.
            bare: whether it is a recipe of bare members.
        """
        streams = []
        place = self._begin
        for length, packed in self._streams:
            streams.append(StreamReader(self._read_at, place, packed, length))
            place += packed
        return Rebuilder(self.model, self.content, self.steps, streams, size, bare)


def rebuild(
    content: Iterable[bytes], recipe: Recipe | bytes | Callable[[int, int], bytes], size: int
) -> Iterator[bytes]:
    """Write a gzip stream again, streaming; memory is bounded, whatever content and recipe are.

    Args:
        content: the content, in pieces of any length.
        recipe: the recipe, or how it is read: see `Recipe`.
        size: how long the stream is to be, in bytes; no more is written.

    Yields:
        The stream, piece by piece.

    Raises:
        MalformedError: content and recipe don't go together, or the stream would not be of that size.
    """
    if not isinstance(recipe, Recipe):
        recipe = Recipe(recipe)
    rebuilder = recipe.rebuilder(size)
    written = 0
    for piece in content:
        for place in range(0, len(piece), _PIECE):
            for out in fed(rebuilder, piece[place : place + _PIECE]):
                written += len(out)
                yield out
    while True:
        for out in rebuilder.finish():
            written += len(out)
            yield out
        if not rebuilder.is_behind:
            break
    if written != size:
        raise MalformedError("it is shorter than stated")


def fed(rebuilder: Rebuilder, content: bytes) -> Iterator[bytes]:
    """Feed what follows a recipe with the next bytes of the content; return those of the stream, in pieces.

    Raises:
        MalformedError: the recipe does not go with the content.
    """
    yield from rebuilder.feed(content)
    while rebuilder.is_behind:
        yield from rebuilder.go_on()


_PIECE = 1 << 18
