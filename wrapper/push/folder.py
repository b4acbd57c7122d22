"""skopeo's `dir:PATH` as a destination: a folder that is replaced as a whole, by one on the same file system."""

from __future__ import annotations

import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, host_errors
from ..host.space import room_for
from ..host.temporary import PrivateFolder
from ..oci.manifest import LISTS, digest_of
from .local import CopiedDestination

if TYPE_CHECKING:
    from .upload import Upload, UploadResult

_VERSION = b"Directory Transport Version: "
# containers/image, directory/directory_transport.go.
_WRITTEN_BY_SKOPEO = re.compile(
    r"version|manifest\.json|[0-9a-f]{64}(\.manifest\.json)?|([0-9a-f]{64}-)?signature-[0-9]+"
)


class FolderDestination(CopiedDestination):
    """skopeo's `dir:PATH`."""

    def check(self) -> None:
        """Refuse what skopeo has not written, or not alone: it would be removed."""
        super().check()
        # What a symbolic link leads to is replaced, not the link.
        self._path = Path(self.reference.name).resolve()
        self.folder = self.require_folder(self._path)
        self._require_skopeos()

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Write the folder beside its place, then put it there."""
        previous = _digest_of_file(self._path / "manifest.json")
        self.refuse_replacing(self._path)
        digest = upload.image.image.root.digest
        if not dry_run:
            with host_errors(f"cannot write {self._path}"):
                staging = PrivateFolder.create(self._path.parent)
            try:
                new = staging.path / "new"
                # Wherever temporary files go: skopeo writes to the file system of the destination.
                with room_for(staging.path, sum(upload.sizes().values())):
                    if upload.image.image.absent:
                        self._write_sparse(upload, new)
                    else:
                        digest = self.copy(upload, f"dir:{new}")
                self._swap(new, staging.path / "old")
            finally:
                staging.remove()
        return self.sent(upload, changed=True, digest=digest, previous=previous)

    def _write_sparse(self, upload: Upload, new: Path) -> None:
        """Write a list whose other children are absent; skopeo copies a list with all or none of them."""
        upload.fetch_absent()
        self.warn_of_referrers(upload)
        image, part = upload.image.image, new.with_name("part")
        with upload.blob_layout() as blobs:
            upload.report.begin("sending", str(self.reference))
            for node in (*image.leaves, *image.lists):
                flags = ["--multi-arch=index-only"] if node.media_type in LISTS else []
                upload.copy(blobs, node, f"dir:{part}", self.access, flags, f"cannot write {self.reference}")
                with host_errors(f"cannot write {self._path}"):
                    if node is not image.root:
                        name = f"{node.digest.removeprefix('sha256:')}.manifest.json"
                        (part / "manifest.json").rename(part / name)
                    new.mkdir(exist_ok=True)
                    for file in part.iterdir():
                        file.rename(new / file.name)

    def _swap(self, new: Path, old: Path) -> None:
        """Put the new folder into its place, and what was there to `old`.

        Between the two the old one has a name of its own beside its place: what a kill leaves is not removed.
        """
        # Meanwhile somebody may have put something there.
        self._require_skopeos()
        with host_errors(f"cannot write {self._path}"):
            if not self._path.exists():
                new.rename(self._path)
                return
            # Not every file system has modes.
            with suppress(OSError):
                new.chmod(stat.S_IMODE(self._path.stat().st_mode))
            aside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}.replaced")
            self._path.rename(aside)
            try:
                new.rename(self._path)
            except BaseException:
                aside.rename(self._path)
                raise
            aside.rename(old)

    def _require_skopeos(self) -> None:
        """Refuse a place that holds anything that skopeo would not have written there.

        Raises:
            UsageError: it does.
            HostError: it can't be read.
        """
        if not self._path.exists():
            return
        if not self._path.is_dir():
            raise UsageError(f"{self._path} is a file, but dir: writes a folder")
        if self._path.is_mount():
            raise UsageError(f"a disk is mounted at {self._path}", "name a folder on that disk")
        with host_errors(f"cannot read {self._path}"):
            entries = sorted(self._path.iterdir())
            if not entries:
                return
            version = self._path / "version"
            is_skopeos = version.is_file() and version.read_bytes().startswith(_VERSION)
            others = [
                entry.name
                for entry in entries
                if not is_skopeos or not _WRITTEN_BY_SKOPEO.fullmatch(entry.name) or not _is_plain(entry)
            ]
        if others:
            raise UsageError(
                f"{self._path} holds other files, and dir: would remove them: {', '.join(others):.200}",
                "name a new folder",
            )


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _digest_of_file(path: Path) -> str | None:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return None
