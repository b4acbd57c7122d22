"""A bundle that looks like a release, and a picture of the page about it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.support.browser import chromium, open_page
from tests.support.images import layer, platform, put_image, put_list
from tests.support.registry import Registry

TOOL = (sys.executable, "-m", "wrapper")
PLAIN = ("--base-tls-verify", "false", "--final-tls-verify", "false", "--quiet")
MEGABYTE = 1_000_000
WIDTH, HEIGHT = 1000, 830


def config(release: str, number: int, cpu: str | None) -> bytes:
    """Return a config that says what a build says."""
    labels = {
        "org.opencontainers.image.version": f"{release}.{number}.0",
        "org.opencontainers.image.revision": f"{number}c4e1d{release}",
    }
    created = f"2026-0{int(release) + 4}-1{number}T08:00:00Z"
    said = {"created": created, "config": {"Labels": labels}, "rootfs": {"type": "layers", "diff_ids": []}}
    return json.dumps(said | ({"architecture": cpu, "os": "linux"} if cpu else {})).encode()


def make_page(folder: Path) -> Path:
    """Make `release-2.tar` and its page in a folder, and return the page."""
    registry = Registry(folder / "registry").start()
    try:
        system, runtime = layer("system", 9 * MEGABYTE), layer("runtime", 5 * MEGABYTE)
        sizes = {"team/app": 2.4, "team/worker": 0.7, "team/web": 4.1, "charts/app": 0.04}
        for release in "12":
            for number, (name, size) in enumerate(sizes.items()):
                own = layer(f"{name}{release}", int(size * MEGABYTE))
                if name == "team/app":
                    leaves = [
                        (
                            put_image(
                                registry,
                                name,
                                None,
                                [system, layer(cpu, MEGABYTE), own],
                                config=config(release, number, cpu),
                            ),
                            platform(cpu),
                        )
                        for cpu in ("amd64", "arm64")
                    ]
                    put_list(registry, name, release, leaves)
                else:
                    is_chart = name.startswith("charts/")
                    layers = [own] if is_chart else [system, runtime, own]
                    said = config(release, number, None if is_chart else "amd64")
                    put_image(registry, name, release, layers, config=said)
            images = [
                {"name": f"{name}:{release}", "final": f"{registry.host}/{name}:{release}", "all": True}
                for name in sizes
            ]
            (folder / f"release-{release}.json").write_text(json.dumps({"images": images}))
        pull = (*TOOL, "pull", "--spec", "release-2.json", "--base-spec", "release-1.json", "-o", "release-2.tar")
        root = Path(__file__).parents[2]
        environment = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
        for command in ((*pull, *PLAIN), (*TOOL, "inspect", "release-2.tar", "--report", "release-2.html")):
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
    finally:
        registry.stop()
    return folder / "release-2.html"


def main(picture: Path) -> None:
    """Write a picture of the page's beginning; few colours keep it small."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        shot = open_page(browser, make_page(Path(folder)), WIDTH, HEIGHT).screenshot()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(64).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
