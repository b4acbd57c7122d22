"""Bases that keep layers unpacked, or compressed in another way: changes are as small, and arrive."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.images import digest_of, fresh, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, refused
from tests.support.world import files, tar
from wrapper.delta.artifact import LayerDelta
from wrapper.delta.packing import zstd
from wrapper.oci.manifest import unnamed_layer
from wrapper.source.stores import BlobFolder
from wrapper.source.unpacked import KnownContents, Unpacked

if TYPE_CHECKING:
    from tests.support.images import Image
    from tests.support.registry import Registry
    from tests.support.stores import Store
    from tests.support.tool import Tool

SYSTEM = "/usr/bin/skopeo"


class Site:
    """Two releases at a vendor's, each of one layer; the old one is also in places that keep layers unpacked."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry, request: pytest.FixtureRequest) -> None:
        self.tool, self.vendor, self.customer, self.at = tool, vendor, customer, fresh("unpacked")
        self._request = request
        old = files(self.at)
        self.old, self.new = tar(old), tar({**old, "file3": b"changed" * 90})
        self.images: dict[str, Image] = {}
        for tag, content in (("1", self.old), ("2", self.new)):
            self.images[tag] = put_image(vendor, self.at, tag, [gzip.compress(content, 6, mtime=0)])

    def base(self, kind: str) -> tuple[str, ...]:
        """Put the old release into a place, and return the options that name it."""
        name = f"localhost/{self.at}:1"
        if kind == "docker-archive":
            self.put(f"docker-archive:{self.tool.home}/old.tar:{name}")
            return (f"docker-archive:{self.tool.home}/old.tar",)
        # The store is the daemon's, too.
        host = self._request.getfixturevalue("daemon")[0] if kind == "docker-daemon" else ""
        self.put(self.stored("1"))
        return (f"docker-daemon:{name}", "--base-daemon-host", host) if host else (self.stored("1"),)

    def put(self, place: str, tag: str = "1") -> None:
        copy = [SYSTEM, "copy", "--src-tls-verify=false", self.here(tag, "docker://"), place]
        subprocess.run(copy, check=True, capture_output=True)

    @property
    def store(self) -> Store:
        stores: list[Store] = self._request.getfixturevalue("stores")
        return stores[0]

    def here(self, tag: str, transport: str = "") -> str:
        return f"{transport}{self.vendor.host}/{self.at}:{tag}"

    def there(self, tag: str) -> str:
        return f"{self.customer.host}/{self.at}:{tag}"

    def stored(self, tag: str) -> str:
        return self.store.reference(f"{self.at}:{tag}")

    def pull(self, *base: str) -> Any:
        wanted = ("--base", *base, "--delta", "-o", "2.tar", "--json")
        (layer,) = self.tool.good("pull", self.here("2"), *wanted, *PLAIN_PULL).json["layers"]
        return layer

    def put_old(self, layer: bytes) -> None:
        rootfs = {"type": "layers", "diff_ids": [digest_of(self.old)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
        put_image(self.customer, self.at, "1", [layer], config=config)

    def arrived(self) -> bool:
        return self.customer.manifest(self.at, "2") == self.images["2"].raw


@pytest.fixture
def site(tool: Tool, vendor: Registry, customer: Registry, request: pytest.FixtureRequest) -> Site:
    return Site(tool, vendor, customer, request)


@pytest.mark.parametrize("kind", ["containers-storage", "docker-archive", "docker-daemon"])
def test_a_change_is_as_small(site: Site, kind: str) -> None:
    """As from a registry's base; and a site that has the old release in its registry takes it."""
    from_registry = site.pull(site.here("1"))["delta"]
    layer = site.pull(*site.base(kind))
    assert layer["travels"] == "change"
    assert layer["delta"]["size"] <= from_registry["size"] + 20
    site.put_old(gzip.compress(site.old, 6, mtime=0))
    if kind == "containers-storage":
        # It knows what registries call its layers.
        assert layer["delta"]["sources"] == from_registry["sources"]
        site.tool.good("push", "2.tar", site.there("2"), *PLAIN_DEST)
    else:
        assert layer["delta"]["sources"] == [digest_of(site.old)]
        refused(site.tool("push", "2.tar", site.there("2"), *PLAIN_DEST, "--json"), 3, "--base")
        base = ("--base", site.there("1"), "--base-tls-verify", "false")
        vetted = site.tool.good("vet", "2.tar", site.there("2"), *base, *PLAIN_DEST, "--json").json
        assert vetted["missing"] == []
        site.tool.good("push", "2.tar", site.there("2"), *base, *PLAIN_DEST)
    assert site.arrived()
    assert site.tool.leftovers() == []


@pytest.mark.parametrize("kind", ["containers-storage", "docker-archive", "docker-daemon"])
def test_a_layer_is_made_from_what_a_site_has_unpacked(site: Site, kind: str) -> None:
    """The archive names a layer of a registry; here is only what it holds."""
    site.pull(site.here("1"))
    refused(site.tool("push", "2.tar", site.there("2"), *PLAIN_DEST, "--json"), 3)
    base = site.base(kind)
    site.tool.good("push", "2.tar", site.there("2"), "--base", *base, *PLAIN_DEST)
    assert site.arrived()
    (site.tool.home / "whole.tar").unlink(missing_ok=True)
    site.tool.good("complete", "2.tar", "--base", *base, "-o", "whole.tar")
    whole = hashlib.sha256((site.tool.home / "whole.tar").read_bytes()).hexdigest()
    site.tool.good("pull", site.here("2"), "-o", "again.tar", *PLAIN_PULL)
    assert hashlib.sha256((site.tool.home / "again.tar").read_bytes()).hexdigest() == whole


def test_podman_is_updated_beside_itself(site: Site) -> None:
    """No registry at all: the old image is in the store, the new one comes there."""
    site.pull(*site.base("containers-storage"))
    # Under another name it is not looked for.
    other = site.store.reference("another:2")
    refused(site.tool("push", "2.tar", other, "--json"), 3)
    assert site.tool.good("vet", "2.tar", other, "--base", site.stored("1"), "--json").json["missing"] == []
    site.tool.good("push", "2.tar", site.stored("2"))
    assert f"localhost/{site.at}:2" in site.store.images()
    assert site.tool.leftovers() == []


@pytest.mark.parametrize(
    "compress",
    [lambda data: zlib.compress(data, 9, 31), lambda data: zstd.compress(data, 3), bytes],
    ids=["another level", "zstd", "not at all"],
)
def test_a_site_whose_layers_are_compressed_otherwise(site: Site, compress: Any) -> None:
    site.pull(site.here("1"))
    site.put_old(compress(site.old))
    base = ("--base", site.there("1"), "--base-tls-verify", "false")
    site.tool.good("push", "2.tar", site.there("2"), *base, *PLAIN_DEST)
    assert site.arrived()
    # From a disk, too.
    site.tool.good("pull", site.there("1"), "-o", "old.oci", *PLAIN_PULL)
    site.tool.good("complete", "2.tar", "--base", "oci-archive:old.oci", "-o", "whole.tar")


def test_bases_that_lie(site: Site) -> None:
    """A config says that a layer holds what it does not: exit 4, and nothing is written."""
    site.pull(site.here("1"))
    site.put_old(gzip.compress(tar(files("others")), mtime=0))
    watch = site.customer.watch()
    base = ("--base", site.there("1"), "--base-tls-verify", "false")
    refused(site.tool("push", "2.tar", site.there("2"), *base, *PLAIN_DEST, "--json"), 4)
    assert watch.writes() == []


def test_a_base_that_lies_about_one_of_several_layers(site: Site) -> None:
    """What it holds is looked at before anything is sent, other layers too."""
    other = gzip.compress(tar(files("another layer")), mtime=0)
    layers = [gzip.compress(site.new, 6, mtime=0), other]
    put_image(site.vendor, site.at, "3", layers)
    pull = ("pull", site.here("3"), "--base", site.here("1"), "--delta", "-o", "3.tar", *PLAIN_PULL)
    site.tool.good(*pull)
    site.put_old(gzip.compress(bytes(len(site.old)), mtime=0))
    watch = site.customer.watch()
    base = ("--base", site.there("1"), "--base-tls-verify", "false")
    refused(site.tool("push", "3.tar", site.there("3"), *base, *PLAIN_DEST, "--json"), 4, "as its config says")
    assert watch.writes() == []


def test_files_are_named_from_here(site: Site) -> None:
    site.base("docker-archive")
    site.pull("docker-archive:old.tar")
    site.tool.good("push", "2.tar", site.there("2"), "--base", "docker-archive:old.tar", *PLAIN_DEST)
    assert site.arrived()
    wanted = ("--base", "docker-archive:nowhere.tar", "--delta", "-o", "x.tar", "--json")
    refused(site.tool("pull", site.here("2"), *wanted, *PLAIN_PULL), 2, "nowhere.tar")


def test_a_layer_that_comes_twice(site: Site, stores: list[Store]) -> None:
    """As empty ones do."""
    empty = gzip.compress(tar({}), mtime=0)
    for tag, content in (("e1", site.old), ("e2", site.new)):
        put_image(site.vendor, site.at, tag, [empty, gzip.compress(content, 6, mtime=0), empty])
    place = stores[1].reference(f"{site.at}:e1")
    site.put(place, "e1")
    wanted = ("--base", place, "--delta", "-o", "e2.tar", "--json")
    layers = site.tool.good("pull", site.here("e2"), *wanted, *PLAIN_PULL).json["layers"]
    assert [layer["travels"] for layer in layers if layer["where"] == "delta"] == ["change"]


def test_bundles_fetch_a_layer_once(site: Site) -> None:
    """Whatever it is called there."""
    put_image(site.vendor, site.at + "b", "2", [gzip.compress(site.new, 6, mtime=0)])
    spec = {
        "images": [
            {"name": f"{name}:2", "final": f"{site.vendor.host}/{at}:2", "base": [site.here("1")]}
            for name, at in (("one", site.at), ("two", site.at + "b"))
        ],
        "defaults": {"delta": True},
    }
    (site.tool.home / "spec.json").write_text(json.dumps(spec))
    site.tool.good("pull", "--spec", "spec.json", "-o", "bundle.tar", *PLAIN_PULL)
    site.put_old(zlib.compress(site.old, 9, 31))
    watch = site.customer.watch()
    base = ("--base", site.there("1"), "--base-tls-verify", "false")
    site.tool.good("push", "bundle.tar", f"{site.customer.host}/{site.at}/mirror", *base, *PLAIN_DEST)
    assert watch.blobs().count(digest_of(zlib.compress(site.old, 9, 31))) == 1


def test_what_older_versions_made_wants_the_layer_itself() -> None:
    delta = LayerDelta("sha256:new", 5, "sha256:change", 3, {"sha256:old": 4}, ())
    known = KnownContents({"sha256:new": delta})
    known.add(Unpacked(BlobFolder(Path()), ("sha256:old",), {"sha256:old": 4}))
    known.add_others({"sha256:old": unnamed_layer("sha256:other", 4)})
    assert delta.is_format_1
    assert known.size("sha256:old") is None
    assert known.other("sha256:old") is None


def test_without_changes_they_are_of_no_use(site: Site) -> None:
    site.tool.good("pull", site.here("2"), "--base", site.here("1"), "-o", "2.tar", *PLAIN_PULL)
    for kind in ("containers-storage", "docker-archive", "docker-daemon"):
        ran = site.tool("push", "2.tar", site.there("2"), "--base", f"{kind}:x:1", *PLAIN_DEST, "--json")
        refused(ran, 2, kind, "no compressed layers")
