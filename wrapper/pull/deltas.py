"""Making deltas at pull: new layers against those that the bases have and the new image has no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..delta.artifact import EMPTY_CONFIG, LayerDelta, make_artifact
from ..delta.codec import decode, encode, parse_layer, warn_where_slow
from ..errors import ContentError
from ..host.text import human_bytes, plural
from ..oci.layout import Layout
from ..oci.manifest import digest_of
from ..source.stores import LAYER_TRANSPORTS
from .plan import DeltaCandidates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..delta.codec import ParsedLayer
    from ..delta.options import DeltaOptions
    from ..oci.manifest import FetchedManifest
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from ..source.cache import Cache
    from .plan import PlannedImage, PullPlan

_CANDIDATES = 16
_QUICK = 3
# What another source has to save to be worth its fetching at the other side.
_WORTH_IT = 0.97


def find_candidates(plan: PullPlan, options: DeltaOptions) -> dict[str, DeltaCandidates]:
    """Return for each new layer what it may be made from; nothing for those that are too large."""
    metadata = {digest for _, named in plan.parts for digest in named.image.metadata}
    new = {
        digest: size for digest, size in plan.blob_sizes.items() if digest in plan.layers and digest not in metadata
    }
    # In a registry each image has a repository of its own: what several need is made from what all of them have.
    common: dict[str, dict[str, int]] = {}
    leaves: dict[str, list[FetchedManifest]] = {}
    for planned in plan.images:
        for digest, sources in _sources_in(planned, new).items():
            known = common.setdefault(digest, sources)
            common[digest] = {source: size for source, size in known.items() if source in sources}
            leaves.setdefault(digest, []).extend(leaf for _, leaf in planned.leaves)
    candidates = {}
    for digest, sources in common.items():
        if fitting := _fitting(new[digest], sources, options.room):
            candidates[digest] = DeltaCandidates(new[digest], fitting, leaves[digest])
    return candidates


def _sources_in(planned: PlannedImage, new: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return for each of the new layers that an image needs what its bases have and it has no more."""
    found: dict[str, dict[str, int]] = {digest: {} for digest in planned.layers if digest in new}
    for leaf in planned.image.leaves if planned.delta else ():
        own = {layer.digest for layer in leaf.manifest.layers}
        old = {
            layer.digest: layer.size
            for base in _alike(planned, leaf)
            for layer in base.manifest.layers
            if not layer.is_foreign and layer.digest not in own
        }
        for digest in own & found.keys():
            found[digest] |= old
    return found


def make_deltas(
    skopeo: Skopeo,
    plan: PullPlan,
    layout: Layout,
    blob_source: BlobSource,
    options: DeltaOptions,
    cache: Cache | None,
    report: Callable[[str], None],
) -> PullPlan:
    """Express new layers against old ones where that is worth it, and prove each delta by applying it.

    Args:
        skopeo: an entered `Skopeo`.
        plan: what travels, with what is compared; all of it was fetched.
        layout: where to; deltas and artifacts are added to it.
        blob_source: will have the bases' layers.
        options: how.
        cache: may have the bases' layers, too.
        report: receives a line for each step.

    Returns:
        The plan, with the deltas in place of their layers.

    Raises:
        IncrementalError: a base's layer can't be fetched.
    """
    if not plan.candidates:
        return plan
    warn_where_slow(report)
    _add_bases(skopeo, plan, blob_source, report)
    wanted = {source.digest: source.size for source in plan.delta_sources}
    place = Layout.create(skopeo.new_folder("sources"))
    blob_source.add_layers(place, [digest for digest in wanted if cache and cache.get(digest, place.blob(digest))])
    blob_source.fetch(
        skopeo, {digest: size for digest, size in wanted.items() if blob_source.offers(digest)}, report
    )
    store = _ParsedLayers(blob_source, options.room)
    deltas: dict[str, LayerDelta] = {}
    for digest, found in plan.candidates.items():
        delta = _make_one(digest, found, layout, store, options)
        if delta:
            deltas[digest] = delta
            report(f"{digest}: {human_bytes(delta.size)} travel as a change of {human_bytes(delta.blob_size)}")
    if not deltas:
        return plan
    report(f"{plural(len(deltas), 'layer')} of {len(plan.candidates)} travel as their change")
    artifacts = []
    left = dict(deltas)
    for planned in plan.images:
        own = [left.pop(digest) for digest in planned.image.layers if digest in left]
        if own:
            artifacts.append(make_artifact(planned.image.root, own))
            layout.put(artifacts[-1].raw)
    layout.put(EMPTY_CONFIG)
    return replace(plan, deltas=deltas, artifacts=tuple(artifacts))


