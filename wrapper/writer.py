"""`Writer`: one call that copies an image to any place, without the layers that a base has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import RegistryError, UsageError
from .incremental import Incremental
from .layout import entry, index_document
from .manifest import LISTS
from .output import open_target
from .probe import private_policy
from .pulling import write_archive
from .pushing import MissingLayer, PushResult, missing_error
from .reference import Reference, path_and_tag

if TYPE_CHECKING:
    from typing import TextIO

    from .access import Access
    from .incremental import Fetched
    from .results import Contents

# These begin empty: an image can only arrive there with all its layers.
_EMPTY = frozenset({"dir", "docker-archive", "docker-daemon"})
_PATHS = frozenset({"dir", "docker-archive"})


class Writer:
    """Copies images into a destination, only the layers that a base lacks (Go: `incremental.Writer`)."""

    def __init__(
        self,
        from_: str | Reference,
        to: str | Reference,
        *,
        from_access: Access | None = None,
        to_access: Access | None = None,
        all_architectures: bool = False,
        report_writer: TextIO | None = None,
        temp_dir: str | Path | None = None,
        skopeo: str = "skopeo",
    ) -> None:
        """Prepare; nothing is read or run yet.

        Args:
            from_: the base: what it has is not copied.
            to: where images go, of any of skopeo's transports.
            from_access: how the base is reached.
            to_access: how the destination is reached.
            all_architectures: take a list whole; else it is narrowed to this machine's platform.
            report_writer: receives a line for each step.
            temp_dir: the folder for temporary files.
            skopeo: skopeo's path, or its name on PATH.

        Raises:
            UsageError: a reference is malformed.
        """
        self._from = Reference.parse(from_) if isinstance(from_, str) else from_
        self._to = Reference.parse(to) if isinstance(to, str) else to
        if self._to.transport in ("manifest", "receipt"):
            raise UsageError(f"{self._to} is no place for an image", "give an oci: layout or a registry")
        self._from_access = from_access
        self._to_access = to_access
        self._all = all_architectures
        self._report_writer = report_writer
        self._temp_dir = Path(temp_dir) if temp_dir else None
        self._skopeo_path = skopeo

    def copy(self, final: str | Reference, access: Access | None = None) -> PushResult:
        """Copy an image.

        A registry must hold the layers that the base has: it is vetted before anything is written. An
        `oci:` layout or `oci-archive:` gets the image without them. Any other place must hold them too,
        which those that begin empty (`dir:`, `docker-archive:`, `docker-daemon:`) never do.

        Args:
            final: the image.
            access: how it is reached.

        Returns:
            What was done.

        Raises:
            MissingLayersError: the destination lacks layers that the base has.
            IncrementalError: as for `Incremental.pull` and `Incremental.push`.
        """
        incremental = Incremental(
            base_auth=self._from_access,
            final_auth=access,
            push_auth=self._to_access,
            all_architectures=self._all,
            report_writer=self._report_writer,
            temp_dir=self._temp_dir,
            skopeo=self._skopeo_path,
        )
        if self._to.transport == "docker":
            with incremental.pull(self._from, final) as archive:
                return incremental.push(archive, self._to)
        path, tag = path_and_tag(self._to) if self._to.transport in ("oci", "oci-archive") else (None, None)
        if path and self._to.transport == "oci-archive":
            with (
                open_target(path, None) as target,
                incremental.fetched(self._from, final, path.parent) as fetched,
            ):
                plan = fetched.plan._replace(name=tag or fetched.plan.name)
                result = write_archive(fetched.layout, plan, target, incremental.report)
            return self._result(result, changed=result.changed)
        with incremental.fetched(self._from, final) as fetched:
            contents = fetched.plan.describe(fetched.layout.read)
            if path:
                root = fetched.plan.image.root
                wanted = fetched.plan.image.travelling(fetched.plan.omitted)
                changed = fetched.layout.merge_into(
                    path, wanted, entry(root.media_type, root.digest, root.size, tag)
                )
            else:
                self._hand_over(fetched)
                changed = True
        return self._result(contents, changed=changed)

    def _hand_over(self, fetched: Fetched) -> None:
        """Let skopeo copy what was fetched to a place of its own."""
        omitted = fetched.plan.omitted
        missing = [MissingLayer(digest, omitted[digest].size, ()) for digest in sorted(omitted)]
        if missing and self._to.transport in _EMPTY:
            raise missing_error(str(self._to), missing)
        root = fetched.plan.image.root
        # skopeo runs in another folder.
        where = Path(self._to.name).absolute() if self._to.transport in _PATHS else self._to.name
        fetched.layout.write_index(index_document([entry(root.media_type, root.digest, root.size)]))
        flags = ["--preserve-digests", *(["--all"] if root.media_type in LISTS else [])]
        try:
            fetched.skopeo.copy(
                f"oci:{fetched.layout.folder.name}",
                f"{self._to.transport}:{where}",
                flags=flags,
                policy=[f"--policy={private_policy(fetched.layout)}"],
                doing=f"cannot write {self._to}",
                flag="--dest",
            )
        except RegistryError as error:
            # Only the place itself knows which layers it has; skopeo says which one it had to read from here.
            lacking = [layer for layer in missing if f"reading blob {layer.digest}: open" in error.message]
            if lacking:
                raise missing_error(str(self._to), lacking) from None
            raise

    def _result(self, contents: Contents, *, changed: bool) -> PushResult:
        return PushResult(
            **contents.shared_fields(), changed=changed, destination=str(self._to), previous_digest=None
        )
