"""What the documents promise of memory, measured: making changes and applying them keeps to `--delta-memory`."""

from __future__ import annotations

import io
import random
import re
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.changes import change, change_1, name_of, write_changes
from tests.support.images import digest_of, fresh, put_image
from tests.support.streams import bomb, spelled
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Ran, refused
from wrapper.delta.format1 import MAGIC, zstd

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.tool import Tool

MIB = 1 << 20
_MEASURED = """
import os, re, runpy, sys
end = os._exit

def tell_and_end(code):
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print("peak", peak, "kB", file=sys.stderr, flush=True)
    end(code)

os._exit = tell_and_end
runpy.run_module("wrapper", run_name="__main__", alter_sys=True)
"""
# What the command takes without any change, and what an allocator leaves unused.
OWN = 55 * MIB


def measured(tool: Tool, *arguments: str | Path) -> tuple[Ran, int]:
    """Run the command in a process of its own, and return the most memory that it ever had, in bytes."""
    ran = subprocess.run(
        [sys.executable, "-c", _MEASURED, *map(str, arguments)],
        capture_output=True,
        env=tool.environment | {"PYTHONPATH": str(ROOT)},
        cwd=tool.home,
        timeout=600,
        check=False,
    )
    stderr = ran.stderr.decode()
    assert "Traceback" not in stderr, stderr
    peak = re.search(r"^peak (\d+) kB", stderr, re.MULTILINE)
    assert peak, stderr
    return Ran(ran.returncode, ran.stdout, stderr), int(peak[1]) * 1024


def delta(size: int, *frames: bytes, lengths: tuple[int, ...] = (0, 0, 0, 0), raw: bool = False) -> bytes:
    """A delta whose header promises streams of such lengths."""
    header = b"".join(
        length.to_bytes(8, "little") + len(frame).to_bytes(8, "little")
        for length, frame in zip(lengths, frames, strict=True)
    )
    return (MAGIC + (b"\0" if raw else b"\1") + header + b"".join(frames)).ljust(size, b"\0")


EMPTY = zstd.compress(b"")
OLD = bomb(100_000)


def windowed(data: bytes) -> bytes:
    """A frame that wants a window of 2 GiB, and does not say how long its content is."""
    options = {zstd.CompressionParameter.window_log: 31, zstd.CompressionParameter.compression_level: 1}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(data) + compressor.flush()


ZEROS = zstd.compress(bytes(100 * MIB))
HOSTILE: dict[str, tuple[int, bytes, bytes, int, str]] = {
    "a change longer than its layer": (1000, OLD, bytes(300 * MIB), 4, "longer than the layer"),
    "a long change": (301 * MIB, OLD, bytes(300 * MIB), 6, "--delta-memory"),
    "an old layer that expands": (
        MIB,
        bomb(9 * MIB),
        delta(100, EMPTY, EMPTY, EMPTY, EMPTY),
        6,
        "--delta-memory",
    ),
    "a part that expands": (
        9 * MIB,
        OLD,
        delta(100, EMPTY, EMPTY, EMPTY, ZEROS, lengths=(0, 0, 0, 100 * MIB)),
        6,
        "--delta-memory",
    ),
    "a part that is longer than it says": (
        9 * MIB,
        OLD,
        delta(0, EMPTY, EMPTY, EMPTY, ZEROS, lengths=(0, 0, 0, 1000)),
        4,
        "malformed",
    ),
    "a window": (
        9 * MIB,
        OLD,
        delta(0, EMPTY, EMPTY, EMPTY, windowed(bytes(20 * MIB)), lengths=(0, 0, 0, 20 * MIB)),
        4,
        "window",
    ),
}


