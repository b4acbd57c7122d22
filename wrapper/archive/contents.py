"""What our archives say about themselves, and what any archive holds.

`index.json` carries annotations of ours: the format's version, what a reader must understand beyond it, the
bases, and which base has each layer that is left out. They are part of no digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..delta.artifact import FEATURE, PREFIX, LayerDelta, read_artifact
from ..delta.graph import check_deltas, sources_needed
from ..errors import ContentError, UsageError
from ..oci.documents import OURS, Bounds, check_schema, count_values, parse_document
from ..oci.image import Image, resolve_image
from ..oci.layout import REF_NAME, canonical_json, index_entry
from ..oci.manifest import OCI_INDEX, Index, parse_manifest
from ..oci.reference import is_bundle_name, is_digest, local_name, repository_of
from ..results import MissingLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..oci.manifest import Descriptor

FORMAT = "1"
BUNDLE = "1"

MANIFESTS = Bounds(64 * 1024 * 1024, 1_000_000)
"""What all manifests and lists of an archive may be together; one that is read twice counts twice."""

LOCAL_NAME = "io.containerd.image.name"
"""The annotation by which containerd, podman and Docker name an image that they load."""

LOCAL_HOST = "localhost/"
"""What stands before such a name: without a host it would be Docker Hub's, and podman adds this one by itself."""

REFERRER_SUFFIXES = ("", ".sig", ".att", ".sbom")
"""How tags of referrers end: the list of them, and cosign's signatures, attestations and SBOMs."""


class ArchiveDocuments(Protocol):
    """What is read of an archive: `Archive`, or one that is not written yet."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def index(self) -> bytes:
        """The bytes of `index.json`."""

    @property
    def layout_file(self) -> bytes:
        """The bytes of `oci-layout`."""

    def __contains__(self, digest: str) -> bool:
        """Say whether it holds a blob."""

    def blob_size(self, digest: str) -> int:
        """Return the size in bytes of a blob that it holds."""

    def read_blob(self, digest: str) -> bytes:
        """Return a manifest or list."""


class NamedImage(NamedTuple):
    """An image of an archive.

    Attributes:
        name: its tag; None where it has none.
        image: the image.
        subject: the digest of the image of the same archive that it belongs to, as a signature does; None for an
            image that stands by itself.
        local_name: what other tools call it when they load the archive, such as `team/app:2`: no host; None where
            that is not known.
    """

    name: str | None
    image: Image
    subject: str | None = None
    local_name: str | None = None

    def called(self, tag: str | None) -> NamedImage:
        """Return it under another tag, where one is given."""
        if not tag:
            return self
        repository = repository_of(self.local_name)
        return self._replace(name=tag, local_name=local_name(repository, tag) if repository else None)

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
    """

    images: tuple[NamedImage, ...]
    omitted: Mapping[str, Descriptor]
    bases: tuple[str, ...]
    bases_of: Mapping[str, tuple[str, ...]]
    format: str | None
    is_bundle: bool = False
    deltas: Mapping[str, LayerDelta] = {}
    sources: Mapping[str, int] = {}

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
                "a bundle can be pushed to a registry; else an archive holds one image",
            )
        return alone[0]

    @property
    def referrers(self) -> tuple[NamedImage, ...]:
        """What refers to the images: signatures, attestations and the like."""
        return tuple(named for named in self.images if named.subject)


def referrer_tags(image: Image) -> list[str]:
    """Return the tags under which referrers of an image, or of a child of its list, may stand."""
    return [node.digest.replace(":", "-") + kind for node in image.nodes for kind in REFERRER_SUFFIXES]


def index_annotations(
    bases: Sequence[str],
    bases_of: Mapping[str, Sequence[str]],
    *,
    is_bundle: bool = False,
    requires: Sequence[str] = (),
) -> dict[str, str]:
    """Return the annotations of an archive's index.

    Args:
        bases: digests of the bases, sorted.
        bases_of: for every layer that is left out, digests of the bases that have it.
        is_bundle: whether it is a bundle.
        requires: what a reader must understand beyond the format.
    """
    return ({f"{PREFIX}bundle": BUNDLE} if is_bundle else {}) | {
        f"{PREFIX}format": FORMAT,
        f"{PREFIX}requires": ",".join(requires),
        f"{PREFIX}bases": ",".join(bases),
        f"{PREFIX}omitted": canonical_json(
            {digest: sorted(having) for digest, having in bases_of.items()}
        ).decode(),
    }


