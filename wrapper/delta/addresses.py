# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
"""Addresses in a program that became another one, predicted by where what they point to went.

When a few instructions are put into a program, all that stands behind them moves, and every address of it changes,
wherever it is mentioned. In a patch those would be thousands of small differences. But the covers say what went
where: so a stretch of the older program is, before it is compared with the new one, given the addresses that it
should have now. What is mistaken for an address costs a few bytes, never a failure: both sides do the same.

Found are, in programs for x86-64, the operands of calls, jumps and instructions that name data relative to
themselves; for aarch64 those of branches, and pairs of ADRP and what adds to it; for both, pointers of 64 bits.
(Intel's Software Developer's Manual, volume 2; Arm's Architecture Reference Manual for A-profile, C4.)

The idea is Courgette's and Zucchini's, by which Chromium's updates are made. This file is plain Python;
`addresses.pxd` has the types with which Cython compiles it. Either way it does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .covers import Covers

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

X86_64, AARCH64 = 62, 183
"""Machines, by their numbers in ELF's `e_machine`."""

MOST_SEGMENTS = 16
"""How many segments a program may have."""

BLOCK = 1 << 16
"""How long the stretches are at most that addresses are looked for in, in bytes, from a cover's beginning on."""

LEAD = 2
"""How many bytes before a stretch are looked at, too."""

# Opcodes of x86-64, the last byte of each, after which an operand can be relative to the instruction's end.
_RELATIVE = bytearray(256)
for _opcode in bytes.fromhex(
    "0103090b 101112131415161721232528292a2b2c2d2e2f 313338393a3b3c3f 4044455455565758595a5c5e 5f636b6c6e6f7e7f"
    "808183848588898a8b8d afb1b6b7bebf c1c6c7 d4d6dbeb eff6f7fafbfeff"
):
    _RELATIVE[_opcode] = 1
# Where the four numbers of a segment begin in the table: the older one's, and the new one's.
_OLD, _NEW = 0, 4
_POINTER = 8
# Smaller numbers are rarely pointers.
_LEAST_POINTER = 0x200
# How many instructions after an ADRP are looked at for what adds to it.
_AHEAD = 8


