"""Repositories and tags that are called as failures are: a name is no reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry

# What else a message could be mistaken for, tests/unit/skopeo/test_messages.py has.
NAMES = (
    "denied",
    "404",
    "i/o/x509",
    "-".join(["certificate", *["denied"] * 30]),
)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_like_a_failure(tool: Tool, vendor: Registry, customer: Registry, name: str) -> None:
    repository, tag = f"{fresh()}/{name}", name.rpartition("/")[2][:128]
    put_image(vendor, repository, "1", [layer("a")])
    final = put_image(vendor, repository, tag, [layer("a"), layer("b")])
    here, there = f"{vendor.host}/{repository}", f"{customer.host}/{repository}"
    nothing = "that-is-not-there"
    # What is absent is absent.
    for absent in (f"{here}:{nothing}", f"{here}-x:{tag}"):
        refused(tool("pull", absent, "-o", "x.tar", "--json", *PLAIN_PULL), 5, absent, "check the name")
        refused(
            tool("pull", f"{here}:1", "-b", absent, "-o", "x.tar", "--json", *PLAIN_PULL),
            5,
            absent,
            "check the name",
        )
        assert tool("doctor", absent, "--json", "--tls-verify=false").code == 0
    # And no tag is in the way of a push, nor is a layer.
    tool.good("pull", f"{here}:1", "-o", "whole.tar", *PLAIN_PULL)
    tool.good("pull", f"{here}:{tag}", "-b", f"{here}:1", "-o", "x.tar", *PLAIN_PULL)
    assert tool("vet", "x.tar", f"{there}:{tag}", *PLAIN_DEST).code == 3
    assert tool("inspect", "x.tar", "--for", f"docker://{there}:{tag}", "--tls-verify=false").code == 3
    tool.good("push", "whole.tar", f"{there}:1", "--no-overwrite-tag", *PLAIN_DEST)
    tool.good("vet", "x.tar", f"{there}:{tag}", *PLAIN_DEST)
    tool.good("push", "x.tar", f"{there}:{tag}", *PLAIN_DEST)
    assert customer.manifest(repository, tag) == final.raw
