"""Layers go to skopeo through pipes: where nobody can feed them any more, the push ends, and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Ran, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry
    from tests.support.tool import Tool

SECONDS = 600
_BROKEN = """
import os, runpy
mkfifo, sendfile = os.mkfifo, os.sendfile

def broken_mkfifo(path, mode):
    if str(path).endswith(".fresh"):
        raise OSError(28, "No space left on device")
    mkfifo(path, mode)

def broken_sendfile(*_):
    raise {error}

if {call!r} == "mkfifo":
    os.mkfifo = broken_mkfifo
else:
    os.sendfile = broken_sendfile
runpy.run_module("wrapper", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def archive(tool: Tool, vendor: Registry) -> Path:
    """An archive of several layers that go through pipes."""
    at = fresh()
    put_image(vendor, at, "1", [layer((at, each), 400_000) for each in range(8)])
    tool.good("pull", f"{vendor.host}/{at}:1", "-o", "a.tar", *PLAIN_PULL)
    return tool.home / "a.tar"


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("timeout", [(), ("--timeout", "6000")], ids=["no timeout", "long timeout"])
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("mkfifo", "", "No space left on device"),
        ("sendfile", "OSError(5, 'Input/output error')", "cannot read a.tar: Input/output error"),
        ("sendfile", "MemoryError", "MemoryError"),
    ],
)
def test_a_feeder_that_dies(
    tool: Tool, customer: Registry, call: str, error: str, words: str, timeout: tuple[str, ...]
) -> None:
    at = fresh()
    options = ("--retry-times", "3", "--json", *timeout, *PLAIN_DEST)
    program = _BROKEN.format(call=call, error=error)
    ran = subprocess.run(
        [sys.executable, "-c", program, "push", "a.tar", f"{customer.host}/{at}:1", *options],
        capture_output=True,
        env=tool.environment | {"PYTHONPATH": str(ROOT)},
        cwd=tool.home,
        timeout=SECONDS,
        check=False,
    )
    refused(Ran(ran.returncode, ran.stdout, ran.stderr.decode()), 6, words)
    assert customer.manifest(at, "1") is None
    assert tool.leftovers() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.usefixtures("archive")
def test_a_file_system_without_room_for_another_pipe(tool: Tool, customer: Registry, tmp_path: Path) -> None:
    """It may have room for the first pipes, and none for those that come after them."""
    place = tmp_path / "few"
    place.mkdir()
    codes = []
    for files in range(20, 80):
        mount = ["mount", "-t", "tmpfs", "-o", f"size=64m,nr_inodes={files}", "none", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            ran = tool("push", "a.tar", f"{customer.host}/{fresh()}:1", "--tmpdir", place, "--json", *PLAIN_DEST)
        finally:
            subprocess.run(["umount", str(place)], check=True)
        codes.append(ran.code)
        if ran.code:
            refused(ran, 6, "No space left on device")
        if codes[-4:] == [0] * 4:
            break
    assert set(codes) == {0, 6}


def test_an_archive_that_becomes_shorter_during_the_push(tool: Tool, archive: Path, customer: Registry) -> None:
    """Its last layers are gone when they are to be sent."""
    at = fresh()
    size = archive.stat().st_size
    command = [*tool.command, "push", "a.tar", f"{customer.host}/{at}:1", "--json", "--debug", *PLAIN_DEST]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tool.environment, cwd=tool.home
    ) as run:
        assert run.stderr
        stderr = b""
        for line in run.stderr:
            stderr += line
            if line.startswith(b"sending"):
                os.truncate(archive, size // 20)
                break
        stdout, more = run.communicate(timeout=SECONDS)
    refused(Ran(run.returncode, stdout, (stderr + more).decode()), 4, "a.tar", "while it was read")
    assert customer.manifest(at, "1") is None
