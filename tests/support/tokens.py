"""A token server, as large registries have one: whoever logs in there gets a token for what they ask for."""

from __future__ import annotations

import base64
import datetime
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 300


class TokenServer:
    """It speaks TLS, and counts connections and tokens. docker-registry takes what it gives."""

    def __init__(self, folder: Path, tls: tuple[Path, Path], account: str, address: str = "127.0.0.1") -> None:
        """Listen; `serve` answers."""
        self.connections = 0
        self.scopes: list[list[str]] = []
        self._address = address
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._self_signed()
        self._bundle = folder / "tokens.crt"
        self._bundle.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        self._login = "Basic " + base64.b64encode(account.encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else what is sent in two pieces waits for half a round trip, or more.
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == outer._login
                scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
                body = json.dumps({"token": outer._token(scopes)} if known else {"errors": []}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    # Whoever asked is gone.
                    return

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        # The handshake is each connection's own affair.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def auth(self) -> dict[str, Any]:
        """What a registry's configuration says of it."""
        return {
            "token": {
                "realm": f"https://{self._address}:{self._server.server_port}/token",
                "service": "registry",
                "issuer": "tokens",
                "rootcertbundle": str(self._bundle),
            }
        }

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _self_signed(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=2))
        return builder.add_extension(x509.BasicConstraints(True, None), critical=True).sign(
            self._key, hashes.SHA256()
        )

    def _token(self, scopes: list[str]) -> str:
        self.scopes.append(scopes)
        now = int(time.time())
        access = []
        for scope in " ".join(scopes).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        head = {
            "typ": "JWT",
            "alg": "ES256",
            "x5c": [base64.b64encode(self._certificate.public_bytes(Encoding.DER)).decode()],
        }
        claims = {
            "iss": "tokens",
            "sub": "somebody",
            "aud": "registry",
            "exp": now + _SECONDS,
            "nbf": now - 60,
            "iat": now,
            "jti": str(len(self.scopes)),
            "access": access,
        }
        text = f"{_part(json.dumps(head).encode())}.{_part(json.dumps(claims).encode())}"
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
