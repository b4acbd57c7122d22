"""What this tool takes beside plain skopeo, in the same run: time, bytes, memory, disk."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import deltas, links, pairs
from tests.bench.chart import PLAIN, Bar, Chart
from tests.bench.link import Link
from tests.bench.measuring import PULL, PUSH, TOOL, Run, measure
from tests.support.images import platform, put_image, put_list
from tests.support.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OURS = ("pull", "push", "vet", "--help", "--version")


@dataclass
class Row:
    """One command for one image, measured several times."""

    command: str
    image: str
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(run, what) for run in self.runs)


def noise(seed: str, size: int) -> bytes:
    """Return a layer that is a gzip of `size` bytes, and quick to make."""
    return gzip.compress(random.Random(seed).randbytes(size), 0, mtime=0)


def put(registry: Registry, repository: str, layers: int, megabytes: float) -> str:
    """Put an image of `layers` equal layers, and return its reference."""
    size = int(megabytes * 1_000_000 / layers)
    put_image(registry, repository, "1", [noise(f"{repository}{each}", size) for each in range(layers)])
    return f"{registry.host}/{repository}:1"


def pulls(image: str, temporary: Path) -> dict[str, tuple[str, ...]]:
    """Return the ways to get an image into a file, and the one that only downloads."""
    skopeo = ("skopeo", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", f"docker://{image}")
    return {
        "pull": (*TOOL, "pull", image, "-o", "out.tar", *PULL),
        "skopeo copy … oci-archive:": (*skopeo[:1], "--tmpdir", str(temporary), *skopeo[1:], "oci-archive:out.tar"),
        "skopeo copy … oci:": (*skopeo, "oci:layout"),
    }


def pushes(
    archive: Path, registry: Registry, temporary: Path, fresh: Callable[[], str]
) -> dict[str, Callable[[], tuple[str, ...]]]:
    """Return the ways to get a file into a registry, each into a repository that is new."""

    def ours() -> tuple[str, ...]:
        return (*TOOL, "push", str(archive), f"{registry.host}/{fresh()}:1", *PUSH)

    def plain() -> tuple[str, ...]:
        skopeo = (
            "skopeo",
            "--tmpdir",
            str(temporary),
            "copy",
            "--quiet",
            "--preserve-digests",
            "--dest-tls-verify=false",
        )
        return (*skopeo, f"oci-archive:{archive}", f"docker://{registry.host}/{fresh()}:1")

    return {"push": ours, "skopeo copy oci-archive: …": plain}


def compare(folder: Path, sizes: Sequence[int], times: int) -> list[Row]:
    """Measure pulls and pushes of images of some sizes in megabytes, in turn, each so many times."""
    rows: list[Row] = []
    vendor, customer = Registry(folder / "vendor").start(), Registry(folder / "customer").start()
    count = iter(range(10**6))
    try:
        for megabytes in sizes:
            name = f"{megabytes} MB"
            image = put(vendor, f"app/mb{megabytes}", 10, megabytes)
            ways = pulls(image, folder / "work/tmp")
            found = {way: Row(way, name) for way in ways}
            for _ in range(times):
                for way, command in ways.items():
                    found[way].runs.append(measure(command, folder / "work", vendor))
            rows += found.values()
            archive = folder / "archive.tar"
            subprocess.run([*TOOL, "pull", image, "-o", str(archive), *PULL], check=True, stdout=subprocess.DEVNULL)
            sending = pushes(archive, customer, folder / "work/tmp", lambda: f"app/n{next(count)}")
            found = {way: Row(way, name) for way in sending}
            for _ in range(times):
                for way, make in sending.items():
                    found[way].runs.append(measure(make(), folder / "work", customer))
                    shutil.rmtree(folder / "customer/data", ignore_errors=True)
            rows += found.values()
            archive.unlink()
            shutil.rmtree(folder / "vendor/data")
    finally:
        vendor.stop()
        customer.stop()
    return rows


def growth(folder: Path, times: int) -> list[Row]:
    """Measure what grows with what: one kind of work more and more, all else equal."""
    rows: list[Row] = []
    registry = Registry(folder / "growth").start()

    def add(name: str, *command: str) -> None:
        row = Row(command[0], name)
        for _ in range(times):
            options = PULL if command[0] == "pull" else PUSH
            row.runs.append(measure((*TOOL, *command, *options), folder / "work", registry))
        rows.append(row)

    try:
        for count in (1, 20, 500):
            add(f"{count} layers", "pull", put(registry, f"layers/n{count}", count, 10), "-o", "out.tar")
        for count in (1, 4, 16):
            repository = f"platforms/n{count}"
            leaves = [
                (put_image(registry, repository, None, [noise(f"{count}{each}", 500_000)]), platform(f"cpu{each}"))
                for each in range(count)
            ]
            put_list(registry, repository, "1", leaves)
            add(f"{count} platforms", "pull", f"{registry.host}/{repository}:1", "--all", "-o", "out.tar")
        final = put(registry, "based/final", 1, 1)
        for count in (1, 1000, 20000):
            # A manifest is at most 4 MiB long, so many layers are in many.
            for start in range(0, count, 1000):
                known = [b"%d" % each for each in range(start, min(count, start + 1000))]
                base = put_image(registry, "based/base", "1", known, upload=False)
                (folder / f"bases-{count}").mkdir(exist_ok=True)
                (folder / f"bases-{count}" / f"{start}.json").write_bytes(base.raw)
            given = ("--base", f"manifest:{folder}/bases-{count}")
            add(f"{count} known", "pull", final, *given, "-o", "out.tar")
        for count in (1, 20, 500):
            image = f"{registry.host}/layers/n{count}:1"
            add(f"{count} shared", "pull", image, "--base", image, "-o", "out.tar")
        for count in (1, 20, 500):
            image = put(registry, f"layers/n{count}", count, 10)
            archive = str(folder / "vetted.tar")
            subprocess.run(
                [*TOOL, "pull", image, "--base", image, "-o", archive, *PULL], check=True, stdout=subprocess.DEVNULL
            )
            add(f"{count} there", "vet", archive, image)
    finally:
        registry.stop()
    return rows


def start(folder: Path, times: int) -> str:
    """Say how many times as long as an empty Python a start takes, and a small pull above skopeo's own runs."""
    registry = Registry(folder / "start").start()
    try:
        base = put(registry, "start/base", 1, 0.01)
        final = put(registry, "start/final", 1, 0.01)
        read = ("skopeo", "inspect", "--raw", "--tls-verify=false")
        write = ("skopeo", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false")
        commands = {
            "python -c ''": (sys.executable, "-c", ""),
            "--help": (*TOOL, "--help"),
            "--version": (*TOOL, "--version"),
            "small pull": (*TOOL, "pull", final, "--base", base, "-o", "out.tar", *PULL),
            "skopeo inspect": (*read, f"docker://{final}"),
            "skopeo copy": (*write, f"docker://{final}", "oci:layout"),
        }
        found = {name: Row(name, "") for name in commands}
        for _ in range(times):
            for name, command in commands.items():
                found[name].runs.append(measure(command, folder / "work", registry))
    finally:
        registry.stop()
    took = {name: row.median("seconds") for name, row in found.items()}
    empty = took["python -c ''"]
    # Both sides are inspected side by side.
    took["small pull above its skopeo runs"] = took["small pull"] - took["skopeo inspect"] - took["skopeo copy"]
    return "\n".join(f"{name:<34}{1000 * took[name]:6.0f} ms{took[name] / empty:6.1f}" for name in took)


PHASES = (
    ("+ skopeo", " inspect ", "registry: manifests"),
    ("+ skopeo", " copy ", "skopeo: copy"),
    ("+ skopeo", " --version", "skopeo: version, beside the copy"),
    ("verifying", "", "hashing the archive"),
    ("packing", "", "packing, and hashing the rest"),
)


def profile(folder: Path, megabytes: int) -> str:
    """Say where the time of one pull and one push went: a step lasts from its line to the next one's."""
    registry = Registry(folder / "profile").start()
    try:
        image = put(registry, "app/profile", 10, megabytes)
        archive = str(folder / "out.tar")
        lines = []
        for command in (("pull", image, "-o", archive, *PULL[:-1]), ("push", archive, f"{image}0", *PUSH[:-1])):
            spent: dict[str, float] = {}
            step, since = "start-up", time.perf_counter()
            with subprocess.Popen(
                [*TOOL, *command, "--debug"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as running:
                assert running.stderr
                for line in running.stderr:
                    now = time.perf_counter()
                    spent[step] = spent.get(step, 0) + now - since
                    since = now
                    found = [name for start, part, name in PHASES if line.startswith(start) and part in line]
                    step = found[0] if found else ("planning" if line.startswith("  exit") else step)
                running.wait()
            spent["end: disk, exit"] = time.perf_counter() - since
            lines += [
                f"{command[0]} of {megabytes} MB",
                *(f"  {name:<34}{took:7.3f} s" for name, took in spent.items()),
            ]
        return "\n".join(lines)
    finally:
        registry.stop()


def table(rows: Sequence[Row]) -> str:
    """Show medians, and wall time as a ratio to each group's first line."""
    lines = [f"{'image':<13}{'command':<30}{'wall':>9}{'ratio':>7}{'memory':>10}{'disk':>11}{'fetched':>11}"]
    first = rows[0]
    for row in rows:
        if row.command in OURS:
            first = row
        lines.append(
            f"{row.image:<13}{row.command:<30}{row.median('seconds'):>7.2f} s{ratio(first, row):>7.2f}"
            f"{row.median('memory') / 2**20:>6.0f} MiB{row.median('disk') / 1e6:>8.0f} MB"
            f"{row.median('fetched') / 1e6:>8.0f} MB"
        )
    return "\n".join(lines)


def ratio(ours: Row, other: Row) -> float:
    return ours.median("seconds") / other.median("seconds")


def chart(rows: Sequence[Row]) -> Chart:
    """Make wall times bars, each of ours with plain skopeo's ways below it."""
    bars: list[Bar] = []
    for row in rows:
        seconds, ours = row.median("seconds"), row.command in OURS
        name = f"{row.image}: {row.command}"
        series = "skopeo-incremental" if ours else PLAIN
        group = name if ours or not bars else bars[-1].group
        bars.append(Bar(name, round(seconds, 2), f"{seconds:.2f} s", series, group))
    return Chart("Time on one machine", "seconds (less is better)", bars)


def link_of(text: str) -> Link:
    """Read a link: its round trip in milliseconds, and its rate in megabits a second."""
    rtt, rate = map(float, text.split(","))
    return Link(rtt / 1000, rate * 1_000_000)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 500], metavar="MB", help="images' sizes")
    parser.add_argument("--times", type=int, default=5, help="runs of each command: medians are shown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single run there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a chart there")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="write the chart's figures there, as JSON")
    parser.add_argument("--growth", action="store_true", help="measure what grows with what instead")
    parser.add_argument("--profile", action="store_true", help="say where the time of one run went instead")
    parser.add_argument("--start", action="store_true", help="measure how long starting takes instead")
    parser.add_argument(
        "--link",
        type=link_of,
        metavar="RTT,RATE",
        help="measure commands over an emulated link instead: milliseconds, and megabits a second, such as 50,100",
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="for --link: commands whose names this finds")
    parser.add_argument("--delta", action="store_true", help="measure changes of real layers instead")
    parser.add_argument("--pairs", nargs="+", metavar="NAME", help="for --delta: these; such as '2048 MiB'")
    parser.add_argument("--compressors", nargs="+", default=["Go 6"], metavar="NAME", help="for --delta; or all")
    parser.add_argument("--efforts", nargs="+", default=["default"], metavar="NAME", help="for --delta")
    parser.add_argument("--tmpdir", type=Path, default=Path("/var/tmp"), help="where the images are made")
    given = parser.parse_args()
    sys.stdout.write(subprocess.run(["skopeo", "--version"], check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory(dir=given.tmpdir) as folder:
        place = Path(folder)
        if given.profile:
            sys.stdout.write("\n".join(profile(place, size) for size in given.sizes) + "\n")
            return
        if given.start:
            sys.stdout.write(f"{start(place, given.times)}\nlast column: empty Pythons\n")
            return
        if given.delta:
            drawn = _deltas(place, given)
        elif given.link:
            costs = links.compare(place, given.link, given.times, given.only)
            sys.stdout.write(f"{links.table(costs)}\n{links.LEGEND}\n")
            drawn = links.chart(costs, given.link)
        else:
            rows = growth(place, given.times) if given.growth else compare(place, given.sizes, given.times)
            sys.stdout.write(f"{table(rows)}\nratio: this tool's wall time to that line's, of the same image\n")
            if given.json:
                given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            drawn = chart(rows)
    if given.figures:
        drawn.write(given.figures)
    if given.svg:
        given.svg.write_text(drawn.draw())


def _deltas(place: Path, given: argparse.Namespace) -> Chart:
    """Measure changes of real layers, and show each as soon as it is known."""
    rows = []
    sys.stdout.write(f"{deltas.HEAD}\n")
    for row in deltas.compare(place, given.pairs or pairs.names(), given.compressors, given.efforts):
        rows.append(row)
        sys.stdout.write(f"{row.line()}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{deltas.LEGEND}\n")
    return deltas.chart(rows)


if __name__ == "__main__":
    main()
