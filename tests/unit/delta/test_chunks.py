"""Models that work chunk by chunk: compiled and not they do the same, whatever tokens are said to be the true ones.

That they predict what real compressors write is shown in `test_vectors`.
"""

from __future__ import annotations

import random
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.prediction import build_go_gzip, code, few, length, mispredicted, repeated, text
from wrapper.delta import chunks, gofast, klauspost, klauspost_fast, window

NAMES = ("klauspost", "gofast", "klauspost_fast")
COMPILED = {"klauspost": klauspost, "gofast": gofast, "klauspost_fast": klauspost_fast}
PLAIN = {name: uncompiled.load(name) for name in NAMES}
PLAIN_CHUNKS = uncompiled.load("chunks")
PLAIN_WINDOW = uncompiled.load("window")

Model = tuple[str, str, tuple[int, ...]]

MODELS: list[Model] = [
    ("klauspost", "Klauspost", (5, 1, 0, 0)),
    ("klauspost", "Klauspost", (5, 2, 20_000, 16_384)),
    ("klauspost", "Klauspost", (5, 4, 20_000, 16_384)),
    ("klauspost", "Klauspost", (6, 1, 20_000, 32_768)),
    ("klauspost", "Klauspost", (6, 3, 0, 0)),
    ("klauspost", "Klauspost", (6, 4, 20_000, 0)),
    ("klauspost_fast", "KlauspostFast", (20_000, 16_384)),
    ("klauspost_fast", "KlauspostFast", (0, 0)),
    ("gofast", "GoFast", ()),
]
KLAUSPOST = MODELS[2]

CONTENTS = [
    b"",
    text(150_000),
    code(100_000),
    few(20_000),
    bytes(70_000),
    random.Random(1).randbytes(70_000),
    repeated(150_000, 32_768),
]


def run(
    modules: dict[str, Any], windows: Any, model: Model, data: bytes, begin: int, seed: int, trust: float
) -> list[tuple[int, int, int]]:
    """Return what is predicted while any tokens are accepted; with all that the model counts."""
    rng = random.Random(seed)
    held = windows.Window(max(len(data), 1))
    held.add(data, 0, len(data))
    held.limit = len(data)
    module, name, arguments = model
    built = getattr(modules[module], name)(held, *arguments)
    built.begin(begin)
    place = begin
    found = []
    while place < len(data):
        token = built.predict()
        assert place + length(token) <= len(data)
        assert token == 0 or (3 <= token >> 15 <= 258 and token & 32_767 < place - begin)
        if token:
            distance = (token & 32_767) + 1
            assert all(data[at] == data[at - distance] for at in range(place, place + length(token)))
        found.append((place, token, built.steps))
        if rng.random() > trust:
            token = rng.choice((0, rng.randint(3, 259) << 15 | rng.randrange(1 << 15)))
            if place + length(token) > len(data):
                token = 0
        built.accept(token)
        place += length(token)
    return found


@given(
    st.sampled_from(MODELS),
    st.lists(
        st.sampled_from([b"a", b"b", b"abcd", bytes(300), b"\xff" * 7, b"abcdefgh", b"abcdxfghijkl"]),
        min_size=20,
        max_size=300,
    ),
    st.integers(0, 10),
    st.integers(0, 1000),
    st.sampled_from([0.5, 0.9, 1.0]),
)
def test_compiled_and_uncompiled_agree(
    model: Model, parts: list[bytes], begin: int, seed: int, trust: float
) -> None:
    data = b"".join(parts)
    assert run(COMPILED, window, model, data, begin, seed, trust) == run(
        PLAIN, PLAIN_WINDOW, model, data, begin, seed, trust
    )


@pytest.mark.parametrize("model", MODELS)
def test_any_tokens_do_no_harm(model: Model) -> None:
    """On contents that are long enough for several chunks and segments, compiled and not."""
    for seed, data in enumerate((text(75_000), code(30_000))):
        found = run(COMPILED, window, model, data, 3, seed, 0.7)
        assert found == run(PLAIN, PLAIN_WINDOW, model, data, 3, seed, 0.7)


