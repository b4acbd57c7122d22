"""What the fuzzer calls, and what replays kept inputs: hostile bytes end in an error of ours, or in none."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import deflated, programs, uncompiled
from tests.support.jars import jar
from tests.support.jars import text as jars_text
from wrapper.archive.documents import read_contents
from wrapper.archive.reader import Archive
from wrapper.archive.summary import describe
from wrapper.delta import format1, models, openings, patch, recipe, zstd_recipe
from wrapper.delta.change import MAGIC as CHANGE_MAGIC
from wrapper.delta.change import open_change
from wrapper.delta.format1 import MAGIC, decode, parse_layer
from wrapper.delta.malformed import MalformedError
from wrapper.delta.packing import zstd
from wrapper.delta.varint import encode
from wrapper.errors import IncrementalError
from wrapper.oci.image import resolve_image
from wrapper.oci.layout import Layout
from wrapper.oci.manifest import Index, build_layers_dictionary, digest_of, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from wrapper.oci.manifest import Descriptor

CORPUS = Path(__file__).parent / "corpus"

SEPARATOR = b"\n--\n"
_MENTION = re.compile(rb"@(digest|size)([0-9])@")


def manifest(data: bytes) -> None:
    """Read a manifest or list, and all that its parts say; a list finds itself wherever it points."""
    try:
        root = parse_manifest(data)
        assert root.digest == digest_of(data)
        for layer in build_layers_dictionary(root).values():
            assert layer.size >= 0

        def load(children: Sequence[Descriptor]) -> list[bytes | None]:
            return [
                data if isinstance(root.parsed, Index) and child.size == len(data) else None for child in children
            ]

        image = resolve_image(root, load)
        assert image.blob_sizes(()).keys() >= {root.digest}
    except IncrementalError:
        pass


def archive(data: bytes) -> None:
    """Read an archive with everything in it; nothing may appear outside of the folder that it is unpacked to."""
    try:
        with Archive.open(io.BytesIO(_tar(data[1:]) if data[:1] == b"+" else data)) as found:
            contents = read_contents(found)
            described = describe(contents, found.read_blob)
            found.verify()
            with tempfile.TemporaryDirectory() as folder:
                inside = Layout(Path(folder, "inside"))
                layers = [layer for layer in described.layers if layer.where == "inside"]
                inside.add([], {layer.digest: layer.size for layer in layers}, found.open_blob)
                assert all(digest_of(inside.read(layer.digest)) == layer.digest for layer in layers)
                assert [path.name for path in Path(folder).iterdir()] == ["inside"]
    except IncrementalError:
        pass


def _tar(data: bytes) -> bytes:
    """Make an archive of `index.json` and blobs under their true names.

    Each may mention digest and size of a later one: no fuzzer would ever guess a digest.
    """
    parts = data.split(SEPARATOR)[:10]
    for position in reversed(range(len(parts))):

        def mentioned(found: re.Match[bytes], position: int = position) -> bytes:
            other = int(found[2])
            if not position < other < len(parts):
                return found[0]
            return digest_of(parts[other]).encode() if found[1] == b"digest" else str(len(parts[other])).encode()

        parts[position] = _MENTION.sub(mentioned, parts[position])
    members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": parts[0]}
    members |= {"blobs/sha256/" + digest_of(part).removeprefix("sha256:"): part for part in parts[1:]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, part in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(part)
            tar.addfile(member, io.BytesIO(part))
    return out.getvalue()


UNCOMPILED: ModuleType = uncompiled.load("format1")
"""`wrapper.delta.format1`, not compiled: the other one has to do the same."""

OLD = gzip.compress(b"an old layer " * 20, mtime=0)
_BOUND = 1 << 16


def layer(data: bytes) -> None:
    """Parse a layer and serialize it again, and parts; decode a delta. Compiled or not, the outcome is one."""

    def outcome(module: ModuleType, call: str, *arguments: object) -> object:
        try:
            return getattr(module, call)(*arguments)
        except module.MalformedError as error:
            return str(error)

    parts = outcome(format1, "parse", data)
    assert parts == outcome(UNCOMPILED, "parse", data)
    if isinstance(parts, tuple):
        assert format1.serialize(*parts, len(data)) == data
    several = ([*data.split(SEPARATOR), b"", b"", b""])[:4]
    assert outcome(format1, "serialize", *several, _BOUND) == outcome(UNCOMPILED, "serialize", *several, _BOUND)
    old = parse_layer(OLD)
    assert old
    for size in (len(data), 300):
        try:
            assert len(decode(MAGIC + data, [old], size, _BOUND)) == size
        except IncrementalError:
            continue


PLAIN = uncompiled.load("recipe")
"""`wrapper.delta.recipe`, with all that it needs, not compiled."""

PLAIN_OPENINGS = uncompiled.load("openings")
PLAIN_PATCH = uncompiled.load("patch")
PLAIN_ZSTD = uncompiled.load("zstd_recipe")
"""`wrapper.delta.openings`, `wrapper.delta.patch` and `wrapper.delta.zstd_recipe` likewise."""

_MODELS = [(1, 0, 0, 0, 0, 0), (2, 0, 6, 8, 0, 0), (2, 0, 1, 9, 1 << 14, 1 << 15), (3, 0, 6, 0, 0, 0)]
_MODELS += [(4, 0, 1, 0, 0, 0), (4, 0, 6, 0, 0, 0), (5, 4, 5, 0, 1 << 14, 1 << 14), (5, 1, 6, 0, 0, 0)]


def gzip_recipe(data: bytes) -> None:
    """Make the recipe of a stream, and the stream again; follow a recipe. Compiled or not, the outcome is one."""
    numbers = _MODELS[data[0] % len(_MODELS)] if data else _MODELS[0]
    data = data[1:]

    def made(module: Any) -> object:
        try:
            found = module.analyse(io.BytesIO(data).read, names=[module.models.Name(*numbers)])
        except MalformedError as error:
            return str(error)
        return found.recipe, found.corrections

    def followed(module: Any, content: bytes, text: bytes, size: int) -> object:
        written = b""
        try:
            for piece in module.rebuild([content], text, size):
                written += piece
        except MalformedError as error:
            written = str(error).encode()
        assert len(written) <= max(size, 100)
        return written

    outcome = made(recipe)
    assert outcome == made(PLAIN)
    if isinstance(outcome, tuple):
        content: list[bytes] = []
        recipe.analyse(io.BytesIO(data).read, content.append, names=[models.Name(*numbers)])
        assert followed(recipe, b"".join(content), outcome[0], len(data)) == data
    parts = ([*data.split(SEPARATOR), *[b""] * 8])[:8]
    text = deflated.recipe(models.Name(*numbers), len(parts[0]), 1 << 22, parts[1:7])
    assert followed(recipe, parts[0], text, 5_000) == followed(PLAIN, parts[0], text, 5_000)

    def closed(*modules: Any) -> object:
        opening, patches, recipes = modules
        written = b""
        try:
            numbers = patches.Source(iter([parts[7], b""]).__next__)
            for piece in opening.close_content([parts[0]], numbers, [recipes.Recipe(text)], 5_000):
                written += piece
        except MalformedError as error:
            written = str(error).encode()
        return written

    assert closed(openings, patch, recipe) == closed(PLAIN_OPENINGS, PLAIN_PATCH, PLAIN)


_LINKED = programs.link(programs.X86_64, {"a": 1, "b": 2, "c": 3}, pointers=9).data
OLD_CONTENT = bytes(range(256)) * 8 + _LINKED
OLD_JAR = jar({name: jars_text(number, 300) for number, name in enumerate("ab")})
"""An older content that is taken where a change says its length."""

_CONTENT = 5_000


class _Content:
    """`OLD_CONTENT`, as `patch.Contents` gives content of files."""

    length = len(OLD_CONTENT)

    def read_into(self, place: int, view: memoryview) -> None:
        assert 0 <= place <= self.length - len(view)
        view[:] = OLD_CONTENT[place : place + len(view)]

    def read(self, place: int, count: int) -> bytes:
        assert 0 <= place <= self.length - count
        return OLD_CONTENT[place : place + count]


def layer_change(data: bytes) -> None:
    """Apply a change, and a patch's streams. Compiled or not, the outcome is one."""
    try:
        found = open_change(lambda place, count: (CHANGE_MAGIC + data)[place : place + count], len(data) + 8)
        with tempfile.TemporaryDirectory() as folder:
            for content in (OLD_CONTENT, OLD_JAR):
                Path(folder, str(len(content))).write_bytes(content)
            olds = [
                Path(folder, str(len(OLD_JAR if size == len(OLD_JAR) else OLD_CONTENT))) for size in found.old_sizes
            ]
            written = 0
            for piece in found.apply(olds):
                written += len(piece)
                assert written <= found.size
                if written > _BOUND:
                    break
    except MalformedError:
        pass

    def made(module: Any, streams: list[bytes]) -> object:
        reads = [iter([stream[:3], stream[3:]] if len(stream) > 3 else [stream]) for stream in streams]
        written = b""
        try:
            for piece in module.apply([partial(next, read, b"") for read in reads], _Content(), _CONTENT):
                written += piece
        except MalformedError as error:
            return str(error)
        assert len(written) == _CONTENT
        return written

    for several in (7, 8, 9):
        streams = ([*data.split(SEPARATOR), *[b""] * several])[:several]
        # Bytes that are nowhere else need not be found by the fuzzer.
        streams[patch.EXTRA] *= 100
        assert made(patch, streams) == made(PLAIN_PATCH, streams)


