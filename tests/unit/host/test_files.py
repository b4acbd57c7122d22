"""Outputs: complete or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wrapper.errors import HostError, UsageError
from wrapper.host.files import complete_file, is_stream


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


def test_kinds_of_outputs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(tmp_path / "pipe")
    assert is_stream(Path(os.devnull))
    assert not is_stream(tmp_path / "new")
    with pytest.raises(UsageError):
        is_stream(tmp_path)
