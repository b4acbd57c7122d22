"""zstd streams are taken apart, predicted, and written again, bit for bit; hostile recipes end in an error."""

from __future__ import annotations

import contextlib
import io
import lzma
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.vectors import ZSTD, Vector, content, load, sha256
from tests.unit.delta.test_change import NEW, OLD, apply, make, noise, tar
from wrapper.delta import zstd_blocks, zstd_recipe
from wrapper.delta.entropy import FseTable, HuffmanCode
from wrapper.delta.expand import expand
from wrapper.delta.malformed import MalformedError, TooLongError
from wrapper.delta.options import EFFORTS
from wrapper.delta.pieces import joined
from wrapper.delta.varint import encode
from wrapper.delta.window import COMPILED
from wrapper.delta.zstd_blocks import BlockParser, BlockSpeller, Sequences, Shape

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = uncompiled.load("zstd_recipe")
BOUND = 1 << 24
VECTORS = load(ZSTD)
AT_HAND = [each for each in VECTORS if COMPILED or len(content(each.content)) < 10_000]


def analysed(stream: bytes, data: bytes, module: Any = zstd_recipe) -> Any:
    return module.analyse(io.BytesIO(stream).read, io.BytesIO(data).read, BOUND)


def rebuilt(recipe: bytes, data: bytes, size: int, piece: int = 1 << 20, module: Any = zstd_recipe) -> bytes:
    found = module.ZstdRecipe(lambda place, count: recipe[place : place + count])
    pieces = (data[place : place + piece] for place in range(0, len(data), piece))
    return b"".join(found.rebuild(pieces, size))


@pytest.mark.parametrize("vector", AT_HAND, ids=lambda vector: vector.name)
def test_klauspost_is_known(vector: Vector) -> None:
    data = content(vector.content)
    assert sha256(data) == vector.content_sha256
    recipe = vector.unpacked_recipe()
    assert zstd_recipe.ZstdRecipe(lambda place, count: recipe[place : place + count]).length == len(recipe)
    stream = rebuilt(recipe, data, vector.size)
    assert sha256(stream) == vector.sha256
    assert zstd.decompress(stream) == data
    # The stream is what the compressor wrote: so the other way is put to the test, too.
    found = analysed(stream, data)
    assert (found.recipe, found.corrections, found.content) == (recipe, 0, len(data))


def test_both_versions_decide_alike() -> None:
    """On what is copied; of the shortest stream alone they spell literals in two ways."""
    for what in ("short", "mixed", "edges", "long", "wide"):
        assert len({vector.sha256 for vector in VECTORS if vector.content == what}) == 1


def test_uncompiled_it_is_the_same() -> None:
    (vector,) = (each for each in VECTORS if each.name == "klauspost-1.19.1-zstd-3-mixed")
    data = content("mixed")
    recipe = vector.unpacked_recipe()
    assert rebuilt(recipe, data, vector.size, module=PLAIN) == rebuilt(recipe, data, vector.size)
    stream = rebuilt(recipe, data, vector.size)
    assert analysed(stream, data, PLAIN) == analysed(stream, data)


