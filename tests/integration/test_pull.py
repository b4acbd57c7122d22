"""What a pull asks a registry for, and what it makes of the answer."""

from __future__ import annotations

import json
import tarfile
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.support import images
from tests.support.images import digest_of, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.registry import Registry


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def blobs(archive: Path) -> set[str]:
    return {"sha256:" + name.rpartition("/")[2] for name in members(archive) if name.startswith("blobs/sha256/")}


def index(archive: Path) -> dict[str, object]:
    with tarfile.open(archive) as tar:
        file = tar.extractfile("index.json")
        assert file
        value = json.load(file)
        assert isinstance(value, dict)
        return value


def test_only_what_the_base_lacks_is_requested(tool: Tool, vendor: Registry, tmp_path: Path) -> None:
    repository = fresh()
    base = put_image(vendor, repository, "1", [layer("a"), layer("b")])
    final = put_image(vendor, repository, "2", [layer("a"), layer("b"), layer("new")], indent=3)
    watch = vendor.watch()
    ran = tool.good(
        "pull", f"{vendor.host}/{repository}:2", "--base", f"{vendor.host}/{repository}:1", "-o", "out.tar",
        "--json", *PLAIN_PULL,
    )  # fmt: skip
    assert sorted(watch.blobs()) == sorted([final.config, final.layers[2]])
    assert [request.path.rpartition("/")[2] for request in watch.requests() if "/manifests/" in request.path] in (
        ["1", "2", final.digest],
        ["2", "1", final.digest],
    )
    assert not [request for request in watch.requests() if request.method != "GET"]
    archive = tool.home / "out.tar"
    assert members(archive)[:2] == ["oci-layout", "index.json"]
    assert blobs(archive) == {final.digest, final.config, final.layers[2]}
    result = ran.json
    assert result["digest"] == final.digest
    assert result["changed"] is True
    assert result["archive"]["sha256"] == sha256(archive.read_bytes()).hexdigest()
    assert result["archive"]["size"] == archive.stat().st_size
    assert (result["layers_new"], result["layers_shared"], result["layers_foreign"]) == (1, 2, 0)
    assert result["bytes_new"] == final.sizes[final.layers[2]]
    assert result["bytes_shared"] == sum(final.sizes[each] for each in base.layers)
    assert [each["digest"] for each in result["omitted"]] == sorted(base.layers)
    assert result["images"][0]["platform"] == "linux/amd64"
    assert result["images"][0]["name"] == "2"
    assert tool.leftovers() == []


