"""What is raised where bytes are not what they should be."""

from __future__ import annotations


class MalformedError(ValueError):
    """These bytes are not what they should be: no gzip stream, or no recipe for one."""


class TooLongError(MalformedError):
    """What would be made of them is longer, or more work, than is allowed."""
