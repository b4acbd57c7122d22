"""A stream comes back bit for bit from its content and a recipe; hostile ones end in an error, soon."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import deflated, gzips, uncompiled
from wrapper.delta import choice, models, recipe
from wrapper.delta.malformed import MalformedError, TooLongError
from wrapper.delta.models import Name

PLAIN = uncompiled.load("recipe")
PLAIN_MODELS = uncompiled.load("models")

NAMES = [
    Name(models.LITERALS),
    Name(models.ZLIB, 0, 1, 8),
    Name(models.ZLIB, 0, 6, 8),
    Name(models.ZLIB, 0, 9, 9, 1 << 14, 32_768),
    Name(models.GNU, 0, 6),
    Name(models.GO, 0, 1),
    Name(models.GO, 0, 2),
    Name(models.KLAUSPOST, 1, 5),
    Name(models.KLAUSPOST, 4, 6, 0, 1 << 14, 1 << 14),
    Name(models.GO, 0, 6, 0, 1 << 20, 16_384),
]


def analyse(stream: bytes, module: Any = recipe, **options: Any) -> tuple[bytes, Any]:
    content: list[bytes] = []
    analysis = module.analyse(io.BytesIO(stream).read, content.append, **options)
    return b"".join(content), analysis


def rebuild(content: bytes, made: bytes, size: int, piece: int = 1 << 16, module: Any = recipe) -> bytes:
    pieces = (content[place : place + piece] for place in range(0, len(content), piece))
    return b"".join(module.rebuild(pieces, made, size))


@given(gzips.streams(), st.sampled_from(NAMES), st.integers(1, 3000))
def test_streams_come_back(made: tuple[bytes, bytes], name: Name, piece: int) -> None:
    stream, expected = made
    content, analysis = analyse(stream, names=[name])
    assert content == expected
    assert analysis.content == len(expected)
    assert rebuild(content, analysis.recipe, len(stream), piece) == stream


@settings(max_examples=30)
@given(gzips.streams(), st.sampled_from(NAMES))
def test_compiled_and_uncompiled_agree(made: tuple[bytes, bytes], name: Name) -> None:
    stream, content = made
    plain_name = PLAIN_MODELS.Name(**vars(name))
    analysis = analyse(stream, names=[name])[1]
    plain = analyse(stream, PLAIN, names=[plain_name])[1]
    assert replace(analysis, model=plain.model) == analysis.__class__(**vars(plain))
    assert rebuild(content, analysis.recipe, len(stream), module=PLAIN) == stream


@given(gzips.streams(), st.sampled_from(NAMES), st.data())
def test_damaged_streams_are_malformed_or_come_back(
    made: tuple[bytes, bytes], name: Name, data: st.DataObject
) -> None:
    damaged = gzips.damage(made[0], data)
    try:
        content, analysis = analyse(damaged, names=[name])
    except MalformedError:
        return
    assert rebuild(content, analysis.recipe, len(damaged)) == damaged


@given(gzips.streams(), st.sampled_from(NAMES), st.data())
def test_damaged_recipes_are_malformed_or_make_other_bytes(
    made: tuple[bytes, bytes], name: Name, data: st.DataObject
) -> None:
    stream, content = made
    damaged = gzips.damage(analyse(stream, names=[name])[1].recipe, data)
    outcomes = []
    for module in (recipe, PLAIN):
        try:
            outcomes.append(rebuild(content, damaged, len(stream), module=module))
        except MalformedError as error:
            outcomes.append(str(error).encode())
        assert len(outcomes[-1]) <= max(len(stream), 100)
    assert outcomes[0] == outcomes[1]


@given(st.lists(st.binary(max_size=40), min_size=6, max_size=6), gzips.contents(), st.sampled_from(NAMES))
def test_any_streams_are_malformed_or_make_something(streams: list[bytes], content: bytes, name: Name) -> None:
    made = deflated.recipe(name, len(content), 1 << 20, streams)
    outcomes = []
    for module in (recipe, PLAIN):
        written = 0
        try:
            for piece in module.rebuild([content], made, 5_000):
                written += len(piece)
        except MalformedError as error:
            outcomes.append(str(error))
        assert written <= 5_000
    assert len(set(outcomes)) == 1


@pytest.mark.parametrize("stream", range(6))
def test_streams_are_as_long_as_they_say(stream: int) -> None:
    bomb = [b""] * 6
    bomb[stream] = bytes(5_000_000)
    content = b"x" * 1000
    for said in (0, 1, 100, 1 << 42):
        made = deflated.recipe(Name(models.ZLIB, 0, 6, 8), len(content), 1 << 20, bomb, {stream: said})
        with pytest.raises(MalformedError):
            rebuild(content, made, 10_000)


def test_content_may_come_in_any_pieces() -> None:
    content = b"some content " * 1000
    stream = deflated.gzipped([deflated.fixed_literals(content)], content)
    made = analyse(stream)[1].recipe
    pieces = [b"", content[:1], b"", b"", content[1:], b""]
    assert b"".join(recipe.rebuild(pieces, made, len(stream))) == stream


def test_what_a_model_predicts_takes_nothing() -> None:
    content = b"".join(random.Random(seed).randbytes(seed % 50) * 3 for seed in range(20_000))
    for level in (1, 6, 9):
        stream = gzip.compress(content, level, mtime=0)
        found, analysis = analyse(stream)
        assert (analysis.model.family, analysis.corrections, analysis.verbatim_headers) == (models.ZLIB, 0, 0)
        assert len(analysis.recipe) < 100
        assert rebuild(found, analysis.recipe, len(stream)) == stream


def test_stored_blocks_end_where_the_model_runs_free_to() -> None:
    content = random.Random(1).randbytes(500_000) + b"text " * 20_000 + random.Random(2).randbytes(200_000)
    stream = gzip.compress(content, 6, mtime=0)
    analysis = analyse(stream)[1]
    assert analysis.corrections == 0
    assert len(analysis.recipe) < 100
    assert rebuild(content, analysis.recipe, len(stream)) == stream


def test_thousands_of_members_come_back() -> None:
    parts = [random.Random(seed).randbytes(20) * (seed % 30) for seed in range(2_000)]
    stream = b"".join(gzip.compress(part, mtime=0) for part in parts) + bytes(1000)
    content, analysis = analyse(stream)
    assert content == b"".join(parts)
    assert rebuild(content, analysis.recipe, len(stream), 100_000) == stream


def test_content_must_be_as_long_as_it_was() -> None:
    stream = gzip.compress(b"some content " * 1000, mtime=0)
    content, analysis = analyse(stream)
    for other in (content + b"x", content[:-1], b"", content * 100):
        with pytest.raises(MalformedError):
            rebuild(other, analysis.recipe, len(stream))
    for size in (0, 10, len(stream) - 1, len(stream) + 1):
        with pytest.raises(MalformedError):
            rebuild(content, analysis.recipe, size)


def test_the_model_takes_no_more_steps_than_were_said() -> None:
    content = (b"abc" * 5 + b"x") * 5_000
    stream = gzip.compress(content, 9, mtime=0)
    analysis = analyse(stream)[1]
    head = recipe.Recipe(analysis.recipe)
    assert head.steps == analysis.steps
    assert analysis.steps > 20_000
    for steps in (0, 1000, analysis.steps - 1):
        with pytest.raises(MalformedError, match="steps"):
            rebuild(content, deflated.with_steps(analysis.recipe, steps), len(stream))
    assert rebuild(content, deflated.with_steps(analysis.recipe, analysis.steps + 5), len(stream)) == stream
    with pytest.raises(MalformedError):
        recipe.Recipe(deflated.with_steps(analysis.recipe, 1 << 50))


def test_a_recipe_has_a_bound() -> None:
    parts = [random.Random(4).randbytes(100)]
    for seed in range(20_000):
        parts.append(parts[seed // 2][: 90 + seed % 10] + bytes((seed % 251,)))
    stream = gzip.compress(b"".join(parts), 9, mtime=0)
    assert len(analyse(stream, names=[Name(models.LITERALS)])[1].recipe) > 2_000
    with pytest.raises(TooLongError):
        analyse(stream, names=[Name(models.LITERALS)], bound=2_000)


def test_long_blocks_have_their_headers_verbatim() -> None:
    content = random.Random(5).randbytes((1 << 20) + 100).translate(bytes(each % 64 for each in range(256)))
    compressor = zlib.compressobj(0, zlib.DEFLATED, 31)
    compressor.compress(content)
    bits = deflated.dynamic({**dict.fromkeys(range(63), 6), 63: 7, 256: 7}, {}, 257, 1)
    codes = [*range(63), 126]
    value, used, done = int("".join(map(str, reversed(bits.bits))), 2), len(bits.bits), bytearray()
    for byte in content:
        length = 7 if byte == 63 else 6
        value |= int(f"{codes[byte]:0{length}b}"[::-1], 2) << used
        used += length
        if used > 4096:
            done += (value & ((1 << 4096) - 1)).to_bytes(512, "little")
            value >>= 4096
            used -= 4096
    value |= 0b1111111 << used
    used += 7
    stream = deflated.gzipped([bytes(done) + value.to_bytes((used + 7) // 8, "little")], content)
    assert gzip.decompress(stream) == content
    analysis = analyse(stream)[1]
    assert analysis.verbatim_headers == 1
    assert rebuild(content, analysis.recipe, len(stream)) == stream


@pytest.mark.parametrize("segment", [16_384, 131_072])
def test_segments_are_found(segment: int) -> None:
    content = b"".join(random.Random(seed).randbytes(seed % 40) * 3 for seed in range(15_000))
    parts = []
    for place in range(0, len(content), segment):
        history = content[max(0, place - 32_768) : place]
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, history)
        last = place + segment >= len(content)
        parts.append(compressor.compress(content[place : place + segment]))
        parts[-1] += compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    stream = deflated.gzipped(parts, content)
    analysis = analyse(stream)[1]
    assert (analysis.model.family, analysis.model.segment, analysis.model.dictionary) == (
        models.ZLIB,
        segment,
        32_768,
    )
    assert analysis.corrections == 0
    assert rebuild(content, analysis.recipe, len(stream)) == stream


def test_a_stream_is_read_once() -> None:
    stream = gzip.compress(random.Random(6).randbytes(3_000_000), mtime=0)
    source = io.BytesIO(stream)
    beginning = choice.Beginning(lambda count: source.read(min(count, 10_000)))
    assert b"".join(iter(lambda: beginning.read(70_000), b"")) == stream


def test_recipes_are_read_by_position() -> None:
    stream = gzip.compress(b"some content " * 1000, mtime=0)
    content, analysis = analyse(stream)
    made = analysis.recipe + b"and more"
    assert recipe.Recipe(lambda place, count: made[place : place + count]).length == len(analysis.recipe)
    found = recipe.rebuild([content], lambda place, count: made[place : place + count], len(stream))
    assert b"".join(found) == stream


def test_models_have_names() -> None:
    for name in NAMES:
        assert models.is_known(name)
        assert str(name)
    for name in (Name(0), Name(99), Name(models.ZLIB), Name(models.ZLIB, 1, 6, 8), Name(models.ZLIB, 0, 6, 8, 5)):
        assert not models.is_known(name)
