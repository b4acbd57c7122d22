"""What counts as progress of a run."""

from __future__ import annotations

import time

import pytest

from wrapper.skopeo.process import NOISE, StalledError, StallWatch

TIMEOUT = 0.2


def looks(steps: list[int], noise: int) -> None:
    """Look often enough, and long enough, while it grows by each step in turn."""
    came = [0]
    watch = StallWatch(lambda: came[0], TIMEOUT, noise)
    for step in steps:
        came[0] += step
        time.sleep(TIMEOUT / 8)
        watch.look()
    assert watch.moved == sum(steps)


@pytest.mark.parametrize("step", [0, 1, 8, NOISE])
def test_what_a_runtime_reads_to_wake_itself_is_no_progress(step: int) -> None:
    with pytest.raises(StalledError):
        looks([step] * 16, NOISE)


def test_an_answer_now_and_then_is_progress() -> None:
    looks([1, 1, 1, NOISE + 1] * 4, NOISE)


def test_of_what_is_counted_exactly_each_byte_is_progress() -> None:
    looks([1] * 16, 0)
