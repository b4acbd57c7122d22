"""Streams inside of a content that are opened: what they hold is compared, and not what compressors made of it.

Files of a layer may be compressed themselves: jars, wheels and zips, gzip files, images. A content in which deflate
streams (RFC 1951) are replaced by what they decompress to is an opened one. The older contents are opened, a patch
makes the new opened content of them, and that is closed again: each stream is written as it was, by a recipe of
bare members (`recipe`). What was opened may have streams to be opened itself, as a jar in a zip: there are levels.

For each level there is a stream of numbers that says where:

- for each older content how many streams are opened in it; and for each of them how many bytes stand before it,
  since the end of the one before it, or from the content's beginning;
- for the new content, as it is when it is closed, likewise; where the level has several recipes, each of these
  numbers is followed by which one closes it, from 0 on.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from .malformed import MalformedError
from .pieces import Pieces, joined
from .recipe import fed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .patch import Source
    from .recipe import Recipe

MOST_LEVELS = 3
"""How often what was opened may be opened again."""

MOST_RECIPES = 3
"""How many recipes of bare members a change may have: each takes memory while it is followed."""

_TIMES, _AND = 5, 64 << 20

SHORTEST = 32
"""How long streams are at least that are opened, in bytes: shorter ones would only cost time."""

_FEW = 1024
_WINDOW = 1 << 22
_READ = 1 << 20
# How much a stream is given first: there may be millions of short ones, and what they leave is copied.
_FIRST_STEP = 1 << 10
# What one that closes streams is fed with, and about how much it gives away at least.
_PIECE = 1 << 18


def most_openings(size: int) -> int:
    """Return how many streams a content of so many bytes may have opened."""
    return size // SHORTEST + _FEW


def most_opened(size: int) -> int:
    """Return how long a content of so many bytes may be when it is opened, in bytes."""
    return _TIMES * size + _AND


class Level(NamedTuple):
    """What is opened at once.

    Attributes:
        old_sizes: how long the older contents are then, in bytes.
        size: how long the new content is then, in bytes.
        recipes: how long the recipes are by which its streams are closed, in bytes.
    """

    old_sizes: tuple[int, ...]
    size: int
    recipes: tuple[int, ...]


class View:
    """The bytes of a file, read by place: mostly near the ones that were read before."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it can't be read.
        """
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        self._begin = 0
        self._kept = b""

    def __enter__(self) -> View:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def read(self, begin: int, count: int) -> bytes:
        """Return so many bytes from a place on; fewer at the end."""
        at = begin - self._begin
        if not 0 <= at <= at + count <= len(self._kept):
            self._kept = os.pread(self._file.fileno(), max(count, _WINDOW), begin)
            self._begin, at = begin, 0
        return self._kept[at : at + count]

    def stretch(self, begin: int, end: int) -> Iterator[bytes]:
        """Return the bytes between two places, in pieces."""
        for place in range(begin, end, _READ):
            yield self.read(place, min(_READ, end - place))

    def find(self, what: bytes, begin: int, end: int) -> int:
        """Return where bytes are next between two places, or -1."""
        while begin + len(what) <= end:
            at = begin - self._begin
            if not 0 <= at <= len(self._kept) - len(what):
                self.read(begin, _WINDOW)
                at = 0
                if len(self._kept) < len(what):
                    break
            found = self._kept.find(what, at, end - self._begin)
            if found >= 0:
                return self._begin + found
            begin = self._begin + len(self._kept) - len(what) + 1
        return -1


def inflated(view: View, place: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Decompress a deflate stream.

    Args:
        view: what has it.
        place: where it begins.
        end: where it must have ended.

    Yields:
        What it holds, piece by piece, and where what was read for it ends: at last, where the stream does.

    Raises:
        MalformedError: it is none, or does not end.
    """
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    step = _FIRST_STEP
    try:
        while not decoder.eof:
            piece = view.read(place, min(step, end - place))
            found = decoder.decompress(piece, _READ)
            place += len(piece) - len(decoder.unconsumed_tail) - len(decoder.unused_data)
            if not piece and not found and not decoder.eof:
                raise MalformedError("a stream inside of a content does not end")
            yield found, place
            step = min(4 * step, _READ)
    except zlib.error as error:
        raise MalformedError(f"a stream inside of a content can't be decompressed: {error}") from None


