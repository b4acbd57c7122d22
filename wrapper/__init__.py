"""skopeo-incremental: move container images as the difference to what the other side has.

The public face; what it names is imported on first use, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .archive.output import Output as Output
    from .archive.output import RemoveOnClose as RemoveOnClose
    from .archive.reader import ArchiveFile as ArchiveFile
    from .archive.reader import ArchiveFiles as ArchiveFiles
    from .delta.options import DeltaOptions as DeltaOptions
    from .errors import BundleError as BundleError
    from .errors import BusyError as BusyError
    from .errors import ContentError as ContentError
    from .errors import DeniedError as DeniedError
    from .errors import DiskFullError as DiskFullError
    from .errors import HiddenError as HiddenError
    from .errors import HostError as HostError
    from .errors import IncrementalError as IncrementalError
    from .errors import LinkError as LinkError
    from .errors import MissingLayersError as MissingLayersError
    from .errors import NetworkError as NetworkError
    from .errors import NoRepositoryError as NoRepositoryError
    from .errors import NotFoundError as NotFoundError
    from .errors import PolicyError as PolicyError
    from .errors import ReadOnlyError as ReadOnlyError
    from .errors import RegistryError as RegistryError
    from .errors import ServerError as ServerError
    from .errors import SignaturesError as SignaturesError
    from .errors import TlsError as TlsError
    from .errors import UnauthorizedError as UnauthorizedError
    from .errors import UsageError as UsageError
    from .events import Event as Event
    from .incremental import Incremental as Incremental
    from .oci.manifest import Descriptor as Descriptor
    from .oci.manifest import FetchedManifest as FetchedManifest
    from .oci.manifest import Index as Index
    from .oci.manifest import Manifest as Manifest
    from .oci.manifest import build_layers_dictionary as build_layers_dictionary
    from .oci.platforms import Platform as Platform
    from .oci.reference import Reference as Reference
    from .results import ArchiveInfo as ArchiveInfo
    from .results import Contents as Contents
    from .results import DeltaInfo as DeltaInfo
    from .results import DoctorResult as DoctorResult
    from .results import Failure as Failure
    from .results import Finding as Finding
    from .results import FoundImage as FoundImage
    from .results import ImageInfo as ImageInfo
    from .results import InspectResult as InspectResult
    from .results import LayerInfo as LayerInfo
    from .results import LeafInfo as LeafInfo
    from .results import ManifestInfo as ManifestInfo
    from .results import MirrorConfigResult as MirrorConfigResult
    from .results import MirroredImage as MirroredImage
    from .results import MissingLayer as MissingLayer
    from .results import OmittedLayer as OmittedLayer
    from .results import Outcome as Outcome
    from .results import PullResult as PullResult
    from .results import PushResult as PushResult
    from .results import ReadBack as ReadBack
    from .results import ReleaseImage as ReleaseImage
    from .results import SiteImage as SiteImage
    from .results import SiteStatus as SiteStatus
    from .results import SpecResult as SpecResult
    from .results import StatusResult as StatusResult
    from .results import TagChange as TagChange
    from .results import VetResult as VetResult
    from .skopeo.access import Access as Access
    from .skopeo.access import Authentications as Authentications
    from .skopeo.inspect import References as References
    from .skopeo.inspect import fetch_manifests as fetch_manifests
    from .skopeo.inspect import process_list as process_list
    from .skopeo.options import LinkOptions as LinkOptions
    from .source.options import CacheOptions as CacheOptions
    from .source.options import SignatureOptions as SignatureOptions
    from .source.spec import Spec as Spec
    from .source.spec import SpecImage as SpecImage
    from .source.spec import read_spec as read_spec
    from .writer import Writer as Writer

_HOMES = {
    "results": [
        "ArchiveInfo",
        "Contents",
        "DeltaInfo",
        "DoctorResult",
        "Failure",
        "Finding",
        "FoundImage",
        "ImageInfo",
        "InspectResult",
        "LayerInfo",
        "LeafInfo",
        "ManifestInfo",
        "MirrorConfigResult",
        "MirroredImage",
        "MissingLayer",
        "OmittedLayer",
        "Outcome",
        "PullResult",
        "PushResult",
        "ReadBack",
        "ReleaseImage",
        "SiteImage",
        "SiteStatus",
        "SpecResult",
        "StatusResult",
        "TagChange",
        "VetResult",
    ],
    "skopeo.access": ["Access", "Authentications"],
    "delta.options": ["DeltaOptions"],
    "errors": [
        "BundleError",
        "BusyError",
        "ContentError",
        "DeniedError",
        "DiskFullError",
        "HiddenError",
        "HostError",
        "IncrementalError",
        "LinkError",
        "MissingLayersError",
        "NoRepositoryError",
        "NotFoundError",
        "RegistryError",
        "SignaturesError",
        "NetworkError",
        "PolicyError",
        "ReadOnlyError",
        "ServerError",
        "TlsError",
        "UnauthorizedError",
        "UsageError",
    ],
    "events": ["Event"],
    "skopeo.inspect": ["References", "fetch_manifests", "process_list"],
    "incremental": ["Incremental"],
    "oci.manifest": ["Descriptor", "FetchedManifest", "Index", "Manifest", "build_layers_dictionary"],
    "archive.output": ["Output", "RemoveOnClose"],
    "archive.reader": ["ArchiveFile", "ArchiveFiles"],
    "oci.platforms": ["Platform"],
    "oci.reference": ["Reference"],
    "skopeo.options": ["LinkOptions"],
    "source.options": ["CacheOptions", "SignatureOptions"],
    "source.spec": ["Spec", "SpecImage", "read_spec"],
    "writer": ["Writer"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

# Type checkers read the imports above: of this they would conclude that any name is one of ours, or none.
if not TYPE_CHECKING:
    __all__ = sorted(_HOME)

    def __getattr__(name: str) -> object:
        if name in _HOME:
            return getattr(import_module(f".{_HOME[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        # Completion and help() ask for this.
        return [*__all__, "__version__"]
