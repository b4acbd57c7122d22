"""Destinations outside of registries, and bases that lend a push their layers."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.support.archives import members_of, write_tar
from tests.support.images import Image, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.stores import why_no_store
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, Tool, refused, skopeo

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.stores import Store

PLAIN_BASE = ("--base-tls-verify", "false")
# One with a loader of its own can't write a store: storage runs its program again.
SYSTEM = "/usr/bin/skopeo"


class Release:
    """Two images that share three layers; the second as an archive without them, and as a whole one."""

    def __init__(self, tool: Tool, vendor: Registry) -> None:
        self.repository = fresh("release")
        shared = [layer(f"{self.repository}{each}") for each in "abc"]
        self.base = put_image(vendor, self.repository, "1", [*shared, layer(self.repository + "old")])
        self.final = put_image(vendor, self.repository, "2", [*shared, layer(self.repository + "new")])
        self.shared = self.final.layers[:3]
        self.one, self.two = (f"{vendor.host}/{self.repository}:{tag}" for tag in "12")
        tool.good("pull", self.two, "-b", self.one, "-o", "update.tar", *PLAIN_PULL)
        tool.good("pull", self.two, "-o", "whole.tar", *PLAIN_PULL)

    def bases(self, tool: Tool) -> list[str]:
        """The base, in every place that holds layers."""
        plain = ("copy", "--src-tls-verify=false", "--preserve-digests", f"docker://{self.one}")
        skopeo(*plain, f"oci:{tool.home}/layout:one")
        skopeo(*plain, f"oci-archive:{tool.home}/base.tar:one")
        skopeo(*plain, f"dir:{tool.home}/dir")
        return [self.one, "oci:layout:one", "oci-archive:base.tar", "dir:dir"]


@pytest.fixture
def release(tool: Tool, vendor: Registry) -> Release:
    return Release(tool, vendor)


def everything_in(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def test_complete_is_what_a_pull_without_base_writes(tool: Tool, vendor: Registry, release: Release) -> None:
    whole = (tool.home / "whole.tar").read_bytes()
    for base in release.bases(tool):
        watch = vendor.watch()
        made = tool.good("complete", "update.tar", "-b", base, "-o", "full.tar", "--json", *PLAIN_BASE).json
        assert (tool.home / "full.tar").read_bytes() == whole
        assert (made["digest"], made["omitted"], made["layers_new"]) == (release.final.digest, [], 4)
        assert made["archive"]["size"] == len(whole)
        # Of a base in a registry the needed layers are read, and its config, which skopeo always wants.
        read = set(watch.blobs())
        assert read == ({*release.shared, release.base.config} if base == release.one else set())
    again = tool.good("complete", "update.tar", "-b", release.one, "-o", "full.tar", "--json", *PLAIN_BASE)
    assert again.json["changed"] is False
    streamed = tool.good("complete", "update.tar", "-b", "oci:layout", "-o", "-")
    assert streamed.stdout == whole
    # An archive that is whole needs no base.
    tool.good("complete", "whole.tar", "-o", "same.tar")
    assert (tool.home / "same.tar").read_bytes() == whole
    assert tool.leftovers() == []


def test_a_base_without_the_layers_completes_nothing(tool: Tool, vendor: Registry, release: Release) -> None:
    put_image(vendor, release.repository, "other", [layer(release.repository + "a")])
    other = f"{vendor.host}/{release.repository}:other"
    for bases, lacking in (([], release.shared), (["-b", other], release.shared[1:])):
        ran = tool("complete", "update.tar", *bases, "-o", "full.tar", "--json", *PLAIN_BASE)
        refused(ran, 3, "--base")
        assert {each["digest"] for each in ran.json["missing"]} == set(lacking)
    assert not (tool.home / "full.tar").exists()


def test_a_base_lends_its_layers_to_a_push(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    for base in release.bases(tool):
        target = fresh("lent")
        push = ("push", "update.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST, *PLAIN_BASE)
        refused(tool(*push), 3, "--base")
        watch, written = vendor.watch(), customer.watch()
        vetted = tool.good("vet", "update.tar", push[2], "-b", base, "--json", *PLAIN_DEST, *PLAIN_BASE)
        assert vetted.json["missing"] == []
        assert tool.good(*push, "-b", base, "--dry-run").json["changed"]
        assert written.writes() == []
        assert watch.blobs() == []
        assert tool.good(*push, "-b", base).json["digest"] == release.final.digest
        assert customer.manifest(target, "2") == release.final.raw
        assert set(watch.blobs()) == ({*release.shared, release.base.config} if base == release.one else set())
    assert tool.leftovers() == []


def test_only_what_the_destination_lacks_is_read_from_a_base(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    target = fresh("some")
    put_image(customer, target, "old", [layer(f"{release.repository}{each}") for each in "ab"])
    watch = vendor.watch()
    there = f"{customer.host}/{target}:2"
    tool.good("push", "update.tar", there, "-b", release.one, *PLAIN_DEST, *PLAIN_BASE)
    assert set(watch.blobs()) == {release.shared[2], release.base.config}
    # What is there needs no base, so none is asked.
    watch = vendor.watch()
    tool.good("push", "update.tar", there, "-b", release.one, *PLAIN_DEST, *PLAIN_BASE)
    assert watch.requests() == []


def test_a_list_with_bases(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository = fresh("list")
    archs = ("amd64", "arm64")
    images = []
    for tag in "12":
        leaves = [
            put_image(
                vendor, repository, None, [layer(repository + arch), layer(repository + arch + tag)], arch=arch
            )
            for arch in archs
        ]
        described = [(leaf, platform(arch)) for leaf, arch in zip(leaves, archs, strict=True)]
        images.append(put_list(vendor, repository, tag, described))
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    tool.good("pull", two, "--all", "-b", one, "-o", "update.tar", *PLAIN_PULL)
    target = fresh("list")
    tool.good("push", "update.tar", f"{customer.host}/{target}:2", "-b", one, *PLAIN_DEST, *PLAIN_BASE)
    assert customer.manifest(target, "2") == images[1].raw
    for leaf in images[1].children:
        assert all(customer.has_blob(target, digest) for digest in leaf.layers)
    for place in ("oci:out:2", "oci-archive:out.tar", "dir:folder"):
        tool.good("push", "update.tar", place, "-b", one, *PLAIN_BASE)
        assert digest_of(skopeo("inspect", "--raw", place, cwd=tool.home).encode()) == images[1].digest
    refused(tool("push", "update.tar", "containers-storage:x", "--json"), 2, "--no-preserve-digests")
    ran = tool.good(
        "push",
        "update.tar",
        "docker-archive:out.tar:app:1",
        "-b",
        one,
        "--json",
        "--no-preserve-digests",
        *PLAIN_BASE,
    )
    assert ran.json["image_id"] in {leaf.config for leaf in images[1].children}


def test_layers_are_mounted_within_a_registry(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    # What skopeo has once sent there it knows to be there.
    near, target = fresh("near"), fresh("mounted")
    tool.good("pull", release.one, "-o", "one.tar", *PLAIN_PULL)
    tool.good("push", "one.tar", f"{customer.host}/{near}:1", *PLAIN_DEST)
    watch = customer.watch()
    base = f"{customer.host}/{near}:1"
    tool.good("push", "update.tar", f"{customer.host}/{target}:2", "-b", base, *PLAIN_DEST, *PLAIN_BASE)
    assert customer.manifest(target, "2") == release.final.raw
    # A registry mounts what it may have lost: first bytes are read there.
    assert set(watch.blobs()) == set(release.shared)
    mounts = [each for each in watch.requests("POST") if "mount=" in each.path]
    assert {re.search("mount=([^&]*)", each.path)[1].replace("%3A", ":") for each in mounts} == set(release.shared)  # type: ignore[index]


def test_only_the_bases_flags_log_in_to_a_base(
    tool: Tool, locked: Registry, vendor: Registry, customer: Registry
) -> None:
    repository = fresh("closed")
    put_image(locked, repository, "1", [layer(repository)])
    final = put_image(vendor, repository, "2", [layer(repository), layer("more")])
    base = f"{locked.host}/{repository}:1"
    login = ("--base-creds", ACCOUNTS["ann"])
    tool.good("pull", f"{vendor.host}/{repository}:2", "-b", base, *login, "-o", "u.tar", *PLAIN_PULL)
    target = fresh("open")
    push = ("push", "u.tar", f"{customer.host}/{target}:2", *PLAIN_DEST, *PLAIN_BASE, "--json")
    watch = locked.watch()
    refused(tool(*push), 3)
    # Nothing in the archive tells where its base is, and nobody asks there.
    assert watch.requests() == []
    refused(tool(*push, "-b", base, "--dest-creds", ACCOUNTS["ann"]), 5, "--base-creds")
    tool.good(*push, "-b", base, *login)
    assert customer.manifest(target, "2") == final.raw


def test_a_damaged_base_reaches_no_destination(
    tool: Tool, customer: Registry, vendor: Registry, release: Release
) -> None:
    release.bases(tool)
    name = release.shared[1].removeprefix("sha256:")
    target = fresh("damaged")
    for blob, base in ((f"layout/blobs/sha256/{name}", "oci:layout"), (f"dir/{name}", "dir:dir")):
        path = tool.home / blob
        good = path.read_bytes()
        for bad in (good[:-1], good + b"x", good[:-1] + bytes([good[-1] ^ 1])):
            path.write_bytes(bad)
            watch = customer.watch()
            push = ("push", "update.tar", f"{customer.host}/{target}:2", "-b", base, "--json", *PLAIN_DEST)
            refused(tool(*push), 4, release.shared[1])
            assert watch.writes() == []
            for place in ("oci-archive:out.tar", "dir:folder"):
                refused(tool("push", "update.tar", place, "-b", base, "--json"), 4, release.shared[1])
            refused(tool("push", "update.tar", "oci:out:2", "-b", base, "--json"), 4, release.shared[1])
            refused(tool("complete", "update.tar", "-b", base, "-o", "full.tar", "--json"), 4, release.shared[1])
            assert not any((tool.home / each).exists() for each in ("out.tar", "full.tar", "folder"))
            assert json.loads((tool.home / "out/index.json").read_bytes())["manifests"] == []
    assert tool.leftovers() == []


@pytest.mark.parametrize(
    ("base", "code", "word"),
    [
        ("oci:nowhere", 2, "index.json"),
        ("dir:nowhere", 2, "manifest.json"),
        ("oci-archive:nowhere.tar", 2, "does not exist"),
        ("oci-archive:text", 4, "not a tar"),
        ("oci:empty", 2, "index.json"),
        ("manifest:text", 2, "no compressed layers"),
        ("127.0.0.1:1/app:1", 5, "127.0.0.1:1"),
    ],
)
def test_bases_that_can_lend_nothing(
    tool: Tool, customer: Registry, release: Release, base: str, code: int, word: str
) -> None:
    (tool.home / "empty").mkdir()
    (tool.home / "text").write_text("no tar at all" * 100)
    target = fresh("never")
    watch = customer.watch()
    ran = tool("push", "update.tar", f"{customer.host}/{target}:2", "-b", base, "--json", *PLAIN_DEST, *PLAIN_BASE)
    refused(ran, code, word)
    assert watch.writes() == []


def test_to_an_archive(tool: Tool, release: Release) -> None:
    push = ("push", "update.tar", "oci-archive:out.tar", "--json")
    ran = tool(*push)
    refused(ran, 3, "oci-archive:out.tar")
    assert {each["digest"] for each in ran.json["missing"]} == set(release.shared)
    assert not (tool.home / "out.tar").exists()
    base = ("-b", release.one, *PLAIN_BASE)
    assert tool.good(*push, *base, "--dry-run").json["changed"]
    assert not (tool.home / "out.tar").exists()
    assert tool.good(*push, *base).json["changed"]
    assert (tool.home / "out.tar").read_bytes() == (tool.home / "whole.tar").read_bytes()
    assert tool.good(*push, *base).json["changed"] is False
    refused(tool(*push, *base, "--no-overwrite-tag"), 5, "already exists")
    tool.good("push", "whole.tar", "oci-archive:other.tar:name")
    assert tool.good("inspect", "other.tar", "--json").json["images"][0]["name"] == "name"
    (tool.home / "folder").mkdir()
    refused(tool("push", "whole.tar", "oci-archive:folder", "--json"), 2, "is a folder")
    refused(tool("push", "whole.tar", "oci-archive:no/where.tar", "--json"), 6, "no/where.tar")


def test_to_a_layout(tool: Tool, vendor: Registry, release: Release) -> None:
    skopeo("copy", "--src-tls-verify=false", f"docker://{release.one}", f"oci:{tool.home}/layout:one")
    before = everything_in(tool.home / "layout")
    push = ("push", "update.tar", "oci:layout:two", "--json")
    assert tool.good(*push, "--dry-run").json["changed"]
    assert everything_in(tool.home / "layout") == before
    pushed = tool.good(*push).json
    assert (pushed["changed"], pushed["digest"], pushed["previous_digest"]) == (True, release.final.digest, None)
    assert tool.good(*push).json["changed"] is False
    for tag, image in (("one", release.base), ("two", release.final)):
        assert skopeo("inspect", "--raw", f"oci:layout:{tag}", cwd=tool.home).encode() == image.raw
        skopeo("copy", f"oci:layout:{tag}", f"dir:{tool.home}/{tag}", cwd=tool.home)
    refused(tool("push", "whole.tar", "oci:layout:one", "--no-overwrite-tag", "--json"), 5, release.base.digest)
    moved = tool.good("push", "whole.tar", "oci:layout:one", "--json").json
    assert moved["previous_digest"] == release.base.digest
    # Without the base's layers, and without a base: nothing is written.
    ran = tool("push", "update.tar", "oci:new:two", "--json")
    refused(ran, 3, "oci:new:two")
    assert {each["digest"] for each in ran.json["missing"]} == set(release.shared)
    assert not (tool.home / "new").exists()
    tool.good("push", "update.tar", "oci:new", "-b", "oci:layout")
    # The archive's own name, where none is given.
    assert skopeo("inspect", "--raw", "oci:new:2", cwd=tool.home).encode() == release.final.raw
    # A layer that was cut short is not there.
    blob = tool.home / "new/blobs/sha256" / release.shared[0].removeprefix("sha256:")
    blob.write_bytes(b"short")
    ran = tool("push", "update.tar", "oci:new", "--json")
    refused(ran, 3)
    assert [each["digest"] for each in ran.json["missing"]] == [release.shared[0]]
    (tool.home / "folder").mkdir()
    (tool.home / "folder/letter").touch()
    refused(tool("push", "whole.tar", "oci:folder:x", "--json"), 4, "not an OCI layout")


def damaged(path: Path) -> bytes:
    """Change a byte of a file, whose length stays; return what it was."""
    kept = path.read_bytes()
    path.write_bytes(bytes([kept[0] ^ 1]) + kept[1:])
    return kept


def test_what_is_damaged_in_a_layout_is_put_right(tool: Tool, release: Release) -> None:
    push = ("push", "whole.tar", "oci:layout:two", "--json")
    tool.good(*push)
    before = everything_in(tool.home / "layout")
    blobs = sorted((tool.home / "layout/blobs/sha256").iterdir())
    assert len(blobs) > len(release.shared) + 2
    for blob in blobs:
        damaged(blob)
        assert tool.good(*push, "--dry-run").json["changed"]
        assert tool.good(*push).json["changed"]
        assert everything_in(tool.home / "layout") == before
    assert tool.good(*push, "--dry-run").json["changed"] is False
    assert tool.good(*push).json["changed"] is False
    damaged(blobs[0])
    blobs[1].unlink()
    blobs[1].symlink_to("/dev/zero")
    tool.good(*push)
    assert everything_in(tool.home / "layout") == before


def test_a_layer_that_is_damaged_in_a_layout_is_not_there(tool: Tool, release: Release) -> None:
    release.bases(tool)
    for digest in release.shared:
        index = (tool.home / "layout/index.json").read_bytes()
        blob = tool.home / "layout/blobs/sha256" / digest.removeprefix("sha256:")
        kept = damaged(blob)
        for words in (("vet",), ("push",), ("push", "--dry-run")):
            ran = tool(*words, "update.tar", "oci:layout:two", "--json")
            refused(ran, 3, "oci:layout:two")
            assert [each["digest"] for each in ran.json["missing"]] == [digest]
        assert (tool.home / "layout/index.json").read_bytes() == index
        # A base has it whole.
        assert tool.good("push", "update.tar", "oci:layout:two", "-b", "oci-archive:base.tar", "--json").json[
            "changed"
        ]
        assert blob.read_bytes() == kept
    skopeo("copy", "oci:layout:two", f"dir:{tool.home}/two", cwd=tool.home)


def test_a_layer_that_is_damaged_at_a_place_is_not_there(tool: Tool, release: Release) -> None:
    release.bases(tool)
    digest = release.shared[1]
    name = digest.removeprefix("sha256:")
    for place, blob in (("oci:layout:one", f"layout/blobs/sha256/{name}"), ("dir:dir", f"dir/{name}")):
        ask = ("inspect", "update.tar", "--for", place, "--json")
        assert tool.good(*ask).json["missing"] == []
        damaged(tool.home / blob)
        ran = tool(*ask)
        refused(ran, 3)
        assert [each["digest"] for each in ran.json["missing"]] == [digest]


def test_images_that_are_added_to_a_layout_side_by_side_all_stay(tool: Tool) -> None:
    for number in range(6):
        skopeo_made = tool.home / f"{number}.tar"
        put_archive(skopeo_made, str(number))
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [*tool.command, "push", f"{number}.tar", f"oci:layout:{number}"],
                    env=tool.environment, cwd=tool.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )
            )
            for number in range(6)
        ]  # fmt: skip
        assert [each.wait() for each in running] == [0] * 6
    entries = json.loads((tool.home / "layout/index.json").read_bytes())["manifests"]
    assert len(entries) == 6


def put_archive(path: Path, seed: str) -> None:
    """Write an archive of one image by hand: no registry is needed."""
    content, config = layer(seed), b"{}"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/x", "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "application/x", "digest": digest_of(content), "size": len(content)}],
        }
    ).encode()
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest_of(manifest),
        "size": len(manifest),
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [described]}).encode()
    blobs = [(f"blobs/sha256/{digest_of(each)[7:]}", each) for each in (content, config, manifest)]
    with tarfile.open(path, "w") as tar:
        for name, data in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), *blobs):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_to_a_folder(tool: Tool, release: Release) -> None:
    push = ("push", "update.tar", "dir:out", "--json")
    refused(tool(*push), 3, "dir:out")
    assert not (tool.home / "out").exists()
    base = ("-b", release.one, *PLAIN_BASE)
    pushed = tool.good(*push, *base).json
    assert (pushed["digest"], pushed["previous_digest"]) == (release.final.digest, None)
    assert (tool.home / "out/manifest.json").read_bytes() == release.final.raw
    skopeo("copy", "dir:out", "oci:again", cwd=tool.home)
    # Again, and from elsewhere.
    assert tool.good(*push, *base, "--tmpdir", tool.temporary).json["previous_digest"] == release.final.digest
    refused(tool(*push, *base, "--no-overwrite-tag"), 5, "already exists")
    (tool.home / "mine").mkdir()
    (tool.home / "mine/letter").touch()
    refused(tool("push", "whole.tar", "dir:mine", "--json"), 2, "other files")
    refused(tool("push", "whole.tar", "dir:whole.tar", "--json"), 2, "is a file")
    assert sorted(path.name for path in tool.home.iterdir()) == ["again", "mine", "out", "update.tar", "whole.tar"]


def test_a_folder_that_is_not_skopeos_alone_keeps_all_that_it_has(tool: Tool, release: Release) -> None:
    push = ("push", "whole.tar", "dir:mine", "--json")
    mine = tool.home / "mine"
    version = b"Directory Transport Version: 1.1\n"
    for files in (
        {"version": b"3.2\n", "thesis": b"years of work"},
        {"version": version, "thesis": b"years of work"},
        {"version": b"", "manifest.json": b"{}"},
        {"manifest.json": b"{}", "a" * 64: b"blob"},
        {"version": version, "a" * 63: b"no blob"},
        {"version": version, "manifest.json": b"{}", "folder/file": b"kept"},
    ):
        for name, data in files.items():
            (mine / name).parent.mkdir(parents=True, exist_ok=True)
            (mine / name).write_bytes(data)
        refused(tool(*push), 2, "holds other files", "name a new folder")
        assert {
            str(path.relative_to(mine)): path.read_bytes() for path in mine.rglob("*") if path.is_file()
        } == files
        shutil.rmtree(mine)
    # What it would be taken for, under another name.
    (tool.home / "real").mkdir()
    (tool.home / "real").chmod(0o750)
    mine.symlink_to("real")
    tool.good(*push)
    assert mine.is_symlink()
    assert (tool.home / "real/manifest.json").read_bytes() == release.final.raw
    assert (tool.home / "real").stat().st_mode & 0o777 == 0o750
    tool.good(*push)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_folder_on_a_full_disk_stays_as_it_is(tool: Tool, release: Release, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        push = ("push", "whole.tar", f"dir:{disk}/image", "--tmpdir", tool.temporary, "--json")
        refused(tool("push", "whole.tar", f"dir:{disk}", "--json"), 2, "a disk is mounted at")
        tool.good(*push)
        before = {path.name: path.read_bytes() for path in (disk / "image").iterdir()}
        with (disk / "filling").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        refused(tool(*push), 6, str(disk))
        assert {path.name: path.read_bytes() for path in (disk / "image").iterdir()} == before
        assert sorted(path.name for path in disk.iterdir()) == ["filling", "image"]
        assert tool.leftovers() == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_device_or_pipe_is_written_to_and_not_replaced(tool: Tool, release: Release, customer: Registry) -> None:
    there = ("push", "whole.tar", f"docker://{customer.host}/{fresh()}:1", *PLAIN_DEST)
    for number, command in enumerate(
        (
            (*there, "--receipt"),
            ("inspect", "whole.tar", "--report"),
            ("push", "whole.tar", "--no-overwrite-tag", "oci-archive:"),
            ("push", "whole.tar", "--no-preserve-digests", "docker-archive:"),
            ("pull", release.two, *PLAIN_PULL, "-o"),
            ("complete", "whole.tar", "-o"),
        )
    ):
        pipe = tool.home / f"pipe{number}"
        os.mkfifo(pipe)
        *first, last = command
        together = last.endswith(":")

        def arguments(
            path: str, first: list[str] = first, last: str = last, together: bool = together
        ) -> list[str]:
            return [*first, last + path] if together else [*first, last, path]

        with subprocess.Popen(["timeout", "60", "cat", pipe], stdout=subprocess.PIPE) as reader:
            tool.good(*arguments(str(pipe)))
            said, _ = reader.communicate()
        assert len(said) > 100, command
        assert pipe.is_fifo()
        if os.geteuid() == 0:
            # One of our own: where this fails, the machine's is still there.
            null = tool.home / f"null{number}"
            os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            tool.good(*arguments(str(null)))
            assert null.is_char_device()
        assert tool.good(*arguments("/dev/stdout")).stdout
    refused(tool("push", "whole.tar", "oci-archive:/dev", "--json"), 2, "is a folder")


def test_to_dockers_own_format(tool: Tool, release: Release) -> None:
    push = ("push", "update.tar", "docker-archive:a b.tar:localhost/app:1", "--no-preserve-digests", "--json")
    refused(tool(*push), 3, "docker-archive:")
    assert not (tool.home / "a b.tar").exists()
    base = ("-b", release.one, *PLAIN_BASE)
    pushed = tool.good(*push, *base).json
    assert pushed["image_id"] == release.final.config
    with tarfile.open(tool.home / "a b.tar") as saved:
        (described,) = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert described["RepoTags"] == ["localhost/app:1"]
    assert described["Config"] == release.final.config.removeprefix("sha256:") + ".json"
    skopeo("copy", "docker-archive:a b.tar", "oci:again", cwd=tool.home)
    # A second one replaces it.
    tool.good(*push, *base)
    text = tool.good("push", "whole.tar", "docker-archive:c.tar", "--no-preserve-digests").text
    assert f"image ID:       {release.final.config}" in text
    refused(tool(*push, *base, "--no-overwrite-tag"), 5, "already exists")
    ran = tool("push", "whole.tar", "docker-archive:c.tar", "--no-preserve-digests", "--receipt", "r", "--json")
    refused(ran, 2, "receipt")
    assert not (tool.home / "r").exists()
    assert tool.leftovers() == []


def docker_load(host: str, archive: Path) -> str:
    """Load an archive as Docker's command does, over the API."""
    with archive.open("rb") as file:
        request = Request(f"{host}/images/load", data=file.read(), headers={"Content-Type": "application/x-tar"})
    with urlopen(request) as answer:
        return str(answer.read().decode())


