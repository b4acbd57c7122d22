"""Streams inside of a layer's files are opened, and closed again as they were; hostile openings end in an error."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import struct
import subprocess
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.jars import jar, releases, text
from tests.unit.delta.test_change import apply, make, noise, opened, tar
from wrapper.delta import make as making
from wrapper.delta import nesting, openings, patch, recipe
from wrapper.delta.malformed import MalformedError
from wrapper.delta.openings import View, close_content, open_content
from wrapper.delta.options import EFFORTS
from wrapper.delta.varint import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from wrapper.delta.make import Made

both_modules = pytest.mark.parametrize(
    "modules",
    [(openings, patch, recipe), tuple(uncompiled.load(name) for name in ("openings", "patch", "recipe"))],
    ids=["compiled", "uncompiled"],
)


def image(pixels: bytes, level: int = 9) -> bytes:
    """A PNG, as far as that matters."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 64, len(pixels) // 65, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(pixels, level)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gnu_gzip(data: bytes) -> bytes:
    return subprocess.run(["gzip", "-9", "-n", "-c"], input=data, check=True, capture_output=True).stdout


OLD_FILES, NEW_FILES = releases()
CHANGED = sum(data != OLD_FILES[name] for name, data in NEW_FILES.items())
MANUALS = {f"man/{number}": text(100 + number, 20_000) for number in range(4)}


def jars(files: Mapping[str, bytes], **how: Any) -> bytes:
    return tar({"app/readme": b"read me", "app/lib.jar": jar(files, **how), "app/z": b"z"})


def manuals(mark: bytes) -> bytes:
    return tar({f"{name}.gz": gnu_gzip(data[:9000] + mark + data[9000:]) for name, data in MANUALS.items()})


def pictures(mark: bytes) -> bytes:
    return tar({f"{name}.png": image(data[:9000] + mark + data[9000:]) for name, data in MANUALS.items()})


PAIRS: dict[str, tuple[bytes, bytes, int]] = {
    "jar": (jars(OLD_FILES), jars(NEW_FILES), CHANGED),
    "lengths that follow": (jars(OLD_FILES, seekable=False), jars(NEW_FILES, seekable=False), CHANGED),
    "other level": (jars(OLD_FILES, level=1), jars(NEW_FILES, level=6), len(NEW_FILES)),
    "stored before": (jars(OLD_FILES, stored=[*OLD_FILES]), jars(NEW_FILES), len(NEW_FILES)),
    "jar in a jar, stored": (
        jars({"BOOT/a.jar": jar(OLD_FILES)}, stored=["BOOT/a.jar"]),
        jars({"BOOT/a.jar": jar(NEW_FILES)}, stored=["BOOT/a.jar"]),
        CHANGED,
    ),
    "jar in a war": (
        jars({"WEB-INF/a.jar": jar(OLD_FILES)}),
        jars({"WEB-INF/a.jar": jar(NEW_FILES)}),
        1 + CHANGED,
    ),
    "manuals": (manuals(b""), manuals(b"a change"), len(MANUALS)),
    "pictures": (pictures(b""), pictures(b"a change"), len(MANUALS)),
    "no tar": (jar(OLD_FILES), jar(NEW_FILES), CHANGED),
    "all kinds": (
        tar({"a": jars(OLD_FILES), "b": manuals(b""), "c": pictures(b"")}),
        tar({"a": jars(NEW_FILES), "b": manuals(b"a change"), "c": pictures(b"a change")}),
        CHANGED + 2 * len(MANUALS),
    ),
}


