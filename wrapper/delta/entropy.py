# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see entropy.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""The codes of zstd's blocks (RFC 8878, 4): how descriptions of them are read, and what they say.

Descriptions are of hostile origin. This file is plain Python; `entropy.pxd` has the types with which Cython
compiles it. Either way it does the same.
"""

from __future__ import annotations

from .malformed import MalformedError
from .words import Words

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

# What a table holds at most: states, and symbols.
_STATES, _SYMBOLS = 512, 256
_LOG = 9
_NONE = 0xFFFF
# Of Huffman's codes (4.2.1): the longest one, and what the table is that describes them.
_LONGEST, _WEIGHTS_LOG, _MOST_WEIGHT = 11, 6, 11
_MOST_WEIGHTS = 255
_DIRECT = 128


def _high_bit(number: int) -> int:
    return number.bit_length() - 1


def _bits_at(data: bytes, place: int, count: int, end: int) -> int:
    """Bits from a place on, counted in bits, the lowest first; zeros after the end, in bytes."""
    number = int.from_bytes(data[place >> 3 : min(end, (place >> 3) + 8)], "little")
    return number >> (place & 7) & ((1 << count) - 1)


def _bits_before(data: bytes, begin: int, place: int, count: int) -> int:
    """Bits before a place, counted in bits; zeros before the begin, in bytes."""
    have = min(count, max(0, place - 8 * begin))
    first = place - have
    number = int.from_bytes(data[first >> 3 : (first >> 3) + 8], "little")
    return (number >> (first & 7) & ((1 << have) - 1)) << (count - have)


class FseTable:
    """Finite state entropy: a table of states, each of which stands for a symbol.

    Attributes:
        log: the binary logarithm of how many states there are.
        symbols: each state's symbol.
        bits: how many bits are read to come from it to the next one.
        bases: what they are added to.
        steps: for each symbol and following state, `symbol << 9 | state`, which state of the symbol leads there.
        last: for each symbol, in which state whoever writes begins.
    """

    def __init__(self) -> None:
        """Take memory."""
        self.log = 0
        self.kept_symbols = Words(_STATES)
        self.symbols = self.kept_symbols.base
        self.kept_bits = Words(_STATES)
        self.bits = self.kept_bits.base
        self.kept_bases = Words(_STATES)
        self.bases = self.kept_bases.base
        self.kept_steps = Words(_SYMBOLS << _LOG)
        self.steps = self.kept_steps.base
        self.kept_last = Words(_SYMBOLS)
        self.last = self.kept_last.base
        # How likely each symbol is, plus one.
        self.kept_odds = Words(_SYMBOLS)
        self.odds = self.kept_odds.base
        self.kept_nexts = Words(_SYMBOLS)
        self.nexts = self.kept_nexts.base
        self.count = 0
        self.forget()

    def set_one(self, symbol: int) -> int:
        """Let there be one symbol."""
        self.forget()
        self.log = 0
        self.symbols[0] = symbol
        self.bits[0] = 0
        self.bases[0] = 0
        self.steps[symbol << _LOG] = 0
        self.last[symbol] = 0
        return 0

    def set_odds(self, odds: bytes, log: int) -> int:
        """Let symbols be as likely as is given, each plus one: a table that needs no description (3.1.1.3.2.2)."""
        self.count = len(odds)
        for symbol in range(self.count):
            self.odds[symbol] = odds[symbol]
        self.log = log
        return self.build()

    def forget(self) -> int:
        """Let there be no symbol."""
        for symbol in range(_SYMBOLS):
            self.last[symbol] = _NONE
        return 0

    def read(self, data: bytes, place: int, end: int, most_symbol: int, most_log: int) -> int:
        """Read a description (4.1.1).

        Args:
            data: what has it.
            place: where it begins.
            end: where it must have ended.
            most_symbol: the last symbol that there may be.
            most_log: what `log` may be.

        Returns:
            Where it ends.

        Raises:
            MalformedError: it is none.
        """
        base = data
        if place >= end or end > len(data):
            raise MalformedError("a table's description that ends too early")
        at = 8 * place
        log = 5 + bits_at(base, at, 4, end)
        at += 4
        if log > most_log:
            raise MalformedError("a table that is too large")
        left = (1 << log) + 1
        symbol = 0
        while left > 1 and symbol <= most_symbol:
            width = high_bit(left) + 1
            value = bits_at(base, at, width, end)
            low = (1 << (width - 1)) - 1
            few = (1 << width) - 1 - left
            if (value & low) < few:
                value &= low
                at += width - 1
            else:
                if value > low:
                    value -= few
                at += width
            self.odds[symbol] = value
            symbol += 1
            left -= value - 1 if value else 1
            if value == 1:
                again = 3
                while again == 3:
                    again = bits_at(base, at, 2, end)
                    at += 2
                    for _ in range(again):
                        if symbol > most_symbol:
                            raise MalformedError("a table with more symbols than there are")
                        self.odds[symbol] = 1
                        symbol += 1
        if left != 1:
            raise MalformedError("a table that is not full")
        self.count = symbol
        self.log = log
        self.build()
        done = (at + 7) >> 3
        if done > end:
            raise MalformedError("a table's description that ends too early")
        return done

    def build(self) -> int:
        """Make the table of the symbols' odds (4.1.1)."""
        size = 1 << self.log
        mask = size - 1
        high = size - 1
        symbols = self.symbols
        self.forget()
        for symbol in range(self.count):
            odds = self.odds[symbol]
            self.nexts[symbol] = odds - 1 if odds else 1
            if odds == 0:
                symbols[high] = symbol
                high -= 1
        step = (size >> 1) + (size >> 3) + 3
        place = 0
        for symbol in range(self.count):
            odds = self.odds[symbol]
            while odds > 1:
                odds -= 1
                symbols[place] = symbol
                place = (place + step) & mask
                while place > high:
                    place = (place + step) & mask
        for state in range(size):
            symbol = symbols[state]
            number = self.nexts[symbol]
            self.nexts[symbol] += 1
            width = self.log - high_bit(number)
            base = (number << width) - size
            self.bits[state] = width
            self.bases[state] = base
            if self.last[symbol] == _NONE:
                self.last[symbol] = state
            for following in range(base, base + (1 << width)):
                self.steps[symbol << _LOG | following] = state
        return 0


