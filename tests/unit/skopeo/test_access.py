"""Credentials: given to skopeo in files, never shown."""

from __future__ import annotations

import base64
import json
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import UsageError
from wrapper.oci.reference import Reference
from wrapper.skopeo.access import Access, AuthFiles

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def auth_files() -> Iterator[AuthFiles]:
    files = AuthFiles()
    yield files
    files.close()


def test_credentials_go_to_a_private_file_in_memory(auth_files: AuthFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    access = Access(creds="joe:a:b", tls_verify=True, insecure_policy=True)
    flags = access.flags(Reference.parse("host:1/app"), auth_files, "src-")
    file = Path(flags[0].removeprefix("--src-authfile="))
    assert flags == [f"--src-authfile={file}", "--src-tls-verify=true"]
    assert str(file.readlink()).startswith("/memfd:")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (auth,) = json.loads(file.read_text())["auths"].items()
    assert (auth[0], base64.b64decode(auth[1]["auth"])) == ("host:1", b"joe:a:b")
    assert "a:b" not in repr(access)
    assert access.policy_flags() == ["--insecure-policy"]
    auth_files.close()
    assert not file.exists()


def test_each_account_has_one_file(auth_files: AuthFiles) -> None:
    paths = [auth_files.path(creds, host) for creds in ("a:1", "b:2") for host in ("one:1", "two:1") for _ in "xy"]
    assert len(set(paths)) == 4
    one = threading.Thread(target=auth_files.path, args=("c:3", "one:1"))
    one.start()
    one.join()
    assert json.loads(Path(auth_files.path("b:2", "two:1")).read_text())["auths"].keys() == {"two:1"}


def test_what_is_no_registry_gets_no_login(auth_files: AuthFiles, tmp_path: Path) -> None:
    for place in ("containers-storage:app", f"dir:{tmp_path}", "docker-daemon:app:1"):
        assert Access(creds="joe:a").flags(Reference.parse(place), auth_files) == []


def test_the_order_of_auth_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("own", "environment"):
        (tmp_path / name).write_text("{}")
    reference = Reference.parse("host/app")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "environment"))
    assert Access(authfile=tmp_path / "own").flags(reference, AuthFiles()) == [f"--authfile={tmp_path}/own"]
    assert Access().flags(reference, AuthFiles()) == [f"--authfile={tmp_path}/environment"]
    with pytest.raises(UsageError, match="does not exist"):
        Access(authfile="none").flags(reference, AuthFiles())


@pytest.mark.parametrize("creds", ["joe", "", ":secret"])
def test_credentials_that_are_none(creds: str) -> None:
    with pytest.raises(UsageError) as caught:
        Access(creds=creds)
    assert "secret" not in str(caught.value)
