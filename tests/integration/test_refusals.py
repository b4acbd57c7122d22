"""What a registry, or a proxy before it, refuses: each with the next step that helps."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.front import Asked, Front, Given, crowded
from tests.support.images import digest_of, fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry

DENIED = b'{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}'
UNAUTHORIZED = b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}'
UNSUPPORTED = b'{"errors": [{"code": "UNSUPPORTED", "message": "The operation is unsupported."}]}'
JSON = {"Content-Type": "application/json"}
PAGE = {"Content-Type": "text/html"}


@pytest.fixture
def whole(tool: Tool, vendor: Registry) -> str:
    """An archive of one image, whole, and a repository for it."""
    repository = fresh()
    put_image(vendor, repository, "1", [layer(f"{repository} {number}") for number in range(3)])
    tool.good("pull", f"{vendor.host}/{repository}:1", "-o", "whole.tar", *PLAIN_PULL)
    return fresh("there")


@pytest.mark.parametrize(
    ("status", "only", "headers", "body", "step"),
    [
        (413, "PATCH ", PAGE, b"<html>413 Request Entity Too Large</html>", "client_max_body_size"),
        (413, "PUT .*/manifests/", PAGE, b"<html>413</html>", "client_max_body_size"),
        (403, "POST ", JSON, DENIED, "but not push"),
        (401, "POST ", JSON, UNAUTHORIZED, "but not push"),
        (401, "PUT .*/manifests/", JSON, UNAUTHORIZED, "but not push"),
        (405, "POST ", JSON, UNSUPPORTED, "pull-through"),
        (405, "POST ", PAGE, b"<html>405</html>", "pull-through"),
        (405, "PUT .*/manifests/", JSON, UNSUPPORTED, "pull-through"),
        (405, "HEAD .*/blobs/", JSON, b"", "HEAD"),
        (403, "HEAD .*/blobs/", JSON, b"", "redirects to"),
    ],
)
def test_a_refused_push(
    tool: Tool,
    customer: Registry,
    whole: str,
    status: int,
    only: str,
    headers: dict[str, str],
    body: bytes,
    step: str,
) -> None:
    with Proxy(customer.host).answer(status, only=only, headers=headers, body=body) as proxy:
        ran = tool("push", "whole.tar", f"{proxy.host}/{whole}:1", "--json", *PLAIN_DEST)
    refused(ran, 5, step)
    assert customer.manifest(whole, "1") is None


def test_a_proxy_that_drops_repeated_headers(tool: Tool, customer: Registry, whole: str) -> None:
    def rule(asked: Asked) -> None:
        if accepted := asked.headers.get_all("Accept"):
            del asked.headers["Accept"]
            asked.headers["Accept"] = next(each for each in accepted if "docker" in each)

    with Front(rule, customer) as front:
        there = f"{front.host}/{whole}:1"
        # A push does not need them.
        pushed = tool.good("push", "whole.tar", there, *PLAIN_DEST)
        assert "can't be read back: a proxy drops" in pushed.stderr
        assert customer.manifest(whole, "1")
        refused(tool("pull", there, "-o", "x.tar", "--json", *PLAIN_PULL), 5, "Accept headers")
        refused(tool("push", "whole.tar", there, "--no-overwrite-tag", "--json", *PLAIN_DEST), 5, "Accept headers")


def test_where_layers_are_kept_is_named(tool: Tool, customer: Registry) -> None:
    repository = fresh()
    put_image(customer, repository, "1", [layer("a")])

    def away(asked: Asked) -> Given | None:
        elsewhere = {"Location": "http://storage.invalid/bucket/x?signed=1"}
        return Given(307, b"", elsewhere) if asked.method == "GET" and "/blobs/" in asked.path else None

    def forbidden(asked: Asked) -> Given | None:
        if asked.path == "/bucket":
            return Given(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
        elsewhere = {"Location": f"http://{asked.headers['Host']}/bucket"}
        return Given(307, b"", elsewhere) if asked.method == "GET" and "/blobs/" in asked.path else None

    for rule, words in ((away, "storage.invalid"), (forbidden, "redirects to")):
        with Front(rule, customer) as front:
            ran = tool("pull", f"{front.host}/{repository}:1", "-o", "x.tar", "--json", *PLAIN_PULL)
            refused(ran, 5, words)


@pytest.mark.parametrize("status", [403, 401, 500])
def test_a_refusal_among_other_answers(tool: Tool, customer: Registry, whole: str, status: int) -> None:
    """One layer is missing, another is there, and to ask for the third is refused."""
    repository = fresh()
    layers = [layer(f"{repository} {number}", 50) for number in range(3)]
    base = put_image(customer, repository, "1", layers)
    put_image(customer, repository, "2", [*layers, layer("b")])
    here = f"{customer.host}/{repository}"
    tool.good("pull", f"{here}:2", "-b", f"{here}:1", "-o", "x.tar", *PLAIN_PULL)
    missing, there, wrong = sorted(base.layers)
    put_image(customer, whole, "1", [each for each in layers if digest_of(each) == there])
    assert missing
    with Proxy(customer.host).answer(status, only=f"HEAD .*{wrong}", headers=JSON) as proxy:
        ran = tool("vet", "x.tar", f"{proxy.host}/{whole}:2", "--json", *PLAIN_DEST)
        refused(ran, 5, wrong)
        assert "no such file" not in ran.json["error"]["message"]
        proxy.answers.clear()
        # Once is bad luck.
        proxy.answer(status, 1, only=f"HEAD .*{wrong}", headers=JSON)
        assert tool("vet", "x.tar", f"{proxy.host}/{whole}:2", *PLAIN_DEST).code == 3


def test_a_registry_that_lets_in_few_at_a_time(tool: Tool, customer: Registry) -> None:
    repository, there = fresh(), fresh("there")
    layers = [layer(f"{repository} {number}", 50) for number in range(40)]
    put_image(customer, repository, "1", layers)
    put_image(customer, there, "1", layers)
    leaves = [
        (put_image(customer, repository, None, [*layers, layer(f"{repository}{name}")], arch=name), platform(name))
        for name in "abcd"
    ]
    put_list(customer, repository, "2", leaves)
    here = f"{customer.host}/{repository}"
    with Front(crowded(1), customer) as front:
        busy = f"{front.host}/{repository}"
        # Manifests side by side, six layers at a time, and several platforms: all of it one after the other.
        tool.good("pull", f"{busy}:1", "-o", "w.tar", *PLAIN_PULL)
        tool.good("pull", f"{busy}:2", "--all", "-b", f"{here}:1", "-o", "x.tar", *PLAIN_PULL)
        vetted = tool.good("vet", "x.tar", f"{front.host}/{there}:2", "--json", *PLAIN_DEST)
        assert vetted.json["missing"] == []
        tool.good("push", "x.tar", f"{front.host}/{there}:2", *PLAIN_DEST)
    assert customer.manifest(there, "2")


@pytest.mark.parametrize("only", ["POST ", "PATCH ", "PUT .*/manifests/", "GET .*/manifests/", "HEAD .*/blobs/"])
def test_a_registry_that_wants_fewer_requests(tool: Tool, customer: Registry, whole: str, only: str) -> None:
    # skopeo itself tries six times where it sends nothing, as soon as it is told to.
    times = 2 if only in ("PATCH ", "PUT .*/manifests/") else 7
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 0.2s, allowed: 5/minute"}]}'
    headers = JSON | {"Retry-After": "0"}
    with Proxy(customer.host).answer(429, times, only=only, headers=headers, body=body) as proxy:
        push = ("push", "whole.tar", f"{proxy.host}/{whole}:1", "--json", *PLAIN_DEST)
        tool.good(*push, "--retry-times", "5", "--retry-delay", "0.01")
        assert proxy.answers[0].times == 0
    assert customer.manifest(whole, "1")


def test_how_long_a_registry_wants_us_to_wait_counts(tool: Tool, customer: Registry, whole: str) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 2s"}]}).encode()
    # The first time is not counted: it is tried again with one connection.
    with Proxy(customer.host).answer(429, only="PATCH ", headers=JSON, body=body) as proxy:
        push = ("push", "whole.tar", f"{proxy.host}/{whole}:1", "--json", *PLAIN_DEST)
        refused(tool(*push), 5, "limits requests", "--retry-times")
        begun = time.monotonic()
        refused(tool(*push, "--retry-times", "1", "--retry-delay", "0.01"), 5, "limits requests")
        assert time.monotonic() - begun > 2
