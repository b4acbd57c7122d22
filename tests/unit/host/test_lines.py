"""Events as lines."""

from __future__ import annotations

import io

import pytest

from wrapper.events import BEGUN, ENDED, MOVED, NOTE, WARNING, Event
from wrapper.host import lines
from wrapper.host.lines import PlainLines, clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: time[0])
    return time


def moved(done: int, total: int = 100_000_000) -> Event:
    return Event(MOVED, "fetching", 2, 3, "app:2", done, total)


def test_what_is_told_is_a_line_each(now: list[float]) -> None:
    out = io.StringIO()
    show = PlainLines(out)
    for event in (
        Event(BEGUN, "reading", 1, 3, "app:2", message="reading app:2"),
        Event(NOTE, "reading", message="1 layer"),
        Event(WARNING, "reading", message="no base has a layer"),
        Event(ENDED),
    ):
        show(event)
    assert out.getvalue() == "reading app:2\n1 layer\nwarning: no base has a layer\n"


def test_no_more_than_ten_seconds_without_a_line(now: list[float]) -> None:
    out = io.StringIO()
    show = PlainLines(out)
    spoken = [now[0]]
    for tick in range(400):
        now[0] += 0.25
        before = out.tell()
        # For half of the time nothing moves at all.
        show(moved(min(tick, 200) * 10_000))
        if out.tell() > before:
            spoken.append(now[0])
    assert all(later - earlier < 10 for earlier, later in zip(spoken, [*spoken[1:], now[0]], strict=True))
    assert len(spoken) < 20
    assert "[2/3] fetching app:2: 2.0 MB of 100.0 MB, 1:35 so far\n" in out.getvalue()


def test_a_line_for_every_twentieth_but_not_for_what_is_over_soon(now: list[float]) -> None:
    out = io.StringIO()
    show = PlainLines(out)
    show(moved(0))
    now[0] += 1
    show(moved(90_000_000))
    assert out.getvalue() == ""
    now[0] += 2
    show(moved(95_000_000))
    assert out.getvalue() == "[2/3] fetching app:2: 95.0 MB of 100.0 MB, 0:03 so far\n"
    # The same phase once more.
    now[0] += 1
    show(moved(0))
    now[0] += 5
    show(moved(50_000_000))
    assert out.getvalue().endswith("50.0 MB of 100.0 MB, 0:05 so far\n")


def test_times() -> None:
    assert [clock(each) for each in (0, 5.9, 65, 7210)] == ["0:00", "0:05", "1:05", "2:00:10"]