@pytest.mark.parametrize(
    ("name", "effort"), [*((name, "fast") for name in PAIRS), *(("all kinds", effort) for effort in EFFORTS[1:])]
)
def test_streams_are_opened_and_closed(
    tmp_path: Path, name: str, effort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, streams = PAIRS[name]
    layer = gzip.compress(new)
    made, data = make(tmp_path, layer, [old], effort)
    assert made.opened == streams
    assert apply(tmp_path, data, made.used) == layer
    assert b"".join(opened(data).apply_content([tmp_path / "old0"])) == new
    monkeypatch.setattr(making, "open_streams", lambda *_: iter(()))
    as_it_is, _ = make(tmp_path, layer, [old], effort)
    assert as_it_is.opened == 0
    assert made.size < as_it_is.size * 0.6


@pytest.mark.parametrize("name", PAIRS)
def test_first_deliveries(tmp_path: Path, name: str) -> None:
    _, new, _ = PAIRS[name]
    made, data = make(tmp_path, new)
    assert made.opened >= len(MANUALS)
    assert opened(data).room == 0
    assert apply(tmp_path, data, ()) == new


def test_several_older_contents_and_those_that_are_of_no_use(tmp_path: Path) -> None:
    """Streams are opened in those that are left, wherever they stand."""
    olds = [jars({"x": noise(5, 9000)}), tar({"a": jars(OLD_FILES)}), tar({"none": noise(7, 9000)}), manuals(b"")]
    new = tar({"a": jars(NEW_FILES), "b": manuals(b"a change")})
    made, data = make(tmp_path, new, olds)
    assert made.used == (1, 3)
    assert made.opened == CHANGED + len(MANUALS)
    assert made.size < 3000
    found = opened(data)
    assert found.room > sum(map(len, OLD_FILES.values())) // 2
    assert apply(tmp_path, data, made.used) == new
    # What was opened is gone.
    names = {"change", "layer", *(f"old{number}" for number in range(4))}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_what_did_not_change_stays_closed(tmp_path: Path) -> None:
    made, data = make(tmp_path, tar({"moved.jar": jar(OLD_FILES)}), [jars(OLD_FILES)])
    assert made.opened == 0
    assert made.size < 500
    assert apply(tmp_path, data, made.used) == tar({"moved.jar": jar(OLD_FILES)})


def odd(data: bytes, seed: int) -> bytes:
    """A deflate stream that no model is good at: each stretch was made in another way, and begins anew."""
    chance = random.Random(seed)
    out = b""
    place = 0
    while place < len(data):
        step = chance.randrange(300, 900)
        strategy = chance.choice([zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY])
        compressor = zlib.compressobj(chance.randrange(1, 10), wbits=-15, strategy=strategy)
        out += compressor.compress(data[place : place + step]) + compressor.flush(zlib.Z_FULL_FLUSH)
        place += step
    return out + b"\x01\0\0\xff\xff"


def with_odd(files: Mapping[str, bytes], odd_ones: Sequence[str]) -> bytes:
    """A zip in which some streams were made by nobody who is known."""
    out = b""
    for name, data in files.items():
        packed = odd(data, zlib.crc32(name.encode())) if name in odd_ones else zlib.compress(data, 6, -15)
        head = (20, 0, 8, 0, 0, zlib.crc32(data), len(packed), len(data), len(name), 0)
        out += struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *head) + name.encode() + packed
    return out


def test_streams_of_unknown_compressors_stay_closed(tmp_path: Path) -> None:
    names = [*OLD_FILES]
    old, new = (tar({"a.zip": with_odd(files, names[4:9])}) for files in (OLD_FILES, NEW_FILES))
    made, data = make(tmp_path, new, [old])
    assert made.opened == CHANGED - sum(NEW_FILES[name] != OLD_FILES[name] for name in names[4:9])
    assert apply(tmp_path, data, made.used) == new