class HuffmanCode:
    """A code of Huffman's for literals.

    Attributes:
        lengths: how long each symbol's code is; 0: it has none.
        codes: the codes.
    """

    def __init__(self) -> None:
        """Take memory."""
        self.kept_lengths = Words(_SYMBOLS)
        self.lengths = self.kept_lengths.base
        self.kept_codes = Words(_SYMBOLS)
        self.codes = self.kept_codes.base
        self.kept_weights = Words(_SYMBOLS)
        self.weights = self.kept_weights.base
        self.count = 0
        self.table = FseTable()

    def read(self, description: bytes) -> int:
        """Read a description (4.2.1), all of it.

        Raises:
            MalformedError: it is none.
        """
        size = len(description)
        if size == 0:
            raise MalformedError("a code's description that ends too early")
        first = description[0]
        self.count = 0
        if first >= _DIRECT:
            count = first - _DIRECT + 1
            if size != 1 + ((count + 1) >> 1):
                raise MalformedError("a code's description of another length")
            for number in range(count):
                pair = description[1 + (number >> 1)]
                self.weights[number] = pair & 15 if number & 1 else pair >> 4
            self.count = count
        else:
            if size != 1 + first:
                raise MalformedError("a code's description of another length")
            # What is read beyond its end is zeros.
            padded = description + bytes(8)
            self.read_weights(padded, size, self.table.read(padded, 1, size, _MOST_WEIGHT, _WEIGHTS_LOG))
        return self.build()

    def read_weights(self, data: bytes, end: int, begin: int) -> int:
        """Read weights that are written by two states in turn."""
        base = data
        table = self.table
        if begin >= end or base[end - 1] == 0:
            raise MalformedError("a code's description without an end")
        place = 8 * (end - 1) + high_bit(base[end - 1])
        first = 8 * begin
        state = bits_before(base, begin, place, table.log)
        place -= table.log
        other = bits_before(base, begin, place, table.log)
        place -= table.log
        if place < first:
            raise MalformedError("a code's description that ends too early")
        while True:
            if self.count + 2 > _MOST_WEIGHTS:
                raise MalformedError("a code with more symbols than there are")
            self.weights[self.count] = table.symbols[state]
            self.count += 1
            width = table.bits[state]
            if place - width < first:
                self.weights[self.count] = table.symbols[other]
                self.count += 1
                return 0
            following = table.bases[state] + bits_before(base, begin, place, width)
            place -= width
            state = other
            other = following

    def build(self) -> int:
        """Make the code of the weights; the last symbol's follows from the others'."""
        total = 0
        for number in range(self.count):
            if self.weights[number] > _MOST_WEIGHT:
                raise MalformedError("a code that is too long")
            if self.weights[number]:
                total += 1 << (self.weights[number] - 1)
        if total == 0:
            raise MalformedError("a code without symbols")
        longest = high_bit(total) + 1
        left = (1 << longest) - total
        if longest > _LONGEST or left & (left - 1):
            raise MalformedError("a code that is not full")
        self.weights[self.count] = high_bit(left) + 1
        self.count += 1
        for symbol in range(_SYMBOLS):
            self.lengths[symbol] = 0
        place = 0
        for weight in range(1, longest + 1):
            for symbol in range(self.count):
                if self.weights[symbol] == weight:
                    self.lengths[symbol] = longest + 1 - weight
                    self.codes[symbol] = place >> (weight - 1)
                    place += 1 << (weight - 1)
        return 0


if not COMPILED:
    # Compiled, they are C of the same meaning: see entropy.pxd.
    globals().update(high_bit=_high_bit, bits_at=_bits_at, bits_before=_bits_before)
