"""Images in a plain list: one reference a line, comments after `#`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import ContentError, IncrementalError
from ..oci.documents import DOCUMENT_BYTES
from ..oci.reference import registry_reference
from ..results import FoundImage
from .hints import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TRANSPORT = "docker://"
_COMMENT = re.compile(r"(?:^|\s)#.*")


def is_listing(text: str) -> bool:
    """Say whether a text is a list: each line has one word, which is no beginning of YAML or JSON."""
    if len(text) > DOCUMENT_BYTES:
        return False
    lines = [line for line in map(_bare, text.splitlines()) if line]
    return bool(lines) and all(
        len(line.split()) == 1 and not line.endswith(":") and line[0] not in "-.{}[]\"'%&*!|>" for line in lines
    )


def images_in(text: str, where: str) -> Iterator[FoundImage]:
    """Yield the images of a list.

    Args:
        text: the list.
        where: its file.

    Raises:
        ContentError: a line is no reference of an image in a registry, or it is too long.
    """
    if len(text) > DOCUMENT_BYTES:
        raise ContentError(f"{where} is longer than {DOCUMENT_BYTES} bytes", "give it in parts")
    for number, line in enumerate(text.splitlines(), 1):
        if reference := _bare(line):
            yield _image(reference, f"{where}: line {number}")


def images_in_array(references: Sequence[str], where: str) -> Iterator[FoundImage]:
    """Yield the images of a list in JSON or YAML.

    Args:
        references: the list.
        where: its file.

    Raises:
        ContentError: an item is no reference of an image in a registry.
    """
    for position, reference in enumerate(references):
        yield _image(reference.strip(), f"{where}: [{position}]")


def _image(reference: str, place: str) -> FoundImage:
    bare = reference.removeprefix(_TRANSPORT)
    if not TEMPLATE.search(bare):
        try:
            registry_reference(f"{_TRANSPORT}{bare}", "the image")
        except IncrementalError as error:
            step = "write one reference per line" if len(bare.split()) > 1 else error.next_step
            raise ContentError(f"{place}: {error.message.replace(_TRANSPORT, '', 1)}", step) from None
    return FoundImage(bare, place)


def _bare(line: str) -> str:
    return _COMMENT.sub("", line).strip()
