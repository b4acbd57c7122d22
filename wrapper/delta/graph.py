"""Which layers are made of which: a graph, of hostile origin, that is walked once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ContentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from .artifact import LayerDelta

STEPS = 8
"""How many changes, each of what the one before makes, one archive may need for a layer; `pull` makes one."""


class Making(NamedTuple):
    """How layers are made.

    Attributes:
        order: layers that are made of their change, each after those that it is made from.
        steps: how many steps the longest way takes.
        needed: digest and size in bytes of the layers that have to be at hand.
        missing: likewise, of those that nobody has: they are neither at hand nor made.
        lacking: likewise, of what is not at hand: it is made, or missing.
    """

    order: tuple[str, ...]
    steps: int
    needed: Mapping[str, int]
    missing: Mapping[str, int]
    lacking: Mapping[str, int]


def plan_making(
    wanted: Mapping[str, int], deltas: Mapping[str, LayerDelta], at_hand: Callable[[str], bool]
) -> Making:
    """Say how layers can be had.

    Args:
        wanted: digest and size in bytes of each.
        deltas: layers that can be made of others, by their digests; of hostile origin.
        at_hand: says whether a layer can be had as it is; asked once for each.

    Returns:
        What is made, and what is needed for that. Layers that are made from each other in a circle are missing.
    """
    sizes = dict(wanted)
    graph: dict[str, Iterable[str]] = {}
    needed: dict[str, int] = {}
    missing: dict[str, int] = {}
    waiting = list(wanted)
    for digest in waiting:  # It grows meanwhile.
        if at_hand(digest):
            needed[digest] = sizes[digest]
        elif digest not in deltas:
            missing[digest] = sizes[digest]
        else:
            graph[digest] = deltas[digest].sources
            for source, size in deltas[digest].sources.items():
                if source not in sizes:
                    sizes[source] = size
                    waiting.append(source)
    order, steps = _sorted(graph) if graph else ([], 0)
    missing |= {digest: sizes[digest] for digest in graph.keys() - set(order)}
    rest = {digest: size for digest, size in sizes.items() if digest not in needed}
    return Making(tuple(order), steps, needed, missing, rest)


def _sorted(graph: Mapping[str, Iterable[str]]) -> tuple[list[str], int]:
    """Return layers after those that they are made from, without those in a circle; and in how many steps."""
    from graphlib import CycleError, TopologicalSorter

    sorter = TopologicalSorter(graph)
    # All that no circle keeps back comes out all the same.
    with suppress(CycleError):
        sorter.prepare()
    order: list[str] = []
    steps = 0
    while sorter.is_active() and (ready := sorter.get_ready()):
        made = [digest for digest in ready if digest in graph]
        steps += bool(made)
        order += made
        sorter.done(*ready)
    return order, steps


def sources_needed(
    chain: Sequence[Mapping[str, LayerDelta]], wanted: Collection[str], inside: Callable[[str], bool]
) -> dict[str, int]:
    """Return what has to be at hand to make layers.

    Args:
        chain: the changes of each archive, by the layers that they make, the oldest archive's first.
        wanted: digests of layers that are to be made; others don't count.
        inside: says whether an archive has a layer as it is.

    Returns:
        Digest and size in bytes of each; what an archive has, or what is made on the way, is not among them.
    """
    deltas: dict[str, LayerDelta] = {}
    outside: set[str] = set()
    for own in chain:
        for delta in own.values():
            # What an older archive needs is not made from what a newer one brings.
            outside |= {each for each in delta.sources if each not in deltas and each not in own}
        deltas = {**own, **deltas}
    usable = {digest: delta for digest, delta in deltas.items() if digest not in outside}
    return dict(plan_making({each: deltas[each].size for each in wanted if each in deltas}, usable, inside).missing)


def check_deltas(
    deltas: Mapping[str, LayerDelta],
    layers: Mapping[str, int],
    size_inside: Callable[[str], int | None],
    name: str,
) -> None:
    """Refuse changes that no archive has that `pull` made.

    Args:
        deltas: those of one archive, by the layers that they make; of hostile origin.
        layers: digest and size in bytes of all layers of its images.
        size_inside: returns how long a layer is that the archive has as it is, in bytes; None for others.
        name: the archive's, for messages.

    Raises:
        ContentError: a change makes no layer of its images, or is longer than that; there are two lengths for one
            layer, or its content; or layers are made from each other in a circle, or in too many steps.
    """
    if not deltas:
        return
    again = "have the archive made again"
    sizes = {delta.layer: delta.size for delta in deltas.values()}
    contents: dict[str, int] = {}
    for delta in deltas.values():
        if layers.get(delta.layer) != delta.size:
            raise ContentError(f"{name} has a change of {delta.layer}, which is not a layer of its images")
        if delta.blob_size > delta.size:
            raise ContentError(f"{name} has a change of {delta.layer} that is longer than the layer", again)
        for source, size in delta.sources.items():
            known = size_inside(source)
            if sizes.setdefault(source, size if known is None else known) != size:
                raise _two_lengths(name, source, sizes[source], size)
        for each, size in delta.contents.items():
            if contents.setdefault(each, size) != size:
                raise _two_lengths(name, each, contents[each], size)
    making = plan_making(
        {digest: delta.size for digest, delta in deltas.items()},
        deltas,
        lambda digest: digest not in deltas or size_inside(digest) is not None,
    )
    if making.missing:
        raise ContentError(f"{name} makes {min(making.missing)} from layers that are made from it", again)
    require_few_steps(making, STEPS, name)


def _two_lengths(name: str, layer: str, one: int, other: int) -> ContentError:
    return ContentError(
        f"{name} makes layers from {layer}, and gives that two lengths: {one} and {other}",
        "have the archive made again",
    )


def require_few_steps(making: Making, steps: int, name: str) -> None:
    """Refuse layers that are made in more steps than are allowed.

    Raises:
        ContentError: one is.
    """
    if making.steps > steps:
        raise ContentError(
            f"{name} makes {making.order[-1]} in {making.steps} steps, each from what the one before makes: "
            f"no more than {steps} are allowed",
            "have the archive made again",
        )
