"""The spec of a bundle, made from manifests, Compose files, charts, lists, receipts and archives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import BundleError, ContentError, IncrementalError, UsageError, one_line
from ..host.text import plural
from ..results import FoundImage, SpecResult
from ..source.spec import SpecImage
from .hints import Hint
from .images import merge_images, name_images, whole_image, with_digest
from .sources import images_in

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from ..host.progress import Progress
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.options import SkopeoOptions
    from .images import WholeImage

FOUND = 20_000
"""How many places may be found, images and warnings together."""


def make_spec(
    sources: Sequence[str | Path | BinaryIO],
    registry: str | None,
    pin_at: tuple[SkopeoOptions, Access] | None,
    report: Progress,
) -> SpecResult:
    """Make a spec.

    Args:
        sources: files, folders and open binary files, as `sources.images_in` reads them.
        registry: where the images of archives are; see there.
        pin_at: to look up the digest of each tag: which skopeo runs, and how registries are reached; else None.
        report: is told each step and each warning.

    Raises:
        UsageError: nothing was found.
        BundleError: tags can't be looked up.
        IncrementalError: something can't be read.
    """
    report.plan("reading")
    with report.phase("reading"):
        found, warnings = _found(sources, registry)
        for warning in warnings:
            report.warn(warning)
        if not found:
            raise UsageError(
                f"there is no image in {', '.join(map(_called, sources)):.300}",
                "give rendered manifests, Compose files, charts, a list, a receipt or an archive",
            )
        if pin_at:
            digests = _digests(list(dict.fromkeys(image for image, _ in found)), *pin_at, report)
            found = [(with_digest(image, digests), place) for image, place in found]
        found = merge_images(found)
    names, about_names = name_images(dict.fromkeys(image for image, _ in found))
    for warning in about_names:
        report.warn(warning)
    for image, name in names.items():
        # It checks what it is given.
        SpecImage(name, image.reference)
    lists = _lists(found)
    return SpecResult(
        changed=False,
        spec={
            "images": [{"name": name, "final": image.text} | lists.get(image, {}) for image, name in names.items()]
        },
        found=tuple(replace(place, reference=image.text, name=names[image]) for image, place in found),
        warnings=(*warnings, *about_names),
    )


def _found(
    sources: Sequence[str | Path | BinaryIO], registry: str | None
) -> tuple[list[tuple[WholeImage, FoundImage]], list[str]]:
    """Return each image, written out and as it was found, and what there is to warn of."""
    found: list[tuple[WholeImage, FoundImage]] = []
    warnings: dict[str, None] = {}
    hints: list[Hint] = []
    for each in (each for source in sources for each in images_in(source, registry)):
        if isinstance(each, FoundImage):
            image, warning = whole_image(each)
            if image:
                found.append((image, each))
            if warning:
                warnings[one_line(warning)] = None
        elif isinstance(each, Hint):
            hints.append(each)
        else:
            warnings[one_line(each)] = None
        if len(found) + len(warnings) + len(hints) > FOUND:
            raise ContentError(f"there are more than {FOUND} images", "give fewer files at a time")
    known = {image.reference for image, _ in found}
    known |= {replace(reference, digest=None) for reference in known if reference.tag}
    for text, places in _places(hints, known).items():
        others = f" (and {plural(len(places) - 1, 'other place')})" if len(places) > 1 else ""
        warnings[one_line(f"{places[0]}{others}: {text} may be an image, and is not in the spec")] = None
    return found, list(warnings)


def _places(hints: Sequence[Hint], known: Container[Reference]) -> dict[str, list[str]]:
    """Return what may be an image that is not known, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for hint in hints:
        image, _ = whole_image(FoundImage(hint.reference, hint.where))
        if image and image.reference not in known:
            places[hint.reference].append(hint.where)
    return places


def _lists(found: Sequence[tuple[WholeImage, FoundImage]]) -> dict[WholeImage, dict[str, Any]]:
    """Return which platforms the lists among images were delivered with, as a spec says that."""
    whole = {image for image, place in found if place.all_platforms}
    some: dict[WholeImage, set[str]] = defaultdict(set)
    for image, place in found:
        if place.platforms and image not in whole:
            some[image].update(place.platforms)
    return {image: {"all": True} for image in whole} | {
        image: {"platforms": sorted(platforms)} for image, platforms in some.items()
    }


def _digests(
    images: Sequence[WholeImage], options: SkopeoOptions, access: Access, report: Progress
) -> dict[Reference, str]:
    """Ask registries, side by side, which digest each tag has now."""
    from ..skopeo.inspect import ImageSource, try_roots
    from ..skopeo.runner import Skopeo

    wanted = [image for image in images if not image.reference.digest]
    if not wanted:
        return {}
    report(f"asking for {plural(len(wanted), 'digest')}")
    with Skopeo(options) as skopeo:
        roots = try_roots(skopeo, [ImageSource(image.reference, access, "final") for image in wanted])
    pairs = list(zip(wanted, roots, strict=True))
    failures = [(image.text, root) for image, root in pairs if isinstance(root, IncrementalError)]
    if failures:
        raise BundleError("pinned", failures, len(wanted))
    return {image.reference: root.digest for image, root in pairs if not isinstance(root, IncrementalError)}


def _called(source: str | Path | BinaryIO) -> str:
    return "standard input" if hasattr(source, "read") else str(source)
