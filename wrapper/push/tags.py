"""The tags of a registry, and what is missing, as errors say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    DeniedError,
    HiddenError,
    IncrementalError,
    MissingLayersError,
    NotFoundError,
    RegistryError,
    UsageError,
)
from ..host.text import human_bytes, named, plural
from ..oci.manifest import digest_of
from ..oci.platforms import offered
from ..results import MissingLayer, TagChange
from ..skopeo.inspect import require_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..archive.contents import NamedImage
    from ..host.progress import Progress
    from ..oci.image import Image
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo

SIDE = "push"
"""The side that a destination is on, as `ImageSource` has it."""


def require_digest(destination: Reference, image: Image) -> None:
    """Refuse a destination whose digest is not the image's.

    Raises:
        UsageError: it names another digest.
    """
    if destination.digest not in (None, image.root.digest):
        raise UsageError(
            f"{destination} is not the digest of the archive's image, which is {image.root.digest}",
            "give the destination a tag, or that digest",
        )


def missing_error(
    destination: str, missing: Sequence[MissingLayer], names: Mapping[str, str], *, local: bool = False
) -> MissingLayersError:
    """Return the error that says what a destination lacks, and what would bring it.

    Args:
        destination: what the user calls it.
        missing: the layers.
        names: what people call their bases, by their digests.
        local: whether it is on this machine, where nothing else can bring them but a base.
    """
    total = human_bytes(sum(layer.size for layer in missing))
    bases = bringing(missing, names)
    if local:
        step = f"name a place that has {bases or 'these layers'} with `base`"
    else:
        first = bases or "the image that this archive is based on"
        step = f"push {first} there first, name a place that has the layers with `base`, or pull again with a base "
        step += "that the destination has"
    return MissingLayersError(
        f"{destination} lacks {plural(len(missing), 'layer')} ({total}) that the archive leaves out; "
        "nothing was written there",
        tuple(missing),
        step,
        names,
    )


def bringing(missing: Sequence[MissingLayer], names: Mapping[str, str]) -> str:
    """Say which bases bring all missing layers: any of some, or all together; nothing where none is known."""
    having = [set(layer.bases) for layer in missing]
    if not having:
        return ""
    if any_of := set.intersection(*having):
        return " or ".join(named(base, names) for base in sorted(any_of))
    return " and ".join(named(base, names) for base in sorted(set.union(*having)))


def read_tags(
    skopeo: Skopeo,
    references: Sequence[Reference],
    access: Access,
    hidden: Callable[[str], None] | None = None,
) -> tuple[TagChange, ...]:
    """Look at what references of a destination point to.

    Args:
        skopeo: an entered `Skopeo`.
        references: what to look at.
        access: how the registry is reached.
        hidden: receives a line for each that this login may not see, as it is where a registry hides what does not
            exist yet: what it points to is not known then. Without it that is an error.

    Raises:
        IncrementalError: one can't be read for another reason than that it does not exist.
    """
    answers = skopeo.inspect_raw([(reference, access, SIDE) for reference in references])
    tags = []
    for reference, raw in zip(references, answers, strict=True):
        if isinstance(raw, NotFoundError):
            tags.append(TagChange(str(reference), None))
        elif hidden and isinstance(raw, DeniedError):
            hidden(f"this login may not see what {reference} is now: the push will show whether it may write there")
            tags.append(TagChange(str(reference), None))
        elif isinstance(raw, IncrementalError):
            raise raw
        else:
            require_manifest(reference, raw)
            tags.append(TagChange(str(reference), digest_of(raw)))
    return tuple(tags)


def lists_in_part(
    skopeo: Skopeo, destination: Reference, images: Iterable[Image], access: Access
) -> frozenset[str]:
    """Return the digests of those lists that a destination has without a child that is here: its copy is sparse.

    Args:
        skopeo: an entered `Skopeo`.
        destination: the repository.
        images: what is there by its digest.
        access: how the registry is reached.

    Raises:
        IncrementalError: a child can't be read for another reason than that it does not exist.
    """
    below = {(image.root.digest, node.digest): None for image in images for node in image.nodes[1:]}
    answers = skopeo.inspect_raw([(destination.pinned(child), access, SIDE) for _, child in below])
    in_part = set()
    for (root, _), raw in zip(below, answers, strict=True):
        if isinstance(raw, NotFoundError):
            in_part.add(root)
        elif isinstance(raw, IncrementalError):
            raise raw
    return frozenset(in_part)


def refused_list(destination: Reference, image: Image, error: IncrementalError) -> RegistryError:
    """Return the error for a registry that refuses a list because children are absent.

    Args:
        destination: where the list was to go, by its digest.
        image: the image that it belongs to.
        error: what skopeo said.
    """
    absent = plural(len(image.absent), "manifest")
    which = offered(child.platform for child in image.absent.values())
    # After a refusal, skopeo tries a list of the other kind, and says only why that can't be.
    why = "" if "must be converted" in error.message else f": {error.message}"
    return RegistryError(
        f"{destination.registry} did not accept list {destination.digest} without {absent} that the archive lacks "
        f"({which:.200}); its tag was not written{why}",
        "pull it again with `all_architectures` (in a spec, the field all), or have the registry configured to "
        "accept such lists",
    )


def require_sent(skopeo: Skopeo, sent: Mapping[Reference, str], access: Access, report: Progress) -> None:
    """Read what was sent, and compare: that somebody took it does not mean that it is kept.

    Args:
        skopeo: an entered `Skopeo`.
        sent: the digest of what was sent, for each reference.
        access: how the registry is reached.
        report: receives a line for each that is there, but can't be read.

    Raises:
        RegistryError: something is not there, or something else is.
    """
    answers = skopeo.inspect_raw([(reference, access, SIDE) for reference in sent])
    for (reference, digest), raw in zip(sent.items(), answers, strict=True):
        if isinstance(raw, HiddenError):
            report.warn(f"{reference} was sent, but can't be read back: {raw.next_step}")
            continue
        if isinstance(raw, NotFoundError):
            raise RegistryError(
                f"{reference} was sent, and the registry accepted it, but it is not there: {raw.message}",
                f"check that {reference.registry} is the right registry, and who else writes there; restart it if "
                "garbage collection has run since its start",
            )
        if isinstance(raw, IncrementalError):
            raise RegistryError(f"{reference} was sent, but can't be read back: {raw.message}", raw.next_step)
        require_manifest(reference, raw)
        if digest_of(raw) != digest:
            raise RegistryError(
                f"{reference} was sent as {digest}, but the registry returns {digest_of(raw)}",
                "check who else moves this tag, and whether a mirror in registries.conf answers; then push again",
            )


def referrer_reference(destination: Reference, signed: NamedImage) -> Reference:
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
                f"{tag.reference} exists as {tag.previous_digest}, and would be replaced by {digest}",
                "choose another tag, or leave out `overwrite_tag=False`",
            )
