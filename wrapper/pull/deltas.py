"""Making deltas at pull: new layers against those that the bases have and the new image has no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..delta.artifact import EMPTY, Delta, make_artifact
from ..delta.codec import apply, make, take_apart, warn_where_slow
from ..errors import ContentError
from ..host.text import human_bytes, plural
from ..oci.layout import Layout
from ..oci.manifest import digest_of
from ..source.blobs import HOLDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..delta.artifact import Settings
    from ..delta.codec import Parts
    from ..oci.manifest import FetchedManifest
    from ..skopeo.runner import Skopeo
    from ..source.blobs import Supply
    from ..source.cache import Cache
    from .plan import Item, Plan

_CANDIDATES = 16
_QUICK = 3
# What another source has to save to be worth its fetching at the other side.
_WORTH_IT = 0.97


class Comparison(NamedTuple):
    """A new layer, and what it may be made from.

    Attributes:
        size: its size in bytes.
        sources: digest and size in bytes of each layer that the bases have and the new image has not.
        leaves: the bases' manifests.
    """

    size: int
    sources: Mapping[str, int]
    leaves: Sequence[FetchedManifest]


def comparisons(plan: Plan, settings: Settings) -> dict[str, Comparison]:
    """Return for each new layer what it may be made from; nothing for those that are too large."""
    always = {digest for _, named in plan.parts for digest in named.image.always}
    new = {
        digest: size for digest, size in plan.travelling.items() if digest in plan.layers and digest not in always
    }
    # In a registry each image has a repository of its own: what several need is made from what all of them have.
    common: dict[str, dict[str, int]] = {}
    leaves: dict[str, list[FetchedManifest]] = {}
    for item in plan.items:
        for digest, sources in _sources_in(item, new).items():
            known = common.setdefault(digest, sources)
            common[digest] = {source: size for source, size in known.items() if source in sources}
            leaves.setdefault(digest, []).extend(leaf for _, leaf in item.leaves)
    compared = {}
    for digest, sources in common.items():
        if fitting := _fitting(new[digest], sources, settings.room):
            compared[digest] = Comparison(new[digest], fitting, leaves[digest])
    return compared


def _sources_in(item: Item, new: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return for each of the new layers that an image needs what its bases have and it has no more."""
    found: dict[str, dict[str, int]] = {digest: {} for digest in item.layers if digest in new}
    for leaf in item.image.leaves if item.delta else ():
        own = {layer.digest for layer in leaf.manifest.layers}
        old = {
            layer.digest: layer.size
            for base in _alike(item, leaf)
            for layer in base.manifest.layers
            if not layer.is_foreign and layer.digest not in own
        }
        for digest in own & found.keys():
            found[digest] |= old
    return found


def make_deltas(
    skopeo: Skopeo,
    plan: Plan,
    layout: Layout,
    supply: Supply,
    settings: Settings,
    cache: Cache | None,
    report: Callable[[str], None],
) -> Plan:
    """Express new layers against old ones where that is worth it, and prove each delta by applying it.

    Args:
        skopeo: an entered `Skopeo`.
        plan: what travels, with what is compared; all of it was fetched.
        layout: where to; deltas and artifacts are added to it.
        supply: will have the bases' layers.
        settings: how.
        cache: may have the bases' layers, too.
        report: receives a line for each step.

    Returns:
        The plan, with the deltas in place of their layers.

    Raises:
        IncrementalError: a base's layer can't be fetched.
    """
    if not plan.compared:
        return plan
    warn_where_slow(report)
    _add_bases(skopeo, plan, supply, report)
    wanted = {source.digest: source.size for source in plan.delta_sources}
    place = Layout.create(skopeo.new_folder("sources"))
    supply.keep(place, [digest for digest in wanted if cache and cache.take(digest, place.blob(digest))])
    supply.take(
        skopeo,
        {digest: size for digest, size in wanted.items() if supply.offers(digest)},
        ["--preserve-digests"],
        report,
    )
    store = _Store(supply, settings.room)
    deltas: dict[str, Delta] = {}
    for digest, comparison in plan.compared.items():
        delta = _make_one(digest, comparison, layout, store, settings)
        if delta:
            deltas[digest] = delta
            report(f"{digest}: {human_bytes(delta.size)} travel as a change of {human_bytes(delta.blob_size)}")
    if not deltas:
        return plan
    report(f"{plural(len(deltas), 'layer')} of {len(plan.compared)} travel as their change")
    artifacts = []
    left = dict(deltas)
    for item in plan.items:
        own = [left.pop(digest) for digest in item.image.layers if digest in left]
        if own:
            artifacts.append(make_artifact(item.image.root, own))
            layout.put(artifacts[-1].raw)
    layout.put(EMPTY)
    return replace(plan, deltas=deltas, artifacts=tuple(artifacts))


