"""What a writer checks: the reader's own rules, on what it is going to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ContentError
from ..oci.documents import OURS
from ..oci.layout import LAYOUT_FILE
from .contents import read_contents
from .reader import MEMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEWER = "pull its images into several archives"


@dataclass(frozen=True)
class _PlannedArchive:
    """An archive that is not written yet, as far as its documents go."""

    name: str
    index: bytes
    sizes: Mapping[str, int]
    documents: Mapping[str, bytes]
    layout_file: bytes = LAYOUT_FILE

    def __contains__(self, digest: str) -> bool:
        return digest in self.sizes

    def blob_size(self, digest: str) -> int:
        return self.sizes[digest]

    def read_blob(self, digest: str) -> bytes:
        return self.documents[digest]


def require_readable(name: str, index: bytes, sizes: Mapping[str, int], documents: Mapping[str, bytes]) -> None:
    """Refuse to write an archive that no reader would take.

    Args:
        name: what to call it in messages.
        index: the bytes of its `index.json`.
        sizes: digest and size in bytes of every blob.
        documents: the manifests and lists among them, by their digests.

    Raises:
        ContentError: as a reader of that archive would raise it.
    """
    if len(index) > OURS.size:
        raise ContentError(f"index.json of {name} would be longer than {OURS.size} bytes", _FEWER)
    if len(sizes) + 2 > MEMBERS:
        raise ContentError(f"{name} would have more than {MEMBERS} members", _FEWER)
    read_contents(_PlannedArchive(name, index, sizes, documents))
