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
