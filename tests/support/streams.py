"""Content for layers, and gzip streams of it."""

from __future__ import annotations

import random
import zlib


def spelled(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY, memory: int = 8) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, 31, memory, strategy)
    return compressor.compress(data) + compressor.flush()


def words(seed: int, count: int = 3000) -> bytes:
    rng = random.Random(seed)
    return b"".join(rng.choice((b"layer ", b"digest ", b"blob\n", rng.randbytes(3))) for _ in range(count))


def bomb(size: int) -> bytes:
    """A gzip stream of so many bytes, more or less, whose parts are sixteen times as long: matches of two bits."""
    # The last block, dynamic; HLIT, HDIST, HCLEN.
    bits = "1" + "01" + f"{29:05b}"[::-1] + f"{0:05b}"[::-1] + f"{14:04b}"[::-1]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits += "".join(f"{ {18: 1, 0: 2, 1: 2}.get(symbol, 0):03b}"[::-1] for symbol in order)
    # Lengths: none for literals, 1 for the end, none for the next 28, 1 for a match of 258 bytes, 1 for a distance.
    for repeat in (138, 118):
        bits += "0" + f"{repeat - 11:07b}"[::-1]
    bits += "11" + "0" + f"{28 - 11:07b}"[::-1] + "11" + "11"
    # A match is 1 and 0, the end is 0.
    bits += ("10" * 4)[: -len(bits) % 8]
    body = b"\x55" if bits.endswith("0") else b"\xaa"
    head = bytes(int(bits[place : place + 8][::-1], 2) for place in range(0, len(bits), 8))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + head + body * size + b"\0" + bytes(8)
