"""Bars, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 300


class Bar(NamedTuple):
    """A bar: its length as a part of the longest one, and what stands beside it; one of ours begins a group."""

    label: str
    length: float
    text: str
    ours: bool


def draw(bars: Sequence[Bar]) -> str:
    """Return an SVG of bars below each other."""
    shown: list[str] = []
    place = 10
    for bar in bars:
        if bar.ours:
            place += 14
        width, colour = _WIDTH * bar.length, "#2a6f97" if bar.ours else "#adb5bd"
        shown.append(
            f'<text x="250" y="{place + 12}" text-anchor="end">{bar.label}</text>'
            f'<rect x="260" y="{place}" width="{width:.0f}" height="15" fill="{colour}"/>'
            f'<text x="{266 + width:.0f}" y="{place + 12}">{bar.text}</text>'
        )
        place += 20
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{place + 10}" font-family="sans-serif"'
    back = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{head} font-size="12">', back, *shown, "</svg>", ""])
