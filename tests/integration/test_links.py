"""Bad links: what is worth another try is tried again, what is not ends at once, and nothing hangs."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.images import Image, fresh, layer, put_image
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.registry import Registry

AGAIN = ("--retry-times", "2", "--retry-delay", "0.05")
LAYERS = 20
LAYER_BYTES = 100_000


class Release:
    """An image at the vendor's, the archive of its difference, and a customer who has its base."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.repository, self.target = fresh(), fresh("there")
        base = put_image(vendor, self.repository, "1", [layer("base")])
        put_image(customer, self.target, "1", [layer("base")])
        self.image = put_image(
            vendor, self.repository, "2", [layer("base"), layer(self.repository, 400_000), layer(self.target)]
        )
        self.omitted = base.layers[0]
        self.archive: Path = tool.home / "good.tar"
        self.pull = ("-b", f"{vendor.host}/{self.repository}:1", *PLAIN_PULL)
        tool.good("pull", f"{vendor.host}/{self.repository}:2", "-o", self.archive, *self.pull)


@pytest.fixture
def release(tool: Tool, vendor: Registry, customer: Registry) -> Release:
    return Release(tool, vendor, customer)


@pytest.fixture
def many(vendor: Registry) -> tuple[str, Image]:
    repository = fresh("many")
    return repository, put_image(
        vendor, repository, "1", [layer(f"{repository}{number}", LAYER_BYTES) for number in range(LAYERS)]
    )


@pytest.mark.parametrize("tenth", [10, 13])
def test_a_line_that_is_cut_again_and_again(
    tool: Tool, vendor: Registry, many: tuple[str, Image], tenth: int
) -> None:
    repository, image = many
    with Proxy(vendor.host, cut_after=tenth * LAYER_BYTES) as proxy:
        ran = tool.good(
            "pull", f"{proxy.host}/{repository}:1", "-o", "o.tar", "--retry-times", "2", "--retry-delay", "0.05",
            "--json", *PLAIN_PULL,
        )  # fmt: skip
        assert proxy.cuts >= LAYERS // tenth
        assert ran.json["digest"] == image.digest
        assert proxy.bytes_down <= 1.2 * ran.json["archive"]["size"]
    # Newer versions of skopeo pick up some of the layers by themselves.
    assert ran.stderr.count("trying again") <= 3 * proxy.cuts


def test_without_retries_a_cut_ends_it(tool: Tool, vendor: Registry, many: tuple[str, Image]) -> None:
    with Proxy(vendor.host, cut_after=5 * LAYER_BYTES) as proxy:
        refused(tool("pull", f"{proxy.host}/{many[0]}:1", "-o", "o.tar", "--json", *PLAIN_PULL), 5, "--retry-times")
        # It had six connections to lose.
        assert proxy.cuts <= 6
    assert list(tool.home.iterdir()) == []


PULLS = ("GET .*/manifests/2", "GET .*/blobs/", "GET /v2/$")
PUSHES = ("HEAD .*/blobs/", "POST ", "(PATCH|PUT) .*/uploads/", "PUT .*/manifests/")


def through(proxy: Proxy, tool: Tool, release: Release, only: str, *more: str) -> Any:
    if only in PULLS:
        return tool(
            "pull", f"{proxy.host}/{release.repository}:2", "-o", "o.tar", "--json", *release.pull, *AGAIN, *more
        )
    return tool("push", release.archive, f"{proxy.host}/{release.target}:2", "--json", *PLAIN_DEST, *AGAIN, *more)


def registry_for(only: str, vendor: Registry, customer: Registry) -> str:
    return (vendor if only in PULLS else customer).host


@pytest.mark.parametrize("only", PULLS + PUSHES)
def test_what_may_pass_is_tried_again(
    tool: Tool, vendor: Registry, customer: Registry, release: Release, only: str
) -> None:
    with Proxy(registry_for(only, vendor, customer)) as proxy:
        # skopeo 1.18 tries some of these again by itself.
        proxy.answer(503, 2, only=only)
        ran = through(proxy, tool, release, only)
        assert ran.code == 0, ran.stderr
        assert ran.json["digest"] == release.image.digest
        assert re.search(r"503.*trying again in \d\.\d s \(1 of 2\)", ran.stderr) or only == "GET .*/blobs/"


@pytest.mark.parametrize("only", PULLS + PUSHES)
def test_the_tries_come_to_an_end(
    tool: Tool, vendor: Registry, customer: Registry, release: Release, only: str
) -> None:
    with Proxy(registry_for(only, vendor, customer)) as proxy:
        proxy.answer(500, only=only)
        ran = through(proxy, tool, release, only)
        refused(ran, 5, "500")
        assert ran.stderr.count("trying again") == 2
    assert customer_has_nothing(customer, release)


def customer_has_nothing(customer: Registry, release: Release) -> bool:
    return customer.manifest(release.target, "2") is None


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("only", ["GET .*/manifests/2", "PUT .*/manifests/"])
def test_what_will_not_pass_is_not(
    tool: Tool, vendor: Registry, customer: Registry, release: Release, status: int, only: str
) -> None:
    with Proxy(registry_for(only, vendor, customer)) as proxy:
        proxy.answer(status, only=only, headers={"Retry-After": "1"})
        ran = through(proxy, tool, release, only)
        refused(ran, 5)
        assert "trying again" not in ran.stderr


