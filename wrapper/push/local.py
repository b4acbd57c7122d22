"""Destinations outside of registries: layouts, archives, folders, local stores."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..archive.contents import NamedImage, image_descriptor, index_annotations, names_of, sparse_features
from ..archive.docker import docker_manifest
from ..archive.documents import require_readable
from ..archive.writer import ArchiveLayout, WrittenArchive, write_archive
from ..errors import HostError, IncrementalError, NotFoundError, RegistryError, UsageError, host_errors
from ..host.files import copy_file, holds
from ..host.outputs import followed, is_stream, output_file
from ..host.progress import Progress
from ..host.space import room_for
from ..oci.image import Image
from ..oci.layout import Layout, index_document
from ..oci.manifest import LISTS, Manifest, build_layers_dictionary, digest_of, parse_manifest
from ..oci.platforms import choose as choose_platform
from ..oci.platforms import offered, wanted_platform
from ..oci.reference import DEFAULT_TAG, Reference, path_and_tag
from ..results import ReadBack, TagChange
from ..skopeo.inspect import ImageSource
from ..skopeo.probe import present_in_storage
from ..source.stores import BlobFolder
from ..source.unpacked import unpack
from .destination import Destination
from .tags import SIDE, refuse_overwriting
from .upload import Upload, UploadResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import BinaryIO

    from ..archive.contents import ArchiveContents
    from ..oci.manifest import Descriptor
    from ..results import MissingLayer
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource


_LOOKUPS = 16
"""How many images a local store is asked for, whatever an archive names."""


class LocalDestination(Destination):
    """Somewhere on this machine: it takes the newest image alone, older archives only give their layers."""

    one_platform = False
    keeps_digests = True

    def check(self) -> None:
        """Refuse what only registries can do, and what would change digests in silence."""
        if self.additional_tags:
            raise UsageError(f"{self.reference} takes no further tags", "leave out `additional_tags`")
        if self.preserve and not self.keeps_digests:
            raise self._loses_digests("Docker's own format has no such digest")

    def select_images(self, contents: Sequence[ArchiveContents]) -> tuple[NamedImage, ...]:
        """Return the newest image, after what belongs to it; of a list one platform, where no more fits."""
        named = contents[-1].single
        if not self.one_platform:
            return (*contents[-1].referrers, named)
        if named.image.root.media_type not in LISTS:
            return (named,)
        if self.preserve:
            raise self._loses_digests("a local store holds one platform, and this image has several")
        leaves = named.image.leaves
        wanted = wanted_platform()
        position = choose_platform(wanted, [leaf.platform for leaf in leaves])
        if position is None:
            raise UsageError(
                f"the archive has no image for {wanted}, which is this machine's platform; it has "
                f"{offered(leaf.platform for leaf in leaves)}",
                "pull this platform, too, or choose another place, such as oci-archive:",
            )
        return (named._replace(image=Image((leaves[position],))),)

    def present_layers(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Return nothing: it begins empty."""
        return frozenset()

    def read_layers(
        self,
        skopeo: Skopeo,
        layers: Sequence[MissingLayer],
        bases: Sequence[ImageSource],
        names: Mapping[str, str],
        report: Progress,
    ) -> ReadBack:
        """Count them: whatever was found here, `present_layers` has read."""
        return ReadBack(0, len(layers), sum(layer.size for layer in layers))

    def refuse_replacing(self, path: Path) -> None:
        """Refuse to replace a file or folder, where that was forbidden.

        Raises:
            RegistryError: there is one.
        """
        if not self.overwrite_tag and path.exists():
            raise RegistryError(f"{path} already exists", "choose another name, or leave out `overwrite_tag=False`")

    def require_folder(self, path: Path) -> Path:
        """Return the folder that something is written to.

        Raises:
            HostError: there is none.
        """
        folder = path.absolute().parent
        if not folder.is_dir():
            raise HostError(
                f"cannot write {path}: there is no folder {folder}", "create the folder, or choose another one"
            )
        return folder

    @property
    def written_name(self) -> str:
        """What results call what was written: the reference, with the tag that it has where none was given."""
        return str(self.reference)

    def require_output(self, path: Path) -> Path | None:
        """Return the folder that a file is written to; None for a device or a named pipe, which is not replaced.

        Raises:
            UsageError: it is a folder.
            HostError: there is no folder that it could be in.
        """
        return None if is_stream(path) else self.require_folder(followed(path))

    def sent(self, upload: Upload, *, changed: bool, digest: str, previous: str | None = None) -> UploadResult:
        """Return the result, which has one name; and an image ID, where that is how images are called there."""
        name, root = self.written_name, upload.image.image.root
        image_id = root.parsed.config.digest if self.one_platform and isinstance(root.parsed, Manifest) else None
        return UploadResult(changed, digest, (TagChange(name, previous),), {upload.image.key: name}, image_id)

    def _loses_digests(self, why: str) -> UsageError:
        return UsageError(
            f"{self.reference} can't keep the image's digest: {why}",
            "allow another digest with `preserve_digests=False`, or choose another place, such as oci-archive:",
        )