SAMPLES = {
    "mixed": content("mixed"),
    "nothing": b"",
    "a byte": b"a",
    "runs": bytes(300_000) + b"ab" * 100_000,
    "noise": noise(1, 300_000),
    "skewed": bytes(min(255, int(random.Random(each).expovariate(0.05))) for each in range(200_000)),
}
_Parameter = zstd.CompressionParameter
OPTIONS: dict[str, dict[Any, int]] = {
    "level 1": {_Parameter.compression_level: 1},
    "level 3": {_Parameter.compression_level: 3, _Parameter.checksum_flag: 1},
    "level 9": {_Parameter.compression_level: 9, _Parameter.content_size_flag: 0},
    "level 19": {_Parameter.compression_level: 19},
    "negative": {_Parameter.compression_level: -5},
    "long": {_Parameter.compression_level: 3, _Parameter.window_log: 27},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_others_wrote_comes_back(sample: str, options: str) -> None:
    data = SAMPLES[sample]
    stream = zstd.compress(data, options=OPTIONS[options])
    found = analysed(stream, data)
    assert rebuilt(found.recipe, data, len(stream), 70_001) == stream
    assert len(found.recipe) < len(stream) + 200


def test_frames_and_what_stands_between() -> None:
    """Skippable frames, empty ones, several, with and without check sums: as zstd:chunked has them."""
    parts = [content("short"), b"", content("few"), content("mixed")]
    stream = b"".join(
        zstd.compress(part, options={_Parameter.checksum_flag: number % 2})
        + b"\x5f\x2a\x4d\x18\x05\0\0\0hello"
        + b"\x50\x2a\x4d\x18\0\0\0\0"
        for number, part in enumerate(parts)
    )
    data = b"".join(parts)
    found = analysed(stream, data)
    assert found.content == len(data)
    assert rebuilt(found.recipe, data, len(stream)) == stream


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from([content("short"), content("few"), noise(1, 500), bytes(900)]) | st.binary(max_size=40)
    ),
    st.integers(-7, 19),
    st.booleans(),
)
def test_any_content_comes_back(pieces: list[bytes], level: int, summed: bool) -> None:
    data = b"".join(pieces)
    stream = zstd.compress(data, options={_Parameter.compression_level: level, _Parameter.checksum_flag: summed})
    found = analysed(stream, data)
    assert rebuilt(found.recipe, data, len(stream)) == stream


STREAM = zstd.compress(content("short"), 3)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (STREAM[:-1], content("short")),
        (STREAM[:5], content("short")),
        (STREAM[:-40], content("short")),
        (STREAM, content("short")[:-1]),
        (STREAM, content("short") + b"more"),
        (STREAM, b""),
        (STREAM + b"rest", content("short")),
        (STREAM + b"\x28\xb5", content("short")),
        # A run of nothing, which stands nowhere.
        (b"\x28\xb5\x2f\xfd\x20\x00\x03\x00\x00a", b""),
        (b"none", b"none"),
        (b"\x50\x2a\x4d\x18\xff\xff\xff\xff", b""),
        (zstd.compress(noise(1, 900)), noise(2, 900)),
    ],
)
def test_what_is_no_stream_of_that_content(stream: bytes, data: bytes) -> None:
    with pytest.raises(MalformedError):
        analysed(stream, data)


