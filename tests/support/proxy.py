"""A bad line on purpose: stands on loopback between skopeo and a registry, and breaks what passes."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

Way = Literal["down", "up"]

_CHUNK = 16 * 1024
_TLS = b"\x16"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_GOOD_BLOB = re.compile(rb"HTTP/1\.1 20[06] ")
_BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@dataclass
class Answer:
    """What the proxy says itself, in place of the registry."""

    status: int
    times: int | None
    only: re.Pattern[str]
    headers: dict[str, str]
    body: bytes

    def takes(self, request: str) -> bool:
        return self.times != 0 and bool(self.only.search(request))

    def given(self, request: str) -> bytes:
        if self.times is not None:
            self.times -= 1
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        return head if request.startswith("HEAD ") else head + self.body


@dataclass(eq=False)
class _Line:
    """One connection of a client and the one to the registry that belongs to it."""

    from_client: StreamReader
    to_client: StreamWriter
    from_registry: StreamReader
    to_registry: StreamWriter
    passed: dict[Way, int] = field(default_factory=lambda: {"down": 0, "up": 0})
    # Of the answer to a GET of a blob: the head while it is incomplete, then where the bit to flip comes.
    head: bytes | None = None
    flip_in: int | None = None

    def close(self) -> None:
        self.to_client.close()
        self.to_registry.close()

    def cut(self) -> None:
        for writer in (self.to_client, self.to_registry):
            _reset(writer)


@dataclass
class Proxy:
    """Faults are plain attributes: set them at the start or while it runs, None is none.

    `down` is towards the client, `up` towards the registry. The client's Host header passes unchanged, so the
    registry sends uploads back through here. TLS passes as bytes: no requests are seen in it, the rest works.
    """

    registry: str
    # The line drops, for all connections at once, whenever so many bytes passed since it last did; or each
    # connection alone, after so many of its own.
    cut_after: int | None = None
    cut_after_up: int | None = None
    cut_each: int | None = None
    cut_each_up: int | None = None
    cut_times: int | None = None
    # Nothing moves any more after so many bytes, both ways together, until `resume()`.
    stall_after: int | None = None
    # Both ways and all connections together.
    bytes_per_second: int | None = None
    # A bit of the byte at this place of a blob's body is flipped, in blobs that are that long.
    flip: int | None = None
    flip_times: int | None = 1

    answers: list[Answer] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    bytes_down: int = 0
    bytes_up: int = 0
    cuts: int = 0
    flips: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[StreamWriter] = []
        self._since_cut: dict[Way, int] = {"down": 0, "up": 0}
        self._since_stall = 0
        self._free_at = 0.0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(
        self,
        status: int,
        times: int | None = None,
        *,
        only: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Proxy:
        """Answer requests whose `METHOD path` the pattern finds, so many times; `answers.clear()` ends it."""
        self.answers.append(Answer(status, times, re.compile(only), headers or {}, body))
        return self

    @property
    def stalled(self) -> bool:
        return not self._moving.is_set()

    def resume(self) -> None:
        """End a stall, and let no other begin."""
        self.stall_after = None
        self._loop.call_soon_threadsafe(self._moving.set)

    def recount(self) -> None:
        """Count from zero, while nothing passes: for a fault that is to begin now."""
        self.bytes_down = self.bytes_up = self.cuts = self.flips = self._since_stall = 0
        self._since_cut = {"down": 0, "up": 0}
        self.requests = []

    def __enter__(self) -> Proxy:
        listener = socket.create_server(("127.0.0.1", 0))
        if self.bytes_per_second:
            # Else megabytes wait in the kernel, which who sends them takes for sent.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _CHUNK)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._moving, self._ended = asyncio.Event(), asyncio.Event()
        self._moving.set()
        # All is done by one loop in one thread: a cut meets every connection in the same moment.
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self, listener: socket.socket) -> None:
        self._loop.run_until_complete(self._serve(listener))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._accept, sock=listener)
        await self._ended.wait()
        server.close()
        for line in self._lines:
            line.cut()
        # Who has just been let in is told so in the next turn of the loop.
        await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A task may have ended before it began, and a line that is closed may still wait for its reader.
        for writer in self._writers:
            writer.transport.abort()
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.append(writer)
        task = self._loop.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        self.connections += 1
        host, _, port = self.registry.rpartition(":")
        try:
            line = _Line(from_client, to_client, *await asyncio.open_connection(host, int(port)))
        except BaseException as error:
            _reset(to_client)
            if isinstance(error, OSError):
                return
            raise
        self._writers.append(line.to_registry)
        for writer in (line.to_client, line.to_registry):
            # What a buffer holds counts as passed and is lost in a cut: let it be little.
            writer.transport.set_write_buffer_limits(0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _CHUNK)
        self._lines.add(line)
        upwards = self._loop.create_task(self._upwards(line))
        try:
            await self._downwards(line)
        finally:
            upwards.cancel()
            line.close()
            self._lines.discard(line)

    async def _upwards(self, line: _Line) -> None:
        with suppress(*_BROKEN):
            while first := await line.from_client.read(1):
                if first == _TLS:
                    await self._pass(line, "up", first)
                    while data := await line.from_client.read(_CHUNK):
                        await self._pass(line, "up", data)
                else:
                    await self._request(line, first + await line.from_client.readuntil(b"\r\n\r\n"))
        line.to_registry.close()

    async def _request(self, line: _Line, head: bytes) -> None:
        request = " ".join(head.decode("latin-1").split(" ", 2)[:2])
        self.requests.append(request)
        line.head = b"" if re.match("GET .*/blobs/", request) else None
        line.flip_in = None
        answer = next((each for each in self.answers if each.takes(request)), None)
        if not answer:
            await self._pass(line, "up", head)
        given = answer.given(request) if answer else b""
        async for part in _body(line.from_client, head):
            if not answer:
                await self._pass(line, "up", part)
        await self._pass(line, "down", given)

    async def _downwards(self, line: _Line) -> None:
        with suppress(*_BROKEN):
            while data := await line.from_registry.read(_CHUNK):
                await self._pass(line, "down", self._flipped(line, data))

    def _flipped(self, line: _Line, data: bytes) -> bytes:
        if line.head is not None:
            line.head += data
            head, found, body = line.head.partition(b"\r\n\r\n")
            if not found:
                return data
            line.head = None
            if self.flip is not None and _GOOD_BLOB.match(head):
                line.flip_in = len(data) - len(body) + self.flip
        if line.flip_in is None:
            return data
        if line.flip_in >= len(data):
            line.flip_in -= len(data)
            return data
        place, line.flip_in = line.flip_in, None
        if self.flip_times is not None and self.flips >= self.flip_times:
            return data
        self.flips += 1
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    async def _pass(self, line: _Line, way: Way, data: bytes) -> None:
        """Let bytes through, as far as the faults allow."""
        writer = line.to_client if way == "down" else line.to_registry
        while data:
            piece = await self._paced(data)
            await self._moving.wait()
            if writer.is_closing():
                raise ConnectionResetError
            piece = piece[: min(self._rooms(line, way))]
            data = data[len(piece) :]
            writer.write(piece)
            self._count(line, way, len(piece))
            self._break(line, way)
            await writer.drain()

    async def _paced(self, data: bytes) -> bytes:
        if not self.bytes_per_second:
            return data
        # Twenty pieces a second are smooth enough.
        piece = data[: max(1, self.bytes_per_second // 20)]
        now = self._loop.time()
        self._free_at = max(self._free_at, now) + len(piece) / self.bytes_per_second
        await asyncio.sleep(self._free_at - now)
        return piece

    def _rooms(self, line: _Line, way: Way) -> tuple[int, int, int]:
        """How many bytes may pass until all connections drop, this one does, everything stalls."""
        every, alone = (self.cut_after, self.cut_each) if way == "down" else (self.cut_after_up, self.cut_each_up)
        if self.cut_times is not None and self.cuts >= self.cut_times:
            every = alone = None
        return (
            _left(every, self._since_cut[way]),
            _left(alone, line.passed[way]),
            _left(self.stall_after, self._since_stall),
        )

    def _count(self, line: _Line, way: Way, size: int) -> None:
        line.passed[way] += size
        self._since_cut[way] += size
        self._since_stall += size
        if way == "down":
            self.bytes_down += size
        else:
            self.bytes_up += size

    def _break(self, line: _Line, way: Way) -> None:
        every, alone, stall = self._rooms(line, way)
        if every == 0 or alone == 0:
            self.cuts += 1
            for each in self._lines if every == 0 else {line}:
                each.cut()
        if every == 0:
            self._since_cut = {"down": 0, "up": 0}
        if stall == 0:
            self._moving.clear()
            self._since_stall = 0


def _left(limit: int | None, passed: int) -> int:
    return _CHUNK if limit is None else max(0, limit - passed)


async def _body(reader: StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """The body of a request, in pieces, as it came."""
    if _CHUNKED.search(head):
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            yield line
            async for piece in _exactly(reader, size):
                yield piece
            # The end of a chunk; trailers nobody sends.
            yield await reader.readexactly(2)
    elif length := _LENGTH.search(head):
        async for piece in _exactly(reader, int(length[1])):
            yield piece


async def _exactly(reader: StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, _CHUNK))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece


def _reset(writer: StreamWriter) -> None:
    """Close a connection as a dropped line does, with RST."""
    with suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
