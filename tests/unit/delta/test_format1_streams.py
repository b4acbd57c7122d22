"""Gzip streams parsed and spelled again: bit for bit, whatever spelled them; and hostile parts."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import UNCOMPILED
from tests.support.streams import spelled, words
from wrapper.delta import format1
from wrapper.delta.format1 import parse_layer

if TYPE_CHECKING:
    from pathlib import Path


GO = """package main
import ("compress/gzip"; "io"; "os")
func main() { w := gzip.NewWriter(os.Stdout); io.Copy(w, os.Stdin); w.Close() }
"""


def there_and_back(stream: bytes, module: Any = format1) -> None:
    assert module.serialize(*module.parse(stream), len(stream)) == stream


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


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 9), st.integers(0, 4), st.integers(1, 9), st.integers(0, 3000))
def test_compiled_and_plain_do_the_same(data: bytes, level: int, strategy: int, memory: int, cut: int) -> None:
    stream = spelled(data + data[:cut], level, strategy, memory)
    assert format1.parse(stream) == UNCOMPILED.parse(stream)
    parts = UNCOMPILED.parse(stream)
    assert format1.serialize(*parts, len(stream)) == UNCOMPILED.serialize(*parts, len(stream)) == stream


@settings(max_examples=80, deadline=None)
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
    parts = outcome(format1, "parse", bad)
    assert parts == outcome(UNCOMPILED, "parse", bad)
    if isinstance(parts, tuple):
        assert format1.serialize(*parts, len(bad)) == bad
    worse = [damaged(part) for part in format1.parse(stream)]
    assert outcome(format1, "serialize", *worse, len(stream)) == outcome(
        UNCOMPILED, "serialize", *worse, len(stream)
    )


def test_a_length_that_is_spelled_as_nobody_does() -> None:
    """258 as 284 and all its bits: it would come back as 285."""
    bits = "1" + "10"  # The last block, fixed codes.
    bits += format(0x30 + ord("a"), "08b") + format(0xC0 + 4, "08b") + "1" * 5 + "00000" + "0000000"
    packed = bytes(int(bits[place : place + 8][::-1].ljust(1, "0"), 2) for place in range(0, len(bits), 8))
    content = b"a" * 259
    trailer = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    stream = gzip.compress(b"")[:10] + packed + trailer
    assert zlib.decompress(stream, 31) == content
    with pytest.raises(format1.MalformedError):
        format1.parse(stream)
    assert parse_layer(stream) is None


def test_it_runs_compiled_here() -> None:
    """scripts/setup installs a compiler."""
    assert format1.COMPILED
    assert not UNCOMPILED.COMPILED
    assert sys.version_info >= (3, 11)
