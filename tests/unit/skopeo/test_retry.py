"""How long and how often to try again."""

from __future__ import annotations

import pytest

from wrapper.errors import BusyError, LinkError, RegistryError
from wrapper.skopeo.retry import LONGEST_PAUSE, WAITING, Retries


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def fail() -> None:
    raise LinkError("the line is cut")


def test_pauses_grow_up_to_a_bound_each_and_together(pauses: list[float]) -> None:
    said: list[str] = []
    with pytest.raises(LinkError, match="the line is cut"):
        Retries(10_000, 1.0, said.append).run(fail)
    for number, pause in enumerate(pauses[:5]):
        assert 0.75 * 2**number <= pause <= 1.25 * 2**number
    assert max(pauses) <= LONGEST_PAUSE
    assert sum(pauses) == pytest.approx(WAITING)
    assert len(said) == len(pauses)
    assert said[0].startswith("the line is cut; trying again in ")
    assert said[0].endswith("(1 of 10000)")


def test_chance_parts_those_who_lost_the_same_link(pauses: list[float]) -> None:
    for _ in range(20):
        with pytest.raises(LinkError):
            Retries(1, 1.0, lambda _: None).run(fail)
    assert len(set(pauses)) > 10


def test_without_pauses_it_ends_all_the_same(pauses: list[float]) -> None:
    with pytest.raises(LinkError):
        Retries(3000, 0.0, lambda _: None).run(fail)
    assert pauses == [0.0] * 3000


def test_progress_counts_anew(pauses: list[float]) -> None:
    attempts = Retries(2, 1.0, lambda _: None).begin()
    for _ in range(10):
        attempts.wait_after(LinkError("cut"))
        attempts.progressed()
    attempts.wait_after(LinkError("cut"))
    attempts.wait_after(LinkError("cut"))
    with pytest.raises(LinkError):
        attempts.wait_after(LinkError("cut"))
    assert len(pauses) == 12


def test_nothing_but_a_link_is_tried_again(pauses: list[float]) -> None:
    def refuse() -> None:
        raise RegistryError("denied")

    with pytest.raises(RegistryError):
        Retries(5, 1.0, lambda _: None).run(refuse)
    with pytest.raises(LinkError):
        Retries(0, 1.0, lambda _: None).run(fail)
    assert pauses == []


def test_what_the_registry_asks_for_counts_up_to_the_same_bounds(pauses: list[float]) -> None:
    def too_fast(seconds: float) -> LinkError:
        error = BusyError("too many requests")
        error.retry_after = seconds
        return error

    attempts = Retries(3, 1.0, lambda _: None).begin()
    for seconds in (30.0, 3600.0, 0.1):
        attempts.wait_after(too_fast(seconds))
    assert pauses[:2] == [30.0, LONGEST_PAUSE]
    assert pauses[2] >= 3
