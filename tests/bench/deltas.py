"""How small real changes of layers become, and how long that takes, beside zstd's patches."""

from __future__ import annotations

import gzip
import io
import resource
import subprocess
import sys
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING

from wrapper.delta.codec import decode, encode, parse_layer, zstd
from wrapper.delta.options import LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIRS = {"numpy": ("1.26.3", "1.26.4"), "pandas": ("2.2.2", "2.2.3")}
GO = """package main
import ("compress/gzip"; "io"; "os")
func main() { w := gzip.NewWriter(os.Stdout); io.Copy(w, os.Stdin); w.Close() }
"""


def layer(name: str, version: str, folder: Path) -> bytes:
    """Return a reproducible tar of a wheel's files."""
    wanted = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux2014_x86_64"]
    pip = (sys.executable, "-m", "pip", "--quiet", "download", *wanted, "--dest", str(folder), f"{name}=={version}")
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob(f"{name}-{version}-*.whl")
    out = io.BytesIO()
    with zipfile.ZipFile(wheel) as files, tarfile.open(fileobj=out, mode="w") as tar:
        for each in sorted(files.namelist()):
            if not each.endswith("/"):
                member = tarfile.TarInfo(f"usr/lib/python3/dist-packages/{each}")
                data = files.read(each)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def piped(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def compressors(folder: Path) -> dict[str, Callable[[bytes], bytes]]:
    """Return those that this machine has."""
    found: dict[str, Callable[[bytes], bytes]] = {
        "zlib 6": lambda data: gzip.compress(data, 6, mtime=0),
        "pigz": piped("pigz", "-c", "-n"),
        "GNU gzip -9": piped("gzip", "-9", "-n", "-c"),
    }
    try:
        (folder / "main.go").write_text(GO)
        build = ["go", "build", "-o", str(folder / "gogzip"), str(folder / "main.go")]
        subprocess.run(build, check=True, capture_output=True)
        found["Go compress/gzip"] = piped(str(folder / "gogzip"))
    except (OSError, subprocess.CalledProcessError):
        sys.stderr.write("no Go here: its compressor is left out\n")
    return found


def patch(new: bytes, old: bytes) -> int:
    """Return how long zstd's own patch is, at the highest level that is bearable."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: 19,
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    return len(zstd.compress(new, options=options, zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix))


def compare(folder: Path, levels: list[int]) -> str:
    """Measure all pairs with all compressors."""
    head = f"{'layer':<8}{'compressor':<18}{'level':>5}{'bytes':>12}{'delta':>11}{'share':>8}"
    lines = [head + f"{'parse':>10}{'make':>9}{'apply':>9}{'zstd on gzip':>14}{'on raw tars':>13}"]
    for name, versions in PAIRS.items():
        old, new = (layer(name, version, folder) for version in versions)
        raw = patch(new, old)
        for compressor, compress in compressors(folder).items():
            before, after = compress(old), compress(new)
            begun = time.perf_counter()
            parts = [parse_layer(each) for each in (before, after)]
            parsed = time.perf_counter() - begun
            assert parts[0]
            assert parts[1]
            gzipped = patch(after, before)
            for level in levels:
                begun = time.perf_counter()
                delta = encode(parts[1], [parts[0]], level)
                made = time.perf_counter() - begun
                begun = time.perf_counter()
                assert decode(delta, [parts[0]], len(after), 1 << 30) == after
                applied = time.perf_counter() - begun
                rate = (len(before) + len(after)) / parsed / 1e6
                lines.append(
                    f"{name:<8}{compressor:<18}{level:>5}{len(after):>12}{len(delta):>11}"
                    f"{100 * len(delta) / len(after):>6.1f} %{rate:>5.0f} MB/s{made:>7.1f} s{applied:>7.2f} s"
                    f"{gzipped:>14}{raw:>13}"
                )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return "\n".join([*lines, f"memory at most: {memory} MiB; the default level is {LEVEL}"])
