"""What a push checks before it writes: whether every layer will be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..archive.contents import missing_layers
from ..host.text import plural
from ..oci.manifest import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..results import MissingLayer
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from .plan import PushItem


def vet(
    skopeo: Skopeo,
    blob_source: BlobSource,
    item: PushItem,
    bases: Sequence[ImageSource],
    report: Callable[[str], None],
) -> tuple[dict[str, Descriptor], tuple[MissingLayer, ...]]:
    """Look where every layer will come from.

    Args:
        skopeo: an entered `Skopeo`.
        blob_source: the archives; bases are added where something is absent.
        item: what goes where; the destination is asked for what no archive has.
        bases: are asked for what the destination lacks.
        report: receives a line for each step.

    Returns:
        The layers that have to come from bases, by digest; and those that nobody has, which are among them.

    Raises:
        IncrementalError: the destination or a base gave no clear answer.
    """
    images, destination = item
    layers = {digest: layer for named in images for digest, layer in named.image.layers.items()}
    outside = {digest: layers[digest] for digest in sorted(layers) if digest not in blob_source}
    if not outside:
        return {}, ()
    deltas = {digest: blob_source.deltas[digest] for digest in outside if digest in blob_source.deltas}
    sources = {
        digest: Descriptor(layers[delta.layer].media_type, digest, size)
        for delta in deltas.values()
        for digest, size in delta.sources.items()
        if digest not in outside and digest not in blob_source
    }
    asked = outside | sources
    report(f"asking {destination.reference} for {plural(len(asked), 'layer')}")
    present = destination.present_layers(skopeo, list(asked.values()))
    absent = {digest: layer for digest, layer in outside.items() if digest not in present}
    if absent and bases:
        blob_source.add_bases(skopeo, bases, report)
    needed = [deltas[digest] for digest in absent if digest in deltas]
    if needed:
        destination.offer_delta_sources(
            skopeo, blob_source, sorted({each for delta in needed for each in delta.manifests})
        )
    missing: dict[str, int] = {}
    for digest, layer in absent.items():
        missing |= blob_source.lacks(digest, layer.size, present)
    return absent, missing_layers(missing, blob_source.contents)
