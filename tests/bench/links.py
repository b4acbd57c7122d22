"""What commands take over a slow link, with TLS and a login by token, beside plain skopeo: in round trips, too."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from tests.bench.chart import PLAIN, Bar, Chart
from tests.bench.link import FAR, Link
from tests.bench.measuring import TOOL
from tests.support.certificates import make_certificates
from tests.support.images import Image, digest_of, platform, put_image, put_list
from tests.support.registry import Registry
from tests.support.tokens import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Command = tuple[str, ...]

ACCOUNT = "ann:first-Pa55"
_MB = 1_000_000
_PLAIN = "skopeo"


@dataclass
class Cost:
    """What one run took: seconds, round trips beside the bytes' own time, connections, tokens, requests, bytes."""

    seconds: float
    trips: float
    connections: int
    tokens: int
    requests: int
    carried: int


@dataclass
class Row:
    """One command, measured several times."""

    name: str
    costs: list[Cost] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in self.costs)


class Far:
    """Two registries at the end of a slow link; what stands before the measuring gets there without it."""

    def __init__(self, folder: Path, link: Link, stack: ExitStack) -> None:
        self.folder = folder
        self.link = link
        tls = make_certificates(folder / "certs", FAR)
        self.trusted = folder / "trusted"
        self.trusted.mkdir()
        shutil.copy(folder / "certs/ca.crt", self.trusted)
        with link.over_there():
            self.tokens = stack.enter_context(TokenServer(folder, tls, ACCOUNT, FAR))
        self.registries = []
        self.behind = []
        for name in ("vendor", "customer"):
            data = folder / name / "data"
            far = Registry(folder / f"{name}-far", {"auth": self.tokens.auth}, tls, None, FAR, link.runner, data)
            near = Registry(folder / name, data=data)
            for registry in (far, near):
                registry.start()
                stack.callback(registry.stop)
            self.registries.append(far)
            self.behind.append(near)

    @property
    def hosts(self) -> tuple[str, str]:
        vendor, customer = self.registries
        return vendor.host, customer.host

    def measure(self, command: Command) -> Cost:
        before = self._counts()
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        (work / "tmp").mkdir(parents=True)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = os.environ | {
            "TMPDIR": str(work / "tmp"),
            "HOME": str(home),
            "XDG_DATA_HOME": str(work / "data"),
        }
        # Root's skopeo keeps what it knows of blobs there, too: no run is to mount what an earlier one sent.
        environment["_CONTAINERS_ROOTLESS_UID"] = "1000"
        begun = time.perf_counter()
        ran = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        if ran.returncode:
            raise SystemExit(f"failed: {' '.join(command)}\n{ran.stderr}")
        # The registries write their logs after they have answered.
        time.sleep(0.1)
        down, up, connections, tokens, requests = (
            after - earlier for after, earlier in zip(self._counts(), before, strict=True)
        )
        carried = max(down, up)
        trips = (seconds - carried * 8 / self.link.rate) / self.link.rtt
        return Cost(seconds, trips, connections, tokens, requests, carried)

    def _counts(self) -> tuple[int, ...]:
        requests = sum(len(registry.requests()) for registry in self.registries)
        return *self.link.carried(), self.link.connections(), len(self.tokens.scopes), requests


