# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Deflate streams written: bits, codes and tokens, up to a bound of bytes.

This file is plain Python; `deflate_writer.pxd` has the types with which Cython compiles it. Either way it does the
same.
"""

from __future__ import annotations

from .inflate import DISTANCE_BASES, DISTANCE_BITS, LENGTH_BASES, LENGTH_BITS
from .malformed import MalformedError, TooLongError
from .words import Words

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_CHUNK = 1 << 17
_SLACK = 16
# An entry of a table is a code, with what follows it, in bits 0 to 23; from 24 on how many bits that is.
_CODE = 0xFFFFFF


class Symbols:
    """Which symbols stand for lengths and distances.

    Attributes:
        lengths: by length as tokens have it, 3 to 259: of the codes 257, 258, ..., less 257. A pointer where this
            is compiled.
        distances: for distances less one: below 256 by themselves, others at 256 and what is above their lower
            seven bits. A pointer, likewise.
        bases: the shortest distance of each symbol, less one.
        extra: how many bits follow each symbol of a distance.
    """

    def __init__(self) -> None:
        """Make the tables."""
        self.kept_lengths = bytearray(260)
        self.lengths = self.kept_lengths
        self.kept_distances = bytearray(512)
        self.distances = self.kept_distances
        self.kept_bases = Words(32)
        self.bases = self.kept_bases.base
        self.kept_extra = bytearray(32)
        self.extra = self.kept_extra
        for symbol in range(28):
            for length in range(1 << LENGTH_BITS[symbol]):
                self.lengths[LENGTH_BASES[symbol] + length] = symbol
        self.lengths[258] = 28
        # 258 as the code 284 spells it.
        self.lengths[259] = 27
        for symbol in range(30):
            base = DISTANCE_BASES[symbol] - 1
            self.bases[symbol] = base
            self.extra[symbol] = DISTANCE_BITS[symbol]
            for distance in range(base, min(base + (1 << DISTANCE_BITS[symbol]), 256)):
                self.distances[distance] = symbol
            if base >= 256:
                for distance in range(base, base + (1 << DISTANCE_BITS[symbol]), 128):
                    self.distances[256 + (distance >> 7)] = symbol


class DeflateWriter:
    """Bits that are written, the lowest bit of each byte first.

    Attributes:
        left: how many bytes more may be written.
    """

    def __init__(self, bound: int) -> None:
        """Begin.

        Args:
            bound: how many bytes may be written.
        """
        self.memory = bytearray(_CHUNK + _SLACK)
        self.out = self.memory
        self.used = 0
        self.buffer = 0
        self.count = 0
        self.left = bound
        self.done: list[bytes] = []
        self.kept_literals = Words(288)
        self.literals = self.kept_literals.base
        # By length as tokens have it: 3 to 259.
        self.kept_lengths = Words(260)
        self.lengths = self.kept_lengths.base
        self.kept_distances = Words(32)
        self.distances = self.kept_distances.base
        self.kept_next = Words(16)
        self.next = self.kept_next.base
        self.by = Symbols()

    def flush(self) -> int:
        """Move what is written out of the way."""
        if self.used > self.left:
            raise TooLongError("it is longer than it was said to be")
        self.left -= self.used
        self.done.append(bytes(self.memory[0 : self.used]))
        self.used = 0
        return 0

    def take(self) -> list[bytes]:
        """Return all whole bytes that were written, once."""
        if self.used:
            self.flush()
        done = self.done
        self.done = []
        return done

    def put(self, value: int, count: int) -> int:
        """Write up to 32 bits; above them, `value` has none."""
        if self.used > _CHUNK:
            self.flush()
        wide = value
        self.buffer |= wide << self.count
        self.count += count
        while self.count >= 8:
            self.out[self.used] = self.buffer & 255
            self.used += 1
            self.buffer >>= 8
            self.count -= 8
        return 0

    def put_bytes(self, data: bytes | bytearray, first: int, end: int) -> int:
        """Write whole bytes: `data[first:end]`."""
        place = first
        while place < end:
            self.put(data[place], 8)
            place += 1
        return 0

    def put_bits(self, bits: bytes | bytearray, count: int) -> int:
        """Write so many bits of these bytes."""
        self.put_bytes(bits, 0, count >> 3)
        if count & 7:
            self.put(bits[count >> 3] & ((1 << (count & 7)) - 1), count & 7)
        return 0

    def set_codes(self, lengths: bytearray, literals: int, begin: int, distances: int) -> int:
        """Take codes for the tokens that follow.

        Args:
            lengths: how many bits each code has, from 0 to 15: those of literals, the end, and lengths come first.
            literals: how many of them there are, up to 288.
            begin: where those of distances begin.
            distances: how many of them there are, up to 32.

        Raises:
            MalformedError: there are more codes than there can be.
        """
        for symbol in range(288):
            self.literals[symbol] = 0
        for symbol in range(32):
            self.distances[symbol] = 0
        self.assign(lengths, 0, literals, self.literals)
        self.assign(lengths, begin, distances, self.distances)
        for length in range(3, 260):
            symbol = self.by.lengths[length]
            entry = self.literals[257 + symbol]
            if entry:
                extra = min(length, 258) - LENGTH_BASES[symbol]
                entry |= extra << (entry >> 24)
                entry += LENGTH_BITS[symbol] << 24
            self.lengths[length] = entry
        return 0

    def assign(self, lengths: bytearray, begin: int, count: int, codes: list[int]) -> int:
        """Give each symbol its code, canonically, with its bits in the order in which they are written."""
        for length in range(16):
            self.next[length] = 0
        for symbol in range(count):
            self.next[lengths[begin + symbol]] += 1
        self.next[0] = 0
        code = 0
        for length in range(1, 16):
            number = self.next[length]
            self.next[length] = code
            code += number
            if code > 1 << length:
                raise MalformedError("more codes than there are")
            code <<= 1
        for symbol in range(count):
            length = lengths[begin + symbol]
            if length:
                code = self.next[length]
                self.next[length] += 1
                reverse = 0
                for bit in range(length):
                    reverse |= ((code >> bit) & 1) << (length - 1 - bit)
                codes[symbol] = reverse | (length << 24)
        return 0

    def put_tokens(self, tokens: list[int], many: int) -> int:
        """Write so many tokens: a literal byte, or for a match `length << 15 | distance - 1`.

        Raises:
            MalformedError: one has no code.
        """
        # The loop that takes the time: all it needs is in variables of its own.
        out, used = self.out, self.used
        buffer, count = self.buffer, self.count
        literals, lengths, distances = self.literals, self.lengths, self.distances
        symbols, bases, extra = self.by.distances, self.by.bases, self.by.extra
        place = 0
        while place < many:
            token = tokens[place]
            place += 1
            if token < 256:
                entry = literals[token]
                wide = entry & _CODE
                few = entry >> 24
                buffer |= wide << count
                count += few
            else:
                entry = lengths[token >> 15]
                wide = entry & _CODE
                few = entry >> 24
                buffer |= wide << count
                count += few
                distance = token & 0x7FFF
                symbol = symbols[distance if distance < 256 else 256 + (distance >> 7)]
                if few:
                    entry = distances[symbol]
                    wide = entry & _CODE
                    few = entry >> 24
                    buffer |= wide << count
                    count += few
                    wide = distance - bases[symbol]
                    buffer |= wide << count
                    count += extra[symbol]
            if few == 0:
                raise MalformedError("a token without a code")
            store_eight(out, used, buffer)  # type: ignore[name-defined]  # noqa: F821
            used += count >> 3
            buffer >>= count & 56
            count &= 7
            if used > _CHUNK:
                self.used = used
                self.flush()
                used = 0
        self.used, self.buffer, self.count = used, buffer, count
        return 0

    def end_block(self) -> int:
        """Write the end of a block of tokens."""
        entry = self.literals[256]
        if entry == 0:
            raise MalformedError("a token without a code")
        self.put(entry & _CODE, entry >> 24)
        return 0


def _store_eight(data: bytearray, place: int, value: int) -> None:
    data[place : place + 8] = value.to_bytes(8, "little")


if not COMPILED:
    # Compiled, it is C of the same meaning: see deflate_writer.pxd.
    globals()["store_eight"] = _store_eight
