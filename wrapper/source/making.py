"""Layers that are made of their change when they are read: only old contents stand on the disk meanwhile."""

from __future__ import annotations

import fcntl
import io
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from ..archive.verified import verified
from ..delta import is_compiled
from ..errors import ContentError, HostError
from ..host.files import CHUNK, copy_file, sha256_of
from ..host.signals import check
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..host.workers import Worker, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from ..archive.pipes import Extent
    from ..delta.artifact import LayerDelta
    from ..host.progress import Progress

_LOOK = 100
"""How often somebody looks whether all is to end while nothing comes, in milliseconds."""

_AGAIN = "have the archive made again"

_UNCOMPILED_RATE = 100_000
"""How many bytes of content a receiver without compiled modules makes in a second, more or less."""


class LayerMaker:
    """Makes layers of their changes, of format 2, each as often as it is read, in a process of its own."""

    def __init__(
        self,
        deltas: Mapping[str, LayerDelta],
        open_blob: Callable[[str], BinaryIO],
        extents: Callable[[str], tuple[Extent, ...]],
        promised_content: Callable[[str], str | None],
    ) -> None:
        """Begin with no layer.

        Args:
            deltas: layers as their change, by their digests.
            open_blob: opens a change, or an older layer that is at hand.
            extents: says where a change lies in open files; nothing where those are none of the system's.
            promised_content: returns the digest of what an older layer is to hold, where that is to be seen to.
        """
        self._deltas = deltas
        self._open_blob = open_blob
        self._extents = extents
        self._promised_content = promised_content
        self._contents: dict[str, Path] = {}
        self._copies: dict[str, BinaryIO] = {}
        self._ready: set[str] = set()

    def __contains__(self, digest: object) -> bool:
        """Say whether a layer can be made."""
        return digest in self._ready

    def close(self) -> None:
        """Close the files of its own."""
        for file in self._copies.values():
            file.close()

    def has_content(self, digest: str) -> bool:
        """Say whether the content of an older layer is here: that layer itself is needed no more."""
        return digest in self._contents

    def room(self, layers: Collection[str]) -> int:
        """Return how much disk space `prepare` takes for layers, and making one after the other, in bytes."""
        deltas = [self._deltas[digest] for digest in layers]
        copies = sum(delta.blob_size for delta in deltas if not self._extents(delta.blob))
        # What others are made of may have to be made itself.
        deltas += [self._deltas[each] for delta in deltas for each in delta.sources if each in self._ready]
        return sum(self._new_contents(layers).values()) + copies + max((delta.room for delta in deltas), default=0)

    def prepare(self, folder: Path, layers: Sequence[str], report: Progress) -> None:
        """Put the contents of older layers on the disk: layers can be made then.

        Args:
            folder: of our own.
            layers: digests, each after those that it is made from; those are at hand, or among them.
            report: is told each step.

        Raises:
            DiskFullError: there is too little space.
            ContentError: an older layer, or a change, is not what was said.
        """
        layers = [digest for digest in layers if digest not in self._ready]
        if not layers:
            return
        warn_where_slow(sum(self._deltas[digest].contents[digest] for digest in layers), report)
        new, room = self._new_contents(layers), self.room(layers)
        if room:
            what = plural(len(new), "older layer")
            how = f"expanding {what}: {human_bytes(room)} in {folder}, as long as layers are made of them"
            report.begin("making", what, how)
        with room_for(folder, room), report.phase("making", sum(new.values())):
            for digest in layers:
                delta = self._deltas[digest]
                if not self._extents(delta.blob):
                    self._copy(folder, delta)
                for source, length in delta.sources.items():
                    if source not in self._contents:
                        self._require_length(source, length)
                        self._contents[source] = self._expand(folder, source, new[source])
                        report.add("making", new[source])
                self._ready.add(digest)

    def open(self, digest: str) -> BinaryIO:
        """Make a layer, and return it as a file that is read from its beginning to its end.

        Reading it to its end raises ContentError where it is not what its digest says.
        """

        def refuse(what: str) -> ContentError:
            return ContentError(f"{digest}, which was made of its change, {what}", _AGAIN)

        reader = io.BufferedReader(_MadeReader(lambda output: self.start(digest, output), digest), CHUNK)
        return verified(reader, digest, self._deltas[digest].size, refuse)

    def start(self, digest: str, output: int) -> Worker:
        """Let a layer be made and written to a descriptor, which the caller closes on his side."""
        from ..delta.jobs import WRITE_LAYER

        delta = self._deltas[digest]
        return self._start(WRITE_LAYER, delta, [digest, delta.size], output)

    def _start(self, job: str, delta: LayerDelta, arguments: Sequence[Any], output: int | None = None) -> Worker:
        extents = self._where(delta.blob)
        contents = [str(self._contents[source]) for source in delta.sources]
        descriptors = sorted({each[0] for each in extents})
        return Worker(job, [extents, contents, delta.room, *arguments], output, descriptors)

    def _where(self, blob: str) -> Sequence[tuple[int, int, int]]:
        if blob in self._copies:
            file = self._copies[blob]
            return [(file.fileno(), 0, os.fstat(file.fileno()).st_size)]
        return self._extents(blob)

    def _new_contents(self, layers: Collection[str]) -> dict[str, int]:
        """Return how long the contents are that have yet to be put on the disk, by their layers' digests."""
        return {
            source: delta.contents[source]
            for delta in (self._deltas[digest] for digest in layers)
            for source in delta.sources
            if source not in self._contents
        }

    def _require_length(self, source: str, length: int) -> None:
        """Refuse what another archive says of an older layer that an archive has: of others readers know it."""
        found = sum(extent.size for extent in self._extents(source))
        if found and found != length:
            raise ContentError(f"{source} is {found} bytes long, but the archive says {length}", _AGAIN)

    def _expand(self, folder: Path, source: str, size: int) -> Path:
        path = folder / f"{source.removeprefix('sha256:')}.content"
        if source in self._ready:
            from ..delta.jobs import WRITE_CONTENT

            # Made only to make others of it, a layer need not be compressed.
            result_of(self._start(WRITE_CONTENT, self._deltas[source], [source, size, str(path)]), source)
        else:
            from ..delta.jobs import expand_layer

            promised = self._promised_content(source)
            with self._open_blob(source) as layer:
                expand_layer(layer, source, path, size)
            if promised:
                with path.open("rb") as content:
                    found = f"sha256:{sha256_of(content)}"
                if found != promised:
                    raise ContentError(
                        f"a layer of a base holds {found}, and not {promised}, as its config says", "check the base"
                    )
        return path

    def _copy(self, folder: Path, delta: LayerDelta) -> None:
        """Copy a change out of an archive that is no file of the system's: others must be able to read it."""
        path = folder / f"{delta.blob.removeprefix('sha256:')}.change"
        with path.open("wb") as copy, self._open_blob(delta.blob) as blob:
            copy_file(blob, copy)
        self._copies[delta.blob] = path.open("rb")


