"""A page about an archive, for whoever approves its transfer: one HTML file, without scripts or network."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .._version import __version__
from ..errors import one_line
from ..host.outputs import output_file
from ..host.text import human_bytes, plural, show_kinds
from ..results import ArchiveInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..results import ImageInfo, InspectResult, LayerInfo

_TEXT_LENGTH = 1000
"""How long one text of the page is at most, in characters: names and labels come from archives."""

_FEW = 3
"""How many bases are named in a sentence at most."""

_LABELS = "org.opencontainers.image."
_FAR = "docker://"


class _Verdict(NamedTuple):
    """What the page says first: whether the archive is enough, in a word and in a sentence."""

    kind: str
    word: str
    sentence: str


class _Manifest(NamedTuple):
    """One manifest of an image: its layers, and what it says of itself."""

    platform: str
    digest: str
    media_type: str
    layers: Sequence[LayerInfo]
    labels: Mapping[str, str]


class _Referrer(NamedTuple):
    """What belongs to an image: what it is, its tag or "", and its digest."""

    kind: str
    artifact_type: str | None
    tag: str
    digest: str


class _Image(NamedTuple):
    """An image: what it is called, its manifests, the labels that these have alike, and what refers to it."""

    title: str
    info: ImageInfo
    manifests: Sequence[_Manifest]
    labels: Mapping[str, str]
    referrers: Sequence[_Referrer]

    @property
    def layer_count(self) -> int:
        """How many layers it has, those of all platforms together."""
        return len({layer.digest for manifest in self.manifests for layer in manifest.layers})

    @property
    def platforms(self) -> str:
        """What it runs on."""
        return ", ".join(manifest.platform for manifest in self.manifests)

    @property
    def absent(self) -> str:
        """What it would run on, too, if all children of its list were in the archive."""
        return ", ".join(leaf.platform or "no platform" for leaf in self.info.absent)


class _Base(NamedTuple):
    """A base: its name, where it is known, and how much of it is left out."""

    name: str | None
    digest: str
    layers: int
    size: int


def write_page(result: InspectResult, archive: str, path: str) -> None:
    """Write the page into a file.

    Args:
        result: what `inspect` found, with the archive's sha256.
        archive: the archive's path, or its reference in a registry.
        path: the page's file.

    Raises:
        HostError: it can't be written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"human": human_bytes, "kinds": show_kinds, "plural": plural}
    stream = environment.get_template("page.html.j2").stream(_content(result, archive))
    stream.enable_buffering(1000)
    with output_file(Path(path)) as file:
        stream.dump(file, "utf-8")


def _content(result: InspectResult, archive: str) -> dict[str, Any]:
    """Return what the template shows."""
    layers = {layer.digest: layer for layer in result.layers}
    referrers: dict[str, list[ImageInfo]] = {}
    for image in result.images:
        if image.beside:
            referrers.setdefault(image.beside, []).append(image)
    alone = [image for image in result.images if not image.beside]
    images = [_image(image, referrers.get(image.digest, ()), result, layers) for image in alone]
    bases = _bases(result)
    name = _name(result, archive)
    whole = sum(layer.size for layer in result.layers if layer.where != "foreign")
    return {
        "bases": bases,
        "commands": _commands(result, name),
        "files": result.volumes or (ArchiveInfo(name, str(result.archive_sha256), result.archive_size),),
        "images": images,
        "name": name,
        "names": result.names,
        "result": result,
        "saved": whole - result.bytes_new,
        "verdict": _verdict(result, bases),
        "version": __version__,
        "whole": whole,
    }


def _name(result: InspectResult, archive: str) -> str:
    """Return what to call the archive: of volumes, what they have in common."""
    if archive.startswith(_FAR):
        return archive
    return Path(str(result.volumes[0].path)).stem if result.volumes else Path(archive).name


