"""Beginning to read blobs, without taking more than their first bytes.

`skopeo experimental-image-proxy` opens an image, and hands out any blob of its repository through a pipe. We close
our end of that pipe as soon as some bytes have come. So skopeo stops, and says that nobody took the rest. A
registry that has no bytes fails before that, whatever it said when it was asked by HEAD.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, HostError, IncrementalError, LinkError, NetworkError, ServerError
from ..host.signals import check
from .messages import explain, other_host, without_queries
from .process import TICK, EarlyEndError, StalledError
from .runs import no_answer, starting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .inspect import ImageSource
    from .process import Run
    from .runner import Skopeo

_LONGEST = 1 << 16
"""How long an answer may be, in bytes; skopeo's are half of that at most."""

_STARTED = 30.0
"""Within how many seconds it answers for the first time: no network has a part in that."""

_PATIENCE = 60.0
"""How many seconds one answer may take at most: whoever waits for it only wants to know whether it comes at all."""

_FIRST_BYTES = 4096
"""How many bytes of a blob are read; of shorter ones this is all, and skopeo verifies it."""

_DESCRIPTOR = struct.Struct("i")
_ROOM = socket.CMSG_SPACE(_DESCRIPTOR.size)

_SENT = ("broken pipe", "EPIPE")
"""What an answer has that tells of bytes that nobody took; newer versions of skopeo call that a success."""


_CUT = ("EOF", "connection reset", "stream error")
"""What is said where a server begins an answer, and then has nothing to send."""


def begin_reading(
    skopeo: Skopeo, sources: Sequence[ImageSource], blobs: Mapping[str, int]
) -> dict[str, IncrementalError] | None:
    """Begin to read blobs of a registry's repository.

    Args:
        skopeo: an entered `Skopeo`.
        sources: images of the repository, the likeliest first: one of them must be there.
        blobs: digest and size in bytes of each.

    Returns:
        For the digest of each that can't be read what is wrong, a `LinkError` where the connection was cut; None if
        none of the images is there.

    Raises:
        NetworkError: the registry, or where it sends readers on to, can't be reached or has too much to do.
        HostError: skopeo does not answer.
        IncrementalError: its answer can't be used.
    """
    if not sources:
        return None
    with _Proxy.started(skopeo, sources[0]) as proxy:
        for source in sources:
            try:
                image = proxy.open(source)
            except IncrementalError as error:
                # It is not there, is damaged, or is not for this login.
                if isinstance(error, (HostError, NetworkError)) and not isinstance(error, ServerError):
                    raise
                continue
            if failed := proxy.unreadable(image, blobs):
                # That a link was cut, or that a registry is gone, must not be said of its blobs.
                image = proxy.open(source)
                failed = proxy.unreadable(image, {digest: blobs[digest] for digest in failed})
            return failed
    return None