def test_other_tools_load_a_whole_archive_under_its_name(
    tool: Tool, vendor: Registry, release: Release, daemon: tuple[str, Store]
) -> None:
    host, store = daemon
    name = f"localhost/{release.repository}"
    # podman, and Docker's API.
    subprocess.run([*store.podman, "load", "-q", "-i", tool.home / "whole.tar"], check=True, capture_output=True)
    assert f"{name}:2" in store.images()
    tool.good("pull", release.one, "-o", "one.tar", *PLAIN_PULL)
    assert f"{name}:1" in docker_load(host, tool.home / "one.tar")
    assert f"{name}:1" in store.images()
    # Docker's own format, read by skopeo; nobody but Docker has more of it.
    archive = f"docker-archive:{tool.home}/whole.tar:{name}:2"
    skopeo("copy", archive, f"dir:{tool.home}/loaded")
    loaded = json.loads((tool.home / "loaded/manifest.json").read_bytes())
    assert loaded["config"]["digest"] == release.final.config
    assert len(loaded["layers"]) == 4
    # What leaves layers out, and what Docker could not load, has no such document.
    tool.good("push", "whole.tar", "oci-archive:named.tar:other")
    (listed,) = json.loads(members_of(tool.home / "named.tar")["manifest.json"])
    assert listed["RepoTags"] == [f"{name}:other"]
    put_list(vendor, release.repository, "list", [(release.final, platform("amd64"))])
    tool.good("pull", f"{vendor.host}/{release.repository}:list", "--all", "-o", "list.tar", *PLAIN_PULL)
    foreign = [{"mediaType": "x", "digest": digest_of(b"far"), "size": 3, "urls": ["https://example.com/far"]}]
    put_image(vendor, release.repository, "far", [layer("near")], foreign=foreign)
    tool.good("pull", f"{vendor.host}/{release.repository}:far", "-o", "far.tar", *PLAIN_PULL)
    for archive in ("update.tar", "list.tar", "far.tar"):
        assert "manifest.json" not in members_of(tool.home / archive), archive


