"""Answers of a registry that have no end: they are ended while they come, and nothing of them stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.endless import Endless, Framing
from tests.support.images import digest_of, fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused
from wrapper import Access, ContentError, Writer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry

SMALL = {"sha256:" + "a" * 64: 2000}
BOUND = 1_000_000_000
"""More is not even sent: what arrives between two looks, and what waits in the kernel, is less on any machine."""
FRAMINGS: list[Framing] = ["chunked", "length", "close"]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("how", [(), ("--no-preserve-digests",), ("--retry-times", "2"), ("--cache-dir", "cache")])
def test_a_layer_in_a_pull(tool: Tool, framing: Framing, how: tuple[str, ...]) -> None:
    with Endless("layer", framing, SMALL) as registry:
        ran = tool("pull", f"{registry.host}/app:1", "-o", "o.tar", "--json", *PLAIN_PULL, *how)
        refused(ran, 4, f"cannot fetch docker://{registry.host}/app@sha256:", "arrived", "tell the people who run")
        assert registry.sent < BOUND
    assert "trying again" not in ran.stderr
    assert not (tool.home / "o.tar").exists()
    assert tool.leftovers() == []


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_layer_of_a_base_in_a_push(tool: Tool, vendor: Registry, customer: Registry, framing: Framing) -> None:
    repository, target, shared = fresh(), fresh("there"), layer("shared")
    put_image(vendor, repository, "1", [shared])
    put_image(vendor, repository, "2", [shared, layer(repository)])
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    tool.good("pull", two, "-b", one, "-o", "o.tar", *PLAIN_PULL)
    with Endless("layer", framing, {digest_of(shared): len(shared)}) as registry:
        refused(
            tool(
                "push", "o.tar", f"{customer.host}/{target}:2", "-b", f"{registry.host}/app:1",
                "--base-tls-verify", "false", "--json", *PLAIN_DEST,
            ),
            4, f"docker://{registry.host}/app@sha256:", "arrived",
        )  # fmt: skip
        assert registry.sent < BOUND
    assert customer.manifest(target, "2") is None
    assert tool.leftovers() == []


@pytest.mark.parametrize("to", ["oci", "oci-archive", "dir"])
def test_a_layer_for_a_writer(tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plain = Access(tls_verify=False)
    with Endless("layer", "chunked", SMALL) as registry, Endless("none", "close", {}) as base:
        writer = Writer(f"{base.host}/base:1", f"{to}:{tmp_path}/there", from_access=plain)
        with pytest.raises(ContentError, match="arrived"):
            writer.copy(f"{registry.host}/app:1", plain)
        assert registry.sent < BOUND
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("what", ["manifest", "404", "403"])
def test_a_manifest_or_an_error(tool: Tool, what: str, framing: Framing) -> None:
    """skopeo bounds a manifest, but reads an error whole, into memory."""
    with Endless(what, framing, SMALL) as registry:
        ran = tool("pull", f"{registry.host}/app:1", "-o", "o.tar", "--json", *PLAIN_PULL)
        refused(ran, 4, f"cannot read docker://{registry.host}/app:1")
        assert registry.sent < BOUND
    assert tool.leftovers() == []


def test_a_config(tool: Tool) -> None:
    with Endless("config", "chunked", {}) as registry:
        refused(
            tool("pull", f"{registry.host}/app:1", "-o", "o.tar", "--json", *PLAIN_PULL),
            4, f"cannot fetch docker://{registry.host}/app@sha256:",
        )  # fmt: skip
        assert registry.sent < BOUND
    assert tool.leftovers() == []