JAR = jar(NEW_FILES)
LAST = JAR.rindex(b"PK\x03\x04")
LONG = gnu_gzip(text(1, 90_000))
ODD: dict[str, Callable[[], bytes]] = {
    "cut": lambda: JAR[:-3000],
    "cut in a header": lambda: JAR[: LAST + 20],
    "cut in a stream": lambda: JAR[: LAST + 90],
    "encrypted": lambda: JAR.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\x01\0"),
    "lying sizes": lambda: JAR.replace(b"\x16\0\0\0org", b"\x16\0\0\x01org").replace(b"\0\0!\0", b"\0\0!\xff"),
    "long names": lambda: JAR.replace(b"\0\0org", b"\xff\xfforg"),
    "overlapping": lambda: JAR[:700] + JAR[:700] + JAR,
    "signatures": lambda: b"PK\x03\x04" * 500 + b"\x1f\x8b\x08" * 500 + b"IDAT" * 500,
    "gzip flags": lambda: b"".join(b"\x1f\x8b\x08" + bytes([flags]) + bytes(30) for flags in range(256)),
    "gzip without end": lambda: LONG[:-9],
    "gzip, wrong sum": lambda: LONG[:-8] + bytes(8),
    "bomb": lambda: jar({"a": bytes(200 << 20), "b": text(1, 90_000)}),
    "many empty": lambda: jar({str(number): b"" for number in range(5000)}),
    "many short": lambda: jar({str(number): b"0123456789" * 2 for number in range(5000)}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_come_back(tmp_path: Path, name: str) -> None:
    new = tar({"a": ODD[name](), "b": b"b"})
    for olds in ((), (jars(OLD_FILES),)):
        made, change = make(tmp_path, new, olds, "fast")
        assert not made.reason
        assert apply(tmp_path, change, made.used) == new
        assert name != "bomb" or made.opened == 1


def test_without_room_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nesting, "open_content", full)
    old, new, _ = PAIRS["jar"]
    made, data = make(tmp_path, new, [old])
    assert (made.opened, made.reason) == (0, "")
    assert apply(tmp_path, data, made.used) == new


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(data=st.data())
def test_any_files_come_back(tmp_path: Path, data: st.DataObject) -> None:
    pieces = [text(seed, 4000) for seed in range(6)]

    def content() -> bytes:
        files = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(pieces) | st.binary(max_size=50))
        ways = st.sampled_from([jar, lambda each: jar(each, seekable=False), lambda each: jar(each, level=1)])
        found = b"".join(data.draw(ways)(each) for each in data.draw(st.lists(files, max_size=3)))
        for way in data.draw(
            st.lists(st.sampled_from([gzip.compress, image, lambda each: jar({"a": each})]), max_size=2)
        ):
            found = way(found)
        return tar({"x": found, "y": data.draw(st.binary(max_size=30))})

    new = content()
    olds = [content() for _ in range(data.draw(st.integers(0, 2)))]
    made, change = make(tmp_path, new, olds, "fast")
    assert not made.reason
    assert apply(tmp_path, change, made.used) == new


# What follows is what a receiver has to do with openings of hostile origin.


def source(module: Any, *values: int) -> Any:
    return module.Source(iter([b"".join(map(encode, values)), b""]).__next__)


RAW = [text(1, 5000), text(2, 40_000), text(3, 60_000)]


def bare_recipe(streams: Sequence[bytes]) -> bytes:
    members = [b"\x1f\x8b\x08" + bytes(7) + zlib.compress(each, 6, -15) + bytes(8) for each in streams]
    return recipe.analyse(io.BytesIO(b"".join(members)).read, bare=True).recipe


RECIPE = bare_recipe(RAW)
CLOSED = b"ab" + b"cde".join(zlib.compress(each, 6, -15) for each in RAW) + b"f"
RIGHT = (3, 2, 3, 3)


@both_modules
@pytest.mark.parametrize("piece", [1 << 20, 30_000])
def test_closing(modules: Any, piece: int) -> None:
    module, patches, recipes = modules
    content = b"ab" + b"cde".join(RAW) + b"f"
    pieces = [content[place : place + piece] for place in range(0, len(content), piece)]
    numbers = source(patches, *RIGHT)
    found = module.close_content(pieces, numbers, [recipes.Recipe(RECIPE)], len(CLOSED))
    assert b"".join(found) == CLOSED


