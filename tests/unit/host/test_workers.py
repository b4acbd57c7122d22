"""Functions in processes of their own: what they return, what they raise, and how they end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from wrapper.errors import ContentError
from wrapper.host.workers import Worker, WorkerError, tell

HERE = __name__


def add(one: int, other: int) -> int:
    return one + other


def refuse(what: str) -> None:
    raise ContentError(what, "try another")


def fail() -> None:
    raise ZeroDivisionError("nobody expected this")


def write(text: str) -> None:
    os.write(1, text.encode())


def sleep() -> None:
    time.sleep(60)


def do_a_part() -> None:
    tell(0.75)
    time.sleep(60)


def test_a_result_comes_back() -> None:
    worker = Worker(f"{HERE}:add", [1, 2])
    assert worker.result() == 3
    assert not worker.is_running()


def test_an_error_of_ours_is_raised_here() -> None:
    with pytest.raises(ContentError, match="wrong") as raised:
        Worker(f"{HERE}:refuse", ["wrong"]).result()
    assert raised.value.next_step == "try another"


def test_any_other_error_is_told() -> None:
    with pytest.raises(WorkerError, match="ZeroDivisionError: nobody expected this"):
        Worker(f"{HERE}:fail", []).result()


def test_output_goes_where_it_is_told_to() -> None:
    reading, writing = os.pipe()
    worker = Worker(f"{HERE}:write", ["some text"], writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"some text"
    worker.result()


def test_it_says_how_far_it_is() -> None:
    # Here nobody listens.
    tell(0.5)
    worker = Worker(f"{HERE}:do_a_part", [])
    assert worker.told() in (0, 0.75)
    while not worker.told():
        assert not worker.wait(0.01)
    assert worker.told() == 0.75
    worker.end()


def test_one_that_is_killed() -> None:
    worker = Worker(f"{HERE}:sleep", [])
    assert not worker.wait(0.05)
    os.kill(worker._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="signal 9"):
        worker.result()


def test_one_that_is_ended_is_gone() -> None:
    worker = Worker(f"{HERE}:sleep", [])
    before = len([*Path("/proc/self/fd").iterdir()])
    worker.end()
    worker.end()
    assert not worker.is_running()
    assert len([*Path("/proc/self/fd").iterdir()]) == before - 3
