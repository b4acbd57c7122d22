"""Reads images and their bases, and compares them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BundleError, IncrementalError
from ..host.text import human_bytes, plural
from ..oci.manifest import FetchedManifest, Index, build_layers_dictionary
from ..oci.platforms import Platform
from ..oci.reference import title_in_bundle
from ..skopeo.inspect import ImageSource, read_ahead, read_image, require_platform, try_roots
from ..skopeo.platforms import read_platform, read_platforms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..archive.contents import NamedImage
    from ..host.progress import Progress
    from ..oci.image import Image
    from ..oci.manifest import Descriptor
    from ..oci.reference import Reference
    from ..oci.sparse import Wanted
    from ..skopeo.runner import Skopeo
    from ..source.ledger import Ledger, Shared
    from .plan import PlannedImage, PullPlan
    from .request import ImageRequest, PullRequest


def make_plan(skopeo: Skopeo, request: PullRequest, report: Progress) -> PullPlan:
    """Read images and their bases, and compare them.

    Args:
        skopeo: an entered `Skopeo`.
        request: the images to pull. Of a bundle all are tried, and all failures told, unless it is to fail fast.
        report: is told each step.

    Raises:
        BundleError: images of a bundle can't be read.
        IncrementalError: one can't be read, or is not what its digest or schema says; or no signature was found.
    """
    sources = dict.fromkeys(
        source
        for image in request.images
        for source in (image.final, *image.bases)
        if source.reference.transport == "docker"
    )
    for image in request.images:
        report.begin(
            "reading",
            image.name or str(image.final.reference),
            f"reading {image.final.reference}" + "".join(f", base {base.reference}" for base in image.bases),
        )
    # Each once: it may have thousands of images, and be a base of them all.
    ledgers = _ledgers(request)
    roots = dict(zip(sources, try_roots(skopeo, list(sources)), strict=True))
    known = read_ahead(
        skopeo,
        [
            (source, root, image.wanted if source is image.final else image.base_wanted.get(source.reference))
            for image in request.images
            for source in (image.final, *image.bases)
            if isinstance(root := roots.get(source), FetchedManifest)
        ],
    )
    # Imported while skopeo ran.
    from .plan import PullPlan

    planned = []
    failures: list[tuple[str, IncrementalError]] = []
    # For signatures, and for local stores, skopeo runs once more.
    steps = [partial(_compare, skopeo, image, roots, known, ledgers, report) for image in request.images]
    for image, result in zip(request.images, skopeo.side_by_side(steps, skopeo.copies), strict=True):
        if not isinstance(result, IncrementalError):
            planned.append(result)
            continue
        if not request.is_bundle:
            raise result
        failures.append((str(image.name), result))
        if request.fail_fast:
            break
    if failures:
        raise BundleError("read", failures, len(request.images))
    plan = PullPlan(tuple(planned), request.is_bundle, request.gone)
    contents = plan.describe(lambda _: None)
    what = plural(len(planned), "image") if plan.is_bundle else plan.single.image.root.digest
    report(
        f"{what}: {plural(contents.layers_new, 'layer')} new ({human_bytes(contents.bytes_new)}), "
        f"{plural(contents.layers_shared, 'layer')} shared ({human_bytes(contents.bytes_shared)})"
    )
    return plan


def _compare(
    skopeo: Skopeo,
    request: ImageRequest,
    roots: Mapping[ImageSource, FetchedManifest | IncrementalError],
    known: Mapping[ImageSource, bytes | IncrementalError],
    ledgers: Mapping[Reference, Ledger],
    report: Progress,
) -> PlannedImage:
    final, wanted = request.final, request.wanted
    title = _title(final.reference, request.name)
    root = _root(roots, final)
    in_registries = [(base, _root(roots, base)) for base in request.bases if base.reference.transport == "docker"]
    image = _read(skopeo, final, root, wanted, known)
    image.require_leaves()
    if request.demanded and not isinstance(root.parsed, Index):
        require_platform(skopeo, final, root, request.demanded)
    layers: dict[str, Mapping[str, Descriptor]] = {}
    names: list[tuple[str, str]] = []
    digests: set[str] = set()
    leaves: list[tuple[ImageSource, FetchedManifest]] = []
    for base, base_root in in_registries:
        # What an earlier bundle took of a list: the other side has no more of it.
        read = _read(skopeo, base, base_root, request.base_wanted.get(base.reference), known, report)
        layers[read.root.digest] = build_layers_dictionary(*read.nodes)
        names.append((read.root.digest, _title(base.reference, request.base_names.get(base.reference))))
        digests |= {node.digest for node in read.nodes}
        leaves += [(base, leaf) for leaf in read.leaves]
    notes = _what_loses_its_digest(request, image)
    for base in request.bases:
        if base.reference.transport != "docker":
            from ..source.bases import read_base, what_is_uncertain, why_nothing

            found = read_base(
                skopeo, base, report, request.name, title=title, unpacked=request.delta, ledgers=ledgers
            )
            layers |= found.layers
            names += found.names.items()
            digests |= {node.digest for each in found.images for node in each.nodes}
            leaves += [(base, leaf) for each in found.images for leaf in each.leaves]
            notes += [why for why in (why_nothing(base.reference), what_is_uncertain(base.reference)) if why]
    if request.sites:
        shared = _shared_by_sites(request, title, image.root.digest)
        layers |= {digest: {**each, **layers.get(digest, {})} for digest, each in shared.layers.items()}
        names += shared.names.items()
        notes += [] if shared.layers else [f"the receipts name no layer for {title} that every site has"]
    referrers: tuple[tuple[ImageSource, NamedImage], ...] = ()
    if request.signatures.need_digests:
        from ..source.signatures import gather_referrers

        referrers = gather_referrers(skopeo, final, image, request.signatures, request.discovered, report)
    from .plan import PlannedImage

    return PlannedImage(
        source=final,
        image=image,
        bases=layers,
        name=request.name or final.reference.tag,
        known=frozenset(digests | layers.keys()),
        leaves=tuple(leaves),
        referrers=referrers,
        notes=tuple(notes),
        delta=request.delta,
        title=title,
        # Of several names of one base the first in the alphabet, in whatever order they were given.
        base_names=dict(sorted(names, reverse=True)),
    )


def _what_loses_its_digest(request: ImageRequest, image: Image) -> list[str]:
    """Say where a list was named by its digest, and nobody chose that one platform of it travels."""
    pinned = request.final.reference.digest
    if not pinned or pinned == image.root.digest or request.demanded:
        return []
    return [
        f"{request.final.reference} is a list, of which one platform travels, with another digest: to keep the "
        "list and its digest, choose its platforms, or all"
    ]


def _read(
    skopeo: Skopeo,
    source: ImageSource,
    root: FetchedManifest,
    wanted: Wanted,
    known: Mapping[ImageSource, bytes | IncrementalError],
    passed_over: Callable[[str], None] | None = None,
) -> Image:
    """Read what is wanted of an image; what is not there is an error, unless it is passed over."""
    if isinstance(wanted, Platform):
        return read_platform(skopeo, source, root, wanted, known, passed_over)
    if wanted:
        return read_platforms(skopeo, source, root, wanted, known, passed_over)
    return read_image(skopeo, source, root, passed_over, known)


def _ledgers(request: PullRequest) -> dict[Reference, Ledger]:
    """Read the receipts and lists of what was sent that are bases."""
    bases = dict.fromkeys(base.reference for image in request.images for base in image.bases)
    if all(base.transport == "docker" for base in bases):
        return {}
    from ..source.ledger import KINDS, read_ledger

    return {base: read_ledger(Path(base.name), base.transport) for base in bases if base.transport in KINDS}


def _shared_by_sites(request: ImageRequest, title: str, digest: str) -> Shared:
    from ..source.ledger import in_all

    in_bundle = request.name is not None
    return in_all([site.of_use(title, in_bundle=in_bundle) for site in request.sites], digest)


def _title(reference: Reference, name: str | None) -> str:
    """Return what people call an image of a registry: in a bundle by its name there, else by its reference."""
    return title_in_bundle(name) if name else reference.title


def _root(roots: Mapping[ImageSource, FetchedManifest | IncrementalError], source: ImageSource) -> FetchedManifest:
    root = roots[source]
    if isinstance(root, IncrementalError):
        raise root
    return root
