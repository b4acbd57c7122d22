"""Referrers of an image as another tool found them: skopeo can't ask the referrers API of a registry.

Such a file is an OCI image index with `manifests`, as that API itself returns it; or what `oras discover` prints as
JSON (`manifests`, since 1.3 `referrers`, which may hold further ones); or what `regctl artifact list` does
(`descriptors`); or the text that `cosign tree` prints. Only digests are read: a referrer stands in the repository
of its image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, UsageError, host_errors
from ..oci.documents import DOCUMENT_BYTES, check_schema, parse_document, without_mark
from ..oci.layout import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LISTS = ("manifests", "referrers", "descriptors")
_HOW = (
    "write into a file for each image what oras discover or regctl artifact list print as JSON, or what cosign "
    "tree prints"
)

_TREE = b"Supply Chain Security Related "
"""By this the output of `cosign tree` is known: it says so of what it has found, or that there is nothing."""

_IN_TREE = b" artifacts via OCI referrer: "
"""What comes before a referrer's reference in a line of that. Other lines name tags and layers."""

_FINDINGS = (_IN_TREE, b" for an image tag: ", b"No Supply Chain Security Related ")
"""One of these follows the first line of that, which is there, too, when cosign fails."""


def read_discovered(path: str | Path) -> tuple[str, ...]:
    """Read which referrers a file names.

    Args:
        path: the file.

    Returns:
        Their digests, each once, in the file's order.

    Raises:
        UsageError: there is no such file, or it is a folder.
        ContentError: it breaks its schema, and the message names the place, such as `manifests[3].digest`; or it
            has no list of referrers. Of the text of `cosign tree`, `referrers` are the lines that name one.
        HostError: it can't be read.
    """
    path = Path(path)
    what = f"the list of referrers {path}"
    # It may be a pipe.
    if not path.exists() or path.is_dir():
        raise UsageError(f"{what} {'is a folder' if path.is_dir() else 'does not exist'}", _HOW)
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = file.read(DOCUMENT_BYTES + 1)
    if len(raw) > DOCUMENT_BYTES:
        raise ContentError(f"{what} is longer than {DOCUMENT_BYTES} bytes", _HOW)
    raw = without_mark(raw)
    try:
        is_tree = _TREE in raw and not raw.lstrip().startswith(b"{")
        document = parse_document(_json_of_tree(raw, what) if is_tree else raw, what)
    except ContentError as error:
        raise ContentError(error.message, _HOW) from None
    check_schema(document, "discovered", what)
    if not document.keys() & set(_LISTS):
        raise ContentError(f"{what} has no list of referrers: none of {', '.join(_LISTS)}", _HOW)
    return tuple(dict.fromkeys(_digests(document)))


def _json_of_tree(raw: bytes, what: str) -> bytes:
    """Return what `cosign tree` names as a document of ours."""
    if not any(finding in raw for finding in _FINDINGS):
        raise ContentError(f"{what} ends before cosign tree says what it has found: it may have failed")
    references = [line.partition(_IN_TREE)[2] for line in raw.splitlines() if _IN_TREE in line]
    digests = [reference.rpartition(b"@")[2].decode(errors="replace").strip() for reference in references]
    return canonical_json({"referrers": [{"digest": digest} for digest in digests]})


def _digests(node: Mapping[str, Any]) -> Iterator[str]:
    for name in _LISTS:
        # Go writes null for an empty list. Below a referrer, nothing but `referrers` is checked.
        for entry in node.get(name) or ():
            yield entry["digest"]
            yield from _digests({"referrers": entry.get("referrers")})
