"""Bases of every kind: what was left out is the same, wherever the base is read."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.support.images import Image, fresh, layer, platform, put_image, put_list
from tests.support.registry import Registry
from tests.support.stores import why_no_store
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused, skopeo

if TYPE_CHECKING:
    from pathlib import Path


class Bases:
    """One base in every place that knows its layers, and a final image."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.repository = fresh("based")
        self.base = put_image(vendor, self.repository, "1", [layer("a"), layer(self.repository)])
        self.final = put_image(
            vendor, self.repository, "2", [layer("a"), layer(self.repository), layer(self.repository + "new")]
        )
        here = f"docker://{vendor.host}/{self.repository}:1"
        home = tool.home
        plain = ("copy", "--src-tls-verify=false", "--preserve-digests", here)
        skopeo(*plain, f"oci:{home}/layout:one")
        skopeo(*plain, f"oci-archive:{home}/foreign.tar:one")
        skopeo(*plain, f"dir:{home}/dir")
        tool.good("pull", here, "-o", "ours.tar", *PLAIN_PULL)
        storage = f"containers-storage:[vfs@{home}/storage+{home}/run]localhost/app:1"
        if not why_no_store():
            # The system's: storage runs its program again, which one with a loader of its own does not survive.
            system = ["/usr/bin/skopeo", "copy", "--src-tls-verify=false", here, storage]
            subprocess.run(system, check=True, capture_output=True)
        (home / "manifests").mkdir()
        for path in (home / "base.json", home / "manifests/base.json"):
            path.write_bytes(self.base.raw)
        there = f"{customer.host}/{self.repository}:1"
        tool.good("push", "ours.tar", there, "--receipt", "receipt.json", *PLAIN_DEST)
        self.references = {
            "registry": here,
            "layout": "oci:layout:one",
            "foreign archive": "oci-archive:foreign.tar",
            "our archive": "oci-archive:ours.tar:1",
            "dir": "dir:dir",
            **({} if why_no_store() else {"storage": storage}),
            "manifest": "manifest:base.json",
            "folder of manifests": "manifest:manifests",
            "receipt": "receipt:receipt.json",
        }
        self.names = dict.fromkeys(("registry", "our archive", "receipt"), f"{self.repository}:1")
        self.names["storage"] = "app:1"


@pytest.fixture
def bases(tool: Tool, vendor: Registry, customer: Registry) -> Bases:
    return Bases(tool, vendor, customer)


def test_the_same_base_gives_the_same_archive_wherever_it_is(tool: Tool, vendor: Registry, bases: Bases) -> None:
    """Where it has the same name there, or none is remembered."""
    final = ("pull", f"{vendor.host}/{bases.repository}:2")
    archives, named = set(), set()
    for kind, reference in bases.references.items():
        watch = vendor.watch()
        pull = (*final, "-b", reference, "-o", "o.tar", "--json", *PLAIN_PULL)
        pulled = tool.good(*pull, "--anonymous").json
        assert pulled["layers_new"], pulled["layers_shared"] == (1, 2)
        assert pulled["bases"] == [bases.base.digest]
        assert not set(watch.blobs()) & set(bases.base.layers)
        archives.add((tool.home / "o.tar").read_bytes())
        name = tool.good(*pull).json["names"].get(bases.base.digest)
        if name == f"{bases.repository}:1":
            named.add((tool.home / "o.tar").read_bytes())
        assert name == bases.names.get(kind), kind
    assert (len(archives), len(named)) == (1, 1)
    if why := why_no_store():
        pytest.skip(f"all but the local store: {why}")


