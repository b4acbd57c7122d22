"""For k3s and RKE2: `registries.yaml`, whose mirrors rewrite the paths of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .containerd import endpoints, prefixes
from .folder import ConfigFile
from .simple_yaml import to_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .mapping import MirroredRepository, MirrorMapping
    from .simple_yaml import Value

PATH = "k3s/registries.yaml"


def render(mapping: MirrorMapping) -> list[ConfigFile]:
    """Return the file."""
    if not mapping.repositories:
        return []
    hosts = {each.host for repository in mapping.repositories for each in repository.mirrors}
    mirrors: dict[str, Value] = {
        source: _mirror(repositories, insecure=mapping.insecure)
        for source, repositories in mapping.by_host().items()
    }
    body: dict[str, Value] = {"mirrors": mirrors}
    if mapping.insecure:
        body["configs"] = {host: {"tls": {"insecure_skip_verify": True}} for host in sorted(hosts)}
    return [ConfigFile(PATH, to_yaml(body), tuple(_notes(mapping.repositories)))]


def _mirror(repositories: Sequence[MirroredRepository], *, insecure: bool) -> dict[str, Value]:
    (host,) = {each.host for repository in repositories for each in repository.mirrors}
    mirror: dict[str, Value] = {"endpoint": endpoints(host, insecure=insecure)}
    if rewrite := _rewrites(repositories):
        mirror["rewrite"] = rewrite
    return mirror


def _rewrites(repositories: Sequence[MirroredRepository]) -> dict[str, Value]:
    """Return one rule for all where that is right for all; otherwise one for each repository."""
    # In one registry, other repositories stay where they are: no rule is for all there.
    found = [prefix for prefix in prefixes(repositories) if prefix.host != repositories[0].source.host]
    if len(found) == 1 and all(each.mirrors == (found[0].place_of(each.source),) for each in repositories):
        return {"^(.*)$": f"{found[0].path}/$1"} if found[0].path else {}
    return {f"^{_escaped(each.source.path)}$": each.mirrors[0].path for each in repositories}


def _escaped(path: str) -> str:
    # Of what a path may hold, only this means something else in a pattern. It gets no backslash, because k3s copies
    # patterns as they are into texts of TOML.
    return path.replace(".", "[.]")


def _notes(repositories: Sequence[MirroredRepository]) -> list[str]:
    notes = []
    if several := [each for each in repositories if len(each.mirrors) > 1]:
        notes += [
            "k3s knows one place for a repository: for these it takes the first one",
            *(f"{each.source} is {' and '.join(map(str, each.mirrors))} there" for each in several),
        ]
    if renamed := [line for each in repositories for line in each.renamed]:
        notes += [
            "k3s looks for tags at the mirror, too, and these images have another tag there: name them by digest",
            *renamed,
        ]
    return notes
