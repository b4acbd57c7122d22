"""What new content shares with older content is found, wherever it stands, in bounded memory."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import uncompiled
from wrapper.delta import blocks, search
from wrapper.delta.covers import Covers
from wrapper.delta.malformed import MalformedError
from wrapper.delta.members import Member, Parts, members, read_parts
from wrapper.delta.patch import Contents
from wrapper.delta.search import Search, find_covers, read_covers
from wrapper.host.workers import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.unit.delta.test_patch import Cover

PLAIN = uncompiled.load("blocks")

SEARCHES = {"quick": Search(True, 128 << 20, 2, tell), "thorough": Search(False, 128 << 20, 2, tell)}
every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def tar(*named: tuple[str, bytes], mtime: int = 0, kind: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as file:
        for name, data in named:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = mtime
            file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def parts_of(new: Contents, old: Contents) -> list[Parts]:
    """Return what contents consist of, as a search takes it."""
    found = [read_parts(new.read, new.length)]
    for begin, length in zip(old.begins, old.lengths, strict=True):
        own = read_parts(lambda place, count, begin=begin: old.read(begin + place, count), length)
        found.append(own.moved(begin))
    return found


def find(folder: Path, new: bytes, olds: Sequence[bytes], search: Search) -> tuple[list[Cover], int, int]:
    """Return the covers, how many bytes they don't cover, and in how many they are wrong."""
    (folder / "new").write_bytes(new)
    for number, old in enumerate(olds):
        (folder / f"old{number}").write_bytes(old)
    old = b"".join(olds)
    with (
        Contents([folder / "new"]) as fresh,
        Contents([folder / f"old{number}" for number in range(len(olds))]) as older,
    ):
        found = list(find_covers(fresh, older, parts_of(fresh, older), search))
    done = wrong = 0
    for begin, place, length in found:
        assert place >= done
        assert length >= 8
        assert 0 <= begin <= len(old) - length
        done = place + length
        if old[begin : begin + length] != new[place:done]:
            wrong += sum(a != b for a, b in zip(old[begin : begin + length], new[place:done], strict=True))
    assert done <= len(new)
    return found, len(new) - sum(length for _, _, length in found), wrong


@every_search
def test_equal_tars_are_one_cover(tmp_path: Path, search: Search) -> None:
    old = tar(*((str(number), noise(number, 700)) for number in range(30)))
    found, _, _ = find(tmp_path, old, [old], search)
    assert found[0] == (0, 0, 30 * 1536)


@every_search
def test_other_dates_are_differences(tmp_path: Path, search: Search) -> None:
    named = [(str(number), noise(number, 700)) for number in range(30)]
    found, left, wrong = find(tmp_path, tar(*named, mtime=1_700_000_000), [tar(*named)], search)
    assert found[0] == (0, 0, 30 * 1536)
    assert left < 20_000
    assert wrong < 30 * 30


@every_search
def test_what_moved_or_changed(tmp_path: Path, search: Search) -> None:
    data = [noise(number, 30_000) for number in range(6)]
    olds = [
        tar(("a", data[0]), ("b/c-1.2.so", data[1]), ("d", data[2])),
        tar(("gone", data[3]), ("e/f", data[4])),
    ]
    new = tar(
        ("a", data[0][:9000] + b"new" + data[0][9000:]),
        ("b/c-1.3.so", data[1][:100] + data[1][200:]),
        ("moved", data[2]),
        ("g/f", data[4] + b"more"),
        ("other", data[5]),
    )
    _, left, wrong = find(tmp_path, new, olds, search)
    assert left < 30_000 + 10_240 + 4000
    assert wrong < 500


@every_search
def test_no_tar(tmp_path: Path, search: Search) -> None:
    old, other = noise(1, 300_000), noise(2, 300_000)
    _, left, wrong = find(tmp_path, b"x" + old[100_000:] + other[:250_000], [other, old], search)
    assert (left, wrong) == (1, 0)


