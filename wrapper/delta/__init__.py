"""A layer as its change: bytes in, bytes out."""

from __future__ import annotations

from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


@cache
def is_compiled() -> bool:
    """Say whether the modules that are to be compiled are: uncompiled, they take some hundred times as long."""
    folder = Path(__file__).parent
    return all(
        any((folder / f"{types.stem}{suffix}").exists() for suffix in EXTENSION_SUFFIXES)
        for types in folder.glob("*.pxd")
    )
