"""A layer as its change, in a file: what is made at pull and applied at push.

It says how the layer's content comes out of older layers' contents (`patch`), and, where the layer is compressed,
how its compressor decided (`recipe`). Without older layers it is the layer, repacked. The file is

- `LAYDELT2`, and numbers: the kind of layer (0: plain bytes, 1: gzip); how long it is, and how long its content;
  how many older contents there are, and how long each; how long the recipe is; how many streams there are (one of
  extra bytes alone, or all of a patch, with one of programs or without), and for each of how many pieces it
  consists, and for each of these the codec, the binary logarithm of how far back it looks, its length, and its
  length compressed (`packing`);
- the recipe, and the streams' pieces, one after the other.

Numbers are as in `patch`; lengths are in bytes.
"""

from __future__ import annotations

import os
import sys
import zlib
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..host.workers import Worker, WorkerError
from .addresses import BLOCK
from .covers import Covers
from .malformed import MalformedError, TooLongError
from .options import EFFORTS
from .packing import LEAST_WINDOW, LZMA, MOST_WINDOW, ZSTD, Effort, PackedReader, Piece, Raw, pack
from .pairing import carried, cut, find_pairs
from .patch import (
    DIFFERENCES,
    EXTRA,
    GAPS,
    LENGTHS,
    MOVES,
    RUNS,
    ZEROS,
    Contents,
    PatchWriter,
    Sink,
    apply,
    most_covers,
)
from .programs import write_pairs
from .recipe import Recipe, analyse, rebuild
from .search import Search, find_covers
from .varint import VarintReader, encode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .packing import Packed
    from .programs import Pair

MAGIC = b"LAYDELT2"

_PLAIN, _GZIP = range(2)
_GZIP_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_READ = 1 << 20
# How much a member or frame is given first: what it leaves is copied, and there may be millions of empty ones.
_FIRST_STEP = 1 << 10
_MOST_HEADER = 1 << 17
_MOST_CONTENT = 1 << 42
_MOST_OLDS, _MOST_PIECES = 1024, 4096
# How many bytes a number in a patch has at most.
_MOST_NUMBER = 8
# How far back the decoders of all streams but the extra bytes' may look: the binary logarithm of bytes. There are
# eight of them.
_SMALL_WINDOW = 23
# RFC 8878 grants 8 MiB, and layers made with more are rare.
_ZSTD_WINDOW = 27
# Below that length in bytes a worker would take longer to start than to do it.
_SHORT_LAYER = 1 << 20
# What an older content has to bring, in bytes, and as a part of the new one: to fetch it has a price, too.
_LEAST_USE, _LEAST_PART = 4096, 1000
# What the analysis of a compressed layer takes, in bytes, and what Python does.
_ANALYSIS_MEMORY = 96 << 20
_LEAST_MEMORY = 64 << 20
# A recipe is kept in memory while it is made. One that is longer would not be worth much.
_MOST_RECIPE = 1 << 27


class Made(NamedTuple):
    """What became of a layer.

    Attributes:
        size: how long the change is, in bytes.
        content: how long the layer's content is, in bytes.
        model: which compressor made the layer, as far as that is known; `plain` for a layer that is not compressed.
        corrections: how many of the compressor's decisions were not as the model says.
        used: which of the older contents are needed, by their places; applying takes these.
        programs: for how many programs addresses are predicted.
        reason: why there is no change; empty where there is one.
    """

    size: int
    content: int
    model: str = ""
    corrections: int = 0
    used: tuple[int, ...] = ()
    programs: int = 0
    reason: str = ""


class _Plan(NamedTuple):
    """What an effort means: which search, how much of the content at once, and how each stream is compressed."""

    quick: bool
    batch: int
    streams: tuple[Effort, ...]
    thrice: bool


def _plan(quick: bool, batch: int, codec: int, level: int, extra: Effort, thrice: bool) -> _Plan:
    contexts = {MOVES: 3, GAPS: 0, LENGTHS: 3, ZEROS: 3, RUNS: 0}
    small = [Effort(codec, level, contexts[number]) for number in range(EXTRA)]
    return _Plan(quick, batch, (*small, extra, Effort(codec, level, 0)), thrice)


