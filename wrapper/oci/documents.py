"""JSON documents from outside: bounded, unambiguous, and checked against a JSON Schema."""

from __future__ import annotations

import codecs
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ContentError
from .quick import accepts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

DOCUMENT_BYTES = 4 * 1024 * 1024
"""The longest manifest, index or layout that is read, in bytes: skopeo's own bound."""

DEPTH = 64
"""How deep a document's arrays and objects may be nested."""

VALUES = 200_000
"""How many values a document may hold: in memory, each takes many times its bytes."""


class Bounds(NamedTuple):
    """What a document may be at most.

    Attributes:
        size: how long, in bytes.
        values: how many values it may hold.
    """

    size: int
    values: int


FOREIGN = Bounds(DOCUMENT_BYTES, VALUES)
"""For what other tools and registries may have made."""

OURS = Bounds(24 * 1024 * 1024, 400_000)
"""For what grows with all images of a bundle: an archive's index, what it leaves out, a receipt."""

MEMORY = 256 * 1024 * 1024
"""What reading takes at most, in bytes of memory, whatever comes in: one document, or all of an archive.

The bounds above keep to it for a document, those in `archive` and `contents` for an archive.
"""

SECONDS = 10
"""What checking one document takes at most, whatever comes in, in seconds on a slow machine."""

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def without_mark(raw: bytes) -> bytes:
    """Return a text as UTF-8 if a mark of its byte order begins it, as editors and shells of Windows write it.

    What has no such mark, or is not what that says, stays as it is.
    """
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            with suppress(UnicodeDecodeError):
                return raw.decode(encoding).encode()
    return raw


def count_values(raw: bytes) -> int:
    """Return how many values a JSON document holds at most.

    Each follows one of these marks, in an object with its name between; those in texts count all the same.
    """
    return sum(raw.count(mark) for mark in (b",", b"[", b"{"))


def parse_document(raw: bytes, what: str, bounds: Bounds = FOREIGN) -> dict[str, Any]:
    """Parse a JSON object of hostile origin.

    Args:
        raw: the bytes.
        what: what they are, for messages: "manifest sha256:…".
        bounds: what it may be at most.

    Returns:
        The object. Numbers that are not written as integers come back as text, so that no check takes
        `1e3` or `1.0` for the integer that skopeo would refuse.

    Raises:
        ContentError: it is too long, too deep or too full, not JSON, not an object, or it has two names in one
            object that differ in nothing but case: skopeo, whose JSON ignores case, might read another one than
            we.
    """
    if len(raw) > bounds.size:
        raise ContentError(f"{what} is longer than {bounds.size} bytes")
    if count_values(raw) > bounds.values:
        raise ContentError(f"{what} holds more than {bounds.values} values")
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_unambiguous, parse_float=str, parse_constant=_no_constant
        )
        if b"\\u" in raw:
            # Half of a surrogate pair is no character: it could not be written, and Go reads another one.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ContentError(f"{what} is nested deeper than {DEPTH} levels") from None
    except ValueError as error:
        raise ContentError(f"{what} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ContentError(f"{what} is not a JSON object")
    if _deeper_than(value, DEPTH):
        raise ContentError(f"{what} is nested deeper than {DEPTH} levels")
    return value


def check_schema(document: Any, schema: str, what: str) -> None:
    """Check `document` against one of the schemas that this package ships.

    Args:
        document: what `parse_document` returned, or what YAML means.
        schema: the schema's file name in `wrapper/oci/schemas`, without `.json`.
        what: what the document is, for messages.

    Raises:
        ContentError: it breaks the schema; the message names the place, such as `layers[3].digest`.
    """
    if _accepts(schema)(document):
        return
    for error in _validator(schema).iter_errors(document):
        place = error.json_path.removeprefix("$").removeprefix(".")[:200]
        raise ContentError(f"{what} breaks the schema{f' at {place}' if place else ''}: {_in_words(error)[:200]}")


def _in_words(error: ValidationError) -> str:
    """Return what a schema's keyword means, where its own words are not those of people."""
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        unknown = [name for name in error.instance if name not in known]
        return f"there is no field {', '.join(repr(name[:50]) for name in unknown[:3])} here"
    if error.validator == "minItems" and not error.instance:
        return "it is empty"
    return str(error.message)


def _read(schema: str) -> dict[str, Any]:
    # Keywords are checked in their order: sorted, maxLength spares pattern the texts that take it much memory.
    text = Path(__file__).with_name("schemas").joinpath(f"{schema}.json").read_bytes()
    found = json.loads(text, object_pairs_hook=lambda pairs: dict(sorted(pairs)))
    assert isinstance(found, dict)  # noqa: S101 - it is ours
    return found


@cache
def _accepts(schema: str) -> Callable[[object], bool]:
    return accepts(_read(schema))


@cache
def _validator(schema: str) -> Validator:
    # Late: it takes long to import.
    from jsonschema.validators import Draft202012Validator, extend

    keywords = {"maxItems": _max_items, "maxLength": _max_length, "type": _type}
    validator: type[Validator] = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]
    return validator(_read(schema))


# jsonschema's own quote a value whole, which may be as long as the document.


def _type(validator: Validator, types: str | list[str], value: Any, _: object) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError

    wanted = [types] if isinstance(types, str) else types
    if not any(validator.is_type(value, each) for each in wanted):
        quoted = "it" if isinstance(value, (dict, list)) else repr(value[:100] if isinstance(value, str) else value)
        yield ValidationError(f"{quoted} is not of type {' or '.join(map(repr, wanted))}")


def _max_length(_: object, bound: int, value: object, __: object) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and len(value) > bound:
        yield ValidationError(f"it is longer than {bound} characters")


def _max_items(_: object, bound: int, value: object, __: object) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, list) and len(value) > bound:
        yield ValidationError(f"it has more than {bound} items")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len({name.casefold() for name in value}) != len(pairs):
        raise ValueError("an object has the same name twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _deeper_than(value: object, bound: int) -> bool:
    level = [value]
    for _ in range(bound):
        if not level:
            return False
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
    return bool(level)
