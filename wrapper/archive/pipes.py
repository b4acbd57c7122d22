"""Blobs that skopeo reads straight out of an archive, through named pipes: nothing is unpacked.

A pipe serves one reader. As soon as one has opened it, a fresh pipe takes its name for the next one, as when skopeo
tries again, and only then are bytes fed and the end closed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_AT_ONCE = 1024 * 1024
# How long nobody looks at pipes that are full, in seconds: none is emptied sooner.
_DRAIN = 0.0005
_SHORTEST, _LONGEST = 0.002, 0.05
_SHARE = 10
"""How much longer than a look at all pipes takes is the pause before the next one."""


class Extent(NamedTuple):
    """A part of an open file.

    Attributes:
        descriptor: of the file.
        offset: where the part begins, in bytes.
        size: how long it is, in bytes.
    """

    descriptor: int
    offset: int
    size: int


class PipeFeeder:
    """Serves blobs as named pipes, for as long as it is entered, to any number of readers one after the other."""

    def __init__(self, folder: Path, blobs: Mapping[str, Sequence[Extent]]) -> None:
        """Make the pipes.

        Args:
            folder: where; it is ours alone.
            blobs: for the name of each pipe, what is read from it, one part after the other.

        Raises:
            OSError: pipes can't be made there.
        """
        self._folder = folder
        self._blobs = blobs
        self._feeding: dict[int, list[Extent]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        for name in blobs:
            os.mkfifo(folder / name, 0o600)

    def __enter__(self) -> PipeFeeder:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; readers that are still there see the end of the file."""
        self._ended.set()
        self._thread.join()
        for pipe in self._feeding:
            os.close(pipe)

    def _run(self) -> None:
        pause = _SHORTEST
        looked = 0.0
        while not self._ended.is_set():
            if time.monotonic() - looked >= pause:
                begun = time.monotonic()
                for name in self._blobs:
                    self._serve(name)
                looked = time.monotonic()
                # Hundreds of pipes must not keep a processor busy.
                pause = min(max(_SHORTEST, _SHARE * (looked - begun)), _LONGEST)
            # To be woken for every page that a reader takes would cost more than it brings.
            self._ended.wait(_DRAIN if self._feeding else pause)
            for pipe in list(self._feeding):
                self._feed(pipe)

    def _serve(self, name: str) -> None:
        """Begin to feed, if somebody waits at a pipe."""
        path = self._folder / name
        try:
            pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            # Nobody has opened it for reading.
            return
        fresh = path.with_name(f"{name}.fresh")
        os.mkfifo(fresh, 0o600)
        fresh.replace(path)
        # A larger pipe is faster, and no right of ours.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _AT_ONCE)
        self._feeding[pipe] = list(self._blobs[name])
        self._feed(pipe)

    def _feed(self, pipe: int) -> None:
        rest = self._feeding[pipe]
        try:
            while rest:
                descriptor, offset, left = rest[0]
                sent = os.sendfile(pipe, descriptor, offset, min(left, _AT_ONCE))
                if left and not sent:
                    # The archive became shorter: the reader will miss the rest.
                    break
                rest[0] = Extent(descriptor, offset + sent, left - sent)
                if sent == left:
                    del rest[0]
        except BlockingIOError:
            return
        except OSError:
            # The reader has gone away, or the archive can't be read: the reader will say so.
            pass
        del self._feeding[pipe]
        os.close(pipe)
