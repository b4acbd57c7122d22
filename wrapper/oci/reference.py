"""References to images, as skopeo takes them: `transport:details`; a bare name means `docker://`.

`manifest:FILE`, `receipt:FILE` and `sent:FILE` are ours: bases of which nothing is known but which layers they
have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UsageError
from .mistakes import NamedFile, named_file, refuse_file
from .transports import TRANSPORTS, near_transport, unknown_transport

DOCKER_HUB = "docker.io"
"""Where a name without a host is."""

DEFAULT_TAG = "latest"
"""Which tag is meant where none is given."""

# The grammar of github.com/distribution/reference, the one that skopeo and the registries use.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:(?P<host>{_HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME_LENGTH = 255


def is_tag(text: str) -> bool:
    """Say whether `text` may be a tag (distribution's grammar)."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Say whether `text` is a sha256 digest, `sha256:` and 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def is_bundle_name(text: str) -> bool:
    """Say whether `text` may be the name of an image in a bundle: `component/component:tag`, the tag optional."""
    name, colon, tag = text.partition(":")
    # It comes from outside, and may be of any length: that is looked at first.
    fits = len(name) <= _NAME_LENGTH and re.fullmatch(rf"{_COMPONENT}(?:/{_COMPONENT})*", name)
    return bool(fits) and (is_tag(tag) if colon else True)


def with_tag(repository: str, tag: str | None) -> str:
    """Return what people call an image, whatever its registry is, such as `team/app:2`."""
    return f"{repository}:{tag or DEFAULT_TAG}"


def title_in_bundle(name: str) -> str:
    """Return what people call an image that has this name in a bundle: the same, with a tag."""
    repository, _, tag = name.partition(":")
    return with_tag(repository, tag)


def title_of(text: str) -> str | None:
    """Return what people call an image that another tool names, with or without a host, such as `team/app:2`.

    Returns:
        Repository and tag without the host, as `Reference.title`; None for a word alone, which may be a tag or an
        image's ID, and for what names no image.
    """
    if "/" not in text and ":" not in text:
        return None
    try:
        return Reference.parse(f"docker://{text}").title
    except UsageError:
        return None


def repository_of(name: str | None) -> str | None:
    """Return the name of an image in a bundle without its tag."""
    return name.partition(":")[0] if name else None


@dataclass(frozen=True)
class Reference:
    """One image in one place.

    Attributes:
        transport: skopeo's name of the place's kind, such as `docker` or `oci-archive`.
        name: for `docker`, host and repository as they were given; for the others all the details.
        tag: the tag, for `docker` only.
        digest: the digest that pins it, for `docker` only.
    """

    transport: str
    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference.

        Args:
            text: `transport:details`, or a bare name, which means `docker://`.

        Returns:
            The reference. A `docker` name may have a tag, a digest, or both (the digest counts).

        Raises:
            UsageError: it is malformed, its transport is unknown, or it begins with `-`; or a bare name is that of
                a file.
        """
        if not text or text.startswith("-"):
            raise UsageError(f"'{text}' is not an image reference", "write it as docker://HOST/NAME:TAG")
        if not text.isprintable():
            raise UsageError(f"'{text}' has characters that a reference must not have")
        transport, colon, details = text.partition(":")
        if colon and details.startswith("//"):
            if transport in TRANSPORTS and transport != "docker":
                raise UsageError(f"'{text}' has two slashes too many", f"write {transport}:{details[2:]}")
            if transport != "docker":
                raise unknown_transport(text)
            return cls._parse_docker(details[2:], text)
        if colon and transport == "docker":
            raise UsageError(f"'{text}' lacks two slashes", f"write docker://{details.lstrip('/')}")
        if colon and transport in TRANSPORTS:
            if not details:
                raise UsageError(f"'{text}' names no place after '{transport}:'")
            return cls(transport, details)
        refuse_file(text)
        return cls._parse_docker(text, text)

    @classmethod
    def _parse_docker(cls, details: str, text: str) -> Reference:
        if " " in text:
            raise UsageError(f"'{text}' has a space in it", "write it as docker://HOST/NAME:TAG")
        rest, at, digest = details.partition("@")
        if at and not is_digest(digest):
            raise UsageError(f"'{text}' has a malformed digest", "a digest is sha256: and 64 digits, 0-9 and a-f")
        name, tag = rest, None
        if ":" in rest.rpartition("/")[2]:
            name, _, tag = rest.rpartition(":")
            if not is_tag(tag):
                raise UsageError(
                    f"'{text}' has a malformed tag '{tag}'",
                    "a tag is 1 to 128 letters, digits, '_', '.' and '-', and begins with a letter, a digit or '_'",
                )
        if len(name) > _NAME_LENGTH or not _NAME.fullmatch(name):
            if details == text and near_transport(text):
                raise unknown_transport(text)
            hint = (
                "a repository's name must be lower case"
                if name != name.lower()
                else "write it as docker://HOST/NAME:TAG"
            )
            raise UsageError(f"'{text}' is not an image reference", hint)
        return cls("docker", name, tag, digest or None)

    @property
    def registry(self) -> str:
        """The registry's host, with its port if it has one: the key of an auth file."""
        host, slash, _ = self.name.partition("/")
        if slash and ("." in host or ":" in host or host == "localhost" or host != host.lower()):
            return host
        return DOCKER_HUB

    @property
    def repository(self) -> str:
        """The repository's path, without the host; what Docker Hub calls `library/` goes without that."""
        host, slash, rest = self.name.partition("/")
        path = rest if slash and host == self.registry else self.name
        return path.removeprefix("library/") if self.registry == DOCKER_HUB else path

    @property
    def title(self) -> str:
        """What people call it, for `docker` only: `team/app:2`; without a tag where only a digest is given.

        The host is no part of it: an image is called the same in a mirror.
        """
        return self.repository if self.digest and not self.tag else with_tag(self.repository, self.tag)

    def is_beside(self, other: Reference) -> bool:
        """Say whether another reference leads to the same repository."""
        own = (self.transport, self.registry, self.repository)
        return own == (other.transport, other.registry, other.repository)

    def pinned(self, digest: str) -> Reference:
        """Return the same repository at `digest`, without a tag: skopeo refuses both at once.

        Raises:
            UsageError: it is no digest, and would lead elsewhere.
        """
        if not is_digest(digest):
            raise UsageError(f"'{digest:.100}' is not a digest")
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Reference:
        """Return the same repository at `tag`, without a digest.

        Raises:
            UsageError: it is no tag, and would lead elsewhere.
        """
        if not is_tag(tag):
            raise UsageError(f"'{tag:.200}' is not a tag")
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        """Write it as skopeo takes it, the tag left out where there is a digest."""
        if self.transport != "docker":
            return f"{self.transport}:{self.name}"
        if self.digest:
            return f"docker://{self.name}@{self.digest}"
        return f"docker://{self.name}" + (f":{self.tag}" if self.tag else "")


def path_and_tag(reference: Reference) -> tuple[Path, str | None]:
    """Split the details of `oci:` or `oci-archive:` as skopeo does: a colon ends the path."""
    path, _, tag = reference.name.partition(":")
    return Path(path), tag or None


def file_meant(text: str) -> NamedFile | None:
    """Return the file that a text without a transport means, as `named_file`; None where it is a reference."""
    transport, colon, details = text.partition(":")
    return None if colon and (details.startswith("//") or transport in TRANSPORTS) else named_file(text)


def require_repository(reference: Reference) -> None:
    """Refuse a registry's host alone, which would be taken for an image of Docker Hub.

    Raises:
        UsageError: the reference names no repository.
    """
    name = reference.name
    if reference.transport == "docker" and "/" not in name and ("." in name or name == "localhost"):
        raise UsageError(
            f"{reference} names a registry, and no repository in it", "write docker://HOST/NAME:TAG with a NAME"
        )


def registry_reference(reference: Reference | str, what: str) -> Reference:
    """Read a reference that must be a registry's.

    Args:
        reference: the reference.
        what: what it is for, such as "the base".

    Raises:
        UsageError: it is malformed, or of another transport.
    """
    if isinstance(reference, str):
        if (file := file_meant(reference)) and file.exists and file.reference:
            raise UsageError(
                f"{what} {reference} is a file, and not in a registry",
                f"give docker://HOST/NAME:TAG; a file can be a base: `base` {file.reference}",
            )
        reference = Reference.parse(reference)
    if reference.transport != "docker":
        raise UsageError(f"{what} {reference} is not in a registry", "give docker://HOST/NAME:TAG")
    require_repository(reference)
    return reference
