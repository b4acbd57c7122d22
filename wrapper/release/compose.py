"""Images in Compose files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results import FoundImage
from .hints import hints_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hints import Finding

_RESOLVED = "give the output of docker compose config"


def is_compose(value: object) -> bool:
    """Say whether a document is a Compose file: it has `services`, and is no Kubernetes object."""
    return isinstance(value, dict) and isinstance(value.get("services"), dict) and "apiVersion" not in value


def images_in(value: dict[str, object], where: str) -> Iterator[Finding]:
    """Yield the images of a Compose file's services, and warnings about what is not known.

    Args:
        value: the document.
        where: its file.
    """
    if "include" in value:
        yield f"{where}: what it includes is not read: {_RESOLVED}"
    services = value["services"]
    assert isinstance(services, dict)  # noqa: S101 - is_compose has looked
    for name, service in services.items():
        place = f"{where}: services.{name!s:.100}"
        if not isinstance(service, dict):
            continue
        if isinstance(service.get("image"), str):
            yield FoundImage(service["image"], f"{place}.image")
        elif "build" in service:
            yield f"{place} is built, and names no image: push what is built to a registry, and name it as image"
        elif "extends" in service:
            yield f"{place} extends another service, which is not read: {_RESOLVED}"
        for position, volume in enumerate(_items(service.get("volumes"))):
            if isinstance(volume, dict) and volume.get("type") == "image" and isinstance(volume.get("source"), str):
                yield FoundImage(volume["source"], f"{place}.volumes[{position}].source")
        words = [*_items(service.get("entrypoint")), *_items(service.get("command"))]
        yield from hints_in(_environment(service.get("environment")), words, place)


def _environment(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((str(name)[:100], text) for name, text in value.items())
    for line in _items(value):
        if isinstance(line, str):
            name, _, text = line.partition("=")
            yield name[:100], text


def _items(value: object) -> list[object]:
    """Return a list; of a text, its words."""
    if isinstance(value, str):
        return list(value.split())
    return value if isinstance(value, list) else []