def _add_bases(skopeo: Skopeo, plan: Plan, supply: Supply, report: Callable[[str], None]) -> None:
    """Open the bases that lie here; what is in registries was read when it was compared."""
    leaves = [each for item in plan.items if item.delta for each in item.leaves]
    sources = dict.fromkeys(source for source, _ in leaves if source.reference.transport in HOLDING)
    here = [source for source in sources if source.reference.transport != "docker"]
    if here:
        supply.add_bases(skopeo, here, report)
    for source, leaf in leaves:
        if source.reference.transport == "docker":
            supply.add_leaf(source, leaf)


class _Store:
    """The old layers, taken apart, as long as there is room for them."""

    def __init__(self, supply: Supply, room: int) -> None:
        self._supply = supply
        self._room = room
        self._parts: dict[str, Parts | None] = {}
        self._used = 0

    def parts(self, digest: str) -> Parts | None:
        """Return the parts of a layer; None for what is not at hand, or can't be taken apart."""
        if digest not in self._supply:
            return None
        if digest not in self._parts:
            with self._supply.open_blob(digest) as file:
                found = take_apart(file.read())
            self._used += found.size if found else 0
            if self._used > 2 * self._room:
                self._parts.clear()
                self._used = found.size if found else 0
            self._parts[digest] = found
        return self._parts[digest]


def _make_one(
    digest: str,
    comparison: Comparison,
    layout: Layout,
    store: _Store,
    settings: Settings,
) -> Delta | None:
    new = take_apart(layout.blob(digest).read_bytes())
    if new is None:
        return None
    olds = {}
    left = settings.parts - new.size
    for source in comparison.sources:
        parts = store.parts(source)
        if parts and parts.kind == new.kind and parts.size <= left:
            olds[source] = parts
            left -= parts.size
    chosen = _choose(new, olds)
    if not chosen:
        return None
    against = [olds[source] for source in chosen]
    blob = make(new, against, settings.level)
    if len(blob) > comparison.size * (1 - settings.min_saving / 100):
        return None
    # Whatever is not as it should be shows here, and the layer travels whole.
    try:
        made = apply(blob, against, comparison.size, settings.parts)
    except ContentError:
        return None
    if digest_of(made) != digest:
        return None
    having = {
        leaf.digest for leaf in comparison.leaves if {layer.digest for layer in leaf.manifest.layers} & {*chosen}
    }
    sources = {source: comparison.sources[source] for source in chosen}
    return Delta(digest, comparison.size, layout.put(blob), len(blob), sources, tuple(sorted(having)))


def _choose(new: Parts, olds: Mapping[str, Parts]) -> list[str]:
    """Choose sources: the best one, and those that save something beside it."""
    if len(olds) <= 1:
        return list(olds)
    alone = {source: len(make(new, [parts], _QUICK)) for source, parts in olds.items()}
    ranked = sorted(alone, key=lambda source: alone[source])
    chosen, size = [ranked[0]], alone[ranked[0]]
    for source in ranked[1:]:
        together = len(make(new, [olds[each] for each in (*chosen, source)], _QUICK))
        if together < size * _WORTH_IT:
            chosen.append(source)
            size = together
    return chosen


def _alike(item: Item, leaf: FetchedManifest) -> list[FetchedManifest]:
    """Return the bases' manifests for the same platform, or all where none says so."""
    bases = [base for _, base in item.leaves]
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
