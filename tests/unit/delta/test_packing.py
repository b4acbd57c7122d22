"""Streams are compressed in pieces and come back; hostile ones end in an error, within their bounds."""

from __future__ import annotations

import contextlib
import lzma
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrapper.delta.malformed import MalformedError
from wrapper.delta.packing import LZMA, STORED, ZSTD, Effort, PackedReader, Piece, Raw, pack

if TYPE_CHECKING:
    from pathlib import Path

FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}]


def lzma_piece(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_RAW, filters=FILTERS)


def unpack(data: bytes, pieces: list[Piece], place: int = 0) -> bytes:
    def read_at(place: int, count: int) -> bytes:
        assert count > 0
        return data[place : place + count]

    reader = PackedReader(read_at, place, pieces)
    found = b""
    while chunk := reader.read():
        found += chunk
    assert reader.read() == b""
    return found


def packed(data: bytes, effort: Effort, folder: Path, memory: int = 1 << 28) -> tuple[bytes, list[Piece]]:
    path = folder / "stream"
    path.write_bytes(data)
    told: list[float] = []
    with path.open("rb") as file:
        (stream,) = pack([Raw(file.fileno(), 0, len(data), effort)], folder, memory, 2, told.append)
    found = b"".join(stream.read())
    stream.close()
    assert told == sorted(told)
    assert told[-1:] == ([1] if data else [])
    assert len(found) == stream.size
    assert [*folder.iterdir()] == [path]
    return found, stream.pieces


@pytest.mark.parametrize("codec", [LZMA, ZSTD])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=40).map(lambda data: data * 20), rest=st.binary(max_size=50))
def test_streams_come_back(codec: int, tmp_path: Path, data: bytes, rest: bytes) -> None:
    made, pieces = packed(data + rest, Effort(codec, 3, hasty=300), tmp_path)
    assert unpack(b"before" + made + b"after", pieces, 6) == data + rest
    assert len(made) <= len(data + rest)


@pytest.mark.parametrize("codec", [LZMA, ZSTD])
def test_long_streams_are_pieces(codec: int, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(100_000) * 110
    made, pieces = packed(data, Effort(codec, 1), tmp_path, 120 << 20 if codec == LZMA else 60 << 20)
    assert len(pieces) > 2
    assert len(made) < len(data) // 10
    assert unpack(made, pieces) == data


def test_what_does_not_get_shorter_is_stored(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(10_000)
    made, pieces = packed(data, Effort(LZMA, 6), tmp_path)
    assert made == data
    assert [piece.codec for piece in pieces] == [STORED]


def _zstd(data: bytes, tmp_path: Path) -> bytes:
    made, _ = packed(data, Effort(ZSTD, 3), tmp_path)
    return made


@pytest.mark.parametrize("codec", [LZMA, ZSTD])
def test_hostile_streams(codec: int, tmp_path: Path) -> None:
    data = b"what is said again and again, " * 9000
    made = lzma_piece(data) if codec == LZMA else _zstd(data, tmp_path)
    size = len(made)
    assert unpack(made, [Piece(codec, 19, len(data), size)]) == data
    for text, piece in (
        (made, Piece(codec, 19, len(data) - 1, size)),
        (made, Piece(codec, 19, 1, size)),
        (made, Piece(codec, 19, len(data) + 1, size)),
        (made, Piece(codec, 19, len(data), size - 1)),
        (made, Piece(codec, 19, len(data), 1)),
        (made + b"\0", Piece(codec, 19, len(data), size + 1)),
        (made + made, Piece(codec, 19, 2 * len(data), 2 * size)),
        (made[:-1], Piece(codec, 19, len(data), size)),
        (b"", Piece(codec, 19, len(data), size)),
        (b"\xff" * size, Piece(codec, 19, len(data), size)),
        (made, Piece(STORED, 19, len(data), size)),
        (made, Piece(3, 19, size, size)),
    ):
        with pytest.raises(MalformedError):
            unpack(text, [piece])


def test_a_window_larger_than_it_was_said_to_be(tmp_path: Path) -> None:
    made = _zstd(random.Random(1).randbytes(200_000) * 2, tmp_path)
    with pytest.raises(MalformedError):
        unpack(made, [Piece(ZSTD, 12, 400_000, len(made))])


@given(st.binary(max_size=60), st.integers(0, 2), st.integers(1, 100))
def test_any_bytes_end_soon(data: bytes, codec: int, length: int) -> None:
    with contextlib.suppress(MalformedError):
        assert len(unpack(data, [Piece(codec, 12, length, max(1, len(data)))])) == length


_BOMB = """
import lzma
from wrapper.delta.malformed import MalformedError
from wrapper.delta.packing import LZMA, PackedReader, Piece
filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
data = b"".join([compressor.compress(bytes(1 << 20)) for _ in range(128)]) + compressor.flush()
def most():
    return [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
before = most()
reader = PackedReader(lambda place, count: data[place : place + count], 0, [Piece(LZMA, 20, 1 << 20, len(data))])
try:
    while reader.read():
        pass
except MalformedError:
    print(most() - before)
"""


def test_bombs_take_no_memory() -> None:
    ran = subprocess.run([sys.executable, "-c", _BOMB], capture_output=True, text=True, check=True, timeout=600)
    assert int(ran.stdout) < 16 << 20


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    (tmp_path / "stream").write_bytes(b"x")
    with (tmp_path / "stream").open("rb") as file:
        raw = Raw(file.fileno(), 0, 2, Effort(LZMA, 6))
        with pytest.raises(OSError, match="shorter"):
            pack([raw], tmp_path, 1 << 28, 1, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["stream"]
