"""What all operations return: frozen data, which the command line shows as text or JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

WHERE = ("inside", "omitted", "foreign", "delta")
"""Where a layer of an archive's images is."""

WHOLE, REPACKED, CHANGE = TRAVELS = ("whole", "repacked", "change")
"""How a layer travels: as it is; as its content, compressed better; as that content's change from older layers'."""

SIGNATURE, ATTESTATION, SBOM, LIST, OTHER = KINDS = ("signature", "attestation", "sbom", "list", "other")
"""What kind of thing a referrer is; a list names others."""

OK, WARNING, ERROR = STATUSES = ("ok", "warning", "error")
"""How something is that `doctor` looked at."""

SAME, OLDER, ABSENT = STATES = ("same", "older", "absent")
"""What a site has of a release's image: it, another one of its repository, or none."""


@dataclass(frozen=True)
class OmittedLayer:
    """A layer that an archive leaves out.

    Attributes:
        digest: its digest.
        size: its size in bytes.
    """

    digest: str
    size: int


@dataclass(frozen=True)
class LeafInfo:
    """One manifest below an image's list.

    Attributes:
        digest: its digest.
        media_type: its media type.
        platform: what it runs on, as `os/architecture[/variant]`; None where that is not known.
        kind: in a list of referrers, its kind, one of `KINDS`; else None.
        artifact_type: in a list of referrers, its artifact type; else None.
    """

    digest: str
    media_type: str
    platform: str | None
    kind: str | None = None
    artifact_type: str | None = None


@dataclass(frozen=True)
class ImageInfo:
    """One image of an archive.

    Attributes:
        name: its tag; None where it has none.
        reference: where it was pulled from or pushed to; None where only the archive was read.
        digest: the digest of its manifest or list.
        media_type: the media type of its manifest or list.
        platform: what it runs on; None for a list, or where that is not known.
        manifests: for a list, the manifests below it.
        beside: the digest of the image that it belongs to, as a signature does; None for an image by itself.
        bytes_new: size in bytes of its layers that travel; what several images have counts for each.
        bytes_shared: size in bytes of its layers that are left out.
        change: "new", "changed" or "same", beside its bases; None where it was not compared. Where only the archive
            was read, as far as that tells: "same" is a base itself, "changed" shares layers with bases.
        absent: for a list, the manifests that it names and that are not in the archive.
        kind: what kind of referrer it is, one of `KINDS`, as its maker says; None for an image by itself.
        referrers: for an image by itself, how many referrers of each kind travel with it: those that a list names,
            and not the list.
        artifact_type: of a referrer, its artifact type, as its manifest says it; None where it says none, and for
            an image by itself.
    """

    name: str | None
    reference: str | None
    digest: str
    media_type: str
    platform: str | None
    manifests: tuple[LeafInfo, ...] = ()
    beside: str | None = None
    bytes_new: int = 0
    bytes_shared: int = 0
    change: str | None = None
    absent: tuple[LeafInfo, ...] = ()
    kind: str | None = None
    referrers: dict[str, int] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None


@dataclass(frozen=True)
class DeltaInfo:
    """The change as which a layer travels.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        sources: digests of the layers that the layer is made from; none where it is repacked.
        content: how long the layer's content is, in bytes; None where that is not known.
        model: the compressor that the layer came out of, as far as that is known.
        corrections: how often that decided otherwise than was predicted.
    """

    digest: str
    size: int
    sources: tuple[str, ...]
    content: int | None = None
    model: str = ""
    corrections: int = 0


@dataclass(frozen=True)
class LayerInfo:
    """One layer of an archive's images.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        media_type: its media type.
        where: one of `WHERE`.
        bases: for an omitted layer, digests of the bases that have it.
        urls: for a foreign layer, where it can be fetched.
        delta: for one that travels as its change, that; None for others.
        travels: one of `TRAVELS`; None for one that does not travel, and in a dry run where that is not known.
        reason: of one that travels whole although `pull --delta` was asked for, why; of a dry run, what it would
            be made from.
    """

    digest: str
    size: int
    media_type: str
    where: str
    bases: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    delta: DeltaInfo | None = None
    travels: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Contents:
    """What an archive holds, or would hold: the part that all results share.

    Attributes:
        digest: the digest of the image's manifest or list; None for a bundle.
        bundle: whether it is a bundle: several images, each with a name.
        images: the images.
        bases: digests of the images that it was compared with, sorted.
        names: what people call images and bases, by their digests, such as `team/app:2`: no host. Those that are
            not known are absent. Only digests decide: whoever made the archive may have written any names.
        bytes_new: size in bytes of the layers that travel; where their change does, of that.
        bytes_shared: size in bytes of the layers that are left out.
        layers_new: how many layers travel, each counted once.
        layers_shared: how many layers are left out.
        layers_foreign: how many layers are foreign and never travel.
        layers_delta: how many travel as their change, or repacked; they are among `layers_new`.
        omitted: what its destination must have: the layers that are left out, and those that changes are made from.
        layers: every layer of the images.
        delta_sources: of `omitted`, those that changes are made from.
    """

    digest: str | None
    bundle: bool
    images: tuple[ImageInfo, ...]
    bases: tuple[str, ...]
    names: dict[str, str]
    bytes_new: int
    bytes_shared: int
    layers_new: int
    layers_shared: int
    layers_foreign: int
    layers_delta: int
    omitted: tuple[OmittedLayer, ...]
    layers: tuple[LayerInfo, ...]
    delta_sources: tuple[OmittedLayer, ...]

    @property
    def bytes_needed(self) -> int:
        """Size in bytes of what its destination must have."""
        return sum(layer.size for layer in self.omitted)

    def shared_fields(self) -> dict[str, Any]:
        """Return the fields that a result takes over from here."""
        return {field.name: getattr(self, field.name) for field in fields(Contents)}