def test_too_many_requests_for_a_while(tool: Tool, vendor: Registry, customer: Registry, release: Release) -> None:
    for only in ("GET .*/blobs/", "HEAD .*/blobs/"):
        with Proxy(registry_for(only, vendor, customer)) as proxy:
            proxy.answer(429, 1, only=only, headers={"Retry-After": "1"})
            assert through(proxy, tool, release, only).code == 0


def test_a_flipped_bit_is_bad_content_and_not_tried_again(tool: Tool, vendor: Registry, release: Release) -> None:
    with Proxy(vendor.host, flip=1000, flip_times=None) as proxy:
        ran = through(proxy, tool, release, "GET .*/blobs/")
        refused(ran, 4, release.image.digest)
        assert "trying again" not in ran.stderr
    assert [path.name for path in tool.home.iterdir()] == ["good.tar"]


@pytest.mark.parametrize("only", ["GET .*/manifests/2", "GET .*/blobs/", "HEAD .*/blobs/", "PUT .*/uploads/"])
def test_nothing_hangs(tool: Tool, vendor: Registry, customer: Registry, release: Release, only: str) -> None:
    stalls = {
        "GET .*/manifests/2": 200,
        "GET .*/blobs/": 100_000,
        "HEAD .*/blobs/": 400,
        "PUT .*/uploads/": 100_000,
    }
    with Proxy(registry_for(only, vendor, customer), stall_after=stalls[only]) as proxy:
        kind = only if only in PULLS else PUSHES[0]
        ran = through(proxy, tool, release, kind, "--timeout", "1", "--retry-times", "0")
        refused(ran, 5)
    assert customer_has_nothing(customer, release)
    assert tool.leftovers() == []
    assert [path.name for path in tool.home.iterdir()] == ["good.tar"]


def test_a_stalled_copy_is_tried_again(tool: Tool, vendor: Registry, release: Release) -> None:
    with Proxy(vendor.host, stall_after=100_000) as proxy:

        def end_the_stall() -> None:
            while not proxy.stalled:
                time.sleep(0.01)
            time.sleep(1.5)
            proxy.resume()

        ending = threading.Thread(target=end_the_stall)
        ending.start()
        ran = through(proxy, tool, release, "GET .*/blobs/", "--timeout", "1")
        ending.join()
    assert ran.code == 0, ran.stderr
    assert "nothing moved for 1 s; trying again" in ran.stderr


@pytest.mark.parametrize("way", ["pull", "push"])
def test_slow_is_not_stalled(tool: Tool, vendor: Registry, customer: Registry, way: str) -> None:
    repository = fresh("large")
    # More than the kernel holds of a connection: what is in there was read, and has not moved.
    put_image(vendor, repository, "1", [layer(repository, 16_000_000)])
    pull = ("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL)
    tool.good(*pull)
    with Proxy((vendor if way == "pull" else customer).host, bytes_per_second=4_000_000) as proxy:
        begun = time.monotonic()
        if way == "pull":
            tool.good("pull", f"{proxy.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL, "--timeout", "3")
        else:
            tool.good("push", "o.tar", f"{proxy.host}/{fresh('slow')}:1", *PLAIN_DEST, "--timeout", "3")
        assert time.monotonic() - begun > 3


@pytest.fixture
def cut_push(
    tool: Tool, vendor: Registry, customer: Registry, many: tuple[str, Image]
) -> Iterator[tuple[Proxy, tuple[str, ...], str]]:
    """A push of twenty layers through a line that drops once, half-way, and the repository that it goes to."""
    tool.good("pull", f"{vendor.host}/{many[0]}:1", "-o", "o.tar", *PLAIN_PULL)
    target = fresh("there")
    with Proxy(customer.host, cut_after_up=12 * LAYER_BYTES, cut_times=1) as proxy:
        yield proxy, ("push", "o.tar", f"{proxy.host}/{target}:1", "--json", *PLAIN_DEST), target


def test_a_push_that_was_cut_sends_the_rest(
    tool: Tool, customer: Registry, many: tuple[str, Image], cut_push: tuple[Proxy, tuple[str, ...], str]
) -> None:
    proxy, push, target = cut_push
    image = many[1]
    refused(tool(*push), 5, "--retry-times")
    assert customer.manifest(target, "1") is None
    sent = [digest for digest in image.layers if customer.has_blob(target, digest)]
    assert sent
    proxy.recount()
    tool.good(*push)
    assert proxy.bytes_up < (LAYERS - len(sent) + 0.5) * LAYER_BYTES
    assert customer.manifest(target, "1") == image.raw


def test_a_push_tries_again_by_itself(
    tool: Tool, customer: Registry, many: tuple[str, Image], cut_push: tuple[Proxy, tuple[str, ...], str]
) -> None:
    proxy, push, target = cut_push
    ran = tool.good(*push, *AGAIN)
    assert proxy.cuts == 1
    assert ran.stderr.count("trying again") == 1
    # Twenty layers, and those that were on their way when the line dropped.
    assert proxy.bytes_up < (LAYERS + 7) * LAYER_BYTES
    assert customer.manifest(target, "1") == many[1].raw


def test_a_registry_that_goes_away(tool: Tool, vendor: Registry, release: Release) -> None:
    refused(tool("pull", "127.0.0.1:1/app:1", "-o", "o.tar", "--json"), 5, "no server listens")
    ran = tool("pull", "127.0.0.1:1/app:1", "-o", "o.tar", "--json", *AGAIN)
    refused(ran, 5, "no server listens")
    assert ran.stderr.count("trying again") == 2
