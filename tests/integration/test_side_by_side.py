"""Many things at a time: none is in another's way, and what ends one ends what it must, and no more."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.front import Front, crowded
from tests.support.images import fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused
from tests.support.world import zipped

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.release import Release


@pytest.mark.parametrize("more", [(), ("--jobs", "1")])
def test_to_fail_fast_is_to_write_nothing_and_to_say_why(release: Release, more: tuple[str, ...]) -> None:
    release.pull("1")
    release.push("1.tar", "--only", "team/two", "--only", "team/many", "--only", "chart")
    release.pull("2", "--base", "oci-archive:1.tar")
    watch = release.customer.watch()
    into = f"docker://{release.customer.host}/{release.prefix}"
    ran = release.tool("push", "2.tar", into, "--json", "--fail-fast", *more, *PLAIN_DEST)
    assert ran.code == 3, ran.stderr
    assert len(ran.json["outcomes"]) == len(release.names("2"))
    # None of them is there, and who reads this must not believe it.
    assert all(each["error"] for each in ran.json["outcomes"])
    assert len(ran.json["failures"]) < len(ran.json["outcomes"])
    shown = release.tool("push", "2.tar", into, "--fail-fast", *more, *PLAIN_DEST)
    assert "already there" not in shown.text
    assert shown.stderr.count("error: not pushed, as another image of the bundle failed") == 1
    assert "leave out --fail-fast" in shown.stderr
    assert watch.writes() == []


@pytest.mark.parametrize("more", [("--jobs", "1"), ("--retry-times", "2", "--retry-delay", "0.1")])
def test_a_crowded_registry(tool: Tool, customer: Registry, more: tuple[str, ...]) -> None:
    repository, there = fresh(), fresh("there")
    layers = [layer(f"{repository} {number}", 50) for number in range(40)]
    for at in (repository, there):
        put_image(customer, at, "1", layers)
    leaves = [
        (put_image(customer, repository, None, [*layers, layer(f"{repository}{name}")], arch=name), platform(name))
        for name in "abcd"
    ]
    put_list(customer, repository, "2", leaves)
    with Front(crowded(1), customer) as front:
        image, target = f"{front.host}/{repository}", f"{front.host}/{there}:2"
        tool.good("pull", f"{image}:2", "--all", "-b", f"{image}:1", "-o", "x.tar", *more, *PLAIN_PULL)
        tool.good("vet", "x.tar", target, *more, *PLAIN_DEST)
        tool.good("push", "x.tar", target, *more, *PLAIN_DEST)


def test_a_skopeo_that_is_too_old_writes_nothing(release: Release) -> None:
    release.pull("1")
    old = release.tool.spy('[ "$1" != --version ] || { sleep 0.3; echo "skopeo version 1.8.0"; exit 0; }')
    watch = release.customer.watch()
    into = f"docker://{release.customer.host}/{release.prefix}"
    refused(release.tool("push", "1.tar", into, "--json", "--skopeo", old, *PLAIN_DEST), 6, "too old")
    assert watch.writes() == []


def test_a_signal_ends_a_pause_in_a_thread(tool: Tool, customer: Registry) -> None:
    repository = fresh()
    put_image(customer, repository, "1", [layer("a")])
    put_image(customer, repository, "2", [layer("a"), layer("b")])
    image = f"{customer.host}/{repository}"
    tool.good("pull", f"{image}:2", "-b", f"{image}:1", "-o", "x.tar", *PLAIN_PULL)
    command = (
        str(tool.program),
        "push",
        "x.tar",
        "127.0.0.1:1/there:2",
        "--retry-times",
        "5",
        "--retry-delay",
        "60",
    )
    with subprocess.Popen(
        [*command, *PLAIN_DEST], env=tool.environment, cwd=tool.home, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr
        while "trying again" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=600)
        assert running.returncode == 130


def changed(seed: str, end: str) -> bytes:
    return zipped({"file": random.Random(seed).randbytes(75_000).hex().encode() + end.encode() * 50})


def test_who_waits_for_a_layer_that_is_made_does_not_hang(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at, site = fresh(), fresh("site")
    names = ["a", "b", "c", "d", "e", "f"]
    for name in names:
        for tag in "12":
            put_image(vendor, f"{at}/{name}", tag, [changed(name, tag)])
        put_image(customer, f"{site}/{name}", "1", [changed(name, "1")])
    for tag in "12":
        images = [{"name": f"{name}:{tag}", "final": f"{vendor.host}/{at}/{name}:{tag}"} for name in names]
        (tool.home / f"{tag}.json").write_text(json.dumps({"images": images}))
    specs = ("--spec", "2.json", "--base-spec", "1.json")
    pulled = tool.good("pull", *specs, "--delta", "-o", "2.tar", "--json", *PLAIN_PULL).json
    assert pulled["layers_delta"] == len(names)
    # Each takes four seconds, and nothing moves of the others meanwhile.
    with Proxy(customer.host, bytes_per_second=20_000) as proxy:
        tool.good("push", "2.tar", f"{proxy.host}/{site}", "--timeout", "18", *PLAIN_DEST)


def test_a_config_that_goes_ahead_holds_up_nothing(tool: Tool, customer: Registry) -> None:
    repository = fresh()
    image = put_image(customer, repository, "1", [layer("a"), layer("b")])
    tool.good("pull", f"{customer.host}/{repository}:1", "-o", "x.tar", *PLAIN_PULL)
    # The runs that ask for layers have --debug.
    slow = tool.spy('case "$*" in *--version*|*--debug*) ;; *" oci:probe"*) sleep 3000 ;; *) sleep 0.4 ;; esac')
    target = fresh("there")
    tool.good("push", "x.tar", f"{customer.host}/{target}:1", "--skopeo", slow, *PLAIN_DEST)
    assert customer.manifest(target, "1") == image.raw
