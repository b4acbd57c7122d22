"""The doctor finds what is wrong before the patient does, and says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import ACCOUNTS, ROOT, Ran, Tool

if TYPE_CHECKING:
    from tests.support.registry import Registry

ANN = ACCOUNTS["ann"]


def findings(ran: Ran, code: int) -> dict[str, tuple[str, str, str]]:
    """What was found, the worst of each check."""
    assert ran.code == code, ran.text + ran.stderr
    jsonschema.validate(ran.json, json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    found = {each["check"]: (each["status"], each["message"], each["next"]) for each in ran.json["findings"]}
    for status, _, step in found.values():
        assert step or status == "ok" or code
    return found


def test_a_machine_that_is_ready(tool: Tool) -> None:
    found = findings(tool("doctor", "--json"), 0)
    assert found.keys() >= {"python", "skopeo", "space", "login", "policy"}
    status, message, step = found["skopeo"]
    old = message.startswith("1.9")
    assert (status, bool(step)) == (("warning", True) if old else ("ok", False))
    assert ("starts a layer again" if old else "goes on inside a layer") in message
    said = tool.good("doctor").text
    assert "ok      policy:" in said
    assert tool.leftovers() == []


@pytest.mark.parametrize(
    ("version", "slow"), [("1.9.3", True), ("1.13.2", True), ("1.14.0", False), ("1.18.0", False), ("2.0", False)]
)
def test_a_skopeo_that_others_are_faster_than(tool: Tool, version: str, slow: bool) -> None:
    fake = tool.home / "fake"
    fake.write_text(f"#!/bin/sh\necho skopeo version {version}\n")
    fake.chmod(0o755)
    found = findings(tool("doctor", "--json", "--skopeo", fake), 0)
    assert ("speed" in found) == slow
    if slow:
        status, message, step = found["speed"]
        # A hint, and no warning.
        assert status == "ok"
        assert "10 to 20 % faster" in message
        assert "round trips" in message
        assert "1.14" in step


@pytest.mark.parametrize(
    ("answer", "word"),
    [(None, "there is no skopeo"), ("skopeo version 1.8.2", "too old"), ("hello", "as skopeo does")],
)
def test_a_skopeo_that_will_not_do(tool: Tool, answer: str | None, word: str) -> None:
    fake = tool.home / "fake"
    if answer:
        fake.write_text(f"#!/bin/sh\necho {answer}\n")
        fake.chmod(0o755)
    status, message, _ = findings(tool("doctor", "--json", "--skopeo", fake), 6)["skopeo"]
    assert status == "error"
    assert word in message


def test_a_folder_that_cannot_be_written(tool: Tool) -> None:
    found = findings(tool("doctor", "--json", "--tmpdir", "/proc"), 6)
    assert found["space"][0] == "error"
    assert "/proc" in found["space"][1]
    assert "--tmpdir" in found["space"][2]


@pytest.mark.parametrize(
    ("text", "mode", "status", "words"),
    [
        (None, 0, "error", "does not exist"),
        ("{", 0o600, "error", "not JSON"),
        ("[]", 0o600, "error", "not a JSON object"),
        ('{"auths": {"r.example": {}}}', 0o644, "warning", "other users can read"),
        ('{"auths": {"r.example": {}}}', 0o600, "ok", "has logins for r.example"),
        ('{"credHelpers": {"r.example": "no-such-helper"}}', 0o600, "warning", "docker-credential-no-such-helper"),
    ],
)
def test_auth_files(tool: Tool, text: str | None, mode: int, status: str, words: str) -> None:
    path = tool.home / "auth.json"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    code = 6 if status == "error" else 0
    for how in ({"REGISTRY_AUTH_FILE": str(path)}, {}):
        ran = tool("doctor", "--json", *([] if how else ["--dest-authfile", path]), env=how)
        found = findings(ran, code)["login"]
        assert found[0] == status
        assert words in found[1]


def test_the_auth_file_that_docker_login_made_is_found(tool: Tool) -> None:
    (tool.home / ".docker").mkdir()
    (tool.home / ".docker/config.json").write_text("no")
    assert findings(tool("doctor", "--json"), 6)["login"][0] == "error"


@pytest.mark.parametrize("text", [None, "{", "{}", '{"default": []}'])
def test_policies(tool: Tool, text: str | None) -> None:
    path = tool.home / "policy.json"
    if text is not None:
        path.write_text(text)
    status, message, step = findings(tool("doctor", "--json", "--policy", path), 6)["policy"]
    assert (status, str(path) in message, bool(step)) == ("error", True, True)
    assert findings(tool("doctor", "--json", "--insecure-policy"), 0)["policy"][0] == "warning"


def test_a_registry(tool: Tool, vendor: Registry, secure: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    here = f"{vendor.host}/{repository}"
    found = findings(tool("doctor", f"{here}:1", "--json", "--tls-verify=false"), 0)
    assert found["registry"][0] == found["image"][0] == "ok"
    assert found["tls"][0] == "warning"
    found = findings(tool("doctor", f"{here}:2", "--json", "--base-tls-verify=false"), 0)
    assert (found["registry"][0], found["image"][0]) == ("ok", "warning")
    status, message, step = findings(tool("doctor", f"{secure.host}/a:1", "--json"), 5)["registry"]
    assert (status, "certificate" in message, "--cert-dir" in step) == ("error", True, True)
    certificates = tool.home / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(Path(secure.folder, "ca.crt").read_bytes())
    assert (
        findings(tool("doctor", f"{secure.host}/a:1", "--json", "--cert-dir", certificates), 0)["registry"][0]
        == "ok"
    )
    status, message, step = findings(tool("doctor", "127.0.0.1:1/a:1", "--json"), 5)["registry"]
    assert (status, "connection refused" in message, bool(step)) == ("error", True, True)
    assert tool("doctor", "no reference:", "--json").code == 2


def test_a_login(tool: Tool, locked: Registry) -> None:
    repository = fresh()
    put_image(locked, repository, "1", [layer("a")])
    asked = ("doctor", f"{locked.host}/{repository}:1", "--json", "--debug", "--tls-verify=false")
    assert findings(tool(*asked, "--creds", ANN), 0)["registry"][0] == "ok"
    assert findings(tool(*asked, "--dest-creds", "-", stdin=f"{ANN}\n"), 0)["registry"][0] == "ok"
    for flags in ([], ["--creds", "ann:wrong-Pa55"]):
        ran = tool(*asked, *flags)
        assert "--creds" in findings(ran, 5)["registry"][2]
        assert "wrong-Pa55" not in ran.text + ran.stderr
