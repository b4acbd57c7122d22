"""From references to checked manifests: lists are followed to their children."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import (
    ContentError,
    DeniedError,
    HiddenError,
    IncrementalError,
    NoRepositoryError,
    NotFoundError,
    UsageError,
)
from ..oci.documents import parse_document
from ..oci.image import Image, resolve_image
from ..oci.manifest import LISTS, Descriptor, FetchedManifest, Index, digest_of, parse_manifest
from ..oci.platforms import Platform, choose
from ..oci.reference import Reference
from ..oci.sparse import select
from .access import Access
from .messages import no_registry
from .runner import Skopeo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..oci.sparse import Wanted

    Known = Mapping["ImageSource", bytes | IncrementalError]

References = str | Reference | Sequence[str | Reference] | None
"""Images: one reference, several, or none."""


class ImageSource(NamedTuple):
    """An image to read, and how.

    Attributes:
        reference: the image.
        access: how its registry is reached.
        side: `base`, `final`, `push` or `archive`, as `Authentications` has them, for an error's next step.
    """

    reference: Reference
    access: Access
    side: str

    def at(self, digest: str) -> ImageSource:
        """Return another manifest of the same repository."""
        return ImageSource(self.reference.pinned(digest), self.access, self.side)


def image_sources(references: References, access: Access, side: str) -> list[ImageSource]:
    """Return images of one side.

    Args:
        references: one, several, or None.
        access: how that side is reached.
        side: which one, as in `ImageSource`.

    Raises:
        UsageError: a reference is malformed.
    """
    listed = [references] if isinstance(references, (str, Reference)) else references or ()
    return [ImageSource(_parsed(each), access, side) for each in listed]


def read_roots(skopeo: Skopeo, sources: Sequence[ImageSource]) -> list[FetchedManifest]:
    """Read what references name, side by side, and hash it.

    Args:
        skopeo: an entered `Skopeo`.
        sources: what to read.

    Returns:
        The manifest or list of each.

    Raises:
        IncrementalError: one can't be read; or its bytes are not those of the digest that its reference
            names, or not those of a manifest.
    """
    roots = []
    for root in try_roots(skopeo, sources):
        if isinstance(root, IncrementalError):
            raise root
        roots.append(root)
    return roots


def try_roots(skopeo: Skopeo, sources: Sequence[ImageSource]) -> list[FetchedManifest | IncrementalError]:
    """Read what references name, side by side, and hash it.

    Args:
        skopeo: an entered `Skopeo`.
        sources: what to read.

    Returns:
        The manifest or list of each, or what is wrong with it, as `read_roots` would raise it.
    """

    def check(source: ImageSource, raw: bytes | IncrementalError) -> FetchedManifest | IncrementalError:
        if isinstance(raw, IncrementalError):
            return raw
        try:
            root = parse_manifest(raw, reference=source.reference)
        except ContentError as error:
            if is_manifest(raw):
                return error
            return ContentError(error.message, no_registry(source.reference.registry, "").next_step)
        if source.reference.digest in (None, root.digest):
            return root
        return ContentError(
            f"{source.reference} came with other bytes: their digest is {root.digest}",
            "try again, and tell the people who run the registry",
        )

    return [check(source, raw) for source, raw in zip(sources, _inspect(skopeo, sources), strict=True)]


def is_manifest(raw: bytes) -> bool:
    """Say whether bytes may be a manifest of any kind, even one that can't travel."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and bool({"schemaVersion", "mediaType"} & document.keys())


def require_manifest(reference: Reference, raw: bytes) -> None:
    """Refuse what no registry gives for a tag, such as a web page.

    Raises:
        RegistryError: it is no manifest.
    """
    if not is_manifest(raw):
        raise no_registry(reference.registry, f"answers yes, but what it returns for {reference} is not a manifest")


