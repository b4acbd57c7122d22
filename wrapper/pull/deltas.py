"""Making deltas at pull: new layers against those that the bases have and the new image has no more.

A layer without any relative is repacked: its content alone travels, compressed better than gzip does.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delta import is_compiled
from ..delta.artifact import EMPTY_CONFIG, MANIFESTS, SOURCES, LayerDelta, make_artifact
from ..delta.options import LEAST_MEMORY
from ..errors import IncrementalError
from ..host.files import sha256_of
from ..host.signals import check
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..host.workers import Worker, WorkerError
from ..oci.layout import Layout
from ..source.stores import LAYER_TRANSPORTS
from ..source.unpacked import UNPACKED_TRANSPORTS, unpack
from .plan import DeltaCandidates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from ..delta.options import DeltaOptions
    from ..host.progress import Progress, Share
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..skopeo.runner import Skopeo
    from ..source.blobs import BlobSource
    from ..source.cache import Cache
    from .plan import PlannedImage, PullPlan

_SHORT = 16 * 1024
"""Layers of so many bytes travel whole: no change could save much."""

_TIMES, _AND = 64, 64 << 20
"""How many times as long as a layer its content may be, and so many bytes more: real ones are far below."""

_OWN_MEMORY = 64 << 20
"""What this process takes of the memory that is allowed, in bytes."""

_GZIP_MODULUS = 1 << 32
_ZSTD_TIMES = 4
_LOOK = 0.02


def with_candidates(plan: PullPlan, options: DeltaOptions) -> PullPlan:
    """Say what new layers may be made from.

    Args:
        plan: what travels.
        options: how changes are made.

    Returns:
        The plan, with what each new layer may be made from that may travel as its change, or repacked; and for the
        others why they travel whole.
    """
    metadata = {digest for _, named in plan.parts for digest in named.image.metadata}
    new = {
        digest: layer
        for digest, layer in plan.layers.items()
        if digest in plan.blob_sizes and digest not in metadata
    }
    whole = {digest: why for digest, layer in new.items() if (why := _why_whole(layer, options))}
    # In a registry each image has a repository of its own: what several need is made from what all of them have.
    common: dict[str, dict[str, int]] = {}
    leaves: dict[str, list[FetchedManifest]] = {}
    for planned in plan.images:
        for digest, sources in _sources_in(planned, new).items():
            if not planned.delta:
                whole.setdefault(digest, "another image needs it, and that image's layers travel whole")
            known = common.setdefault(digest, sources)
            common[digest] = {source: size for source, size in known.items() if source in sources}
            leaves.setdefault(digest, []).extend(leaf for _, leaf in planned.leaves)
    candidates = {
        digest: DeltaCandidates(new[digest].size, _likeliest(new[digest].size, sources), leaves[digest])
        for digest, sources in common.items()
        if digest not in whole
    }
    reasons = {digest: why for digest, why in whole.items() if digest in common}
    return replace(plan, candidates=candidates, reasons=reasons)


def _why_whole(layer: Descriptor, options: DeltaOptions) -> str:
    """Say why a layer travels whole, if that is known beforehand; else nothing."""
    if not is_compiled():
        return "the modules that make changes are not compiled here"
    if options.memory < LEAST_MEMORY:
        return f"it is too large for the allowed memory: a change takes at least {human_bytes(LEAST_MEMORY)}"
    return "it is short: no change would save much" if layer.size <= _SHORT else ""


def _sources_in(planned: PlannedImage, new: Collection[str]) -> dict[str, dict[str, int]]:
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


def _alike(planned: PlannedImage, leaf: FetchedManifest) -> list[FetchedManifest]:
    """Return the bases' manifests for the same platform, or all where none says so."""
    bases = [base for _, base in planned.leaves]
    return [base for base in bases if leaf.platform and base.platform == leaf.platform] or bases


def _likeliest(size: int, sources: Mapping[str, int]) -> dict[str, int]:
    """Return the sources that are looked at, those of the layer's own length first."""
    ordered = sorted(sources, key=lambda each: (abs(sources[each] - size), each))
    return {digest: sources[digest] for digest in ordered[:SOURCES]}


