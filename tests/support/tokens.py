"""A token server, as large registries have one: whoever logs in there gets a token for what they ask for."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support.front import Asked, Front, Given

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 300


class TokenServer(Front):
    """It speaks TLS, and docker-registry takes what it gives."""

    def __init__(self, folder: Path, tls: tuple[Path, Path], account: str, address: str = "127.0.0.1") -> None:
        self.scopes: list[list[str]] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._self_signed()
        self._bundle = folder / "tokens.crt"
        self._bundle.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        self._login = "Basic " + base64.b64encode(account.encode()).decode()
        super().__init__(self._answer, tls=tls, address=address)

    @property
    def auth(self) -> dict[str, Any]:
        """What a registry's configuration says of it."""
        return {
            "token": {
                "realm": f"https://{self.host}/token",
                "service": "registry",
                "issuer": "tokens",
                "rootcertbundle": str(self._bundle),
            }
        }

    def _answer(self, asked: Asked) -> Given:
        if asked.headers.get("Authorization") != self._login:
            return Given(401)
        token = self._token(parse_qs(urlsplit(asked.path).query).get("scope", []))
        return Given(200, json.dumps({"token": token}).encode(), {"Content-Type": "application/json"})

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