def test_an_archive_passes_on_names_without_hosts(tool: Tool, release: Release) -> None:
    members = members_of(tool.home / "whole.tar")
    for said, passed_on in (
        ("docker.io/library/debian:12", "localhost/debian:12"),
        ("localhost:5000/team/app:12", "localhost/team/app:12"),
        ("localhost/../x:1", None),
        ("localhost/X", None),
        ("evil\nname", None),
        ("evil\nname/x:1", None),
        ("", None),
    ):
        index = json.loads(members["index.json"])
        index["manifests"][0]["annotations"]["io.containerd.image.name"] = said
        del index["annotations"]["io.skopeo-incremental.names"]
        write_tar(tool.home / "said.tar", [*(members | {"index.json": json.dumps(index).encode()}).items()])
        tool.good("push", "said.tar", "oci-archive:again.tar")
        (entry,) = json.loads(members_of(tool.home / "again.tar")["index.json"])["manifests"]
        assert entry["annotations"].get("io.containerd.image.name") == passed_on, said


def test_to_a_daemon(tool: Tool, release: Release, daemon: tuple[str, Store]) -> None:
    host, store = daemon
    push = ("push", "update.tar", "docker-daemon:localhost/app:2", "--no-preserve-digests", "--json")
    push += ("--dest-daemon-host", host)
    refused(tool(*push), 3, "docker-daemon:")
    pushed = tool.good(*push, "-b", release.one, *PLAIN_BASE).json
    assert pushed["image_id"] == release.final.config
    assert store.images() == ["localhost/app:2", release.final.config.removeprefix("sha256:")]
    refused(tool(*push, "--no-overwrite-tag"), 2, "--no-overwrite-tag")
    away = ("--dest-daemon-host", "http://127.0.0.1:1")
    refused(tool(*push, *away, "-b", release.one, *PLAIN_BASE), 5, "--dest-daemon-host")