class Addresses:
    """A program that became another one: which address became which."""

    def __init__(
        self,
        machine: int,
        old_segments: Sequence[Sequence[int]],
        new_segments: Sequence[Sequence[int]],
        covers: Covers,
    ) -> None:
        """Take what is known of both.

        Args:
            machine: X86_64 or AARCH64.
            old_segments: the older program's: for each where it lies in the file, its address, how long it is
                there, and how long in memory; in bytes, less than 2 ** 48. At most MOST_SEGMENTS.
            new_segments: the new program's, as many.
            covers: what both files have in common, by places in them; all within the first 4 GiB.
        """
        if len(old_segments) != len(new_segments) or len(old_segments) > MOST_SEGMENTS:
            raise ValueError("segments that don't fit")
        self.machine = machine
        self.relative = _RELATIVE
        self.segments = len(old_segments)
        self.memory = bytearray(64 * MOST_SEGMENTS)
        self.table = as_numbers(self.memory)  # type: ignore[name-defined]  # noqa: F821
        for number in range(self.segments):
            for place in range(4):
                self.table[8 * number + place] = old_segments[number][place]
                self.table[8 * number + 4 + place] = new_segments[number][place]
        order = sorted(range(len(covers)), key=covers.olds.__getitem__)
        self.starts = Words(len(order))
        self.lengths = Words(len(order))
        self.news = Words(len(order))
        self.count = 0
        self.last = 0
        # Of two that lie at one place the first one counts.
        done = 0
        for number in order:
            old, new, length = covers.olds[number], covers.news[number], covers.lengths[number]
            cut = max(0, done - old)
            if cut < length:
                self.starts.base[self.count] = old + cut
                self.news.base[self.count] = new + cut
                self.lengths.base[self.count] = length - cut
                self.count += 1
                done = old + length

    def carry(self, data: bytes, lead: int, old_place: int, new_place: int) -> bytes:
        """Return a stretch of the older program with the addresses that it should have in the new one.

        Args:
            data: the stretch, and before it so many bytes (`lead`) that stand before it.
            lead: LEAD, or less at the program's beginning.
            old_place: where the stretch, without the lead, lies in the older file.
            new_place: where it lies in the new one.
        """
        out = bytearray(data[lead:])
        if self.machine == X86_64:
            self.carry_x86_64(data, lead, out, old_place, new_place)
        else:
            self.carry_aarch64(data, lead, out, old_place, new_place)
        return bytes(out)

    def carry_x86_64(self, data: bytes, lead: int, out: bytearray, old_place: int, new_place: int) -> int:
        """Do it for x86-64."""
        base = data
        target = out
        size = len(out)
        at = LEAD - lead
        while at + 4 <= size:
            first = base[lead + at - 1]
            second = base[lead + at - 2]
            if (
                (first & 0xFE) == 0xE8
                or ((first & 0xF0) == 0x80 and second == 0x0F)
                or ((first & 0xC7) == 0x05 and self.relative[second])
            ):
                offset = load32(base, lead + at)  # type: ignore[name-defined]  # noqa: F821
                if offset >= 0x80000000:
                    offset -= 0x100000000
                begin = self.address_of(old_place + at, _OLD)
                end = self.address_of(new_place + at, _NEW)
                if begin >= 0 and end >= 0:
                    found = self.moved(begin + 4 + offset)
                    if found >= 0:
                        store32(target, at, (found - end - 4) & 0xFFFFFFFF)  # type: ignore[name-defined]  # noqa: F821
                        at += 4
                        continue
            if ((old_place + at) & 7) == 0 and at + _POINTER <= size:
                at += self.carry_pointer(base, lead + at, target, at)
            else:
                at += 1
        return 0

    def carry_pointer(self, base: bytes, place: int, target: bytearray, at: int) -> int:
        """Carry a number of 64 bits, if it is a pointer; return how many bytes are done with."""
        pointer = load64(base, place)  # type: ignore[name-defined]  # noqa: F821
        if _LEAST_POINTER <= pointer < 0x1000000000000:
            found = self.moved(pointer)
            if found >= 0:
                store64(target, at, found)  # type: ignore[name-defined]  # noqa: F821
                return _POINTER
        return 1

    def carry_aarch64(self, data: bytes, lead: int, out: bytearray, old_place: int, new_place: int) -> int:
        """Do it for aarch64."""
        base = data
        target = out
        size = len(out)
        # Instructions stand at multiples of four.
        at = -old_place & 3
        while at + 4 <= size:
            word = load32(base, lead + at)  # type: ignore[name-defined]  # noqa: F821
            if (word & 0x7C000000) == 0x14000000:
                # B and BL: 26 bits.
                offset = (word & 0x03FFFFFF) - ((word & 0x02000000) << 1)
                begin = self.address_of(old_place + at, _OLD)
                end = self.address_of(new_place + at, _NEW)
                if begin >= 0 and end >= 0:
                    found = self.moved(begin + 4 * offset)
                    if found >= 0:
                        word = (word & 0xFC000000) | (((found - end) >> 2) & 0x03FFFFFF)
                        store32(target, at, word)  # type: ignore[name-defined]  # noqa: F821
            elif (word & 0x9F000000) == 0x90000000:
                self.carry_page(base, lead + at, target, at, size, old_place + at, new_place + at)
            elif (
                ((old_place + at) & 7) == 0
                and at + _POINTER <= size
                and self.carry_pointer(base, lead + at, target, at) == _POINTER
            ):
                # Two words at once; the second one is counted below.
                at += 4
            at += 4
        return 0

    def carry_page(
        self, base: bytes, place: int, target: bytearray, at: int, size: int, old_place: int, new_place: int
    ) -> int:
        """Carry an ADRP, which names a page of 4 KiB, and the instruction that adds the rest."""
        word = load32(base, place)  # type: ignore[name-defined]  # noqa: F821
        register = word & 31
        pages = ((word >> 3) & 0x1FFFFC) | ((word >> 29) & 3)
        if pages >= 0x100000:
            pages -= 0x200000
        begin = self.address_of(old_place, _OLD)
        end = self.address_of(new_place, _NEW)
        if begin < 0 or end < 0:
            return 0
        step = 4
        while step <= 4 * _AHEAD and at + step + 4 <= size:
            other = load32(base, place + step)  # type: ignore[name-defined]  # noqa: F821
            scale = -1
            if ((other >> 5) & 31) == register:
                if (other & 0xFFC00000) == 0x91000000:
                    scale = 0
                elif (other & 0x3B000000) == 0x39000000:
                    # LDR and STR with an offset of 12 bits, in units of what is loaded.
                    scale = 4 if (other & 0x04800000) == 0x04800000 else other >> 30
            if scale >= 0:
                found = self.moved((begin & ~0xFFF) + pages * 4096 + (((other >> 10) & 0xFFF) << scale))
                if found < 0 or found & ((1 << scale) - 1):
                    return 0
                pages = (found >> 12) - (end >> 12)
                word = (word & 0x9F00001F) | ((pages & 3) << 29) | (((pages >> 2) & 0x7FFFF) << 5)
                store32(target, at, word)  # type: ignore[name-defined]  # noqa: F821
                other = (other & 0xFFC003FF) | (((found & 0xFFF) >> scale) << 10)
                store32(target, at + step, other)  # type: ignore[name-defined]  # noqa: F821
                return 0
            step += 4
        return 0

    def address_of(self, place: int, side: int) -> int:
        """Return the address of a byte of the older file (`_OLD`) or the new one (`_NEW`), or -1 if it has none."""
        for number in range(self.segments):
            at = place - self.table[8 * number + side]
            if at >= 0 and at < self.table[8 * number + side + 2]:
                found: int = self.table[8 * number + side + 1] + at
                return found
        return -1

    def moved(self, address: int) -> int:
        """Return what an address of the older program became, or -1 if nobody knows."""
        for number in range(self.segments):
            at = address - self.table[8 * number + 1]
            if at < 0:
                continue
            if at < self.table[8 * number + 2]:
                place = self.find(self.table[8 * number] + at)
                return self.address_of(place, _NEW) if place >= 0 else -1
            if at < self.table[8 * number + 3]:
                # What is zero at first is in no file: it moves with the segment's end.
                at += self.table[8 * number + 6] - self.table[8 * number + 2]
                found: int = self.table[8 * number + 5] + at
                return found
        return -1

    def find(self, place: int) -> int:
        """Return where what lies at a place of the older file lies in the new one, or -1 if nobody knows."""
        if not self.count:
            return -1
        low = self.last
        if not (self.starts.base[low] <= place and (low + 1 == self.count or place < self.starts.base[low + 1])):
            low = 0
            high = self.count
            while high - low > 1:
                middle = (low + high) >> 1
                if self.starts.base[middle] <= place:
                    low = middle
                else:
                    high = middle
            self.last = low
        at = place - self.starts.base[low]
        if at >= 0 and at < self.lengths.base[low]:
            found: int = self.news.base[low] + at
            return found
        return -1


def unequal(old: bytes, new: bytes) -> int:
    """Return how many bytes differ in two stretches of the same length."""
    if len(old) != len(new):
        raise ValueError("not as many")
    old_base = old
    new_base = new
    found = 0
    for place in range(len(new)):
        if old_base[place] != new_base[place]:
            found += 1
    return found


def _as_numbers(memory: bytearray) -> memoryview:
    return memoryview(memory).cast("q")


def _load32(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _load64(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")


def _store32(data: bytearray, place: int, number: int) -> None:
    data[place : place + 4] = number.to_bytes(4, "little")


def _store64(data: bytearray, place: int, number: int) -> None:
    data[place : place + 8] = number.to_bytes(8, "little")


if not COMPILED:
    # Compiled, it is C of the same meaning: see addresses.pxd.
    globals().update(as_numbers=_as_numbers, load32=_load32, load64=_load64, store32=_store32, store64=_store64)
