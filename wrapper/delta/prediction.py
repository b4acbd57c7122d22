# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""What makes recipes and what follows them: a stream is parsed and compared with predictions; and written again.

`recipe` says what a recipe consists of.

This file is plain Python; `prediction.pxd` has the types with which Cython compiles it. Either way it does the
same.
"""

from __future__ import annotations

import zlib
from array import array
from collections import deque
from typing import TYPE_CHECKING

from . import inflate, models
from .deflate_writer import DeflateWriter, Symbols
from .headers import HeaderBuilder
from .inflate import BlockHeader, Inflater
from .malformed import MalformedError, TooLongError
from .nearest import RANKS, Nearest
from .streams import StreamReader, StreamWriter
from .window import AHEAD, HISTORY, Window
from .words import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from .inflate import Block
    from .model import Model

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

_WINDOW = 1 << 20
_QUEUE = 1 << 19
# More than any place.
_FAR = 1 << 62
_AHEAD, _HISTORY = AHEAD, HISTORY
_LITERAL = 0
# Numbers for distances below this are ranks.
_RANKS = RANKS

# A block's header is predicted from its tokens, which have to be kept until it is written.
_MOST_TOKENS = 1 << 20
# Blocks that are parsed, but wait for what comes after them: more would be empty ones without end.
_MOST_BLOCKS = 1 << 17
# What predicting a header counts for among steps.
_HEADER_STEPS = 1 << 12
# What a block counts for beside them: one with codes, of which tables are made, and one that is stored. Empty ones
# have no content that bounds their number.
_CODED_STEPS, _STORED_STEPS = 1 << 12, 1 << 8
# What beginning a member does: models have tables to clear.
_MEMBER_STEPS = 1 << 14
# Bytes of a stream that nobody has taken yet: what content and recipe say may be far more than what was fed.
_MOST_WAITING = 1 << 22
# Blocks that a trial looks at: empty ones tell nothing.
_TRIAL_BLOCKS = 1 << 11
# What corrections and headers that were not predicted take about, in bytes.
_TOKEN_PRICE, _HEADER_PRICE = 2, 40

_STORED, _FIXED, _DYNAMIC = inflate.STORED, inflate.FIXED, inflate.DYNAMIC

# How the end of a block is known: as the compressor has it, so many chunks on, by a number of tokens (or bytes
# where it is stored), or at once.
_AS_PREDICTED, _CHUNKS, _COUNTED, _EMPTY = 0, 1, 2, 3
_VERBATIM = 3
_NOT_READ = -2
_AT_MEMBER, _AT_BLOCK, _IN_BLOCK, _AT_TRAILER, _AT_REST, _OVER = range(6)

STREAMS = 6
"""How many streams a recipe has."""


def most_steps(content: int) -> int:
    """Return how many steps a model may take over so many bytes of content."""
    return 256 * content + (1 << 28)


class Division:
    """Where a compressor ends its blocks, as far as that follows from the content's length."""

    def __init__(self, tokens: int, chunk: int, segment: int) -> None:
        """Take a compressor's habits.

        Args:
            tokens: how many a block has, or 0.
            chunk: after how many bytes of content a block may end, or 0.
            segment: after how many bytes the compressor begins anew, or 0.
        """
        self.tokens = tokens if tokens else _FAR
        self.chunk = chunk
        self.segment = segment

    def segment_end(self, place: int, begin: int, limit: int) -> int:
        """Return where the segment that has `place` ends, in a member from `begin` to `limit`."""
        if self.segment == 0:
            return limit
        end = begin + ((place - begin) // self.segment + 1) * self.segment
        return min(end, limit)

    def chunk_end(self, place: int, many: int, begin: int, limit: int) -> int:
        """Return where the chunk so many chunks on from `place` ends: 1 is the one that has it."""
        first = begin
        if self.segment:
            first += (place - begin) // self.segment * self.segment
        end = first + ((place - first) // self.chunk + many) * self.chunk
        return min(end, self.segment_end(place, begin, limit))

    def chunks(self, place: int, end: int, begin: int, limit: int) -> int:
        """Return how many chunks on from `place` one ends at `end`; 0 where none does."""
        many = (end - place) // self.chunk
        if many == 0 or self.chunk_end(place, many, begin, limit) < end:
            many += 1
        return many if self.chunk_end(place, many, begin, limit) == end else 0


class Counts:
    """How often each symbol occurs in a block."""

    def __init__(self) -> None:
        """Take memory."""
        self.kept_literals = Words(288)
        self.literals = self.kept_literals.base
        self.kept_distances = Words(32)
        self.distances = self.kept_distances.base
        self.literal_view = array("I", bytes(4 * 288))
        self.distance_view = array("I", bytes(4 * 32))
        self.by = Symbols()

    def clear(self) -> int:
        """Begin a block."""
        for place in range(288):
            self.literals[place] = 0
        for place in range(32):
            self.distances[place] = 0
        return 0

    def build(self, builder: HeaderBuilder) -> int:
        """Let a header be predicted; return how many bits it has."""
        for place in range(288):
            self.literal_view[place] = self.literals[place]
        for place in range(32):
            self.distance_view[place] = self.distances[place]
        return builder.build(self.literal_view, self.distance_view)


class Analyser:
    """Makes a recipe while it parses a stream.

    Attributes:
        corrections: how many predictions of tokens were wrong.
        tokens: how many there were.
        block_count: how many blocks.
        verbatim_headers: how many of their headers were not predicted.
        prices: for each bare member, what was not predicted in it and those before it takes about, in bytes.
        streams: the recipe's.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        name: models.Name,
        on_content: Callable[[bytes], object] | None,
        bound: int,
        bare: bool = False,
    ) -> None:
        """Begin.

        Args:
            read: returns up to so many bytes of the stream; none at its end.
            name: the model.
            on_content: is given the content.
            bound: how many bytes of compressed streams there may be.
            bare: whether members are known without their headers and trailers.
        """
        self.window = Window(_WINDOW)
        self.inflater = Inflater(read, self.window, _QUEUE)
        self.model: Model = models.build(name, self.window)
        self.nearest = Nearest(self.window)
        traits = models.traits(name)
        self.division = Division(traits.tokens, traits.chunk, name.segment)
        self.counts = Counts()
        self.builders = [HeaderBuilder(kind) for kind in traits.headers]
        self.on_content = on_content
        self.bound = bound
        self.bare = bare
        self.prices: list[int] = []
        self.trial = False
        self.stop_at = _FAR
        self.most_corrections = 0
        self.variant = 0
        self.blocks: deque[Block] = deque()
        self.in_block = False
        self.begin = 0
        self.block_begin = 0
        self.count_end = 0
        self.before_last = 0
        self.taken = 0
        self.misfit = False
        self.run = 0
        self.corrections = 0
        self.tokens = 0
        self.block_count = 0
        self.verbatim_headers = 0
        self.other_steps = 0
        self.block_steps = 0
        self.passed_on = 0
        self.crc = 0
        self.streams = [StreamWriter() for _ in range(STREAMS)]
        self.frames, self.blocks_out, self.headers_out, self.runs, self.lengths, self.distances = self.streams

    def run_trial(self, most_content: int, most_tokens: int, most_corrections: int) -> int:
        """See how good the model is: nothing but `corrections` and `tokens` is right afterwards.

        Args:
            most_content: up to which place.
            most_tokens: after how many tokens it is enough.
            most_corrections: after how many corrections it is.
        """
        self.trial = True
        self.stop_at = most_content
        self.most_corrections = most_corrections
        try:
            while self.model.place <= most_content and self.tokens < most_tokens:
                if not self.advance() or self.corrections > most_corrections:
                    break
                if self.block_count > _TRIAL_BLOCKS:
                    break
        except MalformedError:
            # Only the beginning of the stream is at hand.
            pass
        return 0

    def advance(self) -> bool:
        """Parse some more; return whether there is more."""
        inflater = self.inflater
        event = inflater.step()
        if event == inflate.FINISHED:
            return False
        if event in (inflate.MORE, inflate.DONE):
            self.pass_on()
            if event == inflate.DONE and inflater.block.last:
                self.window.limit = self.window.end
            self.consume()
        elif event == inflate.BLOCK:
            self.blocks.append(inflater.block)
            self.block_steps += _STORED_STEPS if inflater.block.kind == _STORED else _CODED_STEPS
            if self.block_steps > most_steps(self.window.end):
                raise TooLongError("too many blocks for so little content")
            if len(self.blocks) > _MOST_BLOCKS:
                raise TooLongError("empty blocks without end")
        elif event == inflate.BEGIN:
            self.begin = self.window.end
            self.window.limit = _FAR
            self.model.begin(self.begin)
            self.other_steps += _MEMBER_STEPS
            self.crc = 0
            if not self.bare:
                self.frames.put_number(len(inflater.header))
                self.frames.put_bytes(inflater.header)
        elif event == inflate.TRAILER:
            self.end_member()
        else:
            self.frames.put_number(len(inflater.rest))
            self.frames.put_bytes(inflater.rest)
        return True

    def end_member(self) -> None:
        """Write what is known where a member ends."""
        inflater = self.inflater
        length = self.window.end - self.begin
        if self.bare:
            self.frames.put_number(length)
            self.frames.put(inflater.padding)
            self.prices.append(_TOKEN_PRICE * self.corrections + _HEADER_PRICE * self.verbatim_headers)
            return
        self.frames.put_number(length + 1 if inflater.follows == inflate.MEMBER else 0)
        expected = self.crc | ((length & 0xFFFFFFFF) << 32)
        usual = inflater.padding == 0 and int.from_bytes(inflater.trailer, "little") == expected
        self.frames.put((0 if usual else 1) | (inflater.follows << 1))
        if not usual:
            self.frames.put(inflater.padding)
            self.frames.put_bytes(inflater.trailer)

    def pass_on(self) -> int:
        """Pass on the content that was parsed."""
        if self.trial:
            return 0
        content = self.window.slice(self.passed_on, self.window.end)
        self.crc = zlib.crc32(content, self.crc)
        self.passed_on = self.window.end
        if self.on_content is not None and content:
            self.on_content(content)
        return 0

    def consume(self) -> int:
        """Compare tokens with predictions, as far as the model can see enough content."""
        safe = self.window.end - _AHEAD if self.window.limit == _FAR else _FAR
        safe = min(safe, self.stop_at)
        while self.blocks:
            block = self.blocks[0]
            if not self.in_block:
                self.open_block()
            if block.kind == _STORED:
                if not self.run_free(block, safe):
                    break
            elif not self.compare(block, safe):
                break
            self.close_block(block)
            self.blocks.popleft()
            self.in_block = False
        self.window.forget(self.model.place - _HISTORY)
        if not self.trial:
            if self.model.steps + self.other_steps > most_steps(self.window.end):
                raise TooLongError("the model takes too many steps")
            packed = 0
            for stream in self.streams:
                packed += stream.packed
            if packed > self.bound:
                raise TooLongError("the recipe is longer than it may be")
        return 0

    def open_block(self) -> int:
        """Begin to compare a block."""
        self.in_block = True
        self.block_begin = self.model.place
        self.before_last = self.block_begin
        self.taken = 0
        self.misfit = False
        self.count_end = _FAR
        if self.division.chunk:
            self.count_end = self.division.chunk_end(self.block_begin, 1, self.begin, self.window.limit)
        self.counts.clear()
        return 0

    def compare(self, block: Block, safe: int) -> int:
        """Compare a block's tokens; return whether it is at its end."""
        # The loop that takes the time: all it needs is in variables of its own.
        model = self.model
        inflater = self.inflater
        counts = self.counts
        literal_counts, distance_counts = counts.literals, counts.distances
        length_symbols, symbols = counts.by.lengths, counts.by.distances
        tokens = inflater.tokens
        head = inflater.head
        end = head + block.tokens - self.taken
        place = model.place
        before = self.before_last
        counted = self.count_end
        run = self.run
        while head < end and place <= safe:
            token = tokens[head]
            truth = token if token > 255 else _LITERAL
            predicted = model.predict()
            if predicted == truth:
                run += 1
            else:
                self.run = run
                self.correct(truth, place)
                run = 0
                if self.trial and self.corrections > self.most_corrections:
                    break
            model.accept(truth)
            head += 1
            before = place
            if truth == _LITERAL:
                if place < counted:
                    literal_counts[token] += 1
                place += 1
            else:
                length = token >> 15
                if place < counted:
                    distance = token & 0x7FFF
                    literal_counts[257 + length_symbols[length]] += 1
                    distance_counts[symbols[distance if distance < 256 else 256 + (distance >> 7)]] += 1
                place += 258 if length > 258 else length
        self.run = run
        self.taken += head - inflater.head
        self.tokens += head - inflater.head
        self.before_last = before
        inflater.head = head
        return 1 if block.ended and head == end else 0

    def run_free(self, block: Block, safe: int) -> int:
        """Let the model run over a stored block; return whether it is at its end."""
        model = self.model
        end = self.block_begin + block.stored
        while model.place < end and model.place <= safe:
            place = model.place
            predicted = model.predict()
            length = 1 if predicted == _LITERAL else min(predicted >> 15, 258)
            if place + length > end:
                self.misfit = True
                predicted = _LITERAL
            model.accept(predicted)
            self.before_last = place
            self.taken += 1
        return 1 if block.ended and model.place >= end else 0

    def correct(self, truth: int, place: int) -> int:
        """Write down what the model did not predict."""
        self.corrections += 1
        if self.trial:
            return 0
        self.runs.put_number(self.run)
        if truth == _LITERAL:
            self.lengths.put(0)
            return 0
        length = (truth >> 15) - 2
        if length >= 255:
            self.lengths.put(255)
            self.lengths.put(length - 255)
        else:
            self.lengths.put(length)
        rank = self.nearest.find(place, self.begin, min(length + 2, 258), -1, truth & 0x7FFF)
        self.distances.put_number(rank if rank >= 0 else _RANKS + (truth & 0x7FFF))
        self.other_steps += self.nearest.steps
        self.nearest.steps = 0
        return 0

    def close_block(self, block: Block) -> int:
        """Write down a block."""
        self.block_count += 1
        if self.trial:
            return 0
        place = self.model.place
        limit = self.window.limit
        end_kind = _COUNTED
        number = self.taken if block.kind != _STORED else block.stored
        if place == self.block_begin and self.taken == 0:
            end_kind = _EMPTY
        elif self.division.chunk:
            many = self.division.chunks(self.block_begin, place, self.begin, limit)
            if many:
                end_kind = _AS_PREDICTED if many == 1 else _CHUNKS
                number = many
        else:
            end = self.division.segment_end(self.block_begin, self.begin, limit)
            if (
                not self.misfit
                and self.before_last < end
                and (self.taken == self.division.tokens or (self.taken < self.division.tokens and place >= end))
            ):
                end_kind = _AS_PREDICTED
        how = 0
        if block.kind == _DYNAMIC:
            how = self.predict_header(block)
        record = block.kind | (block.last << 2) | (end_kind << 3) | (how << 5)
        self.blocks_out.put(record | (128 if block.padding else 0))
        if block.padding:
            self.blocks_out.put(block.padding)
        if end_kind in (_CHUNKS, _COUNTED):
            self.blocks_out.put_number(number)
        if how == _VERBATIM:
            self.verbatim_headers += 1
            self.headers_out.put_number(block.header_bits)
            self.headers_out.put_bytes(block.header)
        return 0

    def predict_header(self, block: Block) -> int:
        """Return which prediction of a block's header is right; or that none is."""
        if self.taken > _MOST_TOKENS:
            return _VERBATIM
        for each in range(len(self.builders)):
            # The one that was right before is tried first.
            variant = (self.variant + each) % len(self.builders)
            builder = self.builders[variant]
            bits = self.counts.build(builder)
            if bits == block.header_bits and bytes(builder.bits[0 : len(block.header)]) == block.header:
                self.variant = variant
                self.other_steps += _HEADER_STEPS
                return variant
        return _VERBATIM

    @property
    def content(self) -> int:
        """How long the content is."""
        return self.window.end

    def finish(self) -> int:
        """Return how many steps the model took; all is parsed."""
        if self.blocks:
            raise MalformedError("blocks that are not at their end")
        return self.model.steps + self.other_steps


class Rebuilder:
    """Writes a stream from its content and a recipe; both are of hostile origin.

    Attributes:
        content: how long the content is.
        is_behind: whether there is more to write before more content comes: see `go_on`.
    """

    def __init__(
        self,
        name: models.Name,
        content: int,
        steps: int,
        streams: list[StreamReader],
        bound: int,
        bare: bool = False,
    ) -> None:
        """Begin.

        Args:
            name: the model.
            content: how long the content is.
            steps: how many steps the model may take.
            streams: the recipe's.
            bound: how long the stream may become.
            bare: whether members have neither headers nor trailers: see `begin_bare`.
        """
        self.window = Window(_WINDOW)
        self.model: Model = models.build(name, self.window)
        self.nearest = Nearest(self.window)
        traits = models.traits(name)
        self.division = Division(traits.tokens, traits.chunk, name.segment)
        self.counts = Counts()
        self.builders = [HeaderBuilder(kind) for kind in traits.headers]
        self.writer = DeflateWriter(bound)
        self.header = BlockHeader()
        self.streams = streams
        self.frames, self.blocks, self.headers, self.runs, self.lengths, self.distances = streams
        self.content = content
        self.steps = steps
        self.other_steps = 0
        self.block_steps = 0
        self.bare = bare
        self.state = _AT_MEMBER
        self.is_behind = False
        self.begin = 0
        self.limit = 0
        self.summed = 0
        self.crc = 0
        # How many predictions are right from here on; -1: all.
        self.right = _NOT_READ
        self.kind = 0
        self.last = 0
        self.padding = 0
        self.how = 0
        self.block_begin = 0
        self.block_end = 0
        self.count_end = 0
        self.left = 0
        # Literals with their bytes, unlike the model's.
        self.kept_tokens = Words(_MOST_TOKENS)
        self.tokens = self.kept_tokens.base
        self.filled = 0
        self.kept_scratch = bytearray(288 + 32)
        self.scratch = self.kept_scratch

    def begin_bare(self) -> int:
        """Begin the next bare member; return how long its content is. That is fed then, and nothing else.

        Raises:
            MalformedError: there is none, or the one before is not at its end.
        """
        if self.state != _AT_MEMBER:
            raise MalformedError("a stream that does not end where its content does")
        length = self.frames.next_number(_FAR)
        if length == 0 or length > self.content - self.limit:
            raise MalformedError("a member that is longer than the content")
        self.open_member(length)
        return length

    def feed(self, content: bytes) -> list[bytes]:
        """Take the next bytes of the content; return the next bytes of the stream.

        Raises:
            MalformedError: the recipe does not go with it.
        """
        if self.right == _NOT_READ:
            self.right = self.next_run()
        at = 0
        size = len(content)
        while at < size:
            piece = min(self.window.room(), size - at)
            if piece == 0 or self.window.end + piece > self.content:
                raise MalformedError("more content than there should be")
            self.window.add(content, at, piece)
            at += piece
            self.advance()
            if self.is_behind and at < size:
                raise ValueError("too much content at once")
        return self.writer.take()

    def go_on(self) -> list[bytes]:
        """Return the next bytes of the stream, where `is_behind`; only then there is more content to be fed.

        Raises:
            MalformedError: the recipe does not go with the content.
        """
        self.advance()
        return self.writer.take()

    def finish(self) -> list[bytes]:
        """Return the last bytes of the stream: there is no more content.

        Raises:
            MalformedError: the recipe does not go with it.
        """
        if self.right == _NOT_READ:
            self.right = self.next_run()
        if self.window.end != self.content:
            raise MalformedError("less content than there should be")
        self.advance()
        if self.is_behind:
            return self.writer.take()
        if self.state != (_AT_MEMBER if self.bare else _OVER):
            raise MalformedError("a recipe that does not end")
        for stream in self.streams:
            stream.finish()
        return self.writer.take()

    def advance(self) -> int:
        """Write what can be written."""
        before = self.writer.left
        self.is_behind = False
        while self.state != _OVER:
            if before - self.writer.left > _MOST_WAITING:
                # A few bytes of a recipe may stand for a whole layer: what was written goes first.
                self.is_behind = True
                return 0
            if self.state == _AT_MEMBER:
                if self.bare:
                    break
                self.begin_member()
            elif self.state == _AT_BLOCK:
                self.begin_block()
            elif self.state == _IN_BLOCK:
                safe = self.window.end - _AHEAD if self.window.end < self.limit else _FAR
                if not (self.run_free(safe) if self.kind == _STORED else self.produce(safe)):
                    break
                self.end_block()
            elif self.state == _AT_TRAILER:
                self.end_member()
            else:
                self.write_rest()
        if self.state != _OVER:
            if not self.bare:
                self.sum_up()
            self.window.forget(self.model.place - _HISTORY)
        return 0

    def sum_up(self) -> int:
        """Bring the member's check sum to where the model is."""
        place = min(self.model.place, self.limit)
        if place > self.summed:
            self.crc = zlib.crc32(self.window.slice(self.summed, place), self.crc)
            self.summed = place
        return 0

    def begin_member(self) -> int:
        """Write a member's header."""
        length = self.frames.next_number(1 << 20)
        self.writer.put_bytes(self.frames.next_bytes(length), 0, length)
        length = self.frames.next_number(_FAR)
        length = self.content - self.limit if length == 0 else length - 1
        if length > self.content - self.limit:
            raise MalformedError("a member that is longer than the content")
        return self.open_member(length)

    def open_member(self, length: int) -> int:
        """Begin a member whose content is so long."""
        self.begin = self.limit
        self.limit = self.begin + length
        self.window.limit = self.limit
        self.model.begin(self.begin)
        self.add_steps(_MEMBER_STEPS)
        self.summed = self.begin
        self.crc = 0
        self.state = _AT_BLOCK
        return 0

    def add_steps(self, steps: int) -> int:
        """Count steps that are not the model's own."""
        self.other_steps += steps
        if self.model.steps + self.other_steps > self.steps:
            raise MalformedError("the model takes more steps than were said")
        return 0

    def begin_block(self) -> int:
        """Read what a block is."""
        record = self.blocks.next()
        self.kind = record & 3
        self.block_steps += _STORED_STEPS if self.kind == _STORED else _CODED_STEPS
        if self.block_steps > most_steps(self.content):
            raise MalformedError("too many blocks for so little content")
        self.last = (record >> 2) & 1
        end_kind = (record >> 3) & 3
        self.how = (record >> 5) & 3
        self.padding = 0
        if record & 128:
            self.padding = self.blocks.next()
        if self.kind > _DYNAMIC or (self.padding and self.kind != _STORED):
            raise MalformedError("a block of no kind")
        self.block_begin = self.model.place
        self.block_end = _FAR
        self.left = _FAR
        self.count_end = _FAR
        if self.division.chunk:
            self.count_end = self.division.chunk_end(self.block_begin, 1, self.begin, self.limit)
        if end_kind == _EMPTY:
            self.left = 0
        elif end_kind == _COUNTED:
            number = self.blocks.next_number(_FAR >> 1)
            if self.kind == _STORED:
                self.block_end = self.block_begin + number
            else:
                self.left = number
        elif self.division.chunk:
            number = 1 if end_kind == _AS_PREDICTED else self.blocks.next_number(1 << 40)
            self.block_end = self.division.chunk_end(self.block_begin, number, self.begin, self.limit)
        elif end_kind == _CHUNKS:
            raise MalformedError("chunks where there are none")
        else:
            self.left = self.division.tokens
            self.block_end = self.division.segment_end(self.block_begin, self.begin, self.limit)
        if self.kind != _STORED:
            self.writer.put(self.last | (self.kind << 1), 3)
            if self.kind == _FIXED:
                self.header.set_fixed()
                self.writer.set_codes(self.header.lengths, 288, 288, 32)
            elif self.how == _VERBATIM:
                self.read_header()
            elif self.how >= len(self.builders):
                raise MalformedError("a prediction that there is not")
            self.counts.clear()
            self.filled = 0
        self.state = _IN_BLOCK
        return 0

    def read_header(self) -> int:
        """Read a block's header, and write it."""
        bits = self.headers.next_number(1 << 13)
        kept = self.headers.next_bytes((bits + 7) >> 3)
        self.header.parse_bytes(kept)
        if self.header.bit_count != bits:
            raise MalformedError("a block header of another length")
        self.writer.put_bits(kept, bits)
        self.writer.set_codes(self.header.lengths, 288, 288, 32)
        return 0

    def produce(self, safe: int) -> int:
        """Make a block's tokens as far as the model can see enough content; return whether it is at its end."""
        # The loop that takes the time: all it needs is in variables of its own.
        model = self.model
        counts = self.counts
        literal_counts, distance_counts = counts.literals, counts.distances
        length_symbols, symbols = counts.by.lengths, counts.by.distances
        tokens = self.tokens
        filled = self.filled
        base = self.window.base
        start = self.window.start
        limit = self.limit
        end = min(self.block_end, limit)
        place = model.place
        left = self.left
        right = self.right
        counted = self.count_end
        most = self.steps - self.other_steps
        while left > 0 and place < end and place <= safe:
            if filled == _MOST_TOKENS:
                self.filled = filled
                self.spill()
                filled = 0
            token = model.predict()
            if right == 0:
                token = self.corrected(place)
                right = self.next_run()
                most = self.steps - self.other_steps
            elif right > 0:
                right -= 1
            model.accept(token)
            if token == _LITERAL:
                byte = base[place - start]
                tokens[filled] = byte
                if place < counted:
                    literal_counts[byte] += 1
                place += 1
            else:
                tokens[filled] = token
                length = token >> 15
                if place < counted:
                    distance = token & 0x7FFF
                    literal_counts[257 + length_symbols[length]] += 1
                    distance_counts[symbols[distance if distance < 256 else 256 + (distance >> 7)]] += 1
                place += 258 if length > 258 else length
                if place > limit:
                    raise MalformedError("a match that goes over the member's end")
            filled += 1
            left -= 1
            if model.steps > most:
                raise MalformedError("the model takes more steps than were said")
        self.filled = filled
        self.left = left
        self.right = right
        if left == 0 or place >= self.block_end:
            return 1
        if place >= limit:
            raise MalformedError("a block that goes over the member's end")
        return 0

    def next_run(self) -> int:
        """Return how many predictions are right up to the next correction; -1: all."""
        if self.runs.at_end():
            return -1
        return self.runs.next_number(_FAR >> 8)

    def corrected(self, place: int) -> int:
        """Return the token that stands at a place, where another one was predicted."""
        length = self.lengths.next()
        if length == 0:
            return _LITERAL
        if length == 255:
            length += self.lengths.next()
        length += 2
        size = min(length, 258)
        if length > 259 or place + size > self.limit:
            raise MalformedError("a match that goes over the member's end")
        distance = self.distances.next_number(_RANKS + 0x7FFF)
        if distance >= _RANKS:
            distance -= _RANKS
            # What comes later depends on what has been entered.
            self.nearest.enter(place)
        elif self.nearest.find(place, self.begin, size, distance, 0) >= 0:
            distance = self.nearest.found
        else:
            raise MalformedError("a match of what is not there")
        self.add_steps(self.nearest.steps)
        self.nearest.steps = 0
        if distance >= place - self.begin:
            raise MalformedError("a match of what is not there")
        return (length << 15) | distance

    def run_free(self, safe: int) -> int:
        """Let the model run over a stored block; return whether it is at its end."""
        model = self.model
        end = min(self.block_end, self.limit)
        while self.left > 0 and model.place < end and model.place <= safe:
            place = model.place
            token = model.predict()
            length = 1 if token == _LITERAL else min(token >> 15, 258)
            if place + length > end:
                token = _LITERAL
            model.accept(token)
            self.left -= 1
            if model.place - self.block_begin > 0xFFFF:
                raise MalformedError("a stored block that is too long")
            if model.steps > self.steps - self.other_steps:
                raise MalformedError("the model takes more steps than were said")
        if self.left == 0 or model.place >= self.block_end:
            return 1
        if model.place >= self.limit:
            raise MalformedError("a block that goes over the member's end")
        return 0

    def spill(self) -> int:
        """Write the tokens that are kept, though the block is not at its end."""
        if self.kind == _DYNAMIC and self.how != _VERBATIM:
            raise MalformedError("a block that is too long for its header to be predicted")
        self.writer.put_tokens(self.tokens, self.filled)
        self.filled = 0
        return 0

    def write_header(self) -> int:
        """Write the header that is predicted from a block's tokens."""
        builder = self.builders[self.how]
        bits = self.counts.build(builder)
        self.add_steps(_HEADER_STEPS)
        self.writer.put_bits(builder.bits, bits)
        for place in range(286 + 30):
            self.scratch[place] = builder.lengths[place]
        self.writer.set_codes(self.scratch, 286, 286, 30)
        return 0

    def end_block(self) -> int:
        """Write what is left of a block."""
        if self.kind == _STORED:
            size = self.model.place - self.block_begin
            self.writer.put(self.last, 3)
            self.pad(self.padding)
            self.writer.put(size, 16)
            self.writer.put(size ^ 0xFFFF, 16)
            self.writer.put_bytes(self.window.slice(self.block_begin, self.model.place), 0, size)
        else:
            if self.kind == _DYNAMIC and self.how != _VERBATIM:
                self.write_header()
            self.writer.put_tokens(self.tokens, self.filled)
            self.filled = 0
            self.writer.end_block()
        self.state = _AT_TRAILER if self.last else _AT_BLOCK
        return 0

    def pad(self, padding: int) -> None:
        """Go to the next whole byte."""
        free = -self.writer.count & 7
        if padding >> free:
            raise MalformedError("bits where there is no room for any")
        self.writer.put(padding, free)

    def end_member(self) -> int:
        """Write a member's trailer, and what follows."""
        if self.model.place != self.limit:
            raise MalformedError("a member that ends before its content")
        if self.bare:
            self.pad(self.frames.next())
            self.state = _AT_MEMBER
            return 0
        self.sum_up()
        what = self.frames.next()
        if what > 5:
            raise MalformedError("a frame of no kind")
        if what & 1:
            self.pad(self.frames.next())
            trailer = self.frames.next_bytes(8)
        else:
            self.pad(0)
            trailer = (self.crc | (((self.limit - self.begin) & 0xFFFFFFFF) << 32)).to_bytes(8, "little")
        self.writer.put_bytes(trailer, 0, 8)
        if what >> 1 == inflate.MEMBER:
            self.state = _AT_MEMBER
            return 0
        if self.limit != self.content:
            raise MalformedError("content that belongs to no member")
        self.state = _AT_REST if what >> 1 == inflate.OTHER else _OVER
        return 0

    def write_rest(self) -> int:
        """Write some of what follows the last member."""
        if self.frames.at_end():
            self.state = _OVER
            return 0
        length = self.frames.next_number(1 << 20)
        self.writer.put_bytes(self.frames.next_bytes(length), 0, length)
        return 0
