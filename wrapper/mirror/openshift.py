"""For OpenShift: ImageDigestMirrorSet and ImageTagMirrorSet of config.openshift.io/v1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .folder import ConfigFile
from .simple_yaml import to_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .mapping import MirroredRepository, MirrorMapping
    from .simple_yaml import Value

DIGESTS = "openshift/imagedigestmirrorset.yaml"
TAGS = "openshift/imagetagmirrorset.yaml"

_FIELDS = {"ImageDigestMirrorSet": "imageDigestMirrors", "ImageTagMirrorSet": "imageTagMirrors"}


def render(mapping: MirrorMapping) -> list[ConfigFile]:
    """Return both objects; the latter only where tags may be looked up."""
    tagged = [each for each in mapping.repositories if each.by_tag]
    files = (
        _object(mapping, DIGESTS, "ImageDigestMirrorSet", mapping.repositories, _insecure_notes(mapping)),
        _object(mapping, TAGS, "ImageTagMirrorSet", tagged, mapping.digests_only),
    )
    return [file for file in files if file]


def _insecure_notes(mapping: MirrorMapping) -> tuple[str, ...]:
    if not mapping.insecure:
        return ()
    host = mapping.prefix.partition("/")[0]
    return (
        f"OpenShift must be told that {host} is insecure: in image.config.openshift.io/cluster, name it in "
        "spec.registrySources.insecureRegistries",
    )


def _object(
    mapping: MirrorMapping,
    path: str,
    kind: str,
    repositories: Sequence[MirroredRepository],
    notes: tuple[str, ...],
) -> ConfigFile | None:
    if not repositories:
        return None
    entries: list[Value] = [
        {"source": str(each.source), "mirrors": [str(mirror) for mirror in each.mirrors]} for each in repositories
    ]
    body: dict[str, Value] = {
        "apiVersion": "config.openshift.io/v1",
        "kind": kind,
        # Objects for two mirrors must not replace each other.
        "metadata": {"name": re.sub("[^a-z0-9]+", "-", mapping.prefix.lower()).strip("-")[:253].strip("-")},
        "spec": {_FIELDS[kind]: entries},
    }
    return ConfigFile(path, to_yaml(body), notes)