def image_descriptor(named: NamedImage) -> dict[str, Any]:
    """Return an image's descriptor in an archive's index."""
    root = named.image.root
    annotations = {f"{PREFIX}beside": named.subject} if named.subject else {}
    if named.local_name:
        annotations[LOCAL_NAME] = f"{LOCAL_HOST}{named.local_name}"
    return index_entry(root.media_type, root.digest, root.size, named.name, annotations)


def read_contents(archive: ArchiveDocuments) -> ArchiveContents:
    """Read and check an archive's documents; layers are not looked at.

    Args:
        archive: an open archive, ours or another tool's.

    Raises:
        ContentError: a document breaks its schema or contradicts another; something is absent that is not
            declared to be left out; or a newer version made the archive.
    """
    layout = parse_document(archive.layout_file, f"oci-layout of {archive.name}")
    check_schema(layout, "oci-layout", f"oci-layout of {archive.name}")
    root = parse_manifest(archive.index, bounds=OURS)
    index = root.parsed
    if not isinstance(index, Index) or index.media_type != OCI_INDEX:
        raise ContentError(f"index.json of {archive.name} is {root.media_type}, not an index")
    bases, declared = _read_annotations(index, archive.name)
    is_bundle = f"{PREFIX}bundle" in index.annotations
    images: dict[tuple[str, str | None], NamedImage] = {}
    load = _loader(archive)
    artifacts = [child for child in index.manifests if f"{PREFIX}deltas" in child.annotations]
    deltas = {delta.layer: delta for child in artifacts for delta in _read_deltas(child, load, archive)}
    for child in index.manifests:
        if f"{PREFIX}deltas" in child.annotations:
            continue
        name, subject = child.annotations.get(REF_NAME), child.annotations.get(f"{PREFIX}beside")
        # What belongs to an image may do so under two tags, and a bundle may call an image by two names.
        key = child.digest, name if subject or is_bundle else None
        if key not in images:
            (raw,) = load([child])
            image = resolve_image(parse_manifest(raw, descriptor=child), load)
            image.require_leaves()
            images[key] = NamedImage(name, image, subject, None if subject else _local_name(child))
    _check_referrers(images.values(), archive.name)
    if is_bundle:
        _check_names(images.values(), archive.name)
    omitted: dict[str, Descriptor] = {}
    for named in images.values():
        for digest, layer in _omitted(named.image, archive, deltas).items():
            if omitted.setdefault(digest, layer).size != layer.size:
                raise ContentError(
                    f"{archive.name} leaves out layer {digest}, whose size two images contradict each other about"
                )
    layers = {digest: layer.size for named in images.values() for digest, layer in named.image.layers.items()}
    check_deltas(
        deltas, layers, lambda digest: archive.blob_size(digest) if digest in archive else None, archive.name
    )
    if declared is not None and (undeclared := omitted.keys() - declared.keys()):
        raise ContentError(
            f"{archive.name} lacks layer {min(undeclared)}, and does not say that it leaves it out",
            "the archive is damaged: pull it again",
        )
    return ArchiveContents(
        images=tuple(sorted(images.values(), key=lambda named: named.subject is not None)),
        omitted=omitted,
        bases=bases,
        bases_of=declared or {},
        format=index.annotations.get(f"{PREFIX}format"),
        is_bundle=is_bundle,
        deltas=deltas,
        sources=sources_needed([deltas], deltas.keys(), archive.__contains__),
    )


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
    for found in contents:
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
    )


def missing_layers(layers: Mapping[str, int], contents: Iterable[ArchiveContents]) -> tuple[MissingLayer, ...]:
    """Say of missing layers, given by digest and size in bytes, which bases would bring them, if archives tell."""
    found = list(contents)

    def bases(digest: str) -> tuple[str, ...]:
        exact = {base for each in found for base in each.bases_of.get(digest, ())}
        return tuple(sorted(exact or {base for each in found for base in each.bases}))

    return tuple(MissingLayer(digest, layers[digest], bases(digest)) for digest in sorted(layers))