def is_repository(skopeo: Skopeo, source: ImageSource) -> bool:
    """Look whether there may be a repository, with no more rights than reading takes.

    To ask for layers skopeo logs in for writing, too, and there are registries (Quay) that make a repository as
    soon as somebody does who may.

    Args:
        skopeo: an entered `Skopeo`.
        source: an image in it, which need not exist.

    Returns:
        False where the registry says that there is none.

    Raises:
        DeniedError: it does not tell this login.
        IncrementalError: it gave no clear answer.
    """
    (raw,) = _inspect(skopeo, [source])
    if isinstance(raw, HiddenError):
        return True
    if isinstance(raw, DeniedError):
        raise DeniedError(
            raw.message,
            f"{raw.next_step}. Some registries answer like this if the repository does not exist: it has no layers "
            "then, and a push creates it",
        )
    if isinstance(raw, IncrementalError) and not isinstance(raw, NotFoundError):
        raise raw
    if isinstance(raw, bytes):
        require_manifest(source.reference, raw)
    return not isinstance(raw, NoRepositoryError)


def read_ahead(
    skopeo: Skopeo, wanted: Iterable[tuple[ImageSource, FetchedManifest, Wanted]]
) -> dict[ImageSource, bytes | IncrementalError]:
    """Read what stands in several lists, all of it side by side: each round of questions takes ten round trips.

    Args:
        skopeo: an entered `Skopeo`.
        wanted: for each manifest or list where it was read, and what is wanted of it.

    Returns:
        For `read_image` and the like: the bytes of each child, not verified, or what was wrong.
    """
    children = dict.fromkeys(
        source.at(child.digest)
        for source, root, wanted_of_it in wanted
        if isinstance(root.parsed, Index)
        for child in _needed(root.parsed.manifests, wanted_of_it)
    )
    return dict(zip(children, _inspect(skopeo, list(children)), strict=True))


def _needed(children: Sequence[Descriptor], wanted: Wanted) -> Sequence[Descriptor]:
    if wanted is None:
        return children
    leaves = [child for child in children if child.media_type not in LISTS]
    if isinstance(wanted, Platform):
        position = choose(wanted, [leaf.platform for leaf in leaves])
        chosen = [] if position is None else [leaves[position]]
    else:
        chosen = [leaf for platform in wanted for leaf in select(platform, leaves)]
    return [child for child in children if child.media_type in LISTS] + chosen


def read_image(
    skopeo: Skopeo,
    source: ImageSource,
    root: FetchedManifest,
    passed_over: Callable[[str], None] | None = None,
    known: Known | None = None,
) -> Image:
    """Follow a manifest or list to everything below it.

    Args:
        skopeo: an entered `Skopeo`.
        source: where `root` was read.
        root: where to begin.
        passed_over: receives a line for each child that the registry does not have (a list that was copied
            in part); without it such a child is an error.
        known: what was read ahead.

    Raises:
        IncrementalError: a child can't be read, or is not what its descriptor says.
    """

    def load(children: Sequence[Descriptor]) -> list[bytes | None]:
        return read_children(skopeo, source, children, passed_over, known)

    return resolve_image(root, load, source.reference.pinned)


def require_platform(
    skopeo: Skopeo, source: ImageSource, leaf: FetchedManifest, wanted: Platform | tuple[Platform, ...]
) -> None:
    """Refuse an image that its config says is for another platform.

    Args:
        skopeo: an entered `Skopeo`.
        source: where it is.
        leaf: its manifest.
        wanted: the platform that it is to be for, or several, of which one will do.

    Raises:
        UsageError: it is for another one.
        IncrementalError: its config can't be read, or is not what its digest says.
    """
    (raw,) = skopeo.inspect_raw([(source.at(leaf.digest).reference, source.access, source.side)], config=True)
    if isinstance(raw, IncrementalError):
        raise raw
    config = leaf.manifest.config
    if digest_of(raw) != config.digest:
        raise ContentError(f"the config {config.digest} of {source.reference} came with other bytes")
    try:
        found = Platform.from_config(parse_document(raw, f"the config {config.digest}"))
    except ContentError:
        # Charts and other artifacts have configs of their own, which need not be JSON.
        return
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    if found and all(choose(platform, [found]) is None for platform in several):
        names = " or ".join(map(str, several))
        argument = "platforms" if isinstance(wanted, tuple) else "platform"
        quoted = f"`{argument}`"
        raise UsageError(
            f"{source.reference} is a single image for {found}, and not for {names}",
            f"leave out {quoted}, or name an image for {names}",
        )


