"""What a user gives, told by its content and its name: each is read by the file of its kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UsageError, host_errors
from ..oci.mistakes import kind_of_file
from . import chart, compose, kubernetes, listing
from .documents import STREAM_BYTES, documents_in, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .documents import Document
    from .hints import Finding

_MANIFESTS = (".json", ".yaml", ".yml")
_LISTS = (".list", ".txt")
_PACKED = (".tgz", ".tar.gz")
_GZIP = b"\x1f\x8b"


def images_in(source: str | Path | BinaryIO, registry: str | None) -> Iterator[Finding]:
    """Yield the images that something names, and warnings.

    Args:
        source: a file, a folder, or a binary file that is open for reading, such as standard input.
        registry: where the images of archives are, and those of receipts, unless where they were pushed to.

    Raises:
        UsageError: there is no such file; or it needs something that is not given, or not installed.
        ContentError: it is not what it seems to be, or breaks a bound.
        HostError: it can't be read.
    """
    if not isinstance(source, (str, Path)):
        yield from _in_stream(source, "standard input")
        return
    if not str(source):
        raise UsageError("the name of a file or folder is empty", "give . to read this folder")
    path = Path(source)
    # A name may be longer than a file's, which pathlib does not take for "no".
    if os.path.isdir(path):  # noqa: PTH112
        yield from _in_folder(path)
    elif os.path.isfile(path):  # noqa: PTH113
        yield from _in_file(path, registry)
    elif os.path.exists(path):  # noqa: PTH110
        # A pipe or a device is read once, and not looked at before.
        with host_errors(f"cannot read {path}"), path.open("rb") as file:
            yield from _in_stream(file, str(path))
    elif os.path.lexists(f"{path}.001"):
        from .earlier import images_in_archive

        yield from images_in_archive(path, registry)
    else:
        raise UsageError(f"there is no file or folder {path}", "give - to read standard input")


def _in_folder(folder: Path) -> Iterator[Finding]:
    """Yield what is in a folder's manifests and charts; links to folders, and hidden ones, are not followed."""
    from .helm import images_in as images_in_chart
    from .helm import is_chart

    # One after the other: folders may be nested deeper than Python's calls.
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        with host_errors(f"cannot read {path}"):
            is_file, chart_is_here = path.is_file(), is_chart(path)
            if path.is_dir() and not chart_is_here:
                waiting += sorted((each for each in path.iterdir() if _is_to_be_read(each)), reverse=True)
                continue
        if chart_is_here:
            yield from images_in_chart(path)
        elif path.name.endswith(_PACKED):
            yield f"{path} is not read: if it is a chart, give it by itself"
        elif is_file and path.suffix in _MANIFESTS:
            for document in documents_in(_read(path), str(path)):
                yield from _in_document(document, str(path))


def _is_to_be_read(path: Path) -> bool:
    return not path.name.startswith(".") and not (path.is_symlink() and path.is_dir())


def _in_file(path: Path, registry: str | None) -> Iterator[Finding]:
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        is_gzip = file.read(len(_GZIP)) == _GZIP
    if is_gzip and path.name.endswith(_PACKED):
        from .helm import images_in as images_in_chart

        yield from images_in_chart(path)
        return
    _, transport = kind_of_file(path)
    if transport == "oci-archive":
        from .earlier import images_in_archive

        yield from images_in_archive(path, registry)
    elif transport == "receipt":
        from .earlier import images_in_receipt

        yield from images_in_receipt(path, registry)
    else:
        yield from _in_bytes(_read(path), str(path))


def _in_stream(file: BinaryIO, what: str) -> Iterator[Finding]:
    with host_errors(f"cannot read {what}"):
        raw = file.read(STREAM_BYTES + 1)
    yield from _in_bytes(raw, what)


def _in_bytes(raw: bytes, what: str) -> Iterator[Finding]:
    text = "" if what.endswith(_MANIFESTS) else text_of(raw, what)
    if what.endswith(_LISTS) or listing.is_listing(text):
        yield from listing.images_in(text, what)
        return
    for document in documents_in(raw, what):
        value = document.value
        # Among the files of a folder, such a list may be of anything.
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            yield from listing.images_in_array(value, document.where)
        else:
            yield from _in_document(document, what)


def _in_document(document: Document, what: str) -> Iterator[Finding]:
    value, where, repeated = document
    yield from repeated
    if compose.is_compose(value):
        yield from compose.images_in(value, where)  # type: ignore[arg-type]
    elif chart.is_lock(value):
        yield from chart.images_in_lock(value, where)
    elif _is_kustomization(value, what):
        yield f"{where}: what kustomize changes is not known: give the output of kubectl kustomize"
    elif _is_spec(value):
        yield f"{where} is a spec already: it is not read; pull it with `spec`"
    else:
        yield from kubernetes.images_in(value, where)


def _is_kustomization(value: object, what: str) -> bool:
    version = value.get("apiVersion") if isinstance(value, dict) else None
    return Path(what).stem == "kustomization" or str(version).startswith("kustomize.config.k8s.io/")


def _is_spec(value: object) -> bool:
    images = value.get("images") if isinstance(value, dict) else None
    return (
        bool(images)
        and isinstance(images, list)
        and all(isinstance(each, dict) and "final" in each for each in images)
    )


def _read(path: Path) -> bytes:
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        return file.read(STREAM_BYTES + 1)