def test_a_list_counts_whole(tool: Tool, vendor: Registry) -> None:
    repository = fresh("list")
    leaves = [
        put_image(vendor, repository, None, [layer(repository + arch)], arch=arch) for arch in ("amd64", "arm64")
    ]
    image = put_list(
        vendor,
        repository,
        "1",
        [(leaf, platform(arch)) for leaf, arch in zip(leaves, ("amd64", "arm64"), strict=True)],
    )
    here = f"docker://{vendor.host}/{repository}:1"
    skopeo("copy", "--all", "--src-tls-verify=false", here, f"oci:{tool.home}/layout:one")
    skopeo("copy", "--all", "--src-tls-verify=false", here, f"dir:{tool.home}/dir")
    (tool.home / "some").mkdir()
    for name, each in (("list", image), ("amd64", leaves[0])):
        (tool.home / f"some/{name}.json").write_bytes(each.raw)
    for reference, shared in (
        ("oci:layout", 2),
        ("dir:dir", 2),
        ("manifest:some", 1),
        ("manifest:some/list.json", 0),
    ):
        ran = tool.good("pull", here, "--all", "-b", reference, "--dry-run", "--json", *PLAIN_PULL)
        assert ran.json["layers_shared"] == shared
        assert ran.stderr.count("skipped") == 2 - shared
        assert ran.json["bases"] == [image.digest]


@pytest.mark.parametrize("reference", ["docker-archive:old.tar", "docker-daemon:app:1"])
def test_a_base_without_digests_leaves_nothing_out(
    tool: Tool, vendor: Registry, bases: Bases, reference: str
) -> None:
    ran = tool.good(
        "pull", f"{vendor.host}/{bases.repository}:2", "-b", reference, "-o", "o.tar", "--json", *PLAIN_PULL
    )
    assert ran.json["layers_shared"] == 0
    assert any(reference in line and "no layer is left out" in line for line in ran.json["warnings"])


@pytest.mark.parametrize(
    ("reference", "code", "word"),
    [
        ("oci:none", 2, "not an OCI layout"),
        ("oci:layout:two", 2, "images there are: one"),
        ("oci-archive:none.tar", 2, "does not exist"),
        ("oci-archive:ours.tar:two", 2, "images there are: 1"),
        ("oci-archive:base.json", 4, "is a manifest"),
        ("dir:none", 2, "does not exist"),
        ("dir:layout", 2, "no manifest"),
        ("receipt:none.json", 2, "does not exist"),
        ("receipt:base.json", 4, "not a receipt"),
        ("manifest:none.json", 2, "does not exist"),
        ("manifest:ours.tar", 4, ""),
        ("manifest:layout/index.json", 0, ""),
        ("containers-storage:localhost/none:1", 5, "localhost/none"),
    ],
)
def test_bases_that_will_not_do(
    tool: Tool, vendor: Registry, bases: Bases, reference: str, code: int, word: str
) -> None:
    if reference.startswith("containers-storage:") and (why := why_no_store()):
        pytest.skip(why)
    ran = tool("pull", f"{vendor.host}/{bases.repository}:2", "-b", reference, "-o", "o.tar", "--json", *PLAIN_PULL)
    if code:
        refused(ran, code, word)
        assert not (tool.home / "o.tar").exists()
    else:
        assert ran.code == 0


def test_a_receipt_with_digests_that_are_none(tool: Tool, vendor: Registry, bases: Bases) -> None:
    good = (tool.home / "receipt.json").read_text()
    final = f"{vendor.host}/{bases.repository}:2"
    digests = [bases.base.digest, *bases.base.layers]
    changes = [(digest, other) for digest in digests for other in (f"{digest}\\n", f" {digest}", digest.upper())]
    for old, new in [*changes, ('"media_type": "', '"media_type": "' + "x" * 300)]:
        (tool.home / "other.json").write_text(good.replace(old, new))
        assert old in good
        ran = tool("pull", final, "-b", "receipt:other.json", "-o", "o.tar", "--json", *PLAIN_PULL)
        refused(ran, 4, "receipt other.json breaks the schema")
        assert not (tool.home / "o.tar").exists()


def test_a_pipe_among_manifests_is_not_waited_for(tool: Tool, vendor: Registry, bases: Bases) -> None:
    os.mkfifo(tool.home / "dir/more.manifest.json")
    os.mkfifo(tool.home / "manifests/zzz.json")
    final = f"{vendor.host}/{bases.repository}:2"
    for base in ("dir:dir", "manifest:manifests"):
        refused(tool("pull", final, "-b", base, "-o", "o.tar", "--json", *PLAIN_PULL), 6, "no plain file")


