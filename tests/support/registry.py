"""A real registry for tests: Debian's docker-registry on a free loopback port, its access log as witness."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[\d.]+" (?P<status>\d+) ')
_STARTS = 5


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    status: int


@dataclass
class Registry:
    folder: Path
    extra: dict[str, Any] = field(default_factory=dict)
    tls: tuple[Path, Path] | None = None
    login: str | None = None
    # Where it listens, and what runs it there: it may be on another host, which is a network namespace.
    address: str = "127.0.0.1"
    runner: tuple[str, ...] = ()
    # Where its blobs are: two registries may have the same.
    data: Path | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> Registry:
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_STARTS):
            self.port = free_port()
            self._launch()
            if self._answers():
                return self
            self.stop()
        raise RuntimeError(f"docker-registry does not start: {self.log.read_text()}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Stop it, and start it where it was: what it keeps in memory is gone."""
        self.stop()
        self._launch()
        assert self._answers()

    def _launch(self) -> None:
        web: dict[str, Any] = {"addr": self.host, "secret": "test"}
        if self.tls:
            web["tls"] = {"certificate": str(self.tls[0]), "key": str(self.tls[1])}
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.data or self.folder / "data")},
                "delete": {"enabled": True},
            },
            "validation": {"manifests": {"urls": {"allow": [".*"]}}},
            "http": web,
            **self.extra,
        }
        # JSON is YAML.
        (self.folder / "config.yml").write_text(json.dumps(config))
        # It would take a user's REGISTRY_AUTH_FILE for a setting of its own.
        environment = {name: text for name, text in os.environ.items() if not name.startswith("REGISTRY_")}
        # It collects garbage as often as its memory doubles, and has next to none: that would be half of its time.
        environment["GOGC"] = "1000"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.runner, "docker-registry", "serve", str(self.folder / "config.yml")],
                stdout=log,
                stderr=log,
                env=environment,
            )

    def _answers(self) -> bool:
        assert self.process
        for _ in range(200):
            if self.process.poll() is not None:
                return False
            try:
                self.call("GET", "/v2/")
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection: http.client.HTTPConnection
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.tls[0].parent / "ca.crt"))
            connection = http.client.HTTPSConnection(self.address, self.port, context=context, timeout=30)
        else:
            connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        headers = dict(headers or {})
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(self.login.encode()).decode()
        headers["User-Agent"] = "test-setup"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def put_blob(self, repository: str, digest: str, data: bytes) -> None:
        status, headers, body = self.call("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202, body
        place = urlsplit(headers["Location"])
        status, _, body = self.call(
            "PUT",
            f"{place.path}?{place.query}&digest={digest}",
            data,
            {"Content-Type": "application/octet-stream"},
        )
        assert status == 201, body

    def put_manifest(self, repository: str, reference: str, raw: bytes, media_type: str) -> None:
        status, _, body = self.call(
            "PUT", f"/v2/{repository}/manifests/{reference}", raw, {"Content-Type": media_type}
        )
        assert status == 201, body

    def manifest(self, repository: str, reference: str) -> bytes | None:
        accept = ", ".join(
            (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.index.v1+json",
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.distribution.manifest.list.v2+json",
            )
        )
        status, _, body = self.call("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": accept})
        return body if status == 200 else None

    def has_blob(self, repository: str, digest: str) -> bool:
        return self.call("HEAD", f"/v2/{repository}/blobs/{digest}")[0] == 200

    def requests(self, begin: int = 0) -> list[Request]:
        """What others than this helper asked for, in order; from a place in the log on."""
        found = []
        with self.log.open("rb") as log:
            log.seek(begin)
            text = log.read().decode(errors="replace")
        for line in text.splitlines():
            match = _ACCESS.search(line)
            if match and "level=" not in line and '"test-setup"' not in line:
                found.append(Request(match["method"], match["path"], int(match["status"])))
        return found

    def watch(self) -> Watch:
        return Watch(self, self.log.stat().st_size)


@dataclass
class Watch:
    """What a registry was asked for since this object was made."""

    registry: Registry
    start: int

    def requests(self, *methods: str) -> list[Request]:
        # The registry writes its log after it has answered.
        time.sleep(0.05)
        return [
            request
            for request in self.registry.requests(self.start)
            if (not methods or request.method in methods) and request.path != "/v2/"
        ]

    def blobs(self, method: str = "GET") -> list[str]:
        """Digests of the blobs asked for, in order."""
        return [
            request.path.rpartition("/")[2] for request in self.requests(method) if "/blobs/sha256:" in request.path
        ]

    def writes(self) -> list[Request]:
        return self.requests("POST", "PUT", "PATCH", "DELETE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