def program() -> bytes:
    """A layer that holds a shell, and what it is linked with."""
    linked = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    paths = ["/bin/sh", *re.findall(r"(/\S+) \(0x", linked)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path in paths:
            member = tar.gettarinfo(os.path.realpath(path), path.lstrip("/"))
            with Path(path).open("rb") as file:
                tar.addfile(member, file)
    return out.getvalue()


def greeting(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("greet")
        member.size, member.mode = len(text), 0o755
        tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may enter an image's folder")
def test_a_program_in_a_local_store_runs(tool: Tool, vendor: Registry, stores: list[Store]) -> None:
    repository = fresh("program")
    shell = program()
    images = [
        put_image(vendor, repository, tag, [shell, greeting(f"#!/bin/sh\necho release {tag}\n")]) for tag in "12"
    ]
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    tool.good("pull", one, "-o", "1.tar", *PLAIN_PULL)
    tool.good("pull", two, "-b", one, "-o", "2.tar", *PLAIN_PULL)
    store, other = stores
    with_system = ("--json", "--skopeo", SYSTEM)
    ran = tool("push", "2.tar", store.reference("app:2"), *with_system)
    refused(ran, 3, "localhost/app:2")
    assert [each["digest"] for each in ran.json["missing"]] == images[1].layers[:1]
    assert store.layers() == []
    assert tool.good("push", "1.tar", store.reference("app:1"), *with_system).json["changed"]
    assert tool.good("push", "2.tar", store.reference("app:2"), "--dry-run", *with_system).json["changed"]
    assert len(store.layers()) == 2
    pushed = tool.good("push", "2.tar", store.reference("app:2"), *with_system).json
    assert pushed["digest"] == images[1].digest
    assert pushed["image_id"] == images[1].config
    assert store.run("app:2", "/greet") == "release 2\n"
    assert sorted(store.layers()) == sorted({*images[0].layers, *images[1].layers})
    raw = subprocess.run(
        [SYSTEM, "inspect", "--raw", store.reference("app:2")], capture_output=True, check=True
    ).stdout
    assert raw == images[1].raw
    assert tool.good("push", "2.tar", store.reference("app:2"), *with_system).json["changed"] is False
    moved = ("push", "2.tar", store.reference("app:1"), *with_system)
    refused(tool(*moved, "--no-overwrite-tag"), 5, images[0].digest)
    assert tool.good(*moved).json["previous_digest"] == images[0].digest
    # What it has is known, and a base lends the rest to an empty one.
    asked = tool.good("inspect", "2.tar", "--for", store.reference("app:1"), *with_system)
    assert asked.json["missing"] == []
    refused(tool("inspect", "2.tar", "--for", other.reference("app:1"), *with_system), 3)
    tool.good("push", "2.tar", other.reference("app:2"), "-b", one, *with_system, *PLAIN_BASE)
    assert other.run("app:2", "/greet") == "release 2\n"


def test_a_store_with_another_compression(tool: Tool, vendor: Registry, stores: list[Store]) -> None:
    repository = fresh("compressed")
    plain = layer(repository)
    again = gzip.compress(gzip.decompress(plain), 1, mtime=1)
    put_image(vendor, repository, "plain", [plain])
    put_image(vendor, repository, "1", [again])
    final = put_image(vendor, repository, "2", [again, layer(repository + "new")])
    here = f"{vendor.host}/{repository}"
    for name, base in (("plain", ()), ("1", ()), ("2", ("-b", f"{here}:1"))):
        tool.good("pull", f"{here}:{name}", *base, "-o", f"{name}.tar", *PLAIN_PULL)
    with_system = ("--json", "--skopeo", SYSTEM)
    push = ("push", "2.tar", stores[0].reference("app:2"), *with_system)
    tool.good("push", "plain.tar", stores[0].reference("app:1"), *with_system)
    # That both are the same inside, skopeo knows once it has seen the other.
    tool.good("push", "1.tar", stores[1].reference("app:1"), *with_system)
    assert tool.good(*push).json["digest"] == final.digest
    raw = [SYSTEM, "inspect", "--raw", stores[0].reference("app:2")]
    assert subprocess.run(raw, capture_output=True, check=True).stdout == final.raw
    assert set(stores[0].layers()) == {digest_of(plain), final.layers[1]}


@pytest.mark.parametrize(
    ("reference", "code", "word"),
    [
        ("containers-storage:[vfs@/proc/nothing+/proc/run]localhost/app:1", 6, "podman images"),
        ("containers-storage:[nodriver@{home}/s+{home}/r]localhost/app:1", 2, "nodriver"),
        ("containers-storage:UPPER", 2, "UPPER"),
        ("docker-daemon:", 2, "names no place"),
        ("docker-daemon:UPPER:1", 2, "UPPER"),
        ("docker-daemon:app", 2, "no tag"),
        ("docker-archive:x.tar:UPPER", 2, "UPPER"),
        ("dir:no/where", 6, "no"),
        ("oci:/proc/nothing:x", 6, "/proc/nothing"),
    ],
)
def test_places_that_are_none(tool: Tool, release: Release, reference: str, code: int, word: str) -> None:
    if reference.startswith("containers-storage:") and (why := why_no_store()):
        pytest.skip(why)
    there = reference.format(home=tool.home)
    ran = tool("push", "whole.tar", there, "--no-preserve-digests", "--skopeo", SYSTEM, "--json")
    refused(ran, code, word)
    assert tool.leftovers() == []


def test_inspect_for(tool: Tool, vendor: Registry, customer: Registry, release: Release) -> None:
    (tool.home / "one.json").write_bytes(release.base.raw)
    tool.good("pull", release.one, "-o", "one.tar", *PLAIN_PULL)
    there = f"{customer.host}/{fresh('asked')}:1"
    tool.good("push", "one.tar", there, "--receipt", "receipt.json", *PLAIN_DEST)
    plain = ("--json", "--tls-verify", "false")
    would = [*release.bases(tool), there, "manifest:one.json", "receipt:receipt.json", "oci-archive:whole.tar"]
    for reference in would:
        watch, written = vendor.watch(), customer.watch()
        ran = tool.good("inspect", "update.tar", "--for", reference, *plain)
        assert ran.json["missing"] == []
        assert ran.json["destination"].endswith(reference)
        assert watch.blobs() == written.writes() == []
    nowhere = f"{customer.host}/{fresh('empty')}:1"
    for reference in (nowhere, "oci-archive:update.tar", "docker-archive:any.tar"):
        ran = tool("inspect", "update.tar", "--for", reference, *plain)
        refused(ran, 3)
        assert {each["digest"] for each in ran.json["missing"]} == set(release.shared)
    text = tool("inspect", "update.tar", "--for", nowhere, "--dest-tls-verify", "false")
    assert text.code == 3
    assert "lacks 3 layers" in text.text
    assert text.text.count("MISSING LAYER") == 1
    assert "next:           push " in text.text
    assert all(digest in text.text for digest in release.shared)
    refused(tool("inspect", "update.tar", "--for", "oci:nowhere", *plain), 2, "index.json")
    refused(tool("inspect", "update.tar", "--for", "127.0.0.1:1/app", *plain), 5, "127.0.0.1:1")
    # Nothing is left out: nobody need be asked.
    assert tool.good("inspect", "whole.tar", "--for", "127.0.0.1:1/app", *plain).json["missing"] == []


@pytest.fixture
def chain(tool: Tool, vendor: Registry) -> list[Image]:
    """Five releases, each with a layer more and one less; five archives, each made from the one before."""
    repository = fresh("chain")
    images = []
    for number in range(1, 6):
        layers = [layer(f"{repository}{each}") for each in range(max(1, number - 2), number + 1)]
        images.append(put_image(vendor, repository, f"v{number}", layers))
        base = ["-b", f"oci-archive:v{number - 1}.tar"] if number > 1 else []
        tool.good("pull", f"{vendor.host}/{repository}:v{number}", *base, "-o", f"v{number}.tar", *PLAIN_PULL)
    return images


ARCHIVES = tuple(f"v{number}.tar" for number in range(1, 6))


def test_a_chain_goes_in_one_push(tool: Tool, customer: Registry, chain: list[Image]) -> None:
    target = fresh("chained")
    there = f"{customer.host}/{target}"
    watch = customer.watch()
    # One is missing in the middle: nothing is written.
    ran = tool("push", *ARCHIVES[:1], *ARCHIVES[2:], there, "--json", *PLAIN_DEST)
    refused(ran, 3)
    assert [each["digest"] for each in ran.json["missing"]] == [chain[1].layers[1]]
    assert tool.good("push", *ARCHIVES, there, "--dry-run", "--json", *PLAIN_DEST).json["changed"]
    assert watch.writes() == []
    pushed = tool.good("push", *ARCHIVES, there, "--receipt", "r.json", "--json", *PLAIN_DEST).json
    assert pushed["digest"] == chain[4].digest
    assert pushed["omitted"] == []
    for number, image in enumerate(chain, 1):
        assert customer.manifest(target, f"v{number}") == image.raw
    puts = [each.path.split("digest=")[1] for each in watch.requests("PUT") if "digest=" in each.path]
    assert len(puts) == len(set(puts)) == 5 + len({image.config for image in chain})
    assert {each["reference"].rpartition(":")[2] for each in pushed["tags"]} == {f"v{n}" for n in range(1, 6)}
    assert pushed["tags"][0]["reference"].endswith(":v5")
    receipt = json.loads((tool.home / "r.json").read_text())
    assert {each["digest"]: [layer["digest"] for layer in each["layers"]] for each in receipt["images"]} == {
        image.digest: image.layers for image in chain
    }
    again = tool.good("push", *ARCHIVES, there, *PLAIN_DEST).text
    assert "already there" in again
    assert "(was " not in again


def test_a_tag_is_for_the_last_of_a_chain(tool: Tool, customer: Registry, chain: list[Image]) -> None:
    target = fresh("chained")
    there = f"{customer.host}/{target}:stable"
    tool.good("push", *ARCHIVES[:3], there, "--additional-tag", "newest", *PLAIN_DEST)
    for tag in ("stable", "newest"):
        assert customer.manifest(target, tag) == chain[2].raw
    tags = json.loads(customer.call("GET", f"/v2/{target}/tags/list")[2])["tags"]
    assert sorted(tags) == ["newest", "stable"]
    # The older ones can be had by their digests.
    for image in chain[:2]:
        assert customer.manifest(target, image.digest) == image.raw


def test_a_chain_elsewhere_leaves_its_last_image(tool: Tool, vendor: Registry, chain: list[Image]) -> None:
    refused(tool("push", *ARCHIVES[3:], "oci:layout", "--json"), 3)
    tool.good("push", *ARCHIVES, "oci:layout")
    tool.good("complete", *ARCHIVES, "-o", "full.tar")
    (entry,) = json.loads((tool.home / "layout/index.json").read_bytes())["manifests"]
    assert entry["digest"] == chain[4].digest
    whole = tool.good("inspect", "full.tar", "--json").json
    assert (whole["digest"], whole["omitted"]) == (chain[4].digest, [])
    skopeo("copy", "oci-archive:full.tar", "dir:out", cwd=tool.home)
    shutil.rmtree(tool.home / "out")
