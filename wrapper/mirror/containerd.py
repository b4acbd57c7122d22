"""For containerd: a `hosts.toml` for each registry (containerd's docs/hosts.md).

A mirror is for a whole registry there, and keeps the path of a repository behind a prefix of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..oci.reference import DOCKER_HUB
from .folder import ConfigFile
from .mapping import Repository, renamed_notes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .mapping import MirroredRepository, MirrorMapping

_HUB = f"registry-1.{DOCKER_HUB}"
"""Where Docker Hub answers."""


class CommonPrefix(NamedTuple):
    """What stands before repositories' own paths at a mirror.

    Attributes:
        host: the mirror's host.
        prefix: the path; empty where repositories have their own paths there.
        left_out: the repositories that are elsewhere, or also elsewhere, at the mirror.
    """

    host: str
    prefix: str
    left_out: tuple[MirroredRepository, ...]

    def place_of(self, source: Repository) -> Repository:
        """Return where a client looks for a repository that puts this prefix before every path."""
        return Repository(self.host, f"{self.prefix}/{source.path}".removeprefix("/"))


def path_of(host: str) -> str:
    """Return the path of a registry's file."""
    return f"certs.d/{host}/hosts.toml"


def endpoints(host: str, *, insecure: bool) -> list[str]:
    """Return where a mirror is asked, in order: without verified TLS, also by plain HTTP, as skopeo does."""
    host = _HUB if host == DOCKER_HUB else host
    return [f"https://{host}", *([f"http://{host}"] if insecure else [])]


def common_prefix(repositories: Sequence[MirroredRepository]) -> CommonPrefix | None:
    """Return what stands before most of the paths at their mirror; None where nothing fits any path."""
    found = Counter(prefix for each in repositories for prefix in _prefixes(each))
    if not found:
        return None
    host, prefix = max(sorted(found), key=lambda each: found[each])
    common = CommonPrefix(host, prefix, ())
    left_out = (each for each in repositories if each.mirrors != (common.place_of(each.source),))
    return common._replace(left_out=tuple(left_out))


def _prefixes(repository: MirroredRepository) -> set[tuple[str, str]]:
    path = f"/{repository.source.path}"
    return {
        (mirror.host, f"/{mirror.path}".removesuffix(path).removeprefix("/"))
        for mirror in repository.mirrors
        if f"/{mirror.path}".endswith(path)
    }


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
    common = common_prefix(repositories)
    if common is None:
        note = f"containerd finds nothing of {host} at the mirror: it keeps paths, and they differ there"
        return ConfigFile(path_of(host), "", (note, *_lines(repositories)))
    found = [each for each in repositories if common.place_of(each.source) in each.mirrors]
    notes = _left_out_notes(host, len(repositories), common.left_out)
    wrong = [each for each in repositories if each not in found and common.place_of(each.source) in taken]
    if wrong:
        notes += (
            f"it is used for digests only: for {wrong[0].source} there is another image at "
            f"{common.place_of(wrong[0].source)}",
        )
    notes += renamed_notes(found)
    # A name must not lead to another image. A digest can't.
    by_tag = not wrong and any(each.by_tag for each in found) and not any(each.renamed for each in found)
    body = (
        _table(endpoint, common.prefix, by_tag=by_tag, insecure=insecure)
        for endpoint in endpoints(common.host, insecure=insecure)
    )
    return ConfigFile(path_of(host), "\n".join(body), notes)


def _left_out_notes(host: str, count: int, left_out: Sequence[MirroredRepository]) -> tuple[str, ...]:
    if not left_out:
        return ()
    found = count - len(left_out)
    short = f"containerd finds {found} of {count} repositories of {host}: it keeps paths, and others differ"
    return (short, *_lines(left_out))


def _table(endpoint: str, prefix: str, *, by_tag: bool, insecure: bool) -> str:
    url = f"{endpoint}/v2/{prefix}" if prefix else endpoint
    capabilities = ["pull", "resolve"] if by_tag else ["pull"]
    # A JSON string is a TOML string, and a list of them a TOML array.
    lines = [f"[host.{json.dumps(url)}]", f"  capabilities = {json.dumps(capabilities)}"]
    lines += ["  override_path = true"] if prefix else []
    lines += ["  skip_verify = true"] if insecure and url.startswith("https:") else []
    return "\n".join([*lines, ""])


def _lines(repositories: Sequence[MirroredRepository]) -> list[str]:
    return [f"{each.source} is {' and '.join(map(str, each.mirrors))} there" for each in repositories]