def test_long_stretches_are_found_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MUCH", 100)
    monkeypatch.setattr(search, "_READ", 1 << 13)
    inner = noise(1, 200_000)
    old = tar(("x", noise(2, 70_001) + inner))
    new = noise(3, 5003) + tar(("inner.tar", tar(("y", inner[:90_000] + inner[100_000:]), ("z", inner[50_000:]))))
    for each in SEARCHES.values():
        _, left, wrong = find(tmp_path, new, [noise(4, 40_000), old], each)
        assert left < 5003 + 10_240 * 2 + 2048
        assert wrong < 500


def test_large_members_are_compared_piece_by_piece(tmp_path: Path) -> None:
    old = noise(1, 6_000_000)
    fresh = bytearray(old)
    for place in range(0, len(old), 200):
        fresh[place] ^= 1
    new = tar(("x", bytes(fresh[:2_000_000]) + noise(2, 1000) + bytes(fresh[2_000_000:])))
    for quick in (False, True):
        _, left, wrong = find(tmp_path, new, [tar(("x", old))], Search(quick, 1 << 20, 1, tell, 1 << 20))
        assert left < 15_000
        assert wrong < 33_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_any_contents(tmp_path: Path, data: st.DataObject) -> None:
    pieces = [noise(seed, 700) for seed in range(5)]
    piece = st.sampled_from(pieces) | st.binary(max_size=20) | st.just(bytes(600))
    content = st.lists(piece, max_size=8).map(b"".join)
    tars = st.lists(st.tuples(st.sampled_from("abc"), content), max_size=4).map(lambda named: tar(*named))
    any_content = content | tars | st.tuples(tars, content).map(b"".join)
    new = data.draw(any_content)
    find(
        tmp_path,
        new,
        data.draw(st.lists(any_content, max_size=3)),
        data.draw(st.sampled_from([*SEARCHES.values()])),
    )


_SENDER = """
import sys
from pathlib import Path
from wrapper.delta.search import Search, find_covers
from wrapper.delta.members import read_parts
from wrapper.delta.patch import Contents
def most():
    return [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
new, old = (Contents([Path(path)]) for path in sys.argv[1:3])
parts = [read_parts(each.read, each.length) for each in (new, old)]
find_covers(new, old, parts, Search(sys.argv[3] == "quick", int(sys.argv[4]), 2, lambda _: None))
print(most())
"""


