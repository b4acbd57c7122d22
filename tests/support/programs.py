"""Small programs in ELF, whose functions call each other and name data: as compilers make them, after linking."""

from __future__ import annotations

import random
import struct
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

X86_64, AARCH64 = 62, 183

TEXT, DATA = 0x401000, 0x800000
"""Addresses of code and data; in the file they stand one after the other, from 0x1000 on."""

_TEXT_OFFSET = 0x1000


class Linked(NamedTuple):
    """A program: its bytes, and where in them each function stands, and how long it is."""

    data: bytes
    places: dict[str, tuple[int, int]]


def link(machine: int, functions: dict[str, int], *, pointers: int = 40, bss: int = 0x1000) -> Linked:
    """Link functions in their order; the name and the seed of each decide what is in it.

    Each calls others by name, and names words in the data; the data has a table of pointers to functions, and its
    words come after it.
    """
    names = [name for name in sorted(functions) if not name.startswith("new")]
    unit = 4 if machine == AARCH64 else 1
    bodies: dict[str, list[bytes | tuple[str, str | int]]] = {
        name: _body(machine, name, seed, names) for name, seed in functions.items()
    }
    places, at = {}, 0
    for name, body in bodies.items():
        length = sum(len(part) if isinstance(part, bytes) else _length(machine, part[0]) for part in body)
        places[name] = at, length
        at += -(-length // 16) * 16
    text_size = at
    data_offset = _TEXT_OFFSET + -(-text_size // 0x1000) * 0x1000
    # Where data stands depends on how long the code is, as it does in a linked program.
    data_address = DATA + data_offset
    code = bytearray()
    for name, body in bodies.items():
        code += bytes(places[name][0] - len(code))
        for part in body:
            if isinstance(part, bytes):
                code += part
                continue
            kind, what = part
            here = TEXT + len(code)
            target = TEXT + places[what][0] if isinstance(what, str) else data_address + 8 * pointers + what
            code += _reference(machine, kind, here, target)
    assert len(code) % unit == 0
    code += bytes(text_size - len(code))
    table = [TEXT + places[names[number % len(names)]][0] for number in range(pointers)]
    data = struct.pack(f"<{pointers}Q", *table) + random.Random(0).randbytes(0x800)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01" + bytes(9), 2, machine, 1, TEXT, 64, 0, 0, 64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    segments = struct.pack("<IIQQQQQQ", 1, 5, _TEXT_OFFSET, TEXT, TEXT, text_size, text_size, 0x1000)
    segments += struct.pack(
        "<IIQQQQQQ", 1, 6, data_offset, data_address, data_address, len(data), len(data) + bss, 0x1000
    )
    whole = (header + segments).ljust(_TEXT_OFFSET, b"\0") + bytes(code)
    whole = whole.ljust(data_offset, b"\0") + data
    found = {name: (_TEXT_OFFSET + place, length) for name, (place, length) in places.items()}
    return Linked(whole, found | {"data": (data_offset, len(data))})


def _body(machine: int, name: str, seed: int, names: list[str]) -> list[bytes | tuple[str, str | int]]:
    rng = random.Random(f"{name} {seed}")
    body: list[bytes | tuple[str, str | int]] = []
    for _ in range(rng.randrange(6, 14)):
        # What is no address.
        plain = (
            b"".join(
                struct.pack("<I", 0xD2800000 | rng.randrange(1 << 16) << 5) for _ in range(rng.randrange(1, 6))
            )
            if machine == AARCH64
            else bytes(rng.choice(b"\x90\x50\x51\x58\x59\x5a\xc3") for _ in range(rng.randrange(3, 30)))
        )
        kinds = ["call", "data", "load"] if machine == AARCH64 else ["call", "jump", "data"]
        kind = rng.choice(kinds)
        body += [plain, (kind, rng.choice(names) if kind in ("call", "jump") else 8 * rng.randrange(0x180))]
    return body


def _length(machine: int, kind: str) -> int:
    if machine == AARCH64:
        return 4 if kind == "call" else 8
    return {"call": 5, "jump": 6, "data": 7}[kind]


def _reference(machine: int, kind: str, here: int, target: int) -> bytes:
    if machine == X86_64:
        code = {"call": b"\xe8", "jump": b"\x0f\x84", "data": b"\x48\x8d\x05"}[kind]
        return code + struct.pack("<i", target - here - len(code) - 4)
    if kind == "call":
        return struct.pack("<I", 0x94000000 | (target - here) // 4 & 0x3FFFFFF)
    pages = (target >> 12) - (here >> 12)
    adrp = 0x90000003 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5
    if kind == "data":
        return struct.pack("<II", adrp, 0x91000063 | (target & 0xFFF) << 10)
    return struct.pack("<II", adrp, 0xF9400064 | (target & 0xFFF) >> 3 << 10)


def releases(machine: int, count: int = 60) -> tuple[Linked, Linked]:
    """A program, and the same with some functions more: those that stay are the same but for addresses."""
    old = {f"function{number}": number for number in range(count)}
    new = {}
    for number, (name, seed) in enumerate(old.items()):
        if number % 20 == 3:
            new[f"new{number}"] = number
        new[name] = seed
    return link(machine, old), link(machine, new)


def compiled(folder: Path, *flags: str) -> tuple[bytes, bytes]:
    """Two releases of a program that this machine's C compiler makes: the new one has a few functions more."""
    found = []
    for release in (1, 2):
        names = [f"f{number}" for number in range(300)] + [f"g{number}" for number in range(6) if release > 1]
        names.sort(key=lambda name: (int(name[1:]) * (50 if name[0] == "g" else 1), name))
        source = ["#include <stdio.h>", *(f"int {name}(int);" for name in names), "static int counts[300];"]
        for name in names:
            rng = random.Random(name)
            calls = "".join(
                f"if (x % {rng.randrange(2, 99)} == 0) x += f{rng.randrange(300)}(x);" for _ in range(3)
            )
            told = f'puts("{name} {rng.random()}"); counts[{rng.randrange(300)}] += x;'
            source.append(f"int {name}(int x) {{ {told} {calls} return x; }}")
        source.append(f"int (*const all[])(int) = {{ {', '.join(names)} }};")
        source.append("int main(int n, char **words) { return all[n](n); }")
        (folder / "source.c").write_text("\n".join(source))
        command = ["gcc", "-O1", "-s", *flags, "-o", str(folder / "program"), str(folder / "source.c")]
        subprocess.run(command, check=True)
        found.append((folder / "program").read_bytes())
    return found[0], found[1]