def zstd_layer(data: bytes) -> None:
    """Make the recipe of a stream, and the stream again; follow a recipe. Compiled or not, the outcome is one."""
    content = _inflated(data)

    def made(module: Any) -> object:
        try:
            return module.analyse(io.BytesIO(data).read, io.BytesIO(content).read, 1 << 20).recipe
        except MalformedError as error:
            return str(error)

    def followed(module: Any, content: bytes, text: bytes, size: int) -> object:
        written = b""
        try:
            found = module.ZstdRecipe(lambda place, count: text[place : place + count])
            for piece in found.rebuild([content], size):
                written += piece
        except MalformedError as error:
            return str(error)
        assert len(written) == size
        return written

    outcome = made(zstd_recipe)
    assert outcome == made(PLAIN_ZSTD)
    if isinstance(outcome, bytes):
        assert followed(zstd_recipe, content, outcome, len(data)) == data
    first, *streams = [*data.split(SEPARATOR), *[b""] * 8][:8]
    streams = [recipes_stream(stream) for stream in streams]
    sizes = [number for length, packed in streams for number in (length, len(packed))]
    text = b"".join(map(encode, [1, 1, len(first), *sizes])) + b"".join(packed for _, packed in streams)
    for size in (len(data), 300):
        assert followed(zstd_recipe, first, text, size) == followed(PLAIN_ZSTD, first, text, size)


def recipes_stream(data: bytes) -> tuple[int, bytes]:
    """Return how long a recipe's stream is, and the stream, compressed."""
    if not data:
        return 0, b""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}]
    return len(data), lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


def _inflated(data: bytes) -> bytes:
    """Return the content of a stream, as far as it has one, and it is not long."""
    content = b""
    try:
        while data and len(content) < _CONTENT:
            frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 20})
            content += frame.decompress(data, _CONTENT)
            data = frame.unused_data if frame.eof else b""
    except zstd.ZstdError:
        pass
    return content


READERS: dict[str, Callable[[bytes], None]] = {
    "archive": archive,
    "change": layer_change,
    "layer": layer,
    "manifest": manifest,
    "recipe": gzip_recipe,
    "zstd": zstd_layer,
}
