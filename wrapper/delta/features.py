"""What a change may need of whoever applies it, by the names that an archive requires (`requires`)."""

from __future__ import annotations

CHANGES = "layer-delta-2"
"""Changes, of format 2."""

PROGRAMS = "layer-delta-programs"
"""Programs in which addresses are predicted."""

OPENED = "layer-delta-opened"
"""Streams inside of files that are opened."""

ZSTD = "layer-delta-zstd"
"""Layers that are compressed by zstd."""

ALL = (CHANGES, PROGRAMS, OPENED, ZSTD)
"""All of them, in the order in which archives require them."""