def noise(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def put(registry: Registry, repository: str, tag: str | None, layers: list[bytes]) -> Image:
    """Put an image whose config is like no other's, as real ones are."""
    names = [digest_of(layer) for layer in layers]
    return put_image(registry, repository, tag, layers, config=json.dumps({"layers": names}).encode())


def _sides(far: Far) -> tuple[Command, Command]:
    """Return the options of a pull and of a push."""
    names = {"creds": ACCOUNT, "cert-dir": str(far.trusted)}
    pull = [
        word for side in ("final", "base") for name, text in names.items() for word in (f"--{side}-{name}", text)
    ]
    push = [word for name, text in names.items() for word in (f"--dest-{name}", text)]
    return (*pull, "--quiet"), (*push, "--quiet")


def _plain(far: Far, way: str) -> Command:
    return (
        "skopeo",
        "copy",
        "--quiet",
        "--preserve-digests",
        f"--{way}-creds={ACCOUNT}",
        f"--{way}-cert-dir={far.trusted}",
    )


def _shell(commands: Sequence[Command]) -> Command:
    """Return one command that runs several, one after the other."""
    lines = "\n".join(" ".join(f"'{word}'" for word in command) for command in commands)
    return ("sh", "-ec", lines)


class Work:
    """The images, and the ways to get them from there and there."""

    def __init__(self, far: Far) -> None:
        self._far = far
        self._vendor, self._customer = far.behind
        self._count = count()
        self._base = [noise(f"base{each}", 10 * _MB) for each in range(2)]
        self._final = [*self._base, noise("new", 5 * _MB)]
        put(self._vendor, "app", "1", self._base)
        put(self._vendor, "app", "2", self._final)
        for tag in "12":
            leaves = [
                (
                    put(
                        self._vendor,
                        "list",
                        None,
                        [*(noise(f"{n}{each}", 2 * _MB) for each in range(2)), noise(f"{n}new{tag}", _MB // 2)],
                    ),
                    platform(n),
                )
                for n in ("amd64", "arm64", "ppc64le", "s390x")
            ]
            put_list(self._vendor, "list", tag, leaves)
        self._fifty = [noise(f"fifty{each}", 1000) for each in range(50)]
        for registry in far.behind:
            put(registry, "fifty", "1", self._fifty)
        put(self._vendor, "fifty", "2", [*self._fifty, noise("fifty", 1000)])
        self._ten = [noise("ten", _MB), *(noise(f"ten{each}", _MB) for each in range(10))]
        for each in range(10):
            for tag in "12":
                put(self._vendor, f"ten/n{each}", tag, self._ten_layers(each, tag))
        self._spec = far.folder / "spec.json"
        vendor = far.hosts[0]
        images = [
            {"final": f"{vendor}/ten/n{each}:2", "base": f"{vendor}/ten/n{each}:1", "name": f"n{each}:2"}
            for each in range(10)
        ]
        self._spec.write_text(json.dumps({"images": images}))
        self._pull, self._push = _sides(far)
        self._small = self._pulled("small.tar", f"{vendor}/app:2", "--base", f"{vendor}/app:1")
        self._vetted = self._pulled("vetted.tar", f"{vendor}/fifty:2", "--base", f"{vendor}/fifty:1")
        self._bundle = self._pulled("bundle.tar", "--spec", str(self._spec))

    def _ten_layers(self, each: int, tag: str) -> list[bytes]:
        return [self._ten[0], self._ten[each + 1], *([noise(f"ten{each}new", 50_000)] if tag == "2" else [])]

    def _pulled(self, name: str, *arguments: str) -> str:
        path = str(self._far.folder / name)
        subprocess.run([*TOOL, "pull", *arguments, "-o", path, *self._pull], check=True, stdout=subprocess.DEVNULL)
        return path

    def _fresh(self) -> str:
        """Return a prefix where all bases are."""
        prefix = f"to{next(self._count)}"
        put(self._customer, f"{prefix}/app", "1", self._base)
        for each in range(10):
            put(self._customer, f"{prefix}/n{each}", "1", self._ten_layers(each, "1"))
        return prefix

    def _layout(self, repository: str, tag: str, to: str) -> Path:
        """Return an OCI layout of an image, made without the link."""
        layout = self._far.folder / to
        if not layout.exists():
            source = f"docker://{self._vendor.host}/{repository}:{tag}"
            subprocess.run(
                [
                    "skopeo",
                    "copy",
                    "--quiet",
                    "--preserve-digests",
                    "--src-tls-verify=false",
                    source,
                    f"oci:{layout}",
                ],
                check=True,
            )
        return layout

    def rows(self) -> Iterator[tuple[str, Callable[[], Command]]]:
        """Return what is measured: each command's name, and what makes it; ours, and plain skopeo's after it."""
        far, pull, push = self._far, self._pull, self._push
        vendor, customer = far.hosts
        fetch, send = _plain(far, "src"), _plain(far, "dest")
        app, listed = f"{vendor}/app:2", f"{vendor}/list:2"
        yield (
            "pull small",
            lambda: (*TOOL, "pull", app, "--base", f"{vendor}/app:1", "-o", "out.tar", *pull),
        )
        yield "skopeo copy", lambda: (*fetch, f"docker://{app}", "oci:layout")
        yield (
            "pull --all, 4 platforms",
            lambda: (*TOOL, "pull", "--all", listed, "--base", f"{vendor}/list:1", "-o", "out.tar", *pull),
        )
        yield "skopeo copy --all", lambda: (*fetch, "--all", f"docker://{listed}", "oci:layout")
        yield "vet, 50 layers left out", lambda: (*TOOL, "vet", self._vetted, f"{customer}/fifty:2", *push)
        yield "push small", lambda: (*TOOL, "push", self._small, f"{customer}/{self._fresh()}/app:2", *push)
        small = self._layout("app", "2", "small")
        yield "skopeo copy to there", lambda: (*send, f"oci:{small}", f"docker://{customer}/{self._fresh()}/app:2")
        there = f"{customer}/{self._fresh()}/app:2"
        subprocess.run([*TOOL, "push", self._small, there, *push], check=True, stdout=subprocess.DEVNULL)
        yield "push again", lambda: (*TOOL, "push", self._small, there, *push)
        yield "skopeo copy again", lambda: (*send, f"oci:{small}", f"docker://{there}")
        yield "bundle pull of 10", lambda: (*TOOL, "pull", "--spec", str(self._spec), "-o", "out.tar", *pull)
        yield (
            "10 x skopeo copy",
            lambda: _shell(
                [(*fetch, f"docker://{vendor}/ten/n{each}:2", f"oci:layout{each}") for each in range(10)]
            ),
        )
        yield "bundle push of 10", lambda: (*TOOL, "push", self._bundle, f"{customer}/{self._fresh()}", *push)
        layouts = [self._layout(f"ten/n{each}", "2", f"ten{each}") for each in range(10)]

        def ten() -> Command:
            prefix = self._fresh()
            return _shell(
                [
                    (*send, f"oci:{layout}", f"docker://{customer}/{prefix}/n{each}:2")
                    for each, layout in enumerate(layouts)
                ]
            )

        yield "10 x skopeo copy to there", ten


def compare(folder: Path, link: Link, times: int, only: str = "") -> list[Row]:
    """Measure each command so many times, in turn."""
    with ExitStack() as stack:
        stack.enter_context(link)
        far = Far(folder, link, stack)
        rows = [(Row(name), make) for name, make in Work(far).rows() if re.search(only, name)]
        for _ in range(times):
            for row, make in rows:
                row.costs.append(far.measure(make()))
    return [row for row, _ in rows]


LEGEND = "trips: the wall time in round trips, without that of the bytes themselves at the link's rate"


def table(rows: Sequence[Row]) -> str:
    """Show medians."""
    columns = ("command", "wall", "trips", "connections", "tokens", "requests", "bytes")
    lines = [f"{columns[0]:<28}{columns[1]:>9}" + "".join(f"{column:>12}" for column in columns[2:])]
    for row in rows:
        whole = "".join(f"{row.median(what):>12.0f}" for what in columns[3:6])
        lines.append(
            f"{row.name:<28}{row.median('seconds'):>7.2f} s{row.median('trips'):>12.1f}{whole}"
            f"{row.median('carried') / _MB:>9.2f} MB"
        )
    return "\n".join(lines)


def chart(rows: Sequence[Row], link: Link) -> Chart:
    """Make wall times bars, each command with plain skopeo's below it."""
    bars: list[Bar] = []
    for row in rows:
        seconds, trips = row.median("seconds"), row.median("trips")
        plain = _PLAIN in row.name
        group = bars[-1].group if plain and bars else row.name
        series = PLAIN if plain else "skopeo-incremental"
        bars.append(Bar(row.name, round(seconds, 2), f"{seconds:.2f} s, {trips:.0f} round trips", series, group))
    rtt, rate = 1000 * link.rtt, link.rate / _MB
    return Chart(f"Time over a link of {rtt:.0f} ms and {rate:.0f} Mbit/s", "seconds (less is better)", bars)
