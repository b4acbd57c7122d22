"""Nothing is sent twice at the same time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wrapper.push.waves import waves


def test_what_nobody_else_has_goes_at_once() -> None:
    assert list(waves("abc", lambda item: {item})) == [["a", "b", "c"]]


def test_who_shares_a_blob_waits_for_the_first_to_bring_it() -> None:
    blobs = {"a": {1, 2}, "b": {2, 3}, "c": {2}, "d": {3}, "e": set()}
    assert list(waves("abcde", blobs.__getitem__)) == [["a", "d", "e"], ["b", "c"]]
    assert list(waves("", blobs.__getitem__)) == []


@given(st.lists(st.sets(st.integers(0, 9), max_size=4), max_size=12))
def test_each_goes_once_and_no_new_blob_goes_twice_in_a_wave(blobs: list[set[int]]) -> None:
    grouped = list(waves(range(len(blobs)), blobs.__getitem__))
    assert sorted(item for wave in grouped for item in wave) == list(range(len(blobs)))
    sent: set[int] = set()
    for wave in grouped:
        new = [blob for item in wave for blob in blobs[item] - sent]
        assert len(new) == len(set(new))
        sent.update(new)
