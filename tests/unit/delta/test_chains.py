"""Hash-chain models against real zlib, GNU gzip, pigz and Go: they predict every token."""

from __future__ import annotations

import gzip
import random
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.prediction import build_go_gzip, code, few, length, mispredicted, repeated, text
from tests.support.streams import spelled
from wrapper.delta import chains, window

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = uncompiled.load("chains")
PLAIN_WINDOW = uncompiled.load("window")

CONTENTS = [
    b"",
    text(150_000),
    code(100_000),
    few(20_000),
    bytes(70_000),
    random.Random(1).randbytes(70_000),
    random.Random(2).randbytes(33_000) * 3,
]

# Where windows move, buffers are full, and segments end.
EDGES = [
    edge + by
    for edge in (32_506, 32_768, 65_274, 65_536, 98_042, 98_304, 131_072)
    for by in (-100, -3, -1, 0, 1, 3, 259)
]


def edge_contents() -> list[bytes]:
    rng = random.Random(3)
    kinds = (text, lambda size: repeated(size, 700), lambda size: repeated(size, 2000))
    return [rng.choice(kinds)(size) for size in EDGES]


def piped(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("memory", [8, 9])
@pytest.mark.parametrize("level", range(1, 10))
def test_zlib(level: int, memory: int) -> None:
    for data in CONTENTS:
        stream = spelled(data, level, memory=memory)
        assert mispredicted(lambda held: chains.ZlibChains(held, level, memory), stream) == 0


@pytest.mark.parametrize("level", range(1, 10))
def test_gnu_gzip(level: int) -> None:
    for data in CONTENTS:
        stream = piped(["gzip", f"-{level}"], data)
        assert mispredicted(lambda held: chains.GnuChains(held, level), stream) == 0


@pytest.fixture(scope="session")
def go_gzip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go_gzip(tmp_path_factory.mktemp("go"))


@pytest.mark.parametrize("level", range(2, 10))
def test_go(level: int, go_gzip: Path) -> None:
    for data in CONTENTS:
        stream = piped([str(go_gzip), str(level)], data)
        assert mispredicted(lambda held: chains.GoChains(held, level), stream) == 0


@pytest.mark.parametrize(
    ("options", "segment", "dictionary"),
    [([], 131_072, 32_768), (["-b", "32"], 32_768, 32_768), (["-i", "-b", "64"], 65_536, 0)],
)
@pytest.mark.parametrize("level", [1, 6, 9])
def test_pigz(level: int, options: list[str], segment: int, dictionary: int) -> None:
    for data in (*CONTENTS[:5], text(131_072 + 2), few(32_768), text(65_536)):
        stream = piped(["pigz", f"-{level}", "-p", "2", *options], data)
        assert mispredicted(lambda held: chains.ZlibChains(held, level, 8, segment, dictionary), stream) == 0


@pytest.mark.parametrize("level", [3, 6])
@pytest.mark.parametrize("known_end", [True, False])
def test_ends_near_windows_ends(level: int, known_end: bool, tmp_path: Path) -> None:
    streams = []
    for number, data in enumerate(edge_contents()):
        stream = spelled(data, level)
        assert mispredicted(lambda held: chains.ZlibChains(held, level), stream, known_end) == 0
        file = tmp_path / str(number)
        file.write_bytes(data)
        streams.append(piped(["gzip", "-nc", f"-{level}", str(file)], b""))
        assert mispredicted(lambda held: chains.GnuChains(held, level), streams[number], known_end) == 0
    # GNU gzip's ends are its own: that matters here.
    assert sum(mispredicted(lambda held: chains.ZlibChains(held, level), stream) for stream in streams) > 0


@pytest.mark.parametrize("level", [3, 6])
def test_ends_near_windows_ends_in_go(level: int, go_gzip: Path) -> None:
    for data in edge_contents():
        stream = piped([str(go_gzip), str(level)], data)
        assert mispredicted(lambda held: chains.GoChains(held, level), stream) == 0


@pytest.mark.parametrize("level", [1, 6, 9])
def test_short_ones_one_after_the_other(level: int) -> None:
    members = [kind(size) for size in range(301) for kind in (text, few, bytes)]
    stream = b"".join(spelled(data, level) for data in members)
    assert mispredicted(lambda held: chains.ZlibChains(held, level), stream) == 0


def test_short_ones_of_other_compressors(go_gzip: Path) -> None:
    for size in (*range(1, 20), 127, 257, 258, 259, 261, 262, 263):
        for kind in (text, few, bytes):
            data = kind(size)
            stream = piped(["gzip", "-6"], data)
            assert mispredicted(lambda held: chains.GnuChains(held, 6), stream) == 0
            stream = piped([str(go_gzip), "6"], data)
            assert mispredicted(lambda held: chains.GoChains(held, 6), stream) == 0


@pytest.mark.parametrize("level", [1, 6])
def test_input_that_comes_in_pieces(level: int) -> None:
    rng = random.Random(4)
    compressor = zlib.compressobj(level, zlib.DEFLATED, 31)
    stream = b""
    for _ in range(300):
        stream += compressor.compress(text(rng.choice((1, 100, 512, 5000)), rng.randrange(5)))
    stream += compressor.flush()
    assert mispredicted(lambda held: chains.ZlibChains(held, level), stream) == 0


def test_a_wrong_model_mispredicts_and_goes_on() -> None:
    data = text(100_000)
    stream = spelled(data, 6)
    tokens = mispredicted(lambda held: chains.ZlibChains(held, 1), spelled(data, 0)) or len(data)
    for level in (1, 5, 9):
        assert 0 < mispredicted(lambda held, level=level: chains.ZlibChains(held, level), stream) < tokens / 4
    assert 0 < mispredicted(lambda held: chains.GoChains(held, 6), stream) < tokens / 4


def test_flushes_cost_little() -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    stream = b""
    for seed in range(20):
        stream += compressor.compress(text(5000, seed % 3)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    stream += compressor.flush()
    assert gzip.decompress(stream) == b"".join(text(5000, seed % 3) for seed in range(20))
    assert mispredicted(lambda held: chains.ZlibChains(held, 6), stream) < 60


MODELS: list[tuple[str, tuple[int, ...]]] = [
    ("ZlibChains", (1, 8)),
    ("ZlibChains", (6, 8)),
    ("ZlibChains", (9, 1)),
    ("ZlibChains", (6, 8, 4096, 32_768)),
    ("GnuChains", (3,)),
    ("GnuChains", (6,)),
    ("GoChains", (3,)),
    ("GoChains", (6,)),
    ("GoChains", (9, 4096, 1000)),
]


def run(
    module: Any, windows: Any, model: tuple[str, tuple[int, ...]], data: bytes, begin: int, seed: int, trust: float
) -> list[tuple[int, int, int]]:
    """Return what is predicted while any tokens are accepted; with all that the model counts."""
    rng = random.Random(seed)
    held = windows.Window(max(len(data), 1))
    held.add(data, 0, len(data))
    held.limit = len(data)
    built = getattr(module, model[0])(held, *model[1])
    built.begin(begin)
    place = begin
    found = []
    while place < len(data):
        token = built.predict()
        assert place + length(token) <= len(data)
        assert token == 0 or (3 <= token >> 15 <= 258 and token & 32_767 < place)
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
    st.lists(st.sampled_from([b"a", b"b", b"abc", b"\0\0\0\0", b"\xff", b"abcdefgh"]), max_size=400),
    st.integers(0, 10),
    st.integers(0, 1000),
    st.sampled_from([0.5, 0.9, 1.0]),
)
def test_compiled_and_uncompiled_agree(
    model: tuple[str, tuple[int, ...]], parts: list[bytes], begin: int, seed: int, trust: float
) -> None:
    data = b"".join(parts)
    assert run(chains, window, model, data, begin, seed, trust) == run(
        PLAIN, PLAIN_WINDOW, model, data, begin, seed, trust
    )


@pytest.mark.parametrize("model", MODELS)
def test_any_tokens_do_no_harm(model: tuple[str, tuple[int, ...]]) -> None:
    """On contents that are long enough for windows to move and segments to end, compiled and not."""
    for seed, data in enumerate((few(3000), text(70_000))):
        found = run(chains, window, model, data, 0, seed, 0.7)
        assert found == run(PLAIN, PLAIN_WINDOW, model, data, 0, seed, 0.7)


@pytest.mark.parametrize("model", MODELS)
def test_steps_are_counted(model: tuple[str, tuple[int, ...]]) -> None:
    """What a chain can be long at most, for two searches a token, and what a begin costs."""
    levels = chains.GO_LEVELS if model[0] == "GoChains" else chains.ZLIB_LEVELS
    chain = levels[model[1][0]].chain
    segments = 70_000 // 4096 + 1 if 4096 in model[1] else 1
    for data in (few(70_000), repeated(70_000, 3)):
        found = run(chains, window, model, data, 0, 1, 1.0)
        assert 0 < found[-1][2] <= 2 * chain * len(found) + segments * ((1 << 17) // 16 + 32_768)


def test_places_beyond_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables hold the low bits of places, here 17; old places are cleaned out before they seem new."""
    data = text(180_000)
    model = ("ZlibChains", (3, 8))
    expected = run(PLAIN, PLAIN_WINDOW, model, data, 0, 1, 0.9)
    monkeypatch.setattr(PLAIN, "_SWEEP", 30_000)
    monkeypatch.setattr(PLAIN, "_WORD", (1 << 17) - 1)
    swept = run(PLAIN, PLAIN_WINDOW, model, data, 0, 1, 0.9)
    assert swept == expected
    monkeypatch.setattr(PLAIN, "_SWEEP", 1 << 30)
    assert run(PLAIN, PLAIN_WINDOW, model, data, 0, 1, 0.9) != expected


def test_what_no_compressor_does_is_refused() -> None:
    held = window.Window(10)
    for wrong in (
        (0,),
        (10,),
        (6, 0),
        (6, 10),
        (6, 8, 100),
        (6, 8, -1),
        (6, 8, 65_536, -1),
        (6, 8, 65_536, 32_769),
    ):
        with pytest.raises(ValueError, match="a "):
            chains.ZlibChains(held, *wrong)
    for level in (1, 10):
        with pytest.raises(ValueError, match="level"):
            chains.GoChains(held, level)
    with pytest.raises(ValueError, match="level"):
        chains.GnuChains(held, 0)


def test_it_runs_compiled_here() -> None:
    assert chains.COMPILED
    assert not PLAIN.COMPILED
