"""What sites have of a release, as their receipts say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BundleError, IncrementalError
from ..oci.manifest import Index
from ..results import ABSENT, OLDER, SAME, ReleaseImage, SiteImage, SiteStatus, StatusResult
from ..skopeo.inspect import ImageSource, try_roots
from ..skopeo.runner import Skopeo
from .ledger import RECEIPT, is_same_repository, read_ledger
from .spec import spec_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.options import SkopeoOptions
    from .ledger import Ledger, LedgerImage
    from .spec import Spec, SpecImage

_OTHER = "other"


class _Wanted(NamedTuple):
    """An image of the release, and the digests by which a site may have it."""

    image: ReleaseImage
    digests: frozenset[str]


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
    roots: dict[Reference, frozenset[str]] = {}
    digests: dict[Reference, str] = {}
    failures: list[tuple[str, IncrementalError]] = []
    if sources:
        report = options.report
        report.plan("reading")
        with report.phase("reading"), Skopeo(options) as skopeo:
            for reference in sources:
                report.begin("reading", str(reference), f"reading {reference}")
            found = dict(zip(sources, try_roots(skopeo, list(sources.values())), strict=True))
        for image in images:
            root = found.get(image.final)
            if isinstance(root, IncrementalError):
                failures.append((image.name, root))
            elif root:
                digests[image.final] = root.digest
                # Unless it travels whole, a list is narrowed to one of these.
                below = root.parsed.manifests if isinstance(root.parsed, Index) and not image.all else ()
                roots[image.final] = frozenset((root.digest, *(child.digest for child in below)))
    if failures:
        raise BundleError("read", failures, len(images))
    wanted = []
    for image in images:
        digest = image.final.digest or digests[image.final]
        shown = ReleaseImage(image.name, str(image.final), digest)
        wanted.append(_Wanted(shown, roots.get(image.final, frozenset((digest,)))))
    return wanted


def _compare(receipt: str, ledger: Ledger, release: Sequence[_Wanted]) -> SiteStatus:
    images = tuple(_state(wanted, ledger) for wanted in release)
    told = {digest for wanted in release for digest in wanted.digests} | {image.digest for image in images}
    others = tuple(
        SiteImage(held.title or held.where or held.reference, _OTHER, held.digest, held.date)
        for held in ledger.images
        if held.digest not in told
    )
    return SiteStatus(receipt, ledger.destination, ledger.date, images, others)


def _state(wanted: _Wanted, ledger: Ledger) -> SiteImage:
    name = wanted.image.name
    there = [held for held in ledger.images if is_same_repository(held, name, in_bundle=True)]
    # A site may have given the repository another name: then only the digest tells.
    same = [held for held in (*there, *ledger.images) if held.digest in wanted.digests]
    for state, found in ((SAME, same), (OLDER, there)):
        if found:
            latest: LedgerImage = found[0]
            return SiteImage(name, state, latest.digest, latest.date)
    return SiteImage(name, ABSENT, None, None)
