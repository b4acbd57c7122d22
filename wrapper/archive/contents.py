"""What our archives say about themselves, and what any archive holds.

`index.json` carries annotations of ours: the format's version, what a reader must understand beyond it, the
bases, which base has each layer that is left out, and what people call images and bases. They are part of no
digest.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delta.artifact import PREFIX, LayerDelta
from ..delta.graph import sources_needed
from ..errors import UsageError
from ..oci.layout import REF_NAME, canonical_json, index_entry
from ..oci.reference import repository_of, title_of, with_tag
from ..results import MissingLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..oci.image import Image
    from ..oci.manifest import Descriptor

FORMAT = "1"
BUNDLE = "1"

SPARSE = "sparse-lists"
"""What an archive requires of its reader that has a list without some of its children."""

ABSENT = f"{PREFIX}absent"
"""The annotation of a list's descriptor that says which children are absent: their digests, sorted."""

LOCAL_NAME = "io.containerd.image.name"
"""The annotation by which containerd, podman and Docker name an image that they load."""

LOCAL_HOST = "localhost/"
"""What stands before such a name: without a host it would be Docker Hub's, and podman adds this one by itself."""

REFERRER_SUFFIXES = ("", ".sig", ".att", ".sbom")
"""How tags of referrers end: the list of them, and cosign's signatures, attestations and SBOMs."""


class NamedImage(NamedTuple):
    """An image of an archive.

    Attributes:
        name: its tag; None where it has none.
        image: the image.
        subject: the digest of the image of the same archive that it belongs to, as a signature does; None for an
            image that stands by itself.
        title: what people call it, such as `team/app:2`: no host, and no tag where only its digest was given; None
            where that is not known.
    """

    name: str | None
    image: Image
    subject: str | None = None
    title: str | None = None

    @property
    def local_name(self) -> str | None:
        """What other tools call it when they load the archive; None where it has no tag."""
        return self.title if self.title and ":" in self.title else None

    def called(self, tag: str | None) -> NamedImage:
        """Return it under another tag, where one is given."""
        if not tag:
            return self
        repository = repository_of(self.title)
        return self._replace(name=tag, title=with_tag(repository, tag) if repository else None)

    @property
    def key(self) -> tuple[str | None, str]:
        """Name and digest, by which an image is told from others of its archive."""
        return self.name, self.image.root.digest


class ArchiveContents(NamedTuple):
    """What an archive holds and leaves out.

    Attributes:
        images: its images.
        omitted: the layers that its images need and that it leaves out.
        bases: digests of the images that it was compared with, sorted.
        bases_of: for omitted layers, digests of the bases that have it, as far as the archive says.
        format: the archive format's version; None for other tools' archives.
        is_bundle: whether it is a bundle: every image has a name of its own.
        deltas: layers that travel as their change, by their digests.
        sources: digest and size in bytes of the older layers that are needed to make those.
        base_names: what people call bases, by their digests, as far as the archive says.
    """

    images: tuple[NamedImage, ...]
    omitted: Mapping[str, Descriptor]
    bases: tuple[str, ...]
    bases_of: Mapping[str, tuple[str, ...]]
    format: str | None
    is_bundle: bool = False
    deltas: Mapping[str, LayerDelta] = {}
    sources: Mapping[str, int] = {}
    base_names: Mapping[str, str] = {}

    @property
    def names(self) -> dict[str, str]:
        """What people call images and bases, by their digests."""
        return names_of(self.images, self.base_names)

    @property
    def single(self) -> NamedImage:
        """The only image, referrers apart.

        Raises:
            UsageError: there are several.
        """
        alone = [named for named in self.images if not named.subject]
        if len(alone) > 1:
            names = ", ".join(named.name or named.image.root.digest for named in alone)
            raise UsageError(
                f"the archive holds {len(alone)} images: {names:.500}",
                "push a bundle to a registry; for other places, make an archive of each image",
            )
        return alone[0]

    @property
    def referrers(self) -> tuple[NamedImage, ...]:
        """What refers to the images: signatures, attestations and the like."""
        return tuple(named for named in self.images if named.subject)


def list_tag(digest: str) -> str:
    """Return the tag under which the list of what refers to a manifest or list stands."""
    return digest.replace(":", "-")


def referrer_tags(image: Image) -> list[str]:
    """Return the tags under which referrers of an image, or of a child of its list, may stand."""
    return [list_tag(node.digest) + kind for node in image.nodes for kind in REFERRER_SUFFIXES]


def title_in(annotations: Mapping[str, str]) -> str | None:
    """Return what people call an image, by the names in its descriptor, whichever tool wrote that; no host."""
    return title_of(annotations.get(LOCAL_NAME, "")) or title_of(annotations.get(REF_NAME, ""))


def names_of(images: Iterable[NamedImage], base_names: Mapping[str, str]) -> dict[str, str]:
    """Return what people call images and bases, by their digests; an image that is a base, too, as an image."""
    return {**base_names, **{named.image.root.digest: named.title for named in images if named.title}}


