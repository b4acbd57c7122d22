"""Images in Compose files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..oci.documents import check_schema
from ..results import FoundImage
from .hints import hints_in, hints_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hints import Finding

_RESOLVED = "give the output of docker compose config"

# The innermost variable that has a default: Compose specification, Interpolation. \x24 is the dollar sign.
_DEFAULT = re.compile(r"\x24\{[A-Za-z_]\w*:?-([^{}\x24]*)\}", re.ASCII)
_LONGEST = 4096


def is_compose(value: object) -> bool:
    """Say whether a document is a Compose file: it has services, or just includes other files."""
    if not isinstance(value, dict) or "apiVersion" in value:
        return False
    return isinstance(value.get("services"), dict) or {"include"} <= value.keys() <= {"include", "name", "version"}


def images_in(value: dict[str, Any], where: str) -> Iterator[Finding]:
    """Yield the images of a Compose file's services, and warnings about what is not known.

    Args:
        value: the document.
        where: its file.

    Raises:
        ContentError: it breaks the schema of such files.
    """
    check_schema(value, "compose", where)
    if "include" in value:
        yield f"{where}: what it includes is not read: {_RESOLVED}"
    for name, service in value.get("services", {}).items():
        if service:
            yield from _in_service(service, f"{where}: services.{name!s:.100}")


def _in_service(service: dict[str, Any], place: str) -> Iterator[Finding]:
    extended = service.get("extends")
    if service.get("image"):
        yield from _image(service["image"], f"{place}.image")
    elif "build" in service:
        yield f"{place} is built, and names no image: push what is built to a registry, and name it as image"
    elif isinstance(extended, dict) and "file" in extended:
        yield f"{place} extends a service of another file, which is not read: {_RESOLVED}"
    for position, volume in enumerate(service.get("volumes") or ()):
        if isinstance(volume, dict) and volume.get("type") == "image" and isinstance(volume.get("source"), str):
            yield from _image(volume["source"], f"{place}.volumes[{position}].source")
    yield from hints_in_words([*_words(service.get("entrypoint")), *_words(service.get("command"))], place)
    for variable, text in _environment(service.get("environment")):
        yield from hints_in(text, variable, f"{place}: the variable {variable}")


def _image(text: str, place: str) -> Iterator[Finding]:
    """Yield an image, its variables with their default values."""
    filled, times = text, 1
    while times and len(text) <= _LONGEST:
        filled, times = _DEFAULT.subn(r"\1", filled)
    if filled != text and "$" not in filled:
        yield f"{place}: {text} is taken with its default values; to use others, {_RESOLVED}"
        text = filled
    yield FoundImage(text, place)


def _environment(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((str(name)[:100], text) for name, text in value.items())
    elif isinstance(value, list):
        for line in filter(lambda each: isinstance(each, str), value):
            name, _, text = line.partition("=")
            yield name[:100], text


def _words(value: object) -> list[object]:
    """Return a list; of a text, its words."""
    if isinstance(value, str):
        return list(value.split())
    return value if isinstance(value, list) else []
