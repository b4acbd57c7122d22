"""What a push asks, what it writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.archives import by_digest, layout_members, write_tar
from tests.support.images import OCI_INDEX, Image, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, skopeo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.registry import Registry


class Release:
    """Two releases at the vendor, the difference between them, and a repository at the customer."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry, *, delivered: bool = True) -> None:
        self.repository = fresh()
        self.target = fresh("there")
        shared = [layer(f"{self.repository} {number}") for number in range(3)]
        self.base = put_image(vendor, self.repository, "1", shared)
        self.final = put_image(vendor, self.repository, "2", [*shared, layer(self.repository)])
        self.destination = f"{customer.host}/{self.target}:2"
        self.archive = tool.home / "update.tar"
        tool.good(
            "pull", f"{vendor.host}/{self.repository}:2", "-b", f"{vendor.host}/{self.repository}:1",
            "-o", self.archive, *PLAIN_PULL,
        )  # fmt: skip
        if delivered:
            put_image(customer, self.target, "1", shared)


@pytest.fixture
def release(tool: Tool, vendor: Registry, customer: Registry) -> Release:
    return Release(tool, vendor, customer)


@pytest.fixture
def undelivered(tool: Tool, vendor: Registry, customer: Registry) -> Release:
    return Release(tool, vendor, customer, delivered=False)


def test_vet_only_asks(tool: Tool, customer: Registry, release: Release) -> None:
    watch = customer.watch()
    ran = tool.good("vet", release.archive, release.destination, "--json", *PLAIN_DEST)
    assert ran.json["missing"] == []
    # Beside the layers it asks for one that can't exist, and before for the tag.
    assert len(watch.blobs("HEAD")) == len(release.base.layers) + 1
    assert set(watch.blobs("HEAD")) > set(release.base.layers)
    assert [request.path for request in watch.requests("GET")] == [f"/v2/{release.target}/manifests/2"]
    assert watch.writes() == []
    assert tool.leftovers() == []


def test_the_pushed_digest_is_the_pulled_one(tool: Tool, customer: Registry, release: Release) -> None:
    watch = customer.watch()
    pushed = tool.good("push", release.archive, release.destination, "--json", *PLAIN_DEST).json
    assert pushed["digest"] == release.final.digest
    assert pushed["changed"] is True
    assert pushed["previous_digest"] is None
    assert customer.manifest(release.target, "2") == release.final.raw
    # The tag is the last thing that is written.
    assert watch.writes()[-1].path == f"/v2/{release.target}/manifests/2"
    assert tool.leftovers() == []


def test_a_push_that_is_done_sends_nothing(tool: Tool, customer: Registry, release: Release) -> None:
    tool.good("push", release.archive, release.destination, *PLAIN_DEST)
    watch = customer.watch()
    again = tool.good("push", release.archive, release.destination, "--json", *PLAIN_DEST)
    assert again.json["changed"] is False
    assert again.json["digest"] == release.final.digest
    assert watch.writes() == []
    assert "nothing sent" in tool.good("push", release.archive, release.destination, *PLAIN_DEST).text


@pytest.mark.parametrize("command", ["vet", "push"])
def test_missing_layers_are_named_and_nothing_is_written(
    tool: Tool, customer: Registry, undelivered: Release, command: str
) -> None:
    # One layer is there, two are not; and the repository has another image.
    put_image(customer, undelivered.target, "0", [layer(f"{undelivered.repository} 1")])
    watch = customer.watch()
    ran = tool(command, undelivered.archive, undelivered.destination, "--json", *PLAIN_DEST)
    assert ran.code == ran.json["error"]["code"] == 3
    missing = [undelivered.base.layers[0], undelivered.base.layers[2]]
    assert ran.json["missing"] == [
        {"digest": digest, "size": undelivered.base.sizes[digest], "bases": [undelivered.base.digest]}
        for digest in sorted(missing)
    ]
    assert watch.writes() == []
    assert customer.manifest(undelivered.target, "2") is None
    shown = tool(command, undelivered.archive, undelivered.destination, *PLAIN_DEST)
    for digest in (*missing, undelivered.base.digest):
        assert digest in shown.text + shown.stderr
    assert tool.leftovers() == []


def test_a_repository_that_does_not_exist_has_no_layer(tool: Tool, undelivered: Release) -> None:
    ran = tool("push", undelivered.archive, undelivered.destination, "--json", *PLAIN_DEST)
    assert ran.code == 3
    assert len(ran.json["missing"]) == 3


