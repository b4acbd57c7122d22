"""The steps of a pull: compare, fetch, pack."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..archive.contents import index_annotations, index_entry
from ..archive.writer import Packing, pack
from ..archive.writer import Plan as ArchivePlan
from ..delta.artifact import FEATURE
from ..errors import IncrementalError, SignaturesError, host_errors
from ..host.files import holds
from ..host.space import INCREDIBLE
from ..oci.image import gather
from ..oci.layout import Layout, index_document
from ..oci.manifest import LISTS, Manifest, parse_manifest
from ..results import ArchiveInfo, PullResult
from ..source.download import Download, fetch_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..archive.output import Target
    from ..archive.writer import Packed
    from ..host.space import Space
    from ..oci.manifest import FetchedManifest
    from ..skopeo.inspect import Source
    from ..skopeo.runner import Skopeo
    from ..source.blobs import Supply
    from ..source.cache import Cache
    from .plan import Plan

_AT_ONCE = 6
"""How many layers skopeo fetches at a time."""


@contextmanager
def begin_archive(plan: Plan, target: Target | None, preserve: Sequence[str]) -> Iterator[Packing | None]:
    """Begin the archive, if layers can go there as they arrive: into a file, and if the image stays as it is.

    Args:
        plan: what it will hold.
        target: where to write, if anywhere.
        preserve: skopeo's flags to preserve digests; without any it may convert the image.

    Raises:
        HostError: the target can't be written.
    """
    # A layer beyond belief has no place that could be reserved: what really arrives will show the lie.
    beyond_belief = any(size >= INCREDIBLE for size in plan.travelling.values())
    if not target or not target.path or not preserve or beyond_belief:
        yield None
        return
    with host_errors(f"cannot write {target.path}"):
        packing = Packing(target.file, archive_plan(plan), durable=not target.temporary)
    with packing:
        yield packing


def fetch(
    skopeo: Skopeo,
    plan: Plan,
    preserve: Sequence[str],
    report: Callable[[str], None],
    space: Space,
    *,
    cache: Cache | None = None,
    output: Path | None = None,
    packing: Packing | None = None,
    remove_signatures: bool = False,
) -> tuple[Layout, Plan]:
    """Fetch what no base has: its layers into the archive, where that can be, the rest into a layout of our own.

    Args:
        skopeo: an entered `Skopeo`.
        plan: what to fetch.
        preserve: skopeo's flags to preserve digests; without any it may convert the image.
        report: receives a line for each step.
        space: what will be written is counted there, and compared with what is free.
        cache: where layers come from and are kept.
        output: the folder where the archive will be written.
        packing: the archive, where layers can go there as they arrive.
        remove_signatures: leave behind signatures that skopeo finds and an archive can't hold.

    Returns:
        The layout, which holds every blob of the archive that is not in it yet, with its exact size, and no
        placeholder; and the plan, which is another one where skopeo converted the image.

    Raises:
        DiskFullError: there is too little space.
        IncrementalError: something can't be fetched, or is not what its digest or size says.
    """
    layout = Layout.create(skopeo.new_folder("layout"))
    omitted = plan.omitted
    layers = {digest: layer.size for digest, layer in plan.layers.items() if digest not in omitted}
    if preserve and not remove_signatures:
        _refuse_list_signatures(skopeo, plan)
    begin = partial(
        Download,
        skopeo,
        preserve=preserve,
        cache=cache,
        report=report,
        remove_signatures=remove_signatures,
        packing=packing,
        staying={digest for _, named in plan.parts for digest in named.image.always},
    )
    with (
        layout.placeholders({digest: layer.size for digest, layer in omitted.items()}),
        begin(layout) as download,
    ):
        _require_space(skopeo, plan, layers, layout, space, output, packed=packing is not None)
        download.take_cached(layers)
        # A list goes in leaf by leaf: skopeo takes neither a Docker list nor a list in a list in one go.
        # What several images have is fetched once.
        nodes = list(
            {
                node.digest: (source, node)
                for source, named in plan.parts
                if source
                for node in (named.image.leaves if preserve else [named.image.root])
            }.values()
        )
        if len(nodes) > 1 and skopeo.copies > 1:
            _fetch_side_by_side(skopeo, begin, nodes, layers, layout)
        else:
            for source, node in nodes:
                own = _layers_of(node) if isinstance(node.parsed, Manifest) else set(layers)
                wanted = {digest: size for digest, size in layers.items() if digest in own}
                digest = download.fetch(source, node, wanted, _config_size(node))
    if preserve:
        for _, named in plan.parts:
            for node in named.image.lists:
                layout.put(node.raw)
    else:
        converted = parse_manifest(layout.read(digest))
        image = gather(converted, lambda children: [layout.read(child.digest) for child in children])
        plan = replace(plan, items=(replace(plan.single, image=image),))
    rest = {digest: size for digest, size in plan.travelling.items() if not packing or packing.lacks(digest)}
    layout.check(rest)
    return layout, plan


def _fetch_side_by_side(
    skopeo: Skopeo,
    begin: Callable[..., Download],
    nodes: Sequence[tuple[Source, FetchedManifest]],
    layers: Mapping[str, int],
    layout: Layout,
) -> None:
    """Fetch manifests, each into a layout of its own, and a layer that several have with the first of them."""
    rest = {digest: size for digest, size in layers.items() if not layout.blob(digest).exists()}
    steps = []
    for source, node in nodes:
        own = {digest: rest.pop(digest) for digest in sorted(_layers_of(node) & rest.keys())}
        steps.append(partial(fetch_alone, skopeo, partial(begin, bars=False), source, node, own))
    for (_, node), own_layout in zip(nodes, skopeo.side_by_side(steps), strict=True):
        for digest in (node.digest, node.manifest.config.digest, *(_layers_of(node) & layers.keys())):
            if own_layout.blob(digest).exists():
                own_layout.move(digest, layout)


def _layers_of(node: FetchedManifest) -> set[str]:
    return {layer.digest for layer in node.manifest.layers}


def _config_size(node: FetchedManifest) -> int:
    return node.parsed.config.size if isinstance(node.parsed, Manifest) else 0


def _refuse_list_signatures(skopeo: Skopeo, plan: Plan) -> None:
    """Refuse a list whose own signature would be left behind in silence: its leaves are fetched one by one.

    Raises:
        RegistryError: skopeo found a signature of the list.
    """
    from ..source.signatures import lookaside_is_configured

    if not lookaside_is_configured():
        return
    for item in plan.items:
        if item.source and item.image.root.media_type in LISTS:
            _refuse_signature(skopeo, item.source, item.image.root.digest)


def _refuse_signature(skopeo: Skopeo, source: Source, digest: str) -> None:
    pinned = source.reference.pinned(digest)
    access = source.access
    layout = Layout.create(skopeo.new_folder("list"))
    try:
        skopeo.copy(
            str(pinned),
            f"oci:{layout.folder.name}",
            flags=["--multi-arch=index-only", *access.flags(pinned, skopeo.folder, "src-")],
            policy=access.policy_flags(),
            doing=f"cannot fetch {pinned}",
            flag=source.flag,
        )
    except SignaturesError:
        raise
    except IncrementalError:
        # Whatever else is wrong will be met again: a Docker list, for one, fits into no layout by itself.
        return


def _require_space(
    skopeo: Skopeo,
    plan: Plan,
    layers: Mapping[str, int],
    layout: Layout,
    space: Space,
    output: Path | None,
    *,
    packed: bool,
) -> None:
    sizes = {digest: size for digest, size in plan.travelling.items() if size < INCREDIBLE}
    if packed:
        several = sum(len(named.image.leaves) for _, named in plan.parts)
        at_once = _AT_ONCE * min(several, skopeo.copies)
        in_flight = sorted(size for digest, size in sizes.items() if digest in layers)[-at_once:]
        space.need(layout.folder, sum(in_flight))
    else:
        space.need(layout.folder, sum(sizes.values()))
    if output:
        space.need(output, archive_plan(plan, sizes).size)
    space.require()


def archive_plan(plan: Plan, sizes: Mapping[str, int] | None = None) -> ArchivePlan:
    """Lay out the archive that a pull will write.

    Args:
        plan: what travels.
        sizes: digest and size in bytes of every blob that counts; by default all.
    """
    return ArchivePlan(index_of(plan), plan.travelling if sizes is None else sizes, plan.omitted)


def index_of(plan: Plan) -> bytes:
    """Return the bytes of `index.json` of the archive that a pull will write."""
    return index_document(
        [index_entry(named) for _, named in plan.parts] + [artifact.entry for artifact in plan.artifacts],
        index_annotations(
            plan.bases,
            plan.bases_of,
            is_bundle=plan.is_bundle,
            requires=[FEATURE] if plan.deltas else [],
        ),
    )


def write_archive(
    blobs: Layout | Supply,
    plan: Plan,
    target: Target,
    report: Callable[[str], None],
    packing: Packing | None = None,
) -> PullResult:
    """Pack what travels, or the rest of it.

    Args:
        blobs: the layout that `fetch` returned, or what else has every blob that travels.
        plan: what travels.
        target: where to write.
        report: receives a line for each step.
        packing: what `fetch` has begun there, with its layout.

    Raises:
        HostError: the target can't be written.
    """
    report(f"packing {target.name}")
    with host_errors(f"cannot write {target.name}"):
        if packing and isinstance(blobs, Layout):
            for digest in filter(packing.lacks, plan.travelling):
                packing.add(digest, blobs.blob(digest))
            written = packing.finish()
        else:
            written = pack(target.file, index_of(plan), plan.travelling, blobs.open_blob, plan.omitted)
    return pull_result(plan, blobs.read, *written_to(target, written))


def written_to(target: Target, written: Packed) -> tuple[ArchiveInfo, bool]:
    """Say what was written, and whether that is another file than before."""
    path = target.lasting
    archive = ArchiveInfo(str(path) if path else None, written.sha256, written.size)
    return archive, not (path and holds(path, written.size, written.sha256))


def pull_result(
    plan: Plan,
    read_config: Callable[[str], bytes | None],
    archive: ArchiveInfo | None = None,
    changed: bool = False,
) -> PullResult:
    """Describe what was pulled, or would be.

    Args:
        plan: what travels.
        read_config: returns the bytes of a config, or None where it is not at hand.
        archive: the archive; None where none was written.
        changed: whether that is another file than before.
    """
    return PullResult(
        **plan.describe(read_config).shared_fields(),
        changed=changed,
        archive=archive,
        warnings=plan.warnings(),
        gone=plan.gone,
        delta_sources=plan.delta_sources,
    )
