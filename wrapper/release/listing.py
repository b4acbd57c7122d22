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
    from collections.abc import Iterator

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
        if not (reference := _bare(line)):
            continue
        place = f"{where}: line {number}"
        bare = reference.removeprefix("docker://")
        if not TEMPLATE.search(bare):
            try:
                registry_reference(f"docker://{bare}", "the image")
            except IncrementalError as error:
                raise ContentError(f"{place}: {error.message}", error.next_step) from None
        yield FoundImage(bare, place)


def _bare(line: str) -> str:
    return _COMMENT.sub("", line).strip()
