"""What skopeo says, and what we make of it."""

from __future__ import annotations

import pytest

from wrapper.skopeo.messages import explain, fatal_message


def fatal(message: str) -> str:
    escaped = message.replace("\\", "\\\\").replace('"', '\\"')
    return f'time="2026-01-01T00:00:00Z" level=fatal msg="{escaped}"\n'


@pytest.mark.parametrize(
    ("message", "code", "step"),
    [
        ("reading manifest nope in H/app: manifest unknown: manifest unknown", 5, "check the name"),
        (
            "reading manifest nope in H/app: name unknown: repository name not known to registry",
            5,
            "check the name",
        ),
        ("reading manifest 1 in H/app: unauthorized: authentication required", 5, "--dest-creds"),
        ("unable to retrieve auth token: invalid username/password: unauthorized", 5, "log in"),
        ("failed to read from destination repository r: 403 (Forbidden)", 5, "may not"),
        ('Head "https://h/v2/": EOF', 5, "cut"),
        ("pinging container registry H: dial tcp: connect: connection refused", 5, "nothing listens"),
        ("dial tcp: lookup NAME on 1.1.1.1:53: no such host", 5, "host's name"),
        ("http: server gave HTTP response to HTTPS client", 5, "--dest-tls-verify=false"),
        ("x509: certificate signed by unknown authority", 5, "--dest-cert-dir"),
        ("initializing destination docker://H/a: registry H is blocked in /etc/x", 5, "registries.conf"),
        ("initiating layer upload to /v2/ in H: StatusCode: 405", 5, "read-only"),
        ("Source image rejected: Running image oci:PATH: is rejected by policy.", 5, "policy"),
        ("too many requests to registry", 5, "limits"),
        (f"something else about sha256:429{'0' * 61}", 5, "--debug"),
        ("writing blob: write /x: no space left on device", 6, "free some space"),
        ("Digest did not match, expected sha256:1, got sha256:2", 4, "try again"),
    ],
)
def test_what_skopeo_says(message: str, code: int, step: str) -> None:
    error = explain(fatal(message), "cannot do it", "--dest")
    assert error.code == code
    assert message in error.message
    assert step in error.next_step


def test_messages_that_are_not_fatal() -> None:
    assert fatal_message("") == "it said nothing"
    assert fatal_message("Error: unknown flag: --x\nUsage: skopeo\n") == "Error: unknown flag: --x"
    assert len(fatal_message(fatal("x" * 10_000))) < 700