def open_content(content: Path, gaps: Iterable[int], out: Path, size: int) -> None:
    """Write a content with streams opened.

    Args:
        content: the file with the content.
        gaps: for each stream, in order, how many bytes stand between it and the one before it.
        out: the file to write.
        size: how long that is to be, in bytes; no more is written.

    Raises:
        MalformedError: there are no such streams, or it would have another length.
        OSError: a file can't be read or written.
    """
    left = size
    with View(content) as view, out.open("wb") as file:

        def write(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if left < 0:
                raise MalformedError("an opened content is longer than stated")
            file.write(data)

        place = 0
        for gap in gaps:
            if gap > view.size - place:
                raise MalformedError("a stream outside of a content")
            for data in view.stretch(place, place + gap):
                write(data)
            place += gap
            for data, after in inflated(view, place, view.size):
                write(data)
                place = after
        for data in view.stretch(place, view.size):
            write(data)
    if left:
        raise MalformedError("an opened content is shorter than stated")


class Opened:
    """Older contents, opened level by level.

    Attributes:
        contents: the files that have them.
    """

    def __init__(self, contents: Sequence[Path]) -> None:
        """Begin.

        Args:
            contents: files with the contents. Those that are opened are put beside them.
        """
        self.contents = list(contents)
        self._folder = contents[0].parent if contents else None
        self._own: dict[Path, BinaryIO] = {}

    def __enter__(self) -> Opened:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what was opened."""
        for file in self._own.values():
            file.close()

    def open_level(self, numbers: Source, level: Level) -> None:
        """Open all contents.

        Args:
            numbers: where, up to what is said of the new content.
            level: what is known of that.

        Raises:
            MalformedError: they have no such streams.
            OSError: a file can't be read or written.
        """
        for number, content in enumerate(self.contents):
            count = numbers.next_number()
            size, closed = level.old_sizes[number], content.stat().st_size
            if count > most_openings(closed) or (size <= closed if count else size != closed):
                raise MalformedError("an opened content that is impossible")
            if not count:
                continue
            # Without a name nothing is left behind, however this ends.
            file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed when it is needed no more
            out = Path(f"/proc/self/fd/{file.fileno()}")
            self._own[out] = file
            open_content(content, (numbers.next_number() for _ in range(count)), out, size)
            self.contents[number] = out
            if content in self._own:
                self._own.pop(content).close()


def close_content(
    opened: Iterable[bytes], numbers: Source, recipes: Sequence[Recipe], size: int
) -> Iterator[bytes]:
    """Close the streams of an opened content.

    Args:
        opened: it, in pieces.
        numbers: what the stream of numbers says of the new content.
        recipes: by which its streams are closed; of hostile origin.
        size: how long the closed content is to be, in bytes; no more is made.

    Returns:
        The closed content, in pieces, as they are taken.

    Raises:
        MalformedError: all that does not go together; once it is met.
    """
    return joined(_closed(Pieces(opened), numbers, recipes, size), size)


def _closed(opened: Pieces, numbers: Source, recipes: Sequence[Recipe], size: int) -> Iterator[bytes]:
    rebuilders = [recipe.rebuilder(size, bare=True) for recipe in recipes]
    count = numbers.next_number()
    if count > most_openings(size):
        raise MalformedError("more streams than there can be")
    for _ in range(count):
        gap = numbers.next_number()
        number = numbers.next_number() if len(recipes) > 1 else 0
        if number >= len(recipes):
            raise MalformedError("a recipe that does not exist")
        yield from _stretch(opened, gap)
        rebuilder = rebuilders[number]
        for piece in _stretch(opened, rebuilder.begin_bare()):
            yield from fed(rebuilder, piece)
    if numbers.has_more():
        raise MalformedError("openings that are left over")
    for rebuilder in rebuilders:
        yield from rebuilder.finish()
    while piece := opened.take(_PIECE):
        yield piece


def _stretch(opened: Pieces, count: int) -> Iterator[bytes]:
    while count:
        piece = opened.take(min(count, _PIECE))
        if not piece:
            raise MalformedError("a stream outside of an opened content")
        count -= len(piece)
        yield piece
