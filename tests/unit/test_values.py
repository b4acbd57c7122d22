"""References, platforms, amounts, credentials, errors: the small values."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.errors import HostError, UsageError, host_errors, one_line
from wrapper.host.text import human_bytes, plural
from wrapper.oci.platforms import Platform, choose, wanted_platform
from wrapper.oci.reference import Reference, registry_reference
from wrapper.skopeo.access import Access

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host/app:1", Reference("docker", "host/app", "1")),
        ("docker://host:5000/team/app", Reference("docker", "host:5000/team/app")),
        ("app", Reference("docker", "app")),
        ("foo:bar", Reference("docker", "foo", "bar")),
        ("[::1]:5000/app:1", Reference("docker", "[::1]:5000/app", "1")),
        (f"host/app@{DIGEST}", Reference("docker", "host/app", None, DIGEST)),
        (f"host/app:1@{DIGEST}", Reference("docker", "host/app", "1", DIGEST)),
        ("oci:some/folder:1", Reference("oci", "some/folder:1")),
        ("containers-storage:[vfs@/x]app", Reference("containers-storage", "[vfs@/x]app")),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not an image"),
        ("-app", "not an image"),
        ("host/App", "not an image"),
        ("host/app:-x", "malformed tag"),
        ("host/app:" + "x" * 129, "malformed tag"),
        ("host/app@sha256:12", "malformed digest"),
        ("host/app@" + DIGEST.upper(), "malformed digest"),
        ("ftp://host/app", "unknown transport"),
        ("docker:host/app", "two slashes"),
        ("oci:", "names no place"),
        ("host/app\n", "characters"),
        ("host/" + "a" * 300, "not an image"),
        ("host//app", "not an image"),
    ],
)
def test_malformed_references(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Reference.parse(text)


@given(st.one_of(st.text(), st.from_regex(r"[a-z:/@.\-0-9]{0,40}", fullmatch=True)))
def test_any_text_is_a_reference_or_a_usage_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except UsageError:
        return
    spelled = Reference.parse(str(reference))
    assert str(spelled) == str(reference)
    assert spelled == (reference.pinned(reference.digest) if reference.digest else reference)


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("app", "docker.io"),
        ("team/app:1", "docker.io"),
        ("localhost/app", "localhost"),
        ("host:1/app", "host:1"),
        ("a.b/c/d", "a.b"),
    ],
)
def test_the_registry_of_a_reference(text: str, registry: str) -> None:
    assert Reference.parse(text).registry == registry


def test_references_are_changed_by_copies() -> None:
    reference = Reference.parse("host/app:1")
    assert str(reference.pinned(DIGEST)) == f"docker://host/app@{DIGEST}"
    assert str(reference.pinned(DIGEST).tagged("2")) == "docker://host/app:2"
    with pytest.raises(UsageError, match="the base dir:x"):
        registry_reference("dir:x", "the base")


ARMS = [
    Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7"), Platform("linux", "arm"), None,
    Platform("linux", "arm64", "v8"), Platform("windows", "amd64", None, "10.0"), Platform("linux", "amd64", "v3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "position"),
    [
        (Platform("linux", "arm", "v7"), 1),
        (Platform("linux", "arm", "v8"), 1),
        (Platform("linux", "arm", "v5"), 2),
        (Platform("linux", "arm"), 2),
        (Platform("linux", "arm64"), 4),
        (Platform("linux", "amd64"), None),
        (Platform("linux", "amd64", "v3"), 6),
        (Platform("windows", "amd64"), 5),
        (Platform("linux", "s390x"), None),
    ],
)
def test_a_platform_is_chosen_as_skopeo_does(wanted: Platform, position: int | None) -> None:
    assert choose(wanted, ARMS) == position


def test_this_machines_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    assert str(wanted_platform()) == "linux/arm/v7"
    assert str(wanted_platform(architecture="arm")) == "linux/arm"
    assert str(wanted_platform(os="windows", architecture="amd64", variant="v2")) == "windows/amd64/v2"


@pytest.mark.parametrize(
    "config", [{}, {"os": "linux"}, {"os": [], "architecture": "x"}, {"os": 1, "architecture": 2}]
)
def test_a_config_without_a_platform(config: dict[str, object]) -> None:
    assert Platform.from_config(config) is None


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (4 * 10**15, "4000.0 TB")]
)
def test_amounts(size: int, text: str) -> None:
    assert human_bytes(size) == text
    assert (plural(1, "layer"), plural(0, "layer")) == ("1 layer", "0 layers")


def test_credentials_go_to_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    access = Access(creds="joe:a:b", tls_verify=True, insecure_policy=True)
    flags = access.flags(Reference.parse("host:1/app"), tmp_path, "src-")
    (file,) = tmp_path.iterdir()
    assert flags == [f"--src-authfile={file}", "--src-tls-verify=true"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (auth,) = json.loads(file.read_text())["auths"].items()
    assert (auth[0], base64.b64decode(auth[1]["auth"])) == ("host:1", b"joe:a:b")
    assert "a:b" not in repr(access)
    assert access.policy_flags() == ["--insecure-policy"]


def test_the_order_of_auth_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("own", "environment"):
        (tmp_path / name).write_text("{}")
    reference = Reference.parse("host/app")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "environment"))
    assert Access(authfile=tmp_path / "own").flags(reference, tmp_path) == [f"--authfile={tmp_path}/own"]
    assert Access().flags(reference, tmp_path) == [f"--authfile={tmp_path}/environment"]
    with pytest.raises(UsageError, match="does not exist"):
        Access(authfile="none").flags(reference, tmp_path)


@pytest.mark.parametrize("creds", ["joe", "", ":secret"])
def test_credentials_that_are_none(creds: str) -> None:
    with pytest.raises(UsageError) as caught:
        Access(creds=creds)
    assert "secret" not in str(caught.value)


def test_what_is_not_printable_is_escaped() -> None:
    assert one_line("a\nb\x1b[2Jü") == "a\\nb\\x1b[2Jü"


def test_errors_of_the_machine() -> None:
    with pytest.raises(HostError, match="cannot write x: No space left"), host_errors("cannot write x"):
        raise OSError(28, "No space left on device")
