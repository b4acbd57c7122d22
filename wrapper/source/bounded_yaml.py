"""YAML of hostile origin: bounded before it is expanded. Needs PyYAML, which need not be installed."""

from __future__ import annotations

import json

import yaml

from ..errors import ContentError
from ..oci.documents import DEPTH

YAML_BYTES = 1024 * 1024
"""The longest document that is read, in bytes: PyYAML takes many times as long as JSON does."""

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
    if len(raw) > YAML_BYTES:
        raise ContentError(f"{what} is longer than {YAML_BYTES} bytes", "write it as JSON, or in parts")
    loader = _Loader(raw, what)
    try:
        return json.dumps(loader.get_single_data()).encode()
    except (yaml.YAMLError, RecursionError, *_OF_TAGS) as error:
        raise ContentError(f"{what} is not YAML that JSON could express: {str(error)[:300]}") from None
    finally:
        loader.dispose()


# What PyYAML raises for `!!int ""`, `!!bool x`, `!!timestamp x` and the like, and json for what it can't write.
_OF_TAGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Loader(yaml.SafeLoader):
    """Makes no node beyond the bounds: nodes are made one by one, while the document is read."""

    def __init__(self, raw: bytes, what: str) -> None:
        super().__init__(raw)
        self._what = what
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        what = f"{self._what}: line {event.start_mark.line + 1}" if event.start_mark else self._what
        self._nodes += 1
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            step = "repeat what it stands for, or use defaults"
            raise ContentError(f"{what}: aliases such as *{event.anchor:.80} are not read", step)
        if self._nodes > NODES:
            raise ContentError(f"{what}: there are more than {NODES} values", "write it as JSON, or in parts")
        if self._depth > DEPTH:
            raise ContentError(f"{what}: it is nested deeper than {DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > SCALAR:
            raise ContentError(f"{what}: a value is longer than {SCALAR} characters")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
