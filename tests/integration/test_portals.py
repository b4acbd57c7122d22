"""What answers yes to everything is no registry: nothing is pushed there, and nothing is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.front import Asked, Front, Given
from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.registry import Registry

PAGE = Given(200, b"<html><title>Please log in</title></html>", {"Content-Type": "text/html"})


def _login(asked: Asked) -> Given:
    return (
        PAGE if asked.path == "/login" else Given(302, b"", {"Location": f"http://{asked.headers['Host']}/login"})
    )


def _with_length(asked: Asked) -> Given:
    """Any blob is there, with a length; the rest is a page."""
    blob = asked.method == "HEAD" and "/blobs/" in asked.path
    return Given(200, b"", {"Content-Length": "1234"}) if blob else PAGE


def _takes_all(asked: Asked) -> Given:
    """No tag is there, but every blob; and whatever is sent is taken."""
    if asked.method == "GET" and "/manifests/" in asked.path:
        return Given(404, b"{}")
    return Given({"PUT": 201, "POST": 202, "PATCH": 202}.get(asked.method, 200), b"", {"Location": asked.path})


PORTALS: dict[str, Callable[[Asked], Given]] = {
    "a page": lambda _: PAGE,
    "nothing at all": lambda _: Given(200),
    "JSON": lambda _: Given(200, b'{"status": "ok"}', {"Content-Type": "application/json"}),
    "not an object": lambda _: Given(200, b"[]", {"Content-Type": "application/json"}),
    "a redirect to a login": _login,
    "blobs with a length": _with_length,
    "takes all": _takes_all,
}


def test_a_portal_is_no_registry(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "2", [layer("a"), layer("b")])
    two, one = f"{vendor.host}/{repository}:2", f"{vendor.host}/{repository}:1"
    tool.good("pull", two, "-o", "whole.tar", *PLAIN_PULL)
    tool.good("pull", two, "-b", one, "-o", "x.tar", *PLAIN_PULL)
    for kind in PORTALS:
        _refuse_portal(tool, kind, two)
    assert tool.leftovers() == []


def _refuse_portal(tool: Tool, kind: str, two: str) -> None:
    with Front(PORTALS[kind]) as front:
        there = f"{front.host}/app:2"
        words = (front.host, "not a registry")
        refused(tool("vet", "x.tar", there, "--json", *PLAIN_DEST), 5, *words)
        refused(tool("inspect", "x.tar", "--for", there, "--json", "--tls-verify=false"), 5, *words)
        refused(tool("push", "x.tar", there, "--json", *PLAIN_DEST), 5, *words)
        refused(tool("push", "x.tar", there, "--dry-run", "--json", *PLAIN_DEST), 5, *words)
        refused(tool("push", "whole.tar", there, "--json", *PLAIN_DEST), 5, *words)
        if kind != "takes all":
            pulled = tool("pull", two, "-b", there, "-o", "y.tar", "--json", *PLAIN_PULL)
            refused(pulled, 4, there, f"https://{front.host}/v2/")
            doctor = tool("doctor", there, "--json", "--tls-verify=false")
            assert doctor.code == 5
            (found,) = (each for each in doctor.json["findings"] if each["check"] == "registry")
            assert found["status"] == "error"
            assert "not a registry" in found["message"]
            assert found["next"]


def test_a_web_server_that_knows_nothing_is_no_registry(tool: Tool) -> None:
    with Front(lambda _: Given(404, b"<html>nothing here</html>", {"Content-Type": "text/html"})) as front:
        ran = tool("doctor", f"{front.host}/app:1", "--json", "--tls-verify=false")
        assert ran.code == 5
        assert "not a registry" in str(ran.json["findings"])


def test_each_vet_asks_for_something_else_that_cannot_exist(
    tool: Tool, vendor: Registry, customer: Registry
) -> None:
    """A server that learns what is asked for has not seen it."""
    repository = fresh()
    layers = [layer(f"{repository} {number}", 50) for number in range(25)]
    put_image(vendor, repository, "1", layers)
    base = put_image(customer, repository, "1", layers)
    put_image(vendor, repository, "2", [*layers, layer("b")])
    here = f"{vendor.host}/{repository}"
    tool.good("pull", f"{here}:2", "-b", f"{here}:1", "-o", "x.tar", *PLAIN_PULL)
    watch = customer.watch()
    for _ in range(2):
        tool.good("vet", "x.tar", f"{customer.host}/{repository}:2", *PLAIN_DEST)
    asked = watch.blobs("HEAD")
    impossible = [digest for digest in asked if digest not in base.layers]
    # One for each of two vets.
    assert len(impossible) == len(set(impossible)) == 2


@pytest.mark.parametrize("preserve", [True, False])
def test_what_was_sent_is_read_back(tool: Tool, customer: Registry, preserve: bool) -> None:
    other = put_image(customer, fresh(), "1", [layer("other")])

    def rule(asked: Asked) -> Given | None:
        """Take the manifest, and keep it away from the registry: as before, the tag is another image's."""
        if "/manifests/" in asked.path and asked.method == "PUT":
            return Given(201, b"", {"Location": asked.path})
        if "/manifests/" in asked.path:
            return Given(200, other.raw, {"Content-Type": other.media_type})
        return None

    repository = fresh()
    put_image(customer, repository, "1", [layer("a")])
    tool.good("pull", f"{customer.host}/{repository}:1", "-o", "x.tar", *PLAIN_PULL)
    flags = [] if preserve else ["--no-preserve-digests"]
    with Front(rule, customer) as front:
        there = f"{front.host}/{fresh('there')}:1"
        ran = tool("push", "x.tar", there, "--json", *PLAIN_DEST, *flags)
        refused(ran, 5, there, "but the registry returns", other.digest)


def test_what_is_there_already_is_not_read_twice(tool: Tool, customer: Registry) -> None:
    repository = fresh()
    put_image(customer, repository, "1", [layer("a")])
    there = f"{customer.host}/{repository}:1"
    tool.good("pull", there, "-o", "x.tar", *PLAIN_PULL)
    watch = customer.watch()
    assert json.loads(tool.good("push", "x.tar", there, "--json", *PLAIN_DEST).stdout)["changed"] is False
    assert len(watch.requests("GET")) == 1
