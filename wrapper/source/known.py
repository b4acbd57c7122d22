"""Repositories that this machine has seen: whether one exists need not be asked again.

A registry may make a repository as soon as somebody logs in who may write there, and to ask for layers skopeo logs
in like that. So whoever will write nothing looks first whether there is one, with the rights that reading takes;
that takes ten round trips more. What was seen stands in the user's cache, as hashes: it names no host.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..oci.manifest import digest_of

if TYPE_CHECKING:
    from ..oci.reference import Reference

_SECONDS = 30 * 24 * 3600
"""For how long a repository counts as seen, in seconds: it may have been removed since."""


def was_seen(repository: Reference) -> bool:
    """Say whether this machine has seen a repository lately."""
    try:
        return 0 <= time.time() - _mark(repository).lstat().st_mtime < _SECONDS
    except (OSError, RuntimeError):
        return False


def seen(repository: Reference) -> None:
    """Note that a repository exists; where that can't be written, it is asked for again another time."""
    with suppress(OSError, RuntimeError):
        mark = _mark(repository)
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never where a link leads: the folder may be another user's.
        descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)


def _mark(repository: Reference) -> Path:
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # What is not absolute is to be ignored, says the specification of these folders.
    cache = chosen if chosen.is_absolute() else Path.home() / ".cache"
    name = digest_of(repository.name.encode()).removeprefix("sha256:")
    return cache / "skopeo-incremental" / "repositories" / name
