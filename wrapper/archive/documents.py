"""Reads what an archive says of itself, by rules that its writer keeps to as well: it checks what it will write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delta.artifact import FEATURES, PREFIX, LayerDelta, read_artifact
from ..delta.graph import check_deltas, sources_needed
from ..errors import ContentError
from ..oci.documents import OURS, Bounds, check_schema, count_values, parse_document
from ..oci.image import Image, resolve_image
from ..oci.layout import REF_NAME
from ..oci.manifest import OCI_INDEX, Index, Manifest, parse_manifest
from ..oci.reference import is_bundle_name, is_digest
from .contents import ABSENT, BUNDLE, FORMAT, SPARSE, ArchiveContents, NamedImage, referrer_tags, title_in
from .reader import MEMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Protocol

    from ..oci.manifest import Descriptor

    class Documents(Protocol):
        """An archive, as far as it is read here."""

        name: str
        index: bytes
        layout_file: bytes

        @property
        def sizes(self) -> Mapping[str, int]:
            """Digest and size in bytes of every blob that it holds."""

        def read_blob(self, digest: str) -> bytes:
            """Return a small blob."""


MANIFESTS = Bounds(64 * 1024 * 1024, 1_000_000)
"""What all manifests and lists of an archive may be together; one that is read twice counts twice."""

_FEWER = "pull the images into several archives"


def read_contents(archive: Documents) -> ArchiveContents:
    """Read and check an archive's documents; layers are not looked at.

    Args:
        archive: an open archive, ours or another tool's.

    Raises:
        ContentError: a document breaks its schema or contradicts another; something is absent that is not
            declared to be left out; or a newer version made the archive.
    """
    layout = parse_document(archive.layout_file, f"oci-layout of {archive.name}")
    check_schema(layout, "oci-layout", f"oci-layout of {archive.name}")
    index = _read_index(archive.index, archive.name)
    total = _Total(archive.name)

    def load(children: Iterable[Descriptor]) -> Iterator[bytes]:
        for child in children:
            raw = archive.read_blob(child.digest)
            total.add(raw)
            yield raw

    names = _read_names(index)
    deltas: dict[str, LayerDelta] = {}
    images: dict[tuple[str, str | None], NamedImage] = {}
    for child in index.manifests:
        if image_of := child.annotations.get(f"{PREFIX}deltas"):
            (raw,) = load([child])
            parse_manifest(raw, descriptor=child)
            what = f"the artifact {child.digest} of {archive.name}"
            deltas |= {delta.layer: delta for delta in read_artifact(raw, image_of, what)}
            continue
        name, subject = child.annotations.get(REF_NAME), child.annotations.get(f"{PREFIX}beside")
        # What belongs to an image may do so under two tags, and a bundle may call an image by two names.
        key = child.digest, name if subject or f"{PREFIX}bundle" in index.annotations else None
        if key not in images:
            (raw,) = load([child])
            image = _read_list(archive, child, raw, load, ours=f"{PREFIX}format" in index.annotations)
            images[key] = NamedImage(
                name, image, subject, None if subject else title_in(child.annotations) or names.get(child.digest)
            )
    return _contents(archive.name, index, list(images.values()), deltas, archive.sizes, names)


def _read_list(
    archive: Documents,
    entry: Descriptor,
    raw: bytes,
    load: Callable[[Sequence[Descriptor]], Iterable[bytes]],
    *,
    ours: bool,
) -> Image:
    """Follow an image of an archive to everything below it that is there.

    Children may be absent where the archive says so. Archives of other tools say nothing: `docker save` writes a
    list as it was, and of its children what this Docker has. That may be a manifest alone (containerd,
    `archive.WithSkipMissing`), which then counts as absent.
    """
    declared = {digest for digest in entry.annotations.get(ABSENT, "").split(",") if digest and ours}

    def load_present(children: Sequence[Descriptor]) -> Iterator[bytes | None]:
        for child in children:
            if child.digest in declared or not (ours or child.digest in archive.sizes):
                yield None
                continue
            (raw,) = load([child])
            found = parse_manifest(raw, descriptor=child).parsed if not ours else None
            yield None if isinstance(found, Manifest) and found.config.digest not in archive.sizes else raw

    image = resolve_image(parse_manifest(raw, descriptor=entry), load_present)
    if unknown := declared - image.absent.keys():
        raise ContentError(
            f"{archive.name} declares {min(unknown):.200} to be absent, which no list of {entry.digest} names"
        )
    image.require_leaves()
    return image


def require_readable(
    name: str,
    index: bytes,
    images: Collection[NamedImage],
    sizes: Mapping[str, int],
    deltas: Mapping[str, LayerDelta] | None = None,
    artifacts: Iterable[bytes] = (),
) -> None:
    """Refuse to write an archive that `read_contents` would not take.

    Args:
        name: what to call it in messages.
        index: the bytes of its `index.json`.
        images: what it will hold; each manifest was checked when it was read.
        sizes: digest and size in bytes of every blob.
        deltas: layers that travel as their change, by their digests.
        artifacts: the documents that say so.

    Raises:
        ContentError: as a reader of that archive would raise it.
    """
    if len(index) > OURS.size:
        raise ContentError(f"index.json of {name} would be longer than {OURS.size} bytes", _FEWER)
    if len(sizes) + 3 > MEMBERS:
        raise ContentError(f"{name} would have more than {MEMBERS} members", _FEWER)
    total = _Total(name)
    for named in images:
        for node in named.image.nodes:
            total.add(node.raw)
    for raw in artifacts:
        total.add(raw)
    _contents(name, _read_index(index, name), images, deltas or {}, sizes, {})


class _Total:
    """How much all manifests are together."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._size = self._values = 0

    def add(self, raw: bytes) -> None:
        """Count one.

        Raises:
            ContentError: they are too many for an archive.
        """
        self._size += len(raw)
        self._values += count_values(raw)
        if self._size > MANIFESTS.size or self._values > MANIFESTS.values:
            raise ContentError(
                f"{self._name} has too many manifests: together more than {MANIFESTS.size} bytes, "
                f"or {MANIFESTS.values} values",
                _FEWER,
            )


