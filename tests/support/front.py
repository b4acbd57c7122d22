"""What stands before a registry, or in its place: answers some requests itself, and passes all others on."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from pathlib import Path

    from tests.support.registry import Registry

_HOP = ("connection", "transfer-encoding", "content-length")


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Message


class Given(NamedTuple):
    """An answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Front:
    """An HTTP server that asks a rule first; what it does not answer goes to the registry, if there is one."""

    def __init__(
        self,
        rule: Callable[[Asked], Given | None],
        registry: Registry | None = None,
        tls: tuple[Path, Path] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self._rule = rule
        self._registry = registry
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else what is sent in two pieces waits for half a round trip, or more.
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                front.connections += 1
                super().setup()

            def do(self) -> None:
                asked = Asked(self.command, self.path, self.headers)
                front.asked.append(asked)
                body = self._body()
                given = front._rule(asked) or front._passed_on(asked, body)
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                if not {"Content-Length", "content-length"} & given.headers.keys():
                    self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(given.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline().partition(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    # Whoever asked is gone.
                    return

            def log_message(self, *_: object) -> None:
                return

        self._address = address
        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake is each connection's own affair.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def host(self) -> str:
        return f"{self._address}:{self._server.server_port}"

    def requests(self, *methods: str) -> list[str]:
        """`METHOD path` of what was asked for, the question whether it is there left out."""
        return [
            f"{each.method} {each.path}"
            for each in self.asked
            if each.path != "/v2/" and (not methods or each.method in methods)
        ]

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _passed_on(self, asked: Asked, body: bytes) -> Given:
        if not self._registry:
            return Given(404)
        connection = http.client.HTTPConnection("127.0.0.1", self._registry.port, timeout=30)
        try:
            connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                if name.lower() not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP[:2]}
            return Given(answer.status, answer.read(), kept)
        finally:
            connection.close()


def crowded(at_once: int, status: int = 503) -> Callable[[Asked], Given | None]:
    """Return the rule of what lets in so many requests at a time (nginx: `limit_conn`): each takes a moment."""
    room = threading.Semaphore(at_once)

    def rule(_: Asked) -> Given | None:
        if not room.acquire(blocking=False):
            return Given(status, b"<html>busy</html>", {"Content-Type": "text/html"})
        # The registry itself answers in no time.
        time.sleep(0.03)
        room.release()
        return None

    return rule


class Hiding:
    """The rule of a registry that hides what does not exist from whoever may not push, and makes it for who may.

    As Quay does: that somebody gets a token for pushing makes the repository.
    """

    def __init__(self, known: set[str] | None = None, *, creators: bool = True) -> None:
        self.known = set(known or ())
        self.created: list[str] = []
        self._creators = creators

    def __call__(self, asked: Asked) -> Given | None:
        url = urlsplit(asked.path)
        if url.path == "/token":
            return self._token(parse_qs(url.query).get("scope", []))
        repository = url.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer":
            return self._refused(asked, repository)
        granted = json.loads(base64.b64decode(token))
        needs = "pull" if asked.method in ("GET", "HEAD") else "push"
        if url.path != "/v2/" and needs not in granted.get(repository, []):
            return self._refused(asked, repository, "insufficient_scope")
        return None

    def _token(self, scopes: list[str]) -> Given:
        granted: dict[str, list[str]] = {}
        for scope in scopes:
            _, repository, actions = scope.split(":")
            if repository not in self.known and "push" in actions and self._creators:
                self.known.add(repository)
                self.created.append(repository)
            if repository in self.known:
                granted[repository] = actions.split(",")
        token = base64.b64encode(json.dumps(granted).encode()).decode()
        return Given(200, json.dumps({"token": token}).encode(), {"Content-Type": "application/json"})

    def _refused(self, asked: Asked, repository: str, error: str = "") -> Given:
        host = asked.headers["Host"]
        scope = f',scope="repository:{repository}:pull"' if repository else ""
        why = f',error="{error}"' if error else ""
        body = {
            "errors": [{"code": "UNAUTHORIZED", "message": "access to the requested resource is not authorized"}]
        }
        return Given(
            401,
            json.dumps(body).encode(),
            {
                "Content-Type": "application/json",
                "WWW-Authenticate": f'Bearer realm="http://{host}/token",service="fake"{scope}{why}',
            },
        )
