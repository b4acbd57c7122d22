"""What a push checks before it writes: whether every layer will be there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..archive.contents import missing_layers
from ..host.text import plural
from ..oci.manifest import unnamed_layer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..host.progress import Progress
    from ..oci.manifest import Descriptor
    from ..results import MissingLayer
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from .destination import Destination
    from .plan import PushItem


class Vetted(NamedTuple):
    """Where every layer of an item will come from.

    Attributes:
        absent: the layers that have to come from bases, by digest.
        missing: those among them that nobody has.
        there: digest and size in bytes of what the destination says it has, and no archive.
        claimed: the layers among that, with the bases that would bring each.
    """

    absent: Mapping[str, Descriptor] = {}
    missing: tuple[MissingLayer, ...] = ()
    there: Mapping[str, int] = {}
    claimed: tuple[MissingLayer, ...] = ()


def vet(
    skopeo: Skopeo,
    blob_source: BlobSource,
    item: PushItem,
    bases: Sequence[ImageSource],
    report: Progress,
) -> Vetted:
    """Look where every layer will come from.

    Args:
        skopeo: an entered `Skopeo`.
        blob_source: the archives; bases are added where something is absent.
        item: what goes where; the destination is asked for what no archive has.
        bases: are asked for what the destination lacks.
        report: is told each step.

    Raises:
        IncrementalError: the destination or a base gave no clear answer.
    """
    images, destination = item
    layers = {digest: layer for named in images for digest, layer in named.image.layers.items()}
    outside = {digest: layers[digest] for digest in sorted(layers) if digest not in blob_source}
    if not outside:
        return Vetted()
    # What changes are made from counts, too: it may be there in place of a layer, or be needed to make it.
    reached = blob_source.making(_sizes(outside), blob_source.__contains__)
    asked = {digest: layers.get(digest) or unnamed_layer(digest, size) for digest, size in reached.lacking.items()}
    what = f"asking {destination.reference} for {plural(len(asked), 'layer')}"
    report.begin("vetting", str(destination.reference), what)
    present = destination.present_layers(skopeo, list(asked.values()))
    there = {digest: asked[digest].size for digest in sorted(present)}
    own = {digest: size for digest, size in there.items() if digest in outside}
    claimed = missing_layers(own, blob_source.contents)
    absent = {digest: layer for digest, layer in outside.items() if digest not in present}
    if not absent:
        return Vetted(there=there, claimed=claimed)
    with blob_source.lock:
        if bases:
            blob_source.add_bases(skopeo, bases, report)
        _offer_delta_sources(skopeo, blob_source, destination, _sizes(absent), present)
        missing = blob_source.making(_sizes(absent)).missing
        sources = missing.keys() - absent.keys()
        if sources and bases:
            blob_source.learn_contents(skopeo, bases, sources, report)
            missing = blob_source.making(_sizes(absent)).missing
    return Vetted(absent, missing_layers(missing, blob_source.contents), there, claimed)


def _offer_delta_sources(
    skopeo: Skopeo,
    blob_source: BlobSource,
    destination: Destination,
    absent: Mapping[str, int],
    present: Collection[str],
) -> None:
    """Let what is needed to make layers be read at the destination, where nobody else has it."""
    hopes = set(present)

    def at_hand(digest: str) -> bool:
        return blob_source.can_have(digest) or digest in hopes

    while True:
        making = blob_source.making(absent, at_hand)
        needed = {
            digest
            for digest in making.needed
            if not blob_source.can_have(digest) and (digest in absent or not blob_source.has_content(digest))
        }
        if not needed:
            return
        # What is there, and can't be read, may have to be made itself.
        hopes -= needed
        named = Counter(
            manifest
            for delta in map(blob_source.deltas.__getitem__, making.order)
            if needed & delta.sources.keys()
            for manifest in delta.manifests
        )
        # What many name is the likeliest.
        manifests = sorted(named, key=lambda digest: (-named[digest], digest))
        destination.offer_delta_sources(skopeo, blob_source, needed, manifests)


def _sizes(layers: Mapping[str, Descriptor]) -> dict[str, int]:
    return {digest: layer.size for digest, layer in layers.items()}