def index_annotations(
    bases: Sequence[str],
    bases_of: Mapping[str, Sequence[str]],
    names: Mapping[str, str] | None = None,
    *,
    is_bundle: bool = False,
    requires: Iterable[str] = (),
) -> dict[str, str]:
    """Return the annotations of an archive's index.

    Args:
        bases: digests of the bases, sorted.
        bases_of: for every layer that is left out, digests of the bases that have it.
        names: what people call images and bases, by their digests, as `names_of` gives it.
        is_bundle: whether it is a bundle.
        requires: what a reader must understand beyond the format.
    """
    said = {f"{PREFIX}bundle": BUNDLE} if is_bundle else {}
    if names:
        said[f"{PREFIX}names"] = canonical_json(names).decode()
    return said | {
        f"{PREFIX}format": FORMAT,
        f"{PREFIX}requires": ",".join(requires),
        f"{PREFIX}bases": ",".join(bases),
        f"{PREFIX}omitted": canonical_json(
            {digest: sorted(having) for digest, having in bases_of.items()}
        ).decode(),
    }


def sparse_features(images: Iterable[NamedImage]) -> list[str]:
    """Return what an archive of these images requires of its reader because children of lists are absent."""
    return [SPARSE] if any(named.image.absent for named in images) else []


def image_descriptor(named: NamedImage, *, in_archive: bool = True) -> dict[str, Any]:
    """Return an image's descriptor in an index.

    Args:
        named: the image.
        in_archive: whether that is an archive's, which says what is absent; what a layout lacks may come later.
    """
    root = named.image.root
    annotations = {f"{PREFIX}beside": named.subject} if named.subject else {}
    if named.image.absent and in_archive:
        annotations[ABSENT] = ",".join(sorted(named.image.absent))
    if named.local_name:
        annotations[LOCAL_NAME] = f"{LOCAL_HOST}{named.local_name}"
    return index_entry(root.media_type, root.digest, root.size, named.name, annotations)


def merge_deltas(contents: Sequence[ArchiveContents]) -> dict[str, LayerDelta]:
    """Return the changes that a chain of archives has, by the layers that they make; of two the older one's."""
    return {digest: delta for found in reversed(contents) for digest, delta in found.deltas.items()}


def merge(
    contents: Sequence[ArchiveContents], inside: Callable[[str], bool], images: Sequence[NamedImage] | None = None
) -> ArchiveContents:
    """Take several archives as one.

    Args:
        contents: what each holds.
        inside: says whether a layer is in one of them.
        images: those that count, in the order in which they are told; by default all.

    Returns:
        What they hold together, images before their referrers.
    """
    counting = [named for found in contents for named in found.images] if images is None else images
    # sorted() keeps the order of equals.
    ordered = sorted(counting, key=lambda named: named.subject is not None)
    layers = {digest: layer for named in ordered for digest, layer in named.image.layers.items()}
    deltas = merge_deltas(contents)
    deltas = {digest: delta for digest, delta in deltas.items() if not inside(digest)}
    bases_of: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for found in contents:
        names |= found.names
        for digest, bases in found.bases_of.items():
            bases_of.setdefault(digest, set()).update(bases)
    return ArchiveContents(
        images=tuple(ordered),
        omitted={digest: layers[digest] for digest in sorted(layers.keys() - deltas.keys()) if not inside(digest)},
        bases=tuple(sorted({base for found in contents for base in found.bases})),
        bases_of={digest: tuple(sorted(bases)) for digest, bases in bases_of.items()},
        format=contents[-1].format if contents else FORMAT,
        is_bundle=any(found.is_bundle for found in contents),
        deltas=deltas,
        sources=sources_needed([found.deltas for found in contents], layers.keys() & deltas.keys(), inside),
        base_names=names,
    )


def missing_layers(layers: Mapping[str, int], contents: Iterable[ArchiveContents]) -> tuple[MissingLayer, ...]:
    """Say of missing layers, given by digest and size in bytes, which bases would bring them, if archives tell."""
    found = list(contents)
    exact = {digest: {base for each in found for base in each.bases_of.get(digest, ())} for digest in layers}
    likely = _likely_bases({digest for digest, bases in exact.items() if not bases}, found)
    return tuple(
        MissingLayer(digest, layers[digest], tuple(sorted(exact[digest])) or likely[digest])
        for digest in sorted(layers)
    )


def _likely_bases(digests: Collection[str], contents: Sequence[ArchiveContents]) -> dict[str, tuple[str, ...]]:
    """Return the bases that may have what changes are made from: of that, archives name none.

    As far as names tell, those of other images are left out. Archives may be hostile: everything is looked at once.
    """
    if not digests:
        return {}
    repositories: dict[str, set[str | None]] = {}
    for named in (named for found in contents for named in found.images if not named.subject):
        for layer in named.image.layers:
            repositories.setdefault(layer, set()).add(repository_of(named.title))
    own: dict[str, set[str | None]] = {digest: set() for digest in digests}
    for found in contents:
        for layer, delta in found.deltas.items():
            for digest in delta.sources.keys() & own.keys():
                own[digest] |= repositories.get(layer, set())
    every = tuple(sorted({base for found in contents for base in found.bases}))
    names = {base: repository_of(name) for found in contents for base, name in found.base_names.items()}
    all_own = set().union(*repositories.values())

    @cache
    def of_images(those: frozenset[str | None]) -> tuple[str, ...]:
        others = all_own - those - {None} if those else set()
        return tuple(base for base in every if names.get(base) not in others) or every

    return {digest: of_images(frozenset(those)) for digest, those in own.items()}
