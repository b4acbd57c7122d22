"""Layers taken apart and put together again; deltas of them, and hostile ones."""

from __future__ import annotations

import io
import random
import tarfile
from typing import Any

import pytest

from tests.support.streams import spelled, words
from wrapper.delta.codec import apply, make, take_apart
from wrapper.errors import ContentError

ROOM = 1 << 28


def tar(*files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for number, content in enumerate(files):
            member = tarfile.TarInfo(f"file{number}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("spell", [spelled, lambda data: data])
def test_a_change_is_small(spell: Any) -> None:
    rng = random.Random(8)
    large = [words(each, 20_000) + rng.randbytes(50_000) for each in range(4)]
    old, new = spell(tar(*large)), spell(tar(large[0], b"new", *large[1:]))
    parts, before = take_apart(new), take_apart(old)
    assert parts
    assert before
    for level in (1, 15, 22):
        delta = make(parts, [before], level)
        assert apply(delta, [before], len(new), ROOM) == new
        assert len(delta) < len(new) // 50
    # Files from two layers.
    halves = [take_apart(spell(tar(*each))) for each in (large[:2], large[2:])]
    olds = [half for half in halves if half]
    delta = make(parts, olds, 15)
    assert apply(delta, olds, len(new), ROOM) == new
    assert len(delta) < len(new) // 20


def test_hostile_deltas() -> None:
    old, new = (take_apart(spelled(words(seed))) for seed in (9, 10))
    assert old
    assert new
    size = len(spelled(words(10)))
    delta = make(new, [old], 15)
    for bad in (
        b"",
        b"LAYDELT9" + delta[8:],
        delta[:8] + b"\x07" + delta[9:],
        delta[:-1],
        delta + b"x",
        delta[:9] + (2**63).to_bytes(8, "little") + delta[17:],
        delta[:9] + (2**40).to_bytes(8, "little") + delta[17:],
        delta[:17] + (2**40).to_bytes(8, "little") + delta[25:],
    ):
        with pytest.raises(ContentError):
            apply(bad, [old], size, ROOM)
    for other in (size - 1, size + 1):
        with pytest.raises(ContentError):
            apply(delta, [old], other, ROOM)
    with pytest.raises(ContentError, match="memory"):
        apply(delta, [old], size, old.size)
    raw = take_apart(tar(words(9)))
    assert raw
    with pytest.raises(ContentError):
        apply(delta, [raw], size, ROOM)
    rng = random.Random(11)
    for _ in range(300):
        bad = bytearray(delta)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            apply(bytes(bad), [old], size, ROOM)
        except ContentError:
            continue


def test_what_can_not_be_taken_apart() -> None:
    for layer in (
        b"",
        b"text",
        b"\x28\xb5\x2f\xfd" + bytes(600),
        spelled(b"x")[:-3],
        b"\x1f\x8b\x08\xff" + bytes(600),
    ):
        assert take_apart(layer) is None
