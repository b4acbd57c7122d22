"""An OCI image layout on disk: index, blobs, and the placeholders that keep skopeo from fetching.

Follows the OCI image specification, image-layout.md.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ContentError, host_errors
from ..host.files import alone_in, complete_file, copy_file, holds
from ..host.space import INCREDIBLE
from .documents import check_schema, parse_document
from .manifest import OCI_INDEX, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO


LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"


def canonical_json(document: object) -> bytes:
    """Serialize a JSON document in one way only: the same content gives the same bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """Return a descriptor, as JSON has it (OCI image specification, descriptor.md).

    Args:
        media_type: of the content.
        digest: of the content.
        size: of the content, in bytes.
    """
    return {"mediaType": media_type, "digest": digest, "size": size}


def index_entry(
    media_type: str, digest: str, size: int, name: str | None = None, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return an index's descriptor of an image.

    Args:
        media_type: of its manifest or list.
        digest: of its manifest or list.
        size: of its manifest or list, in bytes.
        name: the tag, where there is one.
        annotations: further ones.
    """
    entry = descriptor(media_type, digest, size)
    if all_annotations := ({REF_NAME: name} if name else {}) | dict(annotations or {}):
        entry["annotations"] = all_annotations
    return entry


def index_document(entries: list[dict[str, Any]], annotations: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of an `index.json`.

    Args:
        entries: the images, each as `index_entry` gives it.
        annotations: of the index itself.
    """
    index: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    if annotations is not None:
        index["annotations"] = dict(annotations)
    return canonical_json(index)


class Layout(NamedTuple):
    """A layout in a folder of our own, which nobody else writes to.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path, index: bytes | None = None) -> Layout:
        """Make a layout in a new folder.

        Args:
            folder: where; it must not exist yet.
            index: the bytes of its `index.json`; one without images by default.

        Raises:
            HostError: the folder cannot be made.
        """
        layout = cls(folder)
        with host_errors(f"cannot write the layout {folder}"):
            (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            (folder / "oci-layout").write_bytes(LAYOUT_FILE)
            (folder / "index.json").write_bytes(index or index_document([]))
        return layout

    @property
    def blobs(self) -> Path:
        """The folder that holds one folder per digest algorithm: what skopeo calls a shared blob folder."""
        return self.folder / "blobs"

    def blob(self, digest: str) -> Path:
        """Return where the blob of a sha256 digest stands, or would."""
        return self.blobs / "sha256" / digest.removeprefix("sha256:")

    def bytes_written(self) -> int:
        """Return how many bytes all files here have together, half-written ones included."""
        total = 0
        # A blob that is complete moves from here to there: looked at in the other order, it might count twice.
        for folder in (self.blobs / "sha256", self.folder):
            for entry in os.scandir(folder):
                # skopeo renames and removes files as we look.
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def read(self, digest: str) -> bytes:
        """Return a small blob, a manifest or config.

        Raises:
            HostError: it can't be read.
        """
        with host_errors(f"cannot read the layout {self.folder}"):
            return self.blob(digest).read_bytes()

    def open_blob(self, digest: str) -> BinaryIO:
        """Open a blob for reading."""
        return self.blob(digest).open("rb")

    def put(self, data: bytes) -> str:
        """Store a blob and return its digest. That it was there already is no error."""
        digest = digest_of(data)
        with host_errors(f"cannot write the layout {self.folder}"):
            self.blob(digest).write_bytes(data)
        return digest

    @contextmanager
    def placeholders(self, layers: Mapping[str, int]) -> Iterator[None]:
        """Let skopeo take layers as present while the block runs.

        Each gets a sparse file of its exact size, which skopeo only stats. They are gone when the block
        ends, however it ends.

        Args:
            layers: digest and size in bytes of each; none of them is here yet.

        Raises:
            ContentError: a size is beyond what any file system holds.
            HostError: the folder cannot be written.
        """
        try:
            for digest, size in layers.items():
                self._place(self.blob(digest), digest, size)
            yield
        finally:
            for digest in layers:
                self.blob(digest).unlink(missing_ok=True)

    def _place(self, path: Path, digest: str, size: int) -> None:
        with host_errors(f"cannot write the layout {self.folder}"), path.open("xb") as file:
            try:
                os.truncate(file.fileno(), size)
            except OSError as error:
                if size < INCREDIBLE or error.errno not in (errno.EFBIG, errno.EINVAL, errno.EOVERFLOW):
                    raise
                raise ContentError(f"layer {digest} claims to be {size} bytes long, and no file can be") from error

    def replace_by_placeholder(self, digest: str, size: int) -> None:
        """Put a placeholder in the place of a blob that is needed no more; whoever does so removes it.

        Args:
            digest: of the blob.
            size: its size in bytes.

        Raises:
            HostError: the folder cannot be written.
        """
        # skopeo may look at any moment: there is always a file of that name and size.
        placeholder = self.blob(digest).with_suffix(".placeholder")
        self._place(placeholder, digest, size)
        with host_errors(f"cannot write the layout {self.folder}"):
            placeholder.replace(self.blob(digest))

    def move(self, digest: str, other: Layout) -> None:
        """Move a blob to another layout on the same file system, unless that has it.

        Raises:
            HostError: one of the two can't be written.
        """
        with host_errors(f"cannot write the layout {other.folder}"):
            if not other.blob(digest).exists():
                self.blob(digest).replace(other.blob(digest))

    def check(self, blobs: Mapping[str, int]) -> None:
        """Check that every blob stands here with its size; the digests are skopeo's to verify.

        Args:
            blobs: digest and size in bytes.

        Raises:
            ContentError: one is absent, or its manifest lies about its size.
        """
        for digest, size in blobs.items():
            try:
                found = self.blob(digest).stat().st_size
            except FileNotFoundError:
                raise ContentError(f"skopeo did not fetch {digest}, which the image needs") from None
            if found != size:
                raise ContentError(
                    f"{digest} is {found} bytes long, but its manifest says {size}",
                    "the manifest is wrong: ask the people who made the image",
                )

    def write_index(self, index: bytes) -> None:
        """Replace `index.json`, all at once.

        Raises:
            HostError: the folder cannot be written.
        """
        with complete_file(self.folder / "index.json") as file:
            file.write(index)

    def holds(self, digest: str, size: int) -> bool:
        """Say whether a blob of that digest and size in bytes stands here; it is read to its end.

        In a folder of the user's a file may be damaged, or have been written by somebody who did not look.
        """
        return holds(self.blob(digest), size, digest.removeprefix("sha256:"))

    def add(
        self,
        images: Sequence[dict[str, Any]],
        sizes: Mapping[str, int],
        open_blob: Callable[[str], BinaryIO],
        count: Callable[[int], None] = lambda _: None,
    ) -> bool:
        """Add images to a layout of the user's, which keeps its other images and may be shared.

        Args:
            images: their entries in the index; one with the same name is replaced.
            sizes: digest and size in bytes of every blob that they need and that may be absent or damaged here.
            open_blob: opens such a blob for reading.
            count: is told how many bytes more were copied.

        Returns:
            Whether the layout changed.

        Raises:
            ContentError: what is there is no layout.
            HostError: the folder cannot be written.
        """
        with host_errors(f"cannot write the layout {self.folder}"), self._alone() as is_new:
            changed = is_new
            index = parse_document(self.read_index(), f"index.json of {self.folder}")
            check_schema(index, "oci-index", f"index.json of {self.folder}")
            for digest in sorted(sizes):
                if not self.holds(digest, sizes[digest]):
                    with complete_file(self.blob(digest)) as file, open_blob(digest) as blob:
                        copy_file(blob, file, count)
                    changed = True
            entries = list(index["manifests"])
            for image in images:
                entries = [each for each in entries if not _replaces(image, each)] + [image]
            if sorted(map(canonical_json, entries)) != sorted(map(canonical_json, index["manifests"])):
                self.write_index(canonical_json(index | {"manifests": entries}))
                changed = True
            return changed

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep others who add images out; make the layout where there is none, and say so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone_in(self.folder):
            is_new = not (self.folder / "index.json").exists()
            # What a run that was killed has begun is gone on with.
            if is_new and {path.name for path in self.folder.iterdir()} - {"blobs", "oci-layout"}:
                raise ContentError(
                    f"{self.folder} is not an OCI layout: it has no index.json", "name a new or an empty folder"
                )
            if is_new:
                Layout.create(self.folder)
            yield is_new

    def digest_named(self, name: str | None) -> str | None:
        """Return the digest of the image of that name; None where there is none.

        Raises:
            ContentError: what is there is no layout.
            HostError: it cannot be read.
        """
        if name is None or not (self.folder / "index.json").is_file():
            return None
        index = parse_document(self.read_index(), f"index.json of {self.folder}")
        check_schema(index, "oci-index", f"index.json of {self.folder}")
        return next((str(each["digest"]) for each in index["manifests"] if _name(each) == name), None)

    def read_index(self) -> bytes:
        """Return the bytes of `index.json`.

        Raises:
            HostError: it cannot be read.
        """
        with host_errors(f"cannot read the layout {self.folder}"):
            return (self.folder / "index.json").read_bytes()


def _name(image: Mapping[str, Any]) -> str | None:
    name: str | None = image.get("annotations", {}).get(REF_NAME)
    return name


def _replaces(image: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if _name(image) != _name(other):
        return False
    return _name(image) is not None or image["digest"] == other["digest"]
