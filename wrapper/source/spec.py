"""What a bundle is to hold: the file that `pull --spec` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, IncrementalError, UsageError, host_errors
from ..oci.documents import DOCUMENT_BYTES, check_schema, parse_document, without_mark
from ..oci.mistakes import kind_of_file
from ..oci.platforms import Platform
from ..oci.reference import Reference, is_bundle_name, registry_reference, repository_of
from .options import NO, SignatureOptions, referrer_by_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..skopeo.inspect import References

_CHOICES = {"all", "platform", "platforms"}
_GIVE = "give a JSON or YAML file that names the images"
_NAMES = "a name is a repository and a tag, such as team/app:2"


@dataclass(frozen=True, init=False)
class SpecImage:
    """One image of a bundle.

    Attributes:
        name: what it is called there: a repository, and a tag unless it is `latest`.
        final: where it is pulled from.
        bases: what the other side has.
        all: whether a list travels whole; None where the spec does not say.
        platform: what a list is narrowed to; None where the spec does not say.
        platforms: those that a list, which stays as it is, is to have; none where the spec does not say.
        delta: whether new layers may travel as their change; None where the spec does not say.
        signatures: whether signatures travel along, one of `options.SIGNATURES`; None where the spec does not say.
        referrers: what else travels along, each with a digest; `with` in the file.
        referrers_from: paths of files that name referrers, as `SignatureOptions` has them; `with_from` in the file.
    """

    name: str
    final: Reference
    bases: tuple[Reference, ...]
    all: bool | None
    platform: Platform | None
    delta: bool | None
    platforms: tuple[Platform, ...]
    signatures: str | None
    referrers: tuple[Reference, ...]
    referrers_from: tuple[str, ...]

    def __init__(
        self,
        name: str,
        final: str | Reference,
        bases: References = (),
        all: bool | None = None,  # noqa: A002 - as in the file
        platform: Platform | None = None,
        delta: bool | None = None,
        platforms: Sequence[Platform] = (),
        signatures: str | None = None,
        referrers: Sequence[str | Reference] = (),
        referrers_from: Sequence[str | Path] = (),
    ) -> None:
        """Check what was given.

        Args:
            name: what the image is called in the bundle.
            final: where it is pulled from, a registry.
            bases: what the other side has: one reference, several, or None.
            all: whether a list travels whole.
            platform: what a list is narrowed to.
            delta: whether new layers may travel as their change.
            platforms: those that a list, which stays as it is, is to have.
            signatures: whether signatures travel along, one of `options.SIGNATURES`.
            referrers: what else travels along, each with a digest.
            referrers_from: paths of files that name referrers.

        Raises:
            UsageError: `name` is no name; a reference is malformed; `final` is not in a registry, or a referrer has
                no digest; `signatures` says something else; or more than one of `all`, `platform` and `platforms`
                was given.
        """
        if not is_bundle_name(name):
            raise UsageError(f"'{name}' is no name", _NAMES)
        if all and (platform or platforms):
            raise UsageError(f"{name}: with all, every platform travels", "leave out one of the two")
        if platform and platforms:
            raise UsageError(f"{name}: platform takes one image, platforms the list", "leave out one of the two")
        SignatureOptions(include=NO if signatures is None else signatures)
        listed = [bases] if isinstance(bases, (str, Reference)) else bases or ()
        values = {
            "name": name,
            "final": registry_reference(final, "the image"),
            "bases": tuple(Reference.parse(each) if isinstance(each, str) else each for each in listed),
            "all": all,
            "platform": platform,
            "delta": delta,
            "platforms": tuple(platforms),
            "signatures": signatures,
            "referrers": tuple(map(referrer_by_digest, referrers)),
            "referrers_from": tuple(map(str, referrers_from)),
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)


Spec = str | Path | Sequence[SpecImage]
"""The images of a bundle, or the path of a file that names them, as `read_spec` reads it."""


def spec_images(spec: Spec) -> tuple[SpecImage, ...]:
    """Return the images of a spec; a file is read.

    Raises:
        UsageError: as for `read_spec`.
        HostError: likewise.
    """
    return read_spec(spec) if isinstance(spec, (str, Path)) else tuple(spec)


def read_spec(path: str | Path) -> tuple[SpecImage, ...]:
    """Read and check a spec.

    Args:
        path: a JSON file; or, by its name `.yaml` or `.yml`, a YAML file, for which PyYAML must be installed.

    Raises:
        UsageError: there is no such file; or it breaks its schema, and the message names the place, such as
            `images[3].base[0]`.
        HostError: it can't be read.
    """
    path = Path(path)
    what = f"the spec {path}"
    if not path.is_file():
        wrong = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"{what} {wrong}", _GIVE)
    with host_errors(f"cannot read {path}"), path.open("rb") as file:
        raw = without_mark(file.read(DOCUMENT_BYTES + 1))
    if b"\0" in raw[:512] or raw.startswith(b"\x1f\x8b"):
        raise _no_spec(path, UsageError(f"{path} is not a spec, and not even text", _GIVE))
    try:
        document = parse_document(_from_yaml(raw, what) if path.suffix in (".yaml", ".yml") else raw, what)
        check_schema(document, "spec", what)
    except (ContentError, UsageError) as error:
        raise _no_spec(path, error) from None
    defaults = document.get("defaults", {})
    images = tuple(
        _read_image({**_defaults_for(image, defaults), **image}, f"images[{position}]", what)
        for position, image in enumerate(document["images"])
    )
    for name, times in Counter(image.name for image in images).items():
        if times > 1:
            position = max(place for place, image in enumerate(images) if image.name == name)
            raise UsageError(f"{what}: images[{position}].name: '{name}' is used twice")
    return images


def bases_from(earlier: Sequence[SpecImage], name: str) -> dict[Reference, str]:
    """Return what an earlier bundle had in the repository of an image's name, whatever the tags were.

    Returns:
        Where each was pulled from, and its name.
    """
    return {image.final: image.name for image in earlier if repository_of(image.name) == repository_of(name)}


def gone_since(earlier: Sequence[SpecImage], images: Sequence[SpecImage]) -> tuple[str, ...]:
    """Return the names of an earlier bundle's images whose repository has no image any more."""
    left = {repository_of(image.name) for image in images}
    return tuple(image.name for image in earlier if repository_of(image.name) not in left)


