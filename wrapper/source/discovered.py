"""Referrers of an image as another tool found them: skopeo can't ask the referrers API of a registry.

Such a file is an OCI image index with `manifests`, as that API itself returns it; or what `oras discover` prints as
JSON (`manifests`, since 1.3 `referrers`, which may hold further ones); or what `regctl artifact list` does
(`descriptors`). Only digests are read: a referrer stands in the repository of its image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, UsageError, host_errors
from ..oci.documents import DOCUMENT_BYTES, check_schema, parse_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LISTS = ("manifests", "referrers", "descriptors")
_HOW = "let oras discover or regctl artifact list write the file, as JSON"


def read_discovered(path: str | Path) -> tuple[str, ...]:
    """Read which referrers a file names.

    Args:
        path: the file.

    Returns:
        Their digests, each once, in the file's order.

    Raises:
        UsageError: there is no such file.
        ContentError: it breaks its schema, and the message names the place, such as `manifests[3].digest`; or it
            has no list of referrers.
        HostError: it can't be read.
    """
    path = Path(path)
    what = f"the list of referrers {path}"
    if not path.is_file():
        raise UsageError(f"{what} does not exist", _HOW)
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = file.read(DOCUMENT_BYTES + 1)
    document = parse_document(raw, what)
    check_schema(document, "discovered", what)
    if not document.keys() & set(_LISTS):
        raise ContentError(f"{what} has no list of referrers: none of {', '.join(_LISTS)}", _HOW)
    return tuple(dict.fromkeys(_digests(document)))


def _digests(node: Mapping[str, Any]) -> Iterator[str]:
    for name in _LISTS:
        # Go writes null for an empty list. Below a referrer, nothing but `referrers` is checked.
        for entry in node.get(name) or ():
            yield entry["digest"]
            yield from _digests({"referrers": entry.get("referrers")})