@both_modules
def test_several_recipes(modules: Any) -> None:
    module, patches, recipes = modules
    numbers = source(patches, 3, 2, 1, 0, 0, 1, 1)
    packed = [recipes.Recipe(bare_recipe(each)) for each in (RAW[:1], RAW[1:2] + RAW[:1])]
    content = b"ab" + RAW[1] + RAW[0] + b"c" + RAW[0]
    expected = b"ab" + b"c".join(
        [zlib.compress(RAW[1], 6, -15) + zlib.compress(RAW[0], 6, -15), zlib.compress(RAW[0], 6, -15)]
    )
    assert b"".join(module.close_content([content], numbers, packed, len(expected))) == expected


@pytest.mark.parametrize(
    ("numbers", "more", "why"),
    [
        ((2, 2, 3), 0, "less content"),
        ((*RIGHT, 0), 0, "left over"),
        (RIGHT[:-1], 0, "too early"),
        ((), 0, "too early"),
        ((4, *RIGHT[1:], 0), 0, "too early"),
        ((1 << 40,), 0, "more streams"),
        ((3, 1 << 50, 3, 3), 0, "longer|outside"),
        ((3, 2, 3, 4), 0, "outside"),
        (RIGHT, 1, "shorter"),
        (RIGHT, -1, "longer"),
        (RIGHT, -2000, "longer"),
    ],
)
def test_hostile_openings(numbers: tuple[int, ...], more: int, why: str) -> None:
    content = b"ab" + b"cde".join(RAW)
    size = len(CLOSED) - 1 + more
    with pytest.raises(MalformedError, match=why):
        list(close_content([content], source(patch, *numbers), [recipe.Recipe(RECIPE)], size))


def test_a_recipe_that_there_is_not() -> None:
    own = [recipe.Recipe(bare_recipe(RAW[:1])) for _ in range(2)]
    with pytest.raises(MalformedError, match="recipe that does not exist"):
        list(close_content([RAW[0] * 2], source(patch, 2, 0, 0, 0, 2), own, 90_000))


def test_recipes_of_whole_streams_close_nothing() -> None:
    whole = recipe.analyse(io.BytesIO(gzip.compress(RAW[0])).read).recipe
    with pytest.raises(MalformedError):
        list(close_content([RAW[0]], source(patch, 1, 0), [recipe.Recipe(whole)], 90_000))


class TestOpening:
    def content(self, folder: Path) -> Path:
        (folder / "content").write_bytes(CLOSED)
        return folder / "content"

    def test_right(self, tmp_path: Path) -> None:
        size = len(b"ab" + b"cde".join(RAW) + b"f")
        open_content(self.content(tmp_path), [2, 3, 3], tmp_path / "out", size)
        assert (tmp_path / "out").read_bytes() == b"ab" + b"cde".join(RAW) + b"f"

    @pytest.mark.parametrize("change", [-1, 1, -60_000])
    def test_lying_lengths(self, tmp_path: Path, change: int) -> None:
        size = len(b"ab" + b"cde".join(RAW) + b"f") + change
        with pytest.raises(MalformedError, match=r"longer|shorter"):
            open_content(self.content(tmp_path), [2, 3, 3], tmp_path / "out", size)
        assert (tmp_path / "out").stat().st_size <= size

    @pytest.mark.parametrize("gaps", [[3], [2, 4], [2, 3, 3, 0], [2, 3, 3, 1], [2, 3, 3, 2], [1 << 50]])
    def test_wrong_places(self, tmp_path: Path, gaps: list[int]) -> None:
        with pytest.raises(MalformedError):
            open_content(self.content(tmp_path), gaps, tmp_path / "out", 1 << 30)

    def test_a_bomb_is_not_written(self, tmp_path: Path) -> None:
        (tmp_path / "bomb").write_bytes(zlib.compress(bytes(300 << 20), 9, -15))
        with pytest.raises(MalformedError, match="longer"):
            open_content(tmp_path / "bomb", [0], tmp_path / "out", 5 << 20)
        assert (tmp_path / "out").stat().st_size <= 5 << 20


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Made, bytes]:
    folder = tmp_path_factory.mktemp("opened")
    old, new, _ = PAIRS["jar in a war"]
    made, data = make(folder, gzip.compress(new), [old])
    return folder, gzip.compress(new), made, data


