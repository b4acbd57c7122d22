"""Documents: from hostile bytes to JSON that fits its schema."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.builders import manifest, part
from wrapper.errors import ContentError
from wrapper.oci.documents import DEPTH, DOCUMENT_BYTES, check_schema, parse_document

SCHEMAS = sorted(file.name for file in files("wrapper.oci.schemas").iterdir() if file.name.endswith(".json"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(files("wrapper.oci.schemas").joinpath(name).read_text()))


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