class _Proxy:
    """A proxy that is running: one request at a time, and an answer to each."""

    def __init__(self, skopeo: Skopeo, source: ImageSource, run: Run, line: socket.socket) -> None:
        self._skopeo = skopeo
        self._source = source
        self._run = run
        self._line = line

    @classmethod
    @contextmanager
    def started(cls, skopeo: Skopeo, source: ImageSource) -> Iterator[_Proxy]:
        """Start one for the registry of an image, for as long as this is entered."""
        flags = source.access.flags(source.reference, skopeo.auth_files)
        # Nothing of what it reads is used: no signature has a say in whether it is there.
        arguments = ["--insecure-policy", "experimental-image-proxy", *flags]
        with starting("skopeo"):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, skopeo.serving(arguments, theirs) as run:
            # Its end must be its alone: else nobody would notice that it is gone.
            theirs.close()
            proxy = cls(skopeo, source, run, ours)
            proxy._initialize()
            yield proxy
            ours.close()

    def _initialize(self) -> None:
        self._send("Initialize")
        try:
            self._await(self._line.fileno(), _STARTED)
        except NetworkError as error:
            # A script before skopeo may not hand over the line.
            raise HostError(error.message, error.next_step) from None
        self._receive("Initialize")

    def open(self, source: ImageSource) -> int:
        """Open an image; return what the proxy calls it.

        Raises:
            IncrementalError: it can't be opened.
        """
        answer, _ = self._call("OpenImage", str(source.reference))
        if not answer["success"]:
            raise self._explained(answer, f"cannot read {source.reference}")
        return int(answer["value"])

    def unreadable(self, image: int, blobs: Mapping[str, int]) -> dict[str, IncrementalError]:
        """Begin to read blobs, one after the other; return what is wrong with each that can't be read."""
        reasons = {digest: self._begin(image, digest, size) for digest, size in blobs.items()}
        return {digest: reason for digest, reason in reasons.items() if reason}

    def _begin(self, image: int, digest: str, size: int) -> IncrementalError | None:
        """Begin to read a blob of an image's repository; return what is wrong with it."""
        doing = f"cannot read {digest}"
        answer, pipes = self._call("GetBlob", image, digest, size)
        if not answer["success"]:
            return self._unless_out_of_reach(self._explained(answer, doing))
        # skopeo closes its end only when it is asked how it went.
        self._send("FinishPipe", answer["pipeid"])
        is_whole = self._read_first_bytes(pipes[0])
        answer, _ = self._receive("FinishPipe")
        if answer["success"] or any(sign in f"{answer.get('error_code')} {answer['error']}" for sign in _SENT):
            return None
        error = self._unless_out_of_reach(self._explained(answer, doing))
        # What skopeo may have read on for is not ours.
        return error if is_whole or not isinstance(error, ContentError) else None

    def _unless_out_of_reach(self, error: IncrementalError) -> IncrementalError:
        """Return what is wrong with a blob.

        Raises:
            NetworkError: it is no blob's fault, and all others would wait for the same.
        """
        # A firewall may cut what goes to storage; of what the registry itself cuts, it may have nothing to send.
        if isinstance(error, NetworkError) and (
            other_host(error.message, [str(self._source.reference)])
            or not any(sign in error.message for sign in _CUT)
        ):
            raise error
        return error

    def _read_first_bytes(self, pipe: int) -> bool:
        """Read what comes first; say whether that was all."""
        left = _FIRST_BYTES
        with os.fdopen(pipe, "rb", buffering=0) as file:
            while left > 0:
                self._await(pipe)
                if not (some := file.read(left)):
                    return True
                left -= len(some)
        return False

    def _explained(self, answer: Mapping[str, Any], doing: str) -> IncrementalError:
        source = self._source
        return explain(str(answer["error"]), doing, source.side, [str(source.reference)], source.access)

    def _call(self, method: str, *arguments: object) -> tuple[dict[str, Any], list[int]]:
        """Make a request; return the answer, and the pipes that came with it."""
        self._send(method, *arguments)
        return self._receive(method)

    def _send(self, method: str, *arguments: object) -> None:
        self._skopeo.trace(f"  {method} {' '.join(map(str, arguments))}".rstrip())
        try:
            self._line.send(json.dumps({"method": method, "args": arguments}).encode())
        except OSError:
            raise self._ended(method) from None

    def _receive(self, method: str) -> tuple[dict[str, Any], list[int]]:
        self._await(self._line.fileno())
        try:
            # A run that starts now must not have the pipe, too: it would not be closed. `recv_fds` ignores flags.
            said, pipes, _, _ = self._line.recvmsg(_LONGEST, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raise self._ended(method) from None
        if not said:
            raise self._ended(method)
        found = [_DESCRIPTOR.unpack(data)[0] for _, _, data in pipes]
        answer = _parsed(said)
        if not answer["success"]:
            self._skopeo.trace(f"  {without_queries(answer['error'])}")
        if answer["pipeid"] and not found:
            raise HostError("a pipe can't be opened: too many files are open", "allow more open files (ulimit -n)")
        return answer, found

    def _ended(self, method: str) -> HostError:
        # What was ended because of a signal did not end by itself.
        check()
        return HostError(
            f"skopeo ended when it was asked for {method} in {self._source.reference}",
            "run again with `trace` to see each call of skopeo",
        )

    def _await(self, descriptor: int, seconds: float | None = None) -> None:
        """Wait until something can be read, for so many seconds, or for as long as an answer may take here.

        Raises:
            IncrementalError: nothing came in time.
        """
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        timeout = seconds or min(self._skopeo.timeout or _PATIENCE, _PATIENCE)
        deadline = self._run.seconds() + timeout
        try:
            while not poll.poll(TICK * 1000):
                self._run.look()
                self._run.require_within(deadline)
        except StalledError:
            # Something may have been written before.
            raise LinkError(
                f"cannot read layers of {self._source.reference}: nothing came for {timeout:g} s",
                "try again, or allow more time with `link.timeout`",
            ) from None
        except EarlyEndError as why:
            raise no_answer(f"cannot read layers of {self._source.reference}", why, timeout) from None


def _parsed(said: bytes) -> dict[str, Any]:
    """Read an answer: what is an experiment may be another one in a later version.

    Raises:
        HostError: it is not as it was.
    """
    with suppress(ValueError):
        answer = json.loads(said)
        if isinstance(answer, dict) and answer.keys() >= {"success", "value", "pipeid", "error"}:
            return answer
    raise HostError(
        "skopeo's experimental-image-proxy does not answer as it did", "give the path of another one with `skopeo`"
    )