def test_vetting_mounts_nothing_that_the_cache_knows(
    tool: Tool, customer: Registry, undelivered: Release, tmp_path: Path
) -> None:
    """skopeo's cache knows the layers in a neighbouring repository, and would mount them."""
    neighbour = fresh("neighbour")
    put_image(customer, neighbour, "1", [layer(f"{undelivered.repository} {number}") for number in range(3)])
    known = {"XDG_DATA_HOME": str(tmp_path / "data")}
    cached = fresh("cached")
    # The cache is taught by a copy, and would then be used: that is what the second one shows.
    for target in (cached, fresh("cached")):
        watch = customer.watch()
        tool_environment = tool.environment | known
        subprocess.run(
            ["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
             f"docker://{customer.host}/{neighbour}:1", f"docker://{customer.host}/{target}:1"],
            check=True, env=tool_environment,
        )  # fmt: skip
    assert [request for request in watch.requests("POST") if "mount=" in request.path]
    watch = customer.watch()
    assert tool("vet", undelivered.archive, undelivered.destination, *PLAIN_DEST, env=known).code == 3
    assert tool("push", undelivered.archive, undelivered.destination, *PLAIN_DEST, env=known).code == 3
    assert {request.method for request in watch.requests()} == {"HEAD", "GET"}


def test_many_layers_are_asked_for(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    layers = [layer(f"{repository} {number}", 50) for number in range(75)]
    put_image(vendor, repository, "1", layers)
    final = put_image(vendor, repository, "2", [*layers, layer("new")])
    put_image(customer, target, "1", [each for number, each in enumerate(layers) if number not in (3, 40, 74)])
    tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL
    )
    ran = tool("push", "o.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST)
    wanted = sorted(final.layers[number] for number in (3, 40, 74))
    assert [each["digest"] for each in ran.json["missing"]] == wanted


def test_a_dry_run_of_a_push_writes_nothing(tool: Tool, customer: Registry, release: Release) -> None:
    watch = customer.watch()
    ran = tool.good("push", "--dry-run", release.archive, release.destination, "--json", *PLAIN_DEST)
    assert ran.json["changed"] is True
    assert watch.writes() == []


def test_tags(tool: Tool, customer: Registry, release: Release) -> None:
    old = put_image(customer, release.target, "stable", [layer("old")])
    push = ("push", release.archive, release.destination, "--json", *PLAIN_DEST)
    refused = tool(*push, "--additional-tag", "stable", "--no-overwrite-tag")
    assert refused.code == 5
    assert old.digest in refused.json["error"]["message"]
    assert customer.manifest(release.target, "2") is None
    tool.good(*push, "--additional-tag", "new", "--no-overwrite-tag")
    moved = tool.good(*push, "--additional-tag", "stable", "--additional-tag", "new").json
    assert moved["changed"] is True
    assert {tag["reference"].rpartition(":")[2]: tag["previous_digest"] for tag in moved["tags"]} == {
        "2": release.final.digest,
        "stable": old.digest,
        "new": release.final.digest,
    }
    for tag in ("2", "stable", "new"):
        assert customer.manifest(release.target, tag) == release.final.raw
    assert tool(*push, "--additional-tag", "not a tag").code == 2


def test_a_moved_tag_names_what_it_was(tool: Tool, customer: Registry, release: Release) -> None:
    old = put_image(customer, release.target, "2", [layer("old")])
    ran = tool.good("push", release.archive, release.destination, *PLAIN_DEST)
    assert f"(was {old.digest})" in ran.text


def test_a_destination_by_digest(tool: Tool, customer: Registry, release: Release) -> None:
    repository = f"{customer.host}/{release.target}"
    other = tool("push", release.archive, f"{repository}@{release.base.digest}", "--json", *PLAIN_DEST)
    assert other.code == 2
    assert release.final.digest in other.json["error"]["message"]
    push = ("push", release.archive, f"{repository}@{release.final.digest}", "--json", *PLAIN_DEST)
    assert tool.good(*push).json["changed"] is True
    assert customer.manifest(release.target, release.final.digest) == release.final.raw
    assert tool.good(*push).json["changed"] is False


def test_plain_skopeo_pushes_our_archive(tool: Tool, customer: Registry, release: Release) -> None:
    skopeo(
        "copy", "--dest-tls-verify=false", f"oci-archive:{release.archive}",
        f"docker://{customer.host}/{release.target}:plain",
    )  # fmt: skip
    assert customer.manifest(release.target, "plain") == release.final.raw


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_plain_skopeo_pushes_our_archive_of_a_list(
    tool: Tool, vendor: Registry, customer: Registry, docker: bool
) -> None:
    repository, target = fresh(), fresh("there")
    leaves = {
        arch: put_image(vendor, repository, None, [layer(arch)], arch=arch, docker=docker)
        for arch in ("amd64", "arm64")
    }
    final = put_list(
        vendor, repository, "1", [(each, platform(arch)) for arch, each in leaves.items()], docker=docker
    )
    tool.good("pull", "--all", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL)
    skopeo(
        "copy", "--all", "--dest-tls-verify=false", f"oci-archive:{tool.home}/o.tar",
        f"docker://{customer.host}/{target}:1",
    )  # fmt: skip
    assert customer.manifest(target, "1") == final.raw


def skopeo_archive(image: Image, blobs: dict[str, bytes], path: Path) -> None:
    """As `skopeo copy oci:L oci-archive:F` writes it."""
    folder = path.parent / "layout"
    for name, data in layout_members(image, blobs):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    skopeo("copy", "--preserve-digests", f"oci:{folder}", f"oci-archive:{path}:name")


def docker_save(image: Image, blobs: dict[str, bytes], path: Path) -> None:
    """As `docker save` writes it since version 25: a layout, with the old format's files beside it."""
    folders = []
    for name in ("blobs/", "blobs/sha256/"):
        folder = tarfile.TarInfo(name)
        folder.type = tarfile.DIRTYPE
        folders.append((folder, b""))
    members = layout_members(image, blobs)
    legacy = [("manifest.json", b"[]"), ("repositories", b"{}")]
    write_tar(path, [*folders, *members[2:], members[1], *legacy, members[0]])


def go_tool(image: Image, blobs: dict[str, bytes], path: Path) -> None:
    """As GNU tar packs a layout: names begin with ./, and folders are members."""
    members = layout_members(image, blobs)
    write_tar(path, [(f"./{name}", data) for name, data in sorted(members)])


@pytest.mark.parametrize("maker", [skopeo_archive, docker_save, go_tool])
def test_archives_of_other_tools(
    tool: Tool, vendor: Registry, customer: Registry, maker: Callable[[Image, dict[str, bytes], Path], None]
) -> None:
    repository, target = fresh(), fresh("there")
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    ).encode()
    content = [layer(repository), layer("more")]
    image = put_image(vendor, repository, "1", content, config=config)
    archive = tool.home / "other.tar"
    maker(image, by_digest(config, *content), archive)
    assert image.digest in tool.good("inspect", archive).text
    pushed = tool.good("push", archive, f"{customer.host}/{target}:1", "--json", *PLAIN_DEST)
    assert pushed.json["digest"] == image.digest
    assert customer.manifest(target, "1") == image.raw


