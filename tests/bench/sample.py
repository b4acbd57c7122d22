"""A bundle that looks like a release, for a picture of the page about it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.images import layer, platform, put_image, put_list
from tests.support.registry import Registry

TOOL = (sys.executable, "-m", "wrapper")
PLAIN = ("--base-tls-verify", "false", "--final-tls-verify", "false", "--quiet")
MEGABYTE = 1_000_000


def main(folder: Path) -> None:
    """Make `release-2.tar` and its page in a folder."""
    registry = Registry(folder / "registry").start()
    try:
        system, runtime = layer("system", 9 * MEGABYTE), layer("runtime", 5 * MEGABYTE)
        sizes = {"team/app": 2.4, "team/worker": 0.7, "team/web": 4.1, "charts/app": 0.04}
        for release in "12":
            for name, size in sizes.items():
                own = layer(f"{name}{release}", int(size * MEGABYTE))
                if name == "team/app":
                    leaves = [
                        (put_image(registry, name, None, [system, layer(cpu, MEGABYTE), own]), platform(cpu))
                        for cpu in ("amd64", "arm64")
                    ]
                    put_list(registry, name, release, leaves)
                else:
                    put_image(registry, name, release, [own] if "charts" in name else [system, runtime, own])
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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
