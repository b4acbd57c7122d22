"""The steps of a push: verify, vet, look at the tags, send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import IncrementalError, MissingLayersError, NotFoundError, RegistryError, UsageError
from .layout import Layout, entry, index_document
from .manifest import LISTS, digest_of
from .probe import present_layers, private_policy
from .results import Contents
from .space import Space
from .text import human_bytes, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .access import Access
    from .archive import Archive
    from .contents import ArchiveContents, NamedImage
    from .image import Image
    from .manifest import FetchedManifest
    from .reference import Reference
    from .skopeo import Skopeo

FLAG = "--dest"


@dataclass(frozen=True)
class MissingLayer:
    """A layer that neither the archive nor the destination has.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        bases: digests of the bases that would bring it; empty where the archive does not say.
    """

    digest: str
    size: int
    bases: tuple[str, ...]


@dataclass(frozen=True)
class VetResult(Contents):
    """What `push_vet` found.

    Attributes:
        changed: always False.
        destination: which destination was asked; None where only the archive was checked.
        missing: the layers that neither the archive nor the destination has.
    """

    changed: bool
    destination: str | None
    missing: tuple[MissingLayer, ...]


@dataclass(frozen=True)
class TagChange:
    """A reference that a push wrote, or would write.

    Attributes:
        reference: the destination's reference.
        previous_digest: the digest that it pointed to before; None where it did not exist.
    """

    reference: str
    previous_digest: str | None


@dataclass(frozen=True)
class PushResult(Contents):
    """What `push` did, or would do.

    Attributes:
        changed: whether anything was, or in a dry run would be, sent.
        destination: where the image is now.
        previous_digest: the digest that the destination's tag pointed to before; None where there was none.
        tags: the destination and every additional tag, with what each pointed to before.
    """

    changed: bool
    destination: str
    previous_digest: str | None
    tags: tuple[TagChange, ...] = ()


def verify(archive: Archive, report: Callable[[str], None]) -> None:
    """Check every blob of an archive against its name.

    Raises:
        ContentError: one has other bytes.
    """
    report(f"verifying {archive.name} ({human_bytes(archive.size)})")
    archive.verify()


def require_digest(destination: Reference, image: Image) -> None:
    """Refuse a destination whose digest is not the image's.

    Raises:
        UsageError: it names another digest.
    """
    if destination.digest not in (None, image.root.digest):
        raise UsageError(
            f"{destination} is not what the archive holds, which is {image.root.digest}",
            "give the destination a tag, or this digest",
        )


def find_missing(
    skopeo: Skopeo,
    found: ArchiveContents,
    destination: Reference,
    access: Access,
    report: Callable[[str], None],
) -> tuple[MissingLayer, ...]:
    """Ask a destination for the layers that an archive leaves out.

    Returns:
        Those that it does not have, by digest, each with the bases that would bring it.

    Raises:
        RegistryError: it gave no clear answer.
    """
    if not found.omitted:
        return ()
    report(f"asking {destination} for {plural(len(found.omitted), 'layer')}")
    layers = [found.omitted[digest] for digest in sorted(found.omitted)]
    present = present_layers(skopeo, destination, access, layers)
    return tuple(
        MissingLayer(layer.digest, layer.size, found.bases_of.get(layer.digest, found.bases))
        for layer in layers
        if layer.digest not in present
    )


def missing_error(destination: str, missing: Sequence[MissingLayer]) -> MissingLayersError:
    """Return the error that says what a destination lacks, and what would bring it."""
    total = human_bytes(sum(layer.size for layer in missing))
    bases = sorted({base for layer in missing for base in layer.bases})
    step = f"push {' or '.join(bases)} there first" if bases else "push there first what this archive was based on"
    return MissingLayersError(
        f"{destination} lacks {plural(len(missing), 'layer')} ({total}) that the archive leaves out; "
        "nothing was written",
        tuple(missing),
        f"{step}, or pull again with a base that it has",
    )


def read_tags(skopeo: Skopeo, references: Sequence[Reference], access: Access) -> tuple[TagChange, ...]:
    """Look at what references of a destination point to.

    Raises:
        IncrementalError: one can't be read for another reason than that it does not exist.
    """
    answers = skopeo.inspect_raw([(reference, access, FLAG) for reference in references])
    tags = []
    for reference, raw in zip(references, answers, strict=True):
        if isinstance(raw, NotFoundError):
            tags.append(TagChange(str(reference), None))
        elif isinstance(raw, IncrementalError):
            raise raw
        else:
            tags.append(TagChange(str(reference), digest_of(raw)))
    return tuple(tags)


def reference_beside(destination: Reference, signed: NamedImage) -> Reference:
    """Return where something goes that belongs to an image: the same repository, under its tag or digest."""
    return destination.tagged(signed.name) if signed.name else destination.pinned(signed.image.root.digest)


def refuse_overwriting(tags: Sequence[TagChange], digests: Sequence[str]) -> None:
    """Refuse to move a tag.

    Args:
        tags: what the tags point to.
        digests: what each would point to.

    Raises:
        RegistryError: a tag points elsewhere.
    """
    for tag, digest in zip(tags, digests, strict=True):
        if tag.previous_digest not in (None, digest):
            raise RegistryError(
                f"{tag.reference} is {tag.previous_digest} and would become {digest}",
                "choose another tag, or leave out --no-overwrite-tag",
            )


class Sender:
    """Sends the image of an archive to a registry, and what stands beside it."""

    def __init__(
        self,
        skopeo: Skopeo,
        archive: Archive,
        images: Sequence[Image],
        access: Access,
        preserve: Sequence[str],
        report: Callable[[str], None],
    ) -> None:
        """Unpack what has to be at hand.

        Args:
            skopeo: an entered `Skopeo`.
            archive: verified.
            images: all that will be sent.
            access: how the destination is reached.
            preserve: skopeo's flags to preserve digests; without any it may convert the image.
            report: receives a line for each step.

        Raises:
            HostError: the temporary folder can't be written.
        """
        self._skopeo = skopeo
        self._access = access
        self._preserve = preserve
        self._report = report
        self._blobs = Layout.create(skopeo.new_folder("blobs"))
        inside = sorted({digest for image in images for digest in image.travelling(()) if digest in archive})
        space = Space()
        space.need(skopeo.folder, sum(archive.blob_size(digest) for digest in inside))
        space.require()
        with space.named():
            for digest in inside:
                archive.unpack(digest, self._blobs.blob(digest))

    def send(self, image: Image, references: Sequence[Reference]) -> str:
        """Send an image: what stands below a list first, lists innermost first, tags last.

        Args:
            image: what to send.
            references: the destinations, all in one repository.

        Returns:
            The digest that the registry has for it.

        Raises:
            IncrementalError: as `messages.explain` reads skopeo's message.
        """
        root = image.root
        if self._preserve:
            for node in (*image.leaves, *image.lists):
                if node is not root:
                    self._copy(node, references[0].pinned(node.digest))
        digest = root.digest
        for reference in references:
            digest = self._copy(root, reference)
            if self._preserve and digest != root.digest:
                raise RegistryError(f"{reference} became {digest} instead of {root.digest}")
        return digest

    def _copy(self, node: FetchedManifest, target: Reference) -> str:
        # A layout for each: with a tag skopeo refuses Docker's media types, without one it wants one image.
        layout = Layout.create(
            self._skopeo.new_folder("image"), index_document([entry(node.media_type, node.digest, node.size)])
        )
        flags = [*self._preserve, f"--src-shared-blob-dir={self._blobs.blobs}"]
        if node.media_type in LISTS:
            flags.append("--multi-arch=index-only" if self._preserve else "--all")
        self._report(f"sending {target}" + (f" ({node.platform})" if node.platform else ""))
        # What arrived is not sent again: skopeo asks for each blob first.
        return self._skopeo.retries.run(
            lambda: self._skopeo.copy(
                f"oci:{layout.folder.name}",
                str(target),
                flags=[*flags, *self._access.flags(target, self._skopeo.folder, "dest-")],
                policy=self._access.policy_flags() or [f"--policy={private_policy(layout)}"],
                doing=f"cannot send {target}",
                flag=FLAG,
            )
        )
