"""Events: what is told of phases, items and bytes, and how their receiver ends an operation."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from wrapper.errors import host_errors
from wrapper.events import BEGUN, ENDED, KINDS, MOVED, NOTE, PHASES, WARNING, Event
from wrapper.host.progress import Progress
from wrapper.host.signals import check


class StoppedError(Exception):
    pass


def test_a_phase_from_its_begin_to_its_end() -> None:
    events: list[Event] = []
    with Progress(events.append).running() as progress:
        progress.plan("reading", "fetching")
        with progress.phase("fetching", 100):
            progress.begin("fetching", "app:2")
            progress.add("fetching", 30)
            progress("a note\x1b[1m")
            progress.warn("a warning")
    told = [event for event in events if event.kind != MOVED]
    assert told == [
        Event(BEGUN, "fetching", 2, 2, "app:2", 0, 100, "fetching app:2"),
        Event(NOTE, "fetching", 2, 2, "app:2", 30, 100, "a note\\x1b[1m"),
        Event(WARNING, "fetching", 2, 2, "app:2", 30, 100, "a warning"),
        Event(ENDED),
    ]
    last = [event for event in events if event.kind == MOVED and event.phase][-1]
    assert (last.bytes_done, last.bytes_total) == (100, 100)
    assert {event.kind for event in events} <= {*KINDS}
    assert {event.phase for event in events} <= {"", *PHASES}


def test_bytes_of_several_shares() -> None:
    events: list[Event] = []
    progress = Progress(events.append)
    with progress.phase("sending", 50), progress.phase("sending", 50):
        one, other = progress.share("sending", 50), progress.share("sending", 50)
        one.at(40)
        other.at(80)
        progress("both")
        # What was lost is not done any more; more than there is never is.
        one.at(10)
        progress("less")
    # Of a phase that nobody is in, nothing is counted.
    one.at(50)
    assert [event.bytes_done for event in events if event.kind == NOTE] == [90, 60]


def test_signs_of_life_while_nothing_else_happens() -> None:
    beats = threading.Semaphore(0)

    def receive(event: Event) -> None:
        if event.kind == MOVED and event.phase:
            beats.release()

    with Progress(receive).running() as progress, progress.phase("verifying", 10):
        for _ in range(3):
            assert beats.acquire(timeout=30)


def test_what_the_receiver_raises_ends_all_threads() -> None:
    def receive(event: Event) -> None:
        if event.message:
            raise StoppedError(event.message)

    def operation() -> None:
        with Progress(receive).running() as progress:
            thread = threading.Thread(target=partial(tell, progress))
            thread.start()
            thread.join()
            with pytest.raises(StoppedError):
                check()
            with pytest.raises(StoppedError):
                progress.add("fetching", 1)

    def tell(progress: Progress) -> None:
        with pytest.raises(StoppedError):
            progress("enough")

    with pytest.raises(StoppedError, match="enough"):
        operation()
    # Others go on.
    check()


def test_a_receiver_that_raises_too_late_for_anybody_to_look() -> None:
    raised = threading.Event()

    def receive(_event: Event) -> None:
        raised.set()
        raise StoppedError

    with pytest.raises(StoppedError), Progress(receive).running():
        assert raised.wait(30)


def test_nobody_listens() -> None:
    with Progress().running() as progress, progress.phase("reading"):
        progress("nothing")
        assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_what_the_receiver_raises_comes_out_whatever_it_was_taken_for() -> None:
    def receive(event: Event) -> None:
        if event.message:
            raise TimeoutError(event.message)

    def operation() -> None:
        with Progress(receive).running() as progress, host_errors("cannot write o.tar"):
            progress("enough")

    with pytest.raises(TimeoutError, match="enough"):
        operation()


def test_nothing_is_told_after_the_end() -> None:
    events: list[Event] = []
    with Progress(events.append).running() as progress:
        pass
    progress("late")
    assert events[-1].kind == ENDED


def test_bytes_that_are_sent_again_don_t_count_back() -> None:
    events: list[Event] = []
    progress = Progress(events.append)
    with progress.phase("sending", 10):
        share = progress.share("sending", 10)
        share.reach(7)
        share.reach(2)
        progress("now")
    assert [event.bytes_done for event in events if event.kind == NOTE] == [7]
