"""What a pull is to do: images compared with what the other side has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ..archive.contents import NamedImage
from ..archive.summary import describe
from ..delta.artifact import EMPTY
from ..errors import BundleError, IncrementalError
from ..host.text import human_bytes, plural
from ..oci.manifest import build_layers_dictionary, digest_of
from ..results import OmittedLayer
from ..skopeo.inspect import read_image, read_platform, try_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..delta.artifact import Artifact, Delta
    from ..oci.image import Image
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.platforms import Platform
    from ..oci.reference import Reference
    from ..results import Contents
    from ..skopeo.inspect import Source
    from ..skopeo.runner import Skopeo
    from .deltas import Comparison


class Wanted(NamedTuple):
    """An image that is asked for.

    Attributes:
        final: where it is.
        bases: what the other side has; of a list every child counts.
        platform: what to narrow a list to; None takes it whole.
        name: what it is called in a bundle; None for an image by itself, which is called by its tag.
        delta: whether new layers may travel as their change.
    """

    final: Source
    bases: tuple[Source, ...]
    platform: Platform | None
    name: str | None = None
    delta: bool = False


@dataclass(frozen=True)
class Item:
    """An image that travels.

    Attributes:
        source: where it is; None inside an archive.
        image: the image, narrowed to one platform unless it is to travel whole.
        bases: for every base's digest, the layers that it has.
        name: what the image is called in the archive; None where it has no name.
        known: digests of all manifests and lists of the bases.
        leaves: the bases' manifests, as far as they are at hand, each with where it is.
        beside: what travels beside the image, each with where it is.
        notes: what the user should know about the bases, one line each.
        delta: whether new layers may travel as their change.
    """

    source: Source | None
    image: Image
    bases: Mapping[str, Mapping[str, Descriptor]]
    name: str | None
    known: frozenset[str] = frozenset()
    leaves: tuple[tuple[Source, FetchedManifest], ...] = ()
    beside: tuple[tuple[Source | None, NamedImage], ...] = ()
    notes: tuple[str, ...] = ()
    delta: bool = False

    @property
    def parts(self) -> list[tuple[Source | None, NamedImage]]:
        """The image and what is beside it, each with where it is."""
        return [(self.source, NamedImage(self.name, self.image)), *self.beside]

    @cached_property
    def layers(self) -> dict[str, Descriptor]:
        """The layers of the image and of what is beside it, by digest."""
        return {digest: layer for _, named in self.parts for digest, layer in named.image.layers.items()}

    @cached_property
    def shared(self) -> dict[str, Descriptor]:
        """Those that a base has."""
        return {
            digest: layer
            for _, named in self.parts
            for layers in self.bases.values()
            for digest, layer in named.image.shared_with(layers).items()
        }

    @property
    def change(self) -> str:
        """What the image is beside its bases: "new" where there is none, "same" where it is one, else "changed"."""
        if not self.bases:
            return "new"
        return "same" if self.image.root.digest in self.known else "changed"


@dataclass(frozen=True)
class Plan:
    """What a pull is to do.

    Attributes:
        items: the images; one, unless they are a bundle.
        is_bundle: whether they are.
        gone: names of an earlier bundle's images that this one has not.
        deltas: layers that travel as their change, by their digests.
        artifacts: what says so in the archive, for each image that has some.
        compared: what new layers may be made from, by their digests.
    """

    items: tuple[Item, ...]
    is_bundle: bool = False
    gone: tuple[str, ...] = ()
    deltas: Mapping[str, Delta] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    compared: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def delta_sources(self) -> tuple[OmittedLayer, ...]:
        """The base layers that new ones are compared with."""
        sizes = {digest: size for each in self.compared.values() for digest, size in each.sources.items()}
        return tuple(OmittedLayer(digest, sizes[digest]) for digest in sorted(sizes))

    @property
    def single(self) -> Item:
        """The only image of a pull that makes no bundle."""
        (item,) = self.items
        return item

    def called(self, name: str | None) -> Plan:
        """Return it with another name for its only image, where there is one."""
        return replace(self, items=(replace(self.single, name=name),)) if name else self

    @cached_property
    def parts(self) -> list[tuple[Source | None, NamedImage]]:
        """Everything that travels, images first, each with where it is."""
        alone = [item.parts[0] for item in self.items]
        return [*alone, *(part for item in self.items for part in item.parts[1:])]

    @cached_property
    def layers(self) -> dict[str, Descriptor]:
        """The layers of everything that travels, by digest."""
        return {digest: layer for item in self.items for digest, layer in item.layers.items()}

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """Digests of all bases, sorted."""
        return tuple(sorted({base for item in self.items for base in item.bases}))

    @cached_property
    def omitted(self) -> dict[str, Descriptor]:
        """The layers that need not travel: each image that needs one has a base with it."""
        # A config or manifest of one may be a layer of another.
        needed = {digest for _, named in self.parts for digest in named.image.always}
        needed |= {digest for item in self.items for digest in item.layers.keys() - item.shared.keys()}
        return {
            digest: layer for item in self.items for digest, layer in item.shared.items() if digest not in needed
        }

    @cached_property
    def travelling(self) -> dict[str, int]:
        """Digest and size in bytes of every blob of the archive."""
        instead = self.omitted.keys() | self.deltas.keys()
        images = [named.image for _, named in self.parts]
        sizes = {digest: size for image in images for digest, size in image.travelling(instead).items()}
        sizes |= {delta.blob: delta.blob_size for delta in self.deltas.values()}
        if self.artifacts:
            sizes[digest_of(EMPTY)] = len(EMPTY)
        return sizes | {digest_of(artifact.raw): len(artifact.raw) for artifact in self.artifacts}

    @cached_property
    def bases_of(self) -> dict[str, tuple[str, ...]]:
        """For every layer that need not travel, digests of the bases that have it, sorted."""
        found: dict[str, set[str]] = {digest: set() for digest in self.omitted}
        for item in self.items:
            for base, layers in item.bases.items():
                for digest in item.layers.keys() & layers.keys() & found.keys():
                    found[digest].add(base)
        return {digest: tuple(sorted(bases)) for digest, bases in found.items()}

    def describe(self, read_config: Callable[[str], bytes | None]) -> Contents:
        """Describe what travels and what does not, as `contents.describe`."""
        references = {item.image.root.digest: str(item.source.reference) for item in self.items if item.source}
        contents = describe(
            [named for _, named in self.parts],
            references,
            self.omitted,
            self.bases,
            self.bases_of,
            read_config,
            is_bundle=self.is_bundle,
            deltas=self.deltas,
        )
        changes = [item.change for item in self.items]
        alone = contents.images[: len(changes)]
        images = (replace(image, change=change) for image, change in zip(alone, changes, strict=True))
        return replace(contents, images=(*images, *contents.images[len(changes) :]))

    def warnings(self) -> tuple[str, ...]:
        """Say what the user should know before the archive is sent, one line each."""
        lines = [note for item in self.items for note in item.notes]
        for item in self.items:
            final = item.source.reference if item.source else item.name or item.image.root.digest
            if item.image.root.digest in item.bases:
                if not self.is_bundle:
                    lines.append(f"{final} is the base already: the archive holds no layer")
            elif item.bases and not item.shared:
                lines.append(f"no base has a layer of {final}: the archive holds the whole image")
            lines += [
                f"foreign layer {layer.digest} ({human_bytes(layer.size)}) does not travel: "
                f"get it from {layer.urls[0]}"
                for layer in item.image.foreign.values()
            ]
        return tuple(dict.fromkeys(lines))


def make_plan(
    skopeo: Skopeo,
    wanted: Sequence[Wanted],
    report: Callable[[str], None],
    *,
    is_bundle: bool = False,
    fail_fast: bool = False,
    gone: tuple[str, ...] = (),
    with_signatures: bool = False,
    referrers: Sequence[str | Reference] = (),
) -> Plan:
    """Read images and their bases, and compare them.

    Args:
        skopeo: an entered `Skopeo`.
        wanted: the images to pull.
        report: receives a line for each step.
        is_bundle: whether they become a bundle.
        fail_fast: stop at the first image that can't be read; else all are tried, and all failures told.
        gone: names of an earlier bundle's images that this one has not.
        with_signatures: take along what stands beside each image under tags made from its digest.
        referrers: references with a digest to take along with the only image.

    Raises:
        BundleError: images of a bundle can't be read.
        IncrementalError: one can't be read, or is not what its digest or schema says; or no signature was found.
    """
    sources = dict.fromkeys(
        source for each in wanted for source in (each.final, *each.bases) if source.reference.transport == "docker"
    )
    for each in wanted:
        report(f"reading {each.final.reference}" + "".join(f", base {base.reference}" for base in each.bases))
    roots = dict(zip(sources, try_roots(skopeo, list(sources)), strict=True))
    items = []
    failures: list[tuple[str, IncrementalError]] = []
    for each in wanted:
        try:
            items.append(
                _compare(skopeo, each, roots, report, with_signatures=with_signatures, referrers=referrers)
            )
        except IncrementalError as error:
            if not is_bundle:
                raise
            failures.append((str(each.name), error))
            if fail_fast:
                break
    if failures:
        raise BundleError("read", failures, len(wanted))
    plan = Plan(tuple(items), is_bundle, gone)
    contents = plan.describe(lambda _: None)
    what = plural(len(items), "image") if is_bundle else plan.single.image.root.digest
    report(
        f"{what}: {plural(contents.layers_new, 'layer')} new ({human_bytes(contents.bytes_new)}), "
        f"{plural(contents.layers_shared, 'layer')} shared ({human_bytes(contents.bytes_shared)})"
    )
    return plan


def _compare(
    skopeo: Skopeo,
    wanted: Wanted,
    roots: Mapping[Source, FetchedManifest | IncrementalError],
    report: Callable[[str], None],
    *,
    with_signatures: bool,
    referrers: Sequence[str | Reference],
) -> Item:
    final = wanted.final
    in_registries = [base for base in wanted.bases if base.reference.transport == "docker"]
    root, *base_roots = (_root(roots, source) for source in (final, *in_registries))
    image = (
        read_platform(skopeo, final, root, wanted.platform) if wanted.platform else read_image(skopeo, final, root)
    )
    image.require_leaves()
    layers: dict[str, Mapping[str, Descriptor]] = {}
    known: set[str] = set()
    leaves: list[tuple[Source, FetchedManifest]] = []
    for base, base_root in zip(in_registries, base_roots, strict=True):
        read = read_image(skopeo, base, base_root, report)
        layers[read.root.digest] = build_layers_dictionary(*read.nodes)
        known |= {node.digest for node in read.nodes}
        leaves += [(base, leaf) for leaf in read.leaves]
    notes = []
    for base in wanted.bases:
        if base.reference.transport != "docker":
            from ..source.bases import read_base, why_nothing

            found = read_base(skopeo, base, report, wanted.name)
            layers |= found.layers
            known |= {node.digest for each in found.images for node in each.nodes}
            leaves += [(base, leaf) for each in found.images for leaf in each.leaves]
            notes += [why] if (why := why_nothing(base.reference)) else []
    beside: tuple[tuple[Source, NamedImage], ...] = ()
    if with_signatures or referrers:
        from ..source.signatures import find_beside, read_referrers

        beside = find_beside(skopeo, final, image, report) if with_signatures else ()
        beside += read_referrers(skopeo, final, image, referrers)
    name = wanted.name or final.reference.tag
    everything = frozenset(known | layers.keys())
    return Item(final, image, layers, name, everything, tuple(leaves), beside, tuple(notes), wanted.delta)


def _root(roots: Mapping[Source, FetchedManifest | IncrementalError], source: Source) -> FetchedManifest:
    root = roots[source]
    if isinstance(root, IncrementalError):
        raise root
    return root
