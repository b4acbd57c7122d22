"""Images in Kubernetes manifests, rendered: in pods and templates of pods, whatever object they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..oci.documents import check_schema
from ..results import FoundImage
from .hints import hints_in, hints_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hints import Finding, Hint

    # The way to a value: the way to what it is in, and its name or position there.
    Way = tuple["Way | None", str | int]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_VOLUMES = ("volumes",)
_ENVIRONMENT = ("env",)
# It holds no image, but descriptions of fields, with examples.
_DEFINITION = "CustomResourceDefinition"
# What a cluster writes there itself is no wish.
_NOT_ASKED_FOR = ("metadata", "status")
_PLACE_LENGTH = 300


class _Node(NamedTuple):
    """A JSON object in a document: its fields, the way to it, its place, and whether it is a manifest's."""

    fields: dict[object, object]
    way: Way | None
    place: str
    is_object: bool


def images_in(value: object, where: str) -> Iterator[Finding]:
    """Yield the images that the objects of a document name, and what else may be one.

    Args:
        value: the document.
        where: its file and line.

    Raises:
        ContentError: a container's image is no text.
    """
    for node in _nodes(value, where):
        fields, place = node.fields, node.place
        read: tuple[str, ...] = ()
        if _is_in(node.way, _CONTAINERS):
            check_schema(fields, "container", place)
            if isinstance(fields.get("image"), str):
                yield FoundImage(str(fields["image"]), f"{place}.image")
                read = ("image", "command", "args")
            yield from hints_in_words([*_list(fields, "command"), *_list(fields, "args")], place)
        elif node.way and node.way[1] == "image" and _is_in(node.way[0], _VOLUMES):
            if isinstance(fields.get("reference"), str):
                yield FoundImage(str(fields["reference"]), f"{place}.reference")
                read = ("reference",)
        elif _is_in(node.way, _ENVIRONMENT):
            name = f"{fields.get('name')!s:.100}"
            yield from hints_in(fields.get("value"), name, f"{place}: the variable {name}")
            continue
        for field, text in fields.items():
            if field not in read:
                at = f"{place}{'.' if node.way else ': '}{field!s:.100}"
                yield from _hints(text, str(field), at, is_object=node.is_object)


def _hints(value: object, name: str, place: str, *, is_object: bool) -> Iterator[Hint]:
    """Yield what may be an image in a field; that of any other document only if it is called an image."""
    if name.lower().endswith(("image", "images")):
        yield from hints_in(value, name, place)
    elif is_object and not isinstance(value, dict):
        yield from hints_in(value, "", place)


def _nodes(value: object, where: str) -> Iterator[_Node]:
    """Yield all objects in a value, in their order, but definitions of resources."""
    waiting: list[tuple[object, Way | None, str]] = [(value, None, where)]
    while waiting:
        node, way, title = waiting.pop()
        children: list[tuple[object, object]] = []
        if isinstance(node, dict):
            children = list(node.items())
            if isinstance(node.get("kind"), str) and "apiVersion" in node:
                if node["kind"] == _DEFINITION:
                    continue
                metadata = node.get("metadata")
                name = metadata.get("name", "") if isinstance(metadata, dict) else ""
                title, way = f"{where}: {node['kind']:.60} {name!s:.100}".rstrip(), None
            if way is None or {"metadata", "spec", "status"} <= node.keys():
                children = [(key, child) for key, child in children if key not in _NOT_ASKED_FOR]
            yield _Node(node, way, _place(title, way), title != where)
        elif isinstance(node, list):
            children = list(enumerate(node))
        waiting += [
            (child, (way, key if isinstance(key, int) else str(key)), title)
            for key, child in reversed(children)
            if isinstance(child, (dict, list))
        ]


def _place(title: str, way: Way | None) -> str:
    path, length = "", 0
    while way and length < _PLACE_LENGTH:
        way, key = way
        path = (f"[{key}]" if isinstance(key, int) else f".{key:.60}") + path
        length = len(path)
    return f"{title}: {'...' if way else ''}{path.removeprefix('.')}" if path else title


def _is_in(way: Way | None, lists: tuple[str, ...]) -> bool:
    """Say whether the way leads to an item of a list with one of these names."""
    return bool(way and isinstance(way[1], int) and way[0] and way[0][1] in lists)


def _list(container: dict[object, object], name: str) -> list[object]:
    value = container.get(name)
    return value if isinstance(value, list) else []