def read_children(
    skopeo: Skopeo,
    source: ImageSource,
    children: Sequence[Descriptor],
    passed_over: Callable[[str], None] | None = None,
    known: Known | None = None,
) -> list[bytes | None]:
    """Read manifests of one repository by digest, side by side; the bytes are not verified.

    Args:
        skopeo: an entered `Skopeo`.
        source: the repository.
        children: what to read.
        passed_over: as for `read_image`.
        known: what was read ahead.

    Returns:
        The bytes of each, None for one that was passed over.

    Raises:
        IncrementalError: one can't be read.
    """
    wanted = [source.at(child.digest) for child in children]
    level: list[bytes | None] = []
    known = known or {}
    rest = [child for child in wanted if child not in known]
    found = dict(zip(rest, _inspect(skopeo, rest), strict=True))
    for child, described in zip(wanted, children, strict=True):
        raw = known[child] if child in known else found[child]
        if passed_over and isinstance(raw, NotFoundError):
            passed_over(f"{child.reference} is in the list, but not in the registry: it is skipped")
            level.append(None)
        elif isinstance(raw, NotFoundError):
            which = f" ({described.platform})" if described.platform else ""
            raise NotFoundError(
                f"{child.reference}{which} is in the list, but not in the registry",
                "name the platforms that are there with `platforms`, or ask the people who put the list there",
            )
        elif isinstance(raw, IncrementalError):
            raise raw
        else:
            level.append(raw)
    return level


def _inspect(skopeo: Skopeo, sources: Sequence[ImageSource]) -> list[bytes | IncrementalError]:
    return skopeo.inspect_raw([(source.reference, source.access, source.side) for source in sources])


def fetch_manifests(reference: Reference | str, access: Access | None = None) -> list[FetchedManifest]:
    """Read an image's manifests (Go: `incremental.FetchManifests`).

    Args:
        reference: the image.
        access: how its registry is reached; skopeo's own configuration by default.

    Returns:
        What the reference names, and for a list everything below it, each once, the root first.

    Raises:
        IncrementalError: something can't be read, or is not what its digest or descriptor says.
    """
    source = ImageSource(_parsed(reference), access or Access(), "final")
    with Skopeo() as skopeo:
        (root,) = read_roots(skopeo, [source])
        return list(read_image(skopeo, source, root).nodes)


def process_list(
    reference: Reference | str, raw: bytes, media_type: str, access: Access | None = None
) -> list[FetchedManifest]:
    """Read the manifests that a list names (Go: `incremental.ProcessList`).

    Args:
        reference: the repository that the list is in.
        raw: the list's bytes.
        media_type: the list's media type.
        access: how the registry is reached; skopeo's own configuration by default.

    Returns:
        Everything below the list, each once, without the list itself.

    Raises:
        ContentError: `raw` is no list of that type.
        IncrementalError: a child can't be read, or is not what its descriptor says.
    """
    source = ImageSource(_parsed(reference), access or Access(), "final")
    root = parse_manifest(raw, reference=source.reference)
    if root.media_type != media_type or media_type not in LISTS:
        raise ContentError(f"{root.digest} is {root.media_type}, not a list of type {media_type}")
    with Skopeo() as skopeo:
        return list(read_image(skopeo, source, root).nodes[1:])


def _parsed(reference: Reference | str) -> Reference:
    return reference if isinstance(reference, Reference) else Reference.parse(reference)