def test_a_damaged_layout_is_no_base(tool: Tool, vendor: Registry, bases: Bases) -> None:
    path = tool.home / "layout/blobs/sha256" / bases.base.digest.removeprefix("sha256:")
    path.write_bytes(path.read_bytes().replace(b"2", b"3", 1))
    refused(
        tool(
            "pull", f"{vendor.host}/{bases.repository}:2", "-b", "oci:layout", "-o", "o.tar", "--json", *PLAIN_PULL
        ),
        4,
        bases.base.digest,
    )


def test_a_chain_of_five_releases(tool: Tool, tmp_path: Path, customer: Registry) -> None:
    """Each is made from the archive before it; the registry has forgotten the earlier releases."""
    target = fresh("closed")
    releases: list[Image] = []
    for number in range(1, 6):
        # A registry of its own: nothing of an earlier release is there but what this one needs.
        folder = tmp_path / f"vendor{number}"
        folder.mkdir()
        vendor = Registry(folder).start()
        try:
            image = put_image(vendor, "app", str(number), [layer(f"chain{each}") for each in range(number)])
            base = ("-b", f"oci-archive:{number - 1}.tar") if releases else ()
            pulled = tool.good(
                "pull", f"{vendor.host}/app:{number}", *base, "-o", f"{number}.tar", "--json", *PLAIN_PULL
            ).json
        finally:
            vendor.stop()
        releases.append(image)
        assert (pulled["layers_new"], pulled["layers_shared"]) == (1, number - 1)
    for number, image in enumerate(releases, 1):
        watch = customer.watch()
        tool.good("push", f"{number}.tar", f"{customer.host}/{target}:{number}", *PLAIN_DEST)
        assert customer.manifest(target, str(number)) == image.raw
        # A layer and a config.
        assert len(watch.requests("POST")) == 2


def test_a_receipt_says_what_the_destination_has(tool: Tool, customer: Registry, bases: Bases) -> None:
    receipt = json.loads((tool.home / "receipt.json").read_text())
    jsonschema.validate(receipt, json.loads((ROOT / "wrapper/oci/schemas/receipt.json").read_text()))
    assert receipt["images"][0]["digest"] == bases.base.digest
    assert [each["digest"] for each in receipt["images"][0]["layers"]] == bases.base.layers
    assert receipt["destination"] == f"docker://{customer.host}/{bases.repository}:1"
    there = f"{customer.host}/{bases.repository}:1"
    # A push that sends nothing has a receipt too; a dry run, or one that fails, has none.
    tool.good("push", "ours.tar", there, "--receipt", "again.json", *PLAIN_DEST)
    assert json.loads((tool.home / "again.json").read_text())["images"] == receipt["images"]
    tool.good("push", "ours.tar", there, "--receipt", "dry.json", "--dry-run", *PLAIN_DEST)
    assert tool("push", "ours.tar", "127.0.0.1:1/a:1", "--receipt", "dry.json", *PLAIN_DEST).code == 5
    assert not (tool.home / "dry.json").exists()


def test_a_receipt_that_cannot_be_written_stops_the_push(tool: Tool, customer: Registry, bases: Bases) -> None:
    watch = customer.watch()
    there = f"{customer.host}/{fresh('there')}:1"
    refused(tool("push", "ours.tar", there, "--receipt", "no/such/file", "--json", *PLAIN_DEST), 6, "no/such/file")
    assert watch.requests() == []


def test_the_schema_holds_for_them(tool: Tool, vendor: Registry, bases: Bases) -> None:
    schema = json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text())
    reference = f"{vendor.host}/{bases.repository}:2"
    for base in (*bases.references.values(), "oci:none"):
        jsonschema.validate(tool("pull", reference, "-b", base, "--dry-run", "--json", *PLAIN_PULL).json, schema)
