"""Archives: packed in one way only, read as hostile."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrapper.archive.reader
import wrapper.oci.layout
from tests.support.builders import LAYOUT, index, list_child, manifest, members, name_of, part, tar
from wrapper.archive.contents import index_annotations, read_contents
from wrapper.archive.reader import Archive
from wrapper.archive.writer import Packing, Plan, pack
from wrapper.errors import ContentError, HostError, IncrementalError, UsageError
from wrapper.host.files import complete_file, is_stream
from wrapper.oci.layout import Layout, entry, index_document
from wrapper.oci.manifest import OCI_MANIFEST, Descriptor, digest_of, parse_manifest

CONFIG, LAYER = b'{"os":"linux","architecture":"amd64"}', b"a layer"
IMAGE = manifest(LAYER, config=CONFIG)
WHOLE = members(CONFIG, LAYER, images=[IMAGE])


def opened(data: bytes) -> Archive:
    return Archive.open(io.BytesIO(data))


def check(data: bytes) -> None:
    """All that vet does without a destination."""
    with opened(data) as archive:
        read_contents(archive)
        archive.verify()


def packed(blobs: dict[str, bytes], order: list[str] | None = None) -> bytes:
    out = io.BytesIO()
    sizes = {digest: len(blobs[digest]) for digest in order or blobs}
    writer = pack(out, b"{}", sizes, lambda digest: io.BytesIO(blobs[digest]))
    assert writer.size == len(out.getvalue())
    return out.getvalue()


def test_the_same_blobs_give_the_same_bytes() -> None:
    blobs = {digest_of(bytes([n])): bytes([n]) for n in range(20)}
    data = packed(blobs)
    assert data == packed(blobs, sorted(blobs, reverse=True))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.getmembers()
    assert [each.name for each in found] == [
        "oci-layout", "index.json", *(f"blobs/sha256/{digest[7:]}" for digest in sorted(blobs))
    ]  # fmt: skip
    for each in found:
        assert (each.uid, each.gid, each.uname, each.gname, each.mtime, each.mode) == (0, 0, "", "", 0, 0o644)
        assert not each.pax_headers


@settings(max_examples=25)
@given(blobs=st.lists(st.binary(max_size=3000), max_size=6))
def test_what_is_packed_is_read(blobs: list[bytes]) -> None:
    data = packed({digest_of(blob): blob for blob in blobs})
    with opened(data) as archive:
        archive.verify()
        assert archive.index == b"{}"
        for blob in blobs:
            assert archive.read_blob(digest_of(blob)) == blob
        # Several may be open at a time.
        readers = [archive.open_blob(digest_of(blob)) for blob in blobs]
        starts = [reader.read(10) for reader in readers]
        assert [start + reader.read() for start, reader in zip(starts, readers, strict=True)] == blobs


@settings(max_examples=25)
@given(blobs=st.lists(st.binary(max_size=3000), max_size=6, unique=True), seed=st.integers())
def test_blobs_may_come_in_any_order(
    blobs: list[bytes], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("blobs")
    by_digest = {digest_of(blob): blob for blob in blobs}
    sizes = {digest: len(blob) for digest, blob in by_digest.items()}
    with (folder / "out.tar").open("w+b") as file, Packing(file, Plan(b"{}", sizes)) as packing:
        for digest in chance.sample(sorted(by_digest), len(by_digest)):
            assert packing.lacks(digest)
            (folder / "blob").write_bytes(by_digest[digest])
            packing.add(digest, folder / "blob")
            assert not packing.lacks(digest)
        written = packing.finish()
    data = (folder / "out.tar").read_bytes()
    assert data == packed(by_digest)
    assert written == (len(data), digest_of(data).removeprefix("sha256:"))


def test_a_packing_wants_every_blob_in_its_length(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"four")
    plan = Plan(b"{}", {"sha256:0": 4, "sha256:1": 5})
    with (tmp_path / "out.tar").open("w+b") as file, Packing(file, plan) as packing:
        packing.add("sha256:0", tmp_path / "blob")
        with pytest.raises(ContentError, match="manifest says 5"):
            packing.add("sha256:1", tmp_path / "blob")
        with pytest.raises(ValueError, match="blobs/sha256/1"):
            packing.finish()


def test_a_packing_copies_where_the_kernel_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blob").write_bytes(b"x" * 3_000_000)
    written = []
    for answer in (None, OSError(errno.EXDEV, "another file system"), 0):
        if answer is not None:
            monkeypatch.setattr(os, "copy_file_range", Mock(side_effect=[answer] * 9))
        plan = Plan(b"{}", {"sha256:0": 3_000_000})
        with (tmp_path / "out.tar").open("w+b") as file, Packing(file, plan) as packing:
            packing.add("sha256:0", tmp_path / "blob")
            written.append(packing.finish())
    assert len(set(written)) == 1


def test_what_is_omitted_is_never_packed() -> None:
    with pytest.raises(ValueError, match="omitted"):
        pack(io.BytesIO(), b"{}", {"sha256:1": 0}, lambda _: io.BytesIO(), ["sha256:1"])


def test_a_pack_that_fails_leaves_no_tar(tmp_path: Path) -> None:
    blobs = {"sha256:0": b"x" * 1024, "sha256:1": b"short"}
    out = tmp_path / "out.tar"
    with out.open("wb") as file, pytest.raises(ContentError, match="shorter"):
        pack(file, b"{}", dict.fromkeys(blobs, 1024), lambda digest: io.BytesIO(blobs[digest]))
    assert out.stat().st_size
    assert subprocess.run(["tar", "tf", out], capture_output=True, check=False).returncode != 0
    with pytest.raises(ContentError):
        Archive.open(out)


def test_a_raw_output_may_take_less_than_it_is_given() -> None:
    blob = os.urandom(3_000_000)
    reader, writer = os.pipe()
    whole = io.BytesIO()
    pack(whole, b"{}", {"sha256:0": len(blob)}, lambda _: io.BytesIO(blob))
    with subprocess.Popen(["sha256sum"], stdin=reader, stdout=subprocess.PIPE) as child:
        os.close(reader)
        with open(writer, "wb", buffering=0) as out:  # noqa: PTH123
            result = pack(out, b"{}", {"sha256:0": len(blob)}, lambda _: io.BytesIO(blob))
        assert child.stdout
        assert child.stdout.read().split()[0].decode() == result.sha256
    assert result.size == len(whole.getvalue())


def special(kind: bytes, name: str = "odd", **more: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "target"
    for key, value in more.items():
        setattr(member, key, value)
    return member


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = abs(size), kind
    raw = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        raw[124:136] = b"\xff" * 8 + (2**32 + size).to_bytes(4, "big")
        raw[148:156] = b" " * 8
        raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


END = bytes(1024)
GOOD = tar(WHOLE)
BODY = GOOD[: GOOD.index(END)]
BODY += bytes(-len(BODY) % 512)
PAX = {"format": tarfile.PAX_FORMAT}
SPARSE = special(tarfile.REGTYPE, pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})


def list_members(raw: bytes) -> list[tuple[str, bytes]]:
    return [WHOLE[0], ("index.json", index(list_child(raw))), (name_of(raw), raw)]


STACKED = (header("././@PaxHeader", 11, b"x") + b"11 a=bcdefg" + bytes(501)) * 5000
LYING = manifest(config=CONFIG, layers=[part(LAYER, size=1)])

HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "not a tar": b"hello world" * 200,
    "zeros only": END * 4,
    "gzip": gzip.compress(GOOD),
    "bzip2": bz2.compress(GOOD),
    "xz": lzma.compress(GOOD),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(600),
    "truncated in a header": BODY[:700],
    "truncated in data": BODY[:1034],
    "without an end": BODY,
    "garbage between members": BODY + b"\xff" * 512 + END,
    "a symbolic link": tar([*WHOLE, (special(tarfile.SYMTYPE), b"")]),
    "a hard link": tar([*WHOLE, (special(tarfile.LNKTYPE), b"")]),
    "a device": tar([*WHOLE, (special(tarfile.CHRTYPE), b"")]),
    "a named pipe": tar([*WHOLE, (special(tarfile.FIFOTYPE), b"")]),
    "an unknown kind": tar([*WHOLE, (special(b"Z"), b"")]),
    "an absolute name": tar([*WHOLE, ("/x", b"")]),
    "a name that climbs": tar([*WHOLE, ("a/../../x", b"")]),
    "a name with a newline": tar([*WHOLE, ("a\nb", b"")]),
    "a name that is too long": tar([*WHOLE, ("a" * 2000, b"")]),
    "a member twice": tar([*WHOLE, WHOLE[-1]]),
    "a member twice by another name": tar([*WHOLE, ("./" + WHOLE[-1][0], LAYER)]),
    "a sparse member": BODY + header("odd", 0, tarfile.GNUTYPE_SPARSE) + END,
    "a sparse member by PAX": tar([*WHOLE, (SPARSE, b"1\n0\n10\n")], **PAX),
    "a giant header": BODY + header("././@PaxHeader", 2 * 2**20, b"x") + bytes(2 * 2**20) + END,
    "a header of 2**33 bytes": BODY + header("././@PaxHeader", 2**33, b"x") + END,
    "a header of negative size": BODY + header("././@LongLink", -512, b"L") + END,
    "many headers for one member": BODY + STACKED + END,
    "a negative size": BODY + header("odd", -512) + END,
    "a size beyond the file": BODY + header("odd", 2**40) + END,
    "a blob that is not its name": tar([*WHOLE[:-1], (WHOLE[-1][0], b"a lager")]),
    "a blob whose name is no digest": tar([*WHOLE, ("blobs/sha256/ABC", b"")]),
    "no index": tar([WHOLE[0], *WHOLE[2:]]),
    "no layout file": tar(WHOLE[1:]),
    "an index that is too long": tar([WHOLE[0], ("index.json", b" " * (4 * 2**20 + 1)), *WHOLE[2:]]),
    "an index without images": tar(members(CONFIG, LAYER)),
    "a list without manifests": tar(list_members(index())),
    "an index that is a manifest": tar([WHOLE[0], ("index.json", IMAGE), *WHOLE[2:]]),
    "no manifest": tar([each for each in WHOLE if each[1] != IMAGE]),
    "no config": tar([each for each in WHOLE if each[1] != CONFIG]),
    "a layer of another size": tar(members(CONFIG, LAYER, images=[LYING])),
    "a list that lacks a child": tar(list_members(index(list_child(b"x")))),
    "a layout of another version": tar([("oci-layout", b'{"imageLayoutVersion":"9"}'), *WHOLE[1:]]),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(kind: str) -> None:
    with pytest.raises(ContentError):
        check(HOSTILE[kind])


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapper.archive.reader, "MEMBERS", 4)
    with pytest.raises(ContentError, match="more than 4"):
        opened(GOOD)


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(tarfile.DIRTYPE, name), b""


FRIENDLY: dict[str, bytes] = {
    "as we write it": GOOD,
    "names with ./ and folders": tar(
        [folder("./"), folder("./blobs/"), *(("./" + name, data) for name, data in WHOLE)]
    ),
    "in any order": tar(reversed(WHOLE)),
    "with docker's files": tar([*WHOLE, ("manifest.json", b"[]"), ("repositories", b"{}"), ("a/b/c", b"x")]),
    "with a blob that nothing names": tar([*WHOLE, (name_of(b"stray"), b"stray")]),
    "with PAX headers": tar([(special(b"0", name, pax_headers={"a": "b"}), data) for name, data in WHOLE], **PAX),
    "in GNU format": tar(WHOLE, format=tarfile.GNU_FORMAT),
}


@pytest.mark.parametrize("kind", FRIENDLY)
def test_other_tools_archives(kind: str) -> None:
    check(FRIENDLY[kind])


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_any_bytes_are_an_archive_or_an_error(data: bytes) -> None:
    try:
        check(data)
    except IncrementalError:
        return


MUTATIONS = st.lists(
    st.tuples(st.integers(0, len(GOOD) - 1), st.sampled_from(["flip", "insert", "delete"]), st.integers(0, 255)),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(MUTATIONS)
def test_a_damaged_archive_is_an_archive_or_an_error(mutations: list[tuple[int, str, int]]) -> None:
    data = bytearray(GOOD)
    for place, how, value in mutations:
        place = min(place, len(data) - 1)
        if how == "flip":
            data[place] ^= value
        elif how == "insert":
            data[place:place] = bytes([value]) * (1 if value % 2 else 512)
        else:
            del data[place : place + (1 if value % 2 else 512)]
    try:
        check(bytes(data))
    except IncrementalError:
        return


def annotated(annotations: dict[str, str], *blobs: bytes) -> bytes:
    return tar(members(CONFIG, *blobs, images=[IMAGE], annotations=annotations))


BASE, OTHER = digest_of(b"base"), digest_of(b"other")


def test_what_is_left_out_is_declared() -> None:
    said = index_annotations([BASE, OTHER], {digest_of(LAYER): [OTHER, BASE]})
    with opened(annotated(said)) as archive:
        found = read_contents(archive)
    assert (found.format, found.bases) == ("1", (BASE, OTHER))
    assert list(found.omitted) == [digest_of(LAYER)]
    assert found.bases_of[digest_of(LAYER)] == tuple(sorted((BASE, OTHER)))


PREFIX = "io.skopeo-incremental."
SOUND = index_annotations([BASE], {digest_of(LAYER): [BASE]})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({f"{PREFIX}format": "2"}, "newer version"),
        ({f"{PREFIX}requires": "layer-delta,what-comes-next"}, "newer version"),
        ({f"{PREFIX}omitted": "{}"}, "does not say"),
        ({f"{PREFIX}omitted": "[]"}, "not a JSON object"),
        ({f"{PREFIX}omitted": json.dumps({digest_of(LAYER): []})}, "schema"),
        ({f"{PREFIX}bases": "elsewhere"}, "no digests"),
    ],
)
def test_annotations_that_make_no_sense(change: dict[str, str], word: str) -> None:
    with opened(annotated(SOUND | change)) as archive, pytest.raises(ContentError, match=word):
        read_contents(archive)


def test_bases_alone_declare_that_something_may_be_left_out() -> None:
    said = {name: text for name, text in SOUND.items() if not name.endswith("omitted")}
    with opened(annotated(said)) as archive:
        assert read_contents(archive).bases == (BASE,)
    with opened(annotated(said | {f"{PREFIX}bases": ""})) as archive, pytest.raises(ContentError):
        read_contents(archive)


def test_placeholders_have_their_size_and_go_away(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layer = Descriptor("x", digest_of(LAYER), 5 * 10**9)
    with layout.placeholders({layer.digest: layer.size}):
        stats = layout.blob(layer.digest).stat()
        assert (stats.st_size, stats.st_blocks) == (layer.size, 0)
    assert not layout.blob(layer.digest).exists()
    with pytest.raises(RuntimeError), layout.placeholders({layer.digest: layer.size}):
        raise RuntimeError
    assert not layout.blob(layer.digest).exists()
    absurd = Descriptor("x", digest_of(LAYER), 2**63 - 1)
    with pytest.raises(ContentError, match="claims"), layout.placeholders({absurd.digest: absurd.size}):
        pass
    assert not layout.blob(layer.digest).exists()


def test_a_layout_is_checked(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    digest = layout.put(LAYER)
    layout.check({digest: len(LAYER)})
    with pytest.raises(ContentError, match="manifest says"):
        layout.check({digest: 1})
    with pytest.raises(ContentError, match="did not fetch"):
        layout.check({digest_of(b"x"): 1})


def test_adding_keeps_other_images(tmp_path: Path) -> None:
    theirs = Layout(tmp_path / "theirs")
    blobs = {digest_of(b"blob"): b"blob"}

    def add(image: dict[str, Any]) -> bool:
        sizes = {digest: len(blob) for digest, blob in blobs.items()}
        return theirs.add([image], sizes, lambda digest: io.BytesIO(blobs[digest]))

    one, two = (entry(OCI_MANIFEST, digest_of(name.encode()), 1, name) for name in ("one", "two"))
    nameless = entry(OCI_MANIFEST, digest_of(b"zero"), 1)
    for image in (nameless, one, two):
        assert add(image)
        assert not add(image)
    assert json.loads(theirs.read_index())["manifests"] == [nameless, one, two]
    moved = entry(OCI_MANIFEST, digest_of(b"new"), 1, "one")
    assert theirs.named("one") == one["digest"]
    assert add(moved)
    assert json.loads(theirs.read_index())["manifests"] == [nameless, two, moved]
    assert theirs.named("one") == moved["digest"]
    assert theirs.named("three") is None
    # A blob that was cut short is written again.
    theirs.blob(digest_of(b"blob")).write_bytes(b"bl")
    assert add(moved)
    assert theirs.read(digest_of(b"blob")) == b"blob"
    (theirs.folder / "index.json").write_text("no")
    with pytest.raises(ContentError):
        add(one)


def test_adding_makes_a_layout_only_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/oci-layout").write_bytes(b"{}")
    assert Layout(tmp_path / "begun").add([], {}, lambda _: io.BytesIO())
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").touch()
    with pytest.raises(ContentError, match="no OCI layout"):
        Layout(tmp_path / "home").add([], {}, lambda _: io.BytesIO())
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]


def test_an_output_is_complete_or_absent(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TypeError), complete_file(out) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
    with complete_file(out) as file:
        file.write(b"whole")
    assert out.read_bytes() == b"whole"
    with pytest.raises(RuntimeError), complete_file(out) as file:
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    with pytest.raises(HostError), complete_file(tmp_path / "none" / "out"):
        pass


def test_kinds_of_outputs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(tmp_path / "pipe")
    assert is_stream(Path(os.devnull))
    assert not is_stream(tmp_path / "new")
    with pytest.raises(UsageError):
        is_stream(tmp_path)


def test_the_layout_file_is_what_the_specification_says() -> None:
    assert json.loads(LAYOUT) == json.loads(wrapper.oci.layout.LAYOUT_FILE)
    assert parse_manifest(index_document([])).parsed.media_type == "application/vnd.oci.image.index.v1+json"


def test_a_reader_that_is_not_closed_by_us() -> None:
    file = io.BytesIO(GOOD)
    with Archive.open(file):
        pass
    assert not file.closed
