"""Models of compressors held against streams of real ones, and what to compress for that."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.parsed import parse
from wrapper.delta import window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GO = """package main
import ("compress/gzip"; "io"; "os"; "strconv")
func main() {
    level, _ := strconv.Atoi(os.Args[1])
    w, err := gzip.NewWriterLevel(os.Stdout, level)
    if err == nil { _, err = io.Copy(w, os.Stdin) }
    if err == nil { err = w.Close() }
    if err != nil { panic(err) }
}
"""


def build_go_gzip(folder: Path) -> Path:
    """Compile a gzip of Go's, which takes a level; where Go is installed."""
    if not shutil.which("go"):
        pytest.skip("Go is not installed")
    (folder / "main.go").write_text(_GO)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", "gzipped", "main.go"], cwd=folder, env=environment, check=True)
    return folder / "gzipped"


def length(token: int) -> int:
    """Return how much content a token stands for."""
    return min(token >> 15, 258) or 1


def mispredicted(build: Callable[[Any], Any], stream: bytes, known_end: bool = True) -> int:
    """Return how many tokens of a gzip stream a model gets wrong; it may know early where members end."""
    found = parse(stream)
    held = window.Window(3 * (window.HISTORY + window.AHEAD))
    model = build(held)
    place = wrong = 0
    for member in found.members:
        model.begin(member.begin)
        held.limit = member.end if known_end else 1 << 62
        for block, tokens in zip(member.blocks, member.tokens, strict=True):
            stop = place + block.stored
            truth = iter(tokens)
            while (true := next(truth, None)) is not None or place < stop:
                if held.end - place < window.AHEAD and held.end < len(found.content):
                    held.forget(max(place - window.HISTORY, 0))
                    held.add(found.content, held.end, min(held.room(), len(found.content) - held.end))
                if held.end >= member.end:
                    held.limit = member.end
                token = model.predict()
                assert place + length(token) <= member.end
                if true is not None:
                    true = true if true > 255 else 0
                    wrong += token != true
                    token = true
                elif place + length(token) > stop:
                    token = 0
                model.accept(token)
                place += length(token)
                assert model.place == place
    assert place == len(found.content)
    return wrong


def text(size: int, seed: int = 1) -> bytes:
    """Return words, some of them often."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 9)) for _ in range(300)]
    made = bytearray()
    while len(made) < size:
        made += rng.choice(words[: rng.choice((10, 100, 300))])
    return bytes(made[:size])


def code(size: int, seed: int = 1) -> bytes:
    """Return records that are like each other, as in binaries."""
    rng = random.Random(seed)
    made = bytearray()
    while len(made) < size:
        made += rng.choice((b"\x48\x8b", b"\xe8", b"\0\0\0", b"\x0f\x84")) + rng.randbytes(rng.choice((0, 1, 1, 3)))
    return bytes(made[:size])


def few(size: int, seed: int = 1) -> bytes:
    """Return two kinds of bytes: long chains, many matches of all lengths."""
    rng = random.Random(seed)
    return bytes(rng.choice(b"ab") for _ in range(size))


def repeated(size: int, period: int) -> bytes:
    """Return the same again and again."""
    return (text(period) * (size // period + 1))[:size]
