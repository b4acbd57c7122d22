"""Block headers are predicted as compressors write them."""

from __future__ import annotations

import random
import subprocess
import zlib
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import uncompiled
from tests.support.parsed import parse
from tests.support.prediction import build_go_gzip, code, few, repeated, text
from tests.support.streams import spelled
from wrapper.delta import headers, inflate

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = uncompiled.load("headers")


def fibonacci(count: int) -> bytes:
    """Return bytes in any order, whose counts grow so fast that their codes would be longer than 15 bits."""
    # With the end of the block, which comes once.
    counts = [1, 2]
    while len(counts) < count:
        counts.append(counts[-1] + counts[-2])
    made = [number for number, times in enumerate(counts) for _ in range(times)]
    random.Random(1).shuffle(made)
    return bytes(made)


CONTENTS = [
    b"abc" * 20,
    text(150_000),
    code(100_000),
    few(20_000),
    repeated(70_000, 3),
    random.Random(1).randbytes(1000) + bytes(1000),
    fibonacci(18),
    fibonacci(17)[::-1],
]


def symbol(bases: list[int], value: int) -> int:
    return max(number for number, base in enumerate(bases) if base <= value)


def wrong_headers(stream: bytes, kind: int) -> tuple[int, int]:
    """Return how many headers of a gzip stream are not predicted, and how many there are."""
    builder = headers.HeaderBuilder(kind)
    wrong = total = 0
    for member in parse(stream).members:
        for block, tokens in zip(member.blocks, member.tokens, strict=True):
            if block.kind != inflate.DYNAMIC:
                continue
            literals, distances = array("I", bytes(4 * 286)), array("I", bytes(4 * 30))
            for token in tokens:
                if token < 256:
                    literals[token] += 1
                else:
                    literals[257 + symbol(inflate.LENGTH_BASES, token >> 15)] += 1
                    distances[symbol(inflate.DISTANCE_BASES, (token & 0x7FFF) + 1)] += 1
            bits = builder.build(literals, distances)
            expected = bytes(block.header)[: (block.header_bits + 7) // 8]
            wrong += (bits, bytes(builder.bits[: len(expected)])) != (block.header_bits, expected)
            total += 1
    return wrong, total


def piped(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("strategy", range(4))
def test_zlib(strategy: int) -> None:
    """With all strategies: those without matches have no distances, which has a header of its own."""
    total = 0
    for level in (1, 6, 9):
        for data in CONTENTS:
            wrong, some = wrong_headers(spelled(data, level, strategy), headers.ZLIB)
            assert wrong == 0
            total += some
    assert total > 20


def test_gnu_gzip() -> None:
    total = 0
    for data in CONTENTS:
        wrong, some = wrong_headers(piped(["gzip", "-6"], data), headers.ZLIB)
        assert wrong == 0
        total += some
    assert total > 5


def test_go(tmp_path: Path) -> None:
    """With level -2, which takes no matches, too."""
    command = str(build_go_gzip(tmp_path))
    total = 0
    for level in ("-2", "1", "6"):
        for data in CONTENTS:
            wrong, some = wrong_headers(piped([command, level], data), headers.GO)
            assert wrong == 0
            total += some
    assert total > 20


def test_one_is_not_the_other() -> None:
    wrong, total = wrong_headers(spelled(CONTENTS[1]), headers.GO)
    assert wrong == total > 0


def test_codes_are_kept_short() -> None:
    """In a way that is zlib's own, which such counts show."""
    assert wrong_headers(spelled(fibonacci(18), 6, zlib.Z_HUFFMAN_ONLY), headers.ZLIB) == (0, 1)
    assert wrong_headers(spelled(fibonacci(18), 6, zlib.Z_HUFFMAN_ONLY), headers.GO) == (1, 1)
    counts = array("I", bytes(4 * 286))
    for byte in fibonacci(18):
        counts[byte] += 1
    builder = headers.HeaderBuilder(headers.ZLIB)
    builder.build(counts, array("I", bytes(4 * 30)))
    # Without a limit it would be 18.
    assert max(builder.lengths[:286]) == 15


def built(module: Any, kind: int, literals: list[int], distances: list[int]) -> tuple[int, bytes, bytes, int, int]:
    builder = module.HeaderBuilder(kind)
    bits = 0
    # What was built before leaves nothing behind.
    for counts in (([5] * 286, [7] * 30), (literals, distances)):
        bits = builder.build(array("I", counts[0]), array("I", counts[1]))
    return bits, bytes(builder.lengths), bytes(builder.bits), builder.literal_count, builder.distance_count


COUNTS = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8, 1000, 16_000, 1 << 20, (1 << 32) - 1])


@given(
    st.sampled_from([headers.ZLIB, headers.GO, headers.KLAUSPOST, headers.KLAUSPOST_FILLED]),
    st.lists(COUNTS, max_size=286),
    st.lists(COUNTS, max_size=30),
    st.booleans(),
)
def test_any_counts_make_a_header(kind: int, literals: list[int], distances: list[int], grows: bool) -> None:
    """The header says what the codes are; compiled and not."""
    literals += [0] * (286 - len(literals))
    distances += [0] * (30 - len(distances))
    if grows:
        literals[:40] = [1 << number * 3 // 4 for number in range(40)]
        distances[:] = [1 << number for number in range(30)]
    bits, lengths, written, literal_count, distance_count = built(headers, kind, literals, distances)
    assert (bits, lengths, written, literal_count, distance_count) == built(PLAIN, kind, literals, distances)
    assert all(length > 0 for length, count in zip(lengths, literals, strict=False) if count)
    assert all(length > 0 for length, count in zip(lengths[286:], distances, strict=False) if count)
    assert lengths[256] > 0
    assert max(lengths) <= 15
    assert max(lengths[316:]) <= 7
    for codes in (lengths[:286], lengths[286:316], lengths[316:]):
        used = [length for length in codes if length]
        assert sum(1 << (15 - length) for length in used) <= 1 << 15
    # Nothing is declared in vain, unless all is.
    if kind in (headers.KLAUSPOST, headers.KLAUSPOST_FILLED):
        assert (literal_count, distance_count) == (286, 30)
    else:
        assert literal_count == max(257, max(place + 1 for place in range(286) if lengths[place]))
        assert distance_count == max(1, *(place + 1 for place in range(30) if lengths[286 + place]), 1)
    parsed = uncompiled.load("inflate").BlockHeader()
    parsed.parse_bytes(written[: (bits + 7) // 8])
    assert parsed.bit_count == bits
    assert bytes(parsed.lengths[:286]) == lengths[:286]
    assert bytes(parsed.lengths[288:318]) == lengths[286:316]
