"""Fetches what no base has."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import IncrementalError, SignaturesError
from ..host.space import INCREDIBLE
from ..oci.image import resolve_image
from ..oci.layout import Layout
from ..oci.manifest import LISTS, Manifest, parse_manifest
from ..source.download import Download, fetch_alone
from .pack import archive_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ..archive.writer import ArchiveWriter
    from ..host.progress import Progress
    from ..host.space import Space
    from ..oci.manifest import FetchedManifest
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from ..source.cache import Cache
    from .plan import PullPlan
    from .request import PullOptions

_AT_ONCE = 6
"""How many layers skopeo fetches at a time."""


def fetch(
    skopeo: Skopeo,
    plan: PullPlan,
    options: PullOptions,
    report: Progress,
    space: Space,
    cache: Cache | None,
    output: Path | None,
    writer: ArchiveWriter | None,
) -> tuple[Layout, PullPlan]:
    """Fetch what no base has: its layers into the archive, where that can be, the rest into a layout of our own.

    Args:
        skopeo: an entered `Skopeo`.
        plan: what to fetch.
        options: how.
        report: is told each step.
        space: what will be written is counted there, and compared with what is free.
        cache: where layers come from and are kept.
        output: the folder where the archive will be written.
        writer: the archive, where layers can go there as they arrive.

    Returns:
        The layout, which holds every blob of the archive that is not in it yet, with its exact size, and no
        placeholder; and the plan, which is another one where skopeo converted the image.

    Raises:
        DiskFullError: there is too little space.
        IncrementalError: something can't be fetched, or is not what its digest or size says.
    """
    layout = Layout.create(skopeo.new_folder("layout"))
    preserve = options.preserve_digests
    omitted = {digest: layer.size for digest, layer in plan.omitted.items()}
    layers = {digest: layer.size for digest, layer in plan.layers.items() if digest not in omitted}
    if preserve and not options.signatures.remove:
        _refuse_list_signatures(skopeo, plan)
    begin = partial(
        Download,
        skopeo,
        preserve=preserve,
        cache=cache,
        report=report,
        remove_signatures=options.signatures.remove,
        writer=writer,
        staying={digest for _, named in plan.parts for digest in named.image.metadata},
    )
    with (
        report.phase("fetching", sum(layers.values())),
        layout.placeholders(omitted),
        begin(layout) as download,
    ):
        _require_space(skopeo, plan, layers, layout, space, output, written=writer is not None)
        download.fetch_cached(layers)
        digest = _fetch_nodes(skopeo, plan, begin, download, layers, layout, preserve=preserve)
    if preserve:
        for _, named in plan.parts:
            for node in named.image.lists:
                layout.put(node.raw)
    else:
        plan = _converted(plan, layout, digest)
    layout.check({digest: size for digest, size in plan.blob_sizes.items() if not writer or writer.lacks(digest)})
    return layout, plan


def _fetch_nodes(
    skopeo: Skopeo,
    plan: PullPlan,
    begin: Callable[..., Download],
    download: Download,
    layers: Mapping[str, int],
    layout: Layout,
    *,
    preserve: bool,
) -> str:
    """Fetch each manifest with its layers; return the digest of the last one, as it is in the layout."""
    # A list goes in leaf by leaf: skopeo takes neither a Docker list nor a list in a list in one go.
    # What several images have is fetched once.
    nodes = list(
        {
            node.digest: (source, node, named.name or "" if plan.is_bundle else "")
            for source, named in plan.parts
            if source
            for node in (named.image.leaves if preserve else [named.image.root])
        }.values()
    )
    digest = nodes[-1][1].digest
    if len(nodes) > 1 and skopeo.copies > 1:
        _fetch_in_parallel(skopeo, begin, nodes, layers, layout)
        return digest
    for source, node, name in nodes:
        own = _layers_of(node) if isinstance(node.parsed, Manifest) else layers.keys()
        wanted = {digest: size for digest, size in layers.items() if digest in own}
        digest = download.fetch(source, node, wanted, _config_size(node), name)
    return digest


def _converted(plan: PullPlan, layout: Layout, digest: str) -> PullPlan:
    """Return the plan with the image that skopeo made of the only one."""
    root = parse_manifest(layout.read(digest))
    image = resolve_image(root, lambda children: [layout.read(child.digest) for child in children])
    return replace(plan, images=(replace(plan.single, image=image),))


def _fetch_in_parallel(
    skopeo: Skopeo,
    begin: Callable[..., Download],
    nodes: Sequence[tuple[ImageSource, FetchedManifest, str]],
    layers: Mapping[str, int],
    layout: Layout,
) -> None:
    """Fetch manifests, each into a layout of its own, and a layer that several have with the first of them."""
    rest = {digest: size for digest, size in layers.items() if not layout.blob(digest).exists()}
    steps = []
    for source, node, name in nodes:
        own = {digest: rest.pop(digest) for digest in sorted(_layers_of(node) & rest.keys())}
        steps.append(partial(fetch_alone, skopeo, begin, source, node, own, name))
    for (_, node, _), own_layout in zip(nodes, skopeo.in_parallel(steps), strict=True):
        for digest in (node.digest, node.manifest.config.digest, *(_layers_of(node) & layers.keys())):
            if own_layout.blob(digest).exists():
                own_layout.move(digest, layout)


def _layers_of(node: FetchedManifest) -> set[str]:
    return {layer.digest for layer in node.manifest.layers}


def _config_size(node: FetchedManifest) -> int:
    return node.parsed.config.size if isinstance(node.parsed, Manifest) else 0


def _refuse_list_signatures(skopeo: Skopeo, plan: PullPlan) -> None:
    """Refuse a list whose own signature would be left behind in silence: its leaves are fetched one by one.

    Raises:
        RegistryError: skopeo found a signature of the list.
    """
    from ..source.signatures import lookaside_is_configured

    if not lookaside_is_configured():
        return
    for planned in plan.images:
        if planned.source and planned.image.root.media_type in LISTS:
            _refuse_signature(skopeo, planned.source, planned.image.root.digest)


def _refuse_signature(skopeo: Skopeo, source: ImageSource, digest: str) -> None:
    pinned = source.reference.pinned(digest)
    access = source.access
    layout = Layout.create(skopeo.new_folder("list"))
    try:
        skopeo.copy(
            str(pinned),
            f"oci:{layout.folder.name}",
            flags=["--multi-arch=index-only", *access.flags(pinned, skopeo.auth_files, "src-")],
            policy=access.policy_flags(),
            doing=f"cannot fetch {pinned}",
            side=source.side,
            access=access,
        )
    except SignaturesError:
        raise
    except IncrementalError:
        # Whatever else is wrong will be met again: a Docker list, for one, fits into no layout by itself.
        return


def _require_space(
    skopeo: Skopeo,
    plan: PullPlan,
    layers: Mapping[str, int],
    layout: Layout,
    space: Space,
    output: Path | None,
    *,
    written: bool,
) -> None:
    sizes = {digest: size for digest, size in plan.blob_sizes.items() if size < INCREDIBLE}
    if written:
        several = sum(len(named.image.leaves) for _, named in plan.parts)
        at_once = _AT_ONCE * min(several, skopeo.copies)
        in_flight = sorted(size for digest, size in sizes.items() if digest in layers)[-at_once:]
        space.need(layout.folder, sum(in_flight))
    else:
        space.need(layout.folder, sum(sizes.values()))
    if output:
        space.need(output, archive_layout(plan, sizes).size)
    space.require()
