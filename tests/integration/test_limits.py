"""Names and character sets that nobody expects, little memory, no threads: each has its answer."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.archives import by_digest, layout_members, write_tar
from tests.support.images import fresh, put_image
from tests.support.registry import Registry
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, Tool, refused
from wrapper import Access, HostError, Incremental

if TYPE_CHECKING:
    from tests.support.images import Image

ODD = os.fsdecode(b"\xff\xfe")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOWHERE = "127.0.0.1:1/app:1"
TABLE = (0, 2, 3, 4, 5, 6)


@pytest.fixture
def image(tool: Tool) -> Image:
    """An image for a platform that ASCII can't write, in archives, one of which has a name that is no UTF-8."""
    # Long enough to go through a pipe.
    blob, config = os.urandom(100_000), json.dumps({"os": "lin\u00fcx", "architecture": "amd64"}).encode()
    image = put_image(Registry(tool.home), "none", None, [blob], config=config, upload=False)
    for name in ("app.tar", f"app{ODD}.tar"):
        write_tar(tool.home / name, layout_members(image, by_digest(config, blob)))
    (tool.home / f"folder{ODD}").mkdir()
    return image


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
def test_output_that_can_not_write_a_name(
    tool: Tool, vendor: Registry, image: Image, environment: dict[str, str]
) -> None:
    repository = fresh("named")
    # Its platform is first known from a registry.
    tool.good("push", "app.tar", f"{vendor.host}/{repository}:1", *PLAIN_DEST)
    for words in (
        ("vet", "app.tar"),
        ("inspect", "app.tar"),
        ("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL),
        ("pull", f"{vendor.host}/{repository}:1", "--dry-run", *PLAIN_PULL),
        ("complete", "app.tar", "-o", "c.tar"),
        ("diff", "app.tar", "app.tar", "-o", "d.tar"),
    ):
        ran = tool.good(*words, env=environment)
        expected = b"lin\\xfcx/amd64" if environment != {"PYTHONIOENCODING": "latin-1"} else b"lin\xfcx/amd64"
        if "--dry-run" not in words:
            assert expected in ran.stdout, words
        assert tool.good(*words, "--json", env=environment).json["digest"] == image.digest
    refused(tool("vet", "\u00fc.tar", "--json", env=environment), 2, "does not exist")
    assert tool("vet", "\u00fc.tar", env=environment).code == 2


PLACES = [
    ("pull", NOWHERE, "-o", f"{ODD}.tar"),
    ("pull", NOWHERE, "-o", "o.tar", "--cache-dir", f"cache{ODD}"),
    ("pull", NOWHERE, "-o", "o.tar", "--override-os", ODD),
    ("pull", NOWHERE, "-o", "o.tar", "--base", f"oci-archive:app{ODD}.tar"),
    ("pull", NOWHERE, "-o", "o.tar", "--base", f"receipt:{ODD}.json"),
    ("pull", NOWHERE, "-o", "o.tar", "--final-authfile", f"app{ODD}.tar"),
    ("pull", NOWHERE, "-o", "o.tar", "--final-cert-dir", f"folder{ODD}"),
    ("pull", NOWHERE, "-o", "o.tar", "--policy", f"app{ODD}.tar"),
    ("pull", "--spec", f"{ODD}.json", "-o", "o.tar"),
    ("pull", "--spec", f"app{ODD}.tar", "-o", "o.tar"),
    ("vet", f"app{ODD}.tar"),
    ("inspect", f"app{ODD}.tar", "--report", f"{ODD}.html"),
    ("inspect", "app.tar", "--for", f"oci:folder{ODD}"),
    ("complete", f"app{ODD}.tar", "-o", f"{ODD}.tar"),
    ("diff", f"app{ODD}.tar", f"app{ODD}.tar", "-o", f"{ODD}.tar", "--tmpdir", f"folder{ODD}"),
    ("push", f"app{ODD}.tar", "oci:layout", "--receipt", f"{ODD}.json"),
    ("push", "app.tar", f"oci:{ODD}"),
    ("push", "app.tar", f"dir:{ODD}"),
    ("push", "app.tar", f"oci-archive:{ODD}"),
    ("push", "app.tar", f"docker-archive:{ODD}", "--no-preserve-digests"),
    ("push", "app.tar", "docker-daemon:x:1", "--no-preserve-digests", "--dest-daemon-host", ODD),
    ("push", "app.tar", NOWHERE, "--dest-authfile", f"app{ODD}.tar"),
    ("push", "app.tar", NOWHERE, "--dest-cert-dir", f"folder{ODD}"),
    ("push", "app.tar", NOWHERE, "--skopeo", f"./app{ODD}.tar"),
    ("push", "app.tar", NOWHERE, "--additional-tag", ODD),
    ("push", "app.tar", NOWHERE, "--expect-sha256", ODD),
    ("push", "app.tar", NOWHERE, "--map", f"{ODD}={ODD}"),
    ("push", "app.tar", f"oci:layout{ODD}", "--base", f"dir:folder{ODD}"),
    ("doctor", f"127.0.0.1:1/{ODD}"),
    ("doctor", "--tmpdir", f"folder{ODD}"),
    (ODD,),
]


@pytest.mark.parametrize("words", PLACES, ids=lambda words: " ".join(words).encode(errors="replace").decode())
def test_names_that_are_no_utf_8(tool: Tool, image: Image, words: tuple[str, ...]) -> None:
    for environment in ({}, ASCII):
        ran = tool(*words, "--json", env=environment)
        assert ran.code in TABLE, ran.text
        assert ("error" in ran.json) == bool(ran.code) or words[0] == "doctor"
        assert tool(*words, env=environment).code == ran.code


def test_temporary_folders_whose_name_is_no_utf_8(tool: Tool, customer: Registry, image: Image) -> None:
    to = f"docker://{customer.host}/{fresh('odd')}:1"
    folder = f"folder{ODD}"
    push = ("push", "app.tar", to, *PLAIN_DEST)
    refused(tool(*push, "--tmpdir", folder, "--json"), 6, "is not UTF-8", "--tmpdir")
    refused(tool(*push, "--json", env={"TMPDIR": str(tool.home / folder)}), 6, "is not UTF-8", "--tmpdir")
    (tool.home / "link").symlink_to(folder)
    refused(tool(*push, "--tmpdir", "link", "--json"), 6, "is not UTF-8", "--tmpdir")
    inside = tool.home / folder
    # Where it was not chosen, another is taken.
    cwd = {"cwd": inside}
    tool.good("push", "../app.tar", to, *PLAIN_DEST, **cwd)
    for _ in range(2):
        tool.good("pull", to, "-o", "o.tar", *PLAIN_PULL, "--final-creds", ACCOUNTS["ann"], **cwd)
        tool.good("push", "o.tar", "oci-archive:new.tar", **cwd)
        tool.good("push", "o.tar", "oci:layout", **cwd)
    refused(tool("push", "o.tar", "dir:there", "--json", **cwd), 2, "is not utf-8", "skopeo")
    assert sorted(path.name for path in inside.iterdir()) == ["layout", "new.tar", "o.tar"]
    assert tool.leftovers() == []


def test_logins_that_are_no_utf_8(tool: Tool, image: Image) -> None:
    push = ("push", "app.tar", NOWHERE, "--json")
    for creds in (f"user:secret{ODD}", f"secret{ODD}:password"):
        ran = tool(*push, "--dest-creds", creds)
        refused(ran, 2, "the credentials are not UTF-8")
        assert "secret" not in ran.text + ran.stderr
    ran = subprocess.run(
        [*tool.command, *push, "--dest-creds", "-"],
        input=b"user:secret\xff\xfe\n",
        cwd=tool.home,
        env=tool.environment,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 2, ran.stdout
    assert b"secret" not in ran.stdout + ran.stderr


# Python 3.11 needs some 65 MB of address space to import what a command uses. With less, the interpreter itself may
# abort, crash in its importer, or ask for ever for the 32 bytes that it needs to handle an exception.
_SAFE_FOR_PYTHON = 100


def test_little_memory(tool: Tool, image: Image) -> None:
    """Memory ends anywhere: in an import, where a thread is to start, in skopeo."""
    told = set()
    for megabytes in (24, 28, 30, 32, 34, 36, 40, 44, 48, 52, 56, 60, 64, 80, 100, 200, 600):
        for words in (
            ("vet", "app.tar"),
            ("complete", "app.tar", "-o", "c.tar"),
            ("push", "app.tar", "dir:there"),
            ("pull", NOWHERE, "-o", "o.tar"),
        ):
            try:
                ran = subprocess.run(
                    ["prlimit", f"--as={megabytes * 1_000_000}", "--core=0", *tool.command, *words],
                    cwd=tool.home,
                    env=tool.environment,
                    capture_output=True,
                    timeout=30,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                assert megabytes < _SAFE_FOR_PYTHON, (megabytes, words)
                continue
            error = (megabytes, words, ran.returncode, ran.stderr)
            if ran.returncode not in (0, 5, 6):
                assert megabytes < _SAFE_FOR_PYTHON, error
                continue
            assert b"Traceback" not in ran.stderr, error
            told |= {line for line in ran.stderr.decode().splitlines() if line.startswith("error: ")}
    assert any("memory" in line for line in told), told
    assert tool.leftovers() == []


def test_no_more_threads(tool: Tool, customer: Registry, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    plain = Access(tls_verify=False)
    incremental = Incremental(final_auth=plain, push_auth=plain, temp_dir=tool.temporary)
    output = tool.home / "o.tar"
    for step in (
        lambda: incremental.push(tool.home / "app.tar", f"docker://{customer.host}/{fresh()}:1"),
        lambda: incremental.pull(None, f"docker://{customer.host}/{fresh()}:1", output=output),
    ):
        with pytest.raises(HostError, match="can't start new thread") as caught:
            step()
        assert "ulimit -u" in caught.value.next_step
    assert not output.exists()
    assert tool.leftovers() == []


def test_what_is_no_program(tool: Tool, image: Image) -> None:
    path = tool.home / "broken"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(0o755)
    refused(tool("pull", NOWHERE, "-o", "o.tar", "--skopeo", path, "--json"), 6, "can't be started", "Exec format")