class LayoutDestination(LocalDestination):
    """An OCI layout, `oci:PATH[:TAG]`, which keeps its other images."""

    def check(self) -> None:
        """Split path and tag too."""
        super().check()
        path, self._tag = path_and_tag(self.reference)
        self._layout = Layout(path.absolute())

    def present_layers(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Look which layers stand there: each is read, since nobody else will before the image is used."""
        return frozenset(layer.digest for layer in layers if self._layout.holds(layer.digest, layer.size))

    def offer_delta_sources(
        self, skopeo: Skopeo, blob_source: BlobSource, layers: Collection[str], manifests: Sequence[str]
    ) -> None:
        """Offer all of its blobs."""
        blob_source.add_delta_folder(BlobFolder(self._layout.blobs / "sha256"))

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Add the image, its blobs first."""
        digest = upload.image.image.root.digest
        previous = self._layout.digest_named(self._tag or upload.image.name)
        if not self.overwrite_tag:
            refuse_overwriting([TagChange(str(self.reference), previous)], [digest])
        if dry_run:
            changed = previous != digest or bool(upload.absent or self._lacking(upload))
            return self.sent(upload, changed=changed, digest=digest, previous=previous)
        upload.fetch_absent()
        upload.report.begin("sending", str(self.reference), f"writing {self.reference}")
        new = self._lacking(upload)
        with room_for(self._layout.folder, sum(new.values())):
            changed = self._layout.add(
                [image_descriptor(named, in_archive=False) for named in _named(upload, self._tag)],
                new,
                upload.blob_source.open_blob,
                partial(upload.report.add, "sending"),
            )
        return self.sent(upload, changed=changed, digest=digest, previous=previous)

    def _lacking(self, upload: Upload) -> dict[str, int]:
        """Return digest and size in bytes of what is at hand, and not or damaged there."""
        return {digest: size for digest, size in upload.sizes().items() if not self._layout.holds(digest, size)}


class ArchiveDestination(LocalDestination):
    """A whole OCI archive, `oci-archive:FILE[:TAG]`, packed as `pull` packs one."""

    phase = "packing"

    def check(self) -> None:
        """Split path and tag too."""
        super().check()
        self._path, self._tag = path_and_tag(self.reference)
        self.folder = self.require_output(self._path)

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Pack the image with all its layers."""
        if self.folder:
            self.refuse_replacing(self._path)
        digest = upload.image.image.root.digest
        if dry_run:
            return self.sent(upload, changed=True, digest=digest)
        with output_file(self._path) as file:
            written = pack_whole(upload, file, self._tag, str(self._path), self.folder)
            changed = not holds(self._path, written.size, written.sha256)
        return self.sent(upload, changed=changed, digest=digest)


def pack_whole(upload: Upload, file: BinaryIO, tag: str | None, name: str, folder: Path | None) -> WrittenArchive:
    """Pack an image with all its layers: the bytes that `pull` would write without a base.

    Args:
        upload: what to pack.
        file: where to.
        tag: the image's name there; by default the archive's.
        name: what to call the output in messages.
        folder: where the output lies, if it does.

    Returns:
        What was written.

    Raises:
        IncrementalError: a base can't be read, or the output can't be written.
    """
    upload.fetch_absent()
    sizes = upload.sizes()
    images = _named(upload, tag)
    annotations = index_annotations([], {}, names_of(images, {}), requires=sparse_features(images))
    index = index_document(list(map(image_descriptor, images)), annotations)
    require_readable(name, index, images, sizes)
    report = upload.report
    report.begin("packing", name)
    layout = ArchiveLayout(index, sizes, (), docker_manifest(images, sizes))
    with host_errors(f"cannot write {name}"), room_for(folder, layout.size):
        return write_archive(file, layout, upload.blob_source.open_blob, partial(report.add, "packing"))


def _named(upload: Upload, tag: str | None) -> list[NamedImage]:
    """Return what is written: the image, under another tag where one is given, and what belongs to it."""
    return [upload.image.called(tag), *upload.images[:-1]]


class CopiedDestination(LocalDestination):
    """A place that skopeo alone knows how to write."""

    def copy(self, upload: Upload, target: str) -> str:
        """Let skopeo write the image; return its digest there."""
        upload.fetch_absent()
        root = upload.image.image.root
        self.warn_of_referrers(upload)
        flags = self.access.flags(self.reference, upload.skopeo.auth_files, "dest-")
        if root.media_type in LISTS:
            flags.append("--all")
        with upload.blob_layout() as blobs:
            upload.report.begin("sending", str(self.reference))
            doing = f"cannot write {self.reference}"
            digest = upload.copy(blobs, root, target, self.access, flags, doing)
        if self.preserve and digest != root.digest:
            raise RegistryError(f"{self.reference} was written as {digest} instead of {root.digest}")
        return digest

    def warn_of_referrers(self, upload: Upload) -> None:
        """Say that what belongs to the image does not go there."""
        if upload.blob_source.contents[-1].referrers:
            upload.report.warn(f"{self.reference} can't hold signatures: they are left behind")


class DockerArchiveDestination(CopiedDestination):
    """`docker-archive:FILE[:NAME:TAG]`, as `docker save` writes it."""

    one_platform = True
    keeps_digests = False

    def check(self) -> None:
        """Split path and name too."""
        super().check()
        path, _, self._name = self.reference.name.partition(":")
        if self._name:
            Reference.parse(f"docker://{self._name}")
        self._path = Path(path)
        self.folder = self.require_output(self._path)

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Write the file beside its place, then put it there."""
        if self.folder:
            self.refuse_replacing(self._path)
        digest = upload.image.image.root.digest
        if not dry_run:
            new = upload.skopeo.new_folder("docker")
            digest = self.copy(upload, f"docker-archive:{new.name}" + (f":{self._name}" if self._name else ""))
            with output_file(self._path) as file, new.open("rb") as whole:
                copy_file(whole, file)
        return self.sent(upload, changed=True, digest=digest)


class DaemonDestination(CopiedDestination):
    """`docker-daemon:NAME:TAG`: Docker, or what speaks as it does."""

    one_platform = True
    keeps_digests = False

    def check(self) -> None:
        """Refuse what is no name, and what can't be known: which image a name has there."""
        super().check()
        if not Reference.parse(f"docker://{self.reference.name}").tag:
            raise UsageError(f"{self.reference} has no tag", "write it as docker-daemon:NAME:TAG")
        if not self.overwrite_tag:
            raise UsageError(
                f"{self.reference} does not show what a tag points to", "leave out `overwrite_tag=False`"
            )

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Load the image into the daemon."""
        digest = upload.image.image.root.digest
        if not dry_run:
            digest = self.copy(upload, str(self.reference))
        return self.sent(upload, changed=True, digest=digest)


class StorageDestination(CopiedDestination):
    """`containers-storage:NAME`: what podman, buildah and CRI-O run images from."""

    one_platform = True

    @property
    def written_name(self) -> str:
        """The reference, with the tag that a local store gives where there is none."""
        name = str(self.reference)
        return name if {":", "@"} & {*self.reference.name.rpartition("/")[2]} else f"{name}:{DEFAULT_TAG}"

    def present_layers(self, skopeo: Skopeo, layers: Sequence[Descriptor]) -> frozenset[str]:
        """Ask the store which layers it has."""
        return present_in_storage(skopeo, self.reference, layers, preserve=self.preserve)

    def read_layers(
        self,
        skopeo: Skopeo,
        layers: Sequence[MissingLayer],
        bases: Sequence[ImageSource],
        names: Mapping[str, str],
        report: Progress,
    ) -> ReadBack:
        """Refuse: what a layer was before it was unpacked is nowhere any more."""
        raise UsageError(
            f"{self.reference} keeps layers unpacked: they can't be read back as they were pushed",
            "leave out `deep`, and let podman system check look at the store",
        )

    def offer_delta_sources(
        self, skopeo: Skopeo, blob_source: BlobSource, layers: Collection[str], manifests: Sequence[str]
    ) -> None:
        """Find an image of the same name, in another release, that has the layers: they stand there unpacked."""
        folder, slash, last = self.reference.name.rpartition("/")
        name = folder + slash + last.partition(":")[0].partition("@")[0]
        for digest in manifests[:_LOOKUPS]:
            old = ImageSource(Reference(self.reference.transport, f"{name}@{digest}"), self.access, SIDE)
            (raw,) = skopeo.inspect_raw([(old.reference, old.access, old.side)])
            if isinstance(raw, IncrementalError) or digest_of(raw) != digest:
                continue
            # What can't be read so may be named as a base.
            with suppress(IncrementalError):
                leaf = parse_manifest(raw)
                if {*layers} & build_layers_dictionary(leaf).keys():
                    blob_source.add_unpacked(unpack(skopeo, old, Progress()), leaf)
            if all(blob_source.has_content(layer) for layer in layers):
                return

    def upload(self, upload: Upload, *, dry_run: bool) -> UploadResult:
        """Build the image in the store, unless it is there."""
        digest = upload.image.image.root.digest
        (raw,) = upload.skopeo.inspect_raw([(self.reference, self.access, SIDE)])
        if isinstance(raw, IncrementalError) and not isinstance(raw, NotFoundError):
            raise raw
        previous = None if isinstance(raw, IncrementalError) else digest_of(raw)
        if not self.overwrite_tag:
            refuse_overwriting([TagChange(str(self.reference), previous)], [digest])
        changed = previous != digest
        if not changed:
            upload.report(f"{self.reference} is {digest} already: nothing to send")
        elif not dry_run:
            digest = self.copy(upload, str(self.reference))
        return self.sent(upload, changed=changed, digest=digest, previous=previous)
