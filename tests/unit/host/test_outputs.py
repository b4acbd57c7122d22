"""Outputs that a user names: what is no plain file stays what it is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from wrapper.errors import UsageError
from wrapper.host.outputs import is_stream, output_file


def test_kinds_of_outputs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(tmp_path / "pipe")
    assert is_stream(Path(os.devnull))
    assert is_stream(Path("/dev/stdout"))
    assert is_stream(Path("/dev/fd/1"))
    assert not is_stream(tmp_path / "new")
    with pytest.raises(UsageError):
        is_stream(tmp_path)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with output_file(pipe) as file:
        file.write(b"through")
    reader.join()
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_open_file_is_written_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        file.write(b"before, ")
        with output_file(Path(f"/dev/fd/{file.fileno()}")) as out:
            out.write(b"meanwhile, ")
        file.write(b"after")
    assert path.read_bytes() == b"before, meanwhile, after"


def test_a_symbolic_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    folder, first, second = tmp_path / "folder", tmp_path / "first", tmp_path / "second"
    folder.mkdir()
    first.symlink_to("second")
    second.symlink_to("folder/file")
    for text in (b"new", b"newer"):
        with output_file(first) as file:
            file.write(text)
        assert (folder / "file").read_bytes() == text
    assert first.is_symlink()
    assert [path.name for path in folder.iterdir()] == ["file"]
    second.unlink()
    second.symlink_to("first")
    with pytest.raises(UsageError, match="leads nowhere"), output_file(first):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's link")
def test_no_link_of_somebody_else_is_followed(tmp_path: Path) -> None:
    shared, target = tmp_path / "shared", tmp_path / "target"
    shared.mkdir()
    target.write_bytes(b"mine")
    (shared / "out").symlink_to(target)
    os.lchown(shared / "out", 12345, 12345)
    with pytest.raises(UsageError, match="another user's"), output_file(shared / "out"):
        pass
    assert target.read_bytes() == b"mine"
    # In a folder of theirs it is theirs to say.
    os.chown(shared, 12345, 12345)
    with output_file(shared / "out") as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
