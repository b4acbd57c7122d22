"""Layers taken apart and put together again; deltas of them, and hostile ones."""

from __future__ import annotations

import io
import random
import tarfile
from typing import Any

import pytest

from tests.support.format1 import encode
from tests.support.streams import spelled, words
from wrapper.delta.format1 import TooLargeError, decode, parse_layer
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


@pytest.mark.parametrize("serialize", [spelled, lambda data: data])
def test_a_change_is_small(serialize: Any) -> None:
    rng = random.Random(8)
    large = [words(each, 20_000) + rng.randbytes(50_000) for each in range(4)]
    old, new = serialize(tar(*large)), serialize(tar(large[0], b"new", *large[1:]))
    parts, before = parse_layer(new), parse_layer(old)
    assert parts
    assert before
    for level in (1, 15, 22):
        delta = encode(parts, [before], level)
        assert decode(delta, [before], len(new), ROOM) == new
        assert len(delta) < len(new) // 50
    # Files from two layers.
    halves = [parse_layer(serialize(tar(*each))) for each in (large[:2], large[2:])]
    olds = [half for half in halves if half]
    delta = encode(parts, olds, 15)
    assert decode(delta, olds, len(new), ROOM) == new
    assert len(delta) < len(new) // 20


def test_hostile_deltas() -> None:
    old, new = (parse_layer(spelled(words(seed))) for seed in (9, 10))
    assert old
    assert new
    size = len(spelled(words(10)))
    delta = encode(new, [old], 15)
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
            decode(bad, [old], size, ROOM)
    for other in (size - 1, size + 1):
        with pytest.raises(ContentError):
            decode(delta, [old], other, ROOM)
    with pytest.raises(TooLargeError):
        decode(delta, [old], size, old.size)
    raw = parse_layer(tar(words(9)))
    assert raw
    with pytest.raises(ContentError):
        decode(delta, [raw], size, ROOM)
    rng = random.Random(11)
    for _ in range(300):
        bad = bytearray(delta)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            decode(bytes(bad), [old], size, ROOM)
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
        assert parse_layer(layer) is None
