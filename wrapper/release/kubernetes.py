"""Images in Kubernetes manifests, rendered: in pods and templates of pods, whatever object they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results import FoundImage
from .hints import hint, hints_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hints import Finding

    # The way to a value: the way to what it is in, and its name or position there.
    Way = tuple["Way | None", str | int]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_VOLUMES = ("volumes",)
# What a cluster writes there itself is no wish.
_NOT_ASKED_FOR = ("metadata", "status")
_PLACE_LENGTH = 300


def images_in(value: object, where: str) -> Iterator[Finding]:
    """Yield the images that the objects of a document name, and warnings about what may be one.

    Args:
        value: the document.
        where: its file and line.
    """
    for place, way, node in _objects(value, where):
        image, reference = node.get("image"), node.get("reference")
        if _is_in(way, _CONTAINERS) and isinstance(image, str):
            yield FoundImage(image, f"{place}.image")
            yield from hints_in(_environment(node), [*_list(node, "command"), *_list(node, "args")], place)
        elif way and way[1] == "image" and _is_in(way[0], _VOLUMES) and isinstance(reference, str):
            yield FoundImage(reference, f"{place}.reference")
        else:
            for name, text in node.items():
                if isinstance(name, str) and name.lower().endswith("image"):
                    yield from hint(text, name, f"{place}.{name}")


def _objects(value: object, where: str) -> Iterator[tuple[str, Way | None, dict[object, object]]]:
    """Yield all objects in a value, in their order: the place of each, the way to it, and itself."""
    waiting: list[tuple[object, Way | None, str]] = [(value, None, where)]
    while waiting:
        node, way, title = waiting.pop()
        children: list[tuple[object, object]] = []
        if isinstance(node, dict):
            children = list(node.items())
            if isinstance(node.get("kind"), str) and "apiVersion" in node:
                metadata = node.get("metadata")
                name = metadata.get("name", "") if isinstance(metadata, dict) else ""
                title, way = f"{where}: {node['kind']:.60} {name!s:.100}".rstrip(), None
                children = [(key, child) for key, child in children if key not in _NOT_ASKED_FOR]
            yield _place(title, way), way, node
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


def _environment(container: dict[object, object]) -> Iterator[tuple[str, object]]:
    for each in _list(container, "env"):
        if isinstance(each, dict):
            yield str(each.get("name", ""))[:100], each.get("value")


def _list(container: dict[object, object], name: str) -> list[object]:
    value = container.get(name)
    return value if isinstance(value, list) else []
