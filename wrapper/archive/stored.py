"""Archives that stand in a registry: an artifact (OCI image specification 1.1) whose layers are an archive's blobs.

Whoever reads it has the same archive again, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..delta.artifact import BLOB_TYPE, EMPTY_CONFIG, EMPTY_TYPE
from ..errors import ContentError, UsageError
from ..host.space import INCREDIBLE
from ..oci.documents import DOCUMENT_BYTES, OURS, check_schema, parse_document
from ..oci.layout import LAYOUT_FILE, canonical_json, descriptor
from ..oci.manifest import OCI_MANIFEST, Manifest, digest_of
from .docker import docker_manifest
from .documents import read_contents
from .writer import ArchiveLayout, write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..oci.layout import Layout
    from ..oci.manifest import FetchedManifest
    from .contents import ArchiveContents

STORED_TYPE = "application/vnd.skopeo-incremental.archive.v1"
_INDEX_TYPE = "application/vnd.skopeo-incremental.archive.index.v1+json"
# Registries look into what they know: manifests and configs stand here as blobs like others.
_DOCUMENT_TYPE = "application/vnd.skopeo-incremental.archive.document.v1"


def make_stored(index: bytes, sizes: Mapping[str, int], contents: ArchiveContents) -> bytes:
    """Return the manifest of an archive that is to stand in a registry.

    Args:
        index: the bytes of its `index.json`.
        sizes: digest and size in bytes of every blob.
        contents: what it holds: the image that it has is the artifact's subject.

    Raises:
        UsageError: it holds several.
    """
    root = contents.single.image.root
    types = {digest: layer.media_type for named in contents.images for digest, layer in named.image.layers.items()}
    types = {digest: media_type for digest, media_type in types.items() if media_type != _INDEX_TYPE}
    types |= {delta.blob: BLOB_TYPE for delta in contents.deltas.values()}
    blobs = {digest_of(index): len(index), **{digest: sizes[digest] for digest in sorted(sizes)}}
    layers = [
        descriptor(_INDEX_TYPE if number == 0 else types.get(digest, _DOCUMENT_TYPE), digest, size)
        for number, (digest, size) in enumerate(blobs.items())
    ]
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": STORED_TYPE,
            "config": descriptor(EMPTY_TYPE, digest_of(EMPTY_CONFIG), len(EMPTY_CONFIG)),
            "layers": layers,
            "subject": descriptor(root.media_type, root.digest, root.size),
        }
    )


def is_stored(raw: bytes) -> bool:
    """Say whether a manifest is one of such archives."""
    try:
        return parse_document(raw, "a manifest").get("artifactType") == STORED_TYPE
    except ContentError:
        return False


class Stored(NamedTuple):
    """An archive that stands in a registry.

    Attributes:
        index_digest: the digest of its `index.json`.
        sizes: digest and size in bytes of every blob, that one among them.
    """

    index_digest: str
    sizes: Mapping[str, int]


def read_stored(root: FetchedManifest, what: str) -> Stored:
    """Read what `make_stored` made.

    Args:
        root: the manifest, of hostile origin.
        what: what to call it in messages.

    Raises:
        UsageError: it is something else.
        ContentError: it breaks its schema.
    """
    document = parse_document(root.raw, what)
    if document.get("artifactType") != STORED_TYPE or not isinstance(root.parsed, Manifest):
        raise UsageError(
            f"{what} is not an archive",
            "store an archive in a registry with push and `as_delta`, or give the file of an archive",
        )
    check_schema(document, "stored-archive", what)
    layers = root.parsed.layers
    (index,) = (layer.digest for layer in layers if layer.media_type == _INDEX_TYPE)
    sizes = {layer.digest: layer.size for layer in layers}
    if len(sizes) != len(layers):
        raise ContentError(f"{what} names a blob twice", "have the archive stored again")
    if sizes[index] > OURS.size:
        raise ContentError(
            f"index.json of {what} is longer than {OURS.size} bytes", "have the archive stored again"
        )
    if sum(sizes.values()) >= INCREDIBLE:
        raise ContentError(f"{what} claims to be {sum(sizes.values())} bytes long, and no archive is")
    return Stored(index, sizes)


def write_stored(stored: Stored, layout: Layout, name: str, out: BinaryIO) -> None:
    """Write the archive again.

    Args:
        stored: what it consists of.
        layout: has all of its blobs, which are what their digests say.
        name: what to call it in messages.
        out: where to write.

    Raises:
        ContentError: it is no archive.
        OSError: it can't be written.
    """
    found = _FetchedDocuments(stored, layout, name)
    docker = docker_manifest(read_contents(found).images, found.sizes)
    write_archive(out, ArchiveLayout(found.index, found.sizes, (), docker), layout.open_blob)


class _FetchedDocuments:
    """What `read_contents` reads of an archive, of one that is to be written again."""

    layout_file = LAYOUT_FILE

    def __init__(self, stored: Stored, layout: Layout, name: str) -> None:
        self.name = name
        self.index = layout.read(stored.index_digest)
        self.sizes = {digest: size for digest, size in stored.sizes.items() if digest != stored.index_digest}
        self._layout = layout

    def read_blob(self, digest: str) -> bytes:
        if digest not in self.sizes:
            raise ContentError(f"{self.name} lacks {digest}, which it names", "have the archive stored again")
        if self.sizes[digest] > DOCUMENT_BYTES:
            raise ContentError(
                f"{digest} of {self.name} is longer than {DOCUMENT_BYTES} bytes: it is not a manifest"
            )
        return self._layout.read(digest)