def fetch_sources(
    skopeo: Skopeo, plan: PullPlan, blob_source: BlobSource, cache: Cache | None, report: Progress
) -> None:
    """Fetch the bases' layers that new ones are compared with.

    Args:
        skopeo: an entered `Skopeo`.
        plan: what travels, with what is compared.
        blob_source: will have the bases' layers.
        cache: may have them, too.
        report: is told each step.

    Raises:
        IncrementalError: one can't be fetched.
    """
    if not plan.candidates:
        return
    _add_bases(skopeo, plan, blob_source, report)
    wanted = {source.digest: source.size for source in plan.delta_sources}
    place = Layout.create(skopeo.new_folder("sources"))
    cached = [digest for digest in wanted if cache and cache.get(digest, place.blob(digest))]
    blob_source.add_layers(place, cached)
    report.add("fetching", sum(wanted[digest] for digest in cached))
    blob_source.fetch(
        skopeo, {digest: size for digest, size in wanted.items() if blob_source.offers(digest)}, report
    )


def make_changes(
    plan: PullPlan,
    layout: Layout,
    blob_source: BlobSource,
    folder: Path,
    options: DeltaOptions,
    report: Progress,
) -> PullPlan:
    """Express new layers by their contents, against old ones where that helps; prove each change by applying it.

    Args:
        plan: what travels, with what is compared; all of it was fetched.
        layout: where to; changes and artifacts are added to it.
        blob_source: has the older layers, as far as they can be had.
        folder: for temporary files.
        options: how.
        report: is told each step.

    Returns:
        The plan, with the changes in place of their layers.

    Raises:
        DiskFullError: there is too little space.
        ContentError: an older layer is not what its digest says.
    """
    for digest, why in plan.reasons.items():
        report(f"{digest} travels whole: {why}")
    if not plan.candidates:
        return plan
    with report.phase("comparing", sum(each.size for each in plan.candidates.values())):
        return _make_changes(plan, layout, blob_source, folder, options, report)


def _make_changes(
    plan: PullPlan,
    layout: Layout,
    blob_source: BlobSource,
    folder: Path,
    options: DeltaOptions,
    report: Progress,
) -> PullPlan:
    folder.mkdir()
    bench = _Workbench(plan.candidates, layout, blob_source, folder, options, report)
    deltas = {}
    reasons = dict(plan.reasons)
    for digest, found in bench.make_all():
        if isinstance(found, LayerDelta):
            deltas[digest] = found
            how = f"as its change from {plural(len(found.sources), 'layer')}" if found.sources else "repacked"
            what = [found.model, plural(found.corrections, "correction")]
            if found.opened:
                what.append(f"{plural(found.opened, 'stream')} in its files opened")
            report(
                f"{digest} travels {how}: {human_bytes(found.blob_size)} of {human_bytes(found.size)} "
                f"({', '.join(what)})"
            )
        else:
            reasons[digest] = found
            report(f"{digest} travels whole: {found}")
    plan = replace(plan, reasons=reasons)
    if not deltas:
        return plan
    artifacts = []
    left = dict(deltas)
    for planned in plan.images:
        own = [left.pop(digest) for digest in planned.image.layers if digest in left]
        if own:
            artifacts.append(make_artifact(planned.image.root, own))
            layout.put(artifacts[-1].raw)
    layout.put(EMPTY_CONFIG)
    return replace(plan, deltas=deltas, artifacts=tuple(artifacts))


def _add_bases(skopeo: Skopeo, plan: PullPlan, blob_source: BlobSource, report: Progress) -> None:
    """Open the bases that lie here; what is in registries was read when it was compared."""
    leaves = [each for planned in plan.images if planned.delta for each in planned.leaves]
    sources = dict.fromkeys(
        source for source, _ in leaves if source and source.reference.transport in LAYER_TRANSPORTS
    )
    here = [source for source in sources if source.reference.transport != "docker"]
    if here:
        blob_source.add_bases(skopeo, here, report)
    seen = set()
    for source, leaf in leaves:
        if source and source.reference.transport == "docker":
            blob_source.add_manifest(source, leaf)
        elif source and source.reference.transport in UNPACKED_TRANSPORTS and source not in seen:
            seen.add(source)
            blob_source.add_unpacked(unpack(skopeo, source, report), leaf)