@dataclass(frozen=True)
class ArchiveInfo:
    """An archive as a whole, or one of its volumes.

    Attributes:
        path: where it lies; None for a stream or a temporary file.
        sha256: the sha256 of its bytes, as hexadecimal digits.
        size: its length in bytes.
    """

    path: str | None
    sha256: str
    size: int


@dataclass(frozen=True)
class PullResult(Contents):
    """What `pull` did, or would do.

    Attributes:
        changed: whether the output is another file than before; False for a dry run.
        archive: the archive; None for a dry run.
        warnings: what the user should know, one line each.
        gone: names of the images that the earlier bundle had, and this one has not.
        delta_sources: here, all base layers that new ones were, or would be, compared with.
    """

    changed: bool
    archive: ArchiveInfo | None
    warnings: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class MissingLayer:
    """A layer that neither the archive nor the destination has.

    Attributes:
        digest: its digest.
        size: its size in bytes.
        bases: digests of the bases that would bring it; empty where the archive does not say.
    """

    digest: str
    size: int
    bases: tuple[str, ...]


@dataclass(frozen=True)
class TagChange:
    """A reference that a push wrote, or would write.

    Attributes:
        reference: the destination's reference.
        previous_digest: the digest that it pointed to before; None where it did not exist.
    """

    reference: str
    previous_digest: str | None


@dataclass(frozen=True)
class Failure:
    """Why an image was not pushed.

    Attributes:
        code: the exit code that it stands for.
        kind: what kind of error it is, one of `errors.KINDS`.
        retryable: whether the same call may work later, although nobody changed anything.
        message: what is wrong.
        next: what to do about it.
    """

    code: int
    kind: str
    retryable: bool
    message: str
    next: str


@dataclass(frozen=True)
class Outcome:
    """What happened to one image of a bundle.

    Attributes:
        name: what the bundle calls it.
        destination: where it is now, or was to be.
        digest: the digest of its manifest or list.
        changed: whether anything was, or in a dry run would be, sent.
        previous_digest: the digest that the destination's tag pointed to before; None where there was none.
        missing: the layers that neither the bundle nor the destination has.
        error: why it is not there; None where it is.
    """

    name: str
    destination: str
    digest: str
    changed: bool = False
    previous_digest: str | None = None
    missing: tuple[MissingLayer, ...] = ()
    error: Failure | None = None


@dataclass(frozen=True)
class ReadBack:
    """What was read back from a destination, and is what its digests say.

    Attributes:
        manifests: how many manifests and lists were read.
        layers: how many layers were read, each counted once for each image of a bundle.
        bytes: size in bytes of these layers.
    """

    manifests: int
    layers: int
    bytes: int


@dataclass(frozen=True)
class VetResult(Contents):
    """What `push_vet` found.

    Attributes:
        changed: always False.
        destination: which destination was asked; None where only the archive was checked.
        missing: the layers that neither the archive nor the destination has.
        outcomes: for a bundle, what was found for each image.
        read_back: of a deep vet, which layers were read at the destination; None where nobody asked for it.
    """

    changed: bool
    destination: str | None
    missing: tuple[MissingLayer, ...]
    outcomes: tuple[Outcome, ...] = ()
    read_back: ReadBack | None = None


@dataclass(frozen=True)
class MirroredImage:
    """An image of a bundle, and where clients find it now.

    Attributes:
        source: where it was pulled from, with host, and digest or tag.
        destination: where it is now.
    """

    source: str
    destination: str


