"""Images of a Helm chart, a folder or a `.tgz`: rendered by helm, or as far as the chart itself names them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from ..errors import ContentError, host_errors
from .chart import CHART, LOCK, absent_from, first_document, images_in_chart, images_in_lock, read_chart
from .documents import STREAM_BYTES, documents_in
from .kubernetes import images_in as images_in_manifests
from .packed import files_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .hints import Finding

RENDER_SECONDS = 120
"""How long helm may take."""

_DEPTH = 4
_SAID_BYTES = 2000
_RENDER_IT = "render it with your values, and give that: helm template NAME CHART -f VALUES > rendered.yaml"


def is_chart(path: Path) -> bool:
    """Say whether a folder is a chart."""
    return (path / CHART).is_file()


def images_in(path: Path) -> Iterator[Finding]:
    """Yield the images of a chart, and warnings about what is not known.

    Args:
        path: a folder with `Chart.yaml`, or a chart as `helm package` packs it.

    Raises:
        ContentError: it is no chart, or breaks a bound; or helm can't render it.
        HostError: it can't be read.
    """
    locks: list[tuple[str, object]] = []
    charts: list[tuple[str, dict[str, Any]]] = []
    for what, raw in _documents(path, _DEPTH):
        if what.endswith(LOCK):
            locks.append((what, first_document(raw, what)))
        else:
            charts.append((what, read_chart(raw, what)))
    if not charts:
        raise ContentError(f"{path} is not a Helm chart: it has no {CHART}")
    if _is_library(charts):
        return
    if helm := shutil.which("helm"):
        yield f"{path}: rendered with the chart's default values; to use others, {_RENDER_IT}"
        for value, where, repeated in documents_in(_render(helm, path), f"{path} (rendered)"):
            yield from repeated
            yield from images_in_manifests(value, where)
    else:
        yield f"{path}: helm is not installed: only the images that the chart lists are taken; or {_RENDER_IT}"
        for name in absent_from(chart for _, chart in charts):
            yield f"{path}: it depends on the chart {name:.100}, which is not in charts/: its images are not known"
        for what, chart in charts:
            yield from images_in_chart(chart, what)
    for what, lock in locks:
        yield from images_in_lock(lock, what)


def _is_library(charts: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    """Say whether the outermost chart is a part for others, which helm does not render."""
    _, outermost = min(charts, key=lambda each: each[0].count("/"))
    return outermost.get("type") == "library"


def _render(helm: str, path: Path) -> bytes:
    """Return a chart's manifests with its default values; helm reaches no cluster for them."""
    command = [helm, "template", "release", str(path.absolute())]
    with (
        tempfile.TemporaryFile() as said,
        host_errors("cannot run helm"),
        subprocess.Popen(  # noqa: S603 - no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as running,
    ):
        assert running.stdout  # noqa: S101 - it is a pipe
        clock = threading.Timer(RENDER_SECONDS, running.kill)
        clock.start()
        whole = False
        try:
            raw = running.stdout.read(STREAM_BYTES + 1)
            whole = len(raw) <= STREAM_BYTES
        finally:
            clock.cancel()
            if not whole:
                running.kill()
        code = running.wait()
        said.seek(0)
        reason = said.read(_SAID_BYTES).decode(errors="replace").strip()
    if code == -signal.SIGKILL and whole:
        raise ContentError(
            f"helm was ended while it rendered {path}: it may take {RENDER_SECONDS} seconds", _RENDER_IT
        )
    if code and whole:
        raise ContentError(f"helm can't render {path}: {reason or f'it ended with {code}'}", _RENDER_IT)
    return raw


def _documents(path: Path, depth: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a chart, and the charts in it, say of themselves: name and bytes of each file.

    Charts that are deeper are not looked for: a link may lead back.
    """
    with host_errors(f"cannot read {path}"):
        if path.is_file():
            with path.open("rb") as file:
                yield from files_in(file, str(path), depth)
            return
        for name in (CHART, LOCK):
            if (path / name).is_file():
                with (path / name).open("rb") as file:
                    yield str(path / name), file.read(STREAM_BYTES + 1)
        charts = path / "charts"
        for each in sorted(charts.iterdir()) if charts.is_dir() else ():
            if depth and (is_chart(each) or each.suffix == ".tgz"):
                yield from _documents(each, depth - 1)
