"""Blobs through named pipes: each reader gets the whole blob, whoever else reads, and however often."""

from __future__ import annotations

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from wrapper.archive.pipes import Extent, PipeFeeder
from wrapper.errors import IncrementalError

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


def failing(call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of the system fail from now on."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


def failure_of(feeder: PipeFeeder) -> IncrementalError:
    """What the feeder says of itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            feeder.check()
        except IncrementalError as error:
            return error
        time.sleep(0.01)
    raise AssertionError("the feeder goes on")


@pytest.mark.parametrize(
    ("call", "number", "code", "words"),
    [
        ("mkfifo", errno.ENOSPC, 6, "cannot make a pipe in"),
        ("open", errno.EMFILE, 6, "cannot make a pipe in"),
        ("sendfile", errno.EIO, 6, "cannot read app.tar"),
    ],
)
def test_a_feeder_that_can_not_go_on_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: int, words: str
) -> None:
    (tmp_path / "archive").write_bytes(bytes(5000))
    with (tmp_path / "archive").open("rb") as file:
        feeder = PipeFeeder(tmp_path, {"pipe": [Extent(file.fileno(), 0, 5000)]}, "app.tar")
        with feeder:
            feeder.check()
            reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
            failing(call, number, monkeypatch)
            error = failure_of(feeder)
            assert error.code == code
            assert words in error.message
        monkeypatch.undo()
        os.close(reader)
    assert threading.active_count() < 20


def test_an_archive_that_became_shorter_is_told(tmp_path: Path) -> None:
    with (tmp_path / "archive").open("w+b") as file:
        file.truncate(1000)
        with PipeFeeder(tmp_path, {"pipe": [Extent(file.fileno(), 0, 5000)]}, "app.tar") as feeder:
            assert len((tmp_path / "pipe").read_bytes()) == 1000
            assert failure_of(feeder).code == 4


def test_whatever_goes_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipeFeeder, "_feed", lambda *_: 1 / 0)
    with PipeFeeder(tmp_path, {"pipe": [Extent(0, 0, 5000)]}) as feeder:
        assert (tmp_path / "pipe").read_bytes() == b""
        assert failure_of(feeder).code == 6


def test_a_read_that_hangs_does_not_keep_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a disk that is gone."""
    monkeypatch.setattr("wrapper.archive.pipes._GRACE", 0.1)
    goes_on = threading.Event()
    waited: list[bool] = []
    monkeypatch.setattr(os, "sendfile", lambda *_: waited.append(goes_on.wait(60)) or 0)
    with PipeFeeder(tmp_path, {"pipe": [Extent(0, 0, 5000)]}):
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        time.sleep(0.2)
    assert waited == []
    goes_on.set()
    os.close(reader)


def test_without_threads_there_are_no_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(OSError, match="thread"):
        PipeFeeder(tmp_path, {}).__enter__()
