"""What kind of thing a referrer is: a signature, an attestation, an SBOM. Its maker says so; nothing checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..oci.manifest import Index, Manifest
from ..results import ATTESTATION, LIST, OTHER, SBOM, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..oci.manifest import FetchedManifest
    from .contents import NamedImage

_TAGS = {".sig": SIGNATURE, ".att": ATTESTATION, ".sbom": SBOM}
"""How cosign's tags end."""

_PREDICATE = "dev.sigstore.bundle.predicateType"
_SIGNED = "https://sigstore.dev/cosign/sign/"
"""By these cosign 3 tells bundles apart, which all have one type: of signatures, and of attestations."""

_TYPES = {
    "application/vnd.dev.cosign.artifact.sig.": SIGNATURE,
    "application/vnd.dev.cosign.simplesigning.": SIGNATURE,
    "application/vnd.cncf.notary.signature": SIGNATURE,
    "application/vnd.dev.sigstore.bundle": SIGNATURE,
    "application/vnd.dev.cosign.artifact.att.": ATTESTATION,
    "application/vnd.in-toto": ATTESTATION,
    "application/vnd.dsse.": ATTESTATION,
    "application/vnd.dev.cosign.artifact.sbom.": SBOM,
    "application/spdx": SBOM,
    "text/spdx": SBOM,
    "application/vnd.cyclonedx": SBOM,
    "application/vnd.syft": SBOM,
}
"""How media types begin: of artifacts, of configs, or of layers."""


def kind_of(named: NamedImage) -> str:
    """Return the kind of a referrer, one of `results.KINDS`: by its tag, else by what it says itself."""
    ends = [kind for end, kind in _TAGS.items() if (named.name or "").endswith(end)]
    root = named.image.root
    if not ends and isinstance(root.parsed, Index) and not root.parsed.artifact_type:
        return LIST
    return ends[0] if ends else kind_of_manifest(root)


def kind_of_manifest(node: FetchedManifest) -> str:
    """Return the kind of a referrer by what its manifest says: its type, else those of its config and layers."""
    predicate = node.parsed.annotations.get(_PREDICATE, "")
    if predicate:
        return SIGNATURE if predicate.startswith(_SIGNED) else ATTESTATION
    for media_type in _media_types(node.parsed):
        for start, kind in _TYPES.items():
            if media_type.startswith(start):
                return kind
    return OTHER


def kinds_in(named: NamedImage) -> list[str]:
    """Return the kinds of what travels with a referrer: of a list, those of what it names."""
    kind = kind_of(named)
    return [kind_of_manifest(leaf) for leaf in named.image.leaves] if kind == LIST else [kind]


def _media_types(parsed: Manifest | Index) -> Iterator[str]:
    yield parsed.artifact_type
    if isinstance(parsed, Manifest):
        yield parsed.config.media_type
        yield from (layer.media_type for layer in parsed.layers)
