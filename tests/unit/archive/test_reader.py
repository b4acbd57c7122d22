"""Archives are read as hostile, whoever wrote them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrapper.archive.reader
from tests.support.builders import (
    CONFIG,
    IMAGE,
    LAYER,
    WHOLE,
    index,
    list_child,
    manifest,
    members,
    name_of,
    opened,
    part,
    tar,
)
from wrapper.archive.documents import read_contents
from wrapper.archive.reader import Archive
from wrapper.errors import ContentError, IncrementalError


def check(data: bytes) -> None:
    """All that vet does without a destination."""
    with opened(data) as archive:
        read_contents(archive)
        archive.verify()


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


@settings(max_examples=100)
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


@settings(max_examples=100)
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


def test_a_reader_that_is_not_closed_by_us() -> None:
    file = io.BytesIO(GOOD)
    with Archive.open(file):
        pass
    assert not file.closed
