"""A registry whose answers have no end: what no real one can be made to do."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Literal

from tests.support.images import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, digest_of

Framing = Literal["chunked", "length", "close"]

_PIECE = bytes(64 * 1024)
_LIE = 10**12


class Endless(socketserver.ThreadingMixIn, HTTPServer):
    """One image, whose `what` never ends: `layer`, `config`, `manifest`, or a status such as 404 for the manifest.

    Attributes:
        sent: how many bytes without end were sent.
    """

    daemon_threads = True

    def __init__(self, what: str, framing: Framing, layers: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.what, self.framing = what, framing
        self.sent = 0
        diffs = ["sha256:" + "0" * 64] * len(layers)
        rootfs = {"type": "layers", "diff_ids": diffs}
        self.config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
        described = {"mediaType": OCI_CONFIG, "digest": digest_of(self.config), "size": len(self.config)}
        listed = [{"mediaType": OCI_LAYER, "digest": digest, "size": size} for digest, size in layers.items()]
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": listed}
        ).encode()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def __enter__(self) -> Endless:
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Whoever has had enough goes away."""


class _Handler(BaseHTTPRequestHandler):
    server: Endless
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server = self.server
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            if server.what.isdigit() or server.what == "manifest":
                self._endless(int(server.what) if server.what.isdigit() else 200, OCI_MANIFEST)
            else:
                self._whole(server.manifest, OCI_MANIFEST)
        elif "/blobs/" not in self.path:
            self._whole(b"{}", "application/json")
        elif name == digest_of(server.config) and server.what != "config":
            self._whole(server.config, "application/octet-stream")
        else:
            self._endless(200, "application/octet-stream")

    def _whole(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _endless(self, status: int, media_type: str) -> None:
        framing = self.server.framing
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        if framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif framing == "length":
            self.send_header("Content-Length", str(_LIE))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        piece = b"%x\r\n%b\r\n" % (len(_PIECE), _PIECE) if framing == "chunked" else _PIECE
        self.close_connection = True
        while True:
            self.wfile.write(piece)
            self.server.sent += len(_PIECE)