_EXTREME = 1 << 31
_PLANS = dict(
    zip(
        EFFORTS,
        (
            _plan(True, 64 << 20, ZSTD, 12, Effort(ZSTD, 9), False),
            _plan(False, 64 << 20, LZMA, 6, Effort(LZMA, 6, 4, hasty=8 << 20), True),
            _plan(False, 256 << 20, LZMA, 9 | _EXTREME, Effort(LZMA, 9 | _EXTREME, 4), True),
        ),
        strict=True,
    )
)


def make_change(
    new_layer: Path, old_contents: Sequence[Path], out: Path, effort: str, memory: int, folder: Path
) -> Made:
    """Express a layer as its change.

    Args:
        new_layer: the file with the layer.
        old_contents: files with the contents of older layers, in order, as `expand` makes them; none to repack it.
        out: the file for the change.
        effort: one of `EFFORTS`.
        memory: how much may be taken, in bytes.
        folder: where temporary files go: the layer's content is one. They have no names, or begin with `out`'s.

    Returns:
        What became of it. Whether the change makes the layer is for the caller to prove.

    Raises:
        OSError: a file can't be read or written.
    """
    plan = _PLANS[effort]
    threads = len(os.sched_getaffinity(0))
    with ExitStack() as stack:
        content, analysis = new_layer, None
        with new_layer.open("rb") as layer:
            magic = layer.read(4)
            if magic == _ZSTD_MAGIC:
                return Made(0, 0, reason="it is compressed by zstd")
            if magic.startswith(_GZIP_MAGIC):
                layer.seek(0)
                content = folder / f"{out.name}.content"
                stack.callback(content.unlink, missing_ok=True)
                try:
                    expand(layer, content, _MOST_CONTENT)
                except MalformedError as error:
                    return Made(0, 0, reason=f"it can't be decompressed: {error}")
                analysis = stack.enter_context(_Analysis(new_layer, folder / f"{out.name}.recipe"))
                memory -= _ANALYSIS_MEMORY
        memory = max(_LEAST_MEMORY, memory)
        new = stack.enter_context(Contents([content]))
        old = stack.enter_context(Contents(old_contents))
        covers = find_covers(new, old, Search(plan.quick, memory, threads, plan.batch))
        covers, used = _only_useful(covers, old, new.length)
        old = stack.enter_context(Contents([old_contents[place] for place in used]))
        pairs = find_pairs(new, old, covers)
        patch = stack.enter_context(_Patch(cut(covers, pairs), pairs, new, old, content, folder))
        streams = patch.pack(plan, memory, threads, folder)
        stack.callback(_close, streams)
        found = _Analysed("plain", 0, new.length)
        recipe = b""
        if analysis:
            try:
                found, recipe = analysis.result()
            except MalformedError as error:
                return Made(0, new.length, reason=f"its compression can't be described: {error}")
            if found.content != new.length:
                return Made(0, new.length, reason="its content can't be told apart from what follows it")
        kind = _GZIP if analysis else _PLAIN
        header = [kind, new_layer.stat().st_size, new.length, len(used), *old.lengths, len(recipe), len(streams)]
        for stream in streams:
            header += [len(stream.pieces), *(number for piece in stream.pieces for number in piece)]
        with out.open("wb") as file:
            file.write(MAGIC + b"".join(map(encode, header)))
            file.write(recipe)
            for stream in streams:
                file.writelines(stream.read())
            size = file.tell()
    return Made(size, new.length, found.model, found.corrections, used, len(pairs))


def _close(streams: Sequence[Packed]) -> None:
    for stream in streams:
        stream.close()


class _Analysed(NamedTuple):
    model: str
    corrections: int
    content: int


