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


def test_so_many_at_a_time() -> None:
    assert most_at_a_time(Turns(3)) == 3


def test_one_alone_where_several_were_too_much() -> None:
    turns = Turns(4)
    assert most_at_a_time(turns) > 1
    assert not turns.alone
    turns.only_one()
    assert turns.alone
    assert most_at_a_time(turns) == 1


def test_who_does_not_wait_goes_away() -> None:
    turns = Turns(1)
    assert turns.take(wait=False)
    assert not turns.take(wait=False)
    turns.give_back()
    assert turns.take(wait=True)
