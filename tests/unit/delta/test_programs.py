"""Programs in patches: what is read of them, which belong together, and what hostile ones do."""

from __future__ import annotations

import io
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import uncompiled
from tests.support.programs import AARCH64, X86_64, Linked, releases
from tests.support.world import tar
from tests.unit.delta.test_patch import Memory, follow
from tests.unit.delta.test_search import parts_of
from wrapper.delta import patch, programs
from wrapper.delta.change import Change, open_change
from wrapper.delta.covers import Covers
from wrapper.delta.make import Made, make_change
from wrapper.delta.malformed import MalformedError
from wrapper.delta.options import EFFORTS
from wrapper.delta.pairing import carried, cut, find_pairs
from wrapper.delta.patch import Contents
from wrapper.delta.programs import Pair, PairReader, Program, read_program, write_pairs
from wrapper.delta.varint import encode

if TYPE_CHECKING:
    from pathlib import Path

both_machines = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86-64", "aarch64"])
both_modules = pytest.mark.parametrize("module", [patch, uncompiled.load("patch")], ids=["compiled", "uncompiled"])


def make(folder: Path, new: bytes, *olds: bytes, effort: str = "default") -> tuple[Made, Change]:
    """Make a change and prove it."""
    (folder / "new").write_bytes(new)
    paths = [folder / f"old{number}" for number in range(len(olds))]
    for path, old in zip(paths, olds, strict=True):
        path.write_bytes(old)
    made = make_change(folder / "new", paths, folder / "change", effort, 256 << 20, folder)
    data = (folder / "change").read_bytes()
    found = open_change(lambda place, count: data[place : place + count], len(data))
    assert b"".join(found.apply([paths[each] for each in made.used])) == new
    return made, found


@both_machines
@pytest.mark.parametrize("effort", EFFORTS)
def test_programs_among_other_files(tmp_path: Path, machine: int, effort: str) -> None:
    old, new = releases(machine, 400)
    before = tar({"text": b"text" * 100, "bin/program": old.data, "zz": b"z"})
    after = tar({"text": b"other" * 100, "bin/program": new.data, "zz": b"zz"})
    made, _ = make(tmp_path, after, before, effort=effort)
    assert made.programs == 1
    plain = made.size
    # The same without what says that they are programs.
    made, _ = make(tmp_path, after.replace(b"\x7fELF", b"\x7fELG"), before.replace(b"\x7fELF", b"\x7fELG"))
    assert made.programs == 0
    assert plain < made.size * 0.7


def test_several_in_several_layers(tmp_path: Path) -> None:
    """They moved, one has become two, one is for another machine now."""
    one, two, other = releases(X86_64, 200), releases(X86_64, 150), releases(AARCH64, 100)
    olds = [tar({"a": one[0].data}), tar({"b": two[0].data, "c": other[0].data})]
    new = tar({"d": two[1].data, "b": two[1].data, "a": one[1].data, "c": one[0].data, "e": other[1].data})
    made, _ = make(tmp_path, new, *olds)
    assert made.used == (0, 1)
    assert made.programs >= 3


def test_those_that_did_not_change_cost_nothing(tmp_path: Path) -> None:
    old, _ = releases(X86_64)
    made, _ = make(tmp_path, tar({"a": old.data, "b": b"new"}), tar({"a": old.data}))
    assert made.programs == 0


def test_long_programs_are_predicted_block_by_block(tmp_path: Path) -> None:
    """Covers longer than a block, and content longer than a piece."""
    old, new = releases(X86_64, 6000)
    assert len(new.data) > 1 << 20
    made, _ = make(tmp_path, tar({"x": bytes(900_000), "a": new.data}), tar({"a": old.data, "y": b"y"}))
    assert made.programs == 1


class TestReadProgram:
    def read(self, data: bytes) -> Program | None:
        return read_program(lambda place, count: data[place : place + count], 0, len(data))

    @both_machines
    def test_segments(self, machine: int) -> None:
        linked, _ = releases(machine)
        found = self.read(linked.data)
        assert found
        assert (found.machine, len(found.segments), found.end) == (machine, 2, len(linked.data))
        assert found.segments[0][:2] == (0x1000, 0x401000)

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (0, b"\x7fELG"),
            (4, b"\x01"),
            (5, b"\x02"),
            (18, b"\x28\x00"),
            (32, b"\xff" * 8),
            (32, struct.pack("<Q", 1 << 62)),
            (54, b"\x00\x00"),
            (56, b"\x00\x00"),
            (56, b"\xff\xff"),
            # The first segment's address, offset, and lengths.
            (80, b"\xff" * 8),
            (72, struct.pack("<Q", 1 << 33)),
            (96, struct.pack("<Q", 1 << 33)),
            (104, bytes(8)),
        ],
    )
    def test_odd_ones_are_none(self, place: int, value: bytes) -> None:
        data = bytearray(releases(X86_64)[0].data)
        data[place : place + len(value)] = value
        assert self.read(bytes(data)) is None

    def test_short_ones_are_none(self) -> None:
        data = releases(X86_64)[0].data
        for size in (0, 3, 63, 64, 65, 175):
            assert self.read(data[:size]) is None


class Numbers:
    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def has_more(self) -> int:
        return len(self.numbers)

    def next_number(self) -> int:
        if not self.numbers:
            raise MalformedError("a stream ends too early")
        return self.numbers.pop(0)


