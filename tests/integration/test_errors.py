"""Bad input and bad luck: each with its own message and exit code, and nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.support.images import OCI_MANIFEST, digest_of, fresh, layer, put_image
from tests.support.registry import free_port
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused, skopeo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.registry import Registry


@pytest.fixture
def image(vendor: Registry) -> str:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    return f"{vendor.host}/{repository}:1"


USAGE = {
    "no output": (["pull", "h/a:1", "--json"], "--output"),
    "no argument": (["pull", "--json"], "FINAL"),
    "no command": (["--json"], ""),
    "an unknown command": (["frob", "--json"], "frob"),
    "an unknown option": (["pull", "h/a:1", "--frob", "--json"], "--frob"),
    "a name like an option": (["pull", "--json", "-o", "x.tar", "--", "-name"], "'-name'"),
    "a base like an option": (["pull", "h/a:1", "--json", "-o", "x.tar", "--base=-name"], "'-name'"),
    "upper case": (["pull", "host/App:1", "--json", "-o", "x.tar"], "lower case"),
    "an unknown transport": (["pull", "ftp://host/app", "--json", "-o", "x.tar"], "unknown transport"),
    "a malformed digest": (["pull", "host/app@sha256:12", "--json", "-o", "x.tar"], "malformed digest"),
    "a newline in a name": (["pull", "host/app\n:1", "--json", "-o", "x.tar"], "characters"),
    "not in a registry": (["pull", "dir:/x", "--json", "-o", "x.tar"], "not in a registry"),
    "all and one platform": (["pull", "h/a:1", "--all", "--override-arch", "arm", "--json", "-o", "x"], "--all"),
    "credentials without a password": (
        ["pull", "h/a:1", "--json", "-o", "x", "--final-creds", "joe"], "user:password",
    ),
    "no such auth file": (["pull", "h/a:1", "--json", "-o", "x", "--authfile", "no"], "auth file no"),
    "no such policy": (["pull", "h/a:1", "--json", "-o", "x", "--policy", "no"], "policy no"),
    "no such certificates": (["pull", "h/a:1", "--json", "-o", "x", "--final-cert-dir", "no"], "no does not exist"),
    "no such archive": (["push", "no.tar", "h/a:1", "--json"], "no.tar does not exist"),
    "an archive that is a folder": (["vet", ".", "--json"], "not a file"),
    "an output that is a folder": (["pull", "h/a:1", "--json", "-o", "."], "is a folder"),
    "a push to a receipt": (["push", "no.tar", "receipt:/x", "--json"], "can't be a destination"),
    "a push from a receipt": (["push", "no.tar", "h.example/a", "-b", "receipt:x", "--json"], "no compressed"),
    "tags for a folder": (["push", "no.tar", "dir:/x", "--additional-tag", "a", "--json"], "no further tags"),
    "docker's format": (["push", "no.tar", "docker-archive:x.tar", "--json"], "--no-preserve-digests"),
    "a daemon": (["push", "no.tar", "docker-daemon:a:1", "--json"], "--no-preserve-digests"),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGE)
def test_usage(tool: Tool, case: str) -> None:
    arguments, word = USAGE[case]
    refused(tool(*arguments), 2, word)
    assert list(tool.home.iterdir()) == []
    assert tool.leftovers() == []


def test_json_by_the_environment_holds_for_usage_errors_too(tool: Tool) -> None:
    refused(tool("pull", env={"SKOPEO_INCREMENTAL_PULL_JSON": "1"}), 2)


def test_without_json_an_error_is_two_lines(tool: Tool) -> None:
    ran = tool("push", "no.tar", "h/a:1")
    assert ran.stdout == b""
    assert [line.partition(":")[0] for line in ran.stderr.splitlines()] == ["error", "next"]


def test_no_such_tag_and_repository(tool: Tool, vendor: Registry, image: str) -> None:
    refused(tool("pull", f"{image}0", "-o", "x.tar", "--json", *PLAIN_PULL), 5, f"{image}0", "check the name")
    nobody = f"{vendor.host}/nobody/here:1"
    refused(tool("pull", nobody, "-o", "x.tar", "--json", *PLAIN_PULL), 5, nobody, "check the name")
    refused(tool("pull", image, "-b", nobody, "-o", "x.tar", "--json", *PLAIN_PULL), 5, nobody)
    assert list(tool.home.iterdir()) == []


def test_no_such_host_and_port(tool: Tool) -> None:
    port = f"127.0.0.1:{free_port()}/app:1"
    refused(tool("pull", port, "-o", "x.tar", "--json"), 5, port, "no server listens")
    host = "no-such-host.invalid/app:1"
    refused(tool("pull", host, "-o", "x.tar", "--json"), 5, host, "host's name")


def test_tls(tool: Tool, vendor: Registry, secure: Registry, image: str) -> None:
    refused(tool("pull", image, "-o", "x.tar", "--json"), 5, "plain HTTP", "--final-tls-verify=false")
    repository = fresh()
    put_image(secure, repository, "1", [layer("a")])
    reference = f"{secure.host}/{repository}:1"
    refused(tool("pull", reference, "-o", "x.tar", "--json"), 5, "--final-cert-dir")
    certificates = tool.home / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes((secure.folder / "ca.crt").read_bytes())
    tool.good("pull", reference, "-o", "x.tar", "--final-cert-dir", "certificates")
    tool.good("push", "x.tar", f"{secure.host}/{repository}:2", "--dest-cert-dir", certificates)
    tool.good("push", "x.tar", f"{secure.host}/{repository}:3", "--dest-tls-verify=false")


def test_skopeo_missing_or_too_old(tool: Tool, image: str) -> None:
    refused(tool("pull", image, "-o", "x.tar", "--json", env={"PATH": "/nowhere"}), 6, "not installed")
    refused(tool("pull", image, "-o", "x.tar", "--json", "--skopeo", "./none"), 6, "none'")
    fake = tool.home / "fake"
    for answer, word in (("skopeo version 1.8.2", "too old"), ("I am a teapot", "does not answer as skopeo")):
        fake.write_text(f"#!/bin/sh\necho {answer}\n")
        fake.chmod(0o755)
        refused(tool("pull", image, "-o", "x.tar", "--json", "--skopeo", "./fake", *PLAIN_PULL), 6, word)
    fake.unlink()
    assert list(tool.home.iterdir()) == []
    assert tool.leftovers() == []


@pytest.fixture
def docker_only(tool: Tool) -> str:
    """A policy that rejects everything but registries."""
    path = tool.home / "policy.json"
    accept = [{"type": "insecureAcceptAnything"}]
    path.write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {"": accept}}}))
    return str(path)


def test_a_policy_that_knows_registries_only(
    tool: Tool, vendor: Registry, customer: Registry, docker_only: str
) -> None:
    repository, target = fresh(), fresh("there")
    put_image(vendor, repository, "1", [layer("a")])
    final = put_image(vendor, repository, "2", [layer("a"), layer("b")])
    put_image(customer, target, "1", [layer("a")])
    # Where skopeo looks for a policy when none is named.
    config = tool.home / ".config" / "containers"
    config.mkdir(parents=True)
    (config / "policy.json").write_text((tool.home / "policy.json").read_text())
    one, two = f"{vendor.host}/{repository}:1", f"{vendor.host}/{repository}:2"
    for flags in ([], ["--policy", docker_only]):
        tool.good("pull", two, "-b", one, "-o", "x.tar", *PLAIN_PULL, *flags)
    tool.good("vet", "x.tar", f"{customer.host}/{target}:2", *PLAIN_DEST)
    tool.good("push", "x.tar", f"{customer.host}/{target}:2", *PLAIN_DEST)
    assert customer.manifest(target, "2") == final.raw
    # A policy that is given to push replaces the generated one.
    push = ("push", "x.tar", f"{customer.host}/{target}:3", "--json", *PLAIN_DEST)
    refused(tool(*push, "--policy", docker_only), 5, "policy")
    tool.good(*push, "--insecure-policy")


def test_a_policy_that_refuses(tool: Tool, image: str) -> None:
    policy = tool.home / "policy.json"
    policy.write_text('{"default": [{"type": "reject"}]}')
    refused(tool("pull", image, "-o", "x.tar", "--json", "--policy", policy, *PLAIN_PULL), 5, "policy")
    tool.good("pull", image, "-o", "x.tar", "--policy", policy, "--insecure-policy", *PLAIN_PULL)


def test_an_output_that_cannot_be_written(tool: Tool, vendor: Registry, image: str) -> None:
    watch = vendor.watch()
    refused(tool("pull", image, "-o", "no/such/x.tar", "--json", *PLAIN_PULL), 6, "no/such/x.tar")
    refused(tool("pull", image, "-o", "/proc/x.tar", "--json", *PLAIN_PULL), 6, "/proc/x.tar")
    refused(tool("pull", image, "-o", "x.tar", "--tmpdir", "no", "--json", *PLAIN_PULL), 6, "--tmpdir")
    assert watch.requests() == []
    assert list(tool.home.iterdir()) == []


def test_an_existing_file_survives_a_failed_pull(tool: Tool, image: str) -> None:
    (tool.home / "x.tar").write_text("precious")
    assert tool("pull", f"{image}0", "-o", "x.tar", *PLAIN_PULL).code == 5
    assert (tool.home / "x.tar").read_text() == "precious"
    assert [path.name for path in tool.home.iterdir()] == ["x.tar"]


def test_a_device_is_written_to_and_stays(tool: Tool, image: str) -> None:
    pipe = tool.home / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    tool.good("pull", image, "-o", pipe, *PLAIN_PULL)
    reader.join()
    tool.good("pull", image, "-o", "x.tar", *PLAIN_PULL)
    assert received == [(tool.home / "x.tar").read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk(tool: Tool, image: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    small = tool.home / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (small / "ballast").write_bytes(bytes(60 * 1024))
        refused(tool("pull", image, "-o", small / "x.tar", "--json", *PLAIN_PULL), 6, "space")
        refused(
            tool("pull", image, "-o", small / "x.tar", "--tmpdir", tool.temporary, "--json", *PLAIN_PULL),
            6,
            "space",
        )
        assert [path.name for path in small.iterdir()] == ["ballast"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_docker_schema_1(tool: Tool, image: str) -> None:
    with registry_of(b'{"schemaVersion": 1, "name": "app", "fsLayers": [], "history": []}') as host:
        refused(tool("pull", f"{host}/app:1", "-o", "x.tar", "--json", *PLAIN_PULL), 4, "schema 1")


def registry_of(raw: bytes) -> Answering:
    return Answering(raw)


class Answering:
    """A registry that gives any bytes as a manifest: no real one would."""

    def __init__(self, raw: bytes, media_type: str = OCI_MANIFEST) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = raw if "/manifests/" in self.path else b"{}"
                self.send_response(200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _manifest(**change: object) -> bytes:
    part = {"mediaType": "application/x", "digest": digest_of(b"x"), "size": 1}
    return json.dumps({"schemaVersion": 2, "config": part, "layers": [part]} | change).encode()


BAD_MANIFESTS = {
    "not JSON": b"<html>",
    "not an object": b"[]",
    "absurd depth": b'{"a":' * 50_000,
    "no schema version": b'{"config": {}, "layers": []}',
    "a sha512 layer": _manifest(
        layers=[{"mediaType": "application/x", "digest": "sha512:" + "0" * 128, "size": 1}]
    ),
    "a negative size": _manifest(layers=[{"mediaType": "application/x", "digest": digest_of(b"x"), "size": -1}]),
    "manifest and list": _manifest(manifests=[]),
    "another media type": _manifest(mediaType="application/vnd.oci.image.index.v1+json"),
    "an unknown media type": _manifest(mediaType="application/vnd.oci.artifact.manifest.v1+json"),
    "a list without manifests": b'{"schemaVersion": 2, "manifests": []}',
    "two layers in one name": b'{"schemaVersion": 2, "layers": [], "Layers": [], "config": {}}',
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_bad_manifests(tool: Tool, kind: str) -> None:
    with Answering(BAD_MANIFESTS[kind]) as host:
        for more in ((), ("--all",)):
            refused(tool("pull", f"{host}/app:1", "-o", "x.tar", "--json", *more, *PLAIN_PULL), 4)
    assert list(tool.home.iterdir()) == []


def test_a_digest_that_comes_with_other_bytes(tool: Tool) -> None:
    """`skopeo inspect --raw` passes them on without a word."""
    with Answering(_manifest()) as host:
        wrong = f"{host}/app@{digest_of(b'something else')}"
        refused(tool("pull", wrong, "-o", "x.tar", "--json", *PLAIN_PULL), 4, "other bytes")


def test_compressed_and_other_files(tool: Tool, image: str) -> None:
    tool.good("pull", image, "-o", "x.tar", *PLAIN_PULL)
    whole = (tool.home / "x.tar").read_bytes()
    for content, word in (
        (gzip.compress(whole), "gzip"),
        (b"", "empty"),
        (b"hello world" * 100, "not a tar"),
        (whole[: len(whole) // 2], "truncated"),
    ):
        (tool.home / "bad.tar").write_bytes(content)
        refused(tool("vet", "bad.tar", "--json"), 4, word)


def test_the_old_docker_format_is_named(tool: Tool, image: str) -> None:
    tool.good("pull", image, "-o", "x.tar", "--no-preserve-digests", *PLAIN_PULL)
    skopeo("copy", f"oci-archive:{tool.home}/x.tar", f"docker-archive:{tool.home}/old.tar:app:1")
    refused(tool("vet", "old.tar", "--json"), 4, "docker-archive:")


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_skopeo_too(tool: Tool, silent: str, number: int, code: int) -> None:
    process = subprocess.Popen(
        [*tool.command, "pull", f"{silent}/app:1", "-o", "x.tar", "--json"],
        env=tool.environment, cwd=tool.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not children(process.pid, "inspect") and time.monotonic() < deadline:
        time.sleep(0.02)
    started = children(process.pid, "inspect")
    assert started
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=600)
    assert process.returncode == code
    error = json.loads(stdout)["error"]
    assert (error["code"], error["kind"], error["retryable"]) == (code, "interrupted", True)
    # One that was killed may take a moment to go.
    deadline = time.monotonic() + 60
    while left := [pid for pid in started if os.path.exists(f"/proc/{pid}")]:  # noqa: PTH110
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert list(tool.home.iterdir()) == []
    assert tool.leftovers() == []


def children(parent: int, word: str) -> list[int]:
    found = []
    for folder in os.listdir("/proc"):  # noqa: PTH208
        try:
            with open(f"/proc/{folder}/stat") as stats, open(f"/proc/{folder}/cmdline") as line:  # noqa: PTH123
                if int(stats.read().rpartition(")")[2].split()[1]) == parent and word in line.read().split("\0"):
                    found.append(int(folder))
        except (OSError, ValueError, IndexError):
            continue
    return found


def test_every_json_fits_the_schema(tool: Tool, vendor: Registry, customer: Registry) -> None:
    schema = json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text())
    repository, target = fresh(), fresh("there")
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "2", [layer("a"), layer("b")])
    one, two, there = (
        f"{vendor.host}/{repository}:1",
        f"{vendor.host}/{repository}:2",
        f"{customer.host}/{target}:2",
    )
    pull = ("pull", two, "-b", one, "-o", "x.tar", *PLAIN_PULL)
    for arguments in (
        (*pull, "--dry-run"), pull, ("inspect", "x.tar"), ("vet", "x.tar"), ("vet", "x.tar", there, *PLAIN_DEST),
        ("push", "x.tar", there, *PLAIN_DEST), ("push",), ("pull", one, "-o", "y.tar", *PLAIN_PULL),
        ("push", "y.tar", there, "--additional-tag", "3", *PLAIN_DEST), ("inspect", "none.tar"),
    ):  # fmt: skip
        jsonschema.validate(tool(*arguments, "--json").json, schema)


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 6),
        (">/dev/full", 6),
        ("--json >/dev/full", 6),
        ("2>&-", 0),
        ("-o - >/dev/full", 6),
        ("-o - | true", 6),
    ],
)
def test_streams_that_take_nothing(tool: Tool, image: str, redirection: str, code: int) -> None:
    command = shlex.join([*tool.command, "pull", image, *PLAIN_PULL])
    options = "--quiet" if "-o" in redirection else "--quiet --dry-run"
    ran = subprocess.run(
        ["bash", "-c", f"{command} {options} {redirection}; exit ${{PIPESTATUS[0]}}"],
        env=tool.environment, cwd=tool.home, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == code
    assert b"Traceback" not in ran.stderr
    assert b"bug" not in ran.stderr
    assert tool.leftovers() == []
