"""A proxy that leads host names which nobody owns to registries on this machine."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 64 * 1024
_POLL = 0.02


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


class Tunnel:
    """A proxy, to be named by HTTPS_PROXY. It refuses hosts that it does not know: nothing leaves this machine."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                method, target, *_ = self.rfile.readline().decode("latin-1").split()
                while self.rfile.readline().strip():
                    pass
                place = hosts.get(target.removesuffix(":443"))
                if method != "CONNECT" or not place:
                    self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    return
                address, _, port = place.rpartition(":")
                with socket.create_connection((address, int(port))) as registry:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    upwards = threading.Thread(target=_pass, args=(self.connection, registry), daemon=True)
                    upwards.start()
                    _pass(registry, self.connection)
                    upwards.join()

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Tunnel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