@pytest.mark.parametrize("search", ["quick", "thorough"])
def test_memory_is_kept(tmp_path: Path, search: str) -> None:
    old = noise(1, 24_000_000)
    fresh = bytearray(old)
    for place in range(0, len(old), 301):
        fresh[place] ^= 1
    (tmp_path / "old").write_bytes(tar(("x", old)))
    (tmp_path / "new").write_bytes(tar(("x", bytes(fresh))))
    words = [str(tmp_path / "new"), str(tmp_path / "old"), search, str(128 << 20)]
    ran = subprocess.run([sys.executable, "-c", _SENDER, *words], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 128 << 20


class TestCovers:
    def test_gaps(self) -> None:
        found = Covers()
        assert found.gaps(0) == []
        assert found.gaps(9) == [(0, 9)]
        for cover in ((50, 20, 10), (0, 5, 5), (5, 10, 10), (90, 40, 3)):
            found.add(*cover)
        ordered = found.ordered()
        assert list(ordered) == [(0, 5, 15), (50, 20, 10), (90, 40, 3)]
        assert ordered.gaps(50) == [(0, 5), (30, 40), (43, 50)]
        assert list(ordered.without_short_ones()) == [(0, 5, 15), (50, 20, 10)]


class TestMembers:
    def read(self, data: bytes) -> list[Member]:
        return list(members(lambda place, count: data[place : place + count], 0, len(data)))

    @pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_are_what_tarfile_says(self, kind: int) -> None:
        named = [("short", b"x" * 513), ("long/" * 18 + "long", b""), ("d" * 98 + "/e" * 60, b"y" * 512)]
        named += [] if kind == tarfile.USTAR_FORMAT else [("n\u00e4me" * 90, b"z")]
        data = tar(*named, kind=kind)
        with tarfile.open(fileobj=io.BytesIO(data)) as file:
            expected = [(member.name.encode(), member.offset_data, member.size) for member in file]
        found = self.read(data)
        assert [(member.name, member.data, member.size) for member in found] == expected
        assert [member.begin for member in found] == [0, *(member.end for member in found[:-1])]

    def test_links_have_no_data(self) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.LNKTYPE, "other"
            file.addfile(member)
        data = bytearray(out.getvalue())
        data[124:135] = b"00000001000"
        assert [(member.name, member.size) for member in self.read(bytes(data))] == [(b"link", 0)]

    @settings(max_examples=80)
    @given(st.data())
    def test_odd_ones_end_it(self, data: st.DataObject) -> None:
        text = bytearray(tar(("a", b"x" * 600), ("b" * 200, b"y"), ("c", b"z"), kind=tarfile.PAX_FORMAT))
        for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
            text[place] = data.draw(st.integers(0, 255))
        found = self.read(bytes(text[: data.draw(st.integers(0, len(text)))]))
        done = 0
        for member in found:
            assert done == member.begin < member.data <= member.end <= len(text)
            assert member.size >= 0
            done = member.end

    def test_many_take_seconds(self) -> None:
        one = tar(("a", b"x"))[:1024]
        begun = time.process_time()
        assert len(self.read(one * 50_000)) == 50_000
        assert time.process_time() - begun < 3


class TestBlocks:
    @settings(max_examples=50)
    @given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 5), max_size=12), st.integers(8, 40))
    def test_compiled_and_uncompiled_agree(self, old: list[int], new: list[int], block: int) -> None:
        pieces = [noise(seed, 61) for seed in range(5)] + [bytes(50)]
        older, fresh = (b"".join(pieces[number] for number in each) for each in (old, new))

        def found(module: Any) -> object:
            table = module.BlockTable(block, len(older) // block)
            table.add(older, 0)
            return table.covers(older, fresh, block), table.find(fresh, 3, len(fresh))

        assert found(blocks) == found(PLAIN)

    def test_places_outside(self) -> None:
        table = blocks.BlockTable(8, 10)
        table.add(b"12345678", 0)
        assert table.find(b"x12345678", 0, 9) == 1
        assert [table.find(b"x12345678", *where) for where in ((-1, 9), (0, 10), (2, 9), (0, 8), (9, 3))] == [
            -1
        ] * 5
        assert table.covers(b"", b"x12345678", 8) == []

    @given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30))
    def test_what_is_common(self, one: bytes, other: bytes, same: bytes) -> None:
        for module in (blocks, PLAIN):
            assert module.common_start(same + one, same + other) >= len(same)
            assert module.common_end(one + same, other + same) >= len(same)
            assert module.common_start(one, one) == module.common_end(one, one) == len(one)


class TestHDiffPatch:
    DIFF = b"HDIFF13&\0" + bytes((20, 10, 1, 3, 0, 0, 0, 0, 0, 0, 0)) + bytes((2, 5, 8))

    def test_covers(self) -> None:
        assert list(read_covers(self.DIFF, 10, 20)) == [(2, 5, 8)]

    @pytest.mark.parametrize("diff", [b"", b"HDIFF19&\0" + DIFF[9:], DIFF[:8], DIFF[:-1], DIFF[:12]])
    def test_something_else(self, diff: bytes) -> None:
        with pytest.raises(MalformedError):
            list(read_covers(diff, 10, 20))

    @given(st.data())
    def test_any_bytes(self, data: st.DataObject) -> None:
        diff = bytearray(self.DIFF)
        for place in data.draw(st.lists(st.integers(0, len(diff) - 1), max_size=3)):
            diff[place] = data.draw(st.integers(0, 255))
        try:
            found = list(read_covers(bytes(diff), 10, 20))
        except MalformedError:
            return
        for old, new, length in found:
            assert 0 <= old <= 10 - length
            assert 0 <= new <= 20 - length