def _read_annotations(index: Index, name: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]] | None]:
    """Return the bases, and what is declared to be left out with its bases; None where nothing is declared."""
    said = index.annotations
    if f"{PREFIX}format" not in said:
        return (), None
    unknown = {each for each in said.get(f"{PREFIX}requires", "").split(",") if each} - {FEATURE}
    newer = unknown or said.get(f"{PREFIX}bundle", BUNDLE) != BUNDLE
    if said[f"{PREFIX}format"] != FORMAT or newer:
        wanted = f"format {said[f'{PREFIX}format']} {said.get(f'{PREFIX}requires', '')}".strip()
        raise ContentError(f"{name} was made by a newer version: {wanted:.200}", "install the version that made it")
    bases = tuple(base for base in said.get(f"{PREFIX}bases", "").split(",") if base)
    if not all(is_digest(base) for base in bases):
        raise ContentError(f"{name} has bases that are no digests")
    text = said.get(f"{PREFIX}omitted")
    if text is None:
        # Without the list, bases say no more than that something may be left out.
        return bases, None if bases else {}
    what = f"the list of omitted layers in {name}"
    declared = parse_document(text.encode(), what, OURS)
    check_schema(declared, "omitted", what)
    return bases, {digest: tuple(having) for digest, having in declared.items()}


def _local_name(child: Descriptor) -> str | None:
    """Return what an archive of ours says that other tools call an image; nothing else is passed on."""
    said = child.annotations.get(LOCAL_NAME, "")
    found = said.removeprefix(LOCAL_HOST)
    return found if said != found and is_bundle_name(found) else None


def _check_referrers(images: Iterable[NamedImage], name: str) -> None:
    """Refuse an archive without an image, and one that would move a tag that its user did not ask for."""
    alone = {named.image.root.digest: named.image for named in images if not named.subject}
    if not alone:
        raise ContentError(f"{name} holds no image: its index is empty")
    for named in images:
        if not named.subject:
            continue
        if named.subject not in alone:
            raise ContentError(f"{name} has {named.image.root.digest} beside an image that it does not hold")
        if named.name is not None and named.name not in referrer_tags(alone[named.subject]):
            raise ContentError(
                f"{name} has tag '{named.name:.100}' beside {named.subject}, where it does not belong"
            )


def _check_names(images: Iterable[NamedImage], name: str) -> None:
    """Refuse a bundle that would push an image to no place, or two to one place."""
    seen = set()
    for named in images:
        if named.subject:
            continue
        if named.name is None or not is_bundle_name(named.name):
            raise ContentError(f"{name} is a bundle, and calls {named.image.root.digest} '{named.name}'")
        if named.name in seen:
            raise ContentError(f"{name} is a bundle, and has two images of the name '{named.name}'")
        seen.add(named.name)


def _read_deltas(
    child: Descriptor, load: Callable[[Iterable[Descriptor]], Iterator[bytes]], archive: ArchiveDocuments
) -> list[LayerDelta]:
    (raw,) = load([child])
    parse_manifest(raw, descriptor=child)
    what = f"the artifact {child.digest} of {archive.name}"
    deltas = read_artifact(raw, child.annotations[f"{PREFIX}deltas"], what)
    for delta in deltas:
        if delta.blob not in archive:
            raise ContentError(f"{archive.name} lacks {delta.blob}, the change of a layer", "pull it again")
        _check_size(archive, delta.blob, delta.blob_size)
    return deltas


def _omitted(image: Image, archive: ArchiveDocuments, deltas: Mapping[str, LayerDelta]) -> dict[str, Descriptor]:
    for digest, size in image.metadata.items():
        if digest not in archive:
            raise ContentError(f"{archive.name} lacks config {digest}, which always travels", "pull it again")
        _check_size(archive, digest, size)
    omitted = {}
    for digest, layer in image.layers.items():
        if digest in archive:
            _check_size(archive, digest, layer.size)
        elif digest not in deltas:
            omitted[digest] = layer
    return omitted


def _loader(archive: ArchiveDocuments) -> Callable[[Iterable[Descriptor]], Iterator[bytes]]:
    """Return what reads manifests one after the other, as long as they are not too many for an archive."""
    size = values = 0

    def load(children: Iterable[Descriptor]) -> Iterator[bytes]:
        nonlocal size, values
        for child in children:
            raw = archive.read_blob(child.digest)
            size += len(raw)
            values += count_values(raw)
            if size > MANIFESTS.size or values > MANIFESTS.values:
                raise ContentError(
                    f"{archive.name} has too many manifests: together more than {MANIFESTS.size} bytes, "
                    f"or {MANIFESTS.values} values",
                    "pull its images into several archives",
                )
            yield raw

    return load


def _check_size(archive: ArchiveDocuments, digest: str, size: int) -> None:
    if archive.blob_size(digest) != size:
        raise ContentError(
            f"{digest} is {archive.blob_size(digest)} bytes long in {archive.name}, but its manifest says {size}"
        )
