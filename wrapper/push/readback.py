"""Reading back what a registry says it has: a yes to HEAD may come from its cache, long after a layer was removed.

skopeo fetches a layer only as a part of a manifest that the same repository has. What is read is verified, counted
and removed at once.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from ..archive.verified import verified
from ..errors import BusyError, ContentError, IncrementalError, LinkError, NotFoundError, RegistryError
from ..host.files import CHUNK
from ..host.space import room_for
from ..host.text import human_bytes, plural
from ..oci.manifest import Index, build_layers_dictionary
from ..results import ReadBack
from ..skopeo.inspect import read_image, read_roots, try_roots
from ..source.download import Download, fetch_alone
from .tags import bringing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ..archive.contents import NamedImage
    from ..host.progress import Progress
    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..results import MissingLayer
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo

PHASE = "reading back"

_ON_DISK = 10
"""How many layers are on the disk: skopeo fetches six side by side, and some wait until they are verified."""


class _Verifier:
    """Where layers go that are read back: each is verified, and then is of no use any more."""

    def __init__(self, layers: Mapping[str, int]) -> None:
        self._layers = layers
        self.read: set[str] = set()

    def lacks(self, digest: str) -> bool:
        return digest in self._layers and digest not in self.read

    def add(self, digest: str, source: Path) -> None:
        def refuse(what: str) -> ContentError:
            return ContentError(f"{digest} {what}")

        with verified(source.open("rb"), digest, self._layers[digest], refuse) as file:
            while file.read(CHUNK):
                pass
        self.read.add(digest)


def likely_images(
    here: ImageSource, layers: Sequence[MissingLayer], bases: Sequence[ImageSource], most: int
) -> list[ImageSource]:
    """Return images of a repository that may have layers, the likeliest first; they need not exist.

    Args:
        here: the repository, with the tag or digest that is pushed to.
        layers: the layers, with the bases that would bring each.
        bases: the user's own; those of other repositories do not count.
        most: how many of the layers' bases are named.
    """
    times = Counter(base for layer in layers for base in layer.bases)
    digests = [digest for digest, _ in times.most_common(most)]
    return [*map(here.at, digests), here, *(each for each in bases if each.reference.is_beside(here.reference))]


def read_layers(
    skopeo: Skopeo,
    destination: Reference,
    layers: Sequence[MissingLayer],
    likely: Iterable[ImageSource],
    names: Mapping[str, str],
    report: Progress,
) -> ReadBack:
    """Read layers that a repository says it has.

    Args:
        skopeo: an entered `Skopeo`.
        destination: what the user calls the repository.
        layers: what to read, with the bases that would bring each.
        likely: images of the repository that may have them, the likeliest first; they need not exist.
        names: what people call bases, by their digests.
        report: is told each step.

    Raises:
        RegistryError: one can't be read, or no manifest that is known there has it.
        IncrementalError: the registry gave no clear answer.
    """
    sources = list(dict.fromkeys(likely))
    sizes = {layer.digest: layer.size for layer in layers}
    rest = dict(sizes)
    unread: dict[str, IncrementalError] = {}
    manifests = 0
    with report.phase(PHASE, sum(sizes.values())):
        for source, leaf in _leaves(skopeo, sources, report):
            if own := {digest: rest.pop(digest) for digest in build_layers_dictionary(leaf) if digest in rest}:
                unread |= _unreadable(skopeo, source, leaf, own, report)
                manifests += 1
    wrong = unread or rest
    bases = bringing([layer for layer in layers if layer.digest in wrong], names)
    base = bases or "the image that has these layers"
    if unread:
        first = next(iter(unread.values()))
        raise RegistryError(
            f"{destination} says that it has every layer, but {what_layers(unread, sizes)} can't be read there: "
            f"{first.message}",
            next_step(first, base),
        )
    if rest:
        raise RegistryError(
            f"{destination} says that it has every layer, but {what_layers(rest, sizes)} can't be read back, as no "
            "image that is known there lists them: garbage collection would remove them",
            f"push {base} there again, or name an image of this repository that has these layers with `base`",
        )
    return ReadBack(manifests, len(sizes), sum(sizes.values()))


def verify_images(
    skopeo: Skopeo, source: ImageSource, images: Sequence[NamedImage], report: Progress, *, layers: bool
) -> ReadBack:
    """Read images that were pushed by their digests: manifests, configs and, if wanted, layers.

    Args:
        skopeo: an entered `Skopeo`.
        source: where they are: any reference in their repository.
        images: what was pushed.
        report: is told each step.
        layers: whether every layer is read, too.

    Raises:
        RegistryError: something can't be read.
        IncrementalError: as for `Download.fetch`.
    """
    nodes = {node.digest: node for each in images for node in each.image.nodes}
    leaves = [node for node in nodes.values() if not isinstance(node.parsed, Index)]
    wanted = {digest: each.size for digest, each in build_layers_dictionary(*leaves).items()} if layers else {}
    rest = dict(wanted)
    try:
        read_roots(skopeo, [source.at(digest) for digest in nodes])
        for leaf in leaves:
            own = {digest: rest.pop(digest) for digest in build_layers_dictionary(leaf) if digest in rest}
            if unread := _unreadable(skopeo, source, leaf, own, report):
                first = next(iter(unread.values()))
                raise type(first)(f"{what_layers(unread, wanted)}: {first.message}", first.next_step)
    except RegistryError as error:
        if not _says_yes_in_vain(error):
            raise
        raise not_given_back(source.reference, error) from error
    except ContentError as error:
        raise not_given_back(source.reference, error) from error
    return ReadBack(len(nodes), len(wanted), sum(wanted.values()))


def _leaves(
    skopeo: Skopeo, sources: Sequence[ImageSource], report: Progress
) -> Iterable[tuple[ImageSource, FetchedManifest]]:
    """Find the manifests of those images that are there."""
    for source, root in zip(sources, try_roots(skopeo, sources), strict=True):
        # What a tag has that is no image has no layers.
        if isinstance(root, (NotFoundError, ContentError)):
            continue
        if isinstance(root, IncrementalError):
            raise root
        for leaf in read_image(skopeo, source, root, report).leaves:
            yield source, leaf


def _unreadable(
    skopeo: Skopeo, source: ImageSource, leaf: FetchedManifest, layers: Mapping[str, int], report: Progress
) -> dict[str, IncrementalError]:
    """Read a manifest, its config and layers; say of each layer that can't be read why.

    Raises:
        IncrementalError: it is not a layer that can't be read.
    """
    verifier = _Verifier(layers)
    begin = partial(Download, skopeo, preserve=True, cache=None, report=report, writer=verifier, phase=PHASE)

    def fetch(wanted: Mapping[str, int]) -> None:
        with room_for(skopeo.folder, sum(sorted(wanted.values())[-_ON_DISK:])):
            fetch_alone(skopeo, begin, source, leaf, wanted)

    try:
        fetch(layers)
    except IncrementalError as error:
        if not _says_yes_in_vain(error):
            raise
        first = error
    else:
        return {}
    # That a registry is gone must not be said of its layers.
    read_roots(skopeo, [source.at(leaf.digest)])
    unread: dict[str, IncrementalError] = {}
    # skopeo does not say which layer it was: it is asked for each by itself.
    for digest in [each for each in layers if verifier.lacks(each)]:
        try:
            fetch({digest: layers[digest]})
        except IncrementalError as error:
            if not _says_yes_in_vain(error):
                raise
            if verifier.lacks(digest):
                unread[digest] = error
    if not unread:
        raise first
    return unread


def is_lost(error: IncrementalError) -> bool:
    """Say whether an error is that of a blob which is not there; no network and no login has a part in that."""
    return isinstance(error, (ContentError, NotFoundError)) or type(error) is RegistryError


def _says_yes_in_vain(error: IncrementalError) -> bool:
    """Say whether an error may be that of a blob that the registry has not, or not as it was."""
    return is_lost(error) or (isinstance(error, LinkError) and not isinstance(error, BusyError))


def not_given_back(destination: Reference, error: IncrementalError) -> RegistryError:
    """Return the error for a registry that took an image without a tag, and has not all of it.

    Args:
        destination: what the user calls it.
        error: what is wrong.
    """
    return RegistryError(
        f"{destination} took the image, but can't give it back, so no tag was written: {error.message}",
        next_step(error, "the base and then this archive"),
    )


def next_step(error: IncrementalError, what: str) -> str:
    """Say what to do about what can't be read, and what is to be pushed after that."""
    if isinstance(error, ContentError):
        return (
            "the registry's storage is damaged: have the wrong bytes removed there, and the registry restarted; "
            f"then push {what} there again"
        )
    return (
        "try again; if it stays so, restart the registry, whose cache may still have what garbage collection has "
        f"removed; then push {what} there again"
    )


def what_layers(digests: Iterable[str], layers: Mapping[str, int]) -> str:
    """Say how many layers it is, how large, and which."""
    return _what("layer", digests, layers)


def what_blobs(digests: Iterable[str], blobs: Mapping[str, int]) -> str:
    """Say how many blobs it is, which are layers and configs, how large, and which."""
    return _what("blob", digests, blobs)


def _what(kind: str, digests: Iterable[str], sizes: Mapping[str, int]) -> str:
    which = list(digests)
    size = human_bytes(sum(sizes[digest] for digest in which))
    return f"{plural(len(which), kind)} ({size}: {', '.join(which):.600})"
