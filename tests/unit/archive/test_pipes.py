"""Blobs through named pipes: each reader gets the whole blob, whoever else reads, and however often."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from wrapper.archive.pipes import Extent, PipeFeeder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZES = (0, 1, 70_000, 3_000_000)


@pytest.fixture
def blobs() -> dict[str, bytes]:
    return {f"blob-{size}": os.urandom(size) for size in SIZES}


@pytest.fixture
def served(tmp_path: Path, blobs: dict[str, bytes]) -> Iterator[Path]:
    """Blobs one behind the other in one file, with something between them, and their pipes."""
    archive, pipes = tmp_path / "archive", tmp_path / "pipes"
    pipes.mkdir()
    places, offset = {}, 0
    with archive.open("wb") as file:
        for name, blob in blobs.items():
            offset += file.write(b"between")
            places[name] = (offset, len(blob))
            offset += file.write(blob)
    with archive.open("rb") as file:
        with PipeFeeder(pipes, {name: [Extent(file.fileno(), *place)] for name, place in places.items()}):
            yield pipes
        assert threading.active_count() < 20


def test_every_reader_gets_the_whole_blob(served: Path, blobs: dict[str, bytes]) -> None:
    for _ in range(3):
        for name, blob in blobs.items():
            assert (served / name).read_bytes() == blob


def test_several_blobs_are_read_at_a_time(served: Path, blobs: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(len(blobs)) as pool:
        assert list(pool.map(lambda name: (served / name).read_bytes(), blobs)) == list(blobs.values())


def test_a_reader_that_goes_away_is_forgotten(served: Path, blobs: dict[str, bytes]) -> None:
    name = f"blob-{SIZES[-1]}"
    for _ in range(3):
        with (served / name).open("rb") as reader:
            assert reader.read(10) == blobs[name][:10]
    assert (served / name).read_bytes() == blobs[name]


def test_a_reader_that_is_left_behind_sees_an_end(tmp_path: Path) -> None:
    with (tmp_path / "archive").open("w+b") as file:
        file.truncate(10_000_000)
        with PipeFeeder(tmp_path, {"pipe": [Extent(file.fileno(), 0, 10_000_000)]}):
            reader = (tmp_path / "pipe").open("rb")
            assert reader.read(10) == bytes(10)
        assert len(reader.read()) < 10_000_000
        reader.close()


def test_an_archive_that_became_shorter_does_not_hang(tmp_path: Path) -> None:
    with (tmp_path / "archive").open("w+b") as file:
        file.truncate(1000)
        with PipeFeeder(tmp_path, {"pipe": [Extent(file.fileno(), 0, 5000)]}):
            assert len((tmp_path / "pipe").read_bytes()) == 1000