@dataclass(frozen=True)
class MirrorConfigResult:
    """What `mirror_config` wrote.

    Attributes:
        changed: whether any file is other than before; of a dry run, whether it would be.
        files: the paths of all files.
        mapping: each image, sorted.
        warnings: what the files can't express, one line each.
    """

    changed: bool
    files: tuple[str, ...]
    mapping: tuple[MirroredImage, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PushResult(Contents):
    """What `push` did, or would do.

    Attributes:
        changed: whether anything was, or in a dry run would be, sent.
        destination: where the image is now.
        previous_digest: the digest that the destination's tag pointed to before; None where there was none.
        tags: the destination and whatever else was written, with what each pointed to before.
        image_id: the digest of the config, by which local stores name an image; None where that is no local store.
        outcomes: for a bundle, what happened to each image.
        missing: for a bundle, the layers that neither it nor a destination has, each once.
        mirror_config: the files for clients that were written, too; None where nobody asked for them.
        read_back: what was verified at the destination; None where nobody asked for it, and in a dry run.
    """

    changed: bool
    destination: str
    previous_digest: str | None
    tags: tuple[TagChange, ...] = ()
    image_id: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    missing: tuple[MissingLayer, ...] = ()
    mirror_config: MirrorConfigResult | None = None
    read_back: ReadBack | None = None


@dataclass(frozen=True)
class ManifestInfo:
    """What one manifest of an archive says.

    Attributes:
        layers: digests of its layers, the lowest first; foreign ones, too.
        labels: what its config and its annotations say by these names of the OCI image specification, each text
            shortened to 255 characters: `org.opencontainers.image.title`, `.version`, `.revision` and `.created`.
    """

    layers: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True)
class InspectResult(Contents):
    """What `inspect` found.

    Attributes:
        changed: always False.
        format: the archive format's version; None for other tools' archives.
        archive_size: the archive's length in bytes.
        destination: who was asked for the layers that are left out; None where nobody was.
        missing: those that it does not have.
        archive_sha256: the sha256 of the archive's bytes, as hexadecimal digits; None where nobody asked for it.
        volumes: where the archive was cut into volumes, and its sha256 was asked for, each of them; else none.
        manifests: by its digest, what each manifest says.
    """

    changed: bool
    format: str | None
    archive_size: int
    destination: str | None = None
    missing: tuple[MissingLayer, ...] = ()
    archive_sha256: str | None = None
    volumes: tuple[ArchiveInfo, ...] = ()
    manifests: dict[str, ManifestInfo] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, such as "skopeo".
        status: one of `STATUSES`.
        message: how it is.
        next: what to do about it; empty where nothing is to be done.
    """

    check: str
    status: str
    message: str
    next: str = ""


@dataclass(frozen=True)
class DoctorResult:
    """What `doctor` found.

    Attributes:
        changed: always False.
        findings: everything that was looked at.
    """

    changed: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FoundImage:
    """An image that was found in what somebody has.

    Attributes:
        reference: its reference; in a `SpecResult` with its host, and with a tag or a digest.
        where: the place that names it, such as `web.yaml: Deployment web: spec.template.spec.containers[0].image`.
        name: what a bundle calls it already; empty where its repository and tag say that.
        all_platforms: whether it is a list that was delivered whole, and is to be so again.
        platforms: those with which it was delivered, a list that keeps its digest, and is to be so again.
    """

    reference: str
    where: str
    name: str = ""
    all_platforms: bool = False
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpecResult:
    """What `spec_from` found.

    Attributes:
        changed: whether a file was written that was not there like that before; False where none was.
        spec: the spec, as `pull --spec` reads it: `images`, each with `name` and `final`, and `all` or `platforms`
            where a list was delivered.
        found: every place that names one of these images.
        warnings: what was left out, what was assumed, and what may be an image, one line each.
    """

    changed: bool
    spec: dict[str, Any]
    found: tuple[FoundImage, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ReleaseImage:
    """One image of a release.

    Attributes:
        name: what the spec calls it.
        reference: where the vendor has it.
        digest: the digest of its manifest or list.
    """

    name: str
    reference: str
    digest: str


@dataclass(frozen=True)
class SiteImage:
    """What a site has of one image of a release, or an image that it has beside these.

    Attributes:
        name: what the spec calls it; of others, what the receipt does, else where it is.
        state: one of `STATES`; "other" for an image that the release does not have.
        digest: the digest that the site has; None where it has none.
        date: when that was pushed, as RFC 3339 writes it; None where it has none.
    """

    name: str
    state: str
    digest: str | None
    date: str | None


@dataclass(frozen=True)
class SiteStatus:
    """What one site has of a release, as its receipt says.

    Attributes:
        receipt: the receipt's file.
        destination: where the last push there went.
        date: when that was, as RFC 3339 writes it.
        images: for each image of the release, in its order, what the site has.
        others: images that the site has, and the release has not; without those that `images` has as older.
    """

    receipt: str
    destination: str
    date: str
    images: tuple[SiteImage, ...]
    others: tuple[SiteImage, ...]


@dataclass(frozen=True)
class StatusResult:
    """What `status` found.

    Attributes:
        changed: always False.
        release: the images of the release.
        sites: what each site has of them.
    """

    changed: bool
    release: tuple[ReleaseImage, ...]
    sites: tuple[SiteStatus, ...]
