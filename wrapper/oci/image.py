"""An image as a whole: one manifest, or a list with everything below it, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import ContentError
from .manifest import Descriptor, FetchedManifest, Index, Manifest, build_layers_dictionary, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from .reference import Reference

NESTING = 16
"""How deep lists may lie in lists."""


@dataclass(frozen=True)
class Image:
    """One manifest, or a list with everything below it.

    Attributes:
        nodes: the manifests and lists, each once, the root first.
    """

    nodes: tuple[FetchedManifest, ...]

    def __post_init__(self) -> None:
        """Refuse an image whose manifests contradict each other about a blob's size.

        Raises:
            ContentError: one digest has two sizes.
        """
        sizes = {node.digest: node.size for node in self.nodes}
        for blob in self._descriptors():
            known = sizes.setdefault(blob.digest, blob.size)
            if known != blob.size:
                raise ContentError(f"{blob.digest} has two sizes in {self.root.digest}: {known} and {blob.size}")

    @property
    def root(self) -> FetchedManifest:
        """The manifest or list that the reference names."""
        return self.nodes[0]

    @property
    def leaves(self) -> list[FetchedManifest]:
        """The manifests: each has a config and layers."""
        return [node for node in self.nodes if isinstance(node.parsed, Manifest)]

    @property
    def lists(self) -> list[FetchedManifest]:
        """The lists, innermost first: the order in which a registry accepts them."""
        by_digest = {node.digest: node for node in self.nodes}
        ordered: dict[str, FetchedManifest] = {}

        def visit(node: FetchedManifest) -> None:
            if isinstance(node.parsed, Index) and node.digest not in ordered:
                for child in node.parsed.manifests:
                    if child.digest in by_digest:
                        visit(by_digest[child.digest])
                ordered[node.digest] = node

        visit(self.root)
        return list(ordered.values())

    @cached_property
    def absent(self) -> dict[str, Descriptor]:
        """The children that lists name and that are not here, by digest: those of a sparse list."""
        there = {node.digest for node in self.nodes}
        return {
            child.digest: child
            for node in self.nodes
            if isinstance(node.parsed, Index)
            for child in node.parsed.manifests
            if child.digest not in there
        }

    @cached_property
    def layers(self) -> dict[str, Descriptor]:
        """The layers that can travel, by digest."""
        return build_layers_dictionary(*self.nodes)

    @cached_property
    def foreign(self) -> dict[str, Descriptor]:
        """The foreign layers, by digest: they never travel."""
        return {
            layer.digest: layer
            for layer in self._descriptors()
            if layer.is_foreign and layer.digest not in self.layers
        }

    @cached_property
    def metadata(self) -> dict[str, int]:
        """Digest and size in bytes of what always travels: manifests, lists and configs."""
        sizes = {node.digest: node.size for node in self.nodes}
        for leaf in self.leaves:
            sizes[leaf.manifest.config.digest] = leaf.manifest.config.size
        return sizes

    def require_leaves(self) -> None:
        """Refuse an image that is nothing but lists.

        Raises:
            ContentError: no list names a manifest, or none of them is here.
        """
        if not self.leaves and self.absent:
            raise ContentError(f"all manifests of index {self.root.digest} are absent: it has no image to move")
        if not self.leaves:
            raise ContentError(f"index {self.root.digest} names no manifest: it has no image to move")

    def shared_with(self, layers: Mapping[str, Descriptor]) -> dict[str, Descriptor]:
        """Return the layers that need not travel to where `layers` are.

        A digest that is also a config or a manifest of this image always travels: skopeo reads those
        locally at push.

        Args:
            layers: what the bases have, from `build_layers_dictionary`.

        Raises:
            ContentError: a base and this image disagree about a layer's size.
        """
        shared = {}
        for digest, layer in self.layers.items():
            if digest in layers and digest not in self.metadata:
                if layers[digest].size != layer.size:
                    raise ContentError(
                        f"layer {digest} is {layer.size} bytes long in {self.root.digest}, "
                        f"but {layers[digest].size} bytes in a base",
                        "one of the two manifests is wrong: ask the people who made the images",
                    )
                shared[digest] = layer
        return shared

    def blob_sizes(self, omitted: Collection[str]) -> dict[str, int]:
        """Return digest and size in bytes of every blob of the archive that leaves out `omitted`."""
        layers = {digest: layer.size for digest, layer in self.layers.items() if digest not in omitted}
        return layers | self.metadata

    def _descriptors(self) -> list[Descriptor]:
        descriptors: list[Descriptor] = []
        for node in self.nodes:
            if isinstance(node.parsed, Manifest):
                descriptors += (node.parsed.config, *node.parsed.layers)
            else:
                descriptors += node.parsed.manifests
        return descriptors


def resolve_image(
    root: FetchedManifest,
    load: Callable[[Sequence[Descriptor]], Iterable[bytes | None]],
    locate: Callable[[str], Reference] | None = None,
) -> Image:
    """Follow lists to their children, level by level.

    Args:
        root: where to begin.
        load: returns the bytes for the descriptors of one level, in their order; None for a child that is
            not to be had and may be passed over.
        locate: gives the reference of a child by its digest.

    Returns:
        The image: every manifest and list that can be reached, once.

    Raises:
        ContentError: a child is not what its descriptor says, or lists are nested too deep.
    """
    nodes = {root.digest: root}
    level = [root]
    for _ in range(NESTING):
        children: dict[str, Descriptor] = {}
        for node in level:
            if isinstance(node.parsed, Index):
                for child in node.parsed.manifests:
                    if child.digest not in nodes:
                        children.setdefault(child.digest, child)
        if not children:
            return Image(tuple(nodes.values()))
        level = []
        for child, raw in zip(children.values(), load(list(children.values())), strict=True):
            if raw is not None:
                node = parse_manifest(raw, reference=locate(child.digest) if locate else None, descriptor=child)
                nodes[node.digest] = node
                level.append(node)
    raise ContentError(f"lists are nested deeper than {NESTING} levels in {root.digest}")