def test_damaged_blocks_are_written_down() -> None:
    """Bits that decoders never look at, or codes that nobody would choose: they come back all the same."""
    data = content("mixed")[:150_000]
    stream = zstd.compress(data, 3)
    kept = 0
    for place in range(20, len(stream), len(stream) // 40):
        damaged = bytearray(stream)
        damaged[place] ^= 1
        with contextlib.suppress(MalformedError):
            found = analysed(bytes(damaged), data)
            assert rebuilt(found.recipe, data, len(stream)) == bytes(damaged)
            kept += 1
    assert kept


def test_long_recipes() -> None:
    data = content("mixed")
    with pytest.raises(TooLongError):
        zstd_recipe.analyse(io.BytesIO(zstd.compress(data, 19)).read, io.BytesIO(data).read, 5_000)


def klauspost(name: str) -> tuple[bytes, bytes]:
    """A content, and how klauspost compresses it."""
    (vector,) = (each for each in VECTORS if each.name == f"klauspost-1.19.1-zstd-3-{name}")
    return content(name), rebuilt(vector.unpacked_recipe(), content(name), vector.size)


@pytest.mark.parametrize("effort", EFFORTS)
def test_layers_come_back(tmp_path: Path, effort: str) -> None:
    for compress in (zstd.compress, lambda data: zstd.compress(data, 19)):
        layer = compress(tar(NEW))
        made, data = make(tmp_path, layer, [tar(OLD)], effort)
        assert (made.content, made.used) == (len(tar(NEW)), (0,))
        assert made.features == ("layer-delta-zstd",)
        assert made.size < 3000
        assert apply(tmp_path, data, made.used) == layer
    if effort == "default":
        text, layer = klauspost("long")
        made, data = make(tmp_path, layer, [text[:-5000]], effort)
        assert (made.model, made.corrections) == ("klauspost zstd 3", 0)
        assert made.size < 0.06 * len(layer)
        assert apply(tmp_path, data, made.used) == layer


def test_older_contents_may_be_compressed_in_any_way(tmp_path: Path) -> None:
    for number, layer in enumerate((zstd.compress(tar(OLD)), zstd.compress(tar(OLD), 19), tar(OLD))):
        expand(io.BytesIO(layer), tmp_path / f"content{number}", 1 << 20)
        assert (tmp_path / f"content{number}").read_bytes() == tar(OLD)


# What follows is what a receiver has to do with recipes of hostile origin.

GOOD = {
    "klauspost": (content("short"), klauspost("short")[1]),
    "libzstd": (content("mixed")[:30_000], zstd.compress(content("mixed")[:30_000], 5)),
    "frames": (b"aa" * 900, zstd.compress(b"aa" * 500) + b"\x50\x2a\x4d\x18\1\0\0\0x" + zstd.compress(b"aa" * 400)),
}


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_recipes(name: str, data: st.DataObject) -> None:
    """Compiled or not, the outcome is one."""
    text, stream = GOOD[name]
    damaged = bytearray(analysed(stream, text).recipe)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    def outcome(module: Any) -> object:
        try:
            return rebuilt(bytes(damaged), text, len(stream), module=module)
        except MalformedError as error:
            return str(error)

    found = outcome(zstd_recipe)
    assert found == outcome(PLAIN)
    assert isinstance(found, str) or len(found) == len(stream)


@pytest.mark.parametrize("change", [-1, 1, -500])
def test_recipes_of_another_length(change: int) -> None:
    text, stream = GOOD["klauspost"]
    recipe = analysed(stream, text).recipe
    with pytest.raises(MalformedError, match=r"longer|shorter"):
        rebuilt(recipe, text, len(stream) + change)
    for other in (text[:-1], text + b"a", b""):
        with pytest.raises(MalformedError):
            rebuilt(recipe, other, len(stream))
    with pytest.raises(MalformedError, match="version"):
        zstd_recipe.ZstdRecipe(lambda place, count: b"\x02"[place : place + count])


SPELLED = Sequences()
SPELLED.add(5, 20, 4)
SHAPES: dict[str, tuple[Callable[[Sequences], object], Shape, str]] = {
    "a length beyond the content": (lambda found: found.add(5, 2000, 4), Shape(0, 0, b"", 0, b""), "longer"),
    "literals beyond the content": (lambda found: found.add(1 << 31, 3, 4), Shape(0, 0, b"", 0, b""), "longer"),
    "no offset": (lambda found: found.add(1, 3, 0), Shape(0, 1, b"", 0, b""), "can't be"),
    "a short match": (lambda found: found.add(1, 2, 4), Shape(0, 1, b"", 0, b""), "can't be"),
    "too many literals": (lambda found: None, Shape(0, 0, b"", 0, b""), "room"),
    "another form": (lambda found: None, Shape(0, 2, b"", 0, b""), "form"),
    "no run": (lambda found: None, Shape(1, 1, b"", 0, b""), "not the same"),
    "no code": (lambda found: None, Shape(3, 1, b"", 0, b""), "code that there is not"),
    "an empty code": (lambda found: None, Shape(2, 1, b"", 0, b""), "too early"),
    "a code without a symbol": (lambda found: None, Shape(2, 1, b"\x81\x10", 0, b""), "without a code"),
    "a code that is not full": (lambda found: None, Shape(2, 1, b"\x81\x31", 0, b""), "not full"),
    "an unknown mode": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 1, b""), "not known"),
    "no table to repeat": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0xC0, b""), "repeats a table"),
    "no symbol": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x40, b""), "without a symbol"),
    "a symbol that is none": (
        lambda found: found.add(1, 3, 4),
        Shape(0, 1, b"", 0x40, b"\x24"),
        "without a symbol",
    ),
    "another symbol": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x40, b"\x05"), "without a code"),
    "tables that are left over": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x40, b"\x01\x05"), "length"),
    "a table that ends": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x80, b""), "too early"),
    "a large table": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x80, b"\x0f\0\0"), "too large"),
    "an empty table": (lambda found: found.add(1, 3, 4), Shape(0, 1, b"", 0x80, b"\0\0\0\0"), "early|full|symbols"),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("module", [zstd_blocks, uncompiled.load("zstd_blocks")], ids=["compiled", "uncompiled"])
