# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see entropy.pxd, zstd_blocks.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""Compressed blocks of zstd (RFC 8878, 3.1.1.3): taken apart, and spelled again.

What a block says is its literals and its sequences; how it says that, the forms of its headers and the descriptions
of its codes. From all of these the block's bits follow: whoever writes begins in the first state of a symbol.
Literals follow from the content and the sequences.

This file is plain Python; `zstd_blocks.pxd` has the types with which Cython compiles it. Either way it does the
same.
"""

from __future__ import annotations

from typing import NamedTuple

from .entropy import FseTable, HuffmanCode, _bits_before, _high_bit
from .malformed import MalformedError
from .words import Words

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

MOST_CONTENT = 1 << 17
"""How long a block's content is at most, in bytes."""

MOST_SEQUENCES = MOST_CONTENT // 3
"""How many sequences a block has at most: each stands for three bytes or more."""

RAW, RLE, COMPRESSED, TREELESS = range(4)
"""Kinds of literals: as they are, one byte again and again, with a code, with the code of the block before."""

_MOST_CONTENT, _MOST_SEQUENCES = MOST_CONTENT, MOST_SEQUENCES
_RAW, _RLE, _COMPRESSED, _TREELESS = RAW, RLE, COMPRESSED, TREELESS
_LOG, _NO_STATE = 9, 0xFFFF
# Ways to give a table: it is known, has one symbol, is described, or is that of the block before.
_PREDEFINED, _ONE, _DESCRIBED, _REPEATED = range(4)
# The largest codes, the largest tables; and those that are known: how likely each symbol is, plus one
# (3.1.1.3.2.2).
_LITERALS_MOST, _OFFSETS_MOST, _MATCHES_MOST = 35, 31, 52
_LITERALS_LOG, _OFFSETS_LOG, _MATCHES_LOG = 9, 8, 9
_LITERALS_KNOWN = bytes([5, 4, *[3] * 11, 2, 2, 2, *[3] * 9, 4, 3, *[2] * 5, 0, 0, 0, 0])
_OFFSETS_KNOWN = bytes([*[2] * 6, 3, 3, 3, *[2] * 15, *[0] * 5])
_MATCHES_KNOWN = bytes([2, 5, 4, *[3] * 6, *[2] * 37, *[0] * 7])
_LITERALS_KNOWN_LOG, _OFFSETS_KNOWN_LOG, _MATCHES_KNOWN_LOG = 6, 5, 6
# What codes stand for at least, and how many bits are added (3.1.1.3.2.1.1).
_LITERALS_BITS = bytes([*[0] * 16, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
_MATCHES_BITS = bytes([*[0] * 32, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
_SHORTEST = 3
# Lengths above have a code that follows from their highest bit.
_FEW_LITERALS, _FEW_MATCHES = 64, 128
_LITERALS_SHIFT, _MATCHES_SHIFT = 19, 36
# A number of sequences above takes three bytes.
_THREE_BYTES = 0x7F00
_STREAMS = 4
# Empty literals, and no sequences.
_SHORTEST_BLOCK = 2
_SLACK = 16
_OUT = 1 << 20


class Shape(NamedTuple):
    """How a block is spelled.

    Attributes:
        literals: the kind of literals.
        form: how their lengths are written, from 0 to 3.
        tree: the description of their code; empty where there is none.
        modes: the byte that says how the tables are given; 0 without sequences.
        tables: their descriptions.
    """

    literals: int
    form: int
    tree: bytes
    modes: int
    tables: bytes


class Lengths:
    """The codes of lengths: the bits that they add, what they stand for at least, and which short ones have."""

    def __init__(self) -> None:
        """Make the tables."""
        self.kept_literals_bits = bytearray(_LITERALS_BITS)
        self.literals_bits = self.kept_literals_bits
        self.kept_matches_bits = bytearray(_MATCHES_BITS)
        self.matches_bits = self.kept_matches_bits
        self.kept_literals_bases = Words(_LITERALS_MOST + 1)
        self.literals_bases = self.kept_literals_bases.base
        self.kept_matches_bases = Words(_MATCHES_MOST + 1)
        self.matches_bases = self.kept_matches_bases.base
        self.kept_literals_codes = bytearray(_FEW_LITERALS)
        self.literals_codes = self.kept_literals_codes
        self.kept_matches_codes = bytearray(_FEW_MATCHES)
        self.matches_codes = self.kept_matches_codes
        value = 0
        for code in range(_LITERALS_MOST + 1):
            self.literals_bases[code] = value
            for each in range(value, min(_FEW_LITERALS, value + (1 << _LITERALS_BITS[code]))):
                self.literals_codes[each] = code
            value += 1 << _LITERALS_BITS[code]
        value = 0
        for code in range(_MATCHES_MOST + 1):
            self.matches_bases[code] = value + _SHORTEST
            for each in range(value, min(_FEW_MATCHES, value + (1 << _MATCHES_BITS[code]))):
                self.matches_codes[each] = code
            value += 1 << _MATCHES_BITS[code]


class Sequences:
    """What a block copies.

    Attributes:
        count: how many sequences there are.
        literals: for each, how many literals come before it.
        matches: for each, how long what is copied is.
        offsets: for each, where it is copied from, as zstd counts: distances plus 3, or 1 to 3 for recent ones.
    """

    def __init__(self) -> None:
        """Take memory."""
        self.count = 0
        self.kept_literals = Words(_MOST_SEQUENCES)
        self.literals = self.kept_literals.base
        self.kept_matches = Words(_MOST_SEQUENCES)
        self.matches = self.kept_matches.base
        self.kept_offsets = Words(_MOST_SEQUENCES)
        self.offsets = self.kept_offsets.base

    def add(self, literals: int, match: int, offset: int) -> int:
        """Add one."""
        if self.count == _MOST_SEQUENCES:
            raise MalformedError("a block with too many sequences")
        self.literals[self.count] = literals
        self.matches[self.count] = match
        self.offsets[self.count] = offset
        self.count += 1
        return 0

    def get(self, number: int) -> tuple[int, int, int]:
        """Return one: literals, match, offset."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        return self.literals[number], self.matches[number], self.offsets[number]

    def same(self, other: Sequences) -> bool:
        """Say whether others are the same."""
        if self.count != other.count:
            return False
        for number in range(self.count):
            if (
                self.literals[number] != other.literals[number]
                or self.matches[number] != other.matches[number]
                or self.offsets[number] != other.offsets[number]
            ):
                return False
        return True

    def clear(self) -> int:
        """Have none."""
        self.count = 0
        return 0


class Tables:
    """The tables of a frame's sequences, which blocks may have from those before them."""

    def __init__(self) -> None:
        """Begin a frame without any."""
        self.literals = FseTable()
        self.offsets = FseTable()
        self.matches = FseTable()
        # Which of them there are.
        self.known = 0

    def clear(self) -> int:
        """Begin another frame."""
        self.known = 0
        return 0

    def read(self, modes: int, data: bytes, place: int, end: int) -> int:
        """Take the tables of a block.

        Args:
            modes: how they are given.
            data: what has their descriptions.
            place: where these begin.
            end: where they must have ended.

        Returns:
            Where they end.

        Raises:
            MalformedError: there are no such tables.
        """
        if modes & 3:
            raise MalformedError("a block's tables are given in a way that is not known")
        place = self.read_one(self.literals, modes >> 6, data, place, end, 1, _LITERALS_MOST, _LITERALS_LOG)
        place = self.read_one(self.offsets, modes >> 4 & 3, data, place, end, 2, _OFFSETS_MOST, _OFFSETS_LOG)
        return self.read_one(self.matches, modes >> 2 & 3, data, place, end, 4, _MATCHES_MOST, _MATCHES_LOG)

    def read_one(
        self, table: FseTable, mode: int, data: bytes, place: int, end: int, which: int, most: int, log: int
    ) -> int:
        """Take one of them: see `read`."""
        if mode == _REPEATED:
            if not self.known & which:
                raise MalformedError("a block repeats a table that there is not")
            return place
        # What can't be read to its end is not to be repeated.
        self.known &= ~which
        if mode == _DESCRIBED:
            place = table.read(data, place, end, most, log)
            self.known |= which
            return place
        if mode == _ONE:
            if place >= end or data[place] > most:
                raise MalformedError("a table without a symbol")
            table.set_one(data[place])
            self.known |= which
            return place + 1
        self.known |= which
        if which == 1:
            table.set_odds(_LITERALS_KNOWN, _LITERALS_KNOWN_LOG)
        elif which == 2:
            table.set_odds(_OFFSETS_KNOWN, _OFFSETS_KNOWN_LOG)
        else:
            table.set_odds(_MATCHES_KNOWN, _MATCHES_KNOWN_LOG)
        return place


class BlockParser:
    """Takes blocks apart, in the order of a frame.

    Attributes:
        sequences: those of the block that was parsed last.
        content: how long its content is, in bytes.
    """

    def __init__(self) -> None:
        """Begin a frame."""
        self.sequences = Sequences()
        self.content = 0
        self.tables = Tables()
        self.by = Lengths()

    def begin(self) -> int:
        """Begin another frame."""
        self.tables.clear()
        return 0

    def parse(self, block: bytes) -> Shape:
        """Parse a compressed block, without its header.

        Raises:
            MalformedError: it is none, or nothing that is spelled here: the frame can't be gone on with.
        """
        size = len(block)
        # Bytes beyond its end are read, and not looked at.
        data = block + bytes(_SLACK)
        if size < _SHORTEST_BLOCK:
            raise MalformedError("a block that ends too early")
        literals = data[0] & 3
        form = data[0] >> 2 & 3
        head = data[0] | data[1] << 8 | data[2] << 16
        packed = 0
        if literals <= _RLE:
            if form & 1 == 0:
                # One bit says so, and the other one belongs to the length.
                form = 0
                place = 1
                count = head >> 3 & 31
            elif form == 1:
                place = 2
                count = head >> 4 & 0xFFF
            else:
                place = 3
                count = head >> 4
            place += 1 if literals == _RLE else count
            begin = place
        else:
            wide = head | data[3] << 24
            if form <= 1:
                place = 3
                count = wide >> 4 & 0x3FF
                packed = wide >> 14 & 0x3FF
            elif form == 2:
                place = 4
                count = wide >> 4 & 0x3FFF
                packed = wide >> 18 & 0x3FFF
            else:
                place = 5
                count = wide >> 4 & 0x3FFFF
                packed = wide >> 22 | data[4] << 10
            begin = place
            place += packed
        if place >= size:
            raise MalformedError("literals that end too early")
        tree = b""
        if literals == _COMPRESSED:
            first = data[begin]
            length = 1 + (first if first < 128 else (first - 126) >> 1)
            if length > packed:
                raise MalformedError("a code's description that ends too early")
            tree = data[begin : begin + length]
        many = data[place]
        place += 1
        if many == 255:
            many = data[place] + (data[place + 1] << 8) + _THREE_BYTES
            place += 2
        elif many >= 128:
            many = ((many - 128) << 8) + data[place]
            place += 1
        self.sequences.clear()
        self.content = count
        if many == 0:
            return Shape(literals, form, tree, 0, b"")
        if many > _MOST_SEQUENCES:
            raise MalformedError("a block with too many sequences")
        if place >= size:
            raise MalformedError("sequences that end too early")
        modes = data[place]
        place += 1
        begin = place
        place = self.tables.read(modes, data, place, size)
        tables = data[begin:place]
        self.read_sequences(data, place, size, many)
        return Shape(literals, form, tree, modes, tables)

    def read_sequences(self, data: bytes, begin: int, end: int, many: int) -> int:
        """Read sequences; their bits are read from the last one on."""
        base = data
        if begin >= end or base[end - 1] == 0:
            raise MalformedError("sequences that end too early")
        place = 8 * (end - 1) + high_bit(base[end - 1])
        first = 8 * begin
        literals, offsets, matches = self.tables.literals, self.tables.offsets, self.tables.matches
        by = self.by
        one = 1
        left = bits_before(base, begin, place, literals.log)
        place -= literals.log
        far = bits_before(base, begin, place, offsets.log)
        place -= offsets.log
        long = bits_before(base, begin, place, matches.log)
        place -= matches.log
        total = 0
        for number in range(many):
            code = offsets.symbols[far]
            offset = (one << code) + bits_before(base, begin, place, code)
            place -= code
            code = matches.symbols[long]
            width = by.matches_bits[code]
            match = by.matches_bases[code] + bits_before(base, begin, place, width)
            place -= width
            code = literals.symbols[left]
            width = by.literals_bits[code]
            length = by.literals_bases[code] + bits_before(base, begin, place, width)
            place -= width
            if number + 1 < many:
                width = literals.bits[left]
                left = literals.bases[left] + bits_before(base, begin, place, width)
                place -= width
                width = matches.bits[long]
                long = matches.bases[long] + bits_before(base, begin, place, width)
                place -= width
                width = offsets.bits[far]
                far = offsets.bases[far] + bits_before(base, begin, place, width)
                place -= width
            if place < first:
                raise MalformedError("sequences that end too early")
            total += match
            if total > _MOST_CONTENT:
                raise MalformedError("a block whose content is too long")
            self.sequences.add(length, match, offset)
        self.content += total
        return 0


class BlockSpeller:
    """Spells blocks, in the order of a frame; all is of hostile origin."""

    def __init__(self) -> None:
        """Begin a frame."""
        self.tables = Tables()
        self.code = HuffmanCode()
        self.has_code = False
        self.by = Lengths()
        self.kept_literals = bytearray(_MOST_CONTENT + _SLACK)
        self.literals = self.kept_literals
        self.memory = bytearray(_OUT + _SLACK)
        self.out = self.memory
        self.used = 0
        self.buffer = 0
        self.count = 0

    def begin(self) -> int:
        """Begin another frame."""
        self.tables.clear()
        self.has_code = False
        return 0

    def spell(self, content: bytes, sequences: Sequences, shape: Shape) -> bytes:
        """Spell a block.

        Args:
            content: its content.
            sequences: what it copies.
            shape: how it is spelled.

        Returns:
            The block, without its header.

        Raises:
            MalformedError: all that does not go together.
        """
        size = len(content)
        if size > _MOST_CONTENT:
            raise MalformedError("a block whose content is too long")
        base = content
        literals = self.literals
        place = 0
        count = 0
        for number in range(sequences.count):
            length = sequences.literals[number]
            match = sequences.matches[number]
            if length > size - place or match > size - place - length:
                raise MalformedError("sequences that are longer than their content")
            for _ in range(length):
                literals[count] = base[place]
                count += 1
                place += 1
            place += match
        while place < size:
            literals[count] = base[place]
            count += 1
            place += 1
        self.used = 0
        self.buffer = 0
        self.count = 0
        self.put_literals(count, shape.literals, shape.form, shape.tree)
        many = sequences.count
        if many < 128:
            self.put_byte(many)
        elif many < _THREE_BYTES:
            self.put_byte((many >> 8) + 128)
            self.put_byte(many & 255)
        else:
            self.put_byte(255)
            self.put_byte((many - _THREE_BYTES) & 255)
            self.put_byte((many - _THREE_BYTES) >> 8)
        if many:
            tables = shape.tables
            self.put_byte(shape.modes)
            for number in range(len(tables)):
                self.put_byte(tables[number])
            if self.tables.read(shape.modes, tables, 0, len(tables)) != len(tables):
                raise MalformedError("tables of another length")
            self.put_sequences(sequences)
        return bytes(self.memory[0 : self.used])

    def put_byte(self, byte: int) -> int:
        """Write a byte."""
        if self.used >= _OUT:
            raise MalformedError("a block that is too long")
        self.out[self.used] = byte
        self.used += 1
        return 0

    def put(self, value: int, width: int) -> int:
        """Write bits, 31 at most."""
        wide = value
        self.buffer |= wide << self.count
        self.count += width
        while self.count >= 8:
            self.put_byte(self.buffer & 255)
            self.buffer >>= 8
            self.count -= 8
        return 0

    def end_bits(self) -> int:
        """Write the bit that says where bits end."""
        self.put(1, 1)
        if self.count:
            self.put(0, 8 - self.count)
        return 0

    def put_number(self, number: int, width: int) -> int:
        """Write a number of so many bytes, the lowest first."""
        wide = number
        for each in range(width):
            self.put_byte((wide >> (8 * each)) & 255)
        return 0

    def put_literals(self, count: int, kind: int, form: int, tree: bytes) -> int:
        """Write the literals (3.1.1.3.1)."""
        if kind <= _RLE:
            if form == 2:
                raise MalformedError("literals of a form that there can't be")
            width = 1 if form == 0 else 2 if form == 1 else 3
            shift = 3 if form == 0 else 4
            if count >> (8 * width - shift):
                raise MalformedError("more literals than their form has room for")
            self.put_number(kind | form << 2 | count << shift, width)
            if kind == _RAW:
                for place in range(count):
                    self.put_byte(self.literals[place])
            else:
                if count == 0:
                    raise MalformedError("no literal to be repeated")
                for place in range(count):
                    if self.literals[place] != self.literals[0]:
                        raise MalformedError("literals that are not the same")
                self.put_byte(self.literals[0])
            return 0
        if kind == _COMPRESSED:
            self.has_code = False
            self.code.read(tree)
            self.has_code = True
        elif not self.has_code:
            raise MalformedError("a block repeats a code that there is not")
        bits = 10 if form <= 1 else 14 if form == 2 else 18
        width = 3 if form <= 1 else 4 if form == 2 else 5
        begin = self.used
        self.used += width
        for place in range(len(tree)):
            self.put_byte(tree[place])
        if form == 0:
            self.put_stream(0, count)
        else:
            sizes = self.used
            self.used += 2 * (_STREAMS - 1)
            part = (count + _STREAMS - 1) // _STREAMS
            for stream in range(_STREAMS):
                done = self.used
                first = min(stream * part, count)
                self.put_stream(first, count if stream == _STREAMS - 1 else min(first + part, count))
                done = self.used - done
                if stream < _STREAMS - 1:
                    if done > 0xFFFF:
                        raise MalformedError("literals that are too long")
                    self.out[sizes + 2 * stream] = done & 255
                    self.out[sizes + 2 * stream + 1] = done >> 8
        packed = self.used - begin - width
        if count >> bits or packed >> bits:
            raise MalformedError("more literals than their form has room for")
        end = self.used
        self.used = begin
        wide = packed
        wide = kind | form << 2 | count << 4 | wide << (4 + bits)
        self.put_number(wide, width)
        self.used = end
        return 0

    def put_stream(self, first: int, end: int) -> int:
        """Write literals with their code, from the last one on."""
        lengths = self.code.lengths
        codes = self.code.codes
        place = end
        while place > first:
            place -= 1
            symbol = self.literals[place]
            if lengths[symbol] == 0:
                raise MalformedError("a literal without a code")
            self.put(codes[symbol], lengths[symbol])
        return self.end_bits()

    def put_sequences(self, sequences: Sequences) -> int:
        """Write sequences, from the last one on (3.1.1.3.2)."""
        literals, offsets, matches = self.tables.literals, self.tables.offsets, self.tables.matches
        by = self.by
        number = sequences.count
        left = far = long = 0
        one = 1
        while number:
            number -= 1
            length = sequences.literals[number]
            match = sequences.matches[number] - _SHORTEST
            offset = sequences.offsets[number]
            if match < 0 or offset == 0 or match > 0x1FFFF or length > 0x1FFFF:
                raise MalformedError("a sequence that there can't be")
            literals_code = (
                by.literals_codes[length] if length < _FEW_LITERALS else high_bit(length) + _LITERALS_SHIFT
            )
            matches_code = by.matches_codes[match] if match < _FEW_MATCHES else high_bit(match) + _MATCHES_SHIFT
            offsets_code = high_bit(offset)
            self.require(offsets, offsets_code)
            self.require(matches, matches_code)
            self.require(literals, literals_code)
            if number + 1 < sequences.count:
                far = self.put_step(offsets, offsets_code, far)
                long = self.put_step(matches, matches_code, long)
                left = self.put_step(literals, literals_code, left)
            else:
                far = offsets.last[offsets_code]
                long = matches.last[matches_code]
                left = literals.last[literals_code]
            width = by.literals_bits[literals_code]
            self.put(length & ((one << width) - 1), width)
            width = by.matches_bits[matches_code]
            self.put(match & ((one << width) - 1), width)
            self.put(offset - (one << offsets_code), offsets_code)
        self.put(long, matches.log)
        self.put(far, offsets.log)
        self.put(left, literals.log)
        return self.end_bits()

    def put_step(self, table: FseTable, symbol: int, following: int) -> int:
        """Write how one comes from a state of a symbol to the following one; return that state."""
        state: int = table.steps[symbol << _LOG | following]
        self.put(following - table.bases[state], table.bits[state])
        return state

    def require(self, table: FseTable, symbol: int) -> int:
        """See that a table has a symbol."""
        if table.last[symbol] == _NO_STATE:
            raise MalformedError("a sequence without a code")
        return 0


if not COMPILED:
    # Compiled, they are C of the same meaning: see entropy.pxd.
    globals().update(high_bit=_high_bit, bits_before=_bits_before)
