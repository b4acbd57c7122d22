"""What is accepted quickly is what jsonschema accepts, for every schema and whatever is wrong with a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wrapper.oci import documents, quick

SCHEMAS = sorted(path.stem for path in Path(documents.__file__).with_name("schemas").glob("*.json"))
# jsonschema decides about these alone: they are written, or read rarely.
SLOW = {"output", "stored-archive"}
ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 2**63, "", "a", "sha256:0", "1.0", [], [1], ["a", "a"], {}, {"a": 1}]
)


def schema_of(name: str) -> dict[str, Any]:
    return documents._read(name)


def good(schema: Any, root: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Documents of a schema, mostly."""
    if "$ref" in schema:
        return st.deferred(lambda: good(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root))
    if "anyOf" in schema and "type" not in schema:
        return st.one_of(*(good({**schema, "anyOf": None, **each}, root) for each in schema["anyOf"] if each))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "string":
        if pattern := schema.get("pattern"):
            return st.from_regex(pattern)
        return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 9), 9))
    if kind == "integer":
        return st.integers(schema.get("minimum", -5), schema.get("maximum", 99))
    if kind == "array":
        items = [good(each, root) for each in schema.get("prefixItems", [])]
        if items:
            return st.tuples(*items).map(list)
        return st.lists(good(schema.get("items", {}), root), min_size=schema.get("minItems", 0), max_size=3)
    if kind == "object":
        known = {name: good(each, root) for name, each in schema.get("properties", {}).items()}
        required = {name: known[name] for name in schema.get("required", ()) if name in known}
        optional = {name: each for name, each in known.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)
    return st.just(kind == "boolean")


def spoiled(document: Any, draw: st.DrawFn) -> Any:
    """The document with something in it put in place of another thing."""
    if isinstance(document, dict) and document and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(document)))
        return {**document, name: spoiled(document[name], draw)}
    if isinstance(document, list) and document and draw(st.booleans()):
        place = draw(st.integers(0, len(document) - 1))
        return [*document[:place], spoiled(document[place], draw), *document[place + 1 :]]
    if isinstance(document, dict) and document and draw(st.booleans()):
        return {name: document[name] for name in sorted(document)[1:]}
    if isinstance(document, str) and draw(st.booleans()):
        return document + draw(st.sampled_from(["\n", "/", "A" * 300]))
    return draw(ODD)


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=60)
@given(data=st.data())
def test_nothing_is_accepted_that_the_schema_refuses(name: str, data: st.DataObject) -> None:
    schema = schema_of(name)
    accepts, validator = quick.accepts(schema), documents._validator(name)
    document = data.draw(good(schema, schema))
    for _ in range(3):
        if accepts(document):
            assert validator.is_valid(document), json.dumps(document)
        elif name not in SLOW:
            # It is not the word of this that counts; but it should know what is good.
            assert not validator.is_valid(document), json.dumps(document)
        document = spoiled(document, data.draw)


@pytest.mark.parametrize(
    "schema",
    [
        {"contains": {"const": 1}},
        {"enum": [1.5]},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/$defs/absent"},
        {"anyOf": [{"not": {}}]},
    ],
)
def test_what_is_not_known_is_left_to_jsonschema(schema: dict[str, Any]) -> None:
    assert not quick.accepts(schema)({})


def test_a_definition_may_refer_to_itself() -> None:
    schema = {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": "object", "additionalProperties": {"$ref": "#/$defs/tree"}}},
    }
    accepts = quick.accepts(schema)
    assert accepts({"a": {"b": {}}})
    assert not accepts({"a": {"b": 1}})


def test_a_truth_is_no_number() -> None:
    assert not quick.accepts({"type": "integer"})(True)
    assert not quick.accepts({"const": 1})(True)
    assert not quick.accepts({"enum": [True]})(1)


@pytest.mark.parametrize(
    ("schema", "good_one", "bad_one"),
    [
        ({"maximum": 5}, 5, 6),
        ({"minimum": 5}, 5, 4),
        ({"maxLength": 2}, "ab", "abc"),
        ({"minLength": 2}, "ab", "a"),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"minItems": 1}, [1], []),
        ({"uniqueItems": True}, ["a", "b"], ["a", "a"]),
        ({"pattern": "^a$"}, "a", "b"),
        ({"required": ["a"]}, {"a": 1}, {}),
        ({"type": ["string", "null"]}, None, []),
        ({"items": {"const": "a"}}, ["a"], ["b"]),
        ({"prefixItems": [{"const": 1}], "items": False}, [1], [1, 2]),
        ({"prefixItems": [{"const": 1}]}, [1, 2], [2]),
        ({"properties": {"a": {"const": 1}}}, {"a": 1, "b": 2}, {"a": 2}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 2}, {"b": 2}),
        ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 2, 3),
        ({"enum": ["a", "b"]}, "b", "c"),
    ],
)
def test_each_keyword(schema: dict[str, Any], good_one: Any, bad_one: Any) -> None:
    validator = Draft202012Validator(schema)
    accepts = quick.accepts(schema)
    assert (accepts(good_one), accepts(bad_one)) == (True, False)
    assert (validator.is_valid(good_one), validator.is_valid(bad_one)) == (True, False)
    # Keywords say nothing of what is of another type.
    if "type" not in schema and "anyOf" not in schema and "enum" not in schema:
        assert accepts(None)