def test_the_archive_is_the_same_every_time(tool: Tool, vendor: Registry) -> None:
    repository, other = fresh(), fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, other, "1", [layer("a")])
    put_image(vendor, repository, "0", [layer("b")])
    put_image(vendor, repository, "2", [layer("a"), layer("b"), layer("c")])
    one, two, zero = (f"{vendor.host}/{each}" for each in (f"{repository}:1", f"{repository}:2", f"{repository}:0"))
    tool.good("pull", two, "--base", one, "--base", zero, "-o", "first.tar", *PLAIN_PULL)
    tool.good("pull", two, "-b", zero, "-b", one, "-o", "second.tar", *PLAIN_PULL)
    first, second = ((tool.home / name).read_bytes() for name in ("first.tar", "second.tar"))
    assert first == second
    # Another name of the same image is remembered, unless none is.
    for base in (one, f"{vendor.host}/{other}:1"):
        pull = ("pull", two, "-b", zero, "-b", base, "--anonymous", "-o", "anonymous.tar", "--json", *PLAIN_PULL)
        assert tool.good(*pull).json["changed"] is (base == one)
    annotations = index(tool.home / "first.tar")["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["io.skopeo-incremental.format"] == "1"
    assert annotations["io.skopeo-incremental.requires"] == ""
    assert vendor.host not in first.decode("latin1")
    with tarfile.open(tool.home / "first.tar") as tar:
        for member in tar:
            assert (member.uid, member.gid, member.uname, member.mtime, member.mode) == (0, 0, "", 0, 0o644)


def test_a_second_pull_of_the_same_says_that_nothing_changed(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    pull = ("pull", f"{vendor.host}/{repository}:1", "-o", "out.tar", "--json", *PLAIN_PULL)
    assert tool.good(*pull).json["changed"] is True
    assert tool.good(*pull).json["changed"] is False


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
@pytest.mark.parametrize("indent", [None, 7], ids=["compact", "spaced"])
def test_a_list_travels_whole(
    tool: Tool, vendor: Registry, customer: Registry, docker: bool, indent: int | None
) -> None:
    repository, target = fresh(), fresh("there")
    kind = {"docker": docker, "indent": indent}
    old = {
        arch: put_image(vendor, repository, None, [layer("base-" + arch)], arch=arch, **kind)
        for arch in ("amd64", "arm64")
    }
    base = put_list(vendor, repository, "1", [(each, platform(arch)) for arch, each in old.items()], **kind)
    new = {
        arch: put_image(vendor, repository, None, [layer("base-" + arch), layer("new-" + arch)], arch=arch, **kind)
        for arch in old
    }
    final = put_list(vendor, repository, "2", [(each, platform(arch)) for arch, each in new.items()], **kind)
    skopeo(
        "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
        f"docker://{vendor.host}/{repository}:1", f"docker://{customer.host}/{target}:1",
    )  # fmt: skip
    watch = vendor.watch()
    pulled = tool.good(
        "pull", "--all", f"{vendor.host}/{repository}:2", "--base", f"{vendor.host}/{repository}:1",
        "-o", "out.tar", "--json", *PLAIN_PULL,
    ).json  # fmt: skip
    assert sorted(watch.blobs()) == sorted(
        [each.config for each in new.values()] + [each.layers[1] for each in new.values()]
    )
    assert pulled["digest"] == final.digest
    assert [leaf["platform"] for leaf in pulled["images"][0]["manifests"]] == ["linux/amd64", "linux/arm64"]
    pushed = tool.good("push", "out.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST).json
    assert pushed["digest"] == final.digest
    assert customer.manifest(target, "2") == final.raw
    for image in (*new.values(), *old.values(), base):
        assert customer.manifest(target, image.digest) == image.raw


def test_lists_in_lists_keep_their_digests(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    leaves = [
        put_image(vendor, repository, None, [layer("x"), layer(arch)], arch=arch) for arch in ("amd64", "arm64")
    ]
    inner = put_list(vendor, repository, None, [(leaves[0], platform("amd64"))])
    middle = put_list(vendor, repository, None, [(inner, None), (leaves[1], platform("arm64"))], indent=1)
    # The inner list is named on two levels, here before the one that needs it.
    outer = put_list(vendor, repository, "all", [(inner, None), (middle, None)], indent=2)
    tool.good("pull", "--all", f"{vendor.host}/{repository}:all", "-o", "out.tar", *PLAIN_PULL)
    ran = tool.good("push", "out.tar", f"{customer.host}/{target}:all", "--json", *PLAIN_DEST)
    assert ran.json["digest"] == outer.digest
    assert customer.manifest(target, "all") == outer.raw
    for image in (inner, middle, *leaves):
        assert customer.manifest(target, image.digest) == image.raw


def test_a_platform_is_found_in_a_list_in_a_list(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    leaf = put_image(vendor, repository, None, [layer("v7")], arch="arm")
    other = put_image(vendor, repository, None, [layer("amd")])
    inner = put_list(vendor, repository, None, [(leaf, platform("arm", "v7"))])
    put_list(vendor, repository, "all", [(other, platform("amd64")), (inner, None)])
    pull = ("pull", f"{vendor.host}/{repository}:all", "--dry-run", "--json", *PLAIN_PULL)
    found = tool.good(*pull, "--override-arch", "arm", "--override-variant", "v8").json
    assert found["digest"] == leaf.digest
    assert found["images"][0]["platform"] == "linux/arm/v7"
    assert tool.good(*pull, "--override-arch", "amd64").json["digest"] == other.digest
    missing = tool(*pull, "--override-arch", "s390x")
    assert missing.code == 2
    assert "linux/amd64, linux/arm/v7" in missing.json["error"]["message"]


def test_a_list_named_by_its_digest_that_does_not_travel_is_said(tool: Tool, vendor: Registry) -> None:
    """Whoever fixed the digest of a list would look for it in vain at the other side."""
    repository = fresh()
    leaves = [(put_image(vendor, repository, None, [layer(arch)], arch=arch), arch) for arch in ("amd64", "arm64")]
    whole = put_list(vendor, repository, "1", [(leaf, platform(arch)) for leaf, arch in leaves])
    named = f"{vendor.host}/{repository}"
    for words, said in (
        ([f"{named}@{whole.digest}"], 1),
        ([f"{named}@{whole.digest}", "--all"], 0),
        ([f"{named}@{whole.digest}", "--platform", "linux/arm64"], 0),
        ([f"{named}@{whole.digest}", "--override-arch", "arm64"], 0),
        ([f"{named}@{leaves[0][0].digest}"], 0),
        ([f"{named}:1"], 0),
    ):
        told = tool.good("pull", *words, "--dry-run", "--json", *PLAIN_PULL).json
        assert len([each for each in told["warnings"] if "with another digest" in each]) == said, words


def test_every_child_of_a_base_list_counts(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    arm = put_image(vendor, repository, None, [layer("common"), layer("arm")], arch="arm64")
    put_list(vendor, repository, "1", [(arm, platform("arm64"))])
    final = put_image(vendor, repository, "2", [layer("common"), layer("arm"), layer("new")])
    watch = vendor.watch()
    tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL
    )
    assert sorted(watch.blobs()) == sorted([final.config, final.layers[2]])


def test_a_child_that_the_base_registry_lost_is_passed_over(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    arm = put_image(vendor, repository, None, [layer("arm")], arch="arm64")
    amd = put_image(vendor, repository, None, [layer("amd")])
    put_list(vendor, repository, "1", [(arm, platform("arm64")), (amd, platform("amd64"))])
    assert vendor.call("DELETE", f"/v2/{repository}/manifests/{arm.digest}")[0] == 202
    put_image(vendor, repository, "2", [layer("amd"), layer("arm"), layer("new")])
    one, two = f"{vendor.host}/{repository}:1", f"{vendor.host}/{repository}:2"
    ran = tool.good("pull", two, "-b", one, "--dry-run", "--json", *PLAIN_PULL)
    assert ran.json["layers_shared"] == 1
    assert "skipped" in ran.stderr
    # The image that is to travel must be whole.
    assert tool("pull", "--all", one, "-o", "x.tar", *PLAIN_PULL).code == 5


def test_a_dry_run_fetches_no_blob(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "2", [layer("a"), layer("b", 5000)])
    watch = vendor.watch()
    ran = tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "--dry-run", *PLAIN_PULL
    )
    assert watch.blobs() == []
    assert "1 layer, 5.2 kB" in ran.text
    assert list(tool.home.iterdir()) == []


def test_without_a_base_the_image_is_whole(tool: Tool, vendor: Registry, tmp_path: Path) -> None:
    repository = fresh()
    final = put_image(vendor, repository, "1", [layer("a"), layer("b")])
    tool.good("pull", f"docker://{vendor.host}/{repository}:1", "-o", "out.tar", *PLAIN_PULL)
    assert blobs(tool.home / "out.tar") == {final.digest, final.config, *final.layers}
    skopeo("copy", f"oci-archive:{tool.home}/out.tar", f"dir:{tmp_path}/dir")


def test_a_reference_by_digest_is_pinned(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    first = put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "1", [layer("b")])
    for reference in (f"{repository}@{first.digest}", f"{repository}:1@{first.digest}"):
        pulled = tool.good("pull", f"{vendor.host}/{reference}", "--dry-run", "--json", *PLAIN_PULL)
        assert pulled.json["digest"] == first.digest


def test_the_archive_is_named_by_the_tag(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    image = put_image(vendor, repository, "v1.2", [layer("a")])
    tool.good("pull", f"{vendor.host}/{repository}:v1.2", "-o", "tag.tar", *PLAIN_PULL)
    tool.good("pull", f"{vendor.host}/{repository}@{image.digest}", "-o", "digest.tar", *PLAIN_PULL)
    named = {"org.opencontainers.image.ref.name": "v1.2"}
    # By which other tools call it when they load the archive: no host of anybody's.
    named |= {"io.containerd.image.name": f"localhost/{repository}:v1.2"}
    assert index(tool.home / "tag.tar")["manifests"] == [image.descriptor() | {"annotations": named}]
    assert index(tool.home / "digest.tar")["manifests"] == [image.descriptor()]


def test_an_archive_streams_to_standard_output(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    reference = f"{vendor.host}/{repository}:1"
    tool.good("pull", reference, "-o", "file.tar", *PLAIN_PULL)
    streamed = tool.good("pull", reference, "-o", "-", *PLAIN_PULL)
    assert streamed.stdout == (tool.home / "file.tar").read_bytes()
    assert sha256(streamed.stdout).hexdigest() in streamed.stderr
    failed = tool("pull", f"{reference}0", "-o", "-", *PLAIN_PULL)
    assert (failed.code, failed.stdout) == (5, b"")
    both = tool("pull", reference, "-o", "-", "--json", *PLAIN_PULL)
    assert (both.code, both.json["error"]["code"]) == (2, 2)
    assert tool.leftovers() == []


@pytest.mark.parametrize("name", ["a:b.tar", "a b.tar", "a\nb.tar", "ü,@'\".tar"])
def test_odd_file_names(tool: Tool, vendor: Registry, customer: Registry, name: str) -> None:
    repository = fresh()
    image = put_image(vendor, repository, "1", [layer("a")])
    folder = tool.home / f"in {name}"
    folder.mkdir()
    out = folder / name
    tool.good("pull", f"{vendor.host}/{repository}:1", "-o", out, "--tmpdir", folder, *PLAIN_PULL)
    assert blobs(out) == {image.digest, image.config, *image.layers}
    target = fresh("there")
    tool.good("push", out, f"{customer.host}/{target}:1", "--tmpdir", folder, *PLAIN_DEST)
    assert customer.manifest(target, "1") == image.raw
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_config_that_is_a_layer_too_always_travels(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """ORAS uses `{}` as config and as layer; skopeo reads configs locally at push."""
    repository, target = fresh(), fresh("there")
    empty = "application/vnd.oci.empty.v1+json"
    shape = {"config": b"{}", "config_type": empty}
    put_image(vendor, repository, "1", [b"{}", b"data"], layer_types=[empty, "text/plain"], **shape)
    final = put_image(
        vendor, repository, "2", [b"{}", b"data", b"more"], layer_types=[empty, *["text/plain"] * 2], **shape
    )
    put_image(customer, target, "1", [b"data"], layer_types=["text/plain"], **shape)
    tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL
    )
    assert blobs(tool.home / "o.tar") == {final.digest, final.config, digest_of(b"more")}
    tool.good("push", "o.tar", f"{customer.host}/{target}:2", *PLAIN_DEST)
    assert customer.manifest(target, "2") == final.raw


ARTIFACTS = {
    "helm chart": (
        "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", {}
    ),
    "cosign signature": (images.OCI_CONFIG, "application/vnd.dev.cosign.simplesigning.v1+json", {}),
    "zstd layer": (images.OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd", {}),
    "plain layer": (images.OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar", {}),
    "nondistributable without urls": (
        images.OCI_CONFIG, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", {}
    ),
    "oras artifact": ("application/vnd.oci.empty.v1+json", "text/plain", {"artifactType": "application/x.thing"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_whatever_a_registry_holds_travels(tool: Tool, vendor: Registry, customer: Registry, kind: str) -> None:
    repository, target = fresh(), fresh("there")
    config_type, layer_type, extra = ARTIFACTS[kind]
    config = b"{}" if "empty" in config_type else json.dumps({"name": kind, "os": "", "architecture": ""}).encode()
    shape = {"config": config, "config_type": config_type, "extra": extra}
    old = put_image(vendor, repository, "1", [b"old " * 99], layer_types=[layer_type], **shape)
    put_image(customer, target, "1", [b"old " * 99], layer_types=[layer_type], **shape)
    final = put_image(vendor, repository, "2", [b"old " * 99, b"new " * 99], layer_types=[layer_type] * 2, **shape)
    tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL
    )
    assert not blobs(tool.home / "o.tar") & set(old.layers)
    tool.good("push", "o.tar", f"{customer.host}/{target}:2", *PLAIN_DEST)
    assert customer.manifest(target, "2") == final.raw
    assert customer.has_blob(target, final.layers[1])


def test_foreign_layers_are_named_and_do_not_travel(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest_of(b"far away"),
        "size": 8,
        "urls": ["https://far.example/layer"],
    }
    final = put_image(vendor, repository, "1", [layer("a")], docker=True, foreign=[foreign])
    ran = tool.good("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", "--json", *PLAIN_PULL)
    assert ran.json["layers_foreign"] == 1
    assert ran.json["bytes_new"] == final.sizes[final.layers[0]]
    assert foreign["digest"] in " ".join(ran.json["warnings"])
    assert "https://far.example/layer" in ran.stderr
    assert "foreign layer:  " + digest_of(b"far away") in tool.good("inspect", "o.tar").text
    ran = tool.good("push", "o.tar", f"{customer.host}/{target}:1", "--json", *PLAIN_DEST)
    assert ran.json["omitted"] == []
    assert customer.manifest(target, "1") == final.raw


def test_no_common_layer_is_said(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(vendor, repository, "2", [layer("b")])
    ran = tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL
    )
    assert "no base has a layer of" in ran.stderr


def test_a_final_that_is_the_base_is_said(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    image = put_image(vendor, repository, "1", [layer("a")])
    one = f"{vendor.host}/{repository}:1"
    ran = tool.good("pull", one, "-b", one, "-o", "o.tar", *PLAIN_PULL)
    assert "is the same image as the base" in ran.stderr
    assert blobs(tool.home / "o.tar") == {image.digest, image.config}


def test_bases_come_from_several_registries(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("a")])
    put_image(customer, repository, "1", [layer("b")])
    final = put_image(vendor, repository, "2", [layer("a"), layer("b"), layer("c")])
    watch = customer.watch()
    tool.good(
        "pull", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1",
        "-b", f"{customer.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL,
    )  # fmt: skip
    assert blobs(tool.home / "o.tar") == {final.digest, final.config, final.layers[2]}
    assert watch.blobs() == []


def test_no_preserve_digests_lets_skopeo_convert(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    put_image(vendor, repository, "1", [layer("a")], docker=True)
    final = put_image(vendor, repository, "2", [layer("a"), layer("b")], docker=True)
    put_image(customer, target, "1", [layer("a")])
    ran = tool.good(
        "pull", "--no-preserve-digests", f"{vendor.host}/{repository}:2", "-b", f"{vendor.host}/{repository}:1",
        "-o", "o.tar", "--json", *PLAIN_PULL,
    )  # fmt: skip
    assert ran.json["digest"] != final.digest
    assert ran.json["images"][0]["media_type"] == images.OCI_MANIFEST
    assert ran.json["layers_shared"] == 1
    pushed = tool.good(
        "push", "--no-preserve-digests", "o.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST
    )
    raw = customer.manifest(target, "2")
    assert raw is not None
    assert pushed.json["digest"] == ran.json["digest"] == digest_of(raw)


def test_leaves_are_fetched_side_by_side(tool: Tool, vendor: Registry, wide: tuple[str, Image]) -> None:
    reference, image = wide
    pull = ("pull", reference, "--all", *PLAIN_PULL)
    watch = vendor.watch()
    lines = tool.good(*pull, "-o", "o.tar", "--debug").stderr.splitlines()
    steps = [line for line in lines if (line.startswith("+") and " copy " in line) or line.startswith("  exit")]
    copies = [place for place, line in enumerate(steps) if line.startswith("+")]
    assert copies[2] - copies[0] == 2, steps
    # What several have is fetched once.
    digests = {digest for leaf in image.children for digest in (*leaf.layers, leaf.config)}
    assert sorted(watch.blobs()) == sorted(digests)
    whole = (tool.home / "o.tar").read_bytes()
    # One after the other, streamed, and from a cache: the same bytes.
    assert tool.good(*pull, "-o", "-").stdout == whole
    for more in (["--retry-times", "1"], ["--cache-dir", "c"], ["--cache-dir", "c"]):
        tool.good(*pull, "-o", "again.tar", *more)
        assert (tool.home / "again.tar").read_bytes() == whole
    assert tool.leftovers() == []


def test_a_leaf_that_fails_ends_the_others(tool: Tool, vendor: Registry, wide: tuple[str, Image]) -> None:
    reference, image = wide
    repository = reference.partition("/")[2].partition(":")[0]
    for leaf in image.children[1:4]:
        assert vendor.call("DELETE", f"/v2/{repository}/blobs/{leaf.layers[1]}")[0] == 202
    ran = tool("pull", reference, "--all", "-o", "o.tar", "--json", *PLAIN_PULL)
    assert ran.code == 5, ran.stderr
    assert any(leaf.digest in ran.json["error"]["message"] for leaf in image.children[1:4])
    assert not (tool.home / "o.tar").exists()
    assert list(tool.home.iterdir()) == []
