"""Layers taken apart and put together again: bit for bit, whatever spelled them; and hostile parts."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import subprocess
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.deltas import GO
from tests.fuzz.harness import UNCOMPILED
from wrapper.delta import deflate
from wrapper.delta.codec import apply, make, take_apart
from wrapper.errors import ContentError

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 1 << 28


def spelled(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY, memory: int = 8) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, 31, memory, strategy)
    return compressor.compress(data) + compressor.flush()


def words(seed: int, count: int = 3000) -> bytes:
    rng = random.Random(seed)
    return b"".join(rng.choice((b"layer ", b"digest ", b"blob\n", rng.randbytes(3))) for _ in range(count))


def there_and_back(stream: bytes, module: Any = deflate) -> None:
    assert module.spell(*module.parse(stream), len(stream)) == stream


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("strategy", range(5))
def test_zlib(level: int, strategy: int) -> None:
    for data in (b"", b"x", words(1), bytes(70_000), random.Random(2).randbytes(70_000)):
        there_and_back(spelled(data, level, strategy))
    there_and_back(spelled(words(3), level, strategy, memory=1))


@pytest.mark.parametrize(
    "command", [["gzip", "-9"], ["gzip", "-1", "-n"], ["pigz", "-b", "128"], ["pigz", "-i", "-p", "2"]]
)
def test_other_compressors(command: list[str]) -> None:
    data = words(4, 60_000)
    stream = subprocess.run([*command, "-c"], input=data, capture_output=True, check=True).stdout
    there_and_back(stream)


def test_go(tmp_path: Path) -> None:
    """compress/gzip, as docker and buildkit have it: where Go is installed."""
    if not shutil.which("go"):
        pytest.skip("Go is not installed")
    (tmp_path / "main.go").write_text(GO)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", "gzipped", "main.go"], cwd=tmp_path, env=environment, check=True)
    for data in (b"", words(12, 60_000), bytes(100_000)):
        ran = subprocess.run([tmp_path / "gzipped"], input=data, capture_output=True, check=True)
        there_and_back(ran.stdout)


def test_several_members_and_what_follows() -> None:
    three = spelled(words(5)) + gzip.compress(b"named", mtime=1) + spelled(b"")
    there_and_back(three)
    there_and_back(three + bytes(512))
    named = io.BytesIO()
    with gzip.GzipFile("name", "wb", fileobj=named, mtime=5) as file:
        file.write(words(6))
    there_and_back(named.getvalue())
    extra = bytearray(spelled(words(7)))
    extra[3] |= 4 | 16 | 2
    there_and_back(bytes(extra[:10] + b"\x03\x00abc" + b"comment\0" + b"hc" + extra[10:]))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 9), st.integers(0, 4), st.integers(1, 9), st.integers(0, 3000))
def test_compiled_and_plain_do_the_same(data: bytes, level: int, strategy: int, memory: int, cut: int) -> None:
    stream = spelled(data + data[:cut], level, strategy, memory)
    assert deflate.parse(stream) == UNCOMPILED.parse(stream)
    parts = UNCOMPILED.parse(stream)
    assert deflate.spell(*parts, len(stream)) == UNCOMPILED.spell(*parts, len(stream)) == stream


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_damaged_streams_and_parts_never_do_harm(rng: random.Random, times: int) -> None:
    """Each is refused, or comes back as it was; compiled and plain agree."""

    def damaged(data: bytes) -> bytes:
        found = bytearray(data)
        for _ in range(times):
            if found:
                found[rng.randrange(len(found))] = rng.randrange(256)
        return bytes(found[: rng.randrange(len(found) + 1)]) if rng.random() < 0.2 else bytes(found)

    def outcome(module: Any, call: str, *arguments: Any) -> Any:
        try:
            return getattr(module, call)(*arguments)
        except module.MalformedError as error:
            return str(error)

    stream = spelled(words(rng.randrange(5), 200), rng.randrange(10), rng.randrange(5))
    bad = damaged(stream)
    parts = outcome(deflate, "parse", bad)
    assert parts == outcome(UNCOMPILED, "parse", bad)
    if isinstance(parts, tuple):
        assert deflate.spell(*parts, len(bad)) == bad
    worse = [damaged(part) for part in deflate.parse(stream)]
    assert outcome(deflate, "spell", *worse, len(stream)) == outcome(UNCOMPILED, "spell", *worse, len(stream))


def test_a_length_that_is_spelled_as_nobody_does() -> None:
    """258 as 284 and all its bits: it would come back as 285."""
    bits = "1" + "10"  # The last block, fixed codes.
    bits += format(0x30 + ord("a"), "08b") + format(0xC0 + 4, "08b") + "1" * 5 + "00000" + "0000000"
    packed = bytes(int(bits[place : place + 8][::-1].ljust(1, "0"), 2) for place in range(0, len(bits), 8))
    content = b"a" * 259
    trailer = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    stream = gzip.compress(b"")[:10] + packed + trailer
    assert zlib.decompress(stream, 31) == content
    with pytest.raises(deflate.MalformedError):
        deflate.parse(stream)
    assert take_apart(stream) is None


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


def test_it_runs_compiled_here() -> None:
    """scripts/setup installs a compiler."""
    assert deflate.COMPILED
    assert not UNCOMPILED.COMPILED
    assert sys.version_info >= (3, 11)