@settings(max_examples=150)
@given(data=st.data())
def test_damaged_changes(example: tuple[Path, bytes, Made, bytes], data: st.DataObject) -> None:
    folder, layer, made, whole = example
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, 200) | st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError):
        assert len(apply(folder, bytes(damaged), made.used)) == len(layer)
    assert {path.name for path in folder.iterdir()} == {"change", "layer", "old0"}


def header(example: tuple[Path, bytes, Made, bytes]) -> list[int]:
    """The numbers of a change up to those of its streams; and its bytes after them."""
    found = opened(example[3])
    levels = found._levels
    numbers = [3, found.size, found.content_size, 1, *found.old_sizes, found._recipe_size, len(levels)]
    for level in levels:
        numbers += [*level.old_sizes, level.size, len(level.recipes), *level.recipes]
    return numbers


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 0), (0, 1), (0, 4), (6, 0), (6, 1), (6, 3), (6, 4), (8, 1 << 43), (7, 1 << 43), (9, 0), (9, 5), (10, 1)],
)
def test_hostile_headers(example: tuple[Path, bytes, Made, bytes], place: int, value: int) -> None:
    numbers = header(example)
    begin = b"LAYDELT2" + b"".join(map(encode, numbers))
    assert example[3].startswith(begin)
    rest = example[3].removeprefix(begin)
    numbers[place] = value
    data = b"LAYDELT2" + b"".join(map(encode, numbers)) + rest
    with pytest.raises(MalformedError):
        apply(example[0], data, example[2].used)


@pytest.mark.parametrize("level", [7, 12])
@pytest.mark.parametrize("shift", [-1, 1])
def test_lying_lengths_of_levels(example: tuple[Path, bytes, Made, bytes], level: int, shift: int) -> None:
    numbers = header(example)
    begin = b"LAYDELT2" + b"".join(map(encode, numbers))
    rest = example[3].removeprefix(begin)
    for place in (level - 1 if level == 12 else level, level + 1 if level == 7 else level):
        changed = [*numbers]
        changed[place] += shift
        with pytest.raises(MalformedError):
            apply(example[0], b"LAYDELT2" + b"".join(map(encode, changed)) + rest, example[2].used)
    assert {path.name for path in example[0].iterdir()} == {"change", "layer", "old0"}


def test_views(tmp_path: Path) -> None:
    data = noise(1, 9_000_000)
    (tmp_path / "data").write_bytes(data)
    with View(tmp_path / "data") as view:
        assert view.read(5_000_000, 10) == data[5_000_000:5_000_010]
        assert view.read(len(data) - 5, 10) == data[-5:]
        assert view.read(0, 8_999_999) == data[:-1]
        for place in (0, 4_194_300, 4_194_303, 8_388_606, len(data) - 9):
            assert view.find(data[place : place + 9], 0, len(data)) == place
            assert view.find(data[place : place + 9], 0, place + 8) == -1
            assert view.find(data[place : place + 9], place + 1, len(data)) == -1
    (tmp_path / "data").write_bytes(b"")
    with View(tmp_path / "data") as view:
        assert (view.read(0, 5), view.find(b"a", 0, 9)) == (b"", -1)


def test_what_only_looks_like_streams_takes_no_time(tmp_path: Path) -> None:
    """Headers that all point at one long stream, which has no end."""
    broken = zlib.compress(bytes(20 << 20), 9, -15)[:-40] + b"\xff" * 40
    count = 2000
    headers = b""
    for number in range(count):
        extra = 30 * (count - number - 1)
        headers += struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, 0, 0, 0, extra)
    begun = time.process_time()
    made, data = make(tmp_path, tar({"a": headers + broken, "b": jar(NEW_FILES)}), [], "fast")
    assert time.process_time() - begun < 8
    assert not made.reason
    assert apply(tmp_path, data, ()) == (tmp_path / "layer").read_bytes()


