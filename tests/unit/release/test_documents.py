from __future__ import annotations

import builtins
import json
import tracemalloc
from typing import Any

import pytest

from wrapper import ContentError, UsageError
from wrapper.release.documents import STREAM_BYTES, documents_in
from wrapper.source.bounded_yaml import FOREIGN_BYTES, NODES


def read(text: str, what: str = "web.yaml") -> list[tuple[object, str]]:
    return [(document.value, document.where) for document in documents_in(text.encode(), what)]


def test_a_stream_of_documents() -> None:
    text = "# Source: a.yaml\n%YAML 1.2\n---\na: 1\n---\n---  # nothing\n\n--- {b: 2}\n...\n---\nc: |\n  ---\n  d\n"
    assert read(text) == [
        ({"a": 1}, "web.yaml: line 3"),
        ({"b": 2}, "web.yaml: line 8"),
        ({"c": "---\nd\n"}, "web.yaml: line 10"),
    ]
    assert read("a: 1\r\n---\r\nb: 2\r\n") == [({"a": 1}, "web.yaml"), ({"b": 2}, "web.yaml: line 2")]
    assert read("\ufeffa: 1") == [({"a": 1}, "web.yaml")]
    assert read("---- a") == [("---- a", "web.yaml")]
    assert read("") == []


def test_json_is_read_as_such() -> None:
    value = {"a": {"Key": 1, "key": 2}}
    assert read(json.dumps(value), "standard input") == [(value, "standard input")]
    assert read(f"\n [{json.dumps(value)}]", "x.json") == [([value], "x.json")]
    assert read("{a: 1}") == [({"a": 1}, "web.yaml")]
    stream = '{"a": 1}\n---\n{"b": 2}\n'
    assert read(stream, "x.json") == [({"a": 1}, "x.json"), ({"b": 2}, "x.json: line 2")]
    with pytest.raises(ContentError, match=r"x.json is not valid JSON: .* line 2 column 1"):
        read('{"a": 1,\n', "x.json")


def test_definitions_of_resources_are_passed_over() -> None:
    # They are longer than a document may be, and hold no image.
    schema = "  - description: a text\n" * (FOREIGN_BYTES // 20)
    text = f"a: 1\n---\napiVersion: x/v1\nkind: CustomResourceDefinition\nspec:\n{schema}---\nb: 2\n"
    assert [value for value, _ in read(text)] == [{"a": 1}, {"b": 2}]


def test_aliases_and_long_texts() -> None:
    text = f"x: &x {{image: nginx}}\ny: {{<<: *x, a: *x}}\nz: |\n  {'long ' * 5000}\n"
    ((value, _),) = read(text)
    assert isinstance(value, dict)
    assert value["y"] == {"image": "nginx", "a": {"image": "nginx"}}
    assert len(value["z"]) > 20_000


def test_names_that_are_there_twice_are_said() -> None:
    merged = "- &x {a: 1}\n- {<<: *x, <<: *x, a: 2}\n"
    for text, value, place in (
        ("a: 1\n---\nb: {c: 1,\n  c: 2}\n---\nd: 1\n", {"b": {"c": 2}}, "line 4: c"),
        ('{"b": {"c": 1, "c": 2}}', {"b": {"c": 2}}, "c"),
        (merged, [{"a": 1}, {"a": 2}], None),
    ):
        found = list(documents_in(text.encode(), "web"))
        assert value in [document.value for document in found]
        said = [each for document in found for each in document.repeated]
        assert said == ([f"web: {place} is there twice in one object: the last one counts"] if place else [])


def test_tags_of_a_tool_count_for_nothing() -> None:
    text = "a: !reset null\nb: !override [1]\nc: !Sub 'x'\nd: !a {b: !c 2}\n"
    assert read(text) == [({"a": None, "b": [1], "c": "x", "d": {"b": 2}}, "web.yaml")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n---\nb: [\n", r"web.yaml: line 4: it is not YAML"),
        ("a: 1\n---\nb: *c\n", r"web.yaml: line 3: \*c stands for nothing before it"),
        ("a: &a [*a]\n", r"web.yaml: line 1: \*a stands for nothing before it, or for what contains it"),
        ("a: !!int ''\n", "web.yaml is not YAML"),
        (
            "a: !!python/object/apply:os.system [echo]\n",
            "line 1: it is not YAML: could not determine a constructor",
        ),
        ("a: \x01\n", "web.yaml is not YAML"),
        ("[" * 5000, "web.yaml is nested too deeply|not valid JSON"),
        ("- " * 5000, "nested deeper than 64 levels"),
        ("{b: " * 100, "nested deeper than 64 levels"),
        (f"a: {'1' * 9000}\n", "line 1: a value is longer than 8192 characters"),
        (f"a: !!int '{'1' * 9000}'\n", "line 1: a value is longer than 8192 characters"),
        ("a: 1\n#" + "x" * FOREIGN_BYTES, f"is longer than {FOREIGN_BYTES} bytes"),
        ('{"a": [' + "1," * 400_001 + "1]}", "more than 400000 values"),
        ("[[" + "1," * 400_001 + "1]]", "more than 400000 values"),
        ('{"a":' + "[" * 100_000, "nested too deeply"),
        ("x" * (STREAM_BYTES + 1), "give it in parts|is longer"),
    ],
    ids=range(16),
)
def test_what_is_hostile_is_refused(text: str, words: str) -> None:
    with pytest.raises(ContentError, match=words):
        read(text)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ContentError, match=r"web.yaml is not UTF-8 at byte 3"):
        list(documents_in(b"a: \xff", "web.yaml"))
    with pytest.raises(ContentError, match=r"web.yaml is not UTF-16 at byte 2"):
        list(documents_in(b"\xff\xfe\x00\xdc", "web.yaml"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_of_windows(encoding: str) -> None:
    found = list(documents_in("a: é\r\n---\r\nb: 2\r\n".encode(encoding), "web.yaml"))
    assert [document.value for document in found] == [{"a": "é"}, {"b": 2}]


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    merging = ["b0: &b0 {k: v}", *(f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 10)}]}}" for n in range(1, 9))]
    tracemalloc.start()
    for each in (lines, merging):
        with pytest.raises(ContentError, match=f"line [56789]: there are more than {NODES} values"):
            read("\n".join(each))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_template_is_told_from_other_yaml() -> None:
    with pytest.raises(ContentError) as told:
        read("a:\n  image: {{ .Values.image }}\n")
    assert told.value.message == "web.yaml: line 2: it is not YAML: found unhashable key"
    assert "render it first" in told.value.next_step


def test_json_needs_no_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name in ("yaml", "source.bounded_yaml"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    assert read('{"a": 1}') == [({"a": 1}, "web.yaml")]
    with pytest.raises(UsageError, match=r"web.yaml is YAML, and PyYAML is not installed"):
        read("a: 1")