class _Running(NamedTuple):
    """A layer whose change is being made, from the contents of those sources."""

    digest: str
    worker: Worker
    out: Path
    sources: list[str]
    share: Share


class _Workbench:
    """Makes changes, several at a time, in processes of their own."""

    def __init__(
        self,
        candidates: Mapping[str, DeltaCandidates],
        layout: Layout,
        blob_source: BlobSource,
        folder: Path,
        options: DeltaOptions,
        report: Progress,
    ) -> None:
        self._candidates = candidates
        self._layout = layout
        self._blob_source = blob_source
        self._folder = folder
        self._options = options
        self._report = report
        memory = options.memory - _OWN_MEMORY
        self._at_once = max(1, min(os.cpu_count() or 1, len(candidates), memory // LEAST_MEMORY))
        self._memory = memory // self._at_once
        # Older layers' contents: where they are, and how long. Those that can't be expanded have none.
        self._contents: dict[str, tuple[Path, int] | None] = {}
        self._diff_ids: dict[str, str] = {}

    def make_all(self) -> Iterator[tuple[str, LayerDelta | str]]:
        """Make all changes.

        Returns:
            Each layer, with its change, or the reason why it travels whole.

        Raises:
            DiskFullError: there is too little space.
        """
        room = self._room()
        self._report.begin(
            "comparing",
            plural(len(self._candidates), "layer"),
            f"making changes of {plural(len(self._candidates), 'layer')}, {self._at_once} at a time: "
            f"about {human_bytes(room)} in {self._folder}",
        )
        running: list[_Running] = []
        # Long ones first: the others are made beside them.
        waiting = sorted(self._candidates, key=lambda digest: -self._candidates[digest].size)
        try:
            with room_for(self._folder, room):
                while waiting or running:
                    while waiting and len(running) < self._at_once:
                        running.append(self._start(waiting.pop(0)))
                    for each in [*running]:
                        size = self._candidates[each.digest].size
                        if each.worker.is_running():
                            each.share.reach(int(each.worker.told() * size))
                            continue
                        running.remove(each)
                        each.share.reach(size)
                        yield each.digest, self._finish(each)
                        self._forget_all_but(waiting, running)
                    check()
                    if running:
                        time.sleep(_LOOK)
        finally:
            for each in running:
                each.worker.end()

    def _room(self) -> int:
        """Say how much disk space it takes about, in bytes."""
        sources = {source: size for each in self._candidates.values() for source, size in each.sources.items()}
        old = sum(self._estimate(source, size) for source, size in sources.items() if self._can_be_read(source))
        new = sorted(self._estimate(digest, each.size) for digest, each in self._candidates.items())
        return old + sum(new[-self._at_once :])

    def _estimate(self, digest: str, size: int) -> int:
        """Say how long a layer's content is about, in bytes, by its first bytes and its last ones."""
        from ..delta.expand import GZIP_MAGIC, ZSTD_MAGIC

        path = self._file_of(digest)
        if path is None:
            content = self._blob_source.content_size(digest)
            return _ZSTD_TIMES * size if content is None else content
        with path.open("rb") as file:
            start = file.read(4)
            if start == ZSTD_MAGIC:
                return _ZSTD_TIMES * size
            if not start.startswith(GZIP_MAGIC):
                return size
            file.seek(-4, os.SEEK_END)
            # ISIZE (RFC 1952, 2.3.1) tells the last four bytes of the length.
            told = int.from_bytes(file.read(4), "little")
        while told < size - size // 64:
            told += _GZIP_MODULUS
        return min(told, _TIMES * size + _AND)

    def _file_of(self, digest: str) -> Path | None:
        path = self._layout.blob(digest) if digest in self._candidates else self._blob_source.file(digest)
        return path if path and path.exists() else None

    def _start(self, digest: str) -> _Running:
        from ..delta.jobs import MAKE

        candidates = self._candidates[digest]
        sources = [source for source, size in candidates.sources.items() if self._expanded(source, size)]
        # Nobody could read a change that names more manifests.
        if len(_having(candidates, sources)) > MANIFESTS:
            sources = []
        contents = [str(found[0]) for source in sources if (found := self._contents[source])]
        out = self._folder / f"{digest.removeprefix('sha256:')}.change"
        limit = _TIMES * candidates.size + _AND
        arguments = [str(self._layout.blob(digest)), digest, contents, str(out)]
        worker = Worker(MAKE, [*arguments, self._options.effort, self._memory, limit])
        share = self._report.share("comparing", candidates.size)
        return _Running(digest, worker, out, sources, share)

    def _finish(self, running: _Running) -> LayerDelta | str:
        """Put a change into the layout; or say why there is none."""
        try:
            made = running.worker.result()
            # Whatever is not as it should be shows there, and the layer travels whole.
            if made["reason"]:
                return str(made["reason"])
            candidates = self._candidates[running.digest]
            if made["size"] > candidates.size * (1 - self._options.min_saving / 100):
                saved = max(0.0, 100 - 100 * made["size"] / candidates.size)
                least = self._options.min_saving
                return f"no saving: its change would save {saved:.1f} %, and the minimum is {least:g} %"
            return self._put(running, candidates, made)
        except WorkerError as error:
            return f"its change could not be made: {error}"
        except IncrementalError as error:
            return f"its change could not be made: {error.message}"
        finally:
            for path in self._folder.glob(f"{running.out.name}*"):
                path.unlink(missing_ok=True)

    def _put(self, running: _Running, candidates: DeltaCandidates, made: Mapping[str, Any]) -> LayerDelta:
        with running.out.open("rb") as file:
            blob = f"sha256:{sha256_of(file)}"
        running.out.replace(self._layout.blob(blob))
        used = [running.sources[place] for place in made["used"]]
        contents = {source: found[1] for source in used if (found := self._contents[source])}
        return LayerDelta(
            running.digest,
            candidates.size,
            blob,
            made["size"],
            {source: candidates.sources[source] for source in used},
            tuple(_having(candidates, used)),
            contents | {running.digest: made["content"]},
            made["model"],
            made["corrections"],
            made["room"],
            tuple(made["features"]),
            made["opened"],
            {source: self._diff_ids[source] for source in used},
        )

    def _expanded(self, source: str, size: int) -> bool:
        """Expand an older layer, unless that was done; say whether it has a content."""
        if source not in self._contents:
            self._contents[source] = self._expand(source, size) if self._can_be_read(source) else None
        return self._contents[source] is not None

    def _can_be_read(self, source: str) -> bool:
        return source in self._blob_source or self._blob_source.has_content(source)

    def _expand(self, source: str, size: int) -> tuple[Path, int] | None:
        from ..delta.expand import expand
        from ..delta.malformed import MalformedError

        path = self._folder / f"{source.removeprefix('sha256:')}.content"
        try:
            with self._blob_source.open_source(source) as layer:
                length = expand(layer, path, _TIMES * size + _AND)
            with path.open("rb") as content:
                self._diff_ids[source] = f"sha256:{sha256_of(content)}"
            return path, length
        except MalformedError as error:
            # It may be anything; nothing is made from it then.
            self._report(f"older layer {source} can't be used: {error}")
            path.unlink(missing_ok=True)
            return None

    def _forget_all_but(self, waiting: Iterable[str], running: Iterable[_Running]) -> None:
        """Remove the contents that nobody needs any more."""
        needed = {source for each in running for source in each.sources}
        needed |= {source for digest in waiting for source in self._candidates[digest].sources}
        for source in self._contents.keys() - needed:
            if found := self._contents[source]:
                with suppress(OSError):
                    found[0].unlink()


def _having(candidates: DeltaCandidates, sources: Collection[str]) -> list[str]:
    """Return the digests of the bases' manifests that have some of these layers, sorted."""
    return sorted(
        {leaf.digest for leaf in candidates.leaves if {layer.digest for layer in leaf.manifest.layers} & {*sources}}
    )
