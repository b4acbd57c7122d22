"""The cache of layers: a pull that is repeated fetches only the rest, and gets nothing bad from it."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.images import Image, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry

SIZE = 100_000
CACHE = ("--cache-dir", "cache")


@pytest.fixture
def image(vendor: Registry) -> tuple[str, Image]:
    """Twelve layers, the first of which the base has."""
    repository = fresh("cached")
    layers = [layer(f"{repository}{number}", SIZE) for number in range(12)]
    put_image(vendor, repository, "1", layers[:1])
    return repository, put_image(vendor, repository, "2", layers)


def pull(host: str, repository: str, output: str = "o.tar", *more: str) -> tuple[str, ...]:
    return (
        "pull",
        f"{host}/{repository}:2",
        "-b",
        f"{host}/{repository}:1",
        "-o",
        output,
        *PLAIN_PULL,
        *CACHE,
        *more,
    )


def entries(tool: Tool) -> dict[str, bytes]:
    """What the cache holds; every entry is whole."""
    found = {f"sha256:{path.name}": path.read_bytes() for path in (tool.home / "cache/sha256").iterdir()}
    assert all(digest_of(data) == digest for digest, data in found.items())
    return found


def test_a_second_pull_fetches_no_layer(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    tool.good(*pull(vendor.host, image[0]))
    # What the base has was a placeholder.
    assert sorted(entries(tool)) == sorted(image[1].layers[1:])
    watch = vendor.watch()
    tool.good(*pull(vendor.host, image[0], "again.tar"))
    assert [digest for digest in watch.blobs() if digest in image[1].layers] == []
    assert (tool.home / "again.tar").read_bytes() == (tool.home / "o.tar").read_bytes()


def test_a_pull_that_failed_goes_on(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    with Proxy(vendor.host, cut_after=7 * SIZE) as proxy:
        for _ in range(20):
            ran = tool(*pull(proxy.host, image[0], "o.tar", "--json"))
            if ran.code == 0:
                break
            refused(ran, 5)
            entries(tool)
        assert ran.code == 0
        # Six layers are on their way at once: what a cut takes is not more than those.
        assert proxy.bytes_down < 11 * SIZE + (proxy.cuts + 1) * 6 * SIZE
    assert ran.json["digest"] == image[1].digest
    assert not set(image[1].layers[:1]) & entries(tool).keys()


def test_a_pull_that_was_killed_goes_on(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    with Proxy(vendor.host, bytes_per_second=6 * SIZE) as proxy:
        running = subprocess.Popen(
            [*tool.command, *pull(proxy.host, image[0])],
            env=tool.environment,
            cwd=tool.home,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not list(tool.home.glob("cache/sha256/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
    kept = entries(tool)
    assert kept
    watch = vendor.watch()
    tool.good(*pull(vendor.host, image[0]))
    assert not set(watch.blobs()) & kept.keys()


def test_a_damaged_entry_is_dropped_with_a_warning(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    tool.good(*pull(vendor.host, image[0]))
    first = (tool.home / "o.tar").read_bytes()
    bad = image[1].layers[3]
    path = tool.home / "cache/sha256" / bad.removeprefix("sha256:")
    path.unlink()
    path.write_bytes(b"not what it says")
    watch = vendor.watch()
    ran = tool.good(*pull(vendor.host, image[0]))
    assert f"warning: the cached copy of {bad} is damaged" in ran.stderr
    assert [digest for digest in watch.blobs() if digest in image[1].layers] == [bad]
    assert (tool.home / "o.tar").read_bytes() == first
    assert bad in entries(tool)


def test_the_least_recently_used_go_first(tool: Tool, vendor: Registry) -> None:
    repositories = [fresh("lru") for _ in range(3)]
    images = [put_image(vendor, name, "2", [layer(name, SIZE)]) for name in repositories]
    for position in (0, 1, 0, 2):
        tool.good(
            "pull", f"{vendor.host}/{repositories[position]}:2", "-o", "o.tar", *PLAIN_PULL, *CACHE,
            "--cache-max-size", "0.25M",
        )  # fmt: skip
    assert sorted(entries(tool)) == sorted([*images[0].layers, *images[2].layers])


def test_a_layer_that_is_too_large_for_it_is_not_kept(
    tool: Tool, vendor: Registry, image: tuple[str, Image]
) -> None:
    tool.good(*pull(vendor.host, image[0], "o.tar", "--cache-max-size", "1k"))
    assert entries(tool) == {}
    refused(
        tool(*pull(vendor.host, image[0], "o.tar", "--cache-max-size", "some", "--json")), 2, "--cache-max-size"
    )


def test_many_runs_share_it(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    running = [
        subprocess.Popen(
            [*tool.command, *pull(vendor.host, image[0], f"{number}.tar", "--cache-max-size", "0.5M")],
            env=tool.environment, cwd=tool.home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )
        for number in range(5)
    ]  # fmt: skip
    for each in running:
        _, said = each.communicate(timeout=600)
        assert each.returncode == 0, said.decode()
    assert len({(tool.home / f"{number}.tar").read_bytes() for number in range(5)}) == 1
    assert sum(map(len, entries(tool).values())) <= 500_000


def test_layers_are_not_copied_on_one_file_system(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    """Where layers wait to be streamed, what has arrived is one file under two names."""
    with Proxy(vendor.host, bytes_per_second=6 * SIZE) as proxy:
        running = subprocess.Popen(
            [*tool.command, *pull(proxy.host, image[0], "-")],
            env=tool.environment,
            cwd=tool.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        links: set[int] = set()
        while running.poll() is None:
            for path in tool.home.glob("cache/sha256/*"):
                links.add(path.stat().st_nlink)
            time.sleep(0.02)
    assert running.returncode == 0
    assert 2 in links
    assert {path.stat().st_nlink for path in tool.home.glob("cache/sha256/*")} == {1}


def test_a_cache_that_cannot_be_made(tool: Tool, vendor: Registry, image: tuple[str, Image]) -> None:
    ran = tool(*pull(vendor.host, image[0], "o.tar", "--json", "--cache-dir", "/proc/none"))
    refused(ran, 6, "/proc/none")


def test_a_layer_of_several_platforms_is_taken_once(tool: Tool, vendor: Registry) -> None:
    repository = fresh("list")
    leaves = [
        put_image(vendor, repository, None, [layer(repository, SIZE), layer(repository + arch, SIZE)], arch=arch)
        for arch in ("amd64", "arm64")
    ]
    image = put_list(
        vendor,
        repository,
        "2",
        [(leaf, platform(arch)) for leaf, arch in zip(leaves, ("amd64", "arm64"), strict=True)],
    )
    command = ("pull", f"{vendor.host}/{repository}:2", "--all", "-o", "o.tar", "--json", *PLAIN_PULL, *CACHE)
    assert tool.good(*command).json["digest"] == image.digest
    first = (tool.home / "o.tar").read_bytes()
    watch = vendor.watch()
    tool.good(*command)
    assert not set(watch.blobs()) & {digest for leaf in leaves for digest in leaf.layers}
    assert Path(tool.home / "o.tar").read_bytes() == first
