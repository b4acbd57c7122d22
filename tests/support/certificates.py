"""Certificates for servers on this machine, of a CA of their own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_certificates(folder: Path, address: str = "127.0.0.1", names: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """Make `ca.crt`, and the certificate and the key of a server at an address, which may have host names too."""
    folder.mkdir(parents=True, exist_ok=True)
    subject = ["-subj", "/CN=test"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    for command in (
        ["req", "-x509", *key, "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA"],
        ["req", *key, "-keyout", "server.key", "-out", "server.csr", *subject],
        ["x509", "-req", "-in", "server.csr", *sign, "-days", "2", "-out", "server.crt"],
    ):
        (folder / "names").write_text(
            "subjectAltName=" + ",".join([f"IP:{address}", *(f"DNS:{name}" for name in names)]) + "\n"
        )
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "server.crt", folder / "server.key"
