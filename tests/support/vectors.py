"""Golden vectors: what real compressors wrote, and the content that they wrote it of.

A stream is not kept, but its recipe and its hash: content and recipe together are the stream again. Contents are
made by code, always the same. `make_vectors` makes the vectors.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "unit/delta/vectors"
MANIFEST, ZSTD = FOLDER / "manifest.json", FOLDER / "zstd.json"
"""Of gzip, and of zstd."""

Bits = random.Random


@dataclass(frozen=True)
class Vector:
    """One stream.

    Attributes:
        name: the compressor, its options and the content, in one word.
        compressor: which one wrote it, with its version.
        model: family, generation, level, memory level, segment and dictionary; nothing for zstd.
        content: the name of the content.
        content_sha256: its hash.
        size: how long the stream is, in bytes.
        sha256: its hash.
        recipe: its recipe, in base 64.
    """

    name: str
    compressor: str
    model: tuple[int, ...]
    content: str
    content_sha256: str
    size: int
    sha256: str
    recipe: str

    def unpacked_recipe(self) -> bytes:
        return base64.b64decode(self.recipe)


def load(manifest: Path = MANIFEST) -> list[Vector]:
    if not manifest.exists():
        return []
    return [
        Vector(**{**entry, "model": tuple(entry["model"])}) for entry in json.loads(manifest.read_text("ascii"))
    ]


def save(vectors: list[Vector], manifest: Path = MANIFEST) -> None:
    FOLDER.mkdir(exist_ok=True)
    entries = ",\n".join(json.dumps(asdict(each)) for each in sorted(vectors, key=lambda each: each.name))
    manifest.write_text(f"[\n{entries}\n]\n", "ascii")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def content(name: str) -> bytes:
    """Return a content by its name: "few", "short", "mixed", "edges", "long", "wide" or "frames"."""
    rng = random.Random(2026)
    if name == "few":
        return _text(rng, 90)
    if name == "short":
        return _text(rng, 3000) + bytes(700) + _records(rng, 1500) + _text(rng, 2000)
    if name == "mixed":
        return _mixed(rng)
    if name == "edges":
        return _edges(rng)
    if name == "long":
        # Several segments of pgzip's, the last of them not full.
        return b"".join(_mixed(random.Random(seed)) for seed in range(7)) + _text(rng, 5000)
    if name == "frames":
        return b"".join(frames())
    if name == "wide":
        # Longer than zstd's history, with matches from all over it, and from beyond.
        source = content("long")
        out = bytearray(source)
        while len(out) < 20_000_000:
            size = 1 + _below(rng, 60_000)
            begin = _below(rng, len(source) - size)
            out += source[begin : begin + size] + _random(rng, 1 + _below(rng, 40))
        return bytes(out)
    raise ValueError(name)


def frames() -> list[bytes]:
    """Return short contents, of which each is compressed by itself."""
    rng = random.Random(31)
    words = [_random(rng, 3 + _below(rng, 10)) for _ in range(40)]
    return [
        b"".join(words[_below(rng, 3 + number % 20)] for _ in range(8 + _below(rng, 60))) for number in range(400)
    ]


def _below(rng: Bits, bound: int) -> int:
    """Return a number below a bound; only `getrandbits` is the same in all versions of Python."""
    return rng.getrandbits(40) % bound


def _random(rng: Bits, size: int) -> bytes:
    return rng.getrandbits(8 * size).to_bytes(size, "little")


def _text(rng: Bits, size: int) -> bytes:
    """Words, the first ones far more often than the last ones."""
    source = random.Random(7)
    vocabulary = [
        bytes(97 + _below(source, 26) // (1 + _below(source, 3)) for _ in range(2 + _below(source, 8)))
        for _ in range(700)
    ]
    out = bytearray()
    while len(out) < size:
        rank = _below(rng, 700)
        out += vocabulary[rank * _below(rng, 700) // 700 * _below(rng, 700) // 700]
        out += b" \n,. "[_below(rng, 40) // 10 :][:1] if _below(rng, 9) else b".\n\n"
    return bytes(out[:size])


def _records(rng: Bits, size: int) -> bytes:
    """What tables in programs look like: counters, addresses, a few flags."""
    out = bytearray()
    address = 0x401000
    number = 0
    while len(out) < size:
        address += 16 * _below(rng, 40)
        number += 1
        out += number.to_bytes(4, "little") + address.to_bytes(8, "little")
        out += bytes((_below(rng, 3), 0, _below(rng, 200) // 190, 0)) + (
            _random(rng, 2) if _below(rng, 4) == 0 else b"\0\0"
        )
    return bytes(out[:size])


def _code(rng: Bits, size: int) -> bytes:
    """Short pieces that come again and again in other company, as in machine code."""
    source = random.Random(11)
    pieces = [_random(source, 1 + _below(source, 6)) for _ in range(400)]
    out = bytearray()
    while len(out) < size:
        out += pieces[_below(rng, 400) * _below(rng, 400) // 400]
        if _below(rng, 5) == 0:
            out += _random(rng, 1 + _below(rng, 3))
    return bytes(out[:size])


def _changed(rng: Bits, data: bytes, often: int) -> bytes:
    """A copy in which a byte is another one, left out or doubled, about every so many bytes."""
    out = bytearray()
    place = 0
    while place < len(data):
        step = 1 + _below(rng, 2 * often)
        out += data[place : place + step]
        place += step
        what = _below(rng, 3)
        if what == 0:
            out += _random(rng, 1)
            place += 1
        elif what == 1:
            place += 1
        else:
            out += data[place - 1 : place]
    return bytes(out)


def _mixed(rng: Bits) -> bytes:
    """All of that, longer than five windows: long and short matches, near and far ones, none, and many."""
    text = _text(rng, 40_000)
    code = _code(rng, 30_000)
    return b"".join((
        text,
        _records(rng, 20_000),
        _changed(rng, text[10_000:30_000], 60),
        bytes(5_000),
        code,
        # Almost out of reach, just within it, and just beyond.
        text[7_000 : 7_000 + 2_000],
        _random(rng, 30_000),
        _changed(rng, code[:20_000], 25),
        b"ab" * 400 + b"abc" * 700 + bytes(259) + b"x" * 516 + b"y" * 262,
        _random(rng, 70_000),
        _text(rng, 60_000),
        _changed(rng, code, 12),
        bytes(range(256)) * 40,
        _records(rng, 30_000),
    ))  # fmt: skip


def _edges(rng: Bits) -> bytes:
    """Where rules end: matches that just reach, that are just long enough for something, that end with a chunk."""
    chunk, window = 65_535, 32_768
    pieces = [_random(rng, 8 + _below(rng, 30)) for _ in range(90)]
    out = bytearray()
    # Matches of middling lengths, begun and ended in many ways.
    while len(out) < chunk - 400:
        first, second, third = (pieces[_below(rng, 90)] for _ in range(3))
        out += first + second[: _below(rng, 40)] + third[_below(rng, 20) :] + _random(rng, _below(rng, 3))
    # A match over a chunk's end, and the same bytes again after it.
    again = _random(rng, 600)
    out += again + _random(rng, 20) + again[:500] + again[200:]
    # What comes again comes from just within reach, or from just without.
    for distance in (window - 2, window - 1, window, window + 1, window - 262, window - 261):
        base = len(out)
        out += _text(rng, 500)
        while len(out) < base + window + 2_000:
            if _below(rng, 3):
                size = 4 + _below(rng, 60)
                here = len(out) - distance
                out += out[here : here + size]
            out += _random(rng, 1 + _below(rng, 12))
    # The last chunk is short, and would be worth matches.
    missing = -(len(out) - 100) % chunk
    while missing > 0:
        size = min(missing, 300 + _below(rng, 900))
        out += _text(rng, size)
        missing -= size
    return bytes(out[: len(out) - 100]) + pieces[0][:8] * 12 + b"last"
