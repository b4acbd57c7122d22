"""Making deltas at pull: new layers against those that the bases have and the new image has no more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..delta.artifact import EMPTY_CONFIG, MANIFESTS, LayerDelta, make_artifact
from ..delta.codec import TooLargeError, decode, encode, parse_layer, warn_where_slow
from ..errors import ContentError
from ..host.text import human_bytes, plural
from ..oci.layout import Layout
from ..oci.manifest import digest_of
from ..source.making import read_exactly
from ..source.stores import LAYER_TRANSPORTS
from .plan import DeltaCandidates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

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
    """Return for each of the new layers that an image needs what its bases have and it has no more.

    What travels itself is no source: one step makes a layer, and no circle comes about.
    """
    found: dict[str, dict[str, int]] = {digest: {} for digest in planned.layers if digest in new}
    for leaf in planned.image.leaves if planned.delta else ():
        own = {layer.digest for layer in leaf.manifest.layers}
        old = {
            layer.digest: layer.size
            for base in _alike(planned, leaf)
            for layer in base.manifest.layers
            if not layer.is_foreign and layer.digest not in own and layer.digest not in new
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
    store = _ParsedLayers(blob_source, options.memory)
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

    def __init__(self, blob_source: BlobSource, memory: int) -> None:
        self._blob_source = blob_source
        self._memory = memory
        self._parts: dict[str, ParsedLayer | None] = {}

    @property
    def left(self) -> int:
        """How much memory they leave, in bytes."""
        return self._memory - sum(parts.size for parts in self._parts.values() if parts)

    def parts(self, digest: str, size: int, beside: int, keep: Collection[str]) -> ParsedLayer | None:
        """Return what a layer was parsed to.

        Args:
            digest: of the layer.
            size: its size in bytes.
            beside: how much memory else is taken, in bytes.
            keep: layers that are still needed, by their digests.

        Returns:
            Its parts; None for what is not at hand, can't be parsed, or is too large.

        Raises:
            ContentError: it is not what its digest or size says.
        """
        if digest not in self._blob_source:
            return None
        if digest not in self._parts:
            try:
                self._parts[digest] = self._parse(digest, size, beside)
            except TooLargeError:
                self.keep_only(keep)
                try:
                    self._parts[digest] = self._parse(digest, size, beside)
                except TooLargeError:
                    return None
        return self._parts[digest]

    def keep_only(self, digests: Collection[str]) -> None:
        """Forget all others."""
        self._parts = {digest: parts for digest, parts in self._parts.items() if digest in digests}

    def _parse(self, digest: str, size: int, beside: int) -> ParsedLayer | None:
        left = self.left - beside
        # What is read may be there twice for a moment.
        if 2 * size > left:
            raise TooLargeError
        return parse_layer(read_exactly(self._blob_source.open_blob, digest, size), left - size)


def _make_one(
    digest: str,
    candidates: DeltaCandidates,
    layout: Layout,
    store: _ParsedLayers,
    options: DeltaOptions,
) -> LayerDelta | None:
    """Express a layer as its change; None where it is to travel whole: nothing is saved, or it is too large."""
    store.keep_only(candidates.sources)
    new = _parse_new(layout, digest, candidates.size, store)
    if new is None:
        return None
    olds: dict[str, ParsedLayer] = {}
    for source, size in candidates.sources.items():
        parts = store.parts(source, size, new.size, olds)
        if parts and parts.kind == new.kind:
            olds[source] = parts
    store.keep_only(olds)
    found = _encode_best(new, olds, options)
    if not found or len(found[1]) > candidates.size * (1 - options.min_saving / 100):
        return None
    chosen, blob = found
    # Whatever is not as it should be shows here, and the layer travels whole.
    try:
        made = decode(blob, [olds[source] for source in chosen], candidates.size, options.memory - new.size)
    except (ContentError, TooLargeError):
        return None
    if digest_of(made) != digest:
        return None
    having = {
        leaf.digest for leaf in candidates.leaves if {layer.digest for layer in leaf.manifest.layers} & {*chosen}
    }
    # More may not be named: nobody could read it.
    if len(having) > MANIFESTS:
        return None
    sources = {source: candidates.sources[source] for source in chosen}
    return LayerDelta(digest, candidates.size, layout.put(blob), len(blob), sources, tuple(sorted(having)))


def _parse_new(layout: Layout, digest: str, size: int, store: _ParsedLayers) -> ParsedLayer | None:
    def parse() -> ParsedLayer | None:
        return parse_layer(read_exactly(layout.open_blob, digest, size), store.left - size)

    try:
        return parse()
    except TooLargeError:
        store.keep_only(())
    with suppress(TooLargeError):
        return parse()
    return None


def _encode_best(
    new: ParsedLayer, olds: Mapping[str, ParsedLayer], options: DeltaOptions
) -> tuple[list[str], bytes] | None:
    """Express a layer against the sources that help most, as far as there is memory."""
    total = sum(parts.size for parts in olds.values())

    def encoded(sources: Sequence[str], level: int) -> bytes | None:
        against = [olds[source] for source in sources]
        try:
            return encode(new, against, level, options.memory - total + sum(parts.size for parts in against))
        except TooLargeError:
            return None

    def quick(*sources: str) -> int | None:
        blob = encoded(sources, _QUICK)
        return None if blob is None else len(blob)

    chosen = _choose(list(olds), quick)
    while chosen:
        if (blob := encoded(chosen, options.level)) is not None:
            return chosen, blob
        chosen.pop()
    return None


def _choose(sources: list[str], size_from: Callable[..., int | None]) -> list[str]:
    """Choose sources: the best one, and those that save something beside it."""
    if len(sources) <= 1:
        return sources
    alone = {source: found for source in sources if (found := size_from(source)) is not None}
    ranked = sorted(alone, key=lambda source: alone[source])
    if not ranked:
        return []
    chosen, size = ranked[:1], alone[ranked[0]]
    for source in ranked[1:]:
        together = size_from(*chosen, source)
        if together is not None and together < size * _WORTH_IT:
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