def _add_bases(skopeo: Skopeo, plan: PullPlan, blob_source: BlobSource, report: Callable[[str], None]) -> None:
    """Open the bases that lie here; what is in registries was read when it was compared."""
    leaves = [each for planned in plan.images if planned.delta for each in planned.leaves]
    sources = dict.fromkeys(source for source, _ in leaves if source.reference.transport in LAYER_TRANSPORTS)
    here = [source for source in sources if source.reference.transport != "docker"]
    if here:
        blob_source.add_bases(skopeo, here, report)
    for source, leaf in leaves:
        if source.reference.transport == "docker":
            blob_source.add_manifest(source, leaf)


class _ParsedLayers:
    """The old layers, parsed, as long as there is room for them."""

    def __init__(self, blob_source: BlobSource, room: int) -> None:
        self._blob_source = blob_source
        self._room = room
        self._parts: dict[str, ParsedLayer | None] = {}
        self._used = 0

    def parts(self, digest: str) -> ParsedLayer | None:
        """Return what a layer was parsed to; None for what is not at hand, or can't be parsed."""
        if digest not in self._blob_source:
            return None
        if digest not in self._parts:
            with self._blob_source.open_blob(digest) as file:
                found = parse_layer(file.read())
            self._used += found.size if found else 0
            if self._used > 2 * self._room:
                self._parts.clear()
                self._used = found.size if found else 0
            self._parts[digest] = found
        return self._parts[digest]


def _make_one(
    digest: str,
    candidates: DeltaCandidates,
    layout: Layout,
    store: _ParsedLayers,
    options: DeltaOptions,
) -> LayerDelta | None:
    new = parse_layer(layout.blob(digest).read_bytes())
    if new is None:
        return None
    olds = {}
    left = options.parsed_room - new.size
    for source in candidates.sources:
        parts = store.parts(source)
        if parts and parts.kind == new.kind and parts.size <= left:
            olds[source] = parts
            left -= parts.size
    chosen = _choose(new, olds)
    if not chosen:
        return None
    against = [olds[source] for source in chosen]
    blob = encode(new, against, options.level)
    if len(blob) > candidates.size * (1 - options.min_saving / 100):
        return None
    # Whatever is not as it should be shows here, and the layer travels whole.
    try:
        made = decode(blob, against, candidates.size, options.parsed_room)
    except ContentError:
        return None
    if digest_of(made) != digest:
        return None
    having = {
        leaf.digest for leaf in candidates.leaves if {layer.digest for layer in leaf.manifest.layers} & {*chosen}
    }
    sources = {source: candidates.sources[source] for source in chosen}
    return LayerDelta(digest, candidates.size, layout.put(blob), len(blob), sources, tuple(sorted(having)))


def _choose(new: ParsedLayer, olds: Mapping[str, ParsedLayer]) -> list[str]:
    """Choose sources: the best one, and those that save something beside it."""
    if len(olds) <= 1:
        return list(olds)
    alone = {source: len(encode(new, [parts], _QUICK)) for source, parts in olds.items()}
    ranked = sorted(alone, key=lambda source: alone[source])
    chosen, size = [ranked[0]], alone[ranked[0]]
    for source in ranked[1:]:
        together = len(encode(new, [olds[each] for each in (*chosen, source)], _QUICK))
        if together < size * _WORTH_IT:
            chosen.append(source)
            size = together
    return chosen


def _alike(planned: PlannedImage, leaf: FetchedManifest) -> list[FetchedManifest]:
    """Return the bases' manifests for the same platform, or all where none says so."""
    bases = [base for _, base in planned.leaves]
    return [base for base in bases if leaf.platform and base.platform == leaf.platform] or bases


def _fitting(size: int, sources: Mapping[str, int], room: int) -> dict[str, int]:
    """Return the sources for which there is room beside a layer, those of its own length first."""
    left = room - size
    found = {}
    for digest in sorted(sources, key=lambda each: abs(sources[each] - size))[:_CANDIDATES]:
        if sources[digest] <= left:
            found[digest] = sources[digest]
            left -= sources[digest]
    return found