def test_an_incremental_archive_of_another_tool(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """The Go tool's output: no annotations, layers left out."""
    repository, target = fresh(), fresh("there")
    config = b'{"os":"linux","architecture":"amd64"}'
    content = [layer("shared"), layer(repository)]
    image = put_image(vendor, repository, "1", content, config=config)
    archive = tool.home / "other.tar"
    go_tool(image, by_digest(config, content[1]), archive)
    push = ("push", archive, f"{customer.host}/{target}:1", "--json", *PLAIN_DEST)
    ran = tool(*push)
    assert ran.code == 3
    assert ran.json["missing"] == [{"digest": image.layers[0], "size": len(content[0]), "bases": []}]
    put_image(customer, target, "0", [layer("shared")])
    assert tool.good(*push).json["digest"] == image.digest


def test_inspect_lists_everything(tool: Tool, release: Release) -> None:
    found = tool.good("inspect", release.archive, "--json").json
    assert found["digest"] == release.final.digest
    assert found["format"] == "1"
    assert found["bases"] == [release.base.digest]
    where = {each["digest"]: each["where"] for each in found["layers"]}
    assert where == dict.fromkeys(release.base.layers, "omitted") | {release.final.layers[3]: "inside"}
    text = tool.good("inspect", release.archive).text
    for digest in (release.final.digest, release.base.digest, *release.final.layers):
        assert digest in text
    assert "linux/amd64" in text


def test_vet_of_the_archive_alone_needs_neither_network_nor_skopeo(tool: Tool, release: Release) -> None:
    ran = tool.good("vet", release.archive, env={"PATH": "/nowhere"})
    assert "the archive is sound" in ran.text
    assert "3 layers" in ran.text


def damaged(
    path: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str | tarfile.TarInfo, bytes]]]
) -> None:
    with tarfile.open(path) as tar:
        members = []
        for member in tar:
            file = tar.extractfile(member)
            assert file
            members.append((member.name, file.read()))
    write_tar(path, change(members))


