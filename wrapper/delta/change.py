"""A layer as its change, in a file: what is made at pull and applied at push.

It says how the layer's content comes out of older layers' contents (`patch`), and, where the layer is compressed,
how its compressor decided (`recipe`). Without older layers it is the layer, repacked. Streams inside of contents
may be opened (`openings`). The file is

- `LAYDELT2`, and numbers: the kind of layer (0: plain bytes, 1: gzip, 4: zstd; 2 more where streams are opened);
  how long it is, and how long its content; how many older contents there are, and how long each; how long the
  recipe is; where streams are opened at how many levels, and for each how long the older contents are then, and the
  new one, how many recipes there are to close its streams, and how long each; how many streams the change has: one
  of extra bytes alone, or all of a patch, with one of programs or without; then one of openings for each level; and
  for each of how many pieces it consists, and for each of these the codec, the binary logarithm of how far back it
  looks, its length, and its length compressed (`packing`);
- the recipe, those of the levels, and the streams' pieces, one after the other.

Numbers are as in `patch`; lengths are in bytes.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from .malformed import MalformedError
from .openings import MOST_LEVELS, MOST_RECIPES, Level, Opened, close_content, most_opened, most_openings
from .packing import LEAST_WINDOW, MOST_WINDOW, ZSTD, PackedReader, Piece
from .patch import DIFFERENCES, EXTRA, LENGTHS, ZEROS, Contents, Source, apply, most_covers
from .recipe import Recipe, rebuild
from .varint import VarintReader
from .zstd_recipe import ZstdRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


MAGIC = b"LAYDELT2"

PLAIN, GZIP, ZSTD_LAYER = 0, 1, 4
"""Kinds of layers."""

OPENED = 2
"""What is added to the kind where streams are opened."""

MOST_CONTENT = 1 << 42
"""How long a content may be, in bytes."""

SMALL_WINDOW = 23
"""How far back the decoders of all streams but the extra bytes' may look: the binary logarithm of bytes."""

# What decoders and recipes of a change may take together, in bytes; and what a recipe takes: one of bare members,
# and that of the layer itself.
_MOST_MEMORY = 176 << 20
_BARE, _WHOLE = 12 << 20, {PLAIN: 0, GZIP: 20 << 20, ZSTD_LAYER: 28 << 20}

_MOST_HEADER = 1 << 17
_MOST_OLDS, _MOST_PIECES = 1024, 4096
# How many bytes a number in a patch has at most.
_MOST_NUMBER = 8