class _MadeReader(io.RawIOBase):
    """What a worker writes, as a file."""

    def __init__(self, start: Callable[[int], Worker], digest: str) -> None:
        self._digest = digest
        self._pipe, output = os.pipe()
        self._is_whole = False
        # A larger pipe is faster, and no right of ours.
        with suppress(OSError):
            fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, CHUNK)
        try:
            self._worker = start(output)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(output)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while not poll.poll(_LOOK):
            check()
        read = os.readv(self._pipe, [buffer])
        if not read and not self._is_whole:
            result_of(self._worker, self._digest)
            self._is_whole = True
        return read

    def close(self) -> None:
        if not self.closed:
            self._worker.end()
            os.close(self._pipe)
        super().close()


def result_of(worker: Worker, digest: str) -> Any:
    """Wait for what makes a layer, and return its result.

    Raises:
        IncrementalError: as it was raised there.
        HostError: it was killed, or had too little memory.
    """
    try:
        return worker.result()
    except WorkerError as error:
        raise HostError(
            f"{digest} could not be made of its change: {error}",
            "check that there is enough memory, and try again",
        ) from None


def warn_where_slow(size: int, report: Progress) -> None:
    """Say so where layers are made uncompiled.

    Args:
        size: how long their contents are together, in bytes.
        report: receives the line.
    """
    if not is_compiled():
        minutes = size // _UNCOMPILED_RATE // 60 + 1
        report.warn(
            f"the modules that make layers are not compiled here: {human_bytes(size)} of content take "
            f"some {plural(minutes, 'minute')}"
        )
