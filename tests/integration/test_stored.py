"""Archives that are stored in a registry: others read them there, and get what a disk would have brought."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.archives import members_of
from tests.support.images import Image, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, refused, skopeo
from tests.support.world import World

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.tool import Tool

PLAIN_SRC = ("--src-tls-verify", "false", "--insecure-policy")
STORED = "application/vnd.skopeo-incremental.archive.v1"


@pytest.fixture
def world(tool: Tool, vendor: Registry, customer: Registry) -> World:
    return World(tool, vendor, customer)


def sha256(world: World, name: str) -> str:
    return hashlib.sha256((world.tool.home / name).read_bytes()).hexdigest()


def store(world: World, name: str, tag: str, *options: str) -> dict[str, object]:
    ran = world.tool.good("push", name, world.reference(tag), "--as-delta", "--json", *options, *PLAIN_DEST)
    return ran.json  # type: ignore[no-any-return]


def test_a_site_two_releases_behind_reads_it_from_the_registry(world: World) -> None:
    """One push; and what is fetched for it is what the archive has."""
    world.deliver("1")
    world.pull("3", "--delta", base="1")
    archive = members_of(world.tool.home / "3.tar")
    said = store(world, "3.tar", "3-from-1")
    assert said["changed"] is True
    assert said["destination"] == f"docker://{world.reference('3-from-1')}"
    raw = world.vendor.manifest(world.at, "3-from-1") or b""
    manifest = json.loads(raw)
    assert said["digest"] == digest_of(raw)
    assert manifest["artifactType"] == STORED
    assert manifest["subject"]["digest"] == world.images["3"].digest
    blobs = {name.rpartition("/")[2]: data for name, data in archive.items() if name.startswith("blobs/")}
    sent = {each["digest"].removeprefix("sha256:"): each["size"] for each in manifest["layers"]}
    assert sent == {name: len(data) for name, data in blobs.items()} | {
        hashlib.sha256(archive["index.json"]).hexdigest(): len(archive["index.json"])
    }
    sum_before = sha256(world, "3.tar")
    (world.tool.home / "3.tar").unlink()
    here = f"docker://{world.reference('3-from-1')}"
    watch = world.vendor.watch()
    pushed = world.tool.good(
        "push", here, world.there("3"), "--expect-sha256", sum_before, "--json", *PLAIN_SRC, *PLAIN_DEST
    ).json
    assert pushed["changed"] is True
    assert world.arrived("3")
    # All of it, and nothing else.
    assert set(watch.blobs()) == {each["digest"] for each in [manifest["config"], *manifest["layers"]]}
    assert world.tool.leftovers() == []


def test_all_that_reads_archives_reads_it(world: World) -> None:
    world.deliver("1")
    world.pull("2", "--delta", base="1")
    store(world, "2.tar", "2-from-1")
    here = f"docker://{world.reference('2-from-1')}"
    for command in (("inspect", "{}"), ("vet", "{}")):
        near = world.tool.good(*(word.format("2.tar") for word in command), "--json").json
        far = world.tool.good(*(word.format(here) for word in command), "--json", *PLAIN_SRC).json
        assert far == near
    assert world.tool.good("vet", here, world.there("2"), "--json", *PLAIN_SRC, *PLAIN_DEST).json["missing"] == []
    base = ("--base", world.reference("1"), "--base-tls-verify", "false")
    world.tool.good("complete", here, *base, "-o", "whole.tar", *PLAIN_SRC)
    world.pull("2")
    assert sha256(world, "whole.tar") == sha256(world, "2.tar")


def test_whole_archives_come_back_as_they_were(world: World) -> None:
    """With what Docker reads in them."""
    world.pull("1")
    assert "manifest.json" in members_of(world.tool.home / "1.tar")
    store(world, "1.tar", "whole")
    here = f"docker://{world.reference('whole')}"
    world.tool.good(
        "push", here, world.there("1"), "--expect-sha256", sha256(world, "1.tar"), *PLAIN_SRC, *PLAIN_DEST
    )
    assert world.arrived("1")
    # It may be stored elsewhere, as it is.
    elsewhere = world.there("copied")
    world.tool.good("push", here, elsewhere, "--as-delta", *PLAIN_SRC, *PLAIN_DEST)
    assert world.customer.manifest(world.at, "copied") == world.vendor.manifest(world.at, "whole")


def test_lists_travel_whole(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at = fresh()
    arches = ("amd64", "arm64")

    def put(registry: Registry, tag: str, *more: str) -> Image:
        images = [
            put_image(registry, at, None, [layer((at, arch, each)) for each in ("old", *more)], arch=arch)
            for arch in arches
        ]
        return put_list(
            registry, at, tag, [(each, platform(arch)) for each, arch in zip(images, arches, strict=True)]
        )

    for registry in (vendor, customer):
        put(registry, "1")
    whole = put(vendor, "2", "new")
    here = f"{vendor.host}/{at}"
    tool.good("pull", f"{here}:2", "--base", f"{here}:1", "--all", "-o", "2.tar", *PLAIN_PULL)
    tool.good("push", "2.tar", f"{here}:2-from-1", "--as-delta", *PLAIN_DEST)
    tool.good("push", f"docker://{here}:2-from-1", f"{customer.host}/{at}:2", *PLAIN_SRC, *PLAIN_DEST)
    assert customer.manifest(at, "2") == whole.raw


def test_the_list_of_referrers_grows(world: World) -> None:
    """Who looks for what belongs to an image finds its archives, beside what stood there before."""
    tag = world.images["3"].digest.replace(":", "-")
    other = put_image(world.vendor, world.at, None, [layer("a signature")])
    before = put_list(world.vendor, world.at, tag, [(other, None)])
    for base in "12":
        world.pull("3", "--delta", base=base)
        store(world, "3.tar", f"3-from-{base}")
    # Again, and under another tag: it stands there once.
    assert store(world, "3.tar", "3-from-2")["changed"] is False
    store(world, "3.tar", "again")
    entries = json.loads(world.vendor.manifest(world.at, tag) or b"")["manifests"]
    assert entries[:1] == json.loads(before.raw)["manifests"]
    stored = [digest_of(world.vendor.manifest(world.at, f"3-from-{base}") or b"") for base in "12"]
    assert [each["digest"] for each in entries[1:]] == stored
    # Only newer ones of skopeo keep it.
    assert {each.get("artifactType", STORED) for each in entries[1:]} == {STORED}


def test_a_list_of_referrers_that_skopeo_can_not_keep(world: World) -> None:
    """Then it stays, and the archive is stored all the same."""
    tag = world.images["1"].digest.replace(":", "-")
    other = put_image(world.vendor, world.at, None, [layer("a signature")])
    entry = {**other.descriptor(), "artifactType": "application/vnd.example", "unknown": {"field": 1}}
    media_type = "application/vnd.oci.image.index.v1+json"
    raw = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}).encode()
    world.vendor.put_manifest(world.at, tag, raw, media_type)
    world.pull("1")
    ran = world.tool.good("push", "1.tar", world.reference("stored"), "--as-delta", "--json", *PLAIN_DEST)
    assert ran.json["changed"] is True
    now = world.vendor.manifest(world.at, tag) or b""
    # Newer ones can, and nothing is lost.
    assert (now == raw) == ("does not list it" in ran.stderr)
    assert json.loads(now)["manifests"][0] == entry
    assert world.vendor.manifest(world.at, "stored")


def test_dry_runs_and_tags_that_stay(world: World) -> None:
    world.pull("1")
    watch = world.vendor.watch()
    assert store(world, "1.tar", "stored", "--dry-run")["changed"] is True
    assert watch.writes() == []
    store(world, "1.tar", "stored")
    world.pull("2")
    again = ("push", "2.tar", world.reference("stored"), "--as-delta", "--json", "--no-overwrite-tag", *PLAIN_DEST)
    watch = world.vendor.watch()
    refused(world.tool(*again), 5, "would be replaced")
    assert watch.writes() == []


def test_what_can_not_be_stored_or_read(world: World) -> None:
    world.pull("1")
    world.pull("2", base="1")
    as_delta = ("--as-delta", "--json", *PLAIN_DEST)
    refused(world.tool("push", "1.tar", "2.tar", world.reference("x"), *as_delta), 2, "one archive")
    refused(world.tool("push", "1.tar", "oci:layout", *as_delta), 2, "not a tag in a registry")
    pinned = f"{world.vendor.host}/{world.at}@{world.images['1'].digest}"
    refused(world.tool("push", "1.tar", pinned, *as_delta), 2, "not a tag in a registry")
    untagged = f"{world.vendor.host}/{world.at}"
    refused(world.tool("push", "1.tar", untagged, *as_delta), 2, "not a tag in a registry")
    for more in (("--receipt", "r.json"), ("--additional-tag", "x"), ("--only", "x"), ("--base", untagged)):
        refused(world.tool("push", "1.tar", world.reference("x"), *more, *as_delta), 2, "stored unchanged")
    refused(world.tool("push", "1.tar", world.reference("2"), *as_delta), 5, "is an image")
    assert world.vendor.manifest(world.at, "2") == world.images["2"].raw
    watch = world.customer.watch()
    for command in (("push", world.there("1")), ("vet",), ("vet", world.there("1"))):
        here = f"docker://{world.reference('1')}"
        ran = world.tool(command[0], here, *command[1:], "--json", *PLAIN_SRC, "--dest-tls-verify", "false")
        refused(ran, 2, "is not an archive", "--as-delta")
    missing = ("push", f"docker://{world.reference('nothing')}", world.there("1"), "--json")
    refused(world.tool(*missing, *PLAIN_SRC, "--dest-tls-verify", "false"), 5, "nothing")
    assert watch.writes() == []
    assert world.tool.leftovers() == []


def test_bundles_are_not_stored(world: World) -> None:
    spec = {"images": [{"name": "app:1", "final": world.reference("1")}]}
    (world.tool.home / "spec.json").write_text(json.dumps(spec))
    world.tool.good("pull", "--spec", "spec.json", "-o", "bundle.tar", *PLAIN_PULL)
    ran = world.tool("push", "bundle.tar", world.reference("x"), "--as-delta", "--json", *PLAIN_DEST)
    refused(ran, 2, "is a bundle")


def test_what_is_stored_is_no_signature(world: World) -> None:
    """Nor does it travel with what is one."""
    world.pull("3", "--delta", base="1")
    store(world, "3.tar", "3-from-1")
    signed = ("pull", world.reference("3"), "--with-signatures", "-o", "signed.tar", "--json", *PLAIN_PULL)
    refused(world.tool(*signed), 5, "no signature")
    tag = world.images["3"].digest.replace(":", "-")
    put_image(world.vendor, world.at, f"{tag}.sig", [layer("a signature")])
    world.tool.good(*signed)
    beside = [image["name"] for image in world.tool.good("inspect", "signed.tar", "--json").json["images"]]
    assert beside == ["3", f"{tag}.sig"]


def test_the_list_is_mended(world: World) -> None:
    """What a run could not write before its end, the next one does."""
    world.pull("3", "--delta", base="1")
    store(world, "3.tar", "3-from-1")
    tag = world.images["3"].digest.replace(":", "-")
    other = put_image(world.vendor, world.at, None, [layer("a signature")])
    put_list(world.vendor, world.at, tag, [(other, None)])
    assert store(world, "3.tar", "3-from-1")["changed"] is False
    assert len(json.loads(world.vendor.manifest(world.at, tag) or b"")["manifests"]) == 2


@pytest.mark.parametrize(
    "change",
    ["no index", "two indexes", "twice", "another index", "a blob less", "too long", "a long index", "a config"],
)
def test_hostile_ones(world: World, change: str) -> None:
    """Exit 4, and the destination is as it was."""
    world.deliver("1")
    world.pull("2", base="1")
    store(world, "2.tar", "2-from-1")
    document = json.loads(world.vendor.manifest(world.at, "2-from-1") or b"")
    layers = document["layers"]
    if change == "no index":
        layers[0]["mediaType"] = "text/plain"
    elif change == "two indexes":
        layers[1]["mediaType"] = layers[0]["mediaType"]
    elif change == "twice":
        layers.append(layers[1])
    elif change == "another index":
        layers[0]["mediaType"], layers[1]["mediaType"] = layers[1]["mediaType"], layers[0]["mediaType"]
    elif change == "too long":
        layers[1]["size"] = 10**17
    elif change == "a long index":
        layers[0]["size"] = 10**9
    elif change == "a config":
        document["config"]["size"] = 10**17
    else:
        layers.pop()
    world.vendor.put_manifest(world.at, "hostile", json.dumps(document).encode(), document["mediaType"])
    watch = world.customer.watch()
    push = ("push", f"docker://{world.reference('hostile')}", world.there("2"), "--json", *PLAIN_SRC, *PLAIN_DEST)
    refused(world.tool(*push), 4)
    assert watch.writes() == []


def test_plain_skopeo_moves_it(world: World) -> None:
    """It is an ordinary artifact: mirrors and copies know how to deal with it."""
    world.deliver("1")
    world.pull("2", "--delta", base="1")
    store(world, "2.tar", "2-from-1")
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    there = world.there("mirrored")
    skopeo("copy", "--preserve-digests", *plain, f"docker://{world.reference('2-from-1')}", f"docker://{there}")
    world.tool.good("push", f"docker://{there}", world.there("2"), *PLAIN_SRC, *PLAIN_DEST)
    assert world.arrived("2")
