"""Make the golden vectors anew: `python -m tests.support.make_vectors FOLDER [NAME...]`.

FOLDER holds compressors that read standard input and write standard output; those that are not there are looked for
on the path. What one of them that is nowhere wrote before stays in the manifest, and so does what a model no longer
predicts. Only names that begin with one of those given are made.
"""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.vectors import ZSTD, Vector, content, frames, load, save, sha256
from wrapper.delta import models
from wrapper.delta.models import Name
from wrapper.delta.recipe import analyse, rebuild
from wrapper.delta.zstd_recipe import ZstdRecipe
from wrapper.delta.zstd_recipe import analyse as analyse_zstd

# Its zstd at level 3 decides alike in all of these.
ZSTD_VERSIONS = ("1.15.12", "1.19.1")

Compress = Callable[[bytes], bytes]

PGZIP, UMOCI, TAIL = 1 << 20, 1 << 18, 1 << 14
PIGZ, WINDOW = 1 << 17, 1 << 15

# klauspost/compress: at least the first and the last version of each generation.
KLAUSPOST = {
    "1.10.9": 1,
    "1.11.3": 1,
    "1.12.1": 1,
    "1.12.2": 2,
    "1.14.4": 2,
    "1.15.0": 3,
    "1.15.9": 3,
    "1.15.10": 4,
    "1.15.12": 4,
    "1.18.7": 4,
    "1.19.1": 4,
}


def recipes(folder: Path) -> Iterator[tuple[str, str, Name, tuple[str, ...], Compress]]:
    """Yield all streams: name, compressor, model, contents, and what compresses."""
    usual = ("few", "short", "mixed", "edges")
    for level in range(1, 10):
        for memory in (8, 9):
            name = f"zlib-{level}-{memory}"
            yield (
                name,
                f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
                Name(models.ZLIB, 0, level, memory),
                usual,
                _zlib(level, memory),
            )
        gnu = _command(folder, "gzip", f"-{level}nc")
        yield f"gnu-{level}", "GNU gzip 1.12", Name(models.GNU, 0, level), usual, gnu
        go = _command(folder, "gogzip-1.19", str(level))
        yield f"go-{level}", "Go 1.19.8 compress/gzip", Name(models.GO, 0, level), usual, go
    for level in (1, 6, 9):
        pigz = _command(folder, "pigz", f"-{level}nc", "-p", "2")
        yield f"pigz-{level}", "pigz 2.6", Name(models.ZLIB, 0, level, 8, PIGZ, WINDOW), ("mixed",), pigz
    for level in (1, 5, 6):
        next_go = _command(folder, "gogzip-1.27", str(level))
        yield f"go127-{level}", "Go 1.27.3 compress/gzip", Name(models.GO_NEXT, 127, level), usual, next_go
    for version, generation in KLAUSPOST.items():
        tool = f"klauspost-{version}"
        says = f"klauspost/compress {version}"
        for level in (1, 5, 6):
            name = Name(models.KLAUSPOST, generation, level)
            if not models.is_known(name) or (level == 1 and version == "1.15.10"):
                continue
            yield (
                f"{tool}-{level}",
                says,
                name,
                ("short", "mixed", "edges"),
                _command(folder, tool, "gzip", str(level)),
            )
        for level, segment, contents in ((5, PGZIP, ("few", "long")), (6, PGZIP, ("long",)), (5, UMOCI, ("long",))):
            name = Name(models.KLAUSPOST, generation, level, 0, segment, TAIL)
            command = _command(folder, tool, "pgzip", str(level), str(segment))
            yield f"{tool}-pgzip-{level}-{segment}", f"pgzip 1.2.6 with {says}", name, contents, command


def _zlib(level: int, memory: int) -> Compress:
    def compress(data: bytes) -> bytes:
        compressor = zlib.compressobj(level, zlib.DEFLATED, 31, memory)
        return compressor.compress(data) + compressor.flush()

    return compress


def _command(folder: Path, tool: str, *arguments: str) -> Compress:
    def compress(data: bytes) -> bytes:
        found = shutil.which(tool, path=str(folder)) or shutil.which(tool)
        if found is None:
            raise FileNotFoundError(tool)
        return subprocess.run([found, *arguments], input=data, capture_output=True, check=True).stdout

    return compress


def main(folder: Path, only: tuple[str, ...]) -> int:
    wrong = 0
    made = {vector.name: vector for vector in load()}
    for name, compressor, model, contents, compress in recipes(folder):
        for what in contents:
            full = f"{name}-{what}"
            if only and not full.startswith(only):
                continue
            data = content(what)
            try:
                stream = compress(data)
            except FileNotFoundError as error:
                sys.stderr.write(f"{full}: no {error}\n")
                continue
            found = analyse(io.BytesIO(stream).read, names=[model])
            again = b"".join(rebuild([data], found.recipe, len(stream)))
            if found.corrections or found.verbatim_headers or again != stream:
                sys.stderr.write(
                    f"{full}: {found.corrections} corrections, {found.verbatim_headers} headers of {found.blocks}\n"
                )
                wrong += 1
                continue
            numbers = (
                model.family,
                model.generation,
                model.level,
                model.memory_level,
                model.segment,
                model.dictionary,
            )
            recipe = base64.b64encode(found.recipe).decode("ascii")
            vector = Vector(full, compressor, numbers, what, sha256(data), len(stream), sha256(stream), recipe)
            made[full] = vector
    save(list(made.values()))
    return 1 if wrong else 0


def main_zstd(folder: Path, only: tuple[str, ...]) -> int:
    """Make those of zstd."""
    wrong = 0
    made = {vector.name: vector for vector in load(ZSTD)}
    for version in ZSTD_VERSIONS:
        compress = _command(folder, f"klauspost-{version}", "zstd", "3")
        for what in ("few", "short", "mixed", "edges", "long", "wide", "frames"):
            full = f"klauspost-{version}-zstd-3-{what}"
            if only and not full.startswith(only):
                continue
            data = content(what)
            try:
                stream = b"".join(map(compress, frames() if what == "frames" else [data]))
            except FileNotFoundError as error:
                sys.stderr.write(f"{full}: no {error}\n")
                continue
            found = analyse_zstd(io.BytesIO(stream).read, io.BytesIO(data).read, 1 << 24)
            packed = found.recipe
            whole = ZstdRecipe(lambda place, count, packed=packed: packed[place : place + count])
            if found.corrections or b"".join(whole.rebuild([data], len(stream))) != stream:
                sys.stderr.write(f"{full}: {found.corrections} corrections\n")
                wrong += 1
                continue
            text = base64.b64encode(packed).decode("ascii")
            says = f"klauspost/compress {version} zstd"
            made[full] = Vector(full, says, (), what, sha256(data), len(stream), sha256(stream), text)
    save(list(made.values()), ZSTD)
    return 1 if wrong else 0


if __name__ == "__main__":
    wanted = Path(sys.argv[1]), tuple(sys.argv[2:])
    sys.exit(main(*wanted) | main_zstd(*wanted))