class _Analysis:
    """The analysis of how a layer is compressed: in a process of its own, while the contents are compared."""

    def __init__(self, layer: Path, out: Path) -> None:
        self._arguments = str(layer), str(out)
        self._out = out
        self._worker: Worker | None = None

    def __enter__(self) -> _Analysis:
        if Path(self._arguments[0]).stat().st_size >= _SHORT_LAYER:
            self._worker = Worker(f"{__name__}:analyse_layer", self._arguments)
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker:
            self._worker.end()
        self._out.unlink(missing_ok=True)

    def result(self) -> tuple[_Analysed, bytes]:
        """Return what was found, and the recipe.

        Raises:
            MalformedError: there is none.
        """
        if self._worker:
            try:
                answer = self._worker.result()
            except WorkerError as error:
                raise MalformedError(str(error)) from None
            finally:
                self._worker = None
        else:
            answer = analyse_layer(*self._arguments)
        if "reason" in answer:
            raise MalformedError(answer["reason"])
        return _Analysed(answer["model"], answer["corrections"], answer["content"]), self._out.read_bytes()


def analyse_layer(layer: str, out: str) -> dict[str, str | int]:
    """Make the recipe of a layer: what a worker does.

    Args:
        layer: the file with the layer.
        out: the file for the recipe.

    Returns:
        `model`, `corrections`, and the `content`'s length in bytes; or the `reason` why there is no recipe.
    """
    with Path(layer).open("rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            found = analyse(file.read, bound=min(max(1 << 16, size), _MOST_RECIPE))
        except MalformedError as error:
            return {"reason": str(error)}
    Path(out).write_bytes(found.recipe)
    return {"model": str(found.model), "corrections": found.corrections, "content": found.content}


def _only_useful(covers: Covers, old: Contents, size: int) -> tuple[Covers, tuple[int, ...]]:
    """Drop covers of older contents that bring next to nothing.

    Returns:
        The others, by places as if only their contents were there; and which these are.
    """
    brings = [0] * len(old.lengths)
    for place, _, length in covers:
        brings[old.number(place)] += length
    used = tuple(number for number, brought in enumerate(brings) if brought > max(_LEAST_USE, size // _LEAST_PART))
    if len(used) == len(brings):
        return covers, used
    shifts = {}
    done = 0
    for number in used:
        shifts[number] = done - old.begins[number]
        done += old.lengths[number]
    found = Covers()
    for place, new, length in covers:
        number = old.number(place)
        if number in shifts:
            found.add(place + shifts[number], new, length)
    return found, used


class _Patch:
    """The streams of a patch, uncompressed, in files without a name."""

    def __init__(
        self,
        covers: Covers,
        pairs: Sequence[Pair],
        new: Contents,
        old: Contents,
        content: Path,
        folder: Path,
    ) -> None:
        """Write them.

        Args:
            covers: what both contents share; each lies in a pair or does not.
            pairs: programs in which addresses are predicted.
            new: the new content.
            old: the older one.
            content: the file with the new content: where nothing is shared, it is the stream of extra bytes.
            folder: for the files.
        """
        self._files: list[BinaryIO] = []
        self._length = new.length
        self._shares = len(covers) > 0
        try:
            if self._shares:
                self._write(covers, pairs, new, old, folder)
            else:
                self._files.append(content.open("rb"))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> _Patch:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def _write(self, covers: Covers, pairs: Sequence[Pair], new: Contents, old: Contents, folder: Path) -> None:
        self._files = [TemporaryFile(dir=folder) for _ in range(_RAW_STREAMS)]  # noqa: SIM115 - closed at exit
        extra, programs = self._files[EXTRA], self._files[-1]
        sinks = [Sink(file.write) for place, file in enumerate(self._files[:-1]) if place != EXTRA]
        writer = PatchWriter(sinks)
        done = 0
        for (old_place, new_place, length), read in carried(covers, pairs, old):
            extra.writelines(_chunks(new, done, new_place))
            writer.cover(old_place, new_place, length)
            for at in range(0, length, BLOCK):
                count = min(BLOCK, length - at)
                writer.compare(read(old_place + at, new_place + at, count), new.read(new_place + at, count))
            done = new_place + length
        extra.writelines(_chunks(new, done, self._length))
        writer.finish()
        programs.write(write_pairs(pairs))
        for file in self._files:
            file.flush()

    def pack(self, plan: _Plan, memory: int, threads: int, folder: Path) -> list[Packed]:
        """Compress the streams; those of differences as one or as three, as is shorter."""
        if not self._shares:
            descriptor = self._files[0].fileno()
            return pack([Raw(descriptor, 0, self._length, plan.streams[EXTRA])], folder, memory, threads)
        efforts = [*plan.streams, *[plan.streams[DIFFERENCES]] * 4]
        raws = [
            Raw(
                file.fileno(),
                0,
                os.fstat(file.fileno()).st_size,
                effort,
                MOST_WINDOW if place == EXTRA else _SMALL_WINDOW,
            )
            for place, (file, effort) in enumerate(zip(self._files, efforts, strict=True))
        ]
        if not plan.thrice:
            del raws[DIFFERENCES : DIFFERENCES + 3]
        *packed, one, programs = pack(raws, folder, memory, threads)
        several = packed[DIFFERENCES:]
        if several and sum(stream.size for stream in several) < one.size:
            one.close()
        else:
            _close(several)
            packed[DIFFERENCES:] = [one]
        return [*packed, programs] if programs.pieces else packed


_RAW_STREAMS = DIFFERENCES + 5


def _chunks(content: Contents, begin: int, end: int) -> Iterator[bytes]:
    for place in range(begin, end, _READ):
        yield content.read(place, min(_READ, end - place))


class Change:
    """A change that is read; of hostile origin.

    Attributes:
        size: how long the layer is, in bytes.
        content_size: how long its content is, in bytes.
        old_sizes: how long the contents of older layers are that it is made from, in bytes, in order.
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
        self._kind = header.next(_GZIP)
        self.size = header.next(_MOST_CONTENT)
        self.content_size = header.next(_MOST_CONTENT)
        self.old_sizes = tuple(header.next(_MOST_CONTENT) for _ in range(header.next(_MOST_OLDS)))
        recipe = header.next(size)
        count = header.next(DIFFERENCES + 4)
        # All of a patch, with three streams of differences or one, and with one of programs or without.
        if count != 1 and count <= DIFFERENCES:
            raise MalformedError("a change with a number of streams that there can't be")
        left = _MOST_PIECES
        streams: list[list[Piece]] = []
        for number in range(count):
            extra = number == EXTRA or count == 1
            pieces = [self._piece(header, extra, size) for _ in range(header.next(left))]
            left -= len(pieces)
            streams.append(pieces)
        self._check_lengths(streams)
        self._recipe_place = header.place
        place = header.place + recipe
        self._recipe_size = recipe
        self._streams = []
        for pieces in streams:
            self._streams.append((place, pieces))
            place += sum(piece.packed for piece in pieces)
        if place != size:
            raise MalformedError("a change that is longer or shorter than it says")
        if self._kind == _PLAIN and (recipe or self.size != self.content_size):
            raise MalformedError("a plain layer that is not its content")

    def _piece(self, header: VarintReader, extra: bool, size: int) -> Piece:
        codec = header.next(ZSTD)
        window = header.next(MOST_WINDOW if extra else _SMALL_WINDOW)
        piece = Piece(codec, window, header.next(_MOST_CONTENT), header.next(size))
        if window < LEAST_WINDOW or not 0 < piece.packed <= piece.length:
            raise MalformedError("a piece of a stream that there can't be")
        return piece

    def _check_lengths(self, streams: Sequence[Sequence[Piece]]) -> None:
        """See that no stream is longer than it could be: that is how much is decompressed."""
        lengths = [sum(piece.length for piece in pieces) for pieces in streams]
        if len(streams) == 1:
            possible = lengths[0] == self.content_size
        else:
            programs = lengths.pop() if len(lengths) % 2 == 0 else 0
            covers = _MOST_NUMBER * most_covers(self.content_size)
            possible = (
                max(lengths[: LENGTHS + 1]) <= covers
                and max(lengths[ZEROS:EXTRA]) <= _MOST_NUMBER * self.content_size
                and lengths[EXTRA] + sum(lengths[DIFFERENCES:]) <= self.content_size
                and programs <= self.content_size
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
        if self._kind == _PLAIN:
            yield from content
        else:
            recipe = Recipe(self._read_recipe)
            if recipe.length != self._recipe_size or recipe.content != self.content_size:
                raise MalformedError("a recipe for another layer")
            yield from rebuild(content, recipe, self.size)

    def apply_content(self, contents: Sequence[Path]) -> Iterator[bytes]:
        """Make the layer's content; as `apply`, but for what compressed it."""
        with Contents(contents) as old:
            if tuple(old.lengths) != self.old_sizes:
                raise MalformedError("older contents are longer or shorter than they were said to be")
            readers = [PackedReader(self._read_at, place, pieces).read for place, pieces in self._streams]
            if len(readers) == 1:
                nothing = [PackedReader(self._read_at, 0, ()).read] * (DIFFERENCES + 1)
                readers = [*nothing[:EXTRA], *readers, *nothing[DIFFERENCES:]]
            yield from apply(readers, old, self.content_size)

    def _read_recipe(self, place: int, count: int) -> bytes:
        return self._read_at(self._recipe_place + place, max(0, min(count, self._recipe_size - place)))


def open_change(read_at: Callable[[int, int], bytes], size: int) -> Change:
    """Read a change; it is not applied yet.

    Args:
        read_at: returns so many of its bytes (the second) from a place (the first) on.
        size: how long it is, in bytes.

    Raises:
        MalformedError: it is none.
    """
    return Change(read_at, size)


def expand(layer: BinaryIO, out: Path, bound: int) -> int:
    """Write a layer's content to a file: that of gzip or zstd, or the layer itself where it is neither.

    Args:
        layer: the layer, open for reading; it is read to its end.
        out: the file.
        bound: how long the content may be, in bytes.

    Returns:
        How long it is.

    Raises:
        MalformedError: it can't be decompressed.
        TooLongError: the content is longer than that; what is in the file then is not.
        OSError: a file can't be read or written.
    """
    left = bound
    with out.open("wb") as file:
        for chunk in _content(layer):
            left -= len(chunk)
            if left < 0:
                raise TooLongError("its content is longer than is allowed")
            file.write(chunk)
    return bound - left


def _content(layer: BinaryIO) -> Iterator[bytes]:
    data = layer.read(_READ)
    if data.startswith(_GZIP_MAGIC):
        return _gunzipped(layer, data)
    if data.startswith(_ZSTD_MAGIC):
        return _unzstd(layer, data)
    return _plain(layer, data)


def _plain(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = layer.read(_READ)


def _gunzipped(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    place = 0
    try:
        while data.startswith(_GZIP_MAGIC, place):
            member = zlib.decompressobj(31)
            step = _FIRST_STEP
            while not member.eof:
                if place == len(data):
                    data, place = layer.read(_READ), 0
                    if not data:
                        raise MalformedError("it ends too early")
                piece = data[place : place + step]
                yield member.decompress(piece, _READ)
                place += len(piece) - len(member.unconsumed_tail) - len(member.unused_data)
                step = min(2 * step, _READ)
            if len(data) - place < len(_GZIP_MAGIC):
                data, place = data[place:] + layer.read(_READ), 0
    except zlib.error as error:
        raise MalformedError(f"it is no gzip: {error}") from None
    # What follows the last member belongs to no content.
    while layer.read(_READ):
        pass


def _unzstd(layer: BinaryIO, data: bytes) -> Iterator[bytes]:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    place = 0
    try:
        while data:
            frame = zstd.ZstdDecompressor(options=options)
            step = _FIRST_STEP
            while not frame.eof:
                piece = b""
                if frame.needs_input:
                    if place == len(data):
                        data, place = layer.read(_READ), 0
                        if not data:
                            raise MalformedError("it ends too early")
                    piece = data[place : place + step]
                    place += len(piece)
                    step = min(2 * step, _READ)
                yield frame.decompress(piece, _READ)
            place -= len(frame.unused_data)
            if place == len(data):
                data, place = layer.read(_READ), 0
    except zstd.ZstdError as error:
        raise MalformedError(f"it is no zstd: {error}") from None
