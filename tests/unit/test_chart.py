"""The charts of the documentation."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.bench.chart import DOCS, Chart

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = sorted((DOCS / "figures").glob("*.json"))


@pytest.mark.parametrize("path", FIGURES, ids=[path.stem for path in FIGURES])
def test_a_chart_shows_the_figures_beside_it(path: Path) -> None:
    """`python -m tests.bench.chart` draws it again."""
    chart = Chart.read(path)
    for drawn in ((DOCS / f"{path.stem}.svg").read_text(), chart.draw()):
        texts = [unescape(text) for text in re.findall("<text[^>]*>([^<]*)</text>", drawn)]
        assert {chart.title, chart.unit} <= set(texts)
        for bar in chart.bars:
            assert {bar.label, bar.text, bar.series} <= set(texts)


def test_it_is_drawn_alike_each_time(tmp_path: Path) -> None:
    chart = Chart.read(FIGURES[0])
    chart.write(tmp_path / "figures.json")
    assert Chart.read(tmp_path / "figures.json").draw() == chart.draw()
    assert FIGURES[0].read_bytes() == (tmp_path / "figures.json").read_bytes()
