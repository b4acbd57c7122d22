"""What a pull is to do, as a value: images compared with what the other side has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..archive.contents import FORMAT, ArchiveContents, NamedImage, names_of
from ..archive.summary import describe, with_references
from ..delta import is_compiled
from ..delta.artifact import EMPTY_CONFIG
from ..delta.graph import sources_needed
from ..host.text import human_bytes, plural
from ..oci.manifest import digest_of
from ..results import OmittedLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..delta.artifact import DeltaArtifact, LayerDelta
    from ..oci.image import Image
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..results import Contents, LayerInfo
    from ..skopeo.inspect import ImageSource


class DeltaCandidates(NamedTuple):
    """A new layer, and what it may be made from.

    Attributes:
        size: its size in bytes.
        sources: digest and size in bytes of layers that the bases have and the new image has not; none where it
            can only be repacked.
        leaves: the bases' manifests.
    """

    size: int
    sources: Mapping[str, int]
    leaves: Sequence[FetchedManifest]


@dataclass(frozen=True)
class PlannedImage:
    """An image that travels.

    Attributes:
        source: where it is; None inside an archive.
        image: the image, with what is wanted of it.
        bases: for every base's digest, the layers that it has.
        name: what the image is called in the archive; None where it has no name.
        known: digests of all manifests and lists of the bases.
        leaves: the bases' manifests, as far as they are at hand, each with where it is; None inside an archive.
        referrers: what travels with the image, each with where it is.
        notes: what the user should know about the bases, one line each.
        delta: whether new layers may travel as their change.
        title: as in `NamedImage`.
        base_names: what people call the bases, by their digests.
    """

    source: ImageSource | None
    image: Image
    bases: Mapping[str, Mapping[str, Descriptor]]
    name: str | None
    known: frozenset[str] = frozenset()
    leaves: tuple[tuple[ImageSource | None, FetchedManifest], ...] = ()
    referrers: tuple[tuple[ImageSource | None, NamedImage], ...] = ()
    notes: tuple[str, ...] = ()
    delta: bool = False
    title: str | None = None
    base_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def named(self) -> NamedImage:
        """The image with its names."""
        return NamedImage(self.name, self.image, None, self.title)

    @property
    def parts(self) -> list[tuple[ImageSource | None, NamedImage]]:
        """The image and what is beside it, each with where it is."""
        return [(self.source, self.named), *self.referrers]

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
        return "same" if self.image.root.digest in self.known and self.is_there else "changed"

    @property
    def is_there(self) -> bool:
        """Whether bases have all layers of the image: of a list that is a base itself, they may lack platforms."""
        return self.image.layers.keys() <= self.shared.keys() | self.image.metadata.keys()


@dataclass(frozen=True)
class PullPlan:
    """What a pull is to do.

    Attributes:
        images: the images; one, unless they are a bundle.
        is_bundle: whether they are.
        gone: names of an earlier bundle's images that this one has not.
        deltas: layers that travel as their change, by their digests.
        artifacts: what says so in the archive, for each image that has some.
        candidates: what new layers may be made from, by their digests.
        reasons: why others travel whole although changes are wanted, by their digests.
    """

    images: tuple[PlannedImage, ...]
    is_bundle: bool = False
    gone: tuple[str, ...] = ()
    deltas: Mapping[str, LayerDelta] = field(default_factory=dict)
    artifacts: tuple[DeltaArtifact, ...] = ()
    candidates: Mapping[str, DeltaCandidates] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def delta_sources(self) -> tuple[OmittedLayer, ...]:
        """The base layers that new ones are compared with."""
        sizes = {digest: size for each in self.candidates.values() for digest, size in each.sources.items()}
        return tuple(OmittedLayer(digest, sizes[digest]) for digest in sorted(sizes))

    @property
    def bytes_to_compare(self) -> int:
        """Size in bytes of those that have to be fetched from registries for that."""
        far = {
            layer.digest
            for planned in self.images
            for source, leaf in planned.leaves
            if source and source.reference.transport == "docker"
            for layer in leaf.manifest.layers
        }
        return sum(source.size for source in self.delta_sources if source.digest in far)

    @property
    def single(self) -> PlannedImage:
        """The only image of a pull that makes no bundle."""
        (planned,) = self.images
        return planned

    def called(self, name: str | None) -> PullPlan:
        """Return it with another name for its only image, where there is one."""
        named = self.single.named.called(name)
        return replace(self, images=(replace(self.single, name=named.name, title=named.title),))

    def anonymous(self) -> PullPlan:
        """Return it without names; a bundle's images keep theirs, which say where each goes."""
        nameless: dict[str, Any] = {} if self.is_bundle else {"name": None, "title": None}
        return replace(self, images=tuple(replace(planned, base_names={}, **nameless) for planned in self.images))

    @cached_property
    def parts(self) -> list[tuple[ImageSource | None, NamedImage]]:
        """Everything that travels, images first, each with where it is."""
        alone = [planned.parts[0] for planned in self.images]
        return [*alone, *(part for planned in self.images for part in planned.parts[1:])]

    @cached_property
    def layers(self) -> dict[str, Descriptor]:
        """The layers of everything that travels, by digest."""
        return {digest: layer for planned in self.images for digest, layer in planned.layers.items()}

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """Digests of all bases, sorted."""
        return tuple(sorted({base for planned in self.images for base in planned.bases}))

    @cached_property
    def base_names(self) -> dict[str, str]:
        """What people call bases, by their digests; of several names, the first in the alphabet."""
        found = [pair for planned in self.images for pair in planned.base_names.items()]
        return dict(sorted(found, reverse=True))

    @cached_property
    def names(self) -> dict[str, str]:
        """What people call images and bases, by their digests."""
        return names_of((planned.named for planned in self.images), self.base_names)

    @cached_property
    def omitted(self) -> dict[str, Descriptor]:
        """The layers that need not travel: each image that needs one has a base with it."""
        # A config or manifest of one may be a layer of another.
        needed = {digest for _, named in self.parts for digest in named.image.metadata}
        needed |= {digest for planned in self.images for digest in planned.layers.keys() - planned.shared.keys()}
        return {
            digest: layer
            for planned in self.images
            for digest, layer in planned.shared.items()
            if digest not in needed
        }

    @cached_property
    def blob_sizes(self) -> dict[str, int]:
        """Digest and size in bytes of every blob of the archive."""
        instead = self.omitted.keys() | self.deltas.keys()
        images = [named.image for _, named in self.parts]
        sizes = {digest: size for image in images for digest, size in image.blob_sizes(instead).items()}
        sizes |= {delta.blob: delta.blob_size for delta in self.deltas.values()}
        if self.artifacts:
            sizes[digest_of(EMPTY_CONFIG)] = len(EMPTY_CONFIG)
        return sizes | {digest_of(artifact.raw): len(artifact.raw) for artifact in self.artifacts}

    @cached_property
    def bases_of(self) -> dict[str, tuple[str, ...]]:
        """For every layer that need not travel, digests of the bases that have it, sorted."""
        found: dict[str, set[str]] = {digest: set() for digest in self.omitted}
        for planned in self.images:
            for base, layers in planned.bases.items():
                for digest in planned.layers.keys() & layers.keys() & found.keys():
                    found[digest].add(base)
        return {digest: tuple(sorted(bases)) for digest, bases in found.items()}

    def describe(self, read_config: Callable[[str], bytes | None]) -> Contents:
        """Describe what travels and what does not, as `summary.describe`."""
        found = ArchiveContents(
            images=tuple(named for _, named in self.parts),
            omitted=self.omitted,
            bases=self.bases,
            bases_of=self.bases_of,
            format=FORMAT,
            is_bundle=self.is_bundle,
            deltas=self.deltas,
            sources=sources_needed([self.deltas], self.deltas.keys(), self.blob_sizes.__contains__),
            base_names=self.base_names,
        )
        references = {
            named.key: str(planned.source.reference)
            for planned in self.images
            if planned.source
            for _, named in planned.parts[:1]
        }
        contents = with_references(describe(found, read_config), references)
        changes = [planned.change for planned in self.images]
        contents = replace(contents, layers=tuple(map(self._explained, contents.layers)))
        alone = contents.images[: len(changes)]
        images = (replace(image, change=change) for image, change in zip(alone, changes, strict=True))
        return replace(contents, images=(*images, *contents.images[len(changes) :]))

    def _explained(self, layer: LayerInfo) -> LayerInfo:
        """Return what is said of a layer with why it travels so, where changes are wanted."""
        if layer.where != "inside":
            return layer
        if reason := self.reasons.get(layer.digest):
            return replace(layer, reason=reason)
        if layer.digest not in self.candidates:
            return layer
        # What becomes of it is known when it is there.
        number = len(self.candidates[layer.digest].sources)
        reason = f"to be compared with {plural(number, 'older layer')}" if number else "to be repacked"
        return replace(layer, travels=None, reason=reason)

    def warnings(self) -> tuple[str, ...]:
        """Say what the user should know before the archive is sent, one line each."""
        lines = [note for planned in self.images for note in planned.notes]
        if any(planned.delta for planned in self.images) and not is_compiled():
            lines.append("the modules that make changes are not compiled here: all layers travel whole")
        if any(planned.delta and planned.bases and not planned.leaves for planned in self.images):
            lines.append(
                "receipts and lists of what was sent have no layers that changes could be made from: also name an "
                "image or archive that the other side has as a base"
            )
        for planned in self.images:
            final = planned.source.reference if planned.source else planned.name or planned.image.root.digest
            if planned.image.root.digest in planned.bases and planned.is_there:
                if not self.is_bundle:
                    lines.append(f"{final} is the same image as the base: the archive holds no layers")
            elif planned.bases and not planned.shared and not self._uses_bases(planned):
                lines.append(f"no base has a layer of {final}: the archive holds the whole image")
            lines += [
                f"foreign layer {layer.digest} ({human_bytes(layer.size)}) does not travel: "
                f"get it from {layer.urls[0]}"
                for layer in planned.image.foreign.values()
            ]
        return tuple(dict.fromkeys(lines))

    def _uses_bases(self, planned: PlannedImage) -> bool:
        """Say whether layers of an image are, or may yet be, made from layers of its bases."""
        made = (self.deltas[digest].sources for digest in planned.layers if digest in self.deltas)
        # What becomes of these is not known yet.
        may_be = self.candidates.keys() - self.reasons.keys() - self.deltas.keys()
        return any(made) or any(self.candidates[digest].sources for digest in planned.layers if digest in may_be)