LINKED, _ = releases(X86_64)
SIZE = len(LINKED.data)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ((0, 100_001, 0, SIZE), "outside"),
        ((100_000, 1, 0, SIZE), "outside"),
        ((0, 1, 1, SIZE), "outside"),
        ((0, 1, 2, SIZE), "outside"),
        ((0, 1, 0, SIZE + 1), "outside"),
        ((0, 1, 0, SIZE - 1_000_000), "outside"),
        ((0, 1, 0, 20), "none"),
        ((0, 1, 0), "ends"),
        ((0, 1, 0, SIZE, 0, 0, 0, 0, 0, 0, 0), "ends"),
        ((0, 1, 0, SIZE, 2 << 40, 0, 0, 0, 0, 0, 0, 0), "segment"),
        ((0, 1, 0, SIZE, 0, 2 << 50, 0, 0, 0, 0, 0, 0), "segment"),
        ((0, 1, 0, SIZE, 0, 0, 2 << 33, 2 << 33, 0, 0, 0, 0), "segment"),
        ((0, 1, 0, SIZE, 0, 0, 0, 1, 0, 0, 0, 0), "segment"),
        ((0, 1, 0, SIZE, 0x3001, 0, 0, 0, 0, 0, 0, 0), "segment"),
    ],
)
def test_hostile_pairs(numbers: tuple[int, ...], why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        PairReader(Numbers(*numbers), Memory(LINKED.data), 100_000).reaches(0)


def test_hostile_sizes() -> None:
    """What is longer than 4 GiB is no program."""
    numbers = Numbers(0, 1 << 32, 0, SIZE)
    with pytest.raises(MalformedError, match="none"):
        PairReader(numbers, Memory(LINKED.data), 1 << 40).reaches(0)


def test_pairs_come_back() -> None:
    program = read_program(Memory(LINKED.data * 3).read, SIZE, SIZE)
    assert program
    shifted = tuple((a + 5, b - 3, c - 1, d + 7) for a, b, c, d in program.segments)
    pairs = [
        Pair(Program(10, SIZE, X86_64, shifted), program),
        Pair(Program(SIZE + 10, 900, X86_64, program.segments), program._replace(begin=0)),
    ]
    data = write_pairs(pairs)
    source = patch.Source(iter([data, b"", b""]).__next__)
    reader = PairReader(source, Memory(LINKED.data * 3), 100_000)
    found = []
    place = 0
    while reader.reaches(place) or reader.turn <= 100_000:
        assert reader._pair
        found.append(reader._pair)
        place = reader.end
    assert found == pairs


def streams(old: Linked, new: Linked, folder: Path) -> tuple[list[bytes], Pair]:
    """The eight streams of a patch with programs."""
    for name, linked in (("old", old), ("new", new)):
        (folder / name).write_bytes(tar({"x": linked.data}))
    outs = [io.BytesIO() for _ in range(11)]
    with Contents([folder / "new"]) as fresh, Contents([folder / "old"]) as before:
        covers = Covers()
        for name, (place, length) in new.places.items():
            if name in old.places:
                covers.append(512 + old.places[name][0], 512 + place, length)
        covers = covers.ordered()
        pairs = find_pairs(fresh, before, parts_of(fresh, before), covers)
        covers = cut(covers, pairs)
        writer = patch.PatchWriter([patch.Sink(out.write) for place, out in enumerate(outs[:-1]) if place != 5])
        done = 0
        for (begin, place, length), read in carried(covers, pairs, before):
            outs[5].write(fresh.read(done, place - done))
            writer.cover(begin, place, length)
            writer.compare(read(begin, place, length), fresh.read(place, length))
            done = place + length
        outs[5].write(fresh.read(done, fresh.length - done))
        writer.finish()
        outs[-1].write(write_pairs(pairs))
    found = [out.getvalue() for out in outs]
    return [*found[:6], *found[9:]], pairs[0]


@both_modules
@both_machines
def test_patches_with_programs(tmp_path: Path, machine: int, module: Any) -> None:
    old, new = releases(machine)
    parts, _ = streams(old, new, tmp_path)
    # All that stays is predicted: no byte differs.
    assert parts[3:5] == [b"", b""]
    before, after = ((tmp_path / name).read_bytes() for name in ("old", "new"))
    for piece in (1, 1000):
        assert follow(parts, before, len(after), piece, module) == after


@both_modules
def test_programs_that_are_left_over(tmp_path: Path, module: Any) -> None:
    parts, pair = streams(*releases(X86_64), tmp_path)
    before, after = ((tmp_path / name).read_bytes() for name in ("old", "new"))
    parts[-1] += encode(len(after) - pair.new.end) + bytes(40)
    with pytest.raises(MalformedError, match=r"none|left over"):
        follow(parts, before, len(after), module=module)


@both_modules
def test_a_program_with_too_many_covers(tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, _ = streams(*releases(X86_64), tmp_path)
    before, after = ((tmp_path / name).read_bytes() for name in ("old", "new"))
    monkeypatch.setattr(module, "MOST_COVERS", 50)
    with pytest.raises(MalformedError, match="more covers"):
        follow(parts, before, len(after), module=module)


def test_cutting_covers_where_programs_begin_and_end() -> None:
    old = Program(1000, 500, X86_64, ())
    pairs = [Pair(Program(100, 400, X86_64, ()), old), Pair(Program(500, 300, X86_64, ()), old)]
    covers = Covers()
    covers.append(900, 50, 600)
    covers.append(5000, 700, 200)
    found = list(cut(covers, pairs))
    for (old_place, place, length), (next_old, next_place, _) in pairwise(found[:-2]):
        assert (old_place + length, place + length) == (next_old, next_place)
    assert sum(length for _, _, length in found) == 800
    for cover in found:
        inside = [pair for pair in pairs if pair.has(*cover)]
        overlapping = [
            pair
            for pair in pairs
            if pair.new.begin < cover[1] + cover[2]
            and cover[1] < pair.new.end
            and old.begin < cover[0] + cover[2]
            and cover[0] < old.end
        ]
        assert inside == overlapping
    assert len(found) < programs.MOST_COVERS
