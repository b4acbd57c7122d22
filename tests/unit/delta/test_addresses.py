"""Addresses in programs are predicted by where what they point to went; compiled or not, it is the same."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.programs import AARCH64, X86_64, Linked, releases
from wrapper.delta import addresses
from wrapper.delta.addresses import LEAD, MOST_SEGMENTS, Addresses, unequal
from wrapper.delta.covers import Covers
from wrapper.delta.programs import read_program

PLAIN = uncompiled.load("addresses")

both_machines = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86-64", "aarch64"])


def segments(linked: Linked) -> tuple[tuple[int, int, int, int], ...]:
    program = read_program(lambda place, count: linked.data[place : place + count], 0, len(linked.data))
    assert program
    return program.segments


def covers_of(old: Linked, new: Linked) -> Covers:
    """Each function that stays, and the data."""
    found = Covers()
    for name, (place, length) in new.places.items():
        if name in old.places:
            found.append(old.places[name][0], place, length)
    return found


def carried(known: Any, old: bytes, cover: tuple[int, int, int]) -> bytes:
    begin, place, length = cover
    lead = min(LEAD, begin)
    return bytes(known.carry(old[begin - lead : begin + length], lead, begin, place))


@both_machines
def test_what_stays_has_the_new_addresses(machine: int) -> None:
    old, new = releases(machine)
    covers = covers_of(old, new)
    known = Addresses(machine, segments(old), segments(new), covers)
    before = 0
    for cover in covers:
        begin, place, length = cover
        now = new.data[place : place + length]
        assert carried(known, old.data, cover) == now
        before += unequal(old.data[begin : begin + length], now)
    assert before > 200


@both_machines
def test_what_is_not_known_stays_as_it_is(machine: int) -> None:
    """No covers at all, or no segments: nothing is predicted."""
    old, _ = releases(machine)
    for known in (Addresses(machine, segments(old), segments(old), Covers()), Addresses(machine, [], [], Covers())):
        assert carried(known, old.data, (0, 0, len(old.data))) == old.data


def test_zeroed_memory_moves_with_its_segment() -> None:
    """An operand that points behind what is in the file."""
    code = b"\x90\x90\x48\x8d\x05" + (0x5000 + 0x40 - 9).to_bytes(4, "little")
    old_segments = [(0, 0, 100, 100), (100, 0x4000, 0x1000, 0x1100)]
    new_segments = [(0, 0, 100, 100), (100, 0x4000, 0x1010, 0x1110)]
    covers = Covers()
    covers.append(0, 0, len(code))
    known = Addresses(X86_64, old_segments, new_segments, covers)
    assert carried(known, code, (0, 0, len(code)))[5:] == (0x5010 + 0x40 - 9).to_bytes(4, "little")


def test_the_first_of_two_covers_counts() -> None:
    pointer = bytes(8) + (0x1000).to_bytes(8, "little")
    covers = Covers()
    for new in (0x2000, 0x3000):
        covers.append(0x1000, new, 64)
    known = Addresses(X86_64, [(0, 0, 0x8000, 0x8000)], [(0, 0, 0x8000, 0x8000)], covers)
    assert carried(known, pointer, (0, 0, 16))[8:] == (0x2000).to_bytes(8, "little")


def test_segments_have_to_fit() -> None:
    one = (0, 0, 1, 1)
    for old, new in (([one], []), ([one] * (MOST_SEGMENTS + 1),) * 2):
        with pytest.raises(ValueError, match="fit"):
            Addresses(X86_64, old, new, Covers())


numbers = st.integers(0, 1 << 12) | st.integers(0, (1 << 47) - 1)
small = st.integers(0, 600)


@given(st.data(), st.sampled_from([X86_64, AARCH64]))
def test_any_bytes_are_carried_the_same_compiled_or_not(data: st.DataObject, machine: int) -> None:
    count = data.draw(st.integers(0, 3))
    tables = []
    for _ in range(2):
        table = []
        for _ in range(count):
            size = data.draw(small)
            table.append((data.draw(small), data.draw(numbers), size, size + data.draw(small)))
        tables.append(table)
    covers = Covers()
    for _ in range(data.draw(st.integers(0, 6))):
        covers.append(data.draw(small), data.draw(small), data.draw(st.integers(1, 300)))
    code = st.sampled_from([b"\xe8", b"\x0f\x84", b"\x48\x8b\x05", b"\x00\x00", b"\x94", b"\x90", b"\x91"])
    content = b"".join(data.draw(st.lists(code | st.binary(max_size=6), max_size=40)))
    lead = data.draw(st.integers(0, min(LEAD, len(content))))
    places = data.draw(small), data.draw(small)
    compiled = Addresses(machine, *tables, covers).carry(content, lead, *places)
    assert compiled == PLAIN.Addresses(machine, *tables, covers).carry(content, lead, *places)
    assert len(compiled) == len(content) - lead


# Both sides have to predict the same, for ever: what is carried otherwise is a format of its own.
GOLDEN = {
    X86_64: "042f665bca54525109c01cc3ede889b97bb34e0745d22b7f1cd181ee08a31bd0",
    AARCH64: "694aac618a6ff5225479c56022dbc5c72ce53266ecdd57ab24f4201d3fd53401",
}


@both_machines
@pytest.mark.parametrize("module", [addresses, PLAIN], ids=["compiled", "uncompiled"])
def test_predictions_are_never_changed(machine: int, module: Any) -> None:
    rng = random.Random(machine)
    old, new = releases(machine)
    covers = covers_of(old, new)
    for _ in range(50):
        covers.append(rng.randrange(0x3000), rng.randrange(0x3000), rng.randrange(1, 0x400))
    content = bytearray(old.data)
    for _ in range(len(content) // 30):
        content[rng.randrange(len(content))] = rng.randrange(256)
    known = module.Addresses(machine, segments(old), segments(new), covers)
    out = known.carry(bytes(content[0x800:]), LEAD, 0x802, 0x810)
    assert unequal(bytes(out), bytes(content[0x802:])) > 200
    assert hashlib.sha256(out).hexdigest() == GOLDEN[machine]


def test_unequal_bytes_are_counted() -> None:
    assert unequal(b"abcd", b"axcy") == 2
    with pytest.raises(ValueError, match="as many"):
        unequal(b"a", b"ab")
