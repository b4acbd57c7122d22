"""How references begin, and what is said of a text that begins as none does: misspelled, or a web address."""

from __future__ import annotations

import re

from ..errors import UsageError

TRANSPORTS = (
    "containers-storage",
    "dir",
    "docker",
    "docker-archive",
    "docker-daemon",
    "manifest",
    "oci",
    "oci-archive",
    "receipt",
    "sent",
)

# Pages in a browser that are about an image, and how the image is called.
_PAGES = (
    (re.compile(r"hub\.docker\.com/_/([^/]+).*"), r"docker.io/library/\1"),
    (re.compile(r"hub\.docker\.com/r/([^/]+/[^/]+).*"), r"docker.io/\1"),
    (re.compile(r"quay\.io/repository/([^/]+/[^/]+).*"), r"quay.io/\1"),
)
_LIKENESS = 0.8


def near_transport(text: str) -> str | None:
    """Return the transport that a misspelled one before a colon is nearest to; None where it is like none."""
    from difflib import get_close_matches

    transport, colon, _ = text.partition(":")
    near = get_close_matches(transport.lower(), TRANSPORTS, 1, _LIKENESS)
    return near[0] if colon and near else None


def unknown_transport(text: str) -> UsageError:
    """Return the error for a text that begins with a transport that there is not."""
    transport, _, details = text.partition(":")
    rest = details.removeprefix("//")
    if transport.lower() in ("http", "https"):
        return UsageError(
            f"'{text}' is a web address, and not an image reference",
            f"write it as docker://HOST/NAME:TAG, such as docker://{_image_of_page(rest)}",
        )
    step = "write a registry's image as docker://HOST/NAME:TAG"
    if near := near_transport(text):
        step = f"write {near}:{'//' if near == 'docker' else ''}{rest}"
    slashes = details[: len(details) - len(rest)]
    return UsageError(f"'{text}' has the unknown transport '{transport}:{slashes}'", step)


def _image_of_page(address: str) -> str:
    address = re.split(r"[?#]", address)[0].strip("/")
    for page, name in _PAGES:
        if page.fullmatch(address):
            return page.sub(name, address)
    return address
