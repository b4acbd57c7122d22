"""What `--version` says: our version, and skopeo's, which counts as much."""

from __future__ import annotations

import os

from .._version import __version__


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
        child = os.posix_spawnp(skopeo, [skopeo, "--version"], os.environ, file_actions=actions)
    except OSError:
        os.close(reader)
        return "and no skopeo"
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as out:
        said = out.read(1000).decode(errors="replace").split()
    os.waitpid(child, 0)
    # "skopeo version 1.9.3", perhaps with a commit.
    return (
        f"skopeo {said[2]}" if said[:2] == ["skopeo", "version"] and len(said) > 2 else "and no skopeo that answers"
    )