def _read_index(raw: bytes, name: str) -> Index:
    root = parse_manifest(raw, bounds=OURS)
    if not isinstance(root.parsed, Index) or root.media_type != OCI_INDEX:
        raise ContentError(f"index.json of {name} is {root.media_type}, not an index")
    return root.parsed


def _contents(
    name: str,
    index: Index,
    images: Collection[NamedImage],
    deltas: Mapping[str, LayerDelta],
    sizes: Mapping[str, int],
    names: Mapping[str, str],
) -> ArchiveContents:
    """Put together what an archive of these images, and of blobs of these sizes, holds and leaves out."""
    bases, declared = _read_annotations(index, name)
    is_bundle = f"{PREFIX}bundle" in index.annotations
    if f"{PREFIX}format" in index.annotations:
        _check_absent(images, sizes, name)
    _check_referrers(images, name)
    if is_bundle:
        _check_names(images, name)
    omitted = _find_omitted(images, deltas, sizes, name)
    layers = {digest: layer.size for named in images for digest, layer in named.image.layers.items()}
    check_deltas(deltas, layers, sizes.get, name)
    if declared is not None and (undeclared := omitted.keys() - declared.keys()):
        raise ContentError(
            f"{name} lacks layer {min(undeclared)}, and does not list it as left out",
            "the archive is damaged: pull it again",
        )
    return ArchiveContents(
        images=tuple(sorted(images, key=lambda named: named.subject is not None)),
        omitted=omitted,
        bases=bases,
        bases_of=declared or {},
        format=index.annotations.get(f"{PREFIX}format"),
        is_bundle=is_bundle,
        deltas=deltas,
        sources=sources_needed([deltas], deltas.keys(), sizes.__contains__),
        base_names={base: names[base] for base in bases if base in names},
    )


