"""What a Helm chart says of its images: `Chart.yaml`, and an `Images.lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..oci.documents import check_schema
from ..results import FoundImage
from .documents import documents_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .hints import Finding

CHART, LOCK = "Chart.yaml", "Images.lock"
ANNOTATIONS = ("artifacthub.io/images", "images")
"""Where a chart lists its images: as Artifact Hub reads it, and as Bitnami's charts have it."""


def is_lock(value: object) -> bool:
    """Say whether a document is an `Images.lock`."""
    return isinstance(value, dict) and value.get("kind") == "ImagesLock"


def images_in_lock(value: object, where: str) -> Iterator[Finding]:
    """Yield the images of an `Images.lock`. Its digests are of single platforms, and of no use for a list.

    Args:
        value: the document.
        where: its file.

    Raises:
        ContentError: it breaks the schema of such files.
    """
    check_schema(value, "helm-images", where)
    assert isinstance(value, dict)  # noqa: S101 - the schema says so
    yield from _listed(value.get("images"), f"{where}: images")


def read_chart(raw: bytes, where: str) -> dict[str, Any]:
    """Return what a `Chart.yaml` says.

    Args:
        raw: its bytes.
        where: its file.

    Raises:
        ContentError: it is no YAML, or breaks the schema of such files.
    """
    value = first_document(raw, where)
    check_schema(value, "helm-chart", where)
    assert isinstance(value, dict)  # noqa: S101 - the schema says so
    return value


def images_in_chart(chart: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Yield the images in the annotations of a `Chart.yaml`, which are YAML in YAML.

    Args:
        chart: what it says.
        where: its file.

    Raises:
        ContentError: an annotation is no list of images.
    """
    for name in ANNOTATIONS:
        if text := (chart.get("annotations") or {}).get(name):
            place = f"{where}: annotations.{name}"
            images = first_document(text.encode(errors="replace"), place)
            check_schema({"images": images}, "helm-images", place)
            yield from _listed(images, place)


def _listed(images: Any, place: str) -> Iterator[Finding]:
    """Yield the images of a list that keeps the schema; there may be none."""
    for position, each in enumerate(images or ()):
        yield FoundImage(each["image"], f"{place}[{position}].image")


def absent_from(charts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of charts that others depend on, and that are not among them."""
    charts = list(charts)
    wanted = {str(each.get("name")) for chart in charts for each in chart.get("dependencies") or ()}
    return sorted(wanted - {str(chart.get("name")) for chart in charts})


def first_document(raw: bytes, where: str) -> object:
    """Return what a file of one YAML document means; None where it is empty.

    Args:
        raw: its bytes.
        where: its file.

    Raises:
        ContentError: it is no YAML.
    """
    return next((document.value for document in documents_in(raw, where)), None)