def test_names_of_zips_in_zips_are_bounded(tmp_path: Path) -> None:
    def header(name: bytes, method: int, size: int) -> bytes:
        return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, method, 0, 0, 0, size, size, len(name), 0) + name

    packed = zlib.compress(text(1, 400), 6, -15)
    inner = b"".join(header(b"n%d" % number, 8, len(packed)) + packed for number in range(300))
    for depth in range(100):
        inner = header(b"%d" % depth + b"x" * 4000, 0, len(inner)) + inner
    (tmp_path / "zip").write_bytes(inner)
    found = nesting._find(nesting.whole(tmp_path / "zip"))
    assert len(found) == 300
    assert max(len(stream.name) for stream in found) <= 4096


def test_many_streams_and_little_memory(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(jars(NEW_FILES))
    whole = nesting.whole(tmp_path / "new")
    assert len(list(nesting.open_streams(whole, [], tmp_path / "out", 1 << 20))) == 1
    assert list(nesting.open_streams(whole, [], tmp_path / "out", 10_000)) == []


def test_more_members_than_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then files are not cut at their streams; none is forgotten."""
    monkeypatch.setattr(nesting, "MOST_MEMBERS", 40)
    plain = {f"z{number}": noise(number, 3000) for number in range(30)}
    old, new = (tar({"a.jar": jar(files), **plain}) for files in (OLD_FILES, NEW_FILES))
    made, data = make(tmp_path, new, [old])
    assert made.opened
    assert made.size < 5000
    assert apply(tmp_path, data, made.used) == new


def test_a_file_that_was_a_stream(tmp_path: Path) -> None:
    """What fills up a file in a tar is not there after what a stream holds."""
    data = text(1, 5000)
    for old in (jar({"a": data}), jar({"a": data}) + bytes(3)):
        new = tar({"a": data, "b.jar": jar(NEW_FILES)})
        made, change = make(tmp_path, new, [old, tar({"c": noise(1, 9000)})])
        assert not made.reason
        assert apply(tmp_path, change, made.used) == new


def test_opened_contents_that_are_longer_than_they_can_be(example: tuple[Path, bytes, Made, bytes]) -> None:
    numbers = header(example)
    begin = b"LAYDELT2" + b"".join(map(encode, numbers))
    for place in (7, 8):
        changed = [*numbers]
        changed[place] = 6 * numbers[4 if place == 7 else 2] + (64 << 20)
        with pytest.raises(MalformedError, match="longer than it can be"):
            opened(b"LAYDELT2" + b"".join(map(encode, changed)) + example[3].removeprefix(begin))
    # What is opened is longer than before: its length counts as room.
    changed = [*numbers]
    changed[7] = numbers[4]
    with pytest.raises(MalformedError):
        apply(example[0], b"LAYDELT2" + b"".join(map(encode, changed)) + example[3].removeprefix(begin), (0,))


def test_memory_of_all_decoders_is_bounded() -> None:
    streams = [(1, 1, 23, 10, 5)] * 9
    streams[5] = (1, 1, 26, 10, 5)
    plain = (0, 100, 100, 0, 0, 9, *(value for stream in streams for value in stream))
    opened(b"LAYDELT2" + b"".join(map(encode, plain)) + b"12345" * 9)
    levels = (
        3,
        100,
        100,
        0,
        0,
        1,
        100,
        3,
        1,
        1,
        1,
        10,
        *(value for stream in [*streams, streams[0]] for value in stream),
    )
    with pytest.raises(MalformedError, match="too much memory"):
        opened(b"LAYDELT2" + b"".join(map(encode, levels)) + b"123" + b"12345" * 10)
