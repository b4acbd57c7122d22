"""Several at a time, until that was too much."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from wrapper.skopeo.turns import Turns


def most_at_a_time(turns: Turns) -> int:
    running = most = 0
    lock = threading.Lock()

    def take_one() -> None:
        nonlocal running, most
        with turns.turn():
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            pool.submit(take_one)
    return most


def test_one_alone_where_several_were_too_much() -> None:
    turns = Turns()
    assert most_at_a_time(turns) > 1
    assert turns.at_most(6) == 6
    assert turns.only_one()
    assert not turns.only_one()
    assert most_at_a_time(turns) == turns.at_most(6) == 1