@pytest.mark.parametrize("inside", [True, False], ids=["old layer in the archive", "old layer at the destination"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_changes_of_format_1_keep_to_the_bound(
    tool: Tool, customer: Registry, kind: str, inside: bool
) -> None:
    size, old, blob, code, words = HOSTILE[kind]
    at = fresh()
    image = put_image(customer, at, "0", [old], config=b"{}")
    changes = [
        change_1(name_of("new"), {digest_of(old): len(old)}, size=size, blob=blob, manifests=[image.digest]),
    ]
    write_changes(tool.home / "a.tar", changes, blob, *([old] if inside else []))
    watch = customer.watch()
    ran, peak = measured(
        tool, "push", "a.tar", f"{customer.host}/{at}:1", "--delta-memory", "64MiB", "--json", *PLAIN_DEST
    )
    refused(ran, code, words)
    assert watch.writes() == []
    assert peak < OWN + 64 * MIB, f"{peak / MIB:.0f} MiB"


def content(seed: object, size: int) -> bytes:
    """A plain tar of so many bytes, more or less, which compresses to some two thirds."""
    rng = random.Random(str(seed))
    pieces = [bytes(rng.choices(b"abcdefghijklmnop", k=24)) for _ in range(4000)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for number in range(8):
            member = tarfile.TarInfo(f"file{number}")
            member.size = size // 8 // 24 * 24
            file.addfile(member, io.BytesIO(b"".join(rng.choices(pieces, k=member.size // 24))))
    return out.getvalue()


def watched(tool: Tool, *arguments: str | Path) -> tuple[Ran, int]:
    """Run the command, and return the most memory that all of its processes ever had together, skopeo apart."""
    with subprocess.Popen(
        [*tool.command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=tool.environment,
        cwd=tool.home,
    ) as process:
        peak = 0
        out: list[bytes] = []
        reader = threading.Thread(target=lambda: out.extend(process.communicate()))
        reader.start()
        while reader.is_alive():
            peak = max(peak, memory_of(process.pid))
            reader.join(0.01)
    return Ran(process.returncode, out[0], out[1].decode()), peak


def memory_of(process: int) -> int:
    """What a process and those that it began have, in bytes; what several share counts once."""
    folder = Path(f"/proc/{process}")
    try:
        if (folder / "comm").read_text().strip() == "skopeo":
            return 0
        rollup = (folder / "smaps_rollup").read_text()
        own = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        children = [child for task in folder.glob("task/*/children") for child in task.read_text().split()]
    except (OSError, StopIteration):
        # It has ended meanwhile.
        return 0
    return own + sum(memory_of(int(child)) for child in children)


RECEIVER = 256 * MIB


@pytest.mark.parametrize(("memory", "effort"), [(512, "fast"), (384, "default")])
def test_what_is_made_and_applied_keeps_to_the_bound(
    tool: Tool, vendor: Registry, customer: Registry, memory: int, effort: str
) -> None:
    """Layers whose contents are larger than what may be taken for each."""
    at = fresh()
    old = content(at, 20 * MIB)
    new = old[: 10 * MIB] + bytes(reversed(old[10 * MIB : 11 * MIB])) + old[11 * MIB :]
    for registry in (vendor, customer):
        put_image(registry, at, "1", [spelled(old, 1)])
    image = put_image(vendor, at, "2", [spelled(new, 1), spelled(content((at, 2), 5 * MIB), 1)])
    host = f"{vendor.host}/{at}"
    wanted = ("--delta", "--delta-effort", effort, "--delta-memory", f"{memory}MiB", "--json", *PLAIN_PULL)
    ran, peak = watched(tool, "pull", f"{host}:2", "--base", f"{host}:1", "-o", "2.tar", *wanted)
    assert ran.code == 0, ran.stderr
    assert ran.json["layers"][0]["travels"] == "change"
    assert peak < memory * MIB, f"{peak / MIB:.0f} MiB"
    ran, peak = watched(tool, "push", "2.tar", f"{customer.host}/{at}:2", "--json", *PLAIN_DEST)
    assert ran.code == 0, ran.stderr
    assert customer.manifest(at, "2") == image.raw
    assert peak < RECEIVER, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize("hostile", ["old", "new"])
def test_layers_that_expand_travel_whole(tool: Tool, vendor: Registry, hostile: str) -> None:
    at = fresh()
    plain, large = spelled(content(at, MIB)), spelled(bytes(1_000 * MIB), 1)
    old, new = (large, plain) if hostile == "old" else (plain, large)
    put_image(vendor, at, "1", [old], config=b"{}")
    put_image(vendor, at, "2", [new], config=b"{}")
    host = f"{vendor.host}/{at}"
    wanted = ("--delta", "--json", *PLAIN_PULL)
    ran, peak = watched(tool, "pull", f"{host}:2", "--base", f"{host}:1", "-o", "2.tar", *wanted)
    assert ran.code == 0, ran.stderr
    # What expands so much is no layer of anybody's.
    assert ran.json["layers"][0]["travels"] == ("repacked" if hostile == "old" else "whole")
    assert peak < 1024 * MIB, f"{peak / MIB:.0f} MiB"


@pytest.mark.parametrize(("told", "code", "words"), [(5000, 4, "longer than"), (10**14, 6, "not enough space")])
def test_an_old_layer_is_not_expanded_beyond_what_was_said(
    tool: Tool, customer: Registry, told: int, code: int, words: str
) -> None:
    """It lies at the destination, and its digest is right."""
    at = fresh()
    old = spelled(bytes(300 * MIB), 1)
    image = put_image(customer, at, "0", [old], config=b"{}")
    changes = [change(name_of("new"), {digest_of(old): len(old)}, content=told, manifests=[image.digest])]
    write_changes(tool.home / "a.tar", changes)
    watch = customer.watch()
    ran, peak = watched(tool, "push", "a.tar", f"{customer.host}/{at}:1", "--json", *PLAIN_DEST)
    refused(ran, code, words)
    assert watch.writes() == []
    assert peak < RECEIVER, f"{peak / MIB:.0f} MiB"
    assert tool.leftovers() == []
