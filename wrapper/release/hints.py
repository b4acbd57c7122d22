"""What may be an image where none is named as such: arguments, environment, fields of custom resources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..oci.reference import Reference
from ..results import FoundImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TRANSPORT = "docker://"

_MOST = 4096
"""A longer text is no reference, in characters."""

_PLACE_LENGTH = 400

_HOST = re.compile(r"[^/]*[.:][^/]*|localhost")
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*")
_PART = re.compile(r"[^\s\"'`,;=(){}\[\]<>|]+")
_BETWEEN = re.compile(r"[\s,;]+")
# In a script, or in a document inside of a document.
_NAMED = re.compile(r"image[\"']?[ \t]*[:=][ \t]*[\"']?([^\s\"',;}]+)", re.IGNORECASE)
# \x24 is the dollar sign.
TEMPLATE = re.compile(r"\{\{|\x24[{(A-Za-z_]|<[^>]*>|%[sv]\b")
"""What stands where somebody was to fill in a value."""


class Hint(NamedTuple):
    """A value that may be an image.

    Attributes:
        reference: the value.
        where: its place.
    """

    reference: str
    where: str


Finding = FoundImage | Hint | str
"""What is found in a document: an image, what may be one, or a warning."""


def may_be_image(text: str, name: str = "") -> bool:
    """Say whether a value looks like the reference of an image.

    Args:
        text: the value.
        name: what it belongs to, such as a variable: with `image` in it, a short reference is enough.
    """
    if not (reference := _reference(text)):
        return False
    exact = bool(reference.tag or reference.digest)
    if "image" in name.lower():
        return exact or "/" in reference.name
    host, slash, _ = reference.name.partition("/")
    return exact and bool(slash) and _HOST.fullmatch(host) is not None


def hints_in_words(words: Iterable[object], place: str) -> Iterator[Hint]:
    """Yield each value in a container's command and arguments that may be an image which the container starts.

    Args:
        words: its command and arguments.
        place: where the container is.
    """
    flag = ""
    for word in (word for word in words if isinstance(word, str)):
        name, equals, value = word.partition("=")
        if equals and _FLAG.fullmatch(name):
            yield from hints_in(value, name, f"{place}: {name}")
        else:
            yield from hints_in(word, flag, f"{place}: {flag or 'an argument'}")
        flag = name if not equals and _FLAG.fullmatch(name) else ""


def hints_in(value: object, name: str, place: str) -> Iterator[Hint]:
    """Yield what may be an image in a value: all of it, a part of it, or an item of it.

    Args:
        value: a text, a list of texts, or an image in parts, as values of charts have it.
        name: what it belongs to, as for `may_be_image`.
        place: where it is.
    """
    if isinstance(value, list):
        for position, each in enumerate(value):
            if isinstance(each, str):
                yield from hints_in(each, name, f"{place}[{position}]")
        return
    if isinstance(value, dict):
        value = _put_together(value)
    if not isinstance(value, str):
        return
    for text in [value] if may_be_image(value, name) else _parts(value, name):
        yield Hint(text.removeprefix(_TRANSPORT), place[:_PLACE_LENGTH])


def _parts(text: str, name: str) -> Iterable[str]:
    """Return the parts of a text that may be images: with their host, or where the text calls them an image."""
    listed = _BETWEEN.split(text.strip())
    if len(listed) > 1 and all(may_be_image(each, name) for each in listed):
        return listed
    whole = [each.rstrip(".:") for each in _PART.findall(text) if "/" in each]
    called = [each for each in _NAMED.findall(text) if ":" in each]
    return dict.fromkeys(
        [each for each in whole if may_be_image(each)] + [each for each in called if may_be_image(each, "image")]
    )


def _put_together(image: dict[object, object]) -> str:
    """Return the reference of an image that is given in parts; empty where that is something else."""
    registry, repository, tag, digest = (image.get(part) for part in ("registry", "repository", "tag", "digest"))
    if not isinstance(repository, str):
        return ""
    name = f"{registry}/{repository}" if registry else repository
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _reference(text: str) -> Reference | None:
    if len(text) > _MOST:
        return None
    try:
        return Reference.parse(f"{_TRANSPORT}{text.removeprefix(_TRANSPORT)}")
    except UsageError:
        return None
