"""What may be an image where none is named as such: arguments, environment, fields of custom resources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..oci.reference import Reference
from ..results import FoundImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST = 4096
"""A longer text is no reference, in characters."""

_PLACE_LENGTH = 400

_HOST = re.compile(r"[^/]*[.:][^/]*|localhost")
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*")
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


def may_be_image(text: object, name: str = "") -> bool:
    """Say whether a value looks like the reference of an image.

    Args:
        text: the value.
        name: what it belongs to, such as a variable: with `image` in it, a short reference is enough.
    """
    if not isinstance(text, str) or len(text) > _MOST:
        return False
    try:
        reference = Reference.parse(f"docker://{text}")
    except UsageError:
        return False
    exact = bool(reference.tag or reference.digest)
    if "image" in name.lower():
        return exact or "/" in text
    host, slash, _ = text.partition("/")
    return exact and bool(slash) and _HOST.fullmatch(host) is not None


def hints_in(environment: Iterable[tuple[str, object]], words: Iterable[object], place: str) -> Iterator[Hint]:
    """Yield each value of a container that may be an image which the container starts.

    Args:
        environment: the names and values of its variables.
        words: its command and arguments.
        place: where the container is.
    """
    flag = ""
    for word in (word for word in words if isinstance(word, str)):
        name, equals, value = word.partition("=")
        if equals and _FLAG.fullmatch(name):
            yield from hint(value, name, f"{place}: {name}")
        else:
            yield from hint(word, flag, f"{place}: {flag or 'an argument'}")
        flag = name if not equals and _FLAG.fullmatch(name) else ""
    for variable, text in environment:
        yield from hint(text, variable, f"{place}: the variable {variable}")


def hint(value: object, name: str, place: str) -> Iterator[Hint]:
    """Yield a value that may be an image.

    Args:
        value: the value.
        name: what it belongs to, as for `may_be_image`.
        place: where it is.
    """
    if may_be_image(value, name):
        yield Hint(str(value), place[:_PLACE_LENGTH])
