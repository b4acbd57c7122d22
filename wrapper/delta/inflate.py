# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""gzip streams parsed as they come: content, the compressor's tokens, and what frames them.

What RFC 1952 and RFC 1951 allow is taken, whatever compressor wrote it, except that no gzip header may be longer
than 1 MiB. Memory is the same for any length of stream or block.

This file is plain Python; `inflate.pxd` has the types with which Cython compiles it. Either way it does the same.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from .malformed import MalformedError
from .words import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

STORED, FIXED, DYNAMIC = 0, 1, 2
"""Kinds of blocks."""

BEGIN, BLOCK, MORE, DONE, TRAILER, REST, FINISHED = range(7)
"""What a step can have found: see `Inflater.step`."""

END, MEMBER, OTHER = 0, 1, 2
"""What follows a member: nothing, another one, or bytes that are none."""

_AT_MEMBER, _AT_BLOCK, _IN_BLOCK, _AT_TRAILER, _AT_REST, _OVER = range(6)

# So many bits are looked up at once; longer codes are searched for.
_FAST = 11
# 64 bits.
_ALL = 0xFFFFFFFFFFFFFFFF
# A match is copied eight bytes at a time.
_SLACK = 258 + 8
_PIECE = 1 << 16
_LONGEST_HEADER = 1 << 20
# No block header has more bytes: 14 bits, 19 lengths of codes for code lengths, and 320 code lengths of at most 14.
_RECORDED = 640

_ORDER = bytes((16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15))

# An entry of a table: the code's length in bits 0 to 3, how many bits follow it in 4 to 7, what it means in
# 8 and 9, and from 16 on a value: the literal, the shortest length, or the shortest distance less one.
_LITERAL, _MATCH, _END, _BAD = 0, 1 << 8, 2 << 8, 3 << 8