def _verdict(result: InspectResult, bases: Sequence[_Base]) -> _Verdict:
    if result.missing:
        size = human_bytes(sum(layer.size for layer in result.missing))
        lacking = plural(len(result.missing), "layer")
        return _Verdict("bad", "Not ready", f"{result.destination} lacks {lacking} ({size}) that it must have.")
    if not result.omitted:
        return _Verdict("good", "Complete", "nothing else is needed at the destination.")
    if result.destination:
        return _Verdict("good", "Ready", f"{result.destination} has every layer that the archive needs there.")
    needed = f"{plural(len(result.omitted), 'layer')} ({human_bytes(result.bytes_needed)})"
    return _Verdict("needs", "Needs a base", f"the destination must have {needed}{_whose(bases)}.")


def _whose(bases: Sequence[_Base]) -> str:
    """Say of which bases something is: by names, where these are known and few."""
    if len(bases) == 1:
        return f" of base {bases[0].name or bases[0].digest}"
    names = [base.name for base in bases if base.name]
    if len(names) < len(bases) or len(names) > _FEW:
        return f" of {len(bases)} bases"
    return f" of bases {', '.join(names[:-1])} and {names[-1]}" if names else ""


def _image(
    image: ImageInfo, referrers: Sequence[ImageInfo], result: InspectResult, layers: Mapping[str, LayerInfo]
) -> _Image:
    leaves = [(leaf.platform, leaf.digest, leaf.media_type) for leaf in image.manifests]
    manifests = []
    for platform, digest, media_type in leaves or [(image.platform, image.digest, image.media_type)]:
        said = result.manifests[digest]
        own = [layers[each] for each in dict.fromkeys(said.layers)]
        labels = {name.removeprefix(_LABELS): text for name, text in said.labels.items()}
        manifests.append(_Manifest(platform or "no platform", digest, media_type, own, labels))
    # A bundle may have one image under two names.
    name = image.name if result.bundle else result.names.get(image.digest, image.name)
    title = name or "an image without a name"
    rows = [row for referrer in referrers for row in _rows(referrer)]
    return _Image(title, image, manifests, _common(manifest.labels for manifest in manifests), rows)


def _rows(referrer: ImageInfo) -> list[_Referrer]:
    """Return what is shown of a referrer; of a list, then of what it names."""
    leaves = [
        _Referrer(str(leaf.kind), leaf.artifact_type, "", leaf.digest) for leaf in referrer.manifests if leaf.kind
    ]
    return [_Referrer(str(referrer.kind), referrer.artifact_type, referrer.name or "", referrer.digest), *leaves]


def _common(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the labels that all have alike."""
    first, *others = labels
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}


def _bases(result: InspectResult) -> list[_Base]:
    """Return the bases that are needed, with what is left out of each; what several have counts for each."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for layer in result.layers:
        counts.update(layer.bases)
        sizes.update(dict.fromkeys(layer.bases, layer.size))
    # Which base has the older layers that changes are made from, the archive does not say: it may be any.
    needed = [base for base in result.bases if counts[base] or result.delta_sources]
    bases = [_Base(result.names.get(base), base, counts[base], sizes[base]) for base in needed]
    return sorted(bases, key=lambda base: (base.name is None, base.name, base.digest))


def _commands(result: InspectResult, name: str) -> dict[str, Any]:
    """Return what can be run by hand; sums only where the archive is a file that `sha256sum` can be told of."""
    files = [Path(str(volume.path)).name for volume in result.volumes] or [name]
    plain = not name.startswith(_FAR) and all(each.isprintable() and "\\" not in each for each in files)
    place = "PREFIX" if result.bundle else "NAME:TAG"
    return {
        "sums": plain,
        "vet": f"skopeo-incremental vet {shlex.quote(name)}",
        "place": f"{_FAR}REGISTRY/{place}",
    }


def _shown(value: Any) -> Any:
    """Return what is shown of a value of the template: of a text, one line that is not too long."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return one_line(value[:_TEXT_LENGTH]) + (" (shortened)" if len(value) > _TEXT_LENGTH else "")
