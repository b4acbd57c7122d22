"""The difference of two archives on disk, and volumes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from tests.support.archives import cut
from tests.support.images import fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.release import Release
    from tests.support.world import World


@pytest.fixture
def both(tool: Tool, vendor: Registry) -> list[str]:
    """Two releases of an image, pulled whole."""
    at = fresh()
    shared = [layer(f"{at}{number}", 50_000) for number in range(3)]
    for tag in "12":
        put_image(vendor, at, tag, [*shared, layer(f"{at}own{tag}", 100_000)])
        tool.good("pull", f"{vendor.host}/{at}:{tag}", "-o", f"{tag}.tar", *PLAIN_PULL)
    return [f"{vendor.host}/{at}:{tag}" for tag in "12"]


def test_it_is_what_pull_would_have_written(tool: Tool, both: list[str]) -> None:
    tool.good("pull", both[1], "--base", both[0], "-o", "pulled.tar", *PLAIN_PULL)
    made = tool.good("diff", "1.tar", "2.tar", "-o", "made.tar", "--json", env={"PATH": "/nowhere"}).json
    assert (tool.home / "made.tar").read_bytes() == (tool.home / "pulled.tar").read_bytes()
    assert made["changed"]
    assert [image["change"] for image in made["images"]] == ["changed"]
    schema = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    schema.validate(made)
    assert not tool.good("diff", "1.tar", "2.tar", "-o", "made.tar", "--json").json["changed"]
    planned = tool.good("diff", "1.tar", "2.tar", "--dry-run", "--json").json
    assert {**planned, "archive": None} == {**made, "archive": None, "changed": False}
    tool.good("complete", "made.tar", "--base", "oci-archive:1.tar", "-o", "whole.tar")
    assert (tool.home / "whole.tar").read_bytes() == (tool.home / "2.tar").read_bytes()


def test_the_older_one_may_be_a_difference_itself(tool: Tool, vendor: Registry, both: list[str]) -> None:
    """What it left out its site has too."""
    tool.good("diff", "1.tar", "2.tar", "-o", "12.tar")
    at = both[0].removeprefix(f"{vendor.host}/").rpartition(":")[0]
    shared = [layer(f"{at}{number}", 50_000) for number in range(3)]
    put_image(vendor, at, "3", [*shared, layer(f"{at}own3")])
    third = f"{vendor.host}/{at}:3"
    tool.good("pull", third, "--base", both[1], "-o", "pulled.tar", *PLAIN_PULL)
    tool.good("pull", third, "-o", "3.tar", *PLAIN_PULL)
    tool.good("diff", "12.tar", "3.tar", "-o", "made.tar")
    assert (tool.home / "made.tar").read_bytes() == (tool.home / "pulled.tar").read_bytes()
    # The newer one may be one as well: what it leaves out stays left out.
    tool.good("diff", "12.tar", "pulled.tar", "-o", "again.tar")
    assert (tool.home / "again.tar").read_bytes() == (tool.home / "pulled.tar").read_bytes()


def test_the_same_and_nothing_in_common(tool: Tool, vendor: Registry, both: list[str]) -> None:
    same = tool.good("diff", "1.tar", "1.tar", "-o", "o.tar", "--json").json
    assert (same["layers_new"], same["images"][0]["change"]) == (0, "same")
    other = fresh()
    put_image(vendor, other, "1", [layer(other)])
    tool.good("pull", f"{vendor.host}/{other}:1", "-o", "other.tar", *PLAIN_PULL)
    tool.good("diff", "1.tar", "other.tar", "-o", "o.tar")
    assert (
        "holds the whole image"
        in tool.good("diff", "1.tar", "other.tar", "--dry-run", "--json").json["warnings"][0]
    )


def test_bundles_are_compared_name_by_name(release: Release) -> None:
    release.pull("1")
    release.pull("2")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    made = release.tool.good("diff", "1.tar", "2.tar", "-o", "made.tar", "--json").json
    assert made["gone"] == []
    release.pull("2", "--base-spec", earlier)
    assert (release.tool.home / "made.tar").read_bytes() == (release.tool.home / "2.tar").read_bytes()
    release.push("1.tar")
    release.push("made.tar")
    assert release.arrived("2")


def test_changes_of_layers(world: World) -> None:
    """As a pull with `--delta` makes them; here for a site that is two releases behind."""
    tool = world.tool
    for tag in "13":
        world.pull(tag)
    tool.good("push", "1.tar", world.there("1"), *PLAIN_DEST)
    for archive in ("1.tar", "3.tar"):
        (tool.home / archive).rename(tool.home / f"whole-{archive}")
    pulled = world.pull("3", "--delta", base="1")
    alone = {"PATH": "/nowhere"}
    planned = tool.good("diff", "whole-1.tar", "whole-3.tar", "--delta", "--dry-run", "--json", env=alone).json
    assert [each["digest"] for each in planned["delta_sources"]] == [world.images["1"].layers[1]]
    made = tool.good("diff", "whole-1.tar", "whole-3.tar", "--delta", "-o", "made.tar", "--json", env=alone).json
    assert (tool.home / "made.tar").read_bytes() == (tool.home / "3.tar").read_bytes()
    assert made["layers"] == pulled["layers"]
    assert made["archive"]["size"] < 30_000
    tool.good("push", "made.tar", world.there("3"), *PLAIN_DEST)
    assert world.arrived("3")
    # What is written to standard output is the same.
    ran = tool("diff", "whole-1.tar", "whole-3.tar", "--delta", "-o", "-")
    assert ran.stdout == (tool.home / "made.tar").read_bytes()
    assert tool.leftovers() == []


def test_changes_from_an_older_archive_that_is_no_help(world: World) -> None:
    """Without the older layers, they are repacked; damaged, they are found out."""
    tool = world.tool
    for tag in "123":
        world.pull(tag)
    tool.good("diff", "1.tar", "2.tar", "-o", "12.tar")
    tool.good("diff", "12.tar", "3.tar", "--delta", "-o", "made.tar")
    whole = (tool.home / "1.tar").read_bytes()
    common = bytearray(whole)
    common[len(whole) // 2] ^= 1
    (tool.home / "1.tar").write_bytes(common)
    refused(tool("diff", "1.tar", "2.tar", "--delta", "-o", "x.tar", "--json"), 4, "sha256:")
    assert not (tool.home / "x.tar").exists()
    assert tool.leftovers() == []


def test_changes_in_bundles(release: Release) -> None:
    tool = release.tool
    for tag in "12":
        tool.good("pull", "--spec", release.spec(tag), "-o", f"{tag}.tar", *PLAIN_PULL)
    made = tool.good("diff", "1.tar", "2.tar", "--delta", "-o", "made.tar", "--json").json
    assert made["bundle"]
    release.push("1.tar")
    release.push("made.tar")
    for name in release.images:
        if name.endswith(":2"):
            assert release.there(name) == release.images[name].digest


def test_bad_archives(tool: Tool, both: list[str]) -> None:
    whole = tool.good("inspect", "2.tar", "--json").json
    (new,) = {each["digest"] for each in whole["layers"] if each["size"] > 60_000}
    damaged = bytearray((tool.home / "2.tar").read_bytes())
    damaged[damaged.index(new.removeprefix("sha256:").encode()) + 10_000] ^= 1
    (tool.home / "damaged.tar").write_bytes(damaged)
    refused(tool("diff", "1.tar", "damaged.tar", "-o", "o.tar", "--json"), 4, "damaged.tar")
    refused(tool("diff", "1.tar", "none.tar", "-o", "o.tar", "--json"), 2, "none.tar")
    refused(tool("diff", "1.tar", "2.tar", "--json"), 2, "--output")
    assert not (tool.home / "o.tar").exists()


def test_volumes_are_read_as_one_file(tool: Tool, customer: Registry, vendor: Registry, both: list[str]) -> None:
    whole = tool.good("inspect", "2.tar", "--json").json
    # Some layers lie in several volumes, and headers do.
    volumes = cut(tool.home / "2.tar", 30_011)
    assert len(volumes) > 5
    for name in ("2.tar.001", "2.tar"):
        assert tool.good("inspect", name, "--json").json == whole
        tool.good("vet", name)
        there = f"{customer.host}/{fresh()}"
        before = len(list(tool.temporary.iterdir()))
        pushed = tool.good("push", name, f"{there}:1", "--json", *PLAIN_DEST).json
        assert pushed["digest"] == whole["digest"]
        assert len(list(tool.temporary.iterdir())) == before
    tool.good("diff", "1.tar", "2.tar.001", "-o", "made.tar")
    tool.good("push", "2.tar.001", "oci:layout")
    tool.good("pull", both[0], "--base", "oci-archive:2.tar.001", "-o", "o.tar", *PLAIN_PULL)


def test_volumes_that_are_not_all_there(tool: Tool, customer: Registry, both: list[str]) -> None:
    volumes = cut(tool.home / "2.tar", 60_000)
    watch = customer.watch()
    push = ("2.tar.001", f"{customer.host}/{fresh()}:1", "--json", *PLAIN_DEST)
    volumes[1].rename(tool.home / "away")
    refused(tool("push", *push), 2, "2.tar.002")
    (tool.home / "away").rename(volumes[1])
    last = volumes.pop().rename(tool.home / "away")
    refused(tool("push", *push), 4, "2.tar.001")
    last.rename(volumes[-1].with_suffix(f".{len(volumes) + 1:03}"))
    first, second = volumes[0].read_bytes(), volumes[1].read_bytes()
    volumes[0].write_bytes(second)
    volumes[1].write_bytes(first)
    refused(tool("push", *push), 4, "2.tar.001")
    assert watch.requests() == []


def test_what_looks_like_a_volume(tool: Tool, both: list[str]) -> None:
    volumes = cut(tool.home / "2.tar", 60_000)
    # A backup's date, or what somebody put there to take time and memory.
    for number in (20261124, 999999999999):
        (tool.home / f"2.tar.{number}").touch()
    tool.good("vet", "2.tar.001")
    os.mkfifo(tool.home / f"2.tar.{len(volumes) + 1:03}")
    for command in (("vet", "2.tar.001"), ("inspect", "2.tar"), ("push", "2.tar.001", "oci:layout")):
        refused(tool(*command, "--json"), 2, f"2.tar.{len(volumes) + 1:03} is not a plain file")
