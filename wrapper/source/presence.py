"""Asks any place, a base or a destination, which layers it has."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..errors import ContentError
from ..host.files import CHUNK
from ..host.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host.progress import Progress
    from ..oci.manifest import Descriptor
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from .stores import BlobStore


def layers_at(
    skopeo: Skopeo, source: ImageSource, layers: Sequence[Descriptor], report: Progress
) -> frozenset[str]:
    """Ask any place, a base or a destination, which layers it has.

    Args:
        skopeo: an entered `Skopeo`.
        source: the place; of a registry, the whole repository counts.
        layers: what to ask for, each once.
        report: is told each step.

    Returns:
        Their digests.

    Raises:
        IncrementalError: there is no such place, or it gave no clear answer.
    """
    from ..skopeo.probe import present_in_storage
    from .bases import read_base, why_nothing
    from .stores import LAYER_TRANSPORTS, open_blob_store

    reference = source.reference
    report.begin("vetting", str(reference), f"asking {reference} for {plural(len(layers), 'layer')}")
    if reference.transport == "docker":
        return layers_in_repository(skopeo, source, layers, writes=False)
    if reference.transport == "containers-storage":
        return present_in_storage(skopeo, reference, layers, preserve=True)
    if reference.transport in LAYER_TRANSPORTS:
        with ExitStack() as stack:
            store = open_blob_store(reference, stack)
            return frozenset(layer.digest for layer in layers if _is_sound(store, layer))
    if why := why_nothing(reference):
        report.warn(why)
    known = {digest for image in read_base(skopeo, source, report).layers.values() for digest in image}
    return frozenset(layer.digest for layer in layers if layer.digest in known)


def layers_in_repository(
    skopeo: Skopeo, source: ImageSource, layers: Sequence[Descriptor], *, writes: bool
) -> frozenset[str]:
    """Ask a registry's repository which layers it has.

    Args:
        skopeo: an entered `Skopeo`.
        source: an image in it, which need not exist.
        layers: what to ask for, each once.
        writes: whether something will be written there; else a repository that is not known is looked at first, for
            some registries make it when they are asked by who may write there.

    Returns:
        The digests of those that are there.

    Raises:
        IncrementalError: it gave no clear answer.
    """
    from ..skopeo.inspect import is_repository
    from ..skopeo.probe import present_layers
    from .known import seen, was_seen

    reference = source.reference
    if not writes and not was_seen(reference) and not is_repository(skopeo, source):
        return frozenset()
    present = present_layers(skopeo, reference, source.access, layers)
    if present and not writes:
        seen(reference)
    return present


def _is_sound(store: BlobStore, layer: Descriptor) -> bool:
    """Say whether files have a layer; it is read, since a damaged one is of no use."""
    from .stores import verified_reader

    if layer.digest not in store:
        return False
    try:
        with verified_reader(store, layer.size)(layer.digest) as file:
            while file.read(CHUNK):
                pass
    except ContentError:
        return False
    return True
