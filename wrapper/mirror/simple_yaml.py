"""Writes YAML for people to read, of the few things that mirror files are made of. No PyYAML is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Value = str | bool | Sequence["Value"] | Mapping[str, "Value"]


_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What YAML 1.1 takes for something else than a text."""


def to_yaml(value: Mapping[str, Value]) -> str:
    """Return a mapping as YAML, in its order; empty lists and mappings are written as in JSON.

    Every text is written as in JSON, which YAML 1.2 takes for the same text: no word becomes a number or a boolean.
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Value) -> Iterator[str]:
    if isinstance(value, (str, bool)) or not value:
        yield json.dumps(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            inner = list(_lines(each))
            if isinstance(each, (str, bool)) or not each:
                yield f"{_key(key)}: {inner[0]}"
            else:
                yield f"{_key(key)}:"
                yield from (f"  {line}" for line in inner)
    else:
        for each in value:
            first, *rest = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _key(key: str) -> str:
    plain = key.isascii() and key.isidentifier() and key.lower() not in _WORDS
    return key if plain else json.dumps(key)
