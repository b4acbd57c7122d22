"""Bases that are not in a registry: what tells which layers the other side has. No layer is ever read."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ..archive.contents import title_in
from ..errors import ContentError, IncrementalError, UsageError, host_errors
from ..host.files import open_plain
from ..host.text import plural
from ..oci.documents import DOCUMENT_BYTES
from ..oci.image import resolve_image
from ..oci.layout import REF_NAME, Layout
from ..oci.manifest import Index, build_layers_dictionary, digest_of, parse_manifest
from ..oci.mistakes import JSON_FILE, MANIFEST, kind_of_json
from ..oci.platforms import offered
from ..oci.reference import path_and_tag, repository_of, title_of
from .ledger import KINDS, SENT, layers_of, read_ledger, titles_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..host.progress import Progress
    from ..oci.image import Image
    from ..oci.manifest import Descriptor, FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from .ledger import Ledger

    Layers = Mapping[str, Mapping[str, Descriptor]]


class BaseContents(NamedTuple):
    """What is known of a base.

    Attributes:
        layers: for the digest of each of its images, the layers by digest.
        images: its images, as far as their manifests are at hand.
        names: what people call its images, by their digests, as far as it says.
    """

    layers: Layers
    images: tuple[Image, ...] = ()
    names: Mapping[str, str] = {}


WITHOUT_DIGESTS = ("docker-archive", "docker-daemon")
"""Transports that know layers only as they were before they were compressed, which is another digest."""


def read_base(
    skopeo: Skopeo,
    base: ImageSource,
    report: Progress,
    name: str | None = None,
    *,
    title: str | None = None,
    unpacked: bool = False,
    ledgers: Mapping[Reference, Ledger] = MappingProxyType({}),
) -> BaseContents:
    """Read which layers a base has that is not in a registry.

    Args:
        skopeo: an entered `Skopeo`; it is asked for local stores alone.
        base: the base.
        report: receives a line for each child of a list that is not at hand: its layers don't count.
        name: of an image in a bundle: of a base that is a bundle, only images of that name count, whatever their
            tags are. Another repository's layers are of no use to it.
        title: what people call an image that is no bundle's: of a ledger only images in its repository count.
        unpacked: whether images count whose layers are only known unpacked: nothing is left out because of them,
            but others can be made of their layers.
        ledgers: those that were read already.

    Returns:
        What is known; nothing of a base that can't know its layers.

    Raises:
        UsageError: there is no such base.
        ContentError: it is not what its name, digest or schema says.
        HostError: it can't be read.
    """
    reference = base.reference
    if reference.transport in WITHOUT_DIGESTS:
        return BaseContents({}, (_in_storage(skopeo, base, report),) if unpacked else ())
    if reference.transport in KINDS:
        ledger = ledgers.get(reference) or read_ledger(Path(reference.name), reference.transport)
        held = ledger.of_use(name or title, in_bundle=name is not None)
        return BaseContents(layers_of(held), (), titles_of(held))
    images: Iterable[tuple[str | None, Image]]
    if reference.transport == "oci-archive":
        images = _in_archive(reference, name, report)
    elif reference.transport == "oci":
        images = _in_layout(reference, report)
    elif reference.transport == "containers-storage":
        # The store itself may stand before the name, in brackets.
        images = [(title_of(reference.name.rpartition("]")[2]), _in_storage(skopeo, base, report))]
    else:
        images = ((None, image) for image in _in_files(reference, report))
    titled = list(images)
    return BaseContents(
        {image.root.digest: build_layers_dictionary(*image.nodes) for _, image in titled},
        tuple(image for _, image in titled),
        {image.root.digest: title for title, image in titled if title},
    )


def _in_archive(reference: Reference, name: str | None, report: Progress) -> Iterator[tuple[str | None, Image]]:
    from ..archive.documents import read_contents
    from ..archive.reader import Archive

    path, tag = path_and_tag(reference)
    with Archive.open(path) as archive:
        contents = read_contents(archive)
    named = [each for each in contents.images if not each.subject]
    absent = {digest: child for each in named for digest, child in each.image.absent.items()}
    if contents.format is None and absent:
        which = offered(child.platform for child in absent.values())
        report.warn(
            f"{reference} lacks {plural(len(absent), 'manifest')} of its lists ({which:.200}): "
            "only what it has counts"
        )
    if name and contents.is_bundle:
        yield from ((each.title, each.image) for each in named if repository_of(each.name) == repository_of(name))
        return
    wanted = [(each.title, each.image) for each in named if tag in (None, each.name)]
    if not wanted:
        raise _no_tag(reference, [each.name for each in named])
    yield from wanted


def _in_layout(reference: Reference, report: Progress) -> Iterator[tuple[str | None, Image]]:
    path, tag = path_and_tag(reference)
    if not (path / "index.json").is_file():
        raise UsageError(f"{reference} is not an OCI layout: it has no index.json", "give the layout's folder")
    layout = Layout(path)
    root = parse_manifest(_read(path / "index.json"))
    if not isinstance(root.parsed, Index):
        raise ContentError(f"index.json of {path} is {root.media_type}, not an index")

    def load(children: Sequence[Descriptor]) -> list[bytes | None]:
        found = [
            _read(layout.blob(child.digest)) if layout.blob(child.digest).is_file() else None for child in children
        ]
        return _checked(children, found, reference, report)

    entries = root.parsed.manifests
    wanted = [each for each in entries if tag in (None, each.annotations.get(REF_NAME))]
    if not wanted:
        raise _no_tag(reference, [each.annotations.get(REF_NAME) for each in entries])
    for each, raw in zip(wanted, load(wanted), strict=True):
        if raw is not None:
            yield title_in(each.annotations), resolve_image(parse_manifest(raw, descriptor=each), load)


def _in_storage(skopeo: Skopeo, base: ImageSource, report: Progress) -> Image:
    from .unpacked import found_by_skopeo

    (raw,) = skopeo.inspect_raw([(found_by_skopeo(skopeo, base.reference), base.access, base.side)])
    if isinstance(raw, IncrementalError):
        raise raw
    return resolve_image(
        parse_manifest(raw), lambda children: _checked(children, [None] * len(children), base.reference, report)
    )


def _in_files(reference: Reference, report: Progress) -> list[Image]:
    """Read manifests that stand in files: in a folder that skopeo wrote (`dir:`), or as someone sent them."""
    path = Path(reference.name)
    if reference.transport == "dir":
        files = [path / "manifest.json", *sorted(path.glob("*.manifest.json"))]
    else:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        wrong = "has no manifest" if path.exists() else "does not exist"
        is_dir = reference.transport == "dir"
        step = "give a folder that skopeo wrote" if is_dir else "give a file, or a folder of *.json files"
        raise UsageError(f"{reference} {wrong}", step)
    nodes = list(map(_manifest_in, files))
    by_digest = {node.digest: node for node in nodes}
    below = {child.digest for node in nodes if isinstance(node.parsed, Index) for child in node.parsed.manifests}
    roots: list[FetchedManifest] = [node for node in by_digest.values() if node.digest not in below] or nodes[:1]

    def load(children: Sequence[Descriptor]) -> list[bytes | None]:
        found = [by_digest[child.digest].raw if child.digest in by_digest else None for child in children]
        return _checked(children, found, reference, report)

    return [resolve_image(root, load) for root in roots]


def _manifest_in(file: Path) -> FetchedManifest:
    raw = _read(file)
    try:
        return parse_manifest(raw)
    except ContentError as error:
        # By its digest alone nobody would know which file it is.
        kind, _ = kind_of_json(raw)
        is_another = kind not in (MANIFEST, JSON_FILE)
        what = f" is {kind}, and not a manifest" if is_another else f": {error.message}"
        raise ContentError(f"{file}{what}", error.next_step) from None


def _checked(
    children: Sequence[Descriptor],
    found: list[bytes | None],
    reference: Reference,
    report: Progress,
) -> list[bytes | None]:
    for child, raw in zip(children, found, strict=True):
        if raw is None:
            report(f"{child.digest} is in a list of {reference}, but its manifest is not there: it is skipped")
        elif digest_of(raw) != child.digest:
            raise ContentError(f"{child.digest} of {reference} has other bytes", "copy it again")
    return found


def _read(path: Path) -> bytes:
    with host_errors(f"cannot read {path}"), open_plain(path) as file:
        raw = file.read(DOCUMENT_BYTES + 1)
    if len(raw) > DOCUMENT_BYTES:
        raise ContentError(f"{path} is longer than {DOCUMENT_BYTES} bytes: it is not a manifest")
    return raw


def _no_tag(reference: Reference, names: Sequence[str | None]) -> UsageError:
    offered = ", ".join(sorted({name for name in names if name})) or "none with a name"
    return UsageError(f"{reference} does not exist; the images there are: {offered:.500}", "check the tag")


def what_is_uncertain(base: Reference) -> str | None:
    """Return what the user should know of a base that the other side may not have; None of any other."""
    if base.transport == SENT:
        return f"{base} says what was sent: nobody has confirmed that it arrived"
    return None


def why_nothing(base: Reference) -> str | None:
    """Return why a base makes no difference; None where it may make one."""
    if base.transport not in WITHOUT_DIGESTS:
        return None
    why = f"{base} has no digests of compressed layers: no layer is left out because of it"
    path = base.name.partition(":")[0]
    if base.transport == "docker-archive" and _is_oci_archive(path):
        return f"{why}; it is an OCI archive, too: try oci-archive:{path}"
    return why


def _is_oci_archive(path: str) -> bool:
    from ..archive.reader import Archive

    try:
        with Archive.open(path):
            return True
    except IncrementalError:
        return False
