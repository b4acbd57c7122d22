"""What vet and push find and do: their results, what is missing, and the tags of a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import IncrementalError, MissingLayersError, NotFoundError, RegistryError, UsageError
from .manifest import digest_of
from .results import Contents
from .text import human_bytes, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .access import Access
    from .bundle import Outcome
    from .contents import NamedImage
    from .image import Image
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
        outcomes: for a bundle, what was found for each image.
    """

    changed: bool
    destination: str | None
    missing: tuple[MissingLayer, ...]
    outcomes: tuple[Outcome, ...] = ()


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
        tags: the destination and whatever else was written, with what each pointed to before.
        image_id: the digest of the config, by which local stores name an image; None where that is no local store.
        outcomes: for a bundle, what happened to each image.
    """

    changed: bool
    destination: str
    previous_digest: str | None
    tags: tuple[TagChange, ...] = ()
    image_id: str | None = None
    outcomes: tuple[Outcome, ...] = ()


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


def missing_error(destination: str, missing: Sequence[MissingLayer]) -> MissingLayersError:
    """Return the error that says what a destination lacks, and what would bring it."""
    total = human_bytes(sum(layer.size for layer in missing))
    bases = sorted({base for layer in missing for base in layer.bases})
    step = f"push {' or '.join(bases)} there first" if bases else "push there first what this archive was based on"
    return MissingLayersError(
        f"{destination} lacks {plural(len(missing), 'layer')} ({total}) that the archive leaves out; "
        "nothing was written",
        tuple(missing),
        f"{step}, name with --base where the layers are, or pull again with a base that it has",
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
