"""Layers that travel as their change: made at pull, proved, applied at push, with every digest kept."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from tests.support import programs
from tests.support.archives import members_of, repack
from tests.support.changes import change, write_changes
from tests.support.images import Image, digest_of, fresh, platform, put_image, put_list
from tests.support.jars import jar, releases
from tests.support.stores import why_no_store
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, refused, skopeo
from tests.support.world import World, files, tar, zipped
from wrapper.delta.packing import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.registry import Registry
    from tests.support.release import Release


def test_a_change_travels_and_arrives(world: World) -> None:
    world.deliver("1")
    pulled = world.pull("2", "--delta", base="1")
    common, old = world.images["1"].layers
    new = world.images["2"].layers[1]
    assert (pulled["layers_new"], pulled["layers_delta"], pulled["layers_shared"]) == (1, 1, 1)
    assert [source["digest"] for source in pulled["delta_sources"]] == [old]
    (layer,) = (each for each in pulled["layers"] if each["where"] == "delta")
    assert layer["digest"] == new
    assert layer["delta"]["sources"] == [old]
    assert pulled["bytes_new"] == layer["delta"]["size"] < layer["size"] / 50
    assert pulled["archive"]["size"] < 30_000
    schema = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    schema.validate(pulled)
    schema.validate(world.tool.good("inspect", "2.tar", "--json").json)
    assert "layer's change" in world.tool.good("inspect", "2.tar").text
    assert world.tool.good("vet", "2.tar", world.there("2"), "--json", *PLAIN_DEST).json["missing"] == []
    watch = world.customer.watch()
    dry = world.tool.good("push", "2.tar", world.there("2"), "--dry-run", "--json", *PLAIN_DEST)
    assert dry.json["changed"]
    # Of what stays there, first bytes show that it is not lost.
    assert watch.blobs() == [common]
    pushed = world.tool.good("push", "2.tar", world.there("2"), "--json", *PLAIN_DEST).json
    assert pushed["digest"] == world.images["2"].digest
    # The old layer that is needed is read, with the config that skopeo wants, and nothing else is.
    assert set(watch.blobs()) == {common, old, world.images["1"].config}
    assert world.arrived("2")
    again = world.tool.good("push", "2.tar", world.there("2"), "--json", *PLAIN_DEST).json
    assert not again["changed"]
    assert world.tool.leftovers() == []


def test_what_changes_are_made_from_is_needed(world: World) -> None:
    """Each command says so, whoever is asked."""
    pulled = world.pull("2", "--delta", base="1")
    common, old = world.images["1"].layers
    needed, size = sorted((common, old)), sum(world.images["1"].sizes[each] for each in (common, old))
    assert [each["digest"] for each in pulled["omitted"]] == needed
    tool, empty, there = world.tool, world.there("2", fresh()), world.there("2")
    plain = ("--tls-verify", "false")

    vetted = tool.good("vet", "2.tar")
    assert "needs 2 layers that it leaves out or that changes are made from" in vetted.text
    inspected = tool.good("inspect", "2.tar", "--report", "page.html")
    assert f"older layer:    {old}" in inspected.text
    for ran in (pulled, *(tool.good(command, "2.tar", "--json").json for command in ("vet", "inspect"))):
        assert [each["digest"] for each in ran["omitted"]] == needed
        assert sum(each["size"] for each in ran["omitted"]) == size
        assert [each["digest"] for each in ran["delta_sources"]] == [old]
        assert (ran["layers_shared"], ran["layers_delta"]) == (1, 1)
    page = (tool.home / "page.html").read_text()
    assert "2 layers (" in page.partition('<p class="verdict needs">')[2].partition("</p>")[0]
    assert old in page.partition('id="sources"')[2]

    for command in (("vet",), ("push", "--dry-run"), ("push",)):
        ran = tool(*command, "2.tar", empty, "--json", *PLAIN_DEST)
        refused(ran, 3)
        assert [each["digest"] for each in ran.json["missing"]] == needed
    ran = tool("inspect", "2.tar", "--for", empty, "--report", "page.html", "--json", *plain)
    assert (ran.code, [each["digest"] for each in ran.json["missing"]]) == (3, needed)
    assert old in (tool.home / "page.html").read_text().partition('id="missing"')[2]
    assert "lacks 2 layers" in tool("inspect", "2.tar", "--for", empty, *plain).text

    world.deliver("1")
    assert "has every layer" in tool.good("inspect", "2.tar", "--for", there, *plain).text
    dry = tool.good("push", "2.tar", there, "--dry-run", "--json", *PLAIN_DEST).json
    assert [each["digest"] for each in dry["omitted"]] == needed
    assert "2 layers" in tool.good("push", "2.tar", there, "--dry-run", *PLAIN_DEST).text.partition("needed:")[2]
    # Who has the new layer needs none that it is made from.
    elsewhere = fresh()
    put_image(world.customer, elsewhere, "2", [world.common, zipped(world.contents["2"])])
    assert tool("inspect", "2.tar", "--for", world.there("2", elsewhere), *plain).code == 0


def test_what_an_archive_brings_or_makes_is_not_needed(world: World) -> None:
    world.pull("1")
    for old, new in zip("12", "23", strict=True):
        world.pull(new, "--delta", base=old)
    common, first = world.images["1"].layers
    push = ("push", "--dry-run", "--json")
    for archives, needed in (
        (("1.tar", "2.tar", "3.tar"), set()),
        (("2.tar", "3.tar"), {common, first}),
        (("3.tar",), {common, world.images["2"].layers[1]}),
    ):
        world.tool.good("push", "1.tar", "2.tar", "oci:full:2")
        ran = world.tool.good(*push, *archives, "oci:full:3").json
        assert {each["digest"] for each in ran["omitted"]} == needed
    # In one archive: there as it is, or left out for another reason, too.
    old, new = zipped({"old": b"old"}), digest_of(b"new")
    sized = {digest_of(old): len(old)}
    write_changes(world.tool.home / "a.tar", [change(new, sized)], old, layers=sized)
    assert world.tool.good("inspect", "a.tar", "--json").json["omitted"] == []
    assert "leaves no layer out" in world.tool.good("vet", "a.tar").text
    write_changes(world.tool.home / "b.tar", [change(new, sized)], layers=sized)
    assert [each["digest"] for each in world.tool.good("vet", "b.tar", "--json").json["omitted"]] == [*sized]
    assert "needs 1 layer that" in world.tool.good("vet", "b.tar").text


def test_the_same_pull_gives_the_same_bytes(world: World) -> None:
    world.pull("2", "--delta", base="1")
    first = (world.tool.home / "2.tar").read_bytes()
    assert not world.pull("2", "--delta", base="1")["changed"]
    assert (world.tool.home / "2.tar").read_bytes() == first


def test_dry_run_says_what_would_be_compared(world: World) -> None:
    watch = world.vendor.watch()
    planned = world.tool.good(
        "pull", world.reference("2"), "--base", world.reference("1"), "--delta", "--dry-run", "--json", *PLAIN_PULL
    ).json
    assert [each["digest"] for each in planned["delta_sources"]] == [world.images["1"].layers[1]]
    assert watch.blobs() == []


def test_old_layers_come_from_the_cache(world: World) -> None:
    world.pull("1", "--cache-dir", "cache")
    watch = world.vendor.watch()
    assert world.pull("2", "--delta", "--cache-dir", "cache", base="1")["layers_delta"] == 1
    assert not set(watch.blobs()) & set(world.images["1"].layers)


def test_local_bases_lend_old_layers(world: World) -> None:
    world.pull("1")
    first = world.pull("2", "--delta", base="1")["archive"]["sha256"]
    world.tool.good("push", "1.tar", "oci:layout:1")
    for base in ("oci-archive:1.tar", "oci:layout:1"):
        watch = world.vendor.watch()
        assert world.pull("2", "--delta", "--base", base)["archive"]["sha256"] == first
        assert not set(watch.blobs()) & set(world.images["1"].layers)
    # These know which layers the other side has, and have none of them.
    raw = world.tool.home / "1.json"
    raw.write_bytes(world.images["1"].raw)
    pulled = world.pull("2", "--delta", "--base", f"manifest:{raw}")
    assert [layer["travels"] for layer in pulled["layers"]] == [None, "repacked"]
    assert pulled["delta_sources"][0]["digest"] == world.images["1"].layers[1]


def test_what_does_not_save_enough_travels_whole(world: World) -> None:
    assert world.pull("2", "--delta", "--delta-min-saving", "99.99", base="1")["layers_delta"] == 0
    plain = (world.tool.home / "2.tar").read_bytes()
    world.pull("2", base="1")
    assert (world.tool.home / "2.tar").read_bytes() == plain
    assert world.pull("2", "--delta", "--delta-memory", "100k", base="1")["layers_delta"] == 0


def test_why_a_layer_travels_whole_is_said(world: World) -> None:
    def reasons(tag: str, *options: str) -> list[str]:
        return [layer["reason"] for layer in world.pull(tag, "--delta", *options, base="1")["layers"][1:]]

    (little,) = reasons("2", "--delta-min-saving", "99.99")
    assert "no saving: its change would save" in little
    for options in (["--delta-memory", "100k"], ["--delta-memory", "100k", "--dry-run"]):
        (memory,) = reasons("2", *options)
        assert "too large for the allowed memory" in memory
    broken = b"\x1f\x8b\x08" + random.Random(world.at).randbytes(60_000)
    # Its content is longer than that of any real layer.
    long = gzip.compress(bytes(100 << 20), 9, mtime=0)
    config = b'{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'
    put_image(world.vendor, world.at, "odd", [world.common, b"short", broken, long], config=config)
    short, format_, content = reasons("odd")
    assert "it is short" in short
    assert "its format is not understood" in format_
    assert "it is too large: its content takes more than" in content
    text = world.tool.good(
        "pull", world.reference("odd"), "-b", world.reference("1"), "--delta", "-o", "o.tar", *PLAIN_PULL
    ).text
    assert all(reason in text for reason in (short, format_, content))


def test_bases_that_only_serve_to_make_changes_are_no_useless_ones(world: World) -> None:
    for tag in "12":
        put_image(world.vendor, world.at, f"alone-{tag}", [zipped(world.contents[tag])])
    said = "no base has a layer of"

    def warnings(*options: str) -> list[str]:
        return [line for line in world.pull("alone-2", *options, base="alone-1")["warnings"] if said in line]

    assert len(warnings()) == 1
    assert warnings("--delta") == warnings("--delta", "--dry-run") == []
    # Nothing was made from it.
    assert len(warnings("--delta", "--delta-min-saving", "99.99")) == 1


def test_the_destination_lacks_the_old_layer(world: World) -> None:
    world.pull("2", "--delta", base="1")
    watch = world.customer.watch()
    ran = world.tool("push", "2.tar", world.there("2"), "--json", *PLAIN_DEST)
    refused(ran, 3)
    missing = {each["digest"] for each in ran.json["missing"]}
    assert missing == set(world.images["1"].layers)
    assert watch.writes() == []
    # A base, here or there, helps out; only what is needed is read of it.
    world.pull("1")
    elsewhere = fresh()
    world.tool.good("push", "2.tar", world.there("2", elsewhere), "--base", "oci-archive:1.tar", *PLAIN_DEST)
    assert world.arrived("2", elsewhere)
    base = ("--base", world.reference("1"), "--base-tls-verify", "false")
    world.tool.good("push", "2.tar", world.there("2"), *base, *PLAIN_DEST)
    assert world.arrived("2")


def test_complete_and_other_destinations(world: World) -> None:
    world.pull("1")
    world.pull("2")
    whole = (world.tool.home / "2.tar").read_bytes()
    world.pull("2", "--delta", base="1")
    world.tool.good("complete", "2.tar", "--base", "oci-archive:1.tar", "-o", "whole.tar")
    assert (world.tool.home / "whole.tar").read_bytes() == whole
    world.tool.good("push", "1.tar", "oci:layout:1")
    world.tool.good("push", "2.tar", "oci:layout:2")
    blobs = world.tool.home / "layout/blobs/sha256"
    new = world.images["2"].layers[1]
    assert digest_of((blobs / new.removeprefix("sha256:")).read_bytes()) == new


def test_a_chain_of_changes(world: World) -> None:
    world.deliver("1")
    for old, new in zip("123", "234", strict=True):
        pulled = world.pull(new, "--delta", base=old)
        assert pulled["layers_delta"] == 1
    ran = world.tool("push", "4.tar", world.there("4"), "--json", *PLAIN_DEST)
    refused(ran, 3)
    elsewhere = fresh()
    world.tool.good("push", "1.tar", world.there("1", elsewhere), *PLAIN_DEST)
    for tag in "234":
        world.tool.good("push", f"{tag}.tar", world.there(tag), *PLAIN_DEST)
        assert world.arrived(tag)
    # In one go: each is made from what the one before has made.
    world.tool.good("push", "2.tar", "3.tar", "4.tar", world.there("4", elsewhere), *PLAIN_DEST)
    assert world.arrived("4", elsewhere)


def test_files_that_moved_between_layers(world: World, vendor: Registry, customer: Registry) -> None:
    at = fresh()
    content = files(at, 8)
    halves = [dict(list(content.items())[:4]), dict(list(content.items())[4:])]
    put_image(vendor, at, "1", [zipped(half) for half in halves])
    put_image(customer, at, "1", [zipped(half) for half in halves])
    new = put_image(vendor, at, "2", [zipped({**content, "more": b"more"})])
    pull = ("pull", f"{vendor.host}/{at}:2", "--base", f"{vendor.host}/{at}:1", "--delta", "-o", "o.tar", "--json")
    pulled = world.tool.good(*pull, *PLAIN_PULL).json
    (layer,) = (each for each in pulled["layers"] if each["where"] == "delta")
    assert len(layer["delta"]["sources"]) == 2
    assert layer["delta"]["size"] < layer["size"] / 10
    world.tool.good("push", "o.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    assert customer.manifest(at, "2") == new.raw


@pytest.mark.parametrize("kind", ["tar", "not canonical", "zstd"])
def test_kinds_of_layers(world: World, vendor: Registry, customer: Registry, kind: str) -> None:
    at = fresh()
    old, new = tar(files(at)), tar({**files(at), "more": b"more"})
    if kind == "not canonical":
        old, new = gzip.compress(old, mtime=0), odd(gzip.compress(new, mtime=0))
        assert zlib.decompress(new, 31)
    elif kind == "zstd":
        old, new = zstd.compress(old, 3), zstd.compress(new, 3)
    types = ["application/vnd.oci.image.layer.v1." + {"tar": "tar", "zstd": "tar+zstd"}.get(kind, "tar+gzip")]
    put_image(vendor, at, "1", [old], layer_types=types)
    put_image(customer, at, "1", [old], layer_types=types)
    image = put_image(vendor, at, "2", [new], layer_types=types)
    pull = ("pull", f"{vendor.host}/{at}:2", "--base", f"{vendor.host}/{at}:1", "--delta", "-o", "o.tar", "--json")
    pulled = world.tool.good(*pull, *PLAIN_PULL).json
    assert pulled["layers_delta"] == 1
    world.tool.good("push", "o.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    assert customer.manifest(at, "2") == image.raw


def odd(stream: bytes) -> bytes:
    """A gzip stream with a block before it that spells a match of 258 bytes as no compressor does."""
    bits = "0" + "10" + format(0x30 + ord("a"), "08b") + format(0xC0 + 4, "08b") + "1" * 5 + "00000" + "0000000"
    # An empty stored block brings it to a whole byte.
    bits += "000" + "0" * (-(len(bits) + 3) % 8)
    block = bytes(int(bits[place : place + 8][::-1], 2) for place in range(0, len(bits), 8)) + b"\0\0\xff\xff"
    content = b"a" * 259 + zlib.decompress(stream, 31)
    trailer = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return stream[:10] + block + stream[10:-8] + trailer


def test_lists_are_compared_platform_by_platform(world: World, vendor: Registry, customer: Registry) -> None:
    at = fresh()

    def put(registry: Registry, tag: str, more: dict[str, bytes]) -> Image:
        leaves = [
            (put_image(registry, at, None, [zipped({**files(f"{at}{cpu}"), **more})]), platform(cpu))
            for cpu in ("amd64", "arm64")
        ]
        return put_list(registry, at, tag, leaves)

    put(vendor, "1", {})
    put(customer, "1", {})
    image = put(vendor, "2", {"more": b"more"})
    pull = ("pull", f"{vendor.host}/{at}:2", "--base", f"{vendor.host}/{at}:1", "--all", "--delta", "-o", "o.tar")
    pulled = world.tool.good(*pull, "--json", *PLAIN_PULL).json
    assert pulled["layers_delta"] == 2
    assert all(len(each["delta"]["sources"]) == 1 for each in pulled["layers"])
    world.tool.good("push", "o.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    assert customer.manifest(at, "2") == image.raw


def test_bundles(world: World, release: Release) -> None:
    large = files(release.at)
    for tag in "12":
        release.put(f"large:{tag}", [zipped({**large, "own": tag.encode()})])
    for tag in "12":
        spec = release.spec(tag, [f"large:{tag}", f"team/one:{tag}"], defaults={"delta": True})
        earlier = ("--base-spec", "spec-1.json") if tag == "2" else ()
        pulled = release.tool.good("pull", "--spec", spec, *earlier, "-o", f"{tag}.tar", "--json", *PLAIN_PULL).json
        made = [layer["travels"] for layer in pulled["layers"] if layer["delta"]]
        assert made == ["change" if tag == "2" else "repacked"]
        release.push(f"{tag}.tar")
    assert release.there("large:2") == release.images["large:2"].digest
    # Of what a change is made from, no base is named: it is none of the other images.
    elsewhere = f"{release.customer.host}/{fresh('elsewhere')}"
    told = release.tool("vet", "2.tar", elsewhere, "--json", *PLAIN_DEST).json
    missing = {each["digest"]: each["bases"] for each in told["missing"]}
    (source,) = (layer["delta"]["sources"] for layer in pulled["layers"] if layer["delta"])
    assert missing[source[0]] == [release.images["large:1"].digest]


@pytest.mark.parametrize("alike", [True, False])
def test_what_two_images_need_is_made_from_what_both_have(release: Release, alike: bool) -> None:
    """Each has a repository of its own, and in there nothing but its own base."""
    new = zipped({**files(release.at), "new": b"new"})
    for name in ("left", "right"):
        seed = release.at if alike or name == "left" else "another"
        release.put(f"{name}:1", [zipped(files(seed))])
        release.put(f"{name}:2", [new])
    for tag in "12":
        spec = release.spec(tag, [f"left:{tag}", f"right:{tag}"], defaults={"delta": True})
        earlier = ("--base-spec", "spec-1.json") if tag == "2" else ()
        pulled = release.tool.good("pull", "--spec", spec, *earlier, "-o", f"{tag}.tar", "--json", *PLAIN_PULL).json
        release.push(f"{tag}.tar")
    made = [layer["travels"] for layer in pulled["layers"] if layer["delta"]]
    assert made == ["change" if alike else "repacked"]
    for name in ("left:2", "right:2"):
        assert release.there(name) == release.images[name].digest


def test_an_older_version_refuses_and_so_do_we(world: World) -> None:
    world.pull("2", "--delta", base="1")
    archive = world.tool.home / "2.tar"
    index = json.loads(members_of(archive)["index.json"])
    assert index["annotations"]["io.skopeo-incremental.requires"] == "layer-delta-2"
    index["annotations"]["io.skopeo-incremental.requires"] = "layer-delta-2,what-comes-next"
    repack(archive, {"index.json": json.dumps(index).encode()})
    refused(world.tool("inspect", "2.tar", "--json"), 4, "newer version")


PROGRAMS: dict[str, Callable[[Path], tuple[bytes, bytes]]] = {
    "position-independent": lambda folder: programs.compiled(folder, "-pie", "-fPIE"),
    "at a fixed address": lambda folder: programs.compiled(folder, "-no-pie", "-fno-pie"),
    "aarch64": lambda _: tuple(linked.data for linked in programs.releases(programs.AARCH64, 400)),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_programs(world: World, tmp_path: Path, kind: str) -> None:
    """Addresses in them are predicted; a reader has to know how, and is told."""
    old, new = PROGRAMS[kind](tmp_path)
    sizes = []
    for magic in (b"\x7fELF", b"no program"):
        at = fresh()
        for registry in (world.vendor, world.customer):
            put_image(registry, at, "1", [zipped({"text": b"t", "program": old.replace(b"\x7fELF", magic)})])
        layer = zipped({"program": new.replace(b"\x7fELF", magic), "text": b"text"})
        image = put_image(world.vendor, at, "2", [layer])
        here, there = f"{world.vendor.host}/{at}", f"{world.customer.host}/{at}"
        pulled = world.tool.good(
            "pull", f"{here}:2", "--base", f"{here}:1", "--delta", "-o", "x.tar", "--json", *PLAIN_PULL
        ).json
        sizes.append(pulled["layers"][0]["delta"]["size"])
        index = json.loads(members_of(world.tool.home / "x.tar")["index.json"])
        required = index["annotations"]["io.skopeo-incremental.requires"]
        assert required == ("layer-delta-2,layer-delta-programs" if len(sizes) == 1 else "layer-delta-2")
        world.tool.good("push", "x.tar", f"{there}:2", *PLAIN_DEST)
        assert world.customer.manifest(at, "2") == image.raw
    assert sizes[0] < sizes[1]


class Jars(NamedTuple):
    """Two releases with a jar, of which the customer has the old one; and the archive."""

    world: World
    here: str
    there: str
    image: Image
    archive: Path
    pulled: dict[str, Any]


@pytest.fixture
def jars(world: World) -> Jars:
    at = fresh("jars")
    # Of its own, so that no registry knows it from another test.
    old, new = ([zipped({"app/lib.jar": jar(files), "app/name": at.encode()})] for files in releases())
    for registry in (world.vendor, world.customer):
        put_image(registry, at, "1", old)
    image = put_image(world.vendor, at, "2", new)
    here, there = (f"{registry.host}/{at}" for registry in (world.vendor, world.customer))
    wanted = ("--base", f"{here}:1", "--delta", "-o", "jars.tar", "--json")
    ran = world.tool.good("pull", f"{here}:2", *wanted, *PLAIN_PULL)
    assert "8 streams in its files opened" in ran.stderr
    return Jars(world, here, there, image, world.tool.home / "jars.tar", ran.json)


def test_streams_inside_of_files(jars: Jars) -> None:
    """What changed in a jar travels; a reader has to know how, and is told."""
    (layer,) = jars.pulled["layers"]
    assert layer["delta"]["size"] < 0.1 * layer["size"]
    index = json.loads(members_of(jars.archive)["index.json"])
    assert index["annotations"]["io.skopeo-incremental.requires"] == "layer-delta-2,layer-delta-opened"
    tool = jars.world.tool
    tool.good("push", "jars.tar", f"{jars.there}:2", *PLAIN_DEST)
    assert jars.world.customer.manifest(jars.there.partition("/")[2], "2") == jars.image.raw
    # From disk, and to it.
    for tag in "12":
        tool.good("pull", f"{jars.here}:{tag}", "-o", f"whole-{tag}.tar", *PLAIN_PULL)
    tool.good("diff", "whole-1.tar", "whole-2.tar", "--delta", "-o", "less.tar")
    assert (tool.home / "less.tar").read_bytes() == jars.archive.read_bytes()
    tool.good("complete", "jars.tar", "--base", "oci-archive:whole-1.tar", "-o", "again.tar")
    assert (tool.home / "again.tar").stat().st_size == (tool.home / "whole-2.tar").stat().st_size
    # A first delivery takes no room.
    tool.good("pull", f"{jars.here}:2", "--delta", "-o", "first.tar", *PLAIN_PULL)
    tool.good("push", "first.tar", f"{jars.there}:first", *PLAIN_DEST)
    assert jars.world.customer.manifest(jars.there.partition("/")[2], "first") == jars.image.raw


@pytest.mark.parametrize(
    ("room", "code", "words"),
    [(None, 4, "disk space than the archive"), ("1000", 4, "more disk space"), ("9" * 15, 6, "not enough space")],
)
def test_room_for_what_is_opened(jars: Jars, room: str | None, code: int, words: str) -> None:
    """It is said beforehand, compared with what is free, and no more is taken."""
    contents = members_of(jars.archive)
    index = json.loads(contents["index.json"])
    entry = next(each for each in index["manifests"] if each.get("artifactType"))
    name = f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}"
    document = json.loads(contents[name])
    (delta,) = document["layers"]
    said = int(delta["annotations"].pop("io.skopeo-incremental.delta.room"))
    assert said > sum(map(len, releases()[0].values())) // 4
    if room:
        delta["annotations"]["io.skopeo-incremental.delta.room"] = room
    raw = json.dumps(document).encode()
    entry |= {"digest": digest_of(raw), "size": len(raw)}
    changed = {name: None, f"blobs/sha256/{digest_of(raw).removeprefix('sha256:')}": raw}
    repack(jars.archive, {**changed, "index.json": json.dumps(index).encode()})
    watch = jars.world.customer.watch()
    refused(jars.world.tool("push", "jars.tar", f"{jars.there}:2", "--json", *PLAIN_DEST), code, words)
    assert watch.writes() == []


def test_hostile_changes(world: World) -> None:
    """Another layer, absurd sizes, itself as a source: exit 4, and the destination is as it was."""
    world.deliver("1")
    world.pull("2", "--delta", base="1")
    archive = world.tool.home / "2.tar"
    good = archive.read_bytes()
    new, old = world.images["2"].layers[1], world.images["1"].layers[1]
    contents = members_of(archive)
    index = json.loads(contents["index.json"])
    place = next(each for each in index["manifests"] if each.get("artifactType"))
    name = f"blobs/sha256/{place['digest'].removeprefix('sha256:')}"
    (delta,) = json.loads(contents[name])["layers"]
    blob = f"blobs/sha256/{delta['digest'].removeprefix('sha256:')}"
    watch = world.customer.watch()

    def attack(change: Any, replaced: bytes | None = None, *words: str) -> None:
        archive.write_bytes(good)
        files: dict[str, bytes | None] = {}
        document = json.loads(contents[name])
        layer = document["layers"][0]
        if replaced is not None:
            layer |= {"digest": digest_of(replaced), "size": len(replaced)}
            files |= {blob: None, f"blobs/sha256/{digest_of(replaced).removeprefix('sha256:')}": replaced}
        change(document, layer["annotations"])
        raw = json.dumps(document).encode()
        changed = json.loads(contents["index.json"])
        entry = next(each for each in changed["manifests"] if each.get("artifactType"))
        entry |= {"digest": digest_of(raw), "size": len(raw)}
        files |= {name: None, f"blobs/sha256/{digest_of(raw).removeprefix('sha256:')}": raw}
        files["index.json"] = json.dumps(changed).encode()
        repack(archive, files)
        refused(world.tool("push", "2.tar", world.there("2"), "--json", *PLAIN_DEST), 4, *words)
        assert watch.writes() == []

    prefix = "io.skopeo-incremental.delta."

    def said(key: str, value: str) -> Any:
        return lambda _document, annotations: annotations.update({prefix + key: value})

    nothing = lambda _document, _annotations: None  # noqa: E731
    data = contents[blob]
    attack(nothing, data[:-1])
    attack(nothing, b"x" * 100)
    attack(nothing, data[:9] + (2**60).to_bytes(8, "little") + data[17:])
    attack(said("layer", old))
    attack(said("size", "999999999999"))
    attack(said("sources", json.dumps([[new, 5]])))
    attack(said("sources", "[]"))
    attack(said("sources", '[["sha256:0", 5]]'))
    attack(said("sources", '[], "more": 1'))
    attack(lambda document, _: document["subject"].update(digest=digest_of(b"other")))
    attack(lambda document, _: document.pop("layers"))
    # The right change, of a layer that is another one.
    other = bytearray(data)
    other[-20] ^= 1
    attack(nothing, bytes(other))


def put_folder(root: Path, content: dict[str, bytes]) -> Path:
    """Make a folder that is the same each time."""
    root.mkdir()
    for name, data in content.items():
        (root / name).write_bytes(data)
        os.utime(root / name, (0, 0))
    os.utime(root, (0, 0))
    return root


def put_umoci(root: Path, tag: str, destination: str) -> None:
    """Put a folder as an image that umoci has built and skopeo pushed."""
    home = root.parent
    for command in (
        ["umoci", "init", "--layout", "layout"] if tag == "1" else ["true"],
        ["umoci", "new", "--image", f"layout:{tag}"],
        ["umoci", "insert", "--rootless", "--image", f"layout:{tag}", root, "/app"],
    ):
        subprocess.run(command, cwd=home, check=True, capture_output=True)
    skopeo("copy", "--dest-tls-verify=false", f"oci:layout:{tag}", destination, cwd=home)


def put_buildah(root: Path, tag: str, destination: str, compression: str = "gzip") -> None:
    """Put a folder as an image that buildah has built and pushed."""
    if why := why_no_store():
        pytest.skip(why)
    stores = root.parent / "stores"

    def buildah(*arguments: str | Path) -> str:
        command = ["buildah", "--root", stores, "--runroot", stores / "run", "--storage-driver", "vfs", *arguments]
        ended = subprocess.run(command, cwd=root.parent, check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    container = buildah("from", "scratch")
    buildah("copy", container, root, "/app")
    buildah("commit", container, "built")
    buildah(
        "push", "--tls-verify=false", "--format", "oci", "--compression-format", compression, "built", destination
    )
    buildah("rm", container)


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked"])
def test_zstd_layers(world: World, vendor: Registry, customer: Registry, compression: str) -> None:
    """Those of real tools, against older layers that are compressed by gzip, which are found at the customer's."""
    at, home = fresh("zstd"), world.tool.home
    content = files(at, 12)
    for tag, way in (("1", "gzip"), ("2", compression)):
        root = put_folder(home / f"root{tag}", {**content, "version": tag.encode()})
        put_buildah(root, tag, f"docker://{vendor.host}/{at}:{tag}", way)
    old = f"docker://{vendor.host}/{at}:1", f"docker://{customer.host}/{at}:1"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *old)
    pull = ("pull", f"{vendor.host}/{at}:2", "--base", f"{vendor.host}/{at}:1", "--delta", "-o", "o.tar", "--json")
    pulled = world.tool.good(*pull, *PLAIN_PULL).json
    (layer,) = pulled["layers"]
    assert layer["media_type"].endswith("zstd")
    if compression == "zstd":
        assert (layer["delta"]["model"], layer["delta"]["corrections"]) == ("klauspost zstd 3", 0)
        assert layer["delta"]["size"] < layer["size"] / 20
    else:
        # It is made at a higher level, which is not known: what it copies is written down.
        assert layer["delta"]["model"] == "zstd"
        assert layer["delta"]["size"] < layer["size"] / 2
    index = json.loads(members_of(home / "o.tar")["index.json"])
    assert index["annotations"]["io.skopeo-incremental.requires"] == "layer-delta-2,layer-delta-zstd"
    world.tool.good("push", "o.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    assert customer.manifest(at, "2") == vendor.manifest(at, "2")


@pytest.mark.parametrize("put", [put_umoci, put_buildah])
def test_images_that_others_built(
    world: World, vendor: Registry, customer: Registry, put: Callable[[Path, str, str], None]
) -> None:
    """All compress with pgzip. Of a registry that has the old release alone, the old layer alone is read."""
    at, home = fresh("built"), world.tool.home
    content = files(at, 12)
    for tag in "12":
        root = put_folder(home / f"root{tag}", {**content, "version": tag.encode()})
        put(root, tag, f"docker://{vendor.host}/{at}:{tag}")
    old = f"docker://{vendor.host}/{at}:1", f"docker://{customer.host}/{at}:1"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *old)
    pull = ("pull", f"{vendor.host}/{at}:2", "--base", f"{vendor.host}/{at}:1", "--delta", "-o", "o.tar", "--json")
    pulled = world.tool.good(*pull, *PLAIN_PULL).json
    (layer,) = (each for each in pulled["layers"] if each["where"] == "delta")
    assert layer["delta"]["size"] < layer["size"] / 20
    watch = customer.watch()
    world.tool.good("push", "o.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    before = json.loads(vendor.manifest(at, "1") or b"")
    assert set(watch.blobs()) == {before["config"]["digest"], *layer["delta"]["sources"]}
    assert customer.manifest(at, "2") == vendor.manifest(at, "2")
