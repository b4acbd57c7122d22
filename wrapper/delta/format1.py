# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Layers' changes of format 1, as older versions made them: they are applied, and no longer made.

All of that is in this file: it goes when nobody has such archives any more. The format is in
`docs/reference/layer-delta.md`.

A gzip layer is parsed into what the compressor decided and how it was encoded, and serialized again, bit for bit.
The streams that an old layer is parsed to are what zstd compresses the new layer's streams against.

A deflate stream (RFC 1951) is a list of blocks, each a header and tokens: a literal byte, or a match of so many
bytes at such a distance. Where content did not change, a compressor decides as before: only the bits are
others. So tokens are what two releases of a layer have in common. Here they stand apart from their bits:

- `lengths`: before each match how many literals come, 255 for "255, and more to follow"; then its length less 3.
- `distances`: of each match, less 1, in two bytes, the lower one first.
- `literals`: one byte each, those of stored blocks too.
- `frames`: all the rest: gzip's headers and trailers (RFC 1952), and for each block its type, the bits of its
  header, and how many tokens it has.

This file is plain Python; `format1.pxd` has the types with which Cython compiles it. Either way it does the same,
the compiled way some twenty times as fast.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError, HostError
from ..host.text import human_bytes
from ..oci.manifest import digest_of
from .malformed import MalformedError, TooLongError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from .artifact import LayerDelta

    Words = array[int]

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_BITS = 15
_CHUNK = 1 << 20
_ROOM = 1 << 10
_NO_BOUND = 1 << 62
_STORED, _FIXED, _DYNAMIC = 0, 1, 2
_MORE, _REST, _END = 1, 2, 0
_ORDER = bytes((16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15))
_LENGTH_BITS = bytes([0] * 8 + [each // 4 for each in range(4, 24)] + [0])
_DISTANCE_BITS = bytes([0, 0] + [each // 2 for each in range(28)])


def _bases(extra: bytes, first: int) -> list[int]:
    found = [first]
    for bits in extra[: len(extra) - 1]:
        found.append(found[len(found) - 1] + (1 << bits))
    return found


# 285 is the length 258, which 284 could encode too.
_LENGTH_BASES = [*_bases(_LENGTH_BITS[:28], 3), 258]
_DISTANCE_BASES = _bases(_DISTANCE_BITS, 1)


class _Reader:
    """Bits from bytes, the lowest bit of each first."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.size = len(data)
        self.place = 0
        self.buffer = 0
        self.count = 0

    def fill(self) -> None:
        while self.count <= 56 and self.place < self.size:
            byte = self.data[self.place]
            self.buffer |= byte << self.count
            self.place += 1
            self.count += 8

    def take(self, count: int) -> int:
        if self.count < count:
            self.fill()
            if self.count < count:
                raise MalformedError("it ends too early")
        value = self.buffer & ((1 << count) - 1)
        self.buffer >>= count
        self.count -= count
        return value

    def symbol(self, table: Words) -> int:
        if self.count < _BITS:
            self.fill()
        entry = table[self.buffer & 0x7FFF]
        length = entry >> 16
        if length == 0 or length > self.count:
            raise MalformedError("a code that means nothing")
        self.buffer >>= length
        self.count -= length
        return entry & 0xFFFF

    def align(self) -> int:
        """Go to the next whole byte, and return the bits before it."""
        return self.take(self.count & 7)

    def byte(self) -> int:
        return self.take(8)


class _Room:
    """How many bytes several outputs may still take together."""

    def __init__(self, left: int) -> None:
        self.left = left


class _Out:
    """Bytes that are written one by one, as long as there is room for them: that is looked at chunk by chunk."""

    def __init__(self, room: _Room) -> None:
        self.room = room
        self.scratch = bytearray(_CHUNK)
        self.used = 0
        self.done: list[bytes] = []

    def put(self, byte: int) -> None:
        if self.used == _CHUNK:
            self.flush()
        self.scratch[self.used] = byte
        self.used += 1

    def put_number(self, number: int) -> None:
        """Write a number, seven bits in a byte, the lowest first."""
        while number > 127:
            self.put((number & 127) | 128)
            number >>= 7
        self.put(number)

    def flush(self) -> None:
        if self.used > self.room.left:
            raise TooLongError("its parts are longer than memory is allowed for")
        self.room.left -= self.used
        self.done.append(bytes(self.scratch[: self.used]))
        self.used = 0

    def finish(self) -> bytes:
        """Return all that was written; once, for nothing of it is kept."""
        self.flush()
        done = self.done
        self.done = []
        return b"".join(done)


class _BitOut:
    """Bits that are written, the lowest bit of each byte first, up to a bound of bytes."""

    def __init__(self, bound: int) -> None:
        self.out = _Out(_Room(bound))
        self.left = bound
        self.buffer = 0
        self.count = 0

    def put(self, value: int, count: int) -> None:
        self.buffer |= value << self.count
        self.count += count
        while self.count >= 8:
            if self.left == 0:
                raise MalformedError("it is longer than stated")
            self.left -= 1
            self.out.put(self.buffer & 255)
            self.buffer >>= 8
            self.count -= 8


class _Codes:
    """The two Huffman codes of a block: tables to read by, and codes to write by."""

    def __init__(self) -> None:
        self.lengths = bytearray(288 + 32)
        self.literals = _words(bytes(4 << _BITS))
        self.distances = _words(bytes(4 << _BITS))
        self.literal_codes = _words(bytes(4 * 288))
        self.distance_codes = _words(bytes(4 * 32))
        self.precode = _words(bytes(4 << _BITS))
        self.scratch = _words(bytes(4 * 32))

    def set_fixed(self) -> None:
        for symbol in range(288):
            self.lengths[symbol] = 8 if symbol < 144 else 9 if symbol < 256 else 7 if symbol < 280 else 8
        for symbol in range(32):
            self.lengths[288 + symbol] = 5
        self.make(288, 288, 32)

    def make(self, literal_count: int, first: int, distance_count: int) -> None:
        """Make tables and codes: literals' lengths come first, distances' begin at `first`."""
        self.assign(0, literal_count, self.literal_codes)
        self.tabulate(0, literal_count, self.literal_codes, self.literals)
        self.assign(first, distance_count, self.distance_codes)
        self.tabulate(first, distance_count, self.distance_codes, self.distances)

    def assign(self, first: int, count: int, codes: Words) -> None:
        """Give each symbol its code, canonically, with its bits in the order in which they are written."""
        for length in range(32):
            self.scratch[length] = 0
        for symbol in range(count):
            self.scratch[self.lengths[first + symbol]] += 1
        self.scratch[0] = 0
        code = 0
        for length in range(1, _BITS + 1):
            number = self.scratch[length]
            # From here on: the next code of that length.
            self.scratch[length] = code
            code += number
            if code > 1 << length:
                raise MalformedError("more codes than there are")
            code <<= 1
        for symbol in range(count):
            length = self.lengths[first + symbol]
            if length:
                code = self.scratch[length]
                self.scratch[length] += 1
                reverse = 0
                for _ in range(length):
                    reverse = (reverse << 1) | (code & 1)
                    code >>= 1
                codes[symbol] = reverse | (length << 16)
            else:
                codes[symbol] = 0

    def tabulate(self, first: int, count: int, codes: Words, table: Words) -> None:
        for place in range(1 << _BITS):
            table[place] = 0
        for symbol in range(count):
            length = self.lengths[first + symbol]
            if length:
                place = codes[symbol] & 0xFFFF
                while place < 1 << _BITS:
                    table[place] = symbol | (length << 16)
                    place += 1 << length

    def read(self, reader: _Reader, kept: _BitOut) -> int:
        """Read a block's header, and keep its bits: first how many there are."""
        literal_count = self.some(reader, kept, 5) + 257
        distance_count = self.some(reader, kept, 5) + 1
        precodes = self.some(reader, kept, 4) + 4
        if literal_count > 286 or distance_count > 30:
            raise MalformedError("more symbols than there are")
        for symbol in range(19):
            self.lengths[symbol] = 0
        for place in range(precodes):
            self.lengths[_ORDER[place]] = self.some(reader, kept, 3)
        # The codes are only needed for the table, and made anew below.
        self.assign(0, 19, self.literal_codes)
        self.tabulate(0, 19, self.literal_codes, self.precode)
        total = literal_count + distance_count
        place = 0
        before = 0
        while place < total:
            if reader.count < _BITS:
                reader.fill()
            entry = self.precode[reader.buffer & 0x7FFF]
            length = entry >> 16
            if length == 0:
                raise MalformedError("a code that means nothing")
            self.some(reader, kept, length)
            symbol = entry & 0xFFFF
            times = 1
            if symbol < 16:
                before = symbol
            elif symbol == 16:
                if place == 0:
                    raise MalformedError("nothing to repeat")
                times = 3 + self.some(reader, kept, 2)
            elif symbol == 17:
                before = 0
                times = 3 + self.some(reader, kept, 3)
            else:
                before = 0
                times = 11 + self.some(reader, kept, 7)
            if place + times > total:
                raise MalformedError("more lengths than symbols")
            for _ in range(times):
                self.lengths[place] = before
                place += 1
        if self.lengths[256] == 0:
            raise MalformedError("a block without an end")
        self.make(literal_count, literal_count, distance_count)
        return literal_count

    def some(self, reader: _Reader, kept: _BitOut, count: int) -> int:
        value = reader.take(count)
        kept.put(value, count)
        return value


def _words(values: bytes | list[int]) -> Words:
    return array("I", values)


class _Parser:
    """Parses a gzip stream."""

    def __init__(self, data: bytes | bytearray, bound: int) -> None:
        room = _Room(bound)
        self.length_bases = _words(_LENGTH_BASES)
        self.distance_bases = _words(_DISTANCE_BASES)
        self.length_bits = _LENGTH_BITS
        self.distance_bits = _DISTANCE_BITS
        self.reader = _Reader(data)
        self.codes = _Codes()
        self.frames = _Out(room)
        self.lengths = _Out(room)
        self.distances = _Out(room)
        self.literals = _Out(room)
        self.run = 0

    def parse(self) -> tuple[bytes, bytes, bytes, bytes]:
        reader = self.reader
        while True:
            self.header()
            while not self.block():
                pass
            self.frames.put(reader.align())
            for _ in range(8):
                self.frames.put(reader.byte())
            reader.fill()
            if reader.count == 0:
                self.frames.put(_END)
                break
            if reader.count >= 16 and reader.buffer & 0xFFFF == 0x8B1F:
                self.frames.put(_MORE)
                continue
            # Some tools fill up to a whole block.
            self.frames.put(_REST)
            self.frames.put_number(reader.count // 8 + reader.size - reader.place)
            while reader.count or reader.place < reader.size:
                self.frames.put(reader.byte())
            break
        if self.run:
            self.put_run()
        return (self.frames.finish(), self.lengths.finish(), self.distances.finish(), self.literals.finish())

    def copy(self, count: int) -> None:
        for _ in range(count):
            self.frames.put(self.reader.byte())

    def header(self) -> None:
        reader = self.reader
        if reader.take(8) != 0x1F or reader.take(8) != 0x8B or reader.take(8) != 8:
            raise MalformedError("not a gzip header")
        flags = reader.take(8)
        if flags & 0xE0:
            raise MalformedError("a gzip header of a later version")
        self.frames.put(flags)
        self.copy(6)
        if flags & 4:
            low, high = reader.byte(), reader.byte()
            self.frames.put(low)
            self.frames.put(high)
            self.copy(low | (high << 8))
        for flag in (8, 16):
            if flags & flag:
                byte = 1
                while byte:
                    byte = reader.byte()
                    self.frames.put(byte)
        if flags & 2:
            self.copy(2)

    def block(self) -> int:
        """Parse a block; return whether it is the last one."""
        reader = self.reader
        last = reader.take(1)
        kind = reader.take(2)
        self.frames.put(kind | (last << 2))
        if kind == _STORED:
            self.frames.put(reader.align())
            size = reader.take(16)
            if size ^ reader.take(16) != 0xFFFF:
                raise MalformedError("a stored block's length is not what it says")
            self.frames.put(size & 255)
            self.frames.put(size >> 8)
            for _ in range(size):
                self.literals.put(reader.byte())
            self.run += size
            return last
        if kind == _FIXED:
            self.codes.set_fixed()
        elif kind == _DYNAMIC:
            kept = _BitOut(_ROOM)
            self.codes.read(reader, kept)
            bits = 8 * (_ROOM - kept.left) + kept.count
            if kept.count:
                kept.put(0, 8 - kept.count)
            self.frames.put_number(bits)
            for byte in kept.out.finish():
                self.frames.put(byte)
        else:
            raise MalformedError("a block of an unknown kind")
        self.frames.put_number(self.tokens())
        return last

    def tokens(self) -> int:
        """Take a block's tokens; return how many there are."""
        reader = self.reader
        count = 0
        while True:
            symbol = reader.symbol(self.codes.literals)
            if symbol < 256:
                self.literals.put(symbol)
                self.run += 1
            elif symbol == 256:
                return count
            else:
                if symbol > 285:
                    raise MalformedError("a length that does not exist")
                length = self.length_bases[symbol - 257] + reader.take(self.length_bits[symbol - 257])
                if length == 258 and symbol == 284:
                    raise MalformedError("a length that is encoded as no compressor does")
                self.put_run()
                self.lengths.put(length - 3)
                symbol = reader.symbol(self.codes.distances)
                if symbol > 29:
                    raise MalformedError("a distance that does not exist")
                distance = self.distance_bases[symbol] + reader.take(self.distance_bits[symbol]) - 1
                self.distances.put(distance & 255)
                self.distances.put(distance >> 8)
            count += 1

    def put_run(self) -> None:
        while self.run >= 255:
            self.lengths.put(255)
            self.run -= 255
        self.lengths.put(self.run)
        self.run = 0


class _Bytes:
    """Bytes that are read one by one."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.size = len(data)
        self.place = 0

    def next(self) -> int:
        if self.place == self.size:
            raise MalformedError("a part ends too early")
        byte = self.data[self.place]
        self.place += 1
        return byte

    def next_number(self) -> int:
        number = 0
        shift = 0
        while True:
            byte = self.next()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 42:
                raise MalformedError("a number that is too large")


class _Serializer:
    """Serializes a gzip stream."""

    def __init__(self, frames: bytes, lengths: bytes, distances: bytes, literals: bytes, bound: int) -> None:
        self.length_bases = _words(_LENGTH_BASES)
        self.distance_bases = _words(_DISTANCE_BASES)
        self.length_bits = _LENGTH_BITS
        self.distance_bits = _DISTANCE_BITS
        self.frames = _Bytes(frames)
        self.lengths = _Bytes(lengths)
        self.distances = _Bytes(distances)
        self.literals = _Bytes(literals)
        self.codes = _Codes()
        self.bits = _BitOut(bound)
        self.length_symbols = bytearray(256)
        self.distance_symbols = _words(bytes(4 << _BITS))
        # How many literals come before the next match; -1 where that has yet to be read.
        self.run = -1

    def serialize(self) -> bytes:
        for symbol in range(29):
            last = 258 if symbol == 28 else _LENGTH_BASES[symbol + 1] - 1
            for length in range(_LENGTH_BASES[symbol], last + 1):
                self.length_symbols[length - 3] = symbol
        self.length_symbols[255] = 28
        for symbol in range(30):
            for place in range(1 << _DISTANCE_BITS[symbol]):
                self.distance_symbols[_DISTANCE_BASES[symbol] - 1 + place] = symbol
        bits = self.bits
        while True:
            self.header()
            while not self.block():
                pass
            padding = self.frames.next()
            if bits.count:
                bits.put(padding & 255, 8 - bits.count)
            elif padding:
                raise MalformedError("bits where there is no room for any")
            self.copy(8)
            follows = self.frames.next()
            if follows == _REST:
                self.copy(self.frames.next_number())
            elif follows not in (_MORE, _END):
                raise MalformedError("a frame of an unknown kind")
            if follows != _MORE:
                break
        left = self.frames.size - self.frames.place + self.distances.size - self.distances.place
        left += self.literals.size - self.literals.place + self.lengths.size - self.lengths.place
        if left or self.run > 0:
            raise MalformedError("parts that are left over")
        return bits.out.finish()

    def copy(self, count: int) -> None:
        for _ in range(count):
            self.bits.put(self.frames.next(), 8)

    def header(self) -> None:
        bits, frames = self.bits, self.frames
        bits.put(0x1F, 8)
        bits.put(0x8B, 8)
        bits.put(8, 8)
        flags = frames.next()
        bits.put(flags, 8)
        self.copy(6)
        if flags & 4:
            low, high = frames.next(), frames.next()
            bits.put(low, 8)
            bits.put(high, 8)
            self.copy(low | (high << 8))
        for flag in (8, 16):
            if flags & flag:
                byte = 1
                while byte:
                    byte = frames.next()
                    bits.put(byte, 8)
        if flags & 2:
            self.copy(2)

    def block(self) -> int:
        bits, frames = self.bits, self.frames
        what = frames.next()
        kind, last = what & 3, what >> 2
        if last > 1:
            raise MalformedError("a frame of an unknown kind")
        bits.put(last, 1)
        bits.put(kind, 2)
        if kind == _STORED:
            padding = frames.next()
            if bits.count:
                bits.put(padding & ((1 << (8 - bits.count)) - 1), 8 - bits.count)
            low, high = frames.next(), frames.next()
            size = low | (high << 8)
            bits.put(size, 16)
            bits.put(size ^ 0xFFFF, 16)
            for _ in range(size):
                if self.run < 0:
                    self.next_run()
                if self.run == 0:
                    raise MalformedError("a match in a stored block")
                self.run -= 1
                bits.put(self.literals.next(), 8)
            return last
        if kind == _FIXED:
            self.codes.set_fixed()
        elif kind == _DYNAMIC:
            self.dynamic()
        else:
            raise MalformedError("a block of an unknown kind")
        self.tokens(frames.next_number())
        return last

    def dynamic(self) -> None:
        frames = self.frames
        count = frames.next_number()
        if count > 8 * _ROOM:
            raise MalformedError("a block header that is too long")
        kept = bytearray((count + 7) // 8)
        for place in range(len(kept)):
            kept[place] = frames.next()
        reader = _Reader(kept)
        copied = _BitOut(_ROOM)
        self.codes.read(reader, copied)
        if 8 * (_ROOM - copied.left) + copied.count != count:
            raise MalformedError("a block header of another length")
        reader = _Reader(kept)
        while count:
            few = min(count, 8)
            self.bits.put(reader.take(few), few)
            count -= few

    def next_run(self) -> None:
        self.run = 0
        byte = 255
        while byte == 255:
            byte = self.lengths.next()
            self.run += byte

    def tokens(self, count: int) -> None:
        bits, codes = self.bits, self.codes
        while count > 0:
            count -= 1
            if self.run < 0:
                self.next_run()
            if self.run > 0:
                self.run -= 1
                self.code(codes.literal_codes[self.literals.next()])
                continue
            self.run = -1
            length = self.lengths.next()
            symbol = self.length_symbols[length]
            self.code(codes.literal_codes[257 + symbol])
            bits.put(length + 3 - self.length_bases[symbol], self.length_bits[symbol])
            low, high = self.distances.next(), self.distances.next()
            distance = low | (high << 8)
            if distance >= 1 << _BITS:
                raise MalformedError("a distance that does not exist")
            symbol = self.distance_symbols[distance]
            self.code(codes.distance_codes[symbol])
            bits.put(distance + 1 - self.distance_bases[symbol], self.distance_bits[symbol])
        self.code(codes.literal_codes[256])

    def code(self, entry: int) -> None:
        if entry == 0:
            raise MalformedError("a symbol without a code")
        self.bits.put(entry & 0xFFFF, entry >> 16)


def parse(data: bytes, bound: int = _NO_BOUND) -> tuple[bytes, bytes, bytes, bytes]:
    """Parse a gzip stream.

    Args:
        data: one gzip member or several; of hostile origin: a short one may have long parts.
        bound: how long they may be together, in bytes; one after the other is put together, and takes its length
            twice meanwhile.

    Returns:
        Its frames, lengths, distances and literals.

    Raises:
        TooLongError: they would be longer.
        MalformedError: it is none, or encoded as no compressor does.
    """
    return _Parser(data, bound).parse()


def serialize(frames: bytes, lengths: bytes, distances: bytes, literals: bytes, bound: int) -> bytes:
    """Serialize a gzip stream.

    Args:
        frames: as `parse` gives it, as are the next three; all of hostile origin.
        lengths: likewise.
        distances: likewise.
        literals: likewise.
        bound: how long the stream may become, in bytes.

    Raises:
        MalformedError: they make none, or a longer one.
    """
    return _Serializer(frames, lengths, distances, literals, bound).serialize()


MAGIC = b"LAYDELT1"
_GZIP = b"\x1f\x8b"
_RAW_KIND, _GZIP_KIND = 0, 1
HEADER = struct.Struct("<8sB8Q")
_FRAME = b"\x28\xb5\x2f\xfd"
_SINGLE_SEGMENT = 0x20
# zstd takes no shorter prefix.
_SHORTEST_PREFIX = 8
_LARGEST_WINDOW = 31 if sys.maxsize > 2**32 else 30
# What every decoder grants (RFC 8878, 3.1.1.1.2), in bytes.
_COMMON_WINDOW = 8 << 20
# How many times as much memory as a layer and its sources are long is taken at least.
_TIMES = 6
# How many times as long as a layer its parts may be: a match of two bits is four bytes.
_EXPANSION = 16


class TooLargeError(HostError):
    """It would take more memory than is allowed."""

    def __init__(self, what: str = "a layer's change") -> None:
        """Say what takes so much."""
        super().__init__(f"{what} takes more memory than is allowed", "allow more with `deltas.memory`")


class ParsedLayer(NamedTuple):
    """A layer, parsed.

    Attributes:
        kind: what it was: gzip, or anything else, which is one part of raw bytes.
        streams: what it consists of, as `parse` gives it.
    """

    kind: int
    streams: tuple[bytes, bytes, bytes, bytes]

    @property
    def size(self) -> int:
        """How long they are together, in bytes."""
        return sum(map(len, self.streams))


def parse_layer(layer: bytes, memory: int = sys.maxsize) -> ParsedLayer | None:
    """Parse a gzip stream, or take a tar as it is; None for what can't be parsed.

    Args:
        layer: its bytes; of hostile origin.
        memory: how much may be taken beside them, in bytes.

    Raises:
        TooLargeError: it would be more.
    """
    if layer.startswith(_GZIP):
        try:
            # The longest part is there twice while it is put together, and may be nearly all.
            return ParsedLayer(_GZIP_KIND, parse(layer, max(memory, 0) // 2))
        except TooLongError:
            raise TooLargeError from None
        except MalformedError:
            return None
    if layer[257:262] == b"ustar":
        return ParsedLayer(_RAW_KIND, (b"", b"", b"", layer))
    return None


def decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, memory: int) -> bytes:
    """Make a layer of older ones.

    Args:
        delta: its bytes; of hostile origin.
        olds: the older layers, in the same order.
        size: how long the layer is, in bytes.
        memory: how much may be taken, the delta and the older layers included, in bytes.

    Raises:
        ContentError: it is malformed, or makes something longer or shorter.
        TooLargeError: it would take more memory.
    """
    try:
        layer = _decode(delta, olds, size, memory)
    except (MalformedError, zstd.ZstdError, struct.error, EOFError) as error:
        raise ContentError(f"a layer's delta is malformed: {error}", "have the archive made again") from None
    if len(layer) != size:
        raise ContentError(f"a layer's delta makes {len(layer)} bytes, and {size} were promised")
    return layer


class _Stream(NamedTuple):
    """A stream of a delta, as its header describes it: lengths in bytes, and where the frame begins."""

    length: int
    place: int
    packed: int
    prefix: int
    window: int


def _decode(delta: bytes, olds: Sequence[ParsedLayer], size: int, memory: int) -> bytes:
    if len(delta) < HEADER.size or not delta.startswith(MAGIC) or delta[len(MAGIC)] not in (_RAW_KIND, _GZIP_KIND):
        raise ContentError("a layer's delta is of another format", "install the version that made the archive")
    kind = delta[len(MAGIC)]
    if any(old.kind != kind for old in olds):
        raise MalformedError("it is for layers of another kind")
    expected = _read_header(delta, olds, size)
    if _decoding_memory(len(delta), expected, olds, size) > memory:
        raise TooLargeError()
    streams = []
    for number, stream in enumerate(expected):
        prefix = b"".join(old.streams[number] for old in olds)
        streams.append(_decompress(delta[stream.place : stream.place + stream.packed], prefix, stream.length))
    if kind == _RAW_KIND:
        return streams[3]
    return serialize(streams[0], streams[1], streams[2], streams[3], size)


def _read_header(delta: bytes, olds: Sequence[ParsedLayer], size: int) -> list[_Stream]:
    """Read how long everything will be; nothing is decompressed."""
    sizes = HEADER.unpack_from(delta)[2:]
    if sum(sizes[::2]) > _EXPANSION * size + 65536:
        raise MalformedError("its parts are longer than such a layer's can be")
    place = HEADER.size
    found = []
    for number, (length, packed) in enumerate(zip(sizes[::2], sizes[1::2], strict=True)):
        if packed > len(delta) - place:
            raise MalformedError("it ends too early")
        prefix = sum(len(old.streams[number]) for old in olds)
        window = _window(delta[place : place + min(packed, 18)])
        if window > max(_COMMON_WINDOW, 2 * (length + prefix)):
            raise MalformedError("its window is larger than what it could be used for")
        found.append(_Stream(length, place, packed, prefix, window))
        place += packed
    if place != len(delta):
        raise MalformedError("there is more than was promised")
    return found


def _window(frame: bytes) -> int:
    """Return how much of its output a zstd frame wants to be kept, in bytes, by its header (RFC 8878, 3.1.1.1)."""
    content = zstd.get_frame_info(frame).decompressed_size
    # Frames to be skipped have no window, and nothing in them.
    if not frame.startswith(_FRAME) or len(frame) < 6:
        raise MalformedError("not a zstd frame")
    if frame[4] & _SINGLE_SEGMENT:
        return content or 0
    base = 1 << (10 + (frame[5] >> 3))
    return base + (base >> 3) * (frame[5] & 7)


def _decoding_memory(delta: int, streams: Sequence[_Stream], olds: Sequence[ParsedLayer], size: int) -> int:
    """Return what `decode` takes at most, in bytes."""
    most = 0
    done = 0
    for stream in streams:
        # The prefix joined, and zstd's copy; zstd's window, and twice what comes out.
        prefix = stream.prefix * (2 if len(olds) > 1 else 1)
        most = max(most, done + stream.packed + prefix + stream.window + 2 * stream.length)
        done += stream.length
    return delta + sum(old.size for old in olds) + max(most, done + 2 * size)


def _decompress(data: bytes, prefix: bytes, size: int) -> bytes:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW}
    decompressor = zstd.ZstdDecompressor(zstd_dict=_dictionary(prefix), options=options)
    # One byte more than was promised is enough to know.
    found = decompressor.decompress(data, max_length=size + 1)
    if len(found) != size or not decompressor.eof or decompressor.unused_data:
        raise MalformedError("a part has another length")
    return found


def _dictionary(prefix: bytes) -> tuple[zstd.ZstdDict, int] | None:
    return zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= _SHORTEST_PREFIX else None


def make_layer(delta: LayerDelta, open_blob: Callable[[str], BinaryIO], memory: int) -> bytes:
    """Make a layer.

    Nothing is read or expanded before it is known to fit into the memory that is allowed.

    Args:
        delta: what it is made of; of hostile origin.
        open_blob: opens the delta, and each older layer.
        memory: how much it may take, in bytes.

    Raises:
        HostError: it would take more memory.
        ContentError: something is not as long as was said, can't be parsed, or makes another layer.
    """
    try:
        if delta.size + sum(delta.sources.values()) > memory // _TIMES:
            raise TooLargeError
        olds: list[ParsedLayer] = []
        for source, size in delta.sources.items():
            left = memory - sum(old.size for old in olds)
            olds.append(_read_source(delta, source, size, open_blob, left))
        # What is read may be there twice for a moment.
        if sum(old.size for old in olds) + 2 * delta.blob_size > memory:
            raise TooLargeError
        change = read_exactly(open_blob, delta.blob, delta.blob_size)
        layer = decode(change, olds, delta.size, memory)
    except TooLargeError:
        raise HostError(
            f"making {delta.layer} of its change takes more memory than {human_bytes(memory)}",
            "allow more with `deltas.memory`",
        ) from None
    if digest_of(layer) != delta.layer:
        raise ContentError(f"the change of {delta.layer} makes another layer", "have the archive made again")
    return layer


def _read_source(
    delta: LayerDelta, source: str, size: int, open_blob: Callable[[str], BinaryIO], memory: int
) -> ParsedLayer:
    if 2 * size > memory:
        raise TooLargeError
    parts = parse_layer(read_exactly(open_blob, source, size), memory - size)
    if parts is None:
        raise ContentError(f"{delta.layer} is said to be made of {source}, which can't be taken apart")
    return parts


def read_exactly(open_blob: Callable[[str], BinaryIO], digest: str, size: int) -> bytes:
    """Read a blob that was said to have so many bytes, and no more of one that is longer.

    Raises:
        ContentError: it is longer or shorter.
    """
    with open_blob(digest) as file:
        data = file.read(size)
        if len(data) != size or file.read(1):
            raise ContentError(
                f"{digest} is not {size} bytes long, as the archive says", "have the archive made again"
            )
    return data