def _special(kind: bytes, name: str = "odd") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "/etc/passwd"
    return member


def _blobs(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return sorted(members[2:], key=lambda member: len(member[1]))


def _with_index(members: list[tuple[str, bytes]], index: object) -> list[tuple[str | tarfile.TarInfo, bytes]]:
    return [
        members[0],
        ("index.json", index if isinstance(index, bytes) else json.dumps(index).encode()),
        *members[2:],
    ]


def _nested_index(members: list[tuple[str, bytes]]) -> list[tuple[str | tarfile.TarInfo, bytes]]:
    child = {"mediaType": OCI_INDEX, "digest": digest_of(b"x"), "size": -1}
    return _with_index(members, {"schemaVersion": 2, "manifests": [child]})


HOSTILE: dict[str, Callable[[list[tuple[str, bytes]]], list[tuple[str | tarfile.TarInfo, bytes]]]] = {
    "a symbolic link": lambda members: [*members, (_special(tarfile.SYMTYPE), b"")],
    "a hard link": lambda members: [*members, (_special(tarfile.LNKTYPE), b"")],
    "a character device": lambda members: [*members, (_special(tarfile.CHRTYPE), b"")],
    "a block device": lambda members: [*members, (_special(tarfile.BLKTYPE), b"")],
    "a named pipe": lambda members: [*members, (_special(tarfile.FIFOTYPE), b"")],
    "a link in place of a blob": lambda members: [
        *members[:-1], (_special(tarfile.SYMTYPE, members[-1][0]), b"")
    ],
    "an absolute name": lambda members: [*members, ("/tmp/x", b"x")],
    "a name that climbs": lambda members: [*members, ("blobs/../../x", b"x")],
    "a member twice": lambda members: [*members, members[-1]],
    "a member twice by another name": lambda members: [*members, ("./" + members[-1][0], members[-1][1])],
    "a blob that is not its name": lambda members: [*members[:-1], (members[-1][0], members[-1][1] + b"x")],
    "a stray blob that is not its name": lambda members: [*members, ("blobs/sha256/" + "0" * 64, b"x")],
    "a blob whose name is no digest": lambda members: [*members, ("blobs/sha256/x", b"x")],
    "no index": lambda members: [members[0], *members[2:]],
    "no layout file": lambda members: members[1:],
    "another layout version": lambda members: [("oci-layout", b'{"imageLayoutVersion":"2"}'), *members[1:]],
    "an index without images": lambda members: _with_index(members, {"schemaVersion": 2, "manifests": []}),
    "an index that breaks the schema": lambda members: _with_index(members, {"schemaVersion": 2, "manifests": [7]}),
    "an index with a negative size": _nested_index,
    "an index that is not JSON": lambda members: _with_index(members, b"{"),
    "an index of absurd depth": lambda members: _with_index(members, b"[" * 100_000),
    "an index of absurd size": lambda members: _with_index(members, b" " * (4 * 2**20 + 1)),
    "no manifest": lambda members: [member for member in members if b'"layers"' not in member[1]],
    "no config": lambda members: [member for member in members if b'"architecture"' not in member[1]],
    "no layer, undeclared": lambda members: [*members[:2], *_blobs(members)[:-1]],
    "a newer format": lambda members: [
        members[0], (members[1][0], members[1][1].replace(b'format":"1"', b'format":"2"')), *members[2:]
    ],
    "an unknown requirement": lambda members: [
        members[0], (members[1][0], members[1][1].replace(b'requires":""', b'requires":"magic"')), *members[2:]
    ],
}  # fmt: skip


def test_hostile_archives(tool: Tool, customer: Registry, release: Release) -> None:
    good = release.archive.read_bytes()
    watch = customer.watch()
    for kind, change in HOSTILE.items():
        release.archive.write_bytes(good)
        damaged(release.archive, change)
        for command in (("vet",), ("push", release.destination)):
            ran = tool(command[0], release.archive, *command[1:], "--json", *PLAIN_DEST)
            assert ran.code == ran.json["error"]["code"] == 4, f"{kind}: {ran.text}"
        assert tool.leftovers() == [], kind
        assert [path.name for path in tool.home.iterdir()] == [release.archive.name], kind
    assert watch.requests() == []


def test_a_truncated_archive(tool: Tool, customer: Registry, release: Release) -> None:
    whole = release.archive.read_bytes()
    end = len(whole.rstrip(b"\0"))
    watch = customer.watch()
    for length in (0, 1, 511, 512, 1000, 3000, end // 2, end - 1, end, -(-end // 512) * 512):
        release.archive.write_bytes(whole[:length])
        ran = tool("push", release.archive, release.destination, "--json", *PLAIN_DEST)
        assert ran.code == 4, length
    assert watch.requests() == []


def test_a_manifest_that_lies_about_a_size(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """A registry takes it, and skopeo copies it: only we look."""
    repository = fresh()
    good = put_image(vendor, repository, "1", [layer("a")])
    document = json.loads(good.raw)
    document["layers"][0]["size"] += 1
    vendor.put_manifest(repository, "2", json.dumps(document).encode(), good.media_type)
    two = f"{vendor.host}/{repository}:2"
    ran = tool("pull", two, "-o", "o.tar", "--json", *PLAIN_PULL)
    assert ran.code == 4
    assert "its manifest says" in ran.json["error"]["message"]
    assert tool("pull", two, "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL).code == 4
    assert list(tool.home.iterdir()) == []


def test_an_archive_of_several_images(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository = fresh()
    one = put_image(vendor, repository, "1", [layer("a")], config=b'{"os":"a"}')
    two = put_image(vendor, repository, "2", [layer("b")], config=b'{"os":"b"}')
    index = json.dumps({"schemaVersion": 2, "manifests": [one.descriptor(), two.descriptor()]}).encode()
    blobs = by_digest(one.raw, two.raw, layer("a"), layer("b"), b'{"os":"a"}', b'{"os":"b"}')
    members = layout_members(one, blobs)
    write_tar(tool.home / "two.tar", [members[0], ("index.json", index), *members[2:]])
    assert len(tool.good("inspect", "two.tar", "--json").json["images"]) == 2
    ran = tool("push", "two.tar", f"{customer.host}/{fresh()}:1", "--json", *PLAIN_DEST)
    assert ran.code == 2
    assert one.digest in ran.json["error"]["message"]


def test_a_layer_listed_twice(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    image = put_image(vendor, repository, "1", [layer("a"), layer("b"), layer("a")])
    tool.good("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL)
    tool.good("push", "o.tar", f"{customer.host}/{target}:1", *PLAIN_DEST)
    assert customer.manifest(target, "1") == image.raw


def test_a_base_that_no_tag_holds(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """A registry's retention removes what no tag holds; a receipt, or a base that is given, tells of tags."""
    at = fresh()
    shared = layer(f"{at}a")
    children = [
        (put_image(vendor, at, None, [layer(f"{at}{arch}"), shared], arch=arch), platform(arch))
        for arch in ("amd64", "arm64")
    ]
    put_list(vendor, at, "1", children)
    put_image(vendor, at, "2", [shared, layer(f"{at}b")])
    one, two = (f"{vendor.host}/{at}:{tag}" for tag in "12")
    there = f"{customer.host}/{at}"
    child = children[0][0].digest
    tool.good("pull", one, "--all", "-o", "1.tar", *PLAIN_PULL)
    tool.good("pull", two, "-b", f"{vendor.host}/{at}@{child}", "-o", "2.tar", *PLAIN_PULL)
    push = ("push", "2.tar", f"{there}:2", *PLAIN_DEST, "--base-tls-verify=false", "--dry-run")
    receipt = ("--receipt", "site.json")
    tool.good("push", "1.tar", f"{there}:1", *receipt, *PLAIN_DEST)

    def warning(*options: str) -> str:
        lines = tool.good(*push, *options).stderr.splitlines()
        return "".join(line for line in lines if line.startswith("warning: "))

    # The tag holds the list, and the list the image that the archive was made from.
    assert not warning(*receipt)
    assert not warning("-b", f"{there}:1")
    loose = f"no known tag of {there} holds {at} ({child})"
    assert loose in warning("-b", f"{there}@{child}")
    assert not warning("-b", f"{there}@{child}", "-b", f"{there}:1")
    # Somebody moves it.
    put_image(customer, at, "1", [layer("other")])
    assert loose in warning(*receipt)
    # The tag that this push moves holds it so far.
    put_list(customer, at, "2", children)
    assert not warning(*receipt)
    put_image(customer, at, "2", [layer("other")])
    # Nobody said anything of tags here.
    assert not warning()
    assert not warning("-b", one)
