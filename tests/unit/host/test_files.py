"""Outputs: complete or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wrapper.errors import HostError
from wrapper.host.files import complete_file, open_plain


def test_an_output_is_complete_or_absent(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TypeError), complete_file(out) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
    with complete_file(out) as file:
        file.write(b"whole")
    assert out.read_bytes() == b"whole"
    with pytest.raises(RuntimeError), complete_file(out) as file:
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    with pytest.raises(HostError), complete_file(tmp_path / "none" / "out"):
        pass


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match=r"no plain file|Is a directory"):
            open_plain(path)
    (tmp_path / "file").write_bytes(b"bytes")
    with open_plain(tmp_path / "file") as file:
        assert file.read() == b"bytes"
