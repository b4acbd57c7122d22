"""zstd streams as recipes: what has to be known beside the content to write the same stream again, bit for bit.

A model predicts what each block copies; the recipe has the forms of headers, the descriptions of codes, and the
sequences of blocks that were predicted wrong. It is a head of numbers and seven streams (`streams` says how numbers
and streams are written):

- head: version; the model, or 0 for none; how long the content is; for each stream how long it is, and how long
  compressed.
- frames: for each a byte: 1 a frame, with its header (length, bytes) and, after its last block, its check sum if it
  has one; 2 other bytes (length, bytes): skippable frames; at last 0.
- blocks: for each a byte: bit 0 "the last one"; bits 1 and 2 the kind: 0 as it is, 1 one byte again and again, 2
  compressed, 3 compressed and written down as a whole; of compressed ones bit 3 that the sequences are as
  predicted, bits 4 and 5 the kind of literals, bits 6 and 7 the form of their lengths. Then how long its content
  is. Then of those that are written down how long they are; of compressed ones, unless they are predicted, how many
  sequences there are, and, where there are some, the byte that says how the tables are given.
- codes: of compressed blocks the description of the literals' code, if there is one, and those of the tables, each
  with its length.
- literals, matches, offsets: of sequences that were not predicted (`zstd_blocks.Sequences`).
- verbatim: blocks that are written down as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from .double_fast import DoubleFast
from .malformed import MalformedError, TooLongError
from .pieces import Pieces, joined
from .streams import StreamReader, StreamWriter
from .varint import VarintReader, encode
from .zstd_blocks import COMPRESSED, MOST_CONTENT, MOST_SEQUENCES, BlockParser, BlockSpeller, Sequences, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_VERSION = 1
_NO_MODEL, _DOUBLE_FAST = range(2)
_END, _FRAME, _OTHER = range(3)
_RAW, _RLE, _COMPRESSED, _VERBATIM = range(4)
_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_DICTIONARY_BYTES, _SIZE_BYTES = (0, 1, 2, 4), (0, 2, 4, 8)
_CHECKSUM = 4
_HEAD = 1 << 10
_MOST_CONTENT, _MOST_STREAM, _MOST_PACKED = 1 << 42, 1 << 42, 1 << 28
_MOST_HEADER, _MOST_OTHER, _MOST_BLOCK = 18, 1 << 20, 1 << 18
_MOST_CODE = 1 << 10
_NUMBER = 1 << 32
_READ = 1 << 16

_Stream = TypeVar("_Stream", StreamReader, StreamWriter)


class _Streams(NamedTuple, Generic[_Stream]):
    """A recipe's streams, in order: what is in them stands above."""

    frames: _Stream
    blocks: _Stream
    codes: _Stream
    literals: _Stream
    matches: _Stream
    offsets: _Stream
    verbatim: _Stream


class ZstdAnalysis(NamedTuple):
    """What became of a stream.

    Attributes:
        model: what people call the compressor.
        recipe: the recipe.
        content: how long the content is, in bytes.
        predicted: how many sequences were predicted.
        corrections: how many others there are.
    """

    model: str
    recipe: bytes
    content: int
    predicted: int
    corrections: int


def _header_size(header: bytes) -> int:
    """Return how long a frame's header is, of which the first five bytes are given (RFC 8878, 3.1.1.1)."""
    descriptor = header[4]
    single = descriptor >> 5 & 1
    sizes = _SIZE_BYTES[descriptor >> 6] or single
    return 5 + (1 - single) + _DICTIONARY_BYTES[descriptor & 3] + sizes


def _has_checksum(header: bytes) -> bool:
    return bool(header[4] >> 2 & 1)


