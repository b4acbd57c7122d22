"""Where an archive goes: a file that appears complete or not at all, a stream, or a file that goes away."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from ..errors import host_errors
from ..host.files import holds
from ..host.outputs import followed, is_stream, output_file
from ..host.temporary import ARCHIVE, create_file, default_temp_dir
from ..results import ArchiveInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..results import PullResult
    from .writer import WrittenArchive

Output = str | Path | BinaryIO | None
"""Where an archive goes: a path, a binary file, or None for a temporary file."""


class RemoveOnClose(io.BufferedReader):
    """A binary file that reads as an oci-archive tarball (Go: `incremental.RemoveOnClose`).

    Where it is a temporary file, it is removed when it is closed. Where the archive was written to an output
    of the caller's, that stays; an output that can't be read back reads as empty.

    Attributes:
        result: what was pulled.
    """

    def __init__(self, target: Target, result: PullResult) -> None:
        """Open what was written to `target`."""
        self._path = target.path if target.temporary else None
        self.result = result
        if target.temporary:
            # The same open file: while that is open, the archive is not taken for a dead run's.
            super().__init__(cast("io.BufferedRandom", target.file).detach())
            self.seek(0)
        else:
            super().__init__(io.FileIO(target.path or os.devnull))

    def close(self) -> None:
        """Close the file, and remove it if it is temporary. A second call does nothing."""
        if self._path:
            self._path.unlink(missing_ok=True)
            self._path = None
        super().close()


class Target(NamedTuple):
    """An output that is open for writing.

    Attributes:
        file: where to write.
        path: where the archive lies in the end; None where it can't be read back.
        temporary: whether it goes away when its reader is closed.
    """

    file: BinaryIO
    path: Path | None
    temporary: bool = False

    @property
    def lasting(self) -> Path | None:
        """Where the archive stays; None where it goes away, or can't be read back."""
        return None if self.temporary else self.path

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return str(self.lasting or "the output")

    @property
    def folder(self) -> Path | None:
        """Where it is written, if that is a folder of this machine's."""
        return followed(self.path).parent.absolute() if self.path else None


@contextmanager
def open_target(output: Output, temp_dir: Path | None) -> Iterator[Target]:
    """Open an output.

    Args:
        output: a path, whose file appears complete or not at all; a named pipe or device; a binary file, which
            stays open; or None for a temporary file.
        temp_dir: the folder of the temporary file.

    Raises:
        UsageError: the output is a folder.
        HostError: it can't be written.
    """
    if output is None:
        with _temporary_archive(temp_dir or default_temp_dir()) as target:
            yield target
    elif not isinstance(output, (str, Path)):
        yield Target(output, None)
    else:
        path = Path(output)
        with output_file(path) as file:
            yield Target(file, None if is_stream(path) else path)


@contextmanager
def _temporary_archive(folder: Path) -> Iterator[Target]:
    """Write an archive that goes away when its reader, `RemoveOnClose`, is closed; it is left open for that."""
    with host_errors(f"cannot write to the temporary folder {folder}"):
        path, file = create_file(folder, ARCHIVE)
        try:
            yield Target(file, path, temporary=True)
        except BaseException:
            path.unlink(missing_ok=True)
            file.close()
            raise


def written_to(target: Target, written: WrittenArchive) -> tuple[ArchiveInfo, bool]:
    """Say what was written, and whether that is another file than before."""
    path = target.lasting
    archive = ArchiveInfo(str(path) if path else None, written.sha256, written.size)
    return archive, not (path and holds(path, written.size, written.sha256))
