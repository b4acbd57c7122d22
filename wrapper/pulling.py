"""The steps of a pull: compare, fetch, pack."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from .contents import NamedImage, describe, index_annotations, index_entry
from .download import Download, fetch_alone
from .errors import IncrementalError, SignaturesError, host_errors
from .fetch import read_image, read_platform, read_roots
from .image import Image, gather
from .layout import Layout, index_document
from .manifest import LISTS, Manifest, build_layers_dictionary, parse_manifest
from .packing import Packing, pack
from .packing import Plan as ArchivePlan
from .results import Contents
from .skopeo import COPIES_SIDE_BY_SIDE
from .space import INCREDIBLE
from .text import human_bytes, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .cache import Cache
    from .fetch import Source
    from .manifest import Descriptor, FetchedManifest
    from .output import Target
    from .platforms import Platform
    from .reference import Reference
    from .skopeo import Skopeo
    from .space import Space

_AT_ONCE = 6
"""How many layers skopeo fetches at a time."""


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive as a whole.

    Attributes:
        path: where it lies; None for a stream or a temporary file.
        sha256: the sha256 of its bytes, as hexadecimal digits.
        size: its length in bytes.
    """

    path: str | None
    sha256: str
    size: int


@dataclass(frozen=True)
class PullResult(Contents):
    """What `pull` did, or would do.

    Attributes:
        changed: whether the output is another file than before; False for a dry run.
        archive: the archive; None for a dry run.
        warnings: what the user should know, one line each.
    """

    changed: bool
    archive: ArchiveInfo | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a pull is to do.

    Attributes:
        source: where the final image is.
        image: the final image, narrowed to one platform unless it is to travel whole.
        bases: for every base's digest, the layers that it has.
        name: what the image is called in the archive; None where it has no name.
        beside: what travels beside the image, each with where it is.
        notes: what the user should know about the bases, one line each.
    """

    source: Source
    image: Image
    bases: Mapping[str, Mapping[str, Descriptor]]
    name: str | None
    beside: tuple[tuple[Source, NamedImage], ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> list[tuple[Source, NamedImage]]:
        """Everything that travels, the image first, each with where it is."""
        return [(self.source, NamedImage(self.name, self.image)), *self.beside]

    @cached_property
    def layers(self) -> dict[str, Descriptor]:
        """The layers of everything that travels, by digest."""
        return {digest: layer for _, named in self.parts for digest, layer in named.image.layers.items()}

    @cached_property
    def omitted(self) -> dict[str, Descriptor]:
        """The layers that need not travel."""
        images = [named.image for _, named in self.parts]
        # A config or manifest of one may be a layer of another.
        always = {digest for image in images for digest in image.always}
        return {
            digest: layer
            for image in images
            for layers in self.bases.values()
            for digest, layer in image.shared_with(layers).items()
            if digest not in always
        }

    @cached_property
    def travelling(self) -> dict[str, int]:
        """Digest and size in bytes of every blob of the archive."""
        omitted = self.omitted
        return {digest: size for _, named in self.parts for digest, size in named.image.travelling(omitted).items()}

    @cached_property
    def bases_of(self) -> dict[str, tuple[str, ...]]:
        """For every layer that need not travel, digests of the bases that have it, sorted."""
        return {
            digest: tuple(sorted(base for base, layers in self.bases.items() if digest in layers))
            for digest in self.omitted
        }

    def describe(self, read_config: Callable[[str], bytes | None]) -> Contents:
        """Describe what travels and what does not, as `contents.describe`."""
        return describe(
            [named for _, named in self.parts],
            {self.image.root.digest: str(self.source.reference)},
            self.omitted,
            tuple(sorted(self.bases)),
            self.bases_of,
            read_config,
        )

    def warnings(self) -> tuple[str, ...]:
        """Say what the user should know before the archive is sent, one line each."""
        lines = list(self.notes)
        final = self.source.reference
        if self.image.root.digest in self.bases:
            lines.append(f"{final} is the base already: the archive holds no layer")
        elif self.bases and not self.omitted:
            lines.append(f"no base has a layer of {final}: the archive holds the whole image")
        lines += [
            f"foreign layer {layer.digest} ({human_bytes(layer.size)}) does not travel: get it from {layer.urls[0]}"
            for layer in self.image.foreign.values()
        ]
        return tuple(lines)


def make_plan(
    skopeo: Skopeo,
    final: Source,
    bases: Sequence[Source],
    platform: Platform | None,
    report: Callable[[str], None],
    *,
    with_signatures: bool = False,
    referrers: Sequence[str | Reference] = (),
) -> Plan:
    """Read the final image and its bases, and compare them.

    Args:
        skopeo: an entered `Skopeo`.
        final: the image to pull.
        bases: what the other side has; of a list every child counts.
        platform: what to narrow a list to; None takes it whole.
        report: receives a line for each step.
        with_signatures: take along what stands beside the image under tags made from its digest.
        referrers: references with a digest to take along.

    Raises:
        IncrementalError: one can't be read, or is not what its digest or schema says; or no signature was found.
    """
    report(f"reading {final.reference}" + "".join(f", base {base.reference}" for base in bases))
    in_registries = [base for base in bases if base.reference.transport == "docker"]
    root, *base_roots = read_roots(skopeo, [final, *in_registries])
    image = read_platform(skopeo, final, root, platform) if platform else read_image(skopeo, final, root)
    image.require_leaves()
    layers = {
        base_root.digest: build_layers_dictionary(*read_image(skopeo, base, base_root, report).nodes)
        for base, base_root in zip(in_registries, base_roots, strict=True)
    }
    notes = []
    for base in bases:
        if base.reference.transport != "docker":
            from .bases import read_base, why_nothing

            layers |= read_base(skopeo, base, report)
            notes += [why] if (why := why_nothing(base.reference)) else []
    beside: tuple[tuple[Source, NamedImage], ...] = ()
    if with_signatures or referrers:
        from .signatures import find_beside, read_referrers

        beside = find_beside(skopeo, final, image, report) if with_signatures else ()
        beside += read_referrers(skopeo, final, image, referrers)
    plan = Plan(final, image, layers, final.reference.tag, beside, tuple(notes))
    contents = plan.describe(lambda _: None)
    report(
        f"{image.root.digest}: {plural(contents.layers_new, 'layer')} new ({human_bytes(contents.bytes_new)}), "
        f"{plural(contents.layers_shared, 'layer')} shared ({human_bytes(contents.bytes_shared)})"
    )
    return plan


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
        _require_space(plan, layers, layout, space, output, packed=packing is not None)
        download.take_cached(layers)
        # A list goes in leaf by leaf: skopeo takes neither a Docker list nor a list in a list in one go.
        nodes = [
            (source, node)
            for source, named in plan.parts
            for node in (named.image.leaves if preserve else [named.image.root])
        ]
        # Where the link is bad, one after the other: a cut then costs less.
        if len(nodes) > 1 and not skopeo.retries.times:
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
        plan = replace(plan, image=image)
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
    from .signatures import lookaside_is_configured

    if plan.image.root.media_type not in LISTS or not lookaside_is_configured():
        return
    pinned = plan.source.reference.pinned(plan.image.root.digest)
    access = plan.source.access
    layout = Layout.create(skopeo.new_folder("list"))
    try:
        skopeo.copy(
            str(pinned),
            f"oci:{layout.folder.name}",
            flags=["--multi-arch=index-only", *access.flags(pinned, skopeo.folder, "src-")],
            policy=access.policy_flags(),
            doing=f"cannot fetch {pinned}",
            flag=plan.source.flag,
        )
    except SignaturesError:
        raise
    except IncrementalError:
        # Whatever else is wrong will be met again: a Docker list, for one, fits into no layout by itself.
        return


def _require_space(
    plan: Plan, layers: Mapping[str, int], layout: Layout, space: Space, output: Path | None, *, packed: bool
) -> None:
    sizes = {digest: size for digest, size in plan.travelling.items() if size < INCREDIBLE}
    if packed:
        several = sum(len(named.image.leaves) for _, named in plan.parts)
        at_once = _AT_ONCE * min(several, COPIES_SIDE_BY_SIDE)
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
    return ArchivePlan(_index(plan), plan.travelling if sizes is None else sizes, plan.omitted)


def _index(plan: Plan) -> bytes:
    return index_document(
        [index_entry(named) for _, named in plan.parts],
        index_annotations(sorted(plan.bases), plan.bases_of),
    )


def write_archive(
    layout: Layout, plan: Plan, target: Target, report: Callable[[str], None], packing: Packing | None = None
) -> PullResult:
    """Pack what was fetched, or the rest of it.

    Args:
        layout: what `fetch` returned.
        plan: likewise.
        target: where to write.
        report: receives a line for each step.
        packing: what `fetch` has begun there.

    Raises:
        HostError: the target can't be written.
    """
    path = None if target.temporary else target.path
    where = str(path or "the output")
    report(f"packing {where}")
    with host_errors(f"cannot write {where}"):
        if packing:
            for digest in filter(packing.lacks, plan.travelling):
                packing.add(digest, layout.blob(digest))
            written = packing.finish()
        else:
            written = pack(
                target.file,
                _index(plan),
                plan.travelling,
                lambda digest: layout.blob(digest).open("rb"),
                plan.omitted,
            )
    return PullResult(
        **plan.describe(layout.read).shared_fields(),
        changed=not (path and holds(path, written.size, written.sha256)),
        archive=ArchiveInfo(str(path) if path else None, written.sha256, written.size),
        warnings=plan.warnings(),
    )


def holds(path: Path, size: int, sha256: str) -> bool:
    """Say whether the file at `path` has that size in bytes, and that sha256, already."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size != size:
                return False
            found = hashlib.sha256()
            while chunk := file.read(2**20):
                found.update(chunk)
            return found.hexdigest() == sha256
    except OSError:
        return False
