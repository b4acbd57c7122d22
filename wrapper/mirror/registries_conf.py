"""For podman, CRI-O, Buildah and skopeo: a drop-in of containers-registries.conf(5), version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .folder import ConfigFile

if TYPE_CHECKING:
    from .mapping import MirroredRepository, MirrorMapping

PATH = "registries.conf.d/50-skopeo-incremental.conf"


def render(mapping: MirrorMapping) -> list[ConfigFile]:
    """Return the drop-in: a table for each repository, so that any name can lead anywhere."""
    tables = (_table(each, insecure=mapping.insecure) for each in mapping.repositories)
    return [ConfigFile(PATH, "\n".join(tables), mapping.digests_only)]


def _table(repository: MirroredRepository, *, insecure: bool) -> str:
    # A JSON string is a TOML string.
    source = json.dumps(str(repository.source))
    lines = ["[[registry]]", f"prefix = {source}", f"location = {source}"]
    if not repository.by_tag:
        # pull-from-mirror says the same, but older clients ignore it, and would look for tags.
        lines.append("mirror-by-digest-only = true")
    for mirror in repository.mirrors:
        lines += ["", "[[registry.mirror]]", f"location = {json.dumps(str(mirror))}"]
        lines += ["insecure = true"] if insecure else []
    return "\n".join([*lines, ""])
