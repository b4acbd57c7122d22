"""skopeo-incremental: move container images as the difference to what the other side has.

The public face; what it names is imported on first use, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .access import Access as Access
    from .access import Authentications as Authentications
    from .bundle import Outcome as Outcome
    from .contents import InspectResult as InspectResult
    from .doctor import DoctorResult as DoctorResult
    from .doctor import Finding as Finding
    from .errors import BundleError as BundleError
    from .errors import ContentError as ContentError
    from .errors import HostError as HostError
    from .errors import IncrementalError as IncrementalError
    from .errors import MissingLayersError as MissingLayersError
    from .errors import NotFoundError as NotFoundError
    from .errors import RegistryError as RegistryError
    from .errors import UsageError as UsageError
    from .fetch import fetch_manifests as fetch_manifests
    from .fetch import process_list as process_list
    from .incremental import Incremental as Incremental
    from .manifest import Descriptor as Descriptor
    from .manifest import FetchedManifest as FetchedManifest
    from .manifest import Index as Index
    from .manifest import Manifest as Manifest
    from .manifest import build_layers_dictionary as build_layers_dictionary
    from .output import RemoveOnClose as RemoveOnClose
    from .platforms import Platform as Platform
    from .pulling import PullResult as PullResult
    from .pushing import PushResult as PushResult
    from .pushing import VetResult as VetResult
    from .reference import Reference as Reference
    from .spec import SpecImage as SpecImage
    from .spec import read_spec as read_spec
    from .writer import Writer as Writer

__version__ = "0.1.0"

_HOMES = {
    "access": ["Access", "Authentications"],
    "bundle": ["Outcome"],
    "errors": [
        "BundleError",
        "ContentError",
        "HostError",
        "IncrementalError",
        "MissingLayersError",
        "NotFoundError",
        "RegistryError",
        "UsageError",
    ],
    "fetch": ["fetch_manifests", "process_list"],
    "incremental": ["Incremental"],
    "manifest": ["Descriptor", "FetchedManifest", "Index", "Manifest", "build_layers_dictionary"],
    "output": ["RemoveOnClose"],
    "contents": ["InspectResult"],
    "doctor": ["DoctorResult", "Finding"],
    "pulling": ["PullResult"],
    "pushing": ["PushResult", "VetResult"],
    "platforms": ["Platform"],
    "reference": ["Reference"],
    "spec": ["SpecImage", "read_spec"],
    "writer": ["Writer"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
