"""Changes are made: what a layer's change consists of is found, and written (`change` says how)."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..host.workers import Worker, WorkerError, tell
from . import features
from .addresses import BLOCK
from .change import GZIP, MAGIC, MOST_CONTENT, OPENED, PLAIN, ZSTD_LAYER
from .covers import Covers
from .expand import GZIP_MAGIC, ZSTD_MAGIC, expand
from .malformed import MalformedError, TooLongError
from .nesting import open_streams, whole
from .options import EFFORTS
from .packing import LZMA, MOST_WINDOW, ZSTD, Effort, Raw, pack
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
)
from .programs import write_pairs
from .recipe import analyse
from .search import Search, find_covers
from .varint import encode
from .zstd_recipe import analyse as analyse_zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .members import Parts
    from .nesting import Content, OpenedLevel
    from .packing import Packed
    from .programs import Pair

_READ = 1 << 20
# Below that length in bytes a worker would take longer to start than to do it.
_SHORT_LAYER = 1 << 20
# What an older content has to bring, in bytes, and as a part of the new one: to fetch it has a price, too.
_LEAST_USE, _LEAST_PART = 4096, 1000
# What the analysis of a compressed layer takes, in bytes, and what Python does.
_ANALYSIS_MEMORY = 96 << 20
_LEAST_MEMORY = 64 << 20
# How far back the decoders of all streams but the extra bytes' look that are made here.
_OWN_WINDOW = 22
# A recipe is kept in memory while it is made. One that is longer would not be worth much.
_MOST_RECIPE = 1 << 27


# Which part of the time is over when a change is made: the rest is its proof. And which part of the former is over
# when its covers are found. (Measured with 54 MB of Python wheels: 74 % and 62 %.)
MADE, _SEARCHED = 0.75, 0.65
_LOOK = 0.1


class Made(NamedTuple):
    """What became of a layer.

    Attributes:
        size: how long the change is, in bytes.
        content: how long the layer's content is, in bytes.
        model: which compressor made the layer, as far as that is known; `plain` for a layer that is not compressed.
        corrections: how many of the compressor's decisions were not as the model says.
        used: which of the older contents are needed, by their places; applying takes these.
        programs: for how many programs addresses are predicted.
        opened: how many streams inside of the layer's files are opened.
        features: what applying needs, beside `CHANGES`.
        room: how much disk space applying takes beside the older contents, in bytes.
        reason: why there is no change; empty where there is one.
    """

    size: int
    content: int
    model: str = ""
    corrections: int = 0
    used: tuple[int, ...] = ()
    programs: int = 0
    opened: int = 0
    features: tuple[str, ...] = ()
    room: int = 0
    reason: str = ""


class _Plan(NamedTuple):
    """What an effort means: which search, how much of the content at once, and how each stream is compressed."""

    quick: bool
    batch: int
    streams: tuple[Effort, ...]
    thrice: bool


def _plan(quick: bool, batch: int, codec: int, level: int, extra: Effort, thrice: bool) -> _Plan:
    contexts = {MOVES: 1, GAPS: 0, LENGTHS: 1, ZEROS: 1, RUNS: 0}
    small = [Effort(codec, level, contexts[number]) for number in range(EXTRA)]
    return _Plan(quick, batch, (*small, extra, Effort(codec, level, 0)), thrice)


_EXTREME = 1 << 31
_USUAL, _BEST = 6 | _EXTREME, 9 | _EXTREME
_PLANS = dict(
    zip(
        EFFORTS,
        (
            _plan(True, 64 << 20, ZSTD, 12, Effort(ZSTD, 9), False),
            _plan(False, 64 << 20, LZMA, _USUAL, Effort(LZMA, _USUAL, 4, hasty=8 << 20, tables=True), True),
            _plan(False, 256 << 20, LZMA, _BEST, Effort(LZMA, _BEST, 4, tables=True), True),
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
            if magic.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
                layer.seek(0)
                content = folder / f"{out.name}.content"
                stack.callback(content.unlink, missing_ok=True)
                try:
                    expand(layer, content, MOST_CONTENT)
                except TooLongError as error:
                    return Made(0, 0, reason=f"it is too large: {error}")
                except MalformedError as error:
                    return Made(0, 0, reason=f"its format is not understood: {error}")
                analysis = stack.enter_context(_Analysis(new_layer, content, folder / f"{out.name}.recipe"))
                memory -= _ANALYSIS_MEMORY
        memory = max(_LEAST_MEMORY, memory)
        size = content.stat().st_size
        stack.callback(_remove_all_but, (), out)
        wholes = [whole(each) for each in old_contents]
        levels, opened, olds = _open_streams(whole(content), wholes, out, memory // 2)
        new = stack.enter_context(Contents([opened.path]))
        old = stack.enter_context(Contents([each.path for each in olds]))
        telling = _Telling(analysis)
        search = Search(plan.quick, memory, threads, telling.part(0, _SEARCHED), plan.batch)
        covers = find_covers(new, old, _parts(opened, olds, old), search)
        covers, used = _only_useful(covers, old, new.length)
        levels, olds = [level.only(used) for level in levels], [olds[place] for place in used]
        old = stack.enter_context(Contents([each.path for each in olds]))
        pairs = find_pairs(new, old, _parts(opened, olds, old), covers)
        patch = stack.enter_context(_Patch(cut(covers, pairs), pairs, new, old, opened.path, folder))
        patch.add([level.numbers() for level in levels], folder)
        streams = patch.pack(plan, memory, threads, folder, telling.part(_SEARCHED, 1))
        stack.callback(_close, streams)
        found = _Analysed("plain", 0, size)
        recipe = b""
        if analysis:
            try:
                found, recipe = analysis.result(telling)
            except MalformedError as error:
                return Made(0, size, reason=f"its compression is not understood: {error}")
            if found.content != size:
                return Made(0, size, reason="its format is not understood: other bytes follow its content")
        is_zstd = magic == ZSTD_MAGIC
        kind = PLAIN if not analysis else ZSTD_LAYER if is_zstd else GZIP
        sizes = new_layer.stat().st_size, size, [old_contents[place].stat().st_size for place in used]
        with out.open("wb") as file:
            file.write(_header(kind, *sizes, recipe, levels, streams))
            file.write(recipe)
            for level in levels:
                file.writelines(level.recipes)
            for stream in streams:
                file.writelines(stream.read())
            length = file.tell()
    count = sum(level.streams for level in levels)
    needs = [features.PROGRAMS] * bool(pairs) + [features.OPENED] * bool(levels)
    needs += [features.ZSTD] * is_zstd
    return Made(length, size, found.model, found.corrections, used, len(pairs), count, tuple(needs))


def _header(
    kind: int,
    size: int,
    content: int,
    olds: Sequence[int],
    recipe: bytes,
    levels: Sequence[OpenedLevel],
    streams: Sequence[Packed],
) -> bytes:
    """Return what a change begins with: `change` says what that is."""
    numbers = [kind + OPENED if levels else kind, size, content, len(olds), *olds, len(recipe)]
    if levels:
        numbers.append(len(levels))
    for level in levels:
        numbers += [*level.level.old_sizes, level.level.size, len(level.recipes), *level.level.recipes]
    numbers.append(len(streams))
    for stream in streams:
        numbers += [len(stream.pieces), *(number for piece in stream.pieces for number in piece)]
    return MAGIC + b"".join(map(encode, numbers))


def _open_streams(
    new: Content, olds: list[Content], out: Path, memory: int
) -> tuple[list[OpenedLevel], Content, list[Content]]:
    """Open what is worth it inside of contents; where there is no room for that, they stay as they are."""
    levels = []
    with suppress(OSError):
        for level, (opened, *others) in open_streams(new, olds, out, memory):
            levels.append(level)
            new, olds = opened, others
            _remove_all_but([new, *olds], out)
    _remove_all_but([new, *olds], out)
    return levels, new, olds


def _remove_all_but(contents: Sequence[Content], out: Path) -> None:
    """Remove what was opened, and is none of the contents any more."""
    needed = {content.path for content in contents}
    for path in out.parent.glob(f"{out.name}.opened*"):
        if path not in needed:
            path.unlink(missing_ok=True)


def _parts(new: Content, olds: Sequence[Content], old: Contents) -> list[Parts]:
    """Return what contents consist of; the older ones by their places where one stands after the other."""
    return [new.parts, *(each.parts.moved(begin) for each, begin in zip(olds, old.begins, strict=True))]


def _close(streams: Sequence[Packed]) -> None:
    for stream in streams:
        stream.close()


class _Telling:
    """Says how far a change is: as far as the slower of making it and of the analysis that goes on meanwhile."""

    def __init__(self, analysis: _Analysis | None) -> None:
        self._analysis = analysis
        self._made = 0.0

    def part(self, begin: float, end: float) -> Callable[[float], None]:
        """Return what is told how far a step of making it is."""

        def tell_step(done: float) -> None:
            self._made = begin + (end - begin) * done
            self.tell()

        return tell_step

    def tell(self) -> None:
        """Say it."""
        analysed = self._analysis.told() if self._analysis else 1.0
        tell(MADE * min(self._made, analysed))


class _Analysed(NamedTuple):
    model: str
    corrections: int
    content: int


class _Analysis:
    """The analysis of how a layer is compressed: in a process of its own, while the contents are compared."""

    def __init__(self, layer: Path, content: Path, out: Path) -> None:
        self._arguments = str(layer), str(content), str(out)
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

    def told(self) -> float:
        """Return which part is done of what goes on meanwhile."""
        return self._worker.told() if self._worker else 1.0

    def result(self, telling: _Telling) -> tuple[_Analysed, bytes]:
        """Return what was found, and the recipe.

        Args:
            telling: says how far it is, until it is there.

        Raises:
            MalformedError: there is none.
        """
        if self._worker:
            try:
                while not self._worker.wait(_LOOK):
                    telling.tell()
                answer = self._worker.result()
            except WorkerError as error:
                raise MalformedError(str(error)) from None
            finally:
                self._worker = None
        else:
            answer = analyse_layer(*self._arguments, lambda _: None)
        if "reason" in answer:
            raise MalformedError(answer["reason"])
        return _Analysed(answer["model"], answer["corrections"], answer["content"]), self._out.read_bytes()


def analyse_layer(
    layer: str, content: str, out: str, tell_read: Callable[[float], None] = tell
) -> dict[str, str | int]:
    """Make the recipe of a layer: what a worker does.

    Args:
        layer: the file with the layer.
        content: the file with its content.
        out: the file for the recipe.
        tell_read: is told which part of the layer was read, from 0 to 1.

    Returns:
        `model`, `corrections`, and the `content`'s length in bytes; or the `reason` why there is no recipe.
    """
    with Path(layer).open("rb") as file, Path(content).open("rb") as plain:
        size = os.fstat(file.fileno()).st_size
        bound = min(max(1 << 16, size), _MOST_RECIPE)
        is_zstd = file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC
        file.seek(0)

        def read(count: int) -> bytes:
            tell_read(file.tell() / size)
            return file.read(count)

        try:
            found = analyse_zstd(read, plain.read, bound) if is_zstd else analyse(read, bound=bound)
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
        self._more = 0
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

    def add(self, streams: Sequence[bytes], folder: Path) -> None:
        """Add streams after all others."""
        for data in streams:
            file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed at exit
            self._files.append(file)
            file.write(data)
            file.flush()
        self._more = len(streams)

    def pack(
        self, plan: _Plan, memory: int, threads: int, folder: Path, tell_packed: Callable[[float], None]
    ) -> list[Packed]:
        """Compress the streams; those of differences as one or as three, as is shorter."""
        patch = [*plan.streams, *[plan.streams[DIFFERENCES]] * 4] if self._shares else [plan.streams[EXTRA]]
        efforts = patch + [plan.streams[GAPS]] * self._more
        extra = EXTRA if self._shares else 0
        raws = [
            Raw(
                file.fileno(),
                0,
                os.fstat(file.fileno()).st_size,
                effort,
                MOST_WINDOW if place == extra else _OWN_WINDOW,
            )
            for place, (file, effort) in enumerate(zip(self._files, efforts, strict=True))
        ]
        if not self._shares:
            return pack(raws, folder, memory, threads, tell_packed)
        if not plan.thrice:
            del raws[DIFFERENCES : DIFFERENCES + 3]
        packed = pack(raws, folder, memory, threads, tell_packed)
        more = [packed.pop() for _ in range(self._more)][::-1]
        *packed, one, programs = packed
        several = packed[DIFFERENCES:]
        if several and sum(stream.size for stream in several) < one.size:
            one.close()
        else:
            _close(several)
            packed[DIFFERENCES:] = [one]
        return [*packed, *([programs] if programs.pieces else []), *more]


_RAW_STREAMS = DIFFERENCES + 5


def _chunks(content: Contents, begin: int, end: int) -> Iterator[bytes]:
    for place in range(begin, end, _READ):
        yield content.read(place, min(_READ, end - place))