class _Source:
    """A stream that is read in exact portions."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._kept = b""
        self._place = 0

    def take(self, count: int) -> bytes:
        """Return so many bytes.

        Raises:
            MalformedError: there are fewer.
        """
        found = self.take_some(count)
        if len(found) < count:
            raise MalformedError("it ends too early")
        return found

    def take_some(self, count: int) -> bytes:
        """Return up to so many bytes; fewer at the end."""
        while len(self._kept) - self._place < count:
            more = self._read(max(_READ, count))
            if not more:
                break
            self._kept = self._kept[self._place :] + more
            self._place = 0
        found = self._kept[self._place : self._place + count]
        self._place += len(found)
        return found


def analyse(read: Callable[[int], bytes], read_content: Callable[[int], bytes], bound: int) -> ZstdAnalysis:
    """Make the recipe of a zstd stream, streaming.

    Args:
        read: returns up to so many bytes of the stream; none at its end.
        read_content: returns up to so many bytes of its content, likewise.
        bound: how long the recipe may be, in bytes.

    Raises:
        TooLongError: the recipe would be longer.
        MalformedError: this is no zstd stream, or one with another content.
    """
    return _Analyser(read, read_content, bound).run()


class _Analyser:
    def __init__(self, read: Callable[[int], bytes], read_content: Callable[[int], bytes], bound: int) -> None:
        self._source = _Source(read)
        self._contents = _Source(read_content)
        self._bound = bound
        self._content = 0
        self._predicted = self._corrections = 0
        self._model = DoubleFast()
        self._guess = Sequences()
        self._parser = BlockParser()
        self._speller = BlockSpeller()
        self._streams = _Streams(*(StreamWriter() for _ in _Streams._fields))

    def run(self) -> ZstdAnalysis:
        while start := self._source.take_some(4):
            magic = int.from_bytes(start, "little")
            if magic == _MAGIC and len(start) == len(b"size"):
                self._frame(start)
            elif magic & ~15 == _SKIPPABLE:
                size = self._source.take(4)
                left = int.from_bytes(size, "little")
                self._other(start + size)
                while left:
                    piece = self._source.take(min(left, _MOST_OTHER))
                    left -= len(piece)
                    self._other(piece)
            else:
                raise MalformedError("not a zstd frame")
        self._streams.frames.put(_END)
        if self._contents.take_some(1):
            raise MalformedError("content that is longer than the stream's")
        packed = [stream.finish() for stream in self._streams]
        numbers = [_VERSION, _DOUBLE_FAST if self._predicted else _NO_MODEL, self._content]
        for stream in self._streams:
            numbers += [stream.length, stream.packed]
        recipe = b"".join([*map(encode, numbers), *packed])
        if len(recipe) > self._bound:
            raise TooLongError("the recipe is longer than it may be")
        model = "klauspost zstd 3" if self._predicted > self._corrections else "zstd"
        return ZstdAnalysis(model, recipe, self._content, self._predicted, self._corrections)

    def _other(self, data: bytes) -> None:
        self._streams.frames.put(_OTHER)
        self._streams.frames.put_number(len(data))
        self._streams.frames.put_bytes(data)

    def _frame(self, start: bytes) -> None:
        header = start + self._source.take(1)
        header += self._source.take(_header_size(header) - len(header))
        self._streams.frames.put(_FRAME)
        self._streams.frames.put_number(len(header))
        self._streams.frames.put_bytes(header)
        self._parser.begin()
        self._speller.begin()
        self._model.begin()
        first = True
        while not self._block(first):
            first = False
        if _has_checksum(header):
            self._streams.frames.put_bytes(self._source.take(_CHECKSUM))

    def _block(self, first: bool) -> int:
        """Take a block; return whether it is the frame's last one."""
        header = int.from_bytes(self._source.take(3), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        block = self._source.take(1 if kind == _RLE else size)
        shape = None
        if kind == _COMPRESSED:
            shape = self._parser.parse(block)
            size = self._parser.content
        elif kind == _VERBATIM or (kind == _RLE and not size):
            raise MalformedError("a block of an unknown kind")
        if size > MOST_CONTENT:
            raise MalformedError("a block whose content is too long")
        content = self._contents.take(size)
        self._content += size
        self._model.encode(content, bool(first and last), self._guess)
        if shape is None:
            if content != (block * size if kind == _RLE else block):
                raise MalformedError("a block with another content")
            self._streams.blocks.put(last | kind << 1)
            self._streams.blocks.put_number(size)
        else:
            self._compressed(last, block, content, shape)
        if sum(stream.packed for stream in self._streams) > self._bound:
            raise TooLongError("the recipe is longer than it may be")
        return last

    def _compressed(self, last: int, block: bytes, content: bytes, shape: Shape) -> None:
        streams, sequences = self._streams, self._parser.sequences
        try:
            is_spelled = self._speller.spell(content, sequences, shape) == block
        except MalformedError:
            is_spelled = False
        if not is_spelled:
            # Whoever follows has no codes of it, and nobody is to have any.
            self._speller.begin()
            streams.blocks.put(last | _VERBATIM << 1)
            streams.blocks.put_number(len(content))
            streams.blocks.put_number(len(block))
            streams.verbatim.put_bytes(block)
            return
        is_predicted = sequences.count > 0 and self._guess.same(sequences)
        streams.blocks.put(last | _COMPRESSED << 1 | is_predicted << 3 | shape.literals << 4 | shape.form << 6)
        streams.blocks.put_number(len(content))
        if is_predicted:
            self._predicted += sequences.count
        else:
            self._corrections += sequences.count
            streams.blocks.put_number(sequences.count)
            for number in range(sequences.count):
                literals, match, offset = sequences.get(number)
                streams.literals.put_number(literals)
                streams.matches.put_number(match)
                streams.offsets.put_number(offset)
        if sequences.count:
            streams.blocks.put(shape.modes)
            streams.codes.put_number(len(shape.tables))
            streams.codes.put_bytes(shape.tables)
        if shape.literals == COMPRESSED:
            streams.codes.put_number(len(shape.tree))
            streams.codes.put_bytes(shape.tree)


class ZstdRecipe:
    """A recipe that is read; of hostile origin.

    Attributes:
        content: how long the content is, in bytes.
        length: how long the recipe is, in bytes.
    """

    def __init__(self, read_at: Callable[[int, int], bytes]) -> None:
        """Read the head.

        Args:
            read_at: returns so many of its bytes (the second) from a place (the first) on.

        Raises:
            MalformedError: it is none, or its model is not known here.
        """
        head = VarintReader(read_at(0, _HEAD), 0, "a recipe without a head")
        if head.next(127) != _VERSION:
            raise MalformedError("a recipe of another version")
        self._has_model = head.next(_DOUBLE_FAST) == _DOUBLE_FAST
        self.content = head.next(_MOST_CONTENT)
        sizes = [(head.next(_MOST_STREAM), head.next(_MOST_PACKED)) for _ in _Streams._fields]
        place = head.place
        streams = []
        for length, packed in sizes:
            streams.append(StreamReader(read_at, place, packed, length))
            place += packed
        self._streams = _Streams(*streams)
        self.length = place

    def rebuild(self, content: Iterable[bytes], size: int) -> Iterator[bytes]:
        """Write the stream again, streaming, once; memory is bounded, whatever content and recipe are.

        Args:
            content: the content, in pieces of any length.
            size: how long the stream is to be, in bytes; no more is written.

        Returns:
            The stream, in pieces, as they are taken.

        Raises:
            MalformedError: content and recipe don't go together, or the stream would not be of that size; once that
                is met.
        """
        return joined(_Rebuilder(Pieces(content), self._streams, self._has_model).run(), size)


class _Rebuilder:
    def __init__(self, content: Pieces, streams: _Streams[StreamReader], has_model: bool) -> None:
        self._content = content
        self._streams = streams
        self._model = DoubleFast() if has_model else None
        self._sequences = Sequences()
        self._speller = BlockSpeller()

    def run(self) -> Iterator[bytes]:
        while (kind := self._streams.frames.next()) != _END:
            if kind == _OTHER:
                size = self._streams.frames.next_number(_MOST_OTHER)
                if not size:
                    raise MalformedError("a frame without a byte")
                yield self._streams.frames.next_bytes(size)
            elif kind == _FRAME:
                yield from self._frame()
            else:
                raise MalformedError("a frame of an unknown kind")
        for stream in self._streams:
            stream.finish()
        if self._content.take(1):
            raise MalformedError("content that belongs to no frame")

    def _frame(self) -> Iterator[bytes]:
        header = self._streams.frames.next_bytes(self._streams.frames.next_number(_MOST_HEADER))
        if len(header) < len(b"magic") or len(header) != _header_size(header):
            raise MalformedError("a frame's header that is impossible")
        yield header
        self._speller.begin()
        if self._model:
            self._model.begin()
        last = False
        first = True
        while not last:
            record = self._streams.blocks.next()
            last = bool(record & 1)
            yield self._block(record, bool(first and last))
            first = False
        if _has_checksum(header):
            yield self._streams.frames.next_bytes(_CHECKSUM)

    def _block(self, record: int, alone: bool) -> bytes:
        last, kind = record & 1, record >> 1 & 3
        size = self._streams.blocks.next_number(MOST_CONTENT)
        content = self._content.take_all(size)
        if self._model:
            self._model.encode(content, alone, self._sequences)
        if kind == _RAW:
            block = content
        elif kind == _RLE:
            block = content[:1]
            if content != block * size or not size:
                raise MalformedError("a block with another content")
            return (last | _RLE << 1 | size << 3).to_bytes(3, "little") + block
        elif kind == _VERBATIM:
            self._speller.begin()
            block = self._streams.verbatim.next_bytes(self._streams.blocks.next_number(_MOST_BLOCK))
            kind = _COMPRESSED
        else:
            block = self._compressed(record, content)
        if len(block) >= 1 << 21:
            raise MalformedError("a block that is too long")
        return (last | kind << 1 | len(block) << 3).to_bytes(3, "little") + block

    def _compressed(self, record: int, content: bytes) -> bytes:
        streams, sequences = self._streams, self._sequences
        if record & 8:
            if self._model is None:
                raise MalformedError("a prediction without a model")
        else:
            sequences.clear()
            for _ in range(streams.blocks.next_number(MOST_SEQUENCES)):
                literals = streams.literals.next_number(_NUMBER - 1)
                match = streams.matches.next_number(_NUMBER - 1)
                sequences.add(literals, match, streams.offsets.next_number(_NUMBER - 1))
        modes = 0
        tables = tree = b""
        if sequences.count:
            modes = streams.blocks.next()
            tables = streams.codes.next_bytes(streams.codes.next_number(_MOST_CODE))
        kind = record >> 4 & 3
        if kind == COMPRESSED:
            tree = streams.codes.next_bytes(streams.codes.next_number(_MOST_CODE))
        return self._speller.spell(content, sequences, Shape(kind, record >> 6, tree, modes, tables))
