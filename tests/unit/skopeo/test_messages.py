"""What skopeo says, and what we make of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import KINDS, BusyError
from wrapper.oci.reference import Reference
from wrapper.skopeo.access import Access
from wrapper.skopeo.messages import explain, fatal_message, unread

if TYPE_CHECKING:
    from pathlib import Path

BLOB = f"sha256:{'1' * 64}"


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
        ("reading manifest 1 in H/app: unauthorized: authentication required", 5, "`push_auth.creds`"),
        ("unable to retrieve auth token: invalid username/password: unauthorized", 5, "log in"),
        ("failed to read from destination repository r: 403 (Forbidden)", 5, "may not"),
        ("reading manifest 1 in H/app: name unknown", 5, "check the name"),
        ("reading manifest 1 in H/app: unknown: artifact library/x:1 not found", 5, "check the name"),
        ("reading manifest 1 in H/app: unknown: Tag 1 was deleted or has expired. To pull, revive", 5, "the name"),
        ("writing blob: uploading layer chunked: StatusCode: 413, <html><head><t...", 5, "client_max_body_size"),
        ('writing blob: uploading layer chunked: StatusCode: 413, "<html><he..."', 5, "client_max_body_size"),
        ("uploading manifest 1 to H/app: StatusCode: 413, <html><head>", 5, "client_max_body_size"),
        ("initiating layer upload to /v2/app/blobs/uploads/ in H: unauthorized", 5, "but not push"),
        ("initiating layer upload to /v2/app/blobs/uploads/ in H: denied", 5, "but not push"),
        ("initiating layer upload to /v2/app/blobs/uploads/ in H: authentication required", 5, "but not push"),
        ("uploading manifest 1 to H/app: denied: requested access to the resource is denied", 5, "but not push"),
        (
            "reading manifest 1 in docker.io/a/b: errors: denied: requested access to the resource is denied "
            "unauthorized: authentication required",
            5,
            "there is no login, or this one may not",
        ),
        ("initiating layer upload to /v2/app/blobs/uploads/ in H: unsupported", 5, "pull-through"),
        ("uploading manifest 1 to H/app: unsupported: The operation is unsupported.", 5, "pull-through"),
        ("initiating layer upload to /v2/a/ in H: StatusCode: 405, <html>405</html>", 5, "pull-through"),
        (
            f"trying to reuse blob {BLOB} at destination: failed to read from destination repository app: "
            "405 (Method Not Allowed)",
            5,
            "HEAD",
        ),
        (
            f"trying to reuse blob {BLOB} at destination: checking whether a blob {BLOB} exists in H/app: "
            'StatusCode: 405, ""',
            5,
            "HEAD",
        ),
        (
            f"trying to reuse blob {BLOB} at destination: failed to read from destination repository app: "
            "403 (Forbidden)",
            5,
            "redirects to",
        ),
        (
            f"trying to reuse blob {BLOB} at destination: checking whether a blob {BLOB} exists in H/app: "
            'StatusCode: 403, ""',
            5,
            "redirects to",
        ),
        (
            f"reading blob {BLOB}: Error fetching blob: invalid status code from registry 403 (Forbidden)",
            5,
            "redirects to",
        ),
        (f'reading blob {BLOB}: fetching blob: StatusCode: 403, "<Error><Code>AccessDenied"', 5, "redirects to"),
        (
            "reading manifest 1 in H/app: manifest unknown: OCI manifest found, but accept header does not support "
            "OCI manifests",
            5,
            "Accept",
        ),
        (
            "reading manifest 1 in H/app: manifest unknown: OCI index found, but accept header does not "
            "support OCI indexes",
            5,
            "Accept",
        ),
        (
            "writing blob: Error response from daemon: client version 1.22 is too old. Minimum supported API "
            "version is 1.44, please upgrade your client to a newer version",
            6,
            "newer one",
        ),
        ("writing blob: uploading layer chunked: StatusCode: 429,", 5, "`link.retry_times`"),
        ("uploading layer chunked: toomanyrequests: retry-after: 7s, allowed: 5/minute", 5, "`link.retry_times`"),
        (
            "initiating layer upload to /v2/a/ in H: received unexpected HTTP status: 503 Service Unavailable",
            5,
            "fewer connections",
        ),
        ("failed to read from destination repository r: 503 (Service Unavailable)", 5, "fewer connections"),
        ("pinging container registry H: invalid status code from registry 404 (Not Found)", 5, "not a registry"),
        ('pinging container registry H: StatusCode: 404, "no"', 5, "not a registry"),
        ("writing blob: storing blob to file: open /x/y: permission denied", 6, "who may read"),
        ('Head "https://h/v2/": EOF', 5, "cut"),
        ("pinging container registry H: dial tcp: connect: connection refused", 5, "no server listens"),
        ("dial tcp: lookup NAME on 1.1.1.1:53: no such host", 5, "host's name"),
        ("http: server gave HTTP response to HTTPS client", 5, "`push_auth.tls_verify=False`"),
        ("x509: certificate signed by unknown authority", 5, "`push_auth.cert_dir`"),
        ("initializing destination docker://H/a: registry H is blocked in /etc/x", 5, "registries.conf"),
        ("initiating layer upload to /v2/ in H: StatusCode: 405", 5, "read-only"),
        ("Source image rejected: Running image oci:PATH: is rejected by policy.", 5, "policy"),
        ("too many requests to registry", 5, "limits requests"),
        (f"something else about sha256:429{'0' * 61}", 5, "`trace`"),
        ("writing blob: write /x: no space left on device", 6, "free some space"),
        ("Digest did not match, expected sha256:1, got sha256:2", 4, "try again"),
    ],
)
def test_what_skopeo_says(message: str, code: int, step: str) -> None:
    error = explain(fatal(message), "cannot do it", "push")
    assert error.code == code
    assert re.sub(r'^(Error )?parsing image name "[^"]*": ', "", message) in error.message
    assert step in error.next_step


# As skopeo 1.9.3 and 1.18 quote host, repository and tag, and registries the repository.
TEMPLATES = (
    'Error parsing image name "docker://{H}/{R}:{T}": reading manifest {T} in {H}/{R}: {why}',
    "initializing source docker://{H}/{R}:{T}: reading manifest {T} in {H}/{R}: {why}",
    'Error parsing image name "docker://{H}/{R}:{T}": pinging container registry {H}: {why}',
    "writing blob: initiating layer upload to /v2/{R}/blobs/uploads/ in {H}: {why}",
    "writing blob: uploading layer to http://{H}/v2/{R}/blobs/uploads/{T}?digest=sha256%3A1: {why}",
    "writing manifest: uploading manifest {T} to {H}/{R}: {why}",
    "trying to reuse blob {BLOB} at destination: failed to read from destination repository {R}: {why}",
    "trying to reuse blob {BLOB} at destination: checking whether a blob {BLOB} exists in {H}/{R}: {why}",
    'Get "https://{H}/v2/{R}/manifests/{T}": {why}',
    "initializing destination docker://{H}/{R}:{T}: {why}",
    "open /tmp/{R}/{T}: {why}",
)
REASONS = (
    "manifest unknown: manifest unknown", "name unknown: repository name not known to registry", "name unknown",
    "unauthorized: authentication required", "authentication required", "denied", "unsupported", "EOF",
    "denied: requested access to the resource is denied", 'StatusCode: 405, "certificate denied"',
    "StatusCode: 404, <html>denied", "403 (Forbidden)", "404 (Not Found)", "503 (Service Unavailable)",
    "received unexpected HTTP status: 503 Service Unavailable", "StatusCode: 413, <html>", "StatusCode: 429,",
    "toomanyrequests: retry-after: 7s", "invalid status code from registry 403 (Forbidden)",
    "x509: certificate signed by unknown authority", "http: server gave HTTP response to HTTPS client",
    "dial tcp: lookup nobody on 1.1.1.1:53: no such host", "dial tcp 1.1.1.1:443: connect: connection refused",
    "dial tcp 1.1.1.1:443: i/o timeout", "context deadline exceeded", "permission denied", "unexpected EOF",
    "no space left on device", "something that nobody knows", "unknown: artifact {R}:{T} not found",
    "name unknown: The repository with name '{R}' does not exist in the registry with id '1'",
    "unauthorized: unauthorized to access repository: {R}, action: push",
    "Requesting bearer token: invalid status code from registry 500 (Internal Server Error)",
)  # fmt: skip
NAMES = (
    "certificate-manager", "unauthorized-app", "denied", "manifest-unknown", "no-such-host", "toomanyrequests",
    "name-unknown", "404", "403", "503", "unsupported", "unknown", "x509", "tls", "certificate", "registry",
    "i/o", "io", "repository", "team/denied/unauthorized", "eof", "blob", "in/registry", "name", "not", "manifest",
    "denied/" * 33 + "certificate",
)  # fmt: skip


@pytest.mark.parametrize("why", REASONS)
def test_how_something_is_called_is_no_reason(why: str) -> None:
    def explained(template: str, host: str, name: str, tag: str) -> tuple[type, str]:
        message = template.replace("{why}", why).format(H=host, R=name, T=tag, BLOB=BLOB).strip()
        call = ["copy", f"--dest-authfile=/home/{name}/auth.json", f"docker://{host}/{name}:{tag}", "/tmp/x"]
        error = explain(fatal(message), "cannot do it", "push", call)
        assert message.rpartition(" ")[2] in error.message
        return type(error), error.next_step

    for number, template in enumerate(TEMPLATES):
        plain = explained(template, "r.example", "app", "1")
        for place, name in enumerate(NAMES):
            tag = name.rpartition("/")[2]
            hosts = ("r.example", f"{tag}.example", f"{tag}:5000", f"{tag}.example:443", "EOF", "localhost")
            # Each with each would take minutes.
            host = hosts[(number + place) % len(hosts)]
            assert explained(template, host, name, "1" if place % 2 else tag) == plain, (template, host, name)


def test_a_folder_with_a_space_is_no_reason() -> None:
    folder = "/media/my certificate denied/x"
    error = explain(fatal(f"open {folder}/policy.json: no such file"), "cannot", "push", ("copy", folder))
    assert "`trace`" in error.next_step


def test_where_the_registry_sends_skopeo_is_named() -> None:
    call = ("inspect", "docker://r.example/app:1")
    for message in ("dial tcp 1.1.1.1:443: connect: connection refused", "dial tcp: lookup s3: no such host"):
        elsewhere = explain(fatal(f'Get "https://s3.example/x?y": {message}'), "cannot", "push", call)
        assert "s3.example" in elsewhere.next_step
        here = explain(fatal(f'Get "https://r.example/v2/": {message}'), "cannot", "push", call)
        assert "example" not in here.next_step


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("StatusCode: 429, ", 0), ("toomanyrequests: retry-after: 7s", 7), ("toomanyrequests: Retry in 2m", 120),
     ("toomanyrequests: retry-after: 228.5ms, allowed: 44000/minute", 0.2285)],
)  # fmt: skip
def test_how_long_the_registry_wants_us_to_wait(said: str, seconds: float) -> None:
    error = explain(fatal(f"writing blob: uploading layer chunked: {said}"), "cannot", "push")
    assert isinstance(error, BusyError)
    assert error.retry_after == pytest.approx(seconds)


def test_messages_that_are_not_fatal() -> None:
    assert fatal_message("") == "it said nothing"
    assert fatal_message("Error: unknown flag: --x\nUsage: skopeo\n") == "Error: unknown flag: --x"
    assert len(fatal_message(fatal("x" * 10_000))) < 700


@pytest.mark.parametrize(
    ("message", "kind", "retryable"),
    [
        ("reading manifest 1 in H/app: manifest unknown", "not-found", False),
        ("reading manifest 1 in H/app: unauthorized: authentication required", "unauthorized", False),
        ("failed to read from destination repository r: 403 (Forbidden)", "denied", False),
        ("uploading manifest 1 to H/app: denied: requested access to the resource is denied", "denied", False),
        ("x509: certificate signed by unknown authority", "tls", False),
        ("http: server gave HTTP response to HTTPS client", "tls", False),
        ("Source image rejected: Running image oci:PATH: is rejected by policy.", "policy", False),
        ("initializing destination docker://H/a: registry H is blocked in /etc/x", "policy", False),
        ("too many requests to registry", "rate-limit", True),
        ("failed to read from destination repository r: 503 (Service Unavailable)", "rate-limit", True),
        ("failed to read from destination repository r: 500 (Internal Server Error)", "registry", True),
        ("initiating layer upload to /v2/ in H: StatusCode: 405", "read-only", False),
        ("Can not copy signatures to oci:x", "signatures", False),
        ("dial tcp: lookup NAME on 1.1.1.1:53: no such host", "network", False),
        ('Head "https://h/v2/": EOF', "network", True),
        ("dial tcp 1.1.1.1:443: i/o timeout", "network", True),
        ("writing blob: write /x: no space left on device", "host", False),
        ("Digest did not match, expected sha256:1, got sha256:2", "content", False),
        ("something that nobody knows", "registry", False),
    ],
)
def test_what_kind_it_is(message: str, kind: str, retryable: bool) -> None:
    error = explain(fatal(message), "cannot do it", "push")
    assert (error.kind, error.retryable) == (kind, retryable)
    assert error.kind in KINDS


def test_whose_login_was_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    auth = tmp_path / "auth.json"
    # A login may be one for a part of a registry.
    auth.write_text('{"auths": {"r.example/team": {"auth": "ZXZlOnNlY3JldA=="}, "x.example": {}}}')
    call = ("inspect", "docker://r.example/app:1")
    said = fatal("reading manifest 1 in r.example/app: unauthorized: authentication required")

    def message(access: Access | None, stderr: str = said) -> str:
        error = explain(stderr, "cannot read it", "final", call, access)
        assert "secret" not in error.message + error.next_step
        return error.message

    assert message(Access(creds="eve:secret")).startswith("cannot read it as user 'eve': ")
    assert message(Access(authfile=auth)).startswith("cannot read it as user 'eve': ")
    denied = fatal("reading manifest 1 in r.example/app: denied")
    assert message(Access(creds="eve:secret"), denied).startswith("cannot read it as user 'eve': ")
    for content in ("{}", "[]", "no JSON", '{"auths": []}', '{"auths": {"r.example": {"auth": "%"}}}'):
        auth.write_text(content)
        assert message(Access(authfile=auth)).startswith("cannot read it: ")
    assert message(Access()).startswith("cannot read it: ")
    assert message(None).startswith("cannot read it: ")
    # What is no question of who asks names nobody.
    assert message(Access(creds="eve:secret"), fatal("EOF")).startswith("cannot read it: ")


def test_what_does_not_exist_takes_few_words() -> None:
    reference = Reference.parse("r.example/app:1")

    def said(message: str) -> str:
        return unread(reference, explain(fatal(message), "cannot read it", "base")).message

    assert said("reading manifest 1 in r.example/app: manifest unknown") == f"{reference} does not exist"
    assert said("name unknown") == f"{reference} does not exist: there is no such repository"
    assert said("EOF") == "cannot read it: EOF"