@pytest.mark.parametrize("model", MODELS)
def test_steps_are_counted(model: Model) -> None:
    """Each byte is gone through once, and once more where it is in a dictionary."""
    for data in (few(70_000), repeated(70_000, 3)):
        found = run(COMPILED, window, model, data, 0, 1, 1.0)
        assert len(data) <= found[-1][2] <= len(data) + 4 * 32_768


@pytest.mark.parametrize("model", MODELS)
def test_marks_are_lowered_before_they_are_too_large(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data = text(60_000) + code(20_000)
    expected = run(PLAIN, PLAIN_WINDOW, model, data, 0, 1, 0.9)
    monkeypatch.setattr(PLAIN_CHUNKS, "_MOST", 100_000)
    assert run(PLAIN, PLAIN_WINDOW, model, data, 0, 1, 0.9) == expected


@pytest.mark.parametrize("model", MODELS)
def test_members_know_nothing_of_each_other(model: Model) -> None:
    """Thousands of them, after long ones: what begins later decides as if it were alone."""
    module, name, arguments = model
    long, short = text(100_000), text(300)
    data = long + short + long + short * 50
    held = window.Window(len(data))
    held.add(data, 0, len(data))
    built = getattr(COMPILED[module], name)(held, *arguments)
    alone = {size: run(COMPILED, window, model, size, 0, 1, 1.0) for size in (long, short)}
    begin = 0
    for content in (long, short, long, *[short] * 50):
        held.limit = begin + len(content)
        built.begin(begin)
        for place, expected, _ in alone[content]:
            assert built.place == begin + place
            token = built.predict()
            assert token == expected
            built.accept(token)
        begin += len(content)


def test_the_rest_of_a_match_is_predicted() -> None:
    data = text(1000) + b"!" + text(1000)
    held = window.Window(len(data))
    held.add(data, 0, len(data))
    held.limit = len(data)
    model = klauspost.Klauspost(held, 5, 4, 0, 0)
    model.begin(0)
    while model.predict() >> 15 < 200:
        model.accept(model.predict())
    token = model.predict()
    # The compressor wrote a literal first, as lazy ones do.
    model.accept(0)
    assert model.predict() == token - (1 << 15)


def test_where_too_little_is_at_hand_it_says_so() -> None:
    held = window.Window(1 << 18)
    held.add(text(50_000), 0, 50_000)
    model = klauspost.Klauspost(held, 5, 4, 0, 0)
    model.begin(0)
    with pytest.raises(ValueError, match="at hand"):
        model.predict()
    held.add(text(200_000), 0, 200_000)
    model.predict()
    for _ in range(900):
        model.accept(258 << 15)
    held.limit = held.end
    held.forget(200_000)
    with pytest.raises(ValueError, match="at hand"):
        model.predict()


def test_what_no_compressor_does_is_refused() -> None:
    held = window.Window(10)
    for wrong in ((4, 4, 0, 0), (5, 0, 0, 0), (5, 5, 0, 0), (5, 4, -1, 0), (5, 4, 65_536, 32_769), (5, 4, 0, -1)):
        with pytest.raises(ValueError, match="no such"):
            klauspost.Klauspost(held, *wrong)


def test_go(tmp_path_factory: pytest.TempPathFactory) -> None:
    tool = build_go_gzip(tmp_path_factory.mktemp("go"))
    edges = [65_535 + by for by in (-1, 0, 1, 15, 16, 17, 127, 128)]
    for data in (*CONTENTS, *map(text, edges), *(few(size) for size in (16, 17, 127, 128))):
        stream = subprocess.run([str(tool), "1"], input=data, capture_output=True, check=True).stdout
        assert mispredicted(gofast.GoFast, stream) == 0
        # A near relative is wrong about much of it, and goes on.
        wrong = mispredicted(lambda held: klauspost_fast.KlauspostFast(held, 0, 0), stream)
        assert wrong <= len(data) / 4


def test_it_runs_compiled_here() -> None:
    assert chunks.COMPILED
    assert not PLAIN_CHUNKS.COMPILED
    for name in NAMES:
        assert COMPILED[name].COMPILED
        assert not PLAIN[name].COMPILED
