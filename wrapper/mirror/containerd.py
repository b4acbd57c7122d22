"""For containerd: a `hosts.toml` for each registry (containerd's docs/hosts.md).

Mirrors are for a whole registry there, and keep the path of a repository behind a prefix of their own. They are
asked in the order of the file until one has the image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ..oci.reference import DOCKER_HUB
from .folder import ConfigFile
from .mapping import Repository, renamed_notes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from .mapping import MirroredRepository, MirrorMapping

_HUB = f"registry-1.{DOCKER_HUB}"
"""Where Docker Hub answers."""


class Prefix(NamedTuple):
    """What stands before repositories' own paths at a mirror.

    Attributes:
        host: the mirror's host.
        path: the prefix; empty where repositories have their own paths there.
    """

    host: str
    path: str

    def place_of(self, source: Repository) -> Repository:
        """Return where a client looks for a repository that puts this prefix before every path."""
        return Repository(self.host, f"{self.path}/{source.path}".removeprefix("/"))

    def __str__(self) -> str:
        """Write host and path."""
        return f"{self.host}/{self.path}".removesuffix("/")


def path_of(host: str) -> str:
    """Return the path of a registry's file, by the name for which containerd looks first."""
    name, colon, port = host.rpartition(":")
    # Neither a disk for all systems (FAT, exFAT) nor Windows takes a colon.
    return f"certs.d/{f'{name}_{port}_' if colon else host}/hosts.toml"


def endpoints(host: str, *, insecure: bool) -> list[str]:
    """Return where a mirror is asked, in order: without verified TLS, also by plain HTTP, as skopeo does."""
    host = _HUB if host == DOCKER_HUB else host
    return [f"https://{host}", *([f"http://{host}"] if insecure else [])]


def prefixes(repositories: Iterable[MirroredRepository]) -> list[Prefix]:
    """Return what stands before the paths of repositories at their mirrors.

    The longest comes first: it is least likely that images of another registry are there, too.
    """
    found = {_prefix(each.source, mirror) for each in repositories for mirror in each.mirrors}
    return sorted(filter(None, found), key=lambda prefix: (-len(prefix.path), prefix))


def _prefix(source: Repository, mirror: Repository) -> Prefix | None:
    """Return what stands before a repository's own path at a mirror; None where it has another path there."""
    if not f"/{mirror.path}".endswith(f"/{source.path}"):
        return None
    return Prefix(mirror.host, mirror.path.removesuffix(source.path).rstrip("/"))


def render(mapping: MirrorMapping) -> list[ConfigFile]:
    """Return a file for each registry that images come from."""
    taken = {mirror for each in mapping.repositories for mirror in each.mirrors}
    return [
        _hosts(host, repositories, taken, insecure=mapping.insecure)
        for host, repositories in mapping.by_host().items()
    ]


def _hosts(
    host: str, repositories: Sequence[MirroredRepository], taken: Collection[Repository], *, insecure: bool
) -> ConfigFile:
    tables: list[str] = []
    notes = _lost_notes(host, repositories)
    for prefix in prefixes(repositories):
        # A name must not lead to another image. A digest can't.
        found = [each for each in repositories if prefix.place_of(each.source) in each.mirrors]
        doubtful = (*_wrong_notes(prefix, repositories, taken), *renamed_notes(found))
        by_tag = not doubtful and any(each.by_tag for each in found)
        notes += doubtful
        tables += (
            _table(endpoint, prefix.path, by_tag=by_tag, insecure=insecure)
            for endpoint in endpoints(prefix.host, insecure=insecure)
        )
    return ConfigFile(path_of(host), "\n".join(tables), notes)


def _lost_notes(host: str, repositories: Sequence[MirroredRepository]) -> tuple[str, ...]:
    """Say what is not where containerd looks for it: one line in short, and one for each repository."""
    lost = [each for each in repositories if not all(_prefix(each.source, mirror) for mirror in each.mirrors)]
    if not lost:
        return ()
    found = f"{len(repositories) - len(lost)} of {len(repositories)} repositories of {host}"
    short = f"containerd finds {found}: it keeps paths, and others differ at the mirror"
    return (short, *(f"{each.source} is {' and '.join(map(str, each.mirrors))} there" for each in lost))


def _wrong_notes(
    prefix: Prefix, repositories: Iterable[MirroredRepository], taken: Collection[Repository]
) -> tuple[str, ...]:
    """Say where containerd comes upon another image: one line, for the first of these repositories."""
    for each in repositories:
        place = prefix.place_of(each.source)
        if place in taken and place not in each.mirrors:
            return (f"{prefix} is used for digests only: for {each.source} there is another image at {place}",)
    return ()


def _table(endpoint: str, prefix: str, *, by_tag: bool, insecure: bool) -> str:
    url = f"{endpoint}/v2/{prefix}" if prefix else endpoint
    capabilities = ["pull", "resolve"] if by_tag else ["pull"]
    # A JSON string is a TOML string, and a list of them a TOML array.
    lines = [f"[host.{json.dumps(url)}]", f"  capabilities = {json.dumps(capabilities)}"]
    lines += ["  override_path = true"] if prefix else []
    lines += ["  skip_verify = true"] if insecure and url.startswith("https:") else []
    return "\n".join([*lines, ""])
