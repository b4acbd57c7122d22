"""How small real changes of layers become, and what making and applying them takes: by the tool's own commands."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.chart import Bar, Chart
from tests.bench.measuring import PULL, PUSH, TOOL, measure
from tests.bench.pairs import compressors, make_pair
from tests.support import format1
from tests.support.images import layer, put_image
from tests.support.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.bench.measuring import Run

_LEVEL = 15
_FORMAT_1 = 64 << 20
"""Longer layers are not made with format 1, which would take six times their size of memory."""


_SERIES = {"whole": "travels whole", "change": "update with --delta", "repacked": "first delivery with --delta"}


@dataclass
class Row:
    """A pair of layers: sizes in bytes, and what making the change and applying it took."""

    pair: str
    compressor: str
    effort: str
    size: int
    format_1: int | None
    found: dict[str, Any]
    pull: Run
    push: Run

    @property
    def travelling(self) -> int:
        """How many bytes of it travel."""
        return int((self.found.get("delta") or {}).get("size", self.size))

    def line(self) -> str:
        delta = self.found.get("delta") or {}
        size = self.travelling
        before = "-" if self.format_1 is None else f"{100 * self.format_1 / self.size:.1f} %"
        return (
            f"{self.pair:<29}{self.compressor:<12}{self.effort:<8}{self.size:>11}{before:>8}{size:>11}"
            f"{100 * size / self.size:>7.2f} %  {self.found['travels']:<9}{delta.get('model') or '-':<22}"
            f"{delta.get('corrections', 0):>9}{_run(self.pull)}{_run(self.push)}"
        )


def _run(run: Run) -> str:
    return f"{run.seconds:>7.1f} s{run.memory / 2**20:>5.0f}{run.disk / 2**20:>6.0f}"


TITLE = "Bytes that travel of a layer that changed"
UNIT = "share of the layer in percent (less is better)"
LEGEND = "share: of the gzip layer; MiB: memory of all processes; disk: MiB of temporary files and archive"
HEAD = (
    f"{'layer':<29}{'compressor':<12}{'effort':<8}{'bytes':>11}{'format 1':>9}{'change':>10}{'share':>9}  "
    f"{'travels':<9}{'model':<22}{'corrected':>9}{'pull':>9}{' MiB':>5}{'disk':>6}{'push':>9}{' MiB':>5}{'disk':>6}"
)


def compare(
    folder: Path, pairs: Sequence[str], wanted: Sequence[str], efforts: Sequence[str], *, format_1: bool = True
) -> Iterator[Row]:
    """Measure pairs with compressors, by pull and push between two registries."""
    vendor, customer = Registry(folder / "vendor").start(), Registry(folder / "customer").start()
    try:
        for number, pair in enumerate(pairs):
            old, new = make_pair(pair, folder)
            ways = compressors(folder)
            for place, way in enumerate(ways if "all" in wanted else wanted):
                if way not in ways:
                    continue
                olds, news = ([ways[way](each)] if each else [layer("nothing else")] for each in (old, new))
                before = _format_1(news[0], olds[0]) if format_1 and old else None
                for effort in efforts:
                    name = f"app/n{number}x{place}{effort}"
                    row = _measure(folder, vendor, customer, name, olds, news, effort)
                    yield Row(pair, way, effort, len(news[0]), before, *row)
                    for registry in (vendor, customer):
                        shutil.rmtree(registry.folder / "data", ignore_errors=True)
    finally:
        vendor.stop()
        customer.stop()


def chart(rows: Sequence[Row]) -> Chart:
    """Make bars of what travels, as shares of each layer."""
    bars = []
    for row in rows:
        name = row.pair if row.compressor == "Go 6" else f"{row.pair}, {row.compressor}"
        share = 100 * row.travelling / row.size
        text = f"{share:.1f} %: {row.travelling:,} of {row.size:,} bytes"
        series = _SERIES[row.found["travels"]]
        bars.append(Bar(name, round(share, 1), text, series, series))
    return Chart(TITLE, UNIT, bars, "the whole layer, as plain skopeo sends it")


def _measure(
    folder: Path, vendor: Registry, customer: Registry, name: str, olds: list[bytes], news: list[bytes], effort: str
) -> tuple[dict[str, Any], Run, Run]:
    put_image(vendor, name, "1", olds)
    put_image(vendor, name, "2", news)
    put_image(customer, name, "1", olds)
    archive, said = folder / "change.tar", folder / "said.json"
    base = ["--base", f"{vendor.host}/{name}:1", "--delta", "--delta-effort", effort, "--json"]
    pull = [*TOOL, "pull", f"{vendor.host}/{name}:2", *base, "-o", "change.tar", *PULL]
    pulled = measure(pull, folder / "work", vendor, said)
    (folder / "work/change.tar").replace(archive)
    (found,) = json.loads(said.read_text())["layers"]
    pushed = measure([*TOOL, "push", str(archive), f"{customer.host}/{name}:2", *PUSH], folder / "work", customer)
    return found, pulled, pushed


def _format_1(new: bytes, old: bytes) -> int | None:
    """Return how long format 1's change is."""
    if len(new) + len(old) > _FORMAT_1:
        return None
    parts = [format1.parse_layer(each) for each in (new, old)]
    if parts[0] is None or parts[1] is None:
        return None
    return len(format1.encode(parts[0], [parts[1]], _LEVEL))