def _defaults_for(image: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    # Whole, one platform, or some: an image that says one of these has said all.
    said = _CHOICES if _CHOICES & image.keys() else set()
    return {name: value for name, value in defaults.items() if name not in said}


def _read_image(image: dict[str, Any], place: str, what: str) -> SpecImage:
    if not is_bundle_name(image["name"]):
        raise UsageError(f"{what}: {place}.name: '{image['name']}' is not a name for an image", _NAMES)
    for name in ("platform", "platforms"):
        if image.get("all") and name in image:
            raise UsageError(
                f"{what}: {place}.{name}: this image has all, which takes every platform",
                f"leave out all or {name}",
            )
    if "platform" in image and "platforms" in image:
        raise UsageError(
            f"{what}: {place}.platforms: this image has platform, which takes the image of one",
            "leave out platform or platforms",
        )
    return SpecImage(
        image["name"],
        _named(f"{what}: {place}.final", lambda: registry_reference(image["final"], "the image")),
        _references(image, "base", Reference.parse, f"{what}: {place}"),
        image.get("all"),
        Platform.parse(image["platform"]) if "platform" in image else None,
        image.get("delta"),
        tuple(map(Platform.parse, image.get("platforms", ()))),
        _signatures(image),
        _references(image, "with", referrer_by_digest, f"{what}: {place}"),
        _listed(image, "with_from"),
    )


def _signatures(image: dict[str, Any]) -> str | None:
    # What YAML takes for false is the word no.
    return NO if image.get("signatures") is False else image.get("signatures")


def _listed(image: dict[str, Any], field: str) -> list[str]:
    """Return what a field names: one, or a list."""
    value = image.get(field, [])
    return [value] if isinstance(value, str) else list(value)


def _references(
    image: dict[str, Any], field: str, parse: Callable[[str], Reference], place: str
) -> tuple[Reference, ...]:
    alone = isinstance(image.get(field), str)
    return tuple(
        _named(f"{place}.{field}" + ("" if alone else f"[{position}]"), partial(parse, text))
        for position, text in enumerate(_listed(image, field))
    )


def _named(place: str, read: Callable[[], Reference]) -> Reference:
    try:
        return read()
    except IncrementalError as error:
        raise UsageError(f"{place}: {error.message}", error.next_step) from None


def _no_spec(path: Path, error: ContentError | UsageError) -> UsageError:
    """Return the error for a file that can't be read as a spec: of what else it is, or what is wrong with it."""
    kind, transport = kind_of_file(path)
    if transport:
        return UsageError(f"{path} is {kind}, and not a spec", _GIVE)
    return UsageError(error.message, error.next_step)


def _from_yaml(raw: bytes, what: str) -> bytes:
    try:
        from .bounded_yaml import json_from_yaml
    except ImportError:
        raise UsageError(
            f"{what} is YAML, and PyYAML is not installed",
            "install skopeo-incremental[yaml], or write the spec as JSON",
        ) from None
    return json_from_yaml(raw, what)
