"""Documents: from hostile bytes to JSON that fits its schema."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.builders import manifest, part
from wrapper.errors import ContentError
from wrapper.oci.documents import DEPTH, DOCUMENT_BYTES, check_schema, parse_document

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = sorted(file.name for file in files("wrapper.oci.schemas").iterdir() if file.name.endswith(".json"))


SAMPLES = ["sha256:" + "0" * 64, "0" * 64, "linux/arm64/v8", "10"]


def schema_of(name: str) -> Any:
    return json.loads(files("wrapper.oci.schemas").joinpath(name).read_text())


def parts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every part of a schema, with its place."""
    if isinstance(value, dict):
        yield place, value
    for name, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, (dict, list)):
            yield from parts(each, (*place, str(name)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_patterns_take_whole_texts(name: str) -> None:
    """In JSON Schema the end is the end; in Python it is also before a last newline, if one asks for `$` alone."""
    for place, rules in parts(schema_of(name)):
        if isinstance(pattern := rules.get("pattern"), str):
            assert pattern.startswith("^"), place
            assert pattern.endswith(r"$(?!\n)"), place
            fitting = [text for text in SAMPLES if re.search(pattern, text)]
            assert fitting, place
            for text in fitting:
                for other in (f"{text}\n", f"\n{text}", f"{text}\nx", f"{text}\r", f"{text}\u2028"):
                    assert not re.search(pattern, other), (place, other)


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name not in ("output.json", "progress.json")])
def test_texts_that_come_in_are_bounded(name: str) -> None:
    """But those in annotations, which are free: of them only names go on, and these are bounded."""
    for place, rules in parts(schema_of(name)):
        if "string" in rules.get("type", ()) and place[-2:] != ("annotations", "additionalProperties"):
            assert "maxLength" in rules, place


BAD_ENDS = {
    "receipt": {
        "receipt": "1",
        "destination": "x",
        "date": "x",
        "version": "x",
        "images": [{"digest": "", "media_type": "x", "platform": None, "manifests": [], "layers": []}],
    },
    "omitted": {"": ["sha256:" + "0" * 64]},
    "layer-delta-sources": {"sources": [["", 1, 1]], "manifests": []},
    "layer-delta-sources-1": {"sources": [["", 1]], "manifests": []},
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_a_digest_ends_where_it_ends(name: str) -> None:
    text = json.dumps(BAD_ENDS[name])
    good = text.replace('""', json.dumps("sha256:" + "0" * 64), 1)
    check_schema(parse_document(good.encode(), "it"), name, "it")
    bad = text.replace('""', json.dumps("sha256:" + "0" * 64 + "\n"), 1)
    with pytest.raises(ContentError, match="breaks the schema"):
        check_schema(parse_document(bad.encode(), "it"), name, "it")


BAD_DOCUMENTS = {
    "empty": b"",
    "not UTF-8": b'{"a": "\xff"}',
    "not JSON": b"{",
    "an array": b"[]",
    "a name twice": b'{"a": 1, "a": 2}',
    "a name twice but for case": b'{"layers": [], "Layers": []}',
    "a name twice for Go": '{"s\u017f": 1, "ss": 2}'.encode(),
    "not a number": b'{"a": NaN}',
    "too deep": b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "absurdly deep": b'{"a":' + b"[" * 100_000,
    "too long": b'{"a": "' + b"x" * DOCUMENT_BYTES + b'"}',
    "an absurd number": b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", BAD_DOCUMENTS)
def test_bad_documents(kind: str) -> None:
    with pytest.raises(ContentError, match="it"):
        parse_document(BAD_DOCUMENTS[kind], "it")


def test_the_deepest_document() -> None:
    raw = b'{"a":' + b"[" * (DEPTH - 1) + b"]" * (DEPTH - 1) + b"}"
    assert parse_document(raw, "it")


def test_a_schema_error_names_its_place() -> None:
    document = parse_document(manifest(b"x", layers=[part(b"x"), part(b"y", size="1")]), "it")
    with pytest.raises(ContentError, match=r"layers\[1\]\.size"):
        check_schema(document, "oci-manifest", "it")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_content_error(raw: bytes) -> None:
    try:
        parse_document(raw, "it")
    except ContentError:
        return
