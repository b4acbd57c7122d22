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
    from collections.abc import Mapping, Sequence

    from ..delta.options import DeltaOptions
    from ..oci.reference import Reference
    from ..oci.sparse import Wanted
    from ..skopeo.access import Access
    from ..skopeo.inspect import References
    from ..source.ledger import Ledger
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
        platforms: take a list as it is, with these platforms alone.
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
    platforms: tuple[Platform, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: two of what a list can become are asked for; or an image is to be converted, and something
                is asked for that needs its digest.
        """
        if self.platforms and (self.all_architectures or self.platform):
            raise UsageError(
                "a list travels whole, with some platforms, or as the image of one",
                "give only one of `all_architectures`, `platforms` and `platform`",
            )
        if self.preserve_digests:
            return
        if self.platforms:
            raise UsageError(
                "a converted list must have all of its platforms",
                "leave out `preserve_digests=False` or `platforms`",
            )
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
    def wanted(self) -> Wanted:
        """What is taken of a list."""
        return None if self.all_architectures else self.demanded or wanted_platform()

    @property
    def demanded(self) -> Wanted:
        """The platforms that somebody asked for; None where a list travels whole, or this machine's counts."""
        return None if self.all_architectures else self.platforms or self.platform


class ImageRequest(NamedTuple):
    """An image that is asked for.

    Attributes:
        final: where it is.
        bases: what the other side has; of a list every child counts.
        wanted: what is taken of a list.
        name: what it is called in a bundle; None for an image by itself, which is called by its tag.
        delta: whether new layers may travel as their change.
        base_names: what an earlier bundle calls those of the bases that it had.
        demanded: the platforms that somebody asked for: an image that is no list must be for one of them, too.
        base_wanted: what an earlier bundle took of lists, where that was not all of it.
        sites: for each site that is to get the archive, what it has.
        signatures: whether its signatures travel along, and which other referrers.
        discovered: digests of further referrers that do, in its own repository.
    """

    final: ImageSource
    bases: tuple[ImageSource, ...]
    wanted: Wanted
    name: str | None = None
    delta: bool = False
    base_names: Mapping[Reference, str] = {}
    demanded: Wanted = None
    base_wanted: Mapping[Reference, Wanted] = {}
    sites: tuple[Ledger, ...] = ()
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


def request_image(
    options: PullOptions, base: References, final: str | Reference, for_site: Sequence[str | Path] = ()
) -> PullRequest:
    """Ask for one image.

    Args:
        options: how it is pulled.
        base: what the other side has: one reference, several, or None.
        final: the image.
        for_site: the receipts of several sites: what all of them have is a base.

    Raises:
        UsageError: a reference is malformed, the image is in no registry, or there is no such receipt.
        ContentError: a receipt is none, or a file with referrers is malformed.
    """
    source = ImageSource(registry_reference(final, "the final image"), options.final, "final")
    bases = tuple(image_sources(base, options.base, "base"))
    image = ImageRequest(
        source,
        bases,
        options.wanted,
        delta=options.deltas.enabled,
        demanded=options.demanded,
        sites=_sites(for_site),
        signatures=options.signatures,
        discovered=_discovered(options.signatures),
    )
    return PullRequest((image,))


def request_bundle(
    options: PullOptions,
    spec: Spec,
    base: References,
    earlier: Spec | None,
    for_site: Sequence[str | Path] = (),
    *,
    fail_fast: bool,
) -> PullRequest:
    """Ask for the images of a spec.

    Args:
        options: how they are pulled, as far as the spec does not say.
        spec: the images, or the path of a file that names them, as `spec.read_spec` reads it.
        base: bases of all images, beside those that the spec names.
        earlier: the spec of the bundle that the other side has: its images are bases of those with the same name.
        for_site: as for `request_image`.
        fail_fast: whether to stop at the first image that can't be read.

    Raises:
        UsageError: a spec is malformed, or something is asked for that only one image can have.
        ContentError: a file with referrers is malformed.
    """
    from ..source.spec import bases_from, gone_since, spec_images

    if not options.preserve_digests:
        raise UsageError("the images of a bundle can't be converted", "leave out `preserve_digests=False`")
    if options.signatures.referrers or options.signatures.referrers_from:
        raise UsageError(
            "a referrer belongs to one image, and a bundle has several",
            "leave out `signatures.referrers` and `signatures.referrers_from`: in the spec, images have the fields "
            "with and with_from",
        )
    images, before = spec_images(spec), spec_images(earlier or ())
    common, sites = image_sources(base, options.base, "base"), _sites(for_site)
    requests = []
    for image in images:
        demanded = image.platforms or image.platform
        wanted: Wanted = demanded
        if image.all is None:
            wanted = demanded or options.wanted
        elif not image.all:
            wanted = demanded or options.platforms or options.platform or wanted_platform()
        in_earlier = bases_from(before, image.name)
        own = image_sources([*image.bases, *in_earlier], options.base, "base")
        bases = dict.fromkeys([*own, *common])
        delta = options.deltas.enabled if image.delta is None else image.delta
        final = ImageSource(image.final, options.final, "final")
        demanded = demanded or options.demanded if wanted else None
        signatures = _signatures_of(image, options.signatures)
        requests.append(
            ImageRequest(
                final,
                tuple(bases),
                wanted,
                image.name,
                delta,
                in_earlier,
                demanded,
                {
                    each.final: wanted_before
                    for each in before
                    if (wanted_before := each.platforms or each.platform)
                    and in_earlier.get(each.final) == each.name
                    and each.final not in image.bases
                },
                sites,
                signatures,
                _discovered(signatures),
            )
        )
    return PullRequest(tuple(requests), True, gone_since(before, images), fail_fast)


def _sites(receipts: Sequence[str | Path]) -> tuple[Ledger, ...]:
    if not receipts:
        return ()
    from ..source.ledger import RECEIPT, read_ledger

    return tuple(read_ledger(Path(each), RECEIPT) for each in receipts)


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
