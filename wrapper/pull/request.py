"""What is asked of a pull, as data: one image or a bundle's, each with its bases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..oci.platforms import Platform, wanted_platform
from ..oci.reference import registry_reference
from ..skopeo.inspect import ImageSource, image_sources
from ..source.options import SignatureOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..delta.options import DeltaOptions
    from ..oci.reference import Reference
    from ..skopeo.access import Access
    from ..skopeo.inspect import References
    from ..source.options import CacheOptions
    from ..source.spec import Spec, SpecImage


@dataclass(frozen=True)
class PullOptions:
    """How pulls are done.

    Attributes:
        base: how bases are reached.
        final: how final images are reached.
        all_architectures: take a list whole; else it is narrowed to one platform.
        platform: which one; this machine's by default.
        preserve_digests: demand that images arrive as they were; else skopeo may convert them.
        signatures: which signatures and other referrers travel along.
        cache: where layers are kept for the next pull.
        deltas: whether and how new layers travel as their change.
        anonymous: keep names out of the archive.
    """

    base: Access
    final: Access
    all_architectures: bool
    platform: Platform | None
    preserve_digests: bool
    signatures: SignatureOptions
    cache: CacheOptions | None
    deltas: DeltaOptions
    anonymous: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: an image is to be converted, and something is asked for that needs its digest.
        """
        if self.preserve_digests:
            return
        if self.signatures.need_digests:
            raise UsageError(
                "signatures do not match a converted image",
                "leave out `preserve_digests=False`, or what asks for signatures: `signatures.include`, "
                "`signatures.referrers`, `signatures.referrers_from`",
            )
        if self.deltas.enabled:
            raise UsageError(
                "layers of a converted image can't travel as their change",
                "leave out `deltas.enabled` or `preserve_digests=False`",
            )

    @property
    def wanted_platform(self) -> Platform | None:
        """What a list is narrowed to; None where it travels whole."""
        return None if self.all_architectures else self.platform or wanted_platform()

    @property
    def demanded_platform(self) -> Platform | None:
        """The platform that somebody asked for; None where a list travels whole, or this machine's counts."""
        return None if self.all_architectures else self.platform


class ImageRequest(NamedTuple):
    """An image that is asked for.

    Attributes:
        final: where it is.
        bases: what the other side has; of a list every child counts.
        platform: what to narrow a list to; None takes it whole.
        name: what it is called in a bundle; None for an image by itself, which is called by its tag.
        delta: whether new layers may travel as their change.
        base_names: what an earlier bundle calls those of the bases that it had.
        demanded: the platform that somebody asked for: an image that is no list must be for it, too.
        signatures: whether its signatures travel along, and which other referrers.
        discovered: digests of further referrers that do, in its own repository.
    """

    final: ImageSource
    bases: tuple[ImageSource, ...]
    platform: Platform | None
    name: str | None = None
    delta: bool = False
    base_names: Mapping[Reference, str] = {}
    demanded: Platform | None = None
    signatures: SignatureOptions = SignatureOptions()
    discovered: tuple[str, ...] = ()


class PullRequest(NamedTuple):
    """What a pull is asked for.

    Attributes:
        images: the images.
        is_bundle: whether they are to be a bundle.
        gone: names of an earlier bundle's images that this one has not.
        fail_fast: whether to stop at the first image that can't be read.
    """

    images: tuple[ImageRequest, ...]
    is_bundle: bool = False
    gone: tuple[str, ...] = ()
    fail_fast: bool = False


def request_image(options: PullOptions, base: References, final: str | Reference) -> PullRequest:
    """Ask for one image.

    Args:
        options: how it is pulled.
        base: what the other side has: one reference, several, or None.
        final: the image.

    Raises:
        UsageError: a reference is malformed, or the image is in no registry.
        ContentError: a file with referrers is malformed.
    """
    source = ImageSource(registry_reference(final, "the final image"), options.final, "final")
    bases = tuple(image_sources(base, options.base, "base"))
    image = ImageRequest(
        source,
        bases,
        options.wanted_platform,
        delta=options.deltas.enabled,
        demanded=options.demanded_platform,
        signatures=options.signatures,
        discovered=_discovered(options.signatures),
    )
    return PullRequest((image,))


def request_bundle(
    options: PullOptions, spec: Spec, base: References, earlier: Spec | None, *, fail_fast: bool
) -> PullRequest:
    """Ask for the images of a spec.

    Args:
        options: how they are pulled, as far as the spec does not say.
        spec: the images, or the path of a file that names them, as `spec.read_spec` reads it.
        base: bases of all images, beside those that the spec names.
        earlier: the spec of the bundle that the other side has: its images are bases of those with the same name.
        fail_fast: whether to stop at the first image that can't be read.

    Raises:
        UsageError: a spec is malformed, or something is asked for that only one image can have.
        ContentError: a file with referrers is malformed.
    """
    from ..source.spec import bases_from, gone_since

    if not options.preserve_digests:
        raise UsageError("the images of a bundle can't be converted", "leave out `preserve_digests=False`")
    if options.signatures.referrers or options.signatures.referrers_from:
        raise UsageError(
            "a referrer belongs to one image, and a bundle has several",
            "leave out `signatures.referrers` and `signatures.referrers_from`: in the spec, images have the fields "
            "with and with_from",
        )
    images, before = _spec_images(spec), _spec_images(earlier or ())
    common = image_sources(base, options.base, "base")
    requests = []
    for image in images:
        platform = image.platform
        if image.all is None:
            platform = platform or options.wanted_platform
        elif not image.all:
            platform = platform or options.platform or wanted_platform()
        in_earlier = bases_from(before, image.name)
        own = image_sources([*image.bases, *in_earlier], options.base, "base")
        bases = dict.fromkeys([*own, *common])
        delta = options.deltas.enabled if image.delta is None else image.delta
        final = ImageSource(image.final, options.final, "final")
        demanded = image.platform or options.demanded_platform if platform else None
        signatures = _signatures_of(image, options.signatures)
        requests.append(
            ImageRequest(
                final,
                tuple(bases),
                platform,
                image.name,
                delta,
                in_earlier,
                demanded,
                signatures,
                _discovered(signatures),
            )
        )
    return PullRequest(tuple(requests), True, gone_since(before, images), fail_fast)


def _signatures_of(image: SpecImage, common: SignatureOptions) -> SignatureOptions:
    """Say what travels along with an image of a spec: what it does not say itself is as for all."""
    include = common.mode if image.signatures is None else image.signatures
    return SignatureOptions(include=include, referrers=image.referrers, referrers_from=image.referrers_from)


def _discovered(signatures: SignatureOptions) -> tuple[str, ...]:
    """Read which referrers other tools have found."""
    if not signatures.referrers_from:
        return ()
    from ..source.discovered import read_discovered

    return tuple(digest for path in signatures.referrers_from for digest in read_discovered(path))


def _spec_images(spec: Spec) -> tuple[SpecImage, ...]:
    from ..source.spec import read_spec

    return read_spec(spec) if isinstance(spec, (str, Path)) else tuple(spec)
