"""Images as they were found, and as a spec has them: whole references, each once, with a name of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..oci.reference import DEFAULT_TAG, DOCKER_HUB, Reference
from .hints import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from ..results import FoundImage

_SHORT = 12
"""How many digits of a digest tell images of one tag apart."""

_TAG_LENGTH = 128


class WholeImage(NamedTuple):
    """An image that is known well enough to be pulled.

    Attributes:
        reference: host, repository, and a tag or a digest, or both.
        name: what a bundle calls it already; empty where that is still to be said.
    """

    reference: Reference
    name: str = ""

    @property
    def host(self) -> str:
        """Its registry."""
        return self.reference.name.partition("/")[0]

    @property
    def path(self) -> str:
        """Its repository, without the host."""
        return self.reference.name.partition("/")[2]

    @property
    def text(self) -> str:
        """The reference as a spec has it."""
        tag, digest = self.reference.tag, self.reference.digest
        return self.reference.name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def whole_image(found: FoundImage) -> tuple[WholeImage | None, str]:
    """Write an image out.

    Args:
        found: the image, as somebody wrote it.

    Returns:
        The image, None where it is not known; and what there is to warn of, empty where there is nothing.
    """
    place, text = found.where, found.reference.strip()
    if TEMPLATE.search(text):
        return None, f"{place}: {text} is a template that nobody filled in: it is left out"
    try:
        reference = Reference.parse(f"docker://{text}")
    except UsageError as error:
        return None, f"{place}: {error.message.replace('docker://', '', 1)}: it is left out"
    host = reference.registry
    path = reference.name.removeprefix(f"{host}/")
    assumed = [] if reference.name != path else ["no host"]
    # Another name of it that docker and podman know (distribution's reference: legacyDefaultDomain).
    host = DOCKER_HUB if host == "index.docker.io" else host
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    tag = reference.tag
    if not (tag or reference.digest):
        tag = DEFAULT_TAG
        assumed.append("no tag")
    image = WholeImage(Reference("docker", f"{host}/{path}", tag, reference.digest), found.name)
    warning = f"{place}: {text} has {' and '.join(assumed)}: it is taken for {image.text}" if assumed else ""
    return image, warning


def name_images(images: Iterable[WholeImage]) -> tuple[dict[WholeImage, str], list[str]]:
    """Give each image a name of its own: its repository and tag, and its host only where that is needed.

    Args:
        images: the images, each once.

    Returns:
        The names, sorted; and what there is to warn of.
    """
    ordered = sorted(images, key=lambda image: image.text)
    hosts: dict[str, set[str]] = defaultdict(set)
    for image in ordered:
        if not image.name:
            hosts[image.path].add(image.host)
    warnings = [
        f"{path} is in {' and in '.join(sorted(those))}: in the names, the host stands before it"
        for path, those in sorted(hosts.items())
        if len(those) > 1
    ]
    by_name: dict[str, list[WholeImage]] = defaultdict(list)
    for image in ordered:
        by_name[_name(image, len(hosts[image.path]) > 1)].append(image)
    names = {}
    taken = set(by_name)
    for name, those in by_name.items():
        # That with the tag alone has the name; it is what people mean by it.
        first, *others = sorted(those, key=lambda image: image.reference.digest is not None)
        names[first] = name
        for image in others:
            names[image] = _told_apart(name, image, taken)
            taken.add(names[image])
            warnings.append(f"{name} is also {image.text}: that one is named {names[image]}")
    return dict(sorted(names.items(), key=lambda item: item[1])), warnings


def with_digest(image: WholeImage, digests: Mapping[Reference, str]) -> WholeImage:
    """Return an image with the digest beside its tag, if that is given."""
    digest = digests.get(image.reference, image.reference.digest)
    return image._replace(reference=replace(image.reference, digest=digest))


def merge_images(found: Sequence[tuple[WholeImage, FoundImage]]) -> list[tuple[WholeImage, FoundImage]]:
    """Take images for one that differ in nothing but a name or a tag that one of them lacks.

    Args:
        found: each image, and where it was found.
    """
    named: dict[Reference, WholeImage] = {}
    for image, _ in found:
        if image.name:
            named.setdefault(image.reference, image)
    tagged: dict[Reference, WholeImage] = {}
    for image, _ in found:
        if image.reference.tag and image.reference.digest:
            tagged.setdefault(replace(image.reference, tag=None), named.get(image.reference, image))
    return [
        (image if image.name else named.get(image.reference) or tagged.get(image.reference, image), place)
        for image, place in found
    ]


def _name(image: WholeImage, with_host: bool) -> str:
    if image.name:
        return image.name
    host = re.sub(r"[^a-z0-9.]+", "-", image.host.lower()).strip("-.")
    digest = image.reference.digest or ""
    # sha256-DIGEST would be the tag of its signatures.
    tag = image.reference.tag or f"digest-{digest.partition(':')[2][:_SHORT]}"
    return f"{host}/{image.path}:{tag}" if with_host else f"{image.path}:{tag}"


def _told_apart(name: str, image: WholeImage, taken: Container[str]) -> str:
    digits = (image.reference.digest or sha256(image.text.encode()).hexdigest()).rpartition(":")[2]
    repository, _, tag = name.partition(":")
    short, whole = (
        f"{repository}:{(tag or DEFAULT_TAG)[: _TAG_LENGTH - length - 1]}-{digits[:length]}"
        for length in (_SHORT, len(digits))
    )
    return whole if short in taken else short
