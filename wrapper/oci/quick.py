"""Says of good documents that they are good, without jsonschema: to import that takes as long as a skopeo runs.

It never decides that one is bad: it knows the few keywords that our schemas have, and of what it does not accept
jsonschema decides. Schemas are those of JSON Schema 2020-12.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]

_SILENT = {"$comment", "$defs", "$schema", "default", "description", "examples", "title"}
_TYPES = {"array": list, "boolean": bool, "null": type(None), "object": dict, "string": str}


def accepts(schema: Mapping[str, Any]) -> Check:
    """Return what accepts documents of a schema: most, if not all, and no others.

    Args:
        schema: the schema; what refers to others in it begins with `#/$defs/`.
    """
    try:
        return _Schema(schema).check_of(schema)
    except _UnknownKeywordError:
        return lambda _: False


class _UnknownKeywordError(Exception):
    """The schema says something that is not known here."""


class _Schema:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions = root.get("$defs", {})
        self._checks: dict[str, Check] = {}

    def check_of(self, schema: Any) -> Check:
        if isinstance(schema, bool):
            return lambda _: schema
        # In this order what is long is refused before it is compared with a pattern.
        checks = [self._keyword(name, schema) for name in sorted(schema.keys() - _SILENT)]
        return lambda value: all(check(value) for check in checks)

    def _keyword(self, name: str, schema: Mapping[str, Any]) -> Check:
        told = schema[name]
        if name in _VALUES:
            return _VALUES[name](told)
        if name == "$ref":
            return self._referred(told)
        if name == "anyOf":
            checks = [self.check_of(each) for each in told]
            return lambda value: any(check(value) for check in checks)
        if name == "properties":
            known = {key: self.check_of(each) for key, each in told.items()}
            return _of(dict, lambda value: all(check(value[key]) for key, check in known.items() if key in value))
        if name == "additionalProperties":
            others, names = self.check_of(told), schema.get("properties", {}).keys()
            return _of(dict, lambda value: all(others(value[key]) for key in value.keys() - names))
        if name == "propertyNames":
            check_name = self.check_of(told)
            return _of(dict, lambda value: all(map(check_name, value)))
        if name == "prefixItems":
            first = [self.check_of(each) for each in told]
            return _of(list, lambda value: all(check(each) for check, each in zip(first, value, strict=False)))
        if name == "items":
            check, start = self.check_of(told), len(schema.get("prefixItems", ()))
            return _of(list, lambda value: all(check(each) for each in value[start:]))
        raise _UnknownKeywordError(name)

    def _referred(self, place: str) -> Check:
        name = place.removeprefix("#/$defs/")
        if name == place or name not in self._definitions:
            raise _UnknownKeywordError(place)
        if name not in self._checks:
            # It may refer to itself.
            self._checks[name] = lambda value: self._checks[name](value)
            self._checks[name] = self.check_of(self._definitions[name])
        return lambda value: self._checks[name](value)


def _of(kind: type, check: Check) -> Check:
    """Return a check that says nothing of what is of another type."""
    return lambda value: not isinstance(value, kind) or check(value)


def _is(kind: str, value: object) -> bool:
    if kind == "integer":
        # True is an int to Python alone; what is written as a fraction comes as text.
        return isinstance(value, int) and not isinstance(value, bool)
    return kind in _TYPES and isinstance(value, _TYPES[kind])


def _type(told: str | list[str]) -> Check:
    kinds = [told] if isinstance(told, str) else told
    return lambda value: any(_is(kind, value) for kind in kinds)


def _enum(told: list[object]) -> Check:
    if not all(isinstance(each, (str, int)) for each in told):
        raise _UnknownKeywordError("enum")
    return lambda value: any(type(value) is type(each) and value == each for each in told)


def _number(check: Check) -> Check:
    return lambda value: not _is("integer", value) or check(value)


def _pattern(told: str) -> Check:
    search = re.compile(told).search
    return _of(str, lambda value: search(value) is not None)


def _are_different(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)


_VALUES: dict[str, Callable[[Any], Check]] = {
    "const": lambda told: _enum([told]),
    "enum": _enum,
    "maxItems": lambda told: _of(list, lambda value: len(value) <= told),
    "maxLength": lambda told: _of(str, lambda value: len(value) <= told),
    "maximum": lambda told: _number(lambda value: value <= told),
    "minItems": lambda told: _of(list, lambda value: len(value) >= told),
    "minLength": lambda told: _of(str, lambda value: len(value) >= told),
    "minimum": lambda told: _number(lambda value: value >= told),
    "pattern": _pattern,
    "required": lambda told: _of(dict, lambda value: all(name in value for name in told)),
    "type": _type,
    "uniqueItems": lambda told: _of(list, lambda value: not told or _are_different(value)),
}
