"""Which skopeo runs, how, and what is done about a link that is slow or fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..host.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMEOUT = 600.0
"""How long a copy may move no bytes, and one answer may take, by default, in seconds."""


@dataclass(frozen=True)
class LinkOptions:
    """How a link is dealt with that may be slow or fail.

    Attributes:
        retry_times: how often in a row to try again where the link fails and nothing more arrives.
        retry_delay: the pause before the first such try, in seconds; each further one is twice as long.
        timeout: how long a copy may move no bytes, and one answer may take, in seconds; None for no limit.
    """

    retry_times: int = 0
    retry_delay: float = 1.0
    timeout: float | None = TIMEOUT


def preserve_flags(preserve: bool) -> list[str]:
    """Return the flags of `copy` that demand that digests stay as they are; without any it may convert an image."""
    return ["--preserve-digests"] if preserve else []


@dataclass(frozen=True)
class SkopeoOptions:
    """Which skopeo runs, and how.

    Attributes:
        path: its path, or its name on PATH.
        temp_dir: where its private folder is made; None leaves it to what it is run for.
        link: how a link is dealt with that may be slow or fail.
        jobs: how many copies go on at a time; by default ten, or one where retries are wanted: on a bad link a
            cut then costs less.
        report: is told the reason for each retry, and each thing that is left in `temp_dir`; it beats while skopeo
            runs.
        trace: receives a line for each call and what it said, for `--debug`.
    """

    path: str = "skopeo"
    temp_dir: Path | None = None
    link: LinkOptions = field(default_factory=LinkOptions)
    jobs: int | None = None
    report: Progress = field(default_factory=Progress)
    trace: Callable[[str], None] | None = None
