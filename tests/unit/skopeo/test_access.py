"""Credentials: given to skopeo in files, never shown."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import UsageError
from wrapper.oci.reference import Reference
from wrapper.skopeo.access import Access

if TYPE_CHECKING:
    from pathlib import Path


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
