"""What sites have of a release, as their receipts say."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BundleError, IncrementalError, UsageError
from ..oci.manifest import LISTS, Descriptor, Index
from ..oci.platforms import Platform
from ..oci.sparse import select
from ..results import ABSENT, OLDER, SAME, ReleaseImage, SiteImage, SiteStatus, StatusResult
from ..skopeo.inspect import ImageSource, try_roots
from ..skopeo.runner import Skopeo
from .ledger import RECEIPT, read_ledger
from .spec import spec_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..oci.manifest import FetchedManifest
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.options import SkopeoOptions
    from .ledger import Ledger, LedgerImage
    from .spec import Spec, SpecImage

_OTHER = "other"


class _Wanted(NamedTuple):
    """An image of the release.

    Attributes:
        image: what is said of it.
        digests: those by which a site may have it.
        of_list: says what the release wants of a list.
        below: that, by digests; None where the list was not read, as the spec has its digest.
    """

    image: ReleaseImage
    digests: frozenset[str]
    of_list: SpecImage
    below: frozenset[str] | None = None

    def is_held(self, held: LedgerImage) -> bool:
        """Say whether an image of a site is this one: a list only with all that the release wants of it."""
        if held.digest != self.image.digest:
            return held.digest in self.digests
        below = _below(self.of_list, _children(held)) if self.below is None else self.below
        return below <= {each["digest"] for each in held.manifests}


def status(options: SkopeoOptions, final: Access, spec: Spec, receipts: Sequence[str | Path]) -> StatusResult:
    """Say what sites have of a release.

    Args:
        options: which skopeo runs, and how.
        final: how the registries of the release are reached.
        spec: the release, or the path of a file that names its images.
        receipts: the receipts of the sites.

    Raises:
        UsageError: there is no such file, or the spec is malformed.
        ContentError: a receipt is none.
        BundleError: images can't be read.
    """
    images = spec_images(spec)
    ledgers = [read_ledger(Path(each), RECEIPT) for each in receipts]
    release = _resolve(options, final, images)
    sites = (_compare(str(path), ledger, release) for path, ledger in zip(receipts, ledgers, strict=True))
    return StatusResult(False, tuple(each.image for each in release), tuple(sites))


def _resolve(options: SkopeoOptions, final: Access, images: Sequence[SpecImage]) -> list[_Wanted]:
    """Return the release with its digests; a registry is asked only for those that the spec does not say."""
    sources = {image.final: ImageSource(image.final, final, "final") for image in images if not image.final.digest}
    found: dict[Reference, FetchedManifest | IncrementalError] = {}
    if sources:
        report = options.report
        report.plan("reading")
        with report.phase("reading"), Skopeo(options) as skopeo:
            for reference in sources:
                report.begin("reading", str(reference), f"reading {reference}")
            found = dict(zip(sources, try_roots(skopeo, list(sources.values())), strict=True))
    wanted = []
    failures: list[tuple[str, IncrementalError]] = []
    for image in images:
        root = found.get(image.final)
        if isinstance(root, IncrementalError):
            failures.append((image.name, root))
        else:
            wanted.append(_wanted(image, root))
    if failures:
        raise BundleError("read", failures, len(images))
    return wanted


def _wanted(image: SpecImage, root: FetchedManifest | None) -> _Wanted:
    """Say by which digests a site may have an image; without its manifest or list, by its own alone."""
    digest = root.digest if root else str(image.final.digest)
    shown = ReleaseImage(image.name, str(image.final), digest)
    if root is None or not isinstance(root.parsed, Index):
        return _Wanted(shown, frozenset((digest,)), image)
    below = _below(image, root.parsed.manifests)
    if image.all or image.platforms:
        return _Wanted(shown, frozenset((digest,)), image, below)
    # It is narrowed to the image of one platform: of this machine, or as the pull says, where the spec does not.
    narrowed = below if image.platform else frozenset(child.digest for child in root.parsed.manifests)
    return _Wanted(shown, narrowed | {digest}, image, below)


def _below(image: SpecImage, manifests: Sequence[Descriptor]) -> frozenset[str]:
    """Return what the release wants of a list's manifests."""
    children = [child for child in manifests if child.media_type not in LISTS]
    platforms = (image.platform,) if image.platform else image.platforms
    chosen = children if image.all else [child for each in platforms for child in select(each, children)]
    return frozenset(child.digest for child in chosen)


def _children(held: LedgerImage) -> list[Descriptor]:
    """Return the manifests of a list, as the receipt of a site names them: those that are there, and the others."""
    return [
        Descriptor(each["media_type"], each["digest"], 0, platform=_platform(each["platform"]))
        for each in (*held.manifests, *held.absent)
    ]


def _platform(text: str | None) -> Platform | None:
    # Whoever made the list may have written anything.
    with suppress(UsageError):
        return Platform.parse(text) if text else None
    return None


def _compare(receipt: str, ledger: Ledger, release: Sequence[_Wanted]) -> SiteStatus:
    there = [ledger.in_repository(wanted.image.name, in_bundle=True) for wanted in release]
    # A site may have given a repository another name: there only the digest tells.
    known = {id(held) for found in there for held in found}
    elsewhere = {held.digest: held for held in reversed(ledger.images) if id(held) not in known}
    images = tuple(_state(wanted, found, elsewhere) for wanted, found in zip(release, there, strict=True))
    told = {digest for wanted in release for digest in wanted.digests} | {image.digest for image in images}
    others = tuple(
        SiteImage(held.title or held.where or held.reference, _OTHER, held.digest, held.date)
        for held in ledger.images
        if held.digest not in told
    )
    return SiteStatus(receipt, ledger.destination, ledger.date, images, others)


def _state(wanted: _Wanted, there: Sequence[LedgerImage], elsewhere: Mapping[str, LedgerImage]) -> SiteImage:
    renamed = [elsewhere[digest] for digest in sorted(wanted.digests) if digest in elsewhere]
    same = [held for held in (*there, *renamed) if wanted.is_held(held)]
    for state, found in ((SAME, same), (OLDER, [*there, *renamed])):
        if found:
            return SiteImage(wanted.image.name, state, found[0].digest, found[0].date)
    return SiteImage(wanted.image.name, ABSENT, None, None)
