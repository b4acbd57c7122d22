"""Layers that are made of their change and of older layers, within the memory that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ContentError, HostError
from ..host.text import human_bytes
from ..oci.manifest import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from ..delta.artifact import LayerDelta
    from ..delta.codec import ParsedLayer
    from ..delta.options import DeltaOptions


def make_layer(delta: LayerDelta, open_blob: Callable[[str], BinaryIO], options: DeltaOptions) -> bytes:
    """Make a layer.

    Nothing is read or expanded before it is known to fit into the memory that is allowed.

    Args:
        delta: what it is made of; of hostile origin.
        open_blob: opens the delta, and each older layer.
        options: how much memory it may take.

    Raises:
        HostError: it would take more memory.
        ContentError: something is not as long as was said, can't be parsed, or makes another layer.
    """
    from ..delta.codec import TooLargeError, decode

    try:
        if delta.size + sum(delta.sources.values()) > options.room:
            raise TooLargeError
        olds: list[ParsedLayer] = []
        for source, size in delta.sources.items():
            left = options.memory - sum(old.size for old in olds)
            olds.append(_read_source(delta, source, size, open_blob, left))
        # What is read may be there twice for a moment.
        if sum(old.size for old in olds) + 2 * delta.blob_size > options.memory:
            raise TooLargeError
        change = read_exactly(open_blob, delta.blob, delta.blob_size)
        layer = decode(change, olds, delta.size, options.memory)
    except TooLargeError:
        raise HostError(
            f"making {delta.layer} of its change takes more memory than {human_bytes(options.memory)}",
            "allow more with --delta-memory",
        ) from None
    if digest_of(layer) != delta.layer:
        raise ContentError(f"the change of {delta.layer} makes another layer", "have the archive made again")
    return layer


def _read_source(
    delta: LayerDelta, source: str, size: int, open_blob: Callable[[str], BinaryIO], memory: int
) -> ParsedLayer:
    from ..delta.codec import TooLargeError, parse_layer

    if 2 * size > memory:
        raise TooLargeError
    parts = parse_layer(read_exactly(open_blob, source, size), memory - size)
    if parts is None:
        raise ContentError(f"{delta.layer} is said to be made of {source}, which can't be taken apart")
    return parts


def read_exactly(open_blob: Callable[[str], BinaryIO], digest: str, size: int) -> bytes:
    """Read a blob that was said to have so many bytes, and no more of one that is longer.

    Raises:
        ContentError: it is longer or shorter.
    """
    with open_blob(digest) as file:
        data = file.read(size)
        if len(data) != size or file.read(1):
            raise ContentError(f"{digest} is not {size} bytes long, as was said", "have the archive made again")
    return data
