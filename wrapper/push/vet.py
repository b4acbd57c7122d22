"""What a push checks before it writes: what goes where, and whether every layer will be there."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..host.text import plural
from ..oci.manifest import Descriptor
from ..results import MissingLayer
from .tags import require_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..archive.contents import ArchiveContents, NamedImage
    from ..skopeo.inspect import Source
    from ..skopeo.runner import Skopeo
    from ..source.blobs import Supply
    from .destination import Destination


def choose(destination: Destination, supply: Supply, report: Callable[[str], None]) -> tuple[NamedImage, ...]:
    """Return what of verified archives goes to a destination, in order.

    Args:
        destination: where to.
        supply: the archives.
        report: receives a line for each step.

    Raises:
        UsageError: nothing fits, or the destination names another digest.
        ContentError: an archive is damaged.
    """
    images = destination.choose(supply.contents)
    require_digest(destination.reference, [named for named in images if not named.beside][-1].image)
    supply.verify(report)
    return images


def vet(
    skopeo: Skopeo,
    supply: Supply,
    images: Sequence[NamedImage],
    destination: Destination,
    bases: Sequence[Source],
    report: Callable[[str], None],
) -> tuple[dict[str, Descriptor], tuple[MissingLayer, ...]]:
    """Look where every layer will come from.

    Args:
        skopeo: an entered `Skopeo`.
        supply: the archives; bases are added where something is absent.
        images: what goes to the destination.
        destination: is asked for what no archive has.
        bases: are asked for what the destination lacks.
        report: receives a line for each step.

    Returns:
        The layers that have to come from bases, by digest; and those that nobody has, which are among them.

    Raises:
        IncrementalError: the destination or a base gave no clear answer.
    """
    layers = {digest: layer for named in images for digest, layer in named.image.layers.items()}
    outside = {digest: layers[digest] for digest in sorted(layers) if digest not in supply}
    if not outside:
        return {}, ()
    deltas = {digest: supply.deltas[digest] for digest in outside if digest in supply.deltas}
    sources = {
        digest: Descriptor(layers[delta.layer].media_type, digest, size)
        for delta in deltas.values()
        for digest, size in delta.sources.items()
        if digest not in outside and digest not in supply
    }
    asked = outside | sources
    report(f"asking {destination.reference} for {plural(len(asked), 'layer')}")
    present = destination.present(skopeo, list(asked.values()))
    absent = {digest: layer for digest, layer in outside.items() if digest not in present}
    if absent and bases:
        supply.add_bases(skopeo, bases, report)
    needed = [deltas[digest] for digest in absent if digest in deltas]
    if needed:
        destination.lend(skopeo, supply, sorted({each for delta in needed for each in delta.manifests}))
    missing: dict[str, int] = {}
    for digest, layer in absent.items():
        missing |= supply.lacks(digest, layer.size, present)
    return absent, missing_layers(missing, supply.contents)


def missing_layers(layers: Mapping[str, int], contents: Iterable[ArchiveContents]) -> tuple[MissingLayer, ...]:
    """Say of missing layers, given by digest and size in bytes, which bases would bring them, if archives tell."""
    found = list(contents)

    def bases(digest: str) -> tuple[str, ...]:
        exact = {base for each in found for base in each.bases_of.get(digest, ())}
        return tuple(sorted(exact or {base for each in found for base in each.bases}))

    return tuple(MissingLayer(digest, layers[digest], bases(digest)) for digest in sorted(layers))


def layers_at(
    skopeo: Skopeo, source: Source, layers: Sequence[Descriptor], report: Callable[[str], None]
) -> frozenset[str]:
    """Ask any place, a base or a destination, which layers it has.

    Args:
        skopeo: an entered `Skopeo`.
        source: the place; of a registry, the whole repository counts.
        layers: what to ask for, each once.
        report: receives a line for each step.

    Returns:
        Their digests.

    Raises:
        IncrementalError: there is no such place, or it gave no clear answer.
    """
    from ..skopeo.probe import present_in_storage, present_layers
    from ..source.bases import read_base, why_nothing
    from ..source.blobs import HOLDING, open_holder

    reference, access = source.reference, source.access
    report(f"asking {reference} for {plural(len(layers), 'layer')}")
    if reference.transport == "docker":
        return present_layers(skopeo, reference, access, layers)
    if reference.transport == "containers-storage":
        return present_in_storage(skopeo, reference, layers, ["--preserve-digests"])
    if reference.transport in HOLDING:
        with ExitStack() as stack:
            holder = open_holder(reference, stack)
            return frozenset(layer.digest for layer in layers if layer.digest in holder)
    if why := why_nothing(reference):
        report(f"warning: {why}")
    known = {digest for image in read_base(skopeo, source, report).layers.values() for digest in image}
    return frozenset(layer.digest for layer in layers if layer.digest in known)
