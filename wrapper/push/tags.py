"""The tags of a registry, and what is missing, as errors say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import IncrementalError, MissingLayersError, NotFoundError, RegistryError, UsageError
from ..host.text import human_bytes, plural
from ..oci.manifest import digest_of
from ..results import MissingLayer, TagChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..archive.contents import NamedImage
    from ..oci.image import Image
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.runner import Skopeo

FLAG = "--dest"


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
                f"{tag.reference} is {tag.previous_digest} and would become {digest}",
                "choose another tag, or leave out --no-overwrite-tag",
            )
