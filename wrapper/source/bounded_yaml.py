"""YAML of hostile origin: bounded before it is expanded. Needs PyYAML, which need not be installed."""

from __future__ import annotations

import json

import yaml

from ..errors import ContentError
from ..oci.documents import DEPTH

YAML_BYTES = 1024 * 1024
"""The longest document that is read, in bytes: PyYAML takes many times as long as JSON does."""

FOREIGN_BYTES = 4 * 1024 * 1024
"""The longest one of another tool: dashboards of a cluster are one document of more than a mebibyte."""

NODES = 100_000
"""How many values and names a document may hold."""

SCALAR = 8192
"""How long one of them may be, in characters: of digits by sixties PyYAML makes a number, in quadratic time."""


def json_from_yaml(raw: bytes, what: str) -> bytes:
    """Return the JSON that means the same as a YAML document.

    Args:
        raw: the bytes.
        what: what they are, for messages.

    Raises:
        ContentError: they are no YAML, or mean what JSON can't; they break one of the bounds above, or are nested
            too deeply; or there is an alias, of which a few hundred bytes can stand for gigabytes.
    """
    _require_short(raw, what, YAML_BYTES)
    try:
        return json.dumps(_read(_Loader(raw, what))).encode()
    except (yaml.YAMLError, RecursionError, *_OF_TAGS) as error:
        raise ContentError(f"{what} is not YAML that JSON could express: {str(error)[:300]}") from None


def value_from_yaml(text: str, what: str, before: int = 0) -> tuple[object, list[str]]:
    """Return what one YAML document of another tool means: there, aliases and long texts are usual.

    An alias counts as all that it stands for, so the value, walked through as a tree, is within the bounds above. A
    tag of the tool's own, such as `!reset`, counts for nothing.

    Args:
        text: the document.
        what: what it is, for messages.
        before: how many lines stand before it in its file.

    Returns:
        The value; and the places of names that are in one mapping twice, which YAML forbids: the last counts.

    Raises:
        ContentError: it is no YAML, or breaks one of the bounds above; or an alias stands for what contains it.
    """
    _require_short(text.encode(errors="replace"), what, FOREIGN_BYTES)
    try:
        loader = _ForeignLoader(text, what, before)
        return _read(loader), loader.repeated
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{what}: line {before + mark.line + 1}" if mark else what
        raise ContentError(f"{place}: it is not YAML: {str(error.problem)[:300]}") from None
    except (yaml.YAMLError, RecursionError, *_OF_TAGS) as error:
        raise ContentError(f"{what} is not YAML: {str(error)[:300]}") from None


def _require_short(raw: bytes, what: str, most: int) -> None:
    if len(raw) > most:
        raise ContentError(f"{what} is longer than {most} bytes", "write it as JSON, or in parts")


def _read(loader: _Loader) -> object:
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


# What PyYAML raises for `!!int ""`, `!!bool x`, `!!timestamp x` and the like, and json for what it can't write.
_OF_TAGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_MERGE = "<<"


class _Loader(yaml.SafeLoader):
    """Makes no node beyond the bounds: nodes are made one by one, while the document is read."""

    def __init__(self, raw: bytes | str, what: str, before: int = 0) -> None:
        super().__init__(raw)
        self._what, self._before = what, before
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = self._before + event.start_mark.line + 1 if event.start_mark else 0
        what = f"{self._what}: line {line}" if line else self._what
        self._nodes += 1
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            self._nodes += self._nodes_behind(event, what)
        if self._nodes > NODES:
            raise ContentError(f"{what}: there are more than {NODES} values", "write it as JSON, or in parts")
        if self._depth > DEPTH:
            raise ContentError(f"{what}: it is nested deeper than {DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > SCALAR and not self._may_be_long(event):
            raise ContentError(f"{what}: a value is longer than {SCALAR} characters")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _nodes_behind(self, alias: yaml.AliasEvent, what: str) -> int:
        step = "repeat what it stands for, or use defaults"
        raise ContentError(f"{what}: aliases such as *{alias.anchor:.80} are not read", step)

    def _may_be_long(self, _scalar: yaml.ScalarEvent) -> bool:
        return False


class _ForeignLoader(_Loader):
    """Follows aliases, as far as all that they stand for is within the bounds, and takes long texts."""

    def __init__(self, text: str, what: str, before: int) -> None:
        super().__init__(text, what, before)
        self._sizes: dict[str, int] = {}
        self.repeated: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._nodes
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent) and event.anchor:
            self._sizes[event.anchor] = self._nodes - before
        if isinstance(node, yaml.MappingNode) and isinstance(event, yaml.MappingStartEvent):
            self._find_repeated(node)
        if node and node.tag.startswith("!"):
            value = node.value if isinstance(node, yaml.ScalarNode) else None
            node.tag = self.resolve(type(node), value, (True, False))  # type: ignore[no-untyped-call]
        return node

    def _find_repeated(self, mapping: yaml.MappingNode) -> None:
        names = [key for key, _ in mapping.value if isinstance(key, yaml.ScalarNode) and key.value != _MERGE]
        if len({name.value for name in names}) == len(names):
            return
        before = set()
        for name in names:
            if name.value in before:
                self.repeated.append(f"line {self._before + name.start_mark.line + 1}: {name.value:.100}")
            before.add(name.value)

    def _nodes_behind(self, alias: yaml.AliasEvent, what: str) -> int:
        if alias.anchor not in self._sizes:
            raise ContentError(f"{what}: *{alias.anchor:.80} stands for nothing before it, or for what contains it")
        return self._sizes[alias.anchor]

    def _may_be_long(self, scalar: yaml.ScalarEvent) -> bool:
        # Quoted, or a block, it is a text, whatever it looks like.
        return scalar.style is not None and scalar.tag is None
