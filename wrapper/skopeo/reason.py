"""Reads in a message of skopeo why something failed, apart from how it was called.

skopeo's messages quote references, paths and addresses. A repository may be called `denied`, and a folder
`certificate`: none of that says why anything failed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..oci.transports import TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "·"
"""Stands in a reason for whatever was a name."""

# skopeo 1.9 gives the beginning of an answer's body without quotes.
_REFERENCE = re.compile(r"docker://([^@]+?)(?::[^/:@]+)?(?:@.*)?")
_BODY = re.compile(r"(StatusCode: \d{3}),.*", re.DOTALL)
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|(?<!\w)'[^']*'(?!\w)""")
_TRANSPORT = re.compile(rf"({'|'.join(TRANSPORTS)}):(?!//)")
# Addresses; absolute paths; and names in a registry, whose host has a dot or a port.
_ADDRESS = re.compile(
    r"\S+://\S+|(?<!\S)/\S+|(?<![\w/.:-])(?:localhost|\[[\da-fA-F:]+\]|[\w-]*[.:][\w.:-]*)[\d:]*/\S*"
)
_PLACE = re.compile(rf"(?<!\w)({'|'.join(TRANSPORTS)}):\S+")
# Where skopeo and Go put a name without anything around it.
_IN_CONTEXT = re.compile(
    r"\b((?:read|upload|writ|delet)ing manifest|container registry|registry(?= \S+ is blocked)|lookup"
    r"|destination repository) [^\s,]+?(?=[:,]?(?:\s|$))"
)
_BEFORE_A_HOST = r"\b(in|registry) "
_BEFORE_A_REPOSITORY = r"\b((?:repository|repo|artifact|project|namespace):?) "


def reason(message: str, arguments: Sequence[str] = ()) -> str:
    """Return a message with `NAME` in place of every name, path, address and body in it.

    Args:
        message: what skopeo said.
        arguments: what it was given, and what else it may name, such as the folder that it ran in.
    """
    text = _BODY.sub(r"\1", message)
    references = [found[1] for each in arguments if (found := _REFERENCE.fullmatch(each))]
    paths = [each.rpartition("=")[2] if each.startswith("--") else each for each in arguments]
    unmistakable = [*arguments, *references, *(path for path in paths if path.startswith("/"))]
    for known in sorted((each for each in unmistakable if "/" in each[1:]), key=len, reverse=True):
        text = re.sub(rf"{re.escape(known)}(?![\w-])", _without_name(known), text)
    text = _QUOTED.sub(_without_quoted, text)
    text = _PLACE.sub(rf"\1:{NAME}", _ADDRESS.sub(NAME, text))
    text = _IN_CONTEXT.sub(rf"\1 {NAME}", text)
    for reference in references:
        host, *parts = reference.split("/")
        text = re.sub(rf"{_BEFORE_A_HOST}{re.escape(host)}(?![\w-])", rf"\1 {NAME}", text)
        # What a registry says by itself names it with or without what comes before.
        for name in ("/".join([host, *parts]), "/".join(parts), *parts):
            called = rf"{re.escape(name)}(?:[:@][\w.:-]+)?(?![\w-])(?! not known)"
            text = re.sub(_BEFORE_A_REPOSITORY + called, rf"\1 {NAME}", text)
    return text


def _without_quoted(found: re.Match[str]) -> str:
    return _without_name(found[0][1:])


def _without_name(text: str) -> str:
    """Return what stands in place of a name: of a reference that is not in a registry its transport stays."""
    transport = _TRANSPORT.match(text)
    return f"{transport[1]}:{NAME}" if transport else NAME
