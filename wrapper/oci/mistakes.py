"""Files that are given where a reference is wanted: what they are, and how they are written as one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ..errors import ContentError, UsageError
from .transports import near_transport, unknown_transport

FOLDER, MANIFEST, JSON_FILE = "a folder", "a manifest", "a JSON file"

_BUNDLE = "a bundle's spec"
_SPEC = "pull a bundle with `spec`"

_LIKE_AN_ARCHIVE = re.compile(r".*\.(?:tar|tar\.(?:gz|bz2|xz|zst)|tgz|tar\.[0-9]{3,4})", re.DOTALL)
_LIKE_A_FILE = re.compile(rf"\.{{0,2}}/.*|{_LIKE_AN_ARCHIVE.pattern}|.*\.(?:json|ya?ml)", re.DOTALL)
_LIKE_A_HOST = re.compile(r"(?:localhost|[^/.][^/]*[.:][^/]*)/.*", re.DOTALL)
_TAG = re.compile(r"(?P<path>.+):[\w.-]+", re.DOTALL)
# POSIX, "ustar Interchange Format": where a tar says that it is one.
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257


class NamedFile(NamedTuple):
    """A file that was named where a reference is wanted.

    Attributes:
        path: its path.
        exists: whether it is there.
        kind: what it is, such as "a receipt"; or would be, by its name.
        reference: how it is written as a reference; None where it can't be one.
    """

    path: str
    exists: bool
    kind: str
    reference: str | None


def named_file(text: str) -> NamedFile | None:
    """Say which file is meant by a name without a transport; None where it is an image in a registry.

    A name that looks like a file's is one, unless it begins with a registry's host and there is no such file. Other
    names are files where one of that name is an archive, a receipt or a manifest.

    Args:
        text: what was given.
    """
    for path, tag in _paths(text):
        # A name may be longer than a file's, which pathlib does not take for "no".
        if os.path.isfile(path):  # noqa: PTH113
            kind, transport = kind_of_file(path)
            if transport or _LIKE_A_FILE.fullmatch(path):
                return NamedFile(path, True, kind, f"{transport}:{path}{tag}" if transport else None)
        elif _LIKE_A_FILE.fullmatch(path) and os.path.lexists(f"{path}.001"):
            return NamedFile(path, True, "an archive in volumes", f"oci-archive:{path}{tag}")
    if os.path.isdir(text) and _LIKE_A_FILE.fullmatch(text):  # noqa: PTH112
        transport = "oci" if Path(text, "index.json").exists() else "dir"
        return NamedFile(text, True, FOLDER, f"{transport}:{text}")
    if _LIKE_A_FILE.fullmatch(text) and not _LIKE_A_HOST.fullmatch(text):
        is_json = text.endswith(".json")
        return NamedFile(
            text,
            False,
            "a receipt" if is_json else "an archive",
            f"{'receipt' if is_json else 'oci-archive'}:{text}",
        )
    return None


def refuse_file(text: str) -> None:
    """Refuse a file that is given where a reference is wanted.

    Args:
        text: what was given, without a transport.

    Raises:
        UsageError: it names a file; the message says how to write that.
    """
    if not (found := named_file(text)):
        return
    if not found.exists:
        # Its transport may be misspelled.
        if near_transport(text):
            raise unknown_transport(text)
        step = f"check the path, and write a file as {found.reference}"
        if not _is_path(text):
            step += f"; an image in a registry as docker://{text}"
        raise UsageError(f"there is no file {found.path}", step)
    if found.reference:
        what = FOLDER if found.kind == FOLDER else "a file"
        raise UsageError(f"{found.path} is {what}: write {found.reference}", _if_in_a_registry(text))
    raise UsageError(
        f"{found.path} is {found.kind}, and not an image",
        _SPEC if found.kind == _BUNDLE else "give an image, or the file of an archive or a receipt",
    )


def kind_of_file(path: str | Path) -> tuple[str, str | None]:
    """Say what a file is, such as "a receipt", and by which transport it is a reference; None where by none."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
            if start.endswith(_TAR_MAGIC) and len(start) > _TAR_MAGIC_AT:
                return "an archive", "oci-archive"
            if start.lstrip().startswith(b"{"):
                return kind_of_json(start + file.read(_most_json()))
    except OSError:
        # Whoever opens it says why.
        pass
    # What else is wrong with it shows when it is read, such as that it is compressed.
    return ("an archive", "oci-archive") if _LIKE_AN_ARCHIVE.fullmatch(str(path)) else ("a file", None)


def kind_of_json(raw: bytes) -> tuple[str, str | None]:
    """Say what a JSON document is, and by which transport it is a reference, as `kind_of_file`.

    Args:
        raw: its bytes, of any origin.
    """
    from .documents import OURS, parse_document

    try:
        document = parse_document(raw, "it", OURS)
    except ContentError:
        return JSON_FILE, None
    if "receipt" in document:
        return "a receipt", "receipt"
    if "sent" in document:
        return "a list of what was sent", "sent"
    if {"schemaVersion", "mediaType"} & document.keys():
        return MANIFEST, "manifest"
    return (_BUNDLE, None) if "images" in document else (JSON_FILE, None)


def new_file(text: str) -> UsageError:
    """Return the error for a file's name that is given as a destination."""
    return UsageError(
        f"{text} is a file's name: write oci-archive:{text} to write an archive there", _if_in_a_registry(text)
    )


def not_an_archive(name: str, raw: bytes) -> ContentError:
    """Return the error for a JSON file that is given as an archive.

    Args:
        name: what the file is called.
        raw: its bytes, or as many as may be of use.
    """
    kind, transport = kind_of_json(raw)
    step = "give the file of an archive"
    if transport:
        step += f"; {kind} can be a base: `base` {transport}:{name}"
    return ContentError(f"{name} is {kind}, and not an archive", _SPEC if kind == _BUNDLE else step)


def _paths(text: str) -> list[tuple[str, str]]:
    """Return the paths that a name may mean, each with what follows it as a tag."""
    tagged = _TAG.fullmatch(text)
    return [(text, ""), *([(tagged["path"], text[len(tagged["path"]) :])] if tagged else [])]


def _if_in_a_registry(text: str) -> str:
    return "" if _is_path(text) else f"write docker://{text} if you mean an image in a registry"


def _is_path(text: str) -> bool:
    return text.startswith((".", "/"))


def _most_json() -> int:
    from .documents import OURS

    return OURS.size
