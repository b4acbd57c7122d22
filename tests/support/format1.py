"""The writer of format 1, which the product has no more: old archives are made with it, and the bench shows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wrapper.delta.format1 import HEADER, MAGIC, zstd
from wrapper.delta.format1 import parse_layer as parse_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wrapper.delta.format1 import ParsedLayer

LEVEL = 15
"""zstd's level that was the default."""

_SHORTEST_PREFIX = 8
_LARGEST_WINDOW = 31 if sys.maxsize > 2**32 else 30


def encode(new: ParsedLayer, olds: Sequence[ParsedLayer], level: int = LEVEL) -> bytes:
    """Express a layer against older ones of the same kind."""
    frames = [
        _compress(stream, b"".join(old.streams[place] for old in olds), level)
        for place, stream in enumerate(new.streams)
    ]
    sizes = [size for pair in zip(map(len, new.streams), map(len, frames), strict=True) for size in pair]
    return HEADER.pack(MAGIC, new.kind, *sizes) + b"".join(frames)


def _compress(data: bytes, prefix: bytes, level: int) -> bytes:
    window = max(10, min(_LARGEST_WINDOW, (len(data) + len(prefix)).bit_length()))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.window_log: window,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    return zstd.compress(data, options=options, zstd_dict=_dictionary(prefix))


def _dictionary(prefix: bytes) -> tuple[zstd.ZstdDict, int] | None:
    return zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= _SHORTEST_PREFIX else None