def _read_annotations(index: Index, name: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]] | None]:
    """Return the bases, and what is declared to be left out with its bases; None where nothing is declared."""
    said = index.annotations
    if f"{PREFIX}format" not in said:
        return (), None
    unknown = {each for each in said.get(f"{PREFIX}requires", "").split(",") if each} - FEATURES - {SPARSE}
    newer = unknown or said.get(f"{PREFIX}bundle", BUNDLE) != BUNDLE
    if said[f"{PREFIX}format"] != FORMAT or newer:
        wanted = f"format {said[f'{PREFIX}format']} {said.get(f'{PREFIX}requires', '')}".strip()
        raise ContentError(f"{name} was made by a newer version: {wanted:.200}", "install the version that made it")
    bases = tuple(base for base in said.get(f"{PREFIX}bases", "").split(",") if base)
    if not all(is_digest(base) for base in bases):
        raise ContentError(f"{name} names bases that are not digests")
    text = said.get(f"{PREFIX}omitted")
    if text is None:
        # Without the list, bases say no more than that something may be left out.
        return bases, None if bases else {}
    what = f"the list of omitted layers in {name}"
    declared = parse_document(text.encode(), what, OURS)
    check_schema(declared, "omitted", what)
    return bases, {digest: tuple(having) for digest, having in declared.items()}


def _read_names(index: Index) -> dict[str, str]:
    """Return what an archive says that people call images and bases, by their digests.

    Names only explain: what is no name is passed over, as if nothing was said.
    """
    text = index.annotations.get(f"{PREFIX}names", "{}")
    try:
        said = parse_document(text.encode(), "names")
    except ContentError:
        return {}
    return {digest: name for digest, name in said.items() if isinstance(name, str) and is_bundle_name(name)}


def _check_referrers(images: Iterable[NamedImage], name: str) -> None:
    """Refuse an archive without an image, and one that would move a tag that its user did not ask for."""
    alone = {named.image.root.digest: named.image for named in images if not named.subject}
    if not alone:
        raise ContentError(f"{name} holds no image: its index is empty")
    for named in images:
        if not named.subject:
            continue
        if named.subject not in alone:
            raise ContentError(f"{name} holds {named.image.root.digest} for an image that it does not hold")
        if named.name is not None and named.name not in referrer_tags(alone[named.subject]):
            raise ContentError(
                f"{name} uses tag '{named.name:.100}' for a referrer of {named.subject}, where it does not belong"
            )


def _check_absent(images: Collection[NamedImage], sizes: Mapping[str, int], name: str) -> None:
    """Refuse an archive that holds what it says is absent, unless another of its images is that."""
    there = {node.digest for named in images for node in named.image.nodes}
    for named in images:
        if found := named.image.absent.keys() & sizes.keys() - there:
            raise ContentError(f"{name} holds {min(found)}, and declares it to be absent", "pull it again")


def _check_names(images: Iterable[NamedImage], name: str) -> None:
    """Refuse a bundle that would push an image to no place, or two to one place."""
    seen = set()
    for named in images:
        if named.subject:
            continue
        if named.name is None or not is_bundle_name(named.name):
            raise ContentError(f"{name} is a bundle, and calls {named.image.root.digest} '{named.name}'")
        if named.name in seen:
            raise ContentError(f"{name} is a bundle, and has two images called '{named.name}'")
        seen.add(named.name)


def _find_omitted(
    images: Iterable[NamedImage], deltas: Mapping[str, LayerDelta], sizes: Mapping[str, int], name: str
) -> dict[str, Descriptor]:
    """Return the layers that are left out; all else must be there, as long as it is said to be."""
    omitted: dict[str, Descriptor] = {}
    for image in (named.image for named in images):
        for digest, size in image.metadata.items():
            _require_size(digest, size, sizes, name, "config")
        for digest, layer in image.layers.items():
            if digest in sizes:
                _require_size(digest, layer.size, sizes, name, "layer")
            elif digest not in deltas and omitted.setdefault(digest, layer).size != layer.size:
                raise ContentError(
                    f"{name} leaves out layer {digest}, for which two of its images give different sizes"
                )
    for delta in deltas.values():
        _require_size(delta.blob, delta.blob_size, sizes, name, "the change of a layer,")
    return omitted


def _require_size(digest: str, size: int, sizes: Mapping[str, int], name: str, what: str) -> None:
    if digest not in sizes:
        raise ContentError(f"{name} lacks {what} {digest}, which every archive must hold", "pull it again")
    if sizes[digest] != size:
        raise ContentError(f"{digest} is {sizes[digest]} bytes long in {name}, but its manifest says {size}")
