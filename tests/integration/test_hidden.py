"""A registry that hides what does not exist from whoever may not push, and makes it for whoever may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.front import Asked, Front, Given, Hiding
from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry


@pytest.fixture
def target(tool: Tool, vendor: Registry) -> str:
    """A repository that does not exist yet, for `whole.tar` and `x.tar`, which leaves out a layer."""
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "2", [layer("a"), layer("b")])
    one, two = f"{vendor.host}/{repository}:1", f"{vendor.host}/{repository}:2"
    tool.good("pull", one, "-o", "whole.tar", *PLAIN_PULL)
    tool.good("pull", two, "-b", one, "-o", "x.tar", *PLAIN_PULL)
    return fresh("there")


def test_a_push_makes_the_repository(tool: Tool, customer: Registry, target: str) -> None:
    hiding = Hiding()
    with Front(hiding, customer) as front:
        there = f"{front.host}/{target}"
        pushed = tool.good("push", "whole.tar", f"{there}:1", "--json", *PLAIN_DEST)
        assert (pushed.json["changed"], pushed.json["previous_digest"]) == (True, None)
        assert f"this login may not see what docker://{there}:1 is now" in pushed.stderr
        assert hiding.created == [target]
        # From then on it can be seen.
        tool.good("vet", "x.tar", f"{there}:2", *PLAIN_DEST)
        tool.good("push", "x.tar", f"{there}:2", "--no-overwrite-tag", *PLAIN_DEST)
        assert tool.good("push", "x.tar", f"{there}:2", "--json", *PLAIN_DEST).json["changed"] is False
    assert customer.manifest(target, "2")


def test_a_bundle_of_new_repositories(tool: Tool, customer: Registry, vendor: Registry, target: str) -> None:
    repository = fresh()
    for tag in "12":
        put_image(vendor, repository, tag, [layer(tag)])
    spec = tool.home / "spec.json"
    images = [{"final": f"{vendor.host}/{repository}:{tag}", "name": f"n{tag}:1"} for tag in "12"]
    spec.write_text(json.dumps({"images": images}))
    tool.good("pull", "--spec", spec, "-o", "b.tar", *PLAIN_PULL)
    with Front(Hiding(), customer) as front:
        tool.good("push", "b.tar", f"{front.host}/{target}", *PLAIN_DEST)
    assert customer.manifest(f"{target}/n2", "1")


def test_nothing_but_a_push_makes_it(tool: Tool, customer: Registry, target: str) -> None:
    hiding = Hiding()
    with Front(hiding, customer) as front:
        there = f"{front.host}/{target}:2"
        words = ("denied", "-creds", "a push creates it")
        refused(tool("vet", "x.tar", there, "--json", *PLAIN_DEST), 5, *words)
        refused(tool("inspect", "x.tar", "--for", there, "--json", "--tls-verify=false"), 5, *words)
        refused(tool("push", "x.tar", there, "--dry-run", "--json", *PLAIN_DEST), 5, *words)
        refused(tool("push", "whole.tar", there, "--dry-run", "--json", *PLAIN_DEST), 5, "denied")
        assert tool("doctor", there, "--json", "--tls-verify=false").code == 5
        assert hiding.created == []
        # What must not be replaced must be seen.
        refused(tool("push", "whole.tar", there, "--no-overwrite-tag", "--json", *PLAIN_DEST), 5, "denied")
        assert hiding.created == []


def test_a_repository_that_is_known_not_to_exist_is_not_asked_for_layers(tool: Tool, target: str) -> None:
    unknown = b'{"errors": [{"code": "NAME_UNKNOWN", "message": "repository not found"}]}'

    def rule(asked: Asked) -> Given:
        known = asked.path == "/v2/"
        return Given(200 if known else 404, b"{}" if known else unknown, {"Content-Type": "application/json"})

    with Front(rule) as front:
        ran = tool("vet", "x.tar", f"{front.host}/{target}:2", "--json", *PLAIN_DEST)
        refused(ran, 3)
        assert len(ran.json["missing"]) == 1
        assert front.requests("HEAD") == []


def test_who_may_not_push_is_told_so(tool: Tool, customer: Registry, target: str) -> None:
    with Front(Hiding(creators=False), customer) as front:
        ran = tool("push", "whole.tar", f"{front.host}/{target}:1", "--json", *PLAIN_DEST)
        refused(ran, 5, "--dest-creds")
    assert customer.manifest(target, "1") is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_whatever_a_look_at_the_tag_is_refused_with(
    tool: Tool, customer: Registry, target: str, status: int
) -> None:
    """The first look only: what was pushed can be seen."""
    looks: list[Asked] = []

    def rule(asked: Asked) -> Given | None:
        if asked.method == "GET" and "/manifests/" in asked.path and not looks:
            looks.append(asked)
            return Given(status, b"<html>no</html>", {"Content-Type": "text/html"})
        return None

    with Front(rule, customer) as front:
        tool.good("push", "whole.tar", f"{front.host}/{target}:1", *PLAIN_DEST)
    assert customer.manifest(target, "1")
