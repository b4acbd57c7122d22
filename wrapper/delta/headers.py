# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Headers of dynamic blocks, as compressors make them of what they counted.

A dynamic block of a deflate stream (RFC 1951, 3.2.7) begins with the lengths of its Huffman codes. Those follow
from how often each symbol occurs, and from how a compressor builds codes: which of several that are equally good,
and how it keeps them within 15 bits. Learned from zlib 1.2.13, `trees.c` (GNU gzip builds the same codes), and Go
1.19, `compress/flate/huffman_code.go` and `huffman_bit_writer.go` (klauspost/compress has them from there).

This file is plain Python; `headers.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from array import array

ZLIB = 1
"""zlib's and GNU gzip's."""
GO = 2
"""Go's compress/flate; klauspost/compress for the last block before a flush or an end."""
KLAUSPOST = 3
"""klauspost/compress for other blocks: all codes are declared, whether they are used or not."""
KLAUSPOST_FILLED = 4
"""The same up to its version 1.13: each code is taken to occur once, at least."""

_LITERALS = 286
_DISTANCES = 30
# Code lengths are themselves written in a Huffman code.
_PRECODES = 19
_END_OF_BLOCK = 256
_LONGEST = 15
_LONGEST_PRECODE = 7
_NODES = 2 * _LITERALS + 1
_ORDER = bytes((16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15))
# More than any count, and than any sum of counts.
_NEVER = 1 << 60


class HeaderBuilder:
    """Builds a block's header; makes no new objects for that.

    Attributes:
        literal_count: for how many literal and length codes the header gives lengths (HLIT + 257).
        distance_count: for how many distance codes (HDIST + 1).
        lengths: how many bits each code has, 0 for none: 286 literal and length codes, then 30 distance codes, then
            the 19 codes that code lengths are written in.
        bits: the header from HLIT to the last code length, the lowest bit of each byte first, filled up with zeros.
    """

    def __init__(self, kind: int) -> None:
        """Take memory.

        Args:
            kind: ZLIB, GO, KLAUSPOST or KLAUSPOST_FILLED.
        """
        self.is_zlib = kind == ZLIB
        self.declares_all = kind in (KLAUSPOST, KLAUSPOST_FILLED)
        self.fewest = 1 if kind == KLAUSPOST_FILLED else 0
        self.literal_count = 0
        self.distance_count = 0
        self.lengths = bytearray(_LITERALS + _DISTANCES + _PRECODES)
        self.bits = bytearray(1024)
        self.bit_count = 0
        self.order = _ORDER
        # What is built on: how often each symbol, and each inner node of a tree, occurs.
        self.counts = array("q", bytes(8 * _NODES))
        # Code lengths, run-length encoded: symbols of the precode, and what follows them.
        self.runs = bytearray(2 * (_LITERALS + _DISTANCES))
        self.repeats = bytearray(2 * (_LITERALS + _DISTANCES))
        self.run_count = 0
        self.precode_counts = array("I", bytes(4 * _PRECODES))
        # How many codes there are of each length.
        self.of_length = array("i", bytes(4 * (_LONGEST + 2)))
        # zlib's heap of nodes, with room for those that were taken out of it, and the tree that results.
        self.heap = array("i", bytes(4 * (_NODES + 1)))
        self.heap_size = 0
        self.depths = bytearray(_NODES)
        self.parents = array("i", bytes(4 * _NODES))
        self.node_lengths = bytearray(_NODES)
        # Go's: symbols by count, and for each level of the package-merge algorithm where it is.
        self.sorted = array("i", bytes(4 * _LITERALS))
        self.level_last = array("q", bytes(8 * (_LONGEST + 2)))
        self.level_leaf = array("q", bytes(8 * (_LONGEST + 2)))
        self.level_pair = array("q", bytes(8 * (_LONGEST + 2)))
        self.level_needed = array("i", bytes(4 * (_LONGEST + 2)))
        self.leaves = array("i", bytes(4 * (_LONGEST + 1) * (_LONGEST + 1)))

    def build(self, literal_counts: array[int], distance_counts: array[int]) -> int:
        """Build the header of a block.

        Args:
            literal_counts: how often each of 286 literal and length codes occurs; "end of block", 256, is taken to
                occur once, whatever it says there.
            distance_counts: how often each of 30 distance codes occurs.

        Returns:
            The header's length in bits.
        """
        for symbol in range(_LITERALS):
            self.counts[symbol] = max(literal_counts[symbol], self.fewest)
        self.counts[_END_OF_BLOCK] = 1
        if self.is_zlib:
            self.literal_count = self._build_zlib_code(0, _LITERALS, _LONGEST)
        else:
            self.literal_count = self._build_go_code(0, _LITERALS, _LONGEST)
        any_distance = 0
        for symbol in range(_DISTANCES):
            self.counts[symbol] = max(distance_counts[symbol], self.fewest)
            any_distance |= distance_counts[symbol]
        if self.is_zlib:
            self.distance_count = self._build_zlib_code(_LITERALS, _DISTANCES, _LONGEST)
        else:
            if not any_distance and not self.declares_all:
                # One code must be there.
                self.counts[0] = 1
            self.distance_count = self._build_go_code(_LITERALS, _DISTANCES, _LONGEST)
        if self.declares_all:
            self.literal_count = _LITERALS
            self.distance_count = _DISTANCES
        self.run_count = 0
        for symbol in range(_PRECODES):
            self.precode_counts[symbol] = 0
        if self.is_zlib:
            self._run_zlib_lengths(0, self.literal_count)
            self._run_zlib_lengths(_LITERALS, self.distance_count)
        else:
            self._run_go_lengths()
        for symbol in range(_PRECODES):
            self.counts[symbol] = self.precode_counts[symbol]
        if self.is_zlib:
            self._build_zlib_code(_LITERALS + _DISTANCES, _PRECODES, _LONGEST_PRECODE)
        else:
            self._build_go_code(_LITERALS + _DISTANCES, _PRECODES, _LONGEST_PRECODE)
        return self._write()

    def _build_zlib_code(self, first: int, count: int, longest: int) -> int:
        """Give symbols code lengths as zlib does, from `first` on in `lengths`; return how many to declare."""
        self.heap_size = 0
        last = -1
        for symbol in range(count):
            self.lengths[first + symbol] = 0
            if self.counts[symbol]:
                self.heap_size += 1
                self.heap[self.heap_size] = symbol
                last = symbol
                self.depths[symbol] = 0
        # There are at least two codes, though nobody may use them.
        while self.heap_size < 2:
            symbol = 0
            if last < 2:
                last += 1
                symbol = last
            self.heap_size += 1
            self.heap[self.heap_size] = symbol
            self.counts[symbol] = 1
            self.depths[symbol] = 0
        for place in range(self.heap_size // 2, 0, -1):
            self._sink(place)
        # Join the two rarest nodes again and again. They are kept at the heap's far end, by falling count.
        node = count
        top = _NODES
        while self.heap_size >= 2:
            rare = self.heap[1]
            self.heap[1] = self.heap[self.heap_size]
            self.heap_size -= 1
            self._sink(1)
            next_rare = self.heap[1]
            self.heap[top - 1] = rare
            self.heap[top - 2] = next_rare
            top -= 2
            self.counts[node] = self.counts[rare] + self.counts[next_rare]
            self.depths[node] = max(self.depths[rare], self.depths[next_rare]) + 1
            self.parents[rare] = node
            self.parents[next_rare] = node
            self.heap[1] = node
            node += 1
            self._sink(1)
        self.heap[top - 1] = self.heap[1]
        self._limit_zlib_lengths(first, count, top - 1, longest)
        return last + 1

    def _sink(self, place: int) -> None:
        """Move a node of the heap down until none below it is rarer."""
        node = self.heap[place]
        below = 2 * place
        while below <= self.heap_size:
            if below < self.heap_size and self._is_rarer(self.heap[below + 1], self.heap[below]):
                below += 1
            if self._is_rarer(node, self.heap[below]):
                break
            self.heap[place] = self.heap[below]
            place = below
            below *= 2
        self.heap[place] = node

    def _is_rarer(self, node: int, other: int) -> int:
        # Of nodes that are equally rare the shallower one.
        if self.counts[node] != self.counts[other]:
            return self.counts[node] < self.counts[other]
        return self.depths[node] <= self.depths[other]

    def _limit_zlib_lengths(self, first: int, count: int, top: int, longest: int) -> int:
        """Take lengths from the tree, whose root is at `top` in the heap, and shorten those that are too long."""
        for length in range(longest + 1):
            self.of_length[length] = 0
        self.node_lengths[self.heap[top]] = 0
        too_long = 0
        for place in range(top + 1, _NODES):
            node = self.heap[place]
            length = self.node_lengths[self.parents[node]] + 1
            if length > longest:
                length = longest
                too_long += 1
            self.node_lengths[node] = length
            if node < count:
                self.lengths[first + node] = length
                self.of_length[length] += 1
        if too_long == 0:
            return 0
        # A code that is shorter than the longest becomes an inner node, and takes one that is too long beside it.
        while too_long > 0:
            length = longest - 1
            while self.of_length[length] == 0:
                length -= 1
            self.of_length[length] -= 1
            self.of_length[length + 1] += 2
            self.of_length[longest] -= 1
            too_long -= 2
        # The rarest get the longest ones.
        place = _NODES
        for length in range(longest, 0, -1):
            left = self.of_length[length]
            while left:
                place -= 1
                node = self.heap[place]
                if node < count:
                    self.lengths[first + node] = length
                    left -= 1
        return 0

    def _build_go_code(self, first: int, count: int, longest: int) -> int:
        """Give symbols code lengths as Go does, from `first` on in `lengths`; return how many to declare."""
        used = 0
        last = -1
        for symbol in range(count):
            self.lengths[first + symbol] = 0
            if self.counts[symbol]:
                # Insertion sort: by count, then by number.
                place = used
                while place > 0 and self.counts[self.sorted[place - 1]] > self.counts[symbol]:
                    self.sorted[place] = self.sorted[place - 1]
                    place -= 1
                self.sorted[place] = symbol
                used += 1
                last = symbol
        if used <= 2:
            for place in range(used):
                self.lengths[first + self.sorted[place]] = 1
            return last + 1
        longest = min(longest, used - 1)
        self._merge_packages(used, longest)
        # The most frequent symbols get the shortest codes.
        place = used
        for level in range(longest, 0, -1):
            for _ in range(self.leaves[level + 16 * longest] - self.leaves[level - 1 + 16 * longest]):
                place -= 1
                self.lengths[first + self.sorted[place]] = longest - level + 1
        return last + 1

    def _merge_packages(self, used: int, longest: int) -> int:
        """Find how many codes have which length: package-merge, level by level, each only as far as it is needed.

        Afterwards `leaves[level + 16 * longest]` of the symbols, the rarest ones, have a code of at least
        `longest - level + 1` bits.
        """
        for level in range(len(self.leaves)):
            self.leaves[level] = 0
        for level in range(longest + 2):
            self.level_last[level] = self.counts[self.sorted[1]]
            self.level_leaf[level] = self.counts[self.sorted[2]]
            self.level_pair[level] = self.counts[self.sorted[0]] + self.counts[self.sorted[1]]
            self.level_needed[level] = 0
        for level in range(1, longest + 1):
            self.leaves[level + 16 * level] = 2
        self.level_pair[1] = _NEVER
        self.level_needed[longest] = 2 * used - 4
        level = longest
        while True:
            if self.level_pair[level] == _NEVER and self.level_leaf[level] == _NEVER:
                # Neither leaves nor pairs are left: nobody comes back to this level.
                self.level_needed[level] = 0
                level += 1
                self.level_pair[level] = _NEVER
                continue
            before = self.level_last[level]
            if self.level_leaf[level] < self.level_pair[level]:
                found = self.leaves[level + 16 * level] + 1
                self.level_last[level] = self.level_leaf[level]
                self.leaves[level + 16 * level] = found
                self.level_leaf[level] = self.counts[self.sorted[found]] if found < used else _NEVER
            else:
                # A pair of the level below, which then needs the next two.
                self.level_last[level] = self.level_pair[level]
                for lower in range(level):
                    self.leaves[lower + 16 * level] = self.leaves[lower + 16 * (level - 1)]
                self.level_needed[level - 1] = 2
            self.level_needed[level] -= 1
            if self.level_needed[level] == 0:
                if level == longest:
                    return 0
                self.level_pair[level + 1] = before + self.level_last[level]
                level += 1
            else:
                while self.level_needed[level - 1] > 0:
                    level -= 1

    def _run(self, symbol: int, repeat: int) -> None:
        """Note a symbol of the precode, and what follows it."""
        self.runs[self.run_count] = symbol
        self.repeats[self.run_count] = repeat
        self.run_count += 1
        self.precode_counts[symbol] += 1

    def _run_zlib_lengths(self, first: int, count: int) -> None:
        """Run-length encode `count` lengths, as zlib does: each of the two codes alone."""
        before = -1
        place = 0
        while place < count:
            length = self.lengths[first + place]
            # So many are said at once at most; the first of them must be spelled where it is another than before.
            most = 138 if length == 0 else 6 if length == before else 7
            times = 1
            while times < most and place + times < count and self.lengths[first + place + times] == length:
                times += 1
            place += times
            if times < (3 if length == 0 or length == before else 4):
                for _ in range(times):
                    self._run(length, 0)
            elif length:
                if length != before:
                    self._run(length, 0)
                    times -= 1
                self._run(16, times - 3)
            elif times <= 10:
                self._run(17, times - 3)
            else:
                self._run(18, times - 11)
            before = length

    def _run_go_lengths(self) -> None:
        """Run-length encode all lengths, as Go does: both codes together."""
        total = self.literal_count + self.distance_count
        place = 0
        while place < total:
            length = self._declared_length(place)
            times = 1
            while place + times < total and self._declared_length(place + times) == length:
                times += 1
            place += times
            if length:
                self._run(length, 0)
                times -= 1
                while times >= 3:
                    some = min(times, 6)
                    self._run(16, some - 3)
                    times -= some
            else:
                while times >= 11:
                    some = min(times, 138)
                    self._run(18, some - 11)
                    times -= some
                if times >= 3:
                    self._run(17, times - 3)
                    times = 0
            for _ in range(times):
                self._run(length, 0)

    def _declared_length(self, place: int) -> int:
        if place < self.literal_count:
            return self.lengths[place]
        return self.lengths[_LITERALS + place - self.literal_count]

    def _write(self) -> int:
        precodes = _PRECODES
        first = _LITERALS + _DISTANCES
        while precodes > 4 and self.lengths[first + self.order[precodes - 1]] == 0:
            precodes -= 1
        for place in range(len(self.bits)):
            self.bits[place] = 0
        self.bit_count = 0
        self._put(self.literal_count - 257, 5)
        self._put(self.distance_count - 1, 5)
        self._put(precodes - 4, 4)
        for place in range(precodes):
            self._put(self.lengths[first + self.order[place]], 3)
        # From here on in `counts`: the code of each symbol of the precode, its first bit lowest.
        code = 0
        for length in range(1, _LONGEST_PRECODE + 1):
            for symbol in range(_PRECODES):
                if self.lengths[first + symbol] == length:
                    reverse = 0
                    for bit in range(length):
                        reverse |= (code >> bit & 1) << (length - 1 - bit)
                    self.counts[symbol] = reverse
                    code += 1
            code <<= 1
        for place in range(self.run_count):
            symbol = self.runs[place]
            self._put(self.counts[symbol], self.lengths[first + symbol])
            if symbol >= 16:
                self._put(self.repeats[place], 2 if symbol == 16 else 3 if symbol == 17 else 7)
        return self.bit_count

    def _put(self, value: int, count: int) -> None:
        for bit in range(count):
            if value >> bit & 1:
                self.bits[self.bit_count >> 3] |= 1 << (self.bit_count & 7)
            self.bit_count += 1