LENGTH_BITS = bytes([0] * 8 + [each // 4 for each in range(4, 24)] + [0])
"""How many bits follow the codes 257, 258, ... (RFC 1951, 3.2.5)."""

DISTANCE_BITS = bytes([0, 0] + [each // 2 for each in range(28)])
"""How many bits follow each distance code."""


def _bases(extra: bytes, first: int) -> list[int]:
    found = [first]
    for bits in extra[: len(extra) - 1]:
        found.append(found[len(found) - 1] + (1 << bits))
    return found


# 285 is the length 258, which 284 could spell, too.
LENGTH_BASES = [*_bases(LENGTH_BITS[:28], 3), 258]
"""The shortest length of the codes 257, 258, ..."""

DISTANCE_BASES = _bases(DISTANCE_BITS, 1)
"""The shortest distance of each distance code."""


def _literal_meanings() -> list[int]:
    found = [_LITERAL | (byte << 16) for byte in range(256)]
    found.append(_END)
    found += [_MATCH | (bits << 4) | (base << 16) for bits, base in zip(LENGTH_BITS, LENGTH_BASES, strict=True)]
    return [*found, _BAD, _BAD]


def _distance_meanings() -> list[int]:
    found = [(bits << 4) | ((base - 1) << 16) for bits, base in zip(DISTANCE_BITS, DISTANCE_BASES, strict=True)]
    return [*found, _BAD, _BAD]


class BitReader:
    """Bits from bytes that are read piece by piece, the lowest bit of each byte first.

    Above the `count` bits that are at hand, `buffer` may hold what comes next already.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Begin.

        Args:
            read: returns up to so many bytes; none at the end.
        """
        self.read = read
        self.chunk = b""
        self.data = self.chunk
        self.size = 0
        self.place = 0
        self.buffer = 0
        self.count = 0
        self.ended = False

    def more(self) -> int:
        """Read the next piece; return whether there is one."""
        if not self.ended:
            self.chunk = self.read(_PIECE)
            self.data = self.chunk
            self.size = len(self.chunk)
            self.place = 0
            self.ended = self.size == 0
        return 0 if self.ended else 1

    def fill(self) -> int:
        """Take in bytes until there are more than 56 bits, or all."""
        while self.count <= 56:
            if self.place == self.size and not self.more():
                break
            byte = self.data[self.place]
            self.buffer = (self.buffer | (byte << self.count)) & _ALL
            self.place += 1
            self.count += 8
        return 0

    def take(self, count: int) -> int:
        """Take up to 32 bits."""
        if self.count < count:
            self.fill()
            if self.count < count:
                raise MalformedError("it ends too early")
        one = 1
        value = self.buffer & ((one << count) - 1)
        self.buffer >>= count
        self.count -= count
        return value

    def align(self) -> int:
        """Go to the next whole byte, and return the bits before it."""
        return self.take(self.count & 7)


class Codes:
    """A Huffman code to read by."""

    def __init__(self, meanings: list[int]) -> None:
        """Take memory.

        Args:
            meanings: each symbol's entry of a table, less its code's length.
        """
        self.kept_meanings = Words(len(meanings))
        self.meanings = self.kept_meanings.base
        for symbol in range(len(meanings)):
            self.meanings[symbol] = meanings[symbol]
        self.kept_table = Words(1 << _FAST)
        self.table = self.kept_table.base
        self.kept_ordered = Words(len(meanings))
        self.ordered = self.kept_ordered.base
        self.kept_counts = Words(16)
        self.counts = self.kept_counts.base
        self.kept_next = Words(16)
        self.next = self.kept_next.base

    def make(self, lengths: bytearray, begin: int, count: int) -> int:
        """Make the table for so many symbols; the lengths of their codes (0 to 15) stand from `begin` on.

        Raises:
            MalformedError: there are more codes than can be. Fewer are taken: some decoders take them.
        """
        for length in range(16):
            self.counts[length] = 0
        for symbol in range(count):
            self.counts[lengths[begin + symbol]] += 1
        self.counts[0] = 0
        left = 1
        code = 0
        total = 0
        for length in range(1, 16):
            left = (left << 1) - self.counts[length]
            if left < 0:
                raise MalformedError("more codes than there are")
            # From here on: where the symbols of that length begin, among all in order.
            self.next[length] = total
            total += self.counts[length]
        for symbol in range(count):
            length = lengths[begin + symbol]
            if length:
                self.ordered[self.next[length]] = symbol
                self.next[length] += 1
        for place in range(1 << _FAST):
            self.table[place] = 0
        total = 0
        for length in range(1, _FAST + 1):
            for _ in range(self.counts[length]):
                entry = self.meanings[self.ordered[total]] | length
                total += 1
                reverse = 0
                for bit in range(length):
                    reverse |= ((code >> bit) & 1) << (length - 1 - bit)
                place = reverse
                while place < 1 << _FAST:
                    self.table[place] = entry
                    place += 1 << length
                code += 1
            code <<= 1
        return 0

    def search(self, buffer: int) -> int:
        """Return the entry of a code that is too long for the table.

        Raises:
            MalformedError: there is none.
        """
        code = 0
        first = 0
        place = 0
        for length in range(1, 16):
            code |= buffer & 1
            buffer >>= 1
            many = self.counts[length]
            if code < first + many:
                entry: int = self.meanings[self.ordered[place + code - first]]
                return entry | length
            place += many
            first = (first + many) << 1
            code <<= 1
        raise MalformedError("a code that means nothing")


class BlockHeader:
    """The header of a block with codes of its own: their lengths, and the very bits of the header.

    Attributes:
        lengths: of the codes: 288 for literals, the end, and lengths; then 32 for distances. A pointer where this
            is compiled.
        bits: the header after the block's kind, the lowest bit first.
        bit_count: how many bits of them count.
    """

    def __init__(self) -> None:
        """Take memory."""
        self.lengths_memory = bytearray(288 + 32 + 32)
        self.lengths = self.lengths_memory
        self.bits = bytearray(_RECORDED)
        self.bits_base = self.bits
        self.bit_count = 0
        self.precodes = Codes([symbol << 16 for symbol in range(19)])
        self.precode_memory = bytearray(19)
        self.precode_lengths = self.precode_memory

    def set_fixed(self) -> int:
        """Set the lengths of the codes that need no header."""
        for symbol in range(288):
            self.lengths[symbol] = 8 if symbol < 144 else 9 if symbol < 256 else 7 if symbol < 280 else 8
        for symbol in range(32):
            self.lengths[288 + symbol] = 5
        self.bit_count = 0
        return 0

    def parse(self, reader: BitReader) -> int:
        """Read a header.

        Raises:
            MalformedError: it is none.
        """
        self.bit_count = 0
        literals = self.take(reader, 5) + 257
        distances = self.take(reader, 5) + 1
        precodes = self.take(reader, 4) + 4
        if literals > 288:
            raise MalformedError("more symbols than there are")
        for symbol in range(19):
            self.precode_lengths[symbol] = 0
        for place in range(precodes):
            self.precode_lengths[_ORDER[place]] = self.take(reader, 3)
        self.precodes.make(self.precode_lengths, 0, 19)
        for symbol in range(288 + 32):
            self.lengths[symbol] = 0
        # The lengths are one list: a repetition may go from the literals' into the distances'.
        total = literals + distances
        at = 0
        before = 0
        while at < total:
            if reader.count < 7:
                reader.fill()
            entry = self.precodes.table[reader.buffer & ((1 << _FAST) - 1)]
            if entry == 0:
                raise MalformedError("a code that means nothing")
            self.take(reader, entry & 15)
            symbol = entry >> 16
            times = 1
            if symbol == 16:
                if at == 0:
                    raise MalformedError("nothing to repeat")
                times = 3 + self.take(reader, 2)
            elif symbol == 17:
                before = 0
                times = 3 + self.take(reader, 3)
            elif symbol == 18:
                before = 0
                times = 11 + self.take(reader, 7)
            else:
                before = symbol
            if at + times > total:
                raise MalformedError("more symbols than there are")
            for _ in range(times):
                self.lengths[at if at < literals else 288 + at - literals] = before
                at += 1
        return 0

    def take(self, reader: BitReader, count: int) -> int:
        """Take bits, and keep them."""
        value = reader.take(count)
        left = count
        if self.bit_count + count > 8 * _RECORDED:
            raise MalformedError("a block header that is too long")
        for _ in range(left):
            byte = self.bit_count >> 3
            if self.bit_count & 7 == 0:
                self.bits_base[byte] = 0
            self.bits_base[byte] |= ((value >> (count - left)) & 1) << (self.bit_count & 7)
            self.bit_count += 1
            left -= 1
        return value

    def parse_bytes(self, bits: bytes) -> int:
        """Read a header that is at hand."""
        return self.parse(BitReader(BytesIO(bits).read))


class Block:
    """A block as far as it is parsed.

    Attributes:
        kind: STORED, FIXED or DYNAMIC.
        last: whether it is the member's last one.
        padding: the bits before a stored block's length.
        stored: how long a stored block's content is.
        tokens: how many were parsed.
        header: the very bits of a dynamic block's header, from HLIT on, the lowest first.
        header_bits: how many they are.
        ended: whether it is parsed to its end.
    """

    def __init__(self, kind: int, last: int) -> None:
        """Begin a block."""
        self.kind = kind
        self.last = last
        self.padding = 0
        self.stored = 0
        self.tokens = 0
        self.header = b""
        self.header_bits = 0
        self.ended = False


class Inflater:
    """A gzip stream, parsed step by step.

    Attributes:
        tokens: parsed and not yet taken ones, from `head` to `tail`: a literal byte, or for a match
            `length << 15 | distance - 1`, where the length 259 is 258 spelled by the code 284. A pointer where this
            is compiled. Whoever takes them moves `head`.
        block: the block that was begun last.
        header: the member's header, from its first byte on.
        padding: the bits between the member's last block and its trailer.
        trailer: the member's trailer, eight bytes.
        follows: what comes after the member: END, MEMBER or OTHER.
        rest: the next bytes of what comes after the last member and is none.
    """

    def __init__(self, read: Callable[[int], bytes], window: Window, room: int) -> None:
        """Begin.

        Args:
            read: returns up to so many bytes of the stream; none at its end.
            window: takes the content. Whoever drives this lets go of what is before; 32 KiB have to be left.
            room: for how many tokens.
        """
        self.reader = BitReader(read)
        self.window = window
        self.queue = Words(room)
        self.tokens = self.queue.base
        self.head = 0
        self.tail = 0
        self.literals = Codes(_literal_meanings())
        self.distances = Codes(_distance_meanings())
        self.codes = BlockHeader()
        self.begin = 0
        self.state = _AT_MEMBER
        self.left = 0
        self.block = Block(STORED, 1)
        self.header = b""
        self.padding = 0
        self.trailer = b""
        self.follows = END
        self.rest = b""

    def step(self) -> int:
        """Parse on.

        Returns:
            BEGIN: a member begins, `header` is known.
            BLOCK: a block begins, which is `block`.
            MORE: of the block's content, and tokens unless it is stored; as much as there was room for.
            DONE: the block is at its end. (More of it may have come, too, as with MORE.)
            TRAILER: the member is at its end; `padding`, `trailer` and `follows` are known.
            REST: more bytes after the last member, in `rest`.
            FINISHED: all is parsed.

        Raises:
            MalformedError: this is no gzip stream.
        """
        if self.state == _AT_MEMBER:
            return self.take_header()
        if self.state == _AT_BLOCK:
            return self.take_block()
        if self.state == _IN_BLOCK:
            self.make_room()
            if self.block.kind == STORED:
                return self.take_stored()
            return self.take_tokens()
        if self.state == _AT_TRAILER:
            return self.take_trailer()
        if self.state == _AT_REST:
            return self.take_rest()
        return FINISHED

    def take(self) -> list[int]:
        """Take all tokens that were parsed."""
        found = []
        while self.head < self.tail:
            found.append(self.tokens[self.head])
            self.head += 1
        return found

    def make_room(self) -> int:
        """Move tokens that were not taken to the queue's begin, where that makes enough room."""
        kept = self.tail - self.head
        if kept == 0:
            self.head = 0
            self.tail = 0
        elif self.tail * 8 > self.queue.count * 7 and self.head * 2 > self.queue.count:
            for place in range(kept):
                self.tokens[place] = self.tokens[self.head + place]
            self.head = 0
            self.tail = kept
        return 0

    def take_byte(self, kept: bytearray) -> int:
        """Take a byte of a header, and keep it."""
        byte = self.reader.take(8)
        kept.append(byte)
        if len(kept) > _LONGEST_HEADER:
            raise MalformedError("a gzip header that is too long")
        return byte

    def take_header(self) -> int:
        """Begin a member."""
        kept = bytearray()
        if self.take_byte(kept) != 0x1F or self.take_byte(kept) != 0x8B or self.take_byte(kept) != 8:
            raise MalformedError("no gzip header")
        flags = self.take_byte(kept)
        if flags & 0xE0:
            raise MalformedError("a gzip header of a later version")
        for _ in range(6):
            self.take_byte(kept)
        if flags & 4:
            low = self.take_byte(kept)
            for _ in range(low | (self.take_byte(kept) << 8)):
                self.take_byte(kept)
        for flag in (8, 16):
            if flags & flag:
                while self.take_byte(kept):
                    pass
        if flags & 2:
            self.take_byte(kept)
            self.take_byte(kept)
        self.header = bytes(kept)
        self.begin = self.window.end
        self.state = _AT_BLOCK
        return BEGIN

    def take_block(self) -> int:
        """Begin a block."""
        reader = self.reader
        last = reader.take(1)
        block = Block(reader.take(2), last)
        if block.kind == STORED:
            block.padding = reader.align()
            block.stored = reader.take(16)
            if block.stored ^ reader.take(16) != 0xFFFF:
                raise MalformedError("a stored block's length is not what it says")
            self.left = block.stored
        elif block.kind == FIXED:
            self.codes.set_fixed()
        elif block.kind == DYNAMIC:
            self.codes.parse(reader)
            block.header_bits = self.codes.bit_count
            block.header = bytes(self.codes.bits[0 : (block.header_bits + 7) >> 3])
        else:
            raise MalformedError("a block of no kind")
        if block.kind != STORED:
            self.literals.make(self.codes.lengths, 0, 288)
            self.distances.make(self.codes.lengths, 288, 32)
        self.block = block
        self.state = _IN_BLOCK
        return BLOCK

    def take_stored(self) -> int:
        """Take content of a stored block."""
        reader = self.reader
        while self.left:
            if reader.count == 0 and reader.place == reader.size and not reader.more():
                raise MalformedError("it ends too early")
            piece = min(self.left, self.window.room())
            if piece == 0:
                return MORE
            if reader.count:
                # What the bits' reader has taken in already.
                self.window.add(bytes((reader.take(8),)), 0, 1)
                piece = 1
            else:
                # Nor does it know anything else of what comes.
                reader.buffer = 0
                piece = min(piece, reader.size - reader.place)
                self.window.add(reader.chunk, reader.place, piece)
                reader.place += piece
            self.left -= piece
        return self.end_block()

    def end_block(self) -> int:
        """Say that a block is at its end."""
        self.block.ended = True
        self.state = _AT_TRAILER if self.block.last else _AT_BLOCK
        return DONE

    def take_tokens(self) -> int:
        """Take tokens of a block, and the content that they stand for."""
        # The loop that takes the time: all it needs is in variables of its own.
        reader = self.reader
        window = self.window
        out = window.base
        at = window.end - window.start
        begin = self.begin - window.start
        most = window.size - _SLACK
        tokens = self.tokens
        tail = self.tail
        before = tail
        last = self.queue.count
        literals = self.literals.table
        distances = self.distances.table
        # A number of C's, not of Python's.
        one = 1
        quick = (one << _FAST) - 1
        buffer, count = reader.buffer, reader.count
        data, place, size = reader.data, reader.place, reader.size
        ended = False
        while tail < last and at <= most:
            if count < 48:
                # More than the longest token has.
                if place + 8 <= size:
                    buffer |= (load_eight(data, place) << count) & _ALL  # type: ignore[name-defined]  # noqa: F821
                    place += (63 - count) >> 3
                    count |= 56
                else:
                    reader.buffer, reader.count, reader.place = buffer, count, place
                    reader.fill()
                    buffer, count = reader.buffer, reader.count
                    data, place, size = reader.data, reader.place, reader.size
            entry = literals[buffer & quick]
            if entry == 0:
                entry = self.literals.search(buffer)
            buffer >>= entry & 15
            count -= entry & 15
            if entry & _BAD == _LITERAL:
                if count < 0:
                    break
                out[at] = entry >> 16
                at += 1
                tokens[tail] = entry >> 16
                tail += 1
                continue
            if entry & _BAD != _MATCH:
                if entry & _BAD == _BAD:
                    raise MalformedError("a length that there is not")
                ended = True
                break
            extra = (entry >> 4) & 15
            length = (entry >> 16) + (buffer & ((one << extra) - 1))
            # 258 has a code of its own: the other one is kept apart.
            spelled = length if length < 258 or extra == 0 else 259
            buffer >>= extra
            count -= extra
            entry = distances[buffer & quick]
            if entry == 0:
                entry = self.distances.search(buffer)
            if entry & _BAD == _BAD:
                raise MalformedError("a distance that there is not")
            buffer >>= entry & 15
            count -= entry & 15
            extra = (entry >> 4) & 15
            distance = (entry >> 16) + (buffer & ((one << extra) - 1))
            buffer >>= extra
            count -= extra
            if count < 0:
                break
            if distance >= at - begin:
                raise MalformedError("a distance to before the content")
            copy_match(out, at, distance + 1, length)  # type: ignore[name-defined]  # noqa: F821
            at += length
            tokens[tail] = (spelled << 15) | distance
            tail += 1
        if count < 0:
            raise MalformedError("it ends too early")
        reader.buffer, reader.count, reader.place = buffer, count, place
        window.end = window.start + at
        self.tail = tail
        self.block.tokens += tail - before
        return self.end_block() if ended else MORE

    def take_trailer(self) -> int:
        """End a member, and see what follows."""
        reader = self.reader
        self.padding = reader.align()
        kept = bytearray()
        for _ in range(8):
            kept.append(reader.take(8))
        self.trailer = bytes(kept)
        reader.fill()
        # What gunzip takes for another member.
        if reader.count >= 32 and reader.buffer & 0xE0FFFFFF == 0x00088B1F:
            self.follows = MEMBER
            self.state = _AT_MEMBER
        elif reader.count:
            self.follows = OTHER
            self.state = _AT_REST
        else:
            self.follows = END
            self.state = _OVER
        return TRAILER

    def take_rest(self) -> int:
        """Take bytes after the last member."""
        reader = self.reader
        kept = bytearray()
        while reader.count:
            kept.append(reader.take(8))
        if kept:
            self.rest = bytes(kept)
        elif reader.place < reader.size or reader.more():
            self.rest = reader.chunk[reader.place : reader.size]
            reader.place = reader.size
        else:
            self.state = _OVER
            return FINISHED
        return REST


def _load_eight(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")


def _copy_match(data: bytearray, place: int, distance: int, length: int) -> None:
    for each in range(place, place + length):
        data[each] = data[each - distance]


if not COMPILED:
    # Compiled, they are C of the same meaning: see inflate.pxd.
    globals().update(load_eight=_load_eight, copy_match=_copy_match)