def test_hostile_blocks(name: str, module: Any) -> None:
    fill, shape, why = SHAPES[name]
    sequences = module.Sequences()
    fill(sequences)
    with pytest.raises(MalformedError, match=why):
        module.BlockSpeller().spell(bytes(range(200)), sequences, shape)


def test_frames_of_nothing() -> None:
    """They would take memory, and no byte of what is written."""
    frames = b"\x02\x00" * 4_000_000 + b"\x00"
    packed = lzma.compress(frames, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    recipe = b"".join(map(encode, [1, 0, 0, len(frames), len(packed), *[0] * 12])) + packed
    with pytest.raises(MalformedError, match="without a byte"):
        rebuilt(recipe, b"", 0)
    assert list(joined([b""] * 1000 + [b"a"], 1)) == [b"a"]


@pytest.mark.parametrize("module", [zstd_blocks, uncompiled.load("zstd_blocks")], ids=["compiled", "uncompiled"])
def test_what_could_not_be_read_is_not_repeated(module: Any) -> None:
    parser, speller = module.BlockParser(), module.BlockSpeller()
    sequences = module.Sequences()
    sequences.add(1, 3, 4)
    # Literals of no length, one sequence; a table that is too large; then that table again.
    for modes in (b"\x80\x0f\xff\xff\xff", b"\xc0\x00\x01"):
        with pytest.raises(MalformedError, match=r"too large|repeats a table"):
            parser.parse(b"\x00\x01" + modes)
    for shape, why in ((Shape(0, 0, b"", 0x80, b"\x0f\xff"), "large"), (Shape(0, 0, b"", 0xC0, b""), "repeats")):
        with pytest.raises(MalformedError, match=why):
            speller.spell(b"abcd", sequences, shape)
    # A literal without a code leaves no bits behind.
    with pytest.raises(MalformedError, match="without a code"):
        speller.spell(bytes(range(100)), module.Sequences(), Shape(2, 1, b"\x81\x10", 0, b""))
    speller.begin()
    assert speller.spell(b"abcd", module.Sequences(), Shape(0, 0, b"", 0, b"")) == b"\x20abcd\x00"


def test_hostile_lengths() -> None:
    with pytest.raises(MalformedError, match="too long"):
        BlockSpeller().spell(bytes(zstd_blocks.MOST_CONTENT + 1), Sequences(), Shape(0, 3, b"", 0, b""))
    sequences = Sequences()
    for _ in range(zstd_blocks.MOST_SEQUENCES):
        sequences.add(0, 3, 4)
    with pytest.raises(MalformedError, match="too many"):
        sequences.add(0, 3, 4)
    with pytest.raises(IndexError):
        Sequences().get(0)


@settings(max_examples=300)
@given(st.binary(max_size=80))
@example(b"\x00")
@example(b"\xff" * 80)
def test_any_description(data: bytes) -> None:
    for read in (
        lambda: FseTable().read(data, 0, len(data), 52, 9),
        lambda: HuffmanCode().read(data),
        lambda: BlockParser().parse(data),
    ):
        with contextlib.suppress(MalformedError):
            read()


def test_windows_and_dictionaries(tmp_path: Path) -> None:
    """What takes too much memory, or something that is not there, has no content."""
    text = content("short") * 3
    far = zstd.ZstdCompressor(options={_Parameter.window_log: 31})
    wide = far.compress(text) + far.flush()
    known = zstd.compress(text, zstd_dict=zstd.ZstdDict(content("mixed")[:50_000] + text, is_raw=True))
    for layer, why in ((wide, "more memory"), (known, "not zstd")):
        with pytest.raises(MalformedError, match=why):
            expand(io.BytesIO(layer), tmp_path / "out", 1 << 20)
        assert why in make(tmp_path, layer)[0].reason
        # Its blocks are described all the same: a recipe has no window.
        assert rebuilt(analysed(layer, text).recipe, text, len(layer)) == layer
