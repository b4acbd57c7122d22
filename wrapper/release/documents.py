"""Manifests as values: a JSON document, or a stream of YAML documents, of any origin."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError, UsageError
from ..oci.documents import OURS, count_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STREAM_BYTES = OURS.size
"""The longest file or stream that is read, in bytes. One YAML document in it has bounds of its own."""

# YAML 1.2.2, 9.1.2: such a line ends a document wherever it stands, in a block of text, too.
_MARKER = re.compile(r"^(?:---(?=[ \t\r\n]|\Z)|\.\.\.(?=[ \t\r\n]|\Z))", re.MULTILINE)
_JSON = re.compile(r"\A\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")
_MOST_COMMENTS = 1024 * 1024
# They hold no image, but schemas of megabytes.
_DEFINITION = re.compile(r"^kind:[ \t]*['\"]?CustomResourceDefinition['\"]?[ \t\r]*(?=\n|\Z)", re.MULTILINE)


class Document(NamedTuple):
    """One document.

    Attributes:
        value: what it means, as JSON would.
        where: its file, and its line, unless that is the first.
        repeated: warnings about names that are in one object twice.
    """

    value: object
    where: str
    repeated: tuple[str, ...] = ()


def documents_in(raw: bytes, what: str) -> Iterator[Document]:
    """Yield the documents of a file or stream, except definitions of custom resources in YAML.

    Args:
        raw: the bytes: one JSON document, or YAML documents.
        what: what they are, for messages: the file's name.

    Raises:
        UsageError: it is YAML, and PyYAML is not installed.
        ContentError: it is neither JSON nor YAML, or breaks a bound; the message has the line.
    """
    if len(raw) > STREAM_BYTES:
        raise ContentError(f"{what} is longer than {STREAM_BYTES} bytes", "give it in parts")
    text = text_of(raw, what)
    # In JSON no line begins like that.
    if not _MARKER.search(text) and (what.endswith(".json") or _JSON.search(text)):
        yield _from_json(raw, text, what)
        return
    before = 0
    for part in _parts(text):
        if not _DEFINITION.search(part) and not _is_empty(part):
            yield _from_yaml(part, what, before)
        before += part.count("\n")


def text_of(raw: bytes, what: str) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a mark of its byte order, as PowerShell writes it.

    Args:
        raw: the bytes.
        what: what they are, for messages.

    Raises:
        ContentError: it is neither.
    """
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ContentError(f"{what} is not {encoding.removesuffix('-sig').upper()} at byte {error.start}") from None


def _parts(text: str) -> Iterator[str]:
    """Yield the documents of a stream, each with the line that begins it, its marker left out."""
    start = 0
    for marker in _MARKER.finditer(text):
        yield text[start : marker.start()]
        start = marker.end()
    yield text[start:]


def _is_empty(part: str) -> bool:
    """Say whether there are only comments and directives; what is too long to look at is not empty."""
    return len(part) < _MOST_COMMENTS and all(
        not line.strip() or line.lstrip()[0] == "#" or line[0] == "%" for line in part.splitlines()
    )


def _from_json(raw: bytes, text: str, what: str) -> Document:
    if count_values(raw) > OURS.values:
        raise ContentError(f"{what} holds more than {OURS.values} values", "give it in parts")
    repeated: list[str] = []

    def to_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated.extend(f"{name:.100}" for name in value if times[name] > 1)
        return value

    try:
        value: object = json.loads(text, object_pairs_hook=to_object)
    except RecursionError:
        raise ContentError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ContentError(f"{what} is not valid JSON: {error}") from None
    return Document(value, what, _warnings(what, repeated))


def _from_yaml(text: str, what: str, before: int) -> Document:
    try:
        from ..source.bounded_yaml import value_from_yaml
    except ImportError:
        raise UsageError(
            f"{what} is YAML, and PyYAML is not installed",
            "install skopeo-incremental[yaml], or give it as JSON, such as kubectl's -o json",
        ) from None
    try:
        value, repeated = value_from_yaml(text, what, before)
    except ContentError as error:
        step = "it is a template: render it first, for example with helm template" if "{{" in text else ""
        raise ContentError(error.message, error.next_step or step) from None
    return Document(value, f"{what}: line {before + 1}" if before else what, _warnings(what, repeated))


def _warnings(what: str, repeated: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{what}: {place} is there twice in one object: the last one counts" for place in repeated)
