"""Mirror files for a push: what they are is known before it, and they are written after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..oci.reference import Reference
from ..push.plan import make_plan
from ..push.pusher import refuse_swapped
from ..push.registry import RegistryDestination
from ..results import MirrorConfigResult
from ..source.blobs import BlobSource
from ..source.spec import spec_images
from . import containerd, k3s, mapping_txt, openshift, registries_conf
from .folder import require_ours, write_files
from .mapping import PlacedImage, make_mapping

if TYPE_CHECKING:
    from ..archive.reader import ArchiveFiles
    from ..host.progress import Progress
    from ..push.options import Selection
    from ..push.plan import PushPlan
    from ..push.pusher import Pusher
    from ..source.spec import Spec
    from .folder import ConfigFile
    from .mapping import MirrorMapping

_KINDS = (registries_conf, containerd, openshift, k3s, mapping_txt)
_PLACES = (
    *(registries_conf.PATH, openshift.DIGESTS, openshift.TAGS, k3s.PATH, mapping_txt.PATH),
    containerd.path_of("*"),
)
"""Where in the folder files may be, as `Path.glob` takes it."""


class MirrorConfig:
    """Mirror files that are to be written into a folder."""

    def __init__(self, spec: Spec, folder: str | Path, *, insecure: bool) -> None:
        """Read the spec.

        Args:
            spec: the images of the bundle, or the file that names them.
            folder: where the files go.
            insecure: whether the destination is reached without verified TLS.

        Raises:
            UsageError: the spec is malformed.
        """
        self._spec = spec_images(spec)
        self._folder = Path(folder)
        self._insecure = insecure
        self._mapping: MirrorMapping | None = None
        self._files: list[ConfigFile] = []

    def prepare(self, plan: PushPlan) -> None:
        """Say what the files are to be; nothing is written yet.

        Args:
            plan: which image goes where.

        Raises:
            UsageError: it is no bundle; the spec names none of its images; or in the folder is a file that somebody
                else has written.
            HostError: the folder can't be written.
        """
        if not plan.is_bundle:
            raise UsageError(
                "the archive is not a bundle, so no spec says where its image comes from",
                "pull it with a spec, or leave out `mirror_config`",
            )
        placed = [
            PlacedImage(item.name, item.destination.reference, item.image.image.root.digest) for item in plan.items
        ]
        self._mapping = make_mapping(self._spec, placed, plan.destination, insecure=self._insecure)
        self._files = [file for kind in _KINDS for file in kind.render(self._mapping)]
        require_ours(self._folder, [file.path for file in self._files])

    def write(self, report: Progress, *, dry_run: bool = False) -> MirrorConfigResult:
        """Write the files that were prepared.

        Args:
            report: is told the warnings.
            dry_run: write nothing.

        Raises:
            UsageError: in the folder is a file that somebody else has written.
            HostError: the folder or the disk refuses.
        """
        assert self._mapping  # noqa: S101 - `prepare` comes first
        changed = write_files(self._folder, self._files, _PLACES, dry_run=dry_run)
        noted = (f"{file.path}: {file.notes[0]}" for file in self._files if file.notes)
        warnings = (*self._mapping.warnings, *noted)
        for warning in warnings:
            report.warn(warning)
        paths = tuple(str(self._folder / file.path) for file in self._files)
        return MirrorConfigResult(changed, paths, self._mapping.images, warnings)


def write_planned(
    mirror: MirrorConfig, pusher: Pusher, archives: ArchiveFiles, to: str | Reference, selection: Selection
) -> MirrorConfigResult:
    """Write the files for what a push would do; nothing is pushed, and no destination is asked.

    Args:
        mirror: says where the files go.
        pusher: says how archives are reached.
        archives: the bundle, or a chain of bundles.
        to: where they would be pushed.
        selection: which images, and under which names.

    Raises:
        IncrementalError: as for `MirrorConfig`; or the archive is none.
    """
    refuse_swapped(archives, to)
    reference = Reference.parse(to) if isinstance(to, str) else to
    with pusher.at_hand(archives) as files, BlobSource(files) as blob_source:
        destination = RegistryDestination(reference, pusher.options.destination, preserve=True, writes=False)
        mirror.prepare(make_plan(blob_source, destination, selection))
    return mirror.write(pusher.report)
