"""gzip streams for tests: as compressors make them, and as none does."""

from __future__ import annotations

import lzma
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wrapper.delta.models import Name

_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class Bits:
    """Bits that are written one after the other."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def put(self, value: int, count: int) -> None:
        """Write a number, its lowest bit first."""
        self.bits += [(value >> place) & 1 for place in range(count)]

    def code(self, value: int, count: int) -> None:
        """Write a Huffman code, its highest bit first."""
        self.bits += [(value >> place) & 1 for place in reversed(range(count))]

    def finish(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        places = range(0, len(padded), 8)
        return bytes(sum(bit << place for place, bit in enumerate(padded[first : first + 8])) for first in places)


def gzipped(blocks: Sequence[bytes], content: bytes = b"") -> bytes:
    """Return a gzip member of deflate blocks that are given."""
    trailer = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255)) + b"".join(blocks) + trailer


def fixed_literals(content: bytes) -> bytes:
    """Return one fixed block, the last one, that has nothing but literals."""
    reverse = [int(f"{code:08b}"[::-1], 2) for code in range(256)]
    value, used, done = 0b011, 3, bytearray()
    for byte in content:
        if byte < 144:
            value |= reverse[0x30 + byte] << used
            used += 8
        else:
            value |= int(f"{0x190 + byte - 144:09b}"[::-1], 2) << used
            used += 9
        while used >= 8:
            done.append(value & 255)
            value >>= 8
            used -= 8
    # The end is seven zeros.
    return bytes(done) + value.to_bytes(2, "little")[: (used + 7 + 7) // 8]


def dynamic(
    literals: Mapping[int, int], distances: Mapping[int, int], declared: int, declared_distances: int
) -> Bits:
    """Return the beginning of a dynamic block, the last one, with all code lengths written one by one."""
    bits = Bits()
    bits.put(0b101, 3)
    bits.put(declared - 257, 5)
    bits.put(declared_distances - 1, 5)
    bits.put(19 - 4, 4)
    # All of 0 to 15 have codes of four bits.
    for symbol in _ORDER:
        bits.put(4 if symbol < 16 else 0, 3)
    for symbol in range(declared):
        bits.code(literals.get(symbol, 0), 4)
    for symbol in range(declared_distances):
        bits.code(distances.get(symbol, 0), 4)
    return bits


def number(value: int) -> bytes:
    """Return a number as recipes have it."""
    done = bytearray()
    while value > 127:
        done.append(value & 127 | 128)
        value >>= 7
    return bytes((*done, value))


def recipe(
    name: Name, content: int, steps: int, parts: Sequence[bytes], lengths: Mapping[int, int] | None = None
) -> bytes:
    """Return a recipe of any streams; `lengths` is said of them instead of the truth."""
    numbers = [
        1,
        name.family,
        name.generation,
        name.level,
        name.memory_level,
        name.segment,
        name.dictionary,
        content,
        steps,
    ]
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
    packed = [lzma.compress(part, lzma.FORMAT_RAW, filters=filters) if part else b"" for part in parts]
    for place, (part, short) in enumerate(zip(parts, packed, strict=True)):
        numbers += [(lengths or {}).get(place, len(part)), len(short)]
    return b"".join([*map(number, numbers), *packed])


def with_steps(made: bytes, steps: int) -> bytes:
    """Return a recipe that says another number of steps."""
    place = 0
    for _ in range(8):
        while made[place] > 127:
            place += 1
        place += 1
    end = place
    while made[end] > 127:
        end += 1
    return made[:place] + number(steps) + made[end + 1 :]
