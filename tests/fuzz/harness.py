"""What the fuzzer calls, and what replays kept inputs: hostile bytes end in an error of ours, or in none."""

from __future__ import annotations

import gzip
import importlib.util
import io
import re
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper.archive.documents import read_contents
from wrapper.archive.reader import Archive
from wrapper.archive.summary import describe
from wrapper.delta import deflate
from wrapper.delta.codec import MAGIC, decode, parse_layer
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


def _uncompiled() -> ModuleType:
    spec = importlib.util.spec_from_file_location("uncompiled", Path(deflate.__file__).with_name("deflate.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


UNCOMPILED = _uncompiled()
"""`wrapper.delta.deflate`, not compiled: the other one has to do the same."""

OLD = gzip.compress(b"an old layer " * 20, mtime=0)
_BOUND = 1 << 16


def layer(data: bytes) -> None:
    """Parse a layer and serialize it again, and parts; decode a delta. Compiled or not, the outcome is one."""

    def outcome(module: ModuleType, call: str, *arguments: object) -> object:
        try:
            return getattr(module, call)(*arguments)
        except module.MalformedError as error:
            return str(error)

    parts = outcome(deflate, "parse", data)
    assert parts == outcome(UNCOMPILED, "parse", data)
    if isinstance(parts, tuple):
        assert deflate.serialize(*parts, len(data)) == data
    several = ([*data.split(SEPARATOR), b"", b"", b""])[:4]
    assert outcome(deflate, "serialize", *several, _BOUND) == outcome(UNCOMPILED, "serialize", *several, _BOUND)
    old = parse_layer(OLD)
    assert old
    for size in (len(data), 300):
        try:
            assert len(decode(MAGIC + data, [old], size, _BOUND)) == size
        except IncrementalError:
            continue


READERS: dict[str, Callable[[bytes], None]] = {"archive": archive, "layer": layer, "manifest": manifest}