class Change:
    """A change that is read; of hostile origin.

    Attributes:
        size: how long the layer is, in bytes.
        content_size: how long its content is, in bytes.
        old_sizes: how long the contents of older layers are that it is made from, in bytes, in order.
        room: how much disk space applying it takes, beside the older contents, in bytes.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        """Read the header.

        Args:
            read_at: returns so many of the change's bytes (the second) from a place (the first) on.
            size: how long the change is, in bytes.

        Raises:
            MalformedError: it is none, or would take too much to be applied.
        """
        data = read_at(0, _MOST_HEADER)
        if not data.startswith(MAGIC):
            raise MalformedError("a layer's change of another format")
        header = VarintReader(data, len(MAGIC), "a change without a header")
        self._read_at = read_at
        kind = header.next(ZSTD_LAYER + OPENED)
        self._kind = kind & ~OPENED
        if self._kind not in (PLAIN, GZIP, ZSTD_LAYER):
            raise MalformedError("a layer of an unknown kind")
        self.size = header.next(MOST_CONTENT)
        self.content_size = header.next(MOST_CONTENT)
        self.old_sizes = tuple(header.next(MOST_CONTENT) for _ in range(header.next(_MOST_OLDS)))
        recipe = header.next(size)
        self._levels = self._read_levels(header, size) if kind & OPENED else []
        self._opened_size = self._levels[-1].size if self._levels else self.content_size
        self.room = self._disk_space()
        count = header.next(DIFFERENCES + 4 + MOST_LEVELS) - len(self._levels)
        # All of a patch, with three streams of differences or one, and with one of programs or without.
        if count != 1 and not DIFFERENCES < count <= DIFFERENCES + 4:
            raise MalformedError("a change with a number of streams that is impossible")
        left = _MOST_PIECES
        streams: list[list[Piece]] = []
        for number in range(count + len(self._levels)):
            extra = number == (EXTRA if count > 1 else 0)
            pieces = [self._piece(header, extra, size) for _ in range(header.next(left))]
            left -= len(pieces)
            streams.append(pieces)
        self._check_memory(streams)
        self._check_lengths(streams[:count])
        self._check_openings(streams[count:])
        self._recipe_place = header.place
        place = header.place + recipe
        self._recipe_size = recipe
        self._recipes = []
        for level in self._levels:
            self._recipes.append(list(zip(accumulate(level.recipes, initial=place), level.recipes, strict=False)))
            place += sum(level.recipes)
        self._streams = []
        for pieces in streams:
            self._streams.append((place, pieces))
            place += sum(piece.packed for piece in pieces)
        if place != size:
            raise MalformedError("a change that is longer or shorter than it says")
        self._openings = [self._streams.pop() for _ in self._levels][::-1]
        if self._kind == PLAIN and (recipe or self.size != self.content_size):
            raise MalformedError("a plain layer that is not its content")

    def _read_levels(self, header: VarintReader, size: int) -> list[Level]:
        found: list[Level] = []
        left = MOST_RECIPES
        for _ in range(header.next(MOST_LEVELS)):
            old_sizes = tuple(header.next(MOST_CONTENT) for _ in self.old_sizes)
            opened = header.next(MOST_CONTENT)
            recipes = tuple(header.next(size) for _ in range(header.next(left)))
            left -= len(recipes)
            if not recipes:
                raise MalformedError("openings that nothing closes")
            before = found[-1] if found else Level(self.old_sizes, self.content_size, ())
            pairs = zip((*old_sizes, opened), (*before.old_sizes, before.size), strict=True)
            if any(size > most_opened(closed) for size, closed in pairs):
                raise MalformedError("an opened content that is longer than it can be")
            found.append(Level(old_sizes, opened, recipes))
        if not found:
            raise MalformedError("openings without a level")
        return found

    def _disk_space(self) -> int:
        """Say how much is opened: at each level those contents whose length changes."""
        total = 0
        before = self.old_sizes
        for level in self._levels:
            total += sum(size for size, closed in zip(level.old_sizes, before, strict=True) if size != closed)
            before = level.old_sizes
        return total

    def _check_memory(self, streams: Sequence[Sequence[Piece]]) -> None:
        """See that decoders and recipes do with the memory that there is."""
        windows = (max((piece.window for piece in pieces), default=0) for pieces in streams)
        recipes = sum(len(level.recipes) for level in self._levels)
        if sum(1 << window for window in windows) + _BARE * recipes + _WHOLE[self._kind] > _MOST_MEMORY:
            raise MalformedError("a change that would take too much memory")

    def _check_openings(self, streams: Sequence[Sequence[Piece]]) -> None:
        """See that no stream of openings has more numbers than there could be."""
        before, size = self.old_sizes, self.content_size
        for level, pieces in zip(self._levels, streams, strict=True):
            numbers = sum(1 + most_openings(each) for each in before) + 1 + 2 * most_openings(size)
            if sum(piece.length for piece in pieces) > _MOST_NUMBER * numbers:
                raise MalformedError("a stream that is longer than it can be")
            before, size = level.old_sizes, level.size

    def _piece(self, header: VarintReader, extra: bool, size: int) -> Piece:
        codec = header.next(ZSTD)
        window = header.next(MOST_WINDOW if extra else SMALL_WINDOW)
        piece = Piece(codec, window, header.next(MOST_CONTENT), header.next(size))
        if window < LEAST_WINDOW or not 0 < piece.packed <= piece.length:
            raise MalformedError("a piece of a stream that is impossible")
        return piece

    def _check_lengths(self, streams: Sequence[Sequence[Piece]]) -> None:
        """See that no stream is longer than it could be: that is how much is decompressed."""
        lengths = [sum(piece.length for piece in pieces) for pieces in streams]
        if len(streams) == 1:
            possible = lengths[0] == self._opened_size
        else:
            programs = lengths.pop() if len(lengths) % 2 == 0 else 0
            covers = _MOST_NUMBER * most_covers(self._opened_size)
            possible = (
                max(lengths[: LENGTHS + 1]) <= covers
                and max(lengths[ZEROS:EXTRA]) <= _MOST_NUMBER * self._opened_size
                and lengths[EXTRA] + sum(lengths[DIFFERENCES:]) <= self._opened_size
                and programs <= self._opened_size
            )
        if not possible:
            raise MalformedError("a stream that is longer than it can be")

    def apply(self, contents: Sequence[Path]) -> Iterator[bytes]:
        """Make the layer.

        Args:
            contents: files with the older layers' contents, in order.

        Yields:
            The layer, in pieces.

        Raises:
            MalformedError: the change and those contents don't make a layer of that length.
            OSError: a file can't be read.
        """
        content = self.apply_content(contents)
        if self._kind == PLAIN:
            yield from content
            return
        recipe: Recipe | ZstdRecipe
        if self._kind == GZIP:
            recipe = Recipe(self._read_recipe)
            layer = rebuild(content, recipe, self.size)
        else:
            recipe = ZstdRecipe(self._read_recipe)
            layer = recipe.rebuild(content, self.size)
        if recipe.length != self._recipe_size or recipe.content != self.content_size:
            raise MalformedError("a recipe for another layer")
        yield from layer

    def apply_content(self, contents: Sequence[Path]) -> Iterator[bytes]:
        """Make the layer's content; as `apply`, but for what compressed it."""
        if tuple(path.stat().st_size for path in contents) != self.old_sizes:
            raise MalformedError("older contents are longer or shorter than stated")
        readers = [PackedReader(self._read_at, place, pieces).read for place, pieces in self._streams]
        if len(readers) == 1:
            nothing = [PackedReader(self._read_at, 0, ()).read] * (DIFFERENCES + 1)
            readers = [*nothing[:EXTRA], *readers, *nothing[DIFFERENCES:]]
        openings = [Source(PackedReader(self._read_at, place, pieces).read) for place, pieces in self._openings]
        with ExitStack() as stack:
            with Opened(contents) as opened:
                for numbers, level in zip(openings, self._levels, strict=True):
                    opened.open_level(numbers, level)
                old = stack.enter_context(Contents(opened.contents))
            # What was opened has no names any more.
            found = apply(readers, old, self._opened_size)
            sizes = [self.content_size, *(level.size for level in self._levels)]
            for size, numbers, places in reversed(list(zip(sizes, openings, self._recipes, strict=False))):
                recipes = [Recipe(partial(self._read_part, *place)) for place in places]
                if any(recipe.length != length for recipe, (_, length) in zip(recipes, places, strict=True)):
                    raise MalformedError("a recipe of another length")
                found = close_content(found, numbers, recipes, size)
            yield from found

    def _read_recipe(self, place: int, count: int) -> bytes:
        return self._read_part(self._recipe_place, self._recipe_size, place, count)

    def _read_part(self, begin: int, size: int, place: int, count: int) -> bytes:
        return self._read_at(begin + place, max(0, min(count, size - place)))


def open_change(read_at: Callable[[int, int], bytes], size: int) -> Change:
    """Read a change; it is not applied yet.

    Args:
        read_at: returns so many of its bytes (the second) from a place (the first) on.
        size: how long it is, in bytes.

    Raises:
        MalformedError: it is none.
    """
    return Change(read_at, size)
