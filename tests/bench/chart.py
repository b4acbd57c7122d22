"""Charts of measured figures: bars to one scale, as SVG that comes out the same each time.

Alone it draws what is in `docs/figures` again: `python -m tests.bench.chart`.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PLAIN = "plain skopeo"
_COLOURS = ("#1f5f8b", "#3a8f7b", "#c98a1b")
_GREY, _WHOLE = "#9aa5b1", "#e4e8ec"
_STYLE = {
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "svg.fonttype": "none",
    # Else names inside are drawn by chance.
    "svg.hashsalt": "skopeo-incremental",
    "ytick.left": False,
}


@dataclass
class Bar:
    """A bar: its value in the chart's unit, what stands left and right of it; groups stand apart."""

    label: str
    value: float
    text: str
    series: str
    group: str = ""


@dataclass
class Chart:
    """Bars to one scale; series have colours, and `whole` says what 100 is, if values are shares of a hundred."""

    title: str
    unit: str
    bars: list[Bar]
    whole: str = ""

    def write(self, figures: Path) -> None:
        """Write the figures as JSON."""
        figures.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, figures: Path) -> Chart:
        said: dict[str, Any] = json.loads(figures.read_text())
        return cls(**said | {"bars": [Bar(**bar) for bar in said["bars"]]})

    def draw(self) -> str:
        """Return it as SVG."""
        # Only whoever draws has it.
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        places = [0.0]
        for bar, before in zip(self.bars[1:], self.bars, strict=False):
            places.append(places[-1] + (1 if bar.group == before.group else 1.6))
        series = list(dict.fromkeys(bar.series for bar in self.bars))
        with rc_context(_STYLE):
            figure = Figure(figsize=(9.5, 1.4 + 0.24 * places[-1]), layout="constrained")
            axes = figure.subplots()
            if self.whole:
                axes.barh(places, 100, 0.75, color=_WHOLE, label=self.whole)
            colours = iter(_COLOURS)
            for name in series:
                colour = _GREY if name == PLAIN else next(colours)
                own = [
                    (place, bar.value) for place, bar in zip(places, self.bars, strict=True) if bar.series == name
                ]
                axes.barh(*zip(*own, strict=True), height=0.75, color=colour, label=name)
            longest = 100 if self.whole else max(bar.value for bar in self.bars)
            for place, bar in zip(places, self.bars, strict=True):
                end = 100 if self.whole else bar.value
                axes.annotate(bar.text, (end, place), (4, 0), textcoords="offset points", va="center")
            axes.set_yticks(places, [bar.label for bar in self.bars])
            axes.invert_yaxis()
            # The texts want room, and the scale ends before them.
            axes.set_xlim(0, longest * (1.8 if self.whole else 1.35))
            axes.set_xticks([tick for tick in axes.get_xticks() if tick <= longest])
            axes.spines.bottom.set_bounds(0, longest)
            axes.set_xlabel(self.unit)
            figure.suptitle(self.title, fontsize=11, fontweight="bold")
            figure.legend(loc="outside lower center", ncols=4, frameon=False)
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata={"Creator": None, "Date": None, "Title": self.title})
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def main() -> None:
    """Draw all charts of the documentation."""
    for figures in sorted((DOCS / "figures").glob("*.json")):
        (DOCS / f"{figures.stem}.svg").write_text(Chart.read(figures).draw())


if __name__ == "__main__":
    main()
