"""A layer comes back from its change; hostile changes end in an error, soon."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import subprocess
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wrapper.delta import change
from wrapper.delta.change import Change, open_change
from wrapper.delta.expand import expand
from wrapper.delta.make import Made, make_change
from wrapper.delta.malformed import MalformedError, TooLongError
from wrapper.delta.options import EFFORTS
from wrapper.delta.varint import encode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MEMORY = 256 << 20


def tar(members: dict[str, bytes], mtime: int = 0) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = mtime
            file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def make(folder: Path, layer: bytes, olds: Sequence[bytes] = (), effort: str = "default") -> tuple[Made, bytes]:
    (folder / "layer").write_bytes(layer)
    paths = []
    for number, old in enumerate(olds):
        paths.append(folder / f"old{number}")
        paths[-1].write_bytes(old)
    before = {path.name for path in folder.iterdir()}
    made = make_change(folder / "layer", paths, folder / "change", effort, MEMORY, folder)
    assert {path.name for path in folder.iterdir()} - before <= {"change"}
    data = b"" if made.reason else (folder / "change").read_bytes()
    assert made.size == len(data)
    return made, data


def opened(data: bytes) -> Change:
    return open_change(lambda place, count: data[place : place + count], len(data))


def apply(folder: Path, data: bytes, used: Sequence[int]) -> bytes:
    return b"".join(opened(data).apply([folder / f"old{number}" for number in used]))


OLD = {"usr/a": noise(1, 50_000), "usr/b": noise(2, 20_000), "usr/c": b"text " * 1000, "etc/d": b"d"}
NEW = {"usr/a": OLD["usr/a"][:30_000] + b"!" + OLD["usr/a"][30_000:], "usr/new": OLD["usr/b"], "etc/d": b"dd"}


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_layers_come_back(tmp_path: Path, effort: str, compress: object) -> None:
    content = tar(NEW, 5)
    layer = compress(content)  # type: ignore[operator]
    made, data = make(tmp_path, layer, [tar(OLD)], effort)
    assert made.content == len(content)
    assert made.used == (0,)
    assert made.size < 1500
    assert made.model.startswith("plain" if compress is bytes else "zlib 9")
    assert made.corrections == 0
    assert apply(tmp_path, data, made.used) == layer
    found = opened(data)
    assert (found.size, found.content_size, found.old_sizes) == (len(layer), len(content), (len(tar(OLD)),))
    assert b"".join(found.apply_content([tmp_path / "old0"])) == content


@pytest.mark.parametrize("effort", EFFORTS)
def test_first_deliveries_are_repacked(tmp_path: Path, effort: str) -> None:
    content = tar(
        {str(number): b"".join(b"%d " % (place * number) for place in range(2000)) for number in range(40)}
    )
    layer = zlib.compress(content, 1, 31)
    made, data = make(tmp_path, layer, [], effort)
    assert made.used == ()
    assert made.size < len(layer) * 0.8
    assert apply(tmp_path, data, ()) == layer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_any_layer_comes_back_from_any_content(tmp_path: Path, data: st.DataObject) -> None:
    pieces = [noise(seed, 3000) for seed in range(4)]

    def content() -> bytes:
        return b"".join(data.draw(st.lists(st.sampled_from(pieces) | st.binary(max_size=30), max_size=8)))

    # Hypothesis knows what zstd frames begin with.
    layer = b"plain" + content()
    if data.draw(st.booleans()):
        layer = gzip.compress(layer, data.draw(st.integers(0, 9)))
    olds = [content() for _ in range(data.draw(st.integers(0, 3)))]
    made, text = make(tmp_path, layer, olds, data.draw(st.sampled_from(EFFORTS)))
    assert not made.reason
    assert apply(tmp_path, text, made.used) == layer


def test_useless_contents_are_left_out(tmp_path: Path) -> None:
    olds = [tar({"x": noise(9, 9000)}), tar({"usr/a": OLD["usr/a"]}), b"", tar({"moved": OLD["usr/b"]})]
    made, data = make(tmp_path, tar(NEW), olds)
    assert made.used == (1, 3)
    assert made.size < 1500
    assert apply(tmp_path, data, made.used) == tar(NEW)
    for used in ((0, 1), (1,), (), (1, 3, 3)):
        with pytest.raises(MalformedError, match="older contents"):
            apply(tmp_path, data, used)


def test_other_contents_make_another_layer(tmp_path: Path) -> None:
    made, data = make(tmp_path, gzip.compress(tar(NEW)), [tar(OLD)])
    (tmp_path / "old0").write_bytes(bytes(len(tar(OLD))))
    with contextlib.suppress(MalformedError):
        assert apply(tmp_path, data, made.used) != gzip.compress(tar(NEW))


def test_what_has_no_change(tmp_path: Path) -> None:
    assert "not zstd" in make(tmp_path, zstd.compress(tar(NEW))[:-9] + b"and others")[0].reason
    assert "not understood" in make(tmp_path, gzip.compress(tar(NEW))[:-9])[0].reason
    assert "not understood" in make(tmp_path, b"\x1f\x8bxxxxxx")[0].reason


def test_long_layers_are_analysed_beside(tmp_path: Path) -> None:
    content = tar({"noise": noise(1, 1_500_000), "text": b"text " * 100_000})
    layer = zlib.compress(content, 6, 31) + bytes(100)
    made, data = make(tmp_path, layer, [content])
    assert made.size < 500
    assert apply(tmp_path, data, made.used) == layer


def numbers(*values: int) -> bytes:
    return change.MAGIC + b"".join(map(encode, values))


class TestHostileHeaders:
    PLAIN = (0, 3, 3, 0, 0, 1, 1, 0, 12, 3, 3)

    def test_what_is_right(self, tmp_path: Path) -> None:
        assert apply(tmp_path, numbers(*self.PLAIN) + b"abc", ()) == b"abc"
        assert apply(tmp_path, numbers(0, 0, 0, 0, 0, 1, 0), ()) == b""

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (0, 2),
            (0, 1 << 60),
            (1, 4),
            (2, 4),
            (2, 1 << 43),
            (3, 1025),
            (3, 1),
            (4, 1),
            (4, 1 << 50),
            (5, 0),
            (5, 2),
            (5, 8),
            (5, 10),
            (6, 0),
            (6, 2),
            (6, 4097),
            (7, 3),
            (8, 27),
            (8, 11),
            (9, 2),
            (9, 4),
            (10, 2),
            (10, 0),
            (10, 4),
        ],
    )
    def test_numbers(self, place: int, value: int) -> None:
        header = [*self.PLAIN]
        header[place] = value
        with pytest.raises(MalformedError):
            opened(numbers(*header) + b"abc")

    @pytest.mark.parametrize("data", [b"", b"LAYDELT", b"LAYDELT1xxx", change.MAGIC, change.MAGIC + b"\xff" * 20])
    def test_none(self, data: bytes) -> None:
        with pytest.raises(MalformedError):
            opened(data)

    @pytest.mark.parametrize("number", range(9))
    def test_streams_longer_than_they_can_be(self, number: int) -> None:
        streams = [(0,)] * 9
        right = numbers(0, 100, 100, 0, 0, 9, *(value for stream in streams for value in stream))
        opened(right)
        streams[number] = (1, 1, 20, 1 << 30, 5)  # type: ignore[call-overload]
        with pytest.raises(MalformedError):
            opened(numbers(0, 100, 100, 0, 0, 9, *(value for stream in streams for value in stream)) + b"12345")

    def test_small_streams_have_small_windows(self) -> None:
        for number in range(9):
            streams = [(0,)] * 9
            streams[number] = (1, 1, 24, 10, 5)  # type: ignore[call-overload]
            data = numbers(0, 100, 100, 0, 0, 9, *(value for stream in streams for value in stream)) + b"12345"
            if number == 5:
                opened(data)
            else:
                with pytest.raises(MalformedError):
                    opened(data)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    folder = tmp_path_factory.mktemp("example")
    layer = gzip.compress(tar(NEW))
    return folder, layer, make(folder, layer, [tar(OLD)])[1]


@settings(max_examples=80)
@given(data=st.data())
def test_damaged_changes(example: tuple[Path, bytes, bytes], data: st.DataObject) -> None:
    folder, layer, text = example
    damaged = bytearray(text)
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
    with contextlib.suppress(MalformedError):
        assert len(apply(folder, bytes(damaged[:cut]), (0,))) == len(layer)


CONTENT = noise(1, 3_000_000) + bytes(5_000_000)


class TestExpand:
    @pytest.mark.parametrize(
        "layer",
        [
            CONTENT,
            gzip.compress(CONTENT),
            gzip.compress(CONTENT[:2000]) + gzip.compress(b"") + gzip.compress(CONTENT[2000:]) + bytes(2000),
            b"".join(gzip.compress(CONTENT[place : place + 40_000]) for place in range(0, len(CONTENT), 40_000)),
            zstd.compress(CONTENT),
            zstd.compress(CONTENT[:2000]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd.compress(CONTENT[2000:]),
        ],
        ids=["plain", "gzip", "members", "many", "zstd", "frames"],
    )
    def test_content(self, tmp_path: Path, layer: bytes) -> None:
        out = tmp_path / "out"
        assert expand(io.BytesIO(layer), out, len(CONTENT)) == len(CONTENT)
        assert out.read_bytes() == CONTENT
        with pytest.raises(TooLongError):
            expand(io.BytesIO(layer), out, len(CONTENT) - 1)
        assert out.stat().st_size <= len(CONTENT)

    @pytest.mark.parametrize(
        "layer",
        [
            gzip.compress(CONTENT)[:-1],
            gzip.compress(CONTENT)[:5],
            gzip.compress(b"x")[:-8] + b"wrong123",
            gzip.compress(b"x") + b"\x1f\x8b",
            zstd.compress(CONTENT)[:-1],
            zstd.compress(CONTENT)[:5],
            zstd.compress(CONTENT) + b"rest",
        ],
        ids=["cut", "header cut", "wrong sum", "second cut", "zstd cut", "zstd header cut", "zstd rest"],
    )
    def test_malformed(self, tmp_path: Path, layer: bytes) -> None:
        with pytest.raises(MalformedError):
            expand(io.BytesIO(layer), tmp_path / "out", 1 << 30)

    def test_nothing(self, tmp_path: Path) -> None:
        assert expand(io.BytesIO(b""), tmp_path / "out", 0) == 0
        assert expand(io.BytesIO(gzip.compress(b"")), tmp_path / "out", 0) == 0


_RECEIVER = """
import os, sys
from pathlib import Path
from wrapper.delta.change import open_change
file = os.open(sys.argv[1], os.O_RDONLY)
change = open_change(lambda place, count: os.pread(file, count, place), os.stat(file).st_size)
for piece in change.apply([Path(path) for path in sys.argv[2:]]):
    pass
print([int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def test_memory_of_the_receiver(tmp_path: Path) -> None:
    """Long streams of all kinds."""
    old = noise(1, 5_000_000)
    changed = bytearray(old)
    for place in range(0, len(old) - 40, 37):
        changed[place] ^= place % 251 + 1
    content = bytes(changed) + noise(2, 9_000_000)
    made, _ = make(tmp_path, zlib.compress(content, 1, 31), [old], "fast")
    paths = [str(tmp_path / "change"), *(str(tmp_path / f"old{number}") for number in made.used)]
    ran = subprocess.run([sys.executable, "-c", _RECEIVER, *paths], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 256 << 20
    assert (tmp_path / "change").stat().st_size == made.size
