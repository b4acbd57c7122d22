"""Blobs that skopeo reads through named pipes: straight out of an archive, or as a process makes them.

A pipe serves one reader. As soon as one has opened it, a fresh pipe takes its name for the next one, as when skopeo
tries again, and only then are bytes fed and the end closed.

Of the processes that make blobs one runs at a time: who opened another pipe waits for his turn.

Who waits at a pipe that nobody feeds any more waits for ever: whoever runs skopeo looks, by `check`, whether the
feeder is still there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..errors import ContentError, HostError, IncrementalError, host_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_AT_ONCE = 1024 * 1024
# How long nobody looks at pipes that are full, in seconds: none is emptied sooner.
_DRAIN = 0.0005
_SHORTEST, _LONGEST = 0.002, 0.05
# How long the end waits for a read of the archive, in seconds: a disk that hangs must not keep it.
_GRACE = 5.0
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


class Maker(Protocol):
    """A process that makes a blob, and writes it to a pipe."""

    def is_running(self) -> bool:
        """Say whether it has not ended yet."""

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, for so many seconds at most; say whether it has ended."""

    def result(self) -> object:
        """Return what it returned.

        Raises:
            IncrementalError: it made nothing, or something else than it was to make.
        """

    def end(self) -> None:
        """End it."""


Start = Callable[[int], Maker]
"""Starts a process that writes to a descriptor."""


class PipeFeeder:
    """Serves blobs as named pipes, for as long as it is entered, to any number of readers one after the other."""

    def __init__(
        self, folder: Path, blobs: Mapping[str, Sequence[Extent] | Start], source: str = "the archive"
    ) -> None:
        """Make the pipes.

        Args:
            folder: where; it is ours alone.
            blobs: for the name of each pipe, what is read from it, one part after the other; or what makes that.
            source: what to call the files that are read in messages.

        Raises:
            OSError: pipes can't be made there.
        """
        self._folder = folder
        self._blobs = blobs
        self._source = source
        self._failure: IncrementalError | None = None
        self._feeding: dict[int, list[Extent]] = {}
        self._maker: Maker | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        for name in blobs:
            os.mkfifo(folder / name, 0o600)

    def __enter__(self) -> PipeFeeder:
        """Begin to serve.

        Raises:
            OSError: there may be no more threads.
        """
        try:
            self._thread.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from None
        return self

    def __exit__(self, *_: object) -> None:
        """End; readers that are still there see the end of the file."""
        self._ended.set()
        self._thread.join(_GRACE)

    def check(self) -> None:
        """Look whether pipes are still fed.

        Raises:
            ContentError: the archive became shorter, or a blob can't be made.
            HostError: it can't be read, or a pipe can't be made.
        """
        if self._failure:
            raise self._failure

    def settle(self) -> None:
        """Look once more, when nobody reads: a process that makes a blob may be about to say why it ended.

        Raises:
            IncrementalError: as for `check`.
        """
        deadline = time.monotonic() + _GRACE
        while self._maker and not self._failure and time.monotonic() < deadline:
            time.sleep(_SHORTEST)
        self.check()

    def _run(self) -> None:
        try:
            self._serve_all()
        except IncrementalError as error:
            self._failure = error
        except BaseException as error:
            # Whoever waits for a pipe has to know, whatever it is.
            self._failure = HostError(f"cannot hand layers to skopeo: {str(error) or type(error).__name__}")
        finally:
            for pipe in self._feeding:
                os.close(pipe)
            if self._maker:
                self._maker.end()
                self._maker = None

    def _serve_all(self) -> None:
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
            if self._maker and not self._maker.is_running():
                # What it raises ends the push.
                self._maker.result()
                self._maker = None

    def _serve(self, name: str) -> None:
        """Begin to feed, if somebody waits at a pipe."""
        blob = self._blobs[name]
        if callable(blob) and self._maker:
            return
        path = self._folder / name
        with host_errors(f"cannot make a pipe in {self._folder}"):
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    # Nobody has opened it for reading.
                    return
                raise
            # Closed in the end, whatever comes.
            self._feeding[pipe] = [] if callable(blob) else list(blob)
            fresh = path.with_name(f"{name}.fresh")
            os.mkfifo(fresh, 0o600)
            fresh.replace(path)
        # A larger pipe is faster, and no right of ours.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _AT_ONCE)
        if callable(blob):
            # Whoever writes waits until somebody reads.
            os.set_blocking(pipe, True)
            self._maker = blob(pipe)
            # It has its own end of the pipe: with nothing to feed, ours is closed.
        self._feed(pipe)

    def _feed(self, pipe: int) -> None:
        rest = self._feeding[pipe]
        while rest:
            descriptor, offset, left = rest[0]
            try:
                sent = os.sendfile(pipe, descriptor, offset, min(left, _AT_ONCE))
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The reader has gone away.
                break
            except OSError:
                with host_errors(f"cannot read {self._source}"):
                    raise
            if left and not sent:
                raise ContentError(f"{self._source} became shorter while it was read", "copy it again")
            rest[0] = Extent(descriptor, offset + sent, left - sent)
            if sent == left:
                del rest[0]
        del self._feeding[pipe]
        os.close(pipe)
