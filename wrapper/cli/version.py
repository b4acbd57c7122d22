"""What `--version` says: our version, and skopeo's, which counts as much."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from .._version import __version__

_SECONDS = 5.0
"""How long skopeo may take to say its version."""

_LONGEST = 1000
"""More bytes than this are no version."""


def line(name: str, skopeo: str = "skopeo") -> str:
    """Return our name and version, and skopeo's.

    Args:
        name: our name.
        skopeo: skopeo's path, or its name on PATH.
    """
    return f"{name} {__version__}, {_ask(skopeo)}"


def _ask(skopeo: str) -> str:
    """Run skopeo without what running it takes elsewhere: that would be most of the time."""
    reader, writer = os.pipe()
    try:
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        # A group of its own: with what it has started it can be ended.
        child = os.posix_spawnp(skopeo, [skopeo, "--version"], os.environ, file_actions=actions, setpgroup=0)
    except OSError:
        os.close(reader)
        return "and no skopeo"
    finally:
        os.close(writer)
    said = _read(reader).decode(errors="replace").split()
    # It has answered, or will not.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # "skopeo version 1.9.3", perhaps with a commit.
    return (
        f"skopeo {said[2]}" if said[:2] == ["skopeo", "version"] and len(said) > 2 else "and no skopeo that answers"
    )


def _read(reader: int) -> bytes:
    """Read all that is said in time, and close the pipe."""
    said = b""
    deadline = time.monotonic() + _SECONDS
    try:
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = os.read(reader, 1000)
            said += part
            if not part or len(said) > _LONGEST:
                break
    finally:
        os.close(reader)
    return said
