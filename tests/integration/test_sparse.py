"""Sparse lists: some platforms of a list travel, and the list keeps its digest."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.images import OCI_INDEX, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused, skopeo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.images import Image
    from tests.support.registry import Registry


@contextmanager
def accepting(registry: Registry, repository: str, *absent: Image) -> Iterator[None]:
    """Have a repository accept lists without these children, as registries do that are configured for it.

    This one looks for children among blobs, too, and forgets them afterwards.
    """
    for image in absent:
        registry.put_blob(repository, image.digest, image.raw)
    yield
    for image in absent:
        assert registry.call("DELETE", f"/v2/{repository}/blobs/{image.digest}")[0] == 202
        assert registry.manifest(repository, image.digest) is None


def put(vendor: Registry, repository: str, tag: str = "1") -> tuple[Image, dict[str, Image]]:
    """A list of three platforms, which have a layer in common."""
    leaves = {
        arch: put_image(vendor, repository, None, [layer("common"), layer(arch), layer(arch + tag)], arch=arch)
        for arch in ("amd64", "arm64", "s390x")
    }
    return put_list(vendor, repository, tag, [(each, platform(arch)) for arch, each in leaves.items()]), leaves


def test_platforms_of_a_list_arrive_under_its_digest(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    whole, leaves = put(vendor, repository)
    watch = vendor.watch()
    pulled = tool.good(
        "pull", f"{vendor.host}/{repository}:1", "--platform", "linux/amd64,linux/arm64", "-o", "o.tar", "--json",
        *PLAIN_PULL,
    ).json  # fmt: skip
    assert leaves["s390x"].digest not in str(watch.requests())
    assert pulled["digest"] == whole.digest
    (image,) = pulled["images"]
    assert [leaf["digest"] for leaf in image["manifests"]] == [leaves["amd64"].digest, leaves["arm64"].digest]
    assert [leaf["platform"] for leaf in image["absent"]] == ["linux/s390x"]
    assert "absent:         linux/s390x" in tool.good("inspect", "o.tar").stdout.decode()
    with accepting(customer, target, leaves["s390x"]):
        watch = customer.watch()
        ran = tool.good("push", "o.tar", f"{customer.host}/{target}:1", "--json", *PLAIN_DEST)
    written = [
        request.path.rpartition("/")[2] for request in watch.requests("PUT") if "/manifests/" in request.path
    ]
    assert written[-2:] == [whole.digest, "1"]
    assert ran.json["digest"] == whole.digest
    assert customer.manifest(target, "1") == whole.raw
    assert customer.manifest(target, leaves["s390x"].digest) is None
    skopeo(
        "copy", "--override-arch=arm64", "--src-tls-verify=false", f"docker://{customer.host}/{target}:1",
        f"dir:{tool.home}/arm",
    )  # fmt: skip
    assert digest_of((tool.home / "arm/manifest.json").read_bytes()) == leaves["arm64"].digest


def test_a_registry_that_wants_all_children(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("there")
    whole, _ = put(vendor, repository)
    one, there = f"{vendor.host}/{repository}:1", f"{customer.host}/{target}:1"
    tool.good("pull", one, "--platform", "linux/arm64", "-o", "one.tar", *PLAIN_PULL)
    vetted = tool.good("vet", "one.tar", there, *PLAIN_DEST)
    assert "linux/arm64" in vetted.text
    assert "any destination will do" not in vetted.text
    assert "may refuse a list without all of its platforms" in vetted.stderr
    watch = customer.watch()
    ran = tool("push", "one.tar", there, "--json", *PLAIN_DEST)
    refused(
        ran,
        5,
        "2 manifests that the archive lacks (linux/amd64, linux/s390x)",
        "its tag was not written",
        "--all (in a spec, the field all)",
    )
    assert "must be converted" not in ran.stderr + ran.text
    assert not [request for request in watch.writes() if request.path.endswith("/manifests/1")]
    # The children are there before, by whatever way: then it is accepted.
    tool.good("pull", one, "--platform", "linux/amd64,linux/s390x", "-o", "rest.tar", *PLAIN_PULL)
    assert tool.good("push", "rest.tar", there, "--json", *PLAIN_DEST).json["digest"] == whole.digest


def test_platforms_that_are_added_later(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """The tag points to the list already, and yet there is something to send."""
    repository, target = fresh(), fresh("there")
    whole, leaves = put(vendor, repository)
    one, there = f"{vendor.host}/{repository}:1", f"{customer.host}/{target}:1"
    tool.good("pull", one, "--platform", "linux/amd64", "-o", "one.tar", *PLAIN_PULL)
    with accepting(customer, target, leaves["arm64"], leaves["s390x"]):
        tool.good("push", "one.tar", there, "--receipt", "site.json", *PLAIN_DEST)
    assert tool.good("push", "one.tar", there, "--json", *PLAIN_DEST).json["changed"] is False
    # What the other side has tells a receipt, an archive, or its registry: each without the absent platforms.
    for base in ("receipt:site.json", "oci-archive:one.tar", there):
        more = tool.good(
            "pull", one, "--all", "--base", base, "-o", "all.tar", "--json", *PLAIN_PULL
        ).json  # fmt: skip
        assert [layer["digest"] for layer in more["omitted"]] == sorted(leaves["amd64"].layers)
        assert more["images"][0]["change"] == "changed"
        assert not any("same image" in line for line in more["warnings"])
    assert tool.good("inspect", "all.tar", "--json").json["images"][0]["change"] == "changed"
    ran = tool.good("push", "all.tar", there, "--json", *PLAIN_DEST).json
    assert (ran["changed"], ran["previous_digest"]) == (True, whole.digest)
    for leaf in leaves.values():
        assert customer.manifest(target, leaf.digest) == leaf.raw


def test_other_places_and_operations(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put(vendor, repository, "1")
    whole, leaves = put(vendor, repository, "2")
    one, two = (f"{vendor.host}/{repository}:{tag}" for tag in "12")
    some = ("--platform", "linux/arm64")
    tool.good("pull", one, *some, "-o", "1.tar", *PLAIN_PULL)
    tool.good("pull", two, *some, "-o", "2.tar", *PLAIN_PULL)
    tool.good("pull", two, *some, "--base", "oci-archive:1.tar", "-o", "update.tar", *PLAIN_PULL)
    assert tool.good("diff", "1.tar", "2.tar", "-o", "diff.tar", "--json").json["layers_shared"] == 2
    assert digest_of((tool.home / "diff.tar").read_bytes()) == digest_of((tool.home / "update.tar").read_bytes())
    tool.good("complete", "update.tar", "--base", "oci-archive:1.tar", "-o", "whole.tar")
    assert digest_of((tool.home / "whole.tar").read_bytes()) == digest_of((tool.home / "2.tar").read_bytes())
    for place in ("oci-archive:out.tar:2", "oci:layout:2", "dir:folder"):
        ran = tool.good("push", "1.tar", "update.tar", place, "--json").json
        assert ran["digest"] == whole.digest, place
    assert digest_of((tool.home / "out.tar").read_bytes()) == digest_of((tool.home / "2.tar").read_bytes())
    (entry,) = json.loads((tool.home / "layout/index.json").read_bytes())["manifests"]
    assert entry["digest"] == whole.digest
    for place in ("oci-archive:out.tar:2", "oci:layout:2", "dir:folder"):
        skopeo("copy", "--override-arch=arm64", place, "dir:arm", cwd=tool.home)
        assert digest_of((tool.home / "arm/manifest.json").read_bytes()) == leaves["arm64"].digest
        base = tool.good("pull", two, *some, "--base", place, "--dry-run", "--json", *PLAIN_PULL).json
        assert (base["layers_new"], base["layers_shared"]) == (0, 3), place
    refused(tool("push", "2.tar", "dir:x", "--no-preserve-digests", "--json"), 2, "platforms", "--no-preserve")
    tool.good("pull", two, "--platform", "linux/s390x", "-o", "far.tar", *PLAIN_PULL)
    ran = tool("push", "far.tar", "docker-archive:x.tar", "--no-preserve-digests", "--json")
    refused(ran, 2, "it has linux/s390x", "pull this platform")
    # The archive itself may be stored, too.
    stored = f"{vendor.host}/{fresh()}:2"
    tool.good("push", "2.tar", f"docker://{stored}", "--as-delta", *PLAIN_DEST)
    read = tool.good("inspect", f"docker://{stored}", "--json", "--src-tls-verify=false").json
    assert [leaf["platform"] for leaf in read["images"][0]["absent"]] == ["linux/amd64", "linux/s390x"]
    tool.good("inspect", "2.tar", "--report", "page.html")
    page = (tool.home / "page.html").read_text()
    assert "not in the archive: linux/amd64, linux/s390x" in page


def test_a_bundle(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, prefix = fresh(), fresh("there")
    whole, leaves = put(vendor, repository, "1")
    put(vendor, repository, "2")
    single = put_image(vendor, repository, "single", [layer("single")], arch="arm64")
    for tag in "12":
        images = [
            {"name": f"app:{tag}", "final": f"{vendor.host}/{repository}:{tag}"},
            # A child that is absent from the list is an image of its own.
            {"name": f"alone:{tag}", "final": f"{vendor.host}/{repository}:{tag}", "platform": "linux/s390x"},
            {"name": f"single:{tag}", "final": f"{vendor.host}/{repository}:single"},
        ]
        platforms = ["linux/amd64", "linux/arm64"] if tag == "2" else ["linux/arm64"]
        (tool.home / f"{tag}.json").write_text(json.dumps({"images": images, "defaults": {"platforms": platforms}}))
    ran = tool.good("pull", "--spec", "1.json", "-o", "1.tar", "--json", *PLAIN_PULL).json
    assert [image["digest"] for image in ran["images"]] == [
        whole.digest, leaves["s390x"].digest, single.digest,
    ]  # fmt: skip
    assert "linux/arm64 (2 absent)" in tool.good("inspect", "1.tar").text
    absent = [leaves["amd64"], leaves["s390x"]]
    with accepting(customer, f"{prefix}/app", *absent):
        tool.good("push", "1.tar", f"{customer.host}/{prefix}", *PLAIN_DEST)
    # The earlier bundle had no more of its list than one platform: the layers of another one travel.
    tool.good("pull", "--spec", "2.json", "--base-spec", "1.json", "-o", "2.tar", *PLAIN_PULL)
    good = tool.good("vet", "2.tar", f"{customer.host}/{prefix}", "--json", *PLAIN_DEST)
    assert not good.json["missing"]
    assert "may refuse a list without all of its platforms (app:2): " in good.stderr
    refused(tool("push", "2.tar", f"{customer.host}/{prefix}", "--json", *PLAIN_DEST), 5, "linux/s390x", "--all")
    assert customer.manifest(f"{prefix}/app", "2") is None
    assert customer.manifest(f"{prefix}/single", "2") == single.raw


def test_from_one_platform_to_several(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """The last release had the image of one platform: the other side has no layer of another."""
    repository, prefix = fresh(), fresh("there")
    _, leaves = put(vendor, repository, "1")
    put(vendor, repository, "2")
    choices: dict[str, dict[str, Any]] = {"1": {"platform": "linux/amd64"}, "2": {"all": True}}
    for tag, choice in choices.items():
        images = [{"name": f"app:{tag}", "final": f"{vendor.host}/{repository}:{tag}", **choice}]
        (tool.home / f"{tag}.json").write_text(json.dumps({"images": images}))
    tool.good("pull", "--spec", "1.json", "-o", "1.tar", *PLAIN_PULL)
    tool.good("push", "1.tar", f"{customer.host}/{prefix}", *PLAIN_DEST)
    ran = tool.good("pull", "--spec", "2.json", "--base-spec", "1.json", "-o", "2.tar", "--json", *PLAIN_PULL).json
    assert (ran["bases"], ran["layers_shared"]) == ([leaves["amd64"].digest], 2)
    tool.good("push", "1.tar", "2.tar", f"{customer.host}/{prefix}", *PLAIN_DEST)
    # A base that lacks the platform by now is no error.
    choices["1"]["platform"] = "linux/riscv64"
    images = [{"name": "app:1", "final": f"{vendor.host}/{repository}:1", **choices["1"]}]
    (tool.home / "1.json").write_text(json.dumps({"images": images}))
    ran = tool.good("pull", "--spec", "2.json", "--base-spec", "1.json", "--dry-run", "--json", *PLAIN_PULL).json
    assert ran["layers_shared"] == 0


def test_a_vendor_whose_list_is_sparse(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository, target = fresh(), fresh("hub")
    whole, leaves = put(vendor, repository)
    hub = f"{customer.host}/{target}:1"
    tool.good("pull", f"{vendor.host}/{repository}:1", "--platform", "linux/arm64", "-o", "o.tar", *PLAIN_PULL)
    with accepting(customer, target, leaves["amd64"], leaves["s390x"]):
        tool.good("push", "o.tar", hub, *PLAIN_DEST)
    ran = tool("pull", hub, "--all", "-o", "x.tar", "--json", *PLAIN_PULL)
    refused(ran, 5, "(linux/amd64) is in the list, but not in the registry", "--platform")
    ran = tool.good("pull", hub, "--platform", "linux/arm64", "-o", "x.tar", "--json", *PLAIN_PULL)
    assert ran.json["digest"] == whole.digest


def test_parts_that_arrive_together(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """Two archives that have all of a list are enough for a registry that wants all of it."""
    repository, target = fresh(), fresh("there")
    whole, leaves = put(vendor, repository)
    one, there = f"{vendor.host}/{repository}:1", f"{customer.host}/{target}"
    tool.good("pull", one, "--platform", "linux/amd64", "-o", "1.tar", *PLAIN_PULL)
    rest = ("--platform", "linux/arm64,linux/s390x", "--base", "oci-archive:1.tar")
    tool.good("pull", one, *rest, "-o", "2.tar", *PLAIN_PULL)
    watch = customer.watch()
    ran = tool.good("push", "1.tar", "2.tar", there, "--json", *PLAIN_DEST).json
    assert ran["digest"] == whole.digest
    assert not any(image["absent"] for image in ran["images"])
    assert customer.manifest(target, "1") == whole.raw
    # Each of its manifests is written once, and then the list by its digest and its tag.
    written = [request.path for request in watch.requests("PUT") if "/manifests/" in request.path]
    assert len(written) == len(leaves) + 2


def test_a_layout_that_is_filled_up(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put(vendor, repository)
    one = f"{vendor.host}/{repository}:1"
    for choice in ("linux/amd64,linux/s390x", "linux/arm64"):
        tool.good("pull", one, "--platform", choice, "-o", "o.tar", *PLAIN_PULL)
        tool.good("push", "o.tar", "oci:layout:1")
    # It has all of them by now, also as an archive.
    with tarfile.open(tool.home / "packed.tar", "w") as packed:
        packed.add(tool.home / "layout", ".")
    for base in ("oci:layout:1", "oci-archive:packed.tar"):
        ran = tool.good("pull", one, "--all", "--base", base, "--dry-run", "--json", *PLAIN_PULL).json
        assert ran["layers_new"] == 0, base


def test_lists_in_lists_and_attestations(tool: Tool, vendor: Registry, customer: Registry) -> None:
    repository = fresh()
    leaves = {arch: put_image(vendor, repository, None, [layer(arch)], arch=arch) for arch in ("amd64", "arm64")}
    about = {arch: put_image(vendor, repository, None, [layer("about" + arch)], arch="unknown") for arch in leaves}
    inner = put_list(vendor, repository, None, [(leaves["arm64"], platform("arm64"))])
    children = [leaves["amd64"].descriptor(platform("amd64")), inner.descriptor()]
    for arch, image in about.items():
        said = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": leaves[arch].digest,
        }
        children.append(image.descriptor(platform("unknown") | {"os": "unknown"}) | {"annotations": said})
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()
    vendor.put_manifest(repository, "1", raw, OCI_INDEX)
    one = f"{vendor.host}/{repository}:1"
    pulled = tool.good("pull", one, "--platform", "linux/arm64", "-o", "o.tar", "--json", *PLAIN_PULL).json
    (image,) = pulled["images"]
    assert {leaf["digest"] for leaf in image["manifests"]} == {leaves["arm64"].digest, about["arm64"].digest}
    assert {leaf["digest"] for leaf in image["absent"]} == {leaves["amd64"].digest, about["amd64"].digest}
    whole = tool.good(
        "pull", one, "--platform", "linux/arm64,linux/amd64", "-o", "a.tar", "--json", *PLAIN_PULL
    ).json
    assert whole["images"][0]["absent"] == []
    tool.good("pull", one, "--all", "-o", "b.tar", *PLAIN_PULL)
    assert (tool.home / "a.tar").read_bytes() == (tool.home / "b.tar").read_bytes()
    # A list in the list is what the registry refuses first.
    two = put_list(vendor, repository, None, [(each, platform(arch)) for arch, each in leaves.items()])
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [two.descriptor()]}).encode()
    vendor.put_manifest(repository, "nested", raw, OCI_INDEX)
    nested = f"{vendor.host}/{repository}:nested"
    tool.good("pull", nested, "--platform", "linux/arm64", "-o", "n.tar", *PLAIN_PULL)
    ran = tool("push", "n.tar", f"{customer.host}/{repository}:1", "--json", *PLAIN_DEST)
    refused(ran, 5, f"did not accept list {two.digest} without 1 manifest", "linux/amd64", "--all")
    ran = tool("pull", one, "--platform", "linux/riscv64", "-o", "x.tar", "--json", *PLAIN_PULL)
    # Attestations are nothing to choose.
    refused(ran, 2, "no image for linux/riscv64; it has linux/amd64, linux/arm64")
    assert "unknown" not in ran.text


def test_what_contradicts(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put(vendor, repository)
    put_image(vendor, repository, "single", [layer("single")], arch="arm64")
    one = f"{vendor.host}/{repository}:1"
    pull = ("pull", one, "-o", "o.tar", "--json", *PLAIN_PULL, "--platform", "linux/arm64")
    refused(tool(*pull, "--all"), 2, "--all")
    refused(tool(*pull, "--override-arch", "arm64"), 2, "--override-os")
    refused(tool(*pull, "--no-preserve-digests"), 2, "--platform")
    refused(tool(*pull[:-1], "arm64"), 2, "'arm64' is not a platform")
    single = f"{vendor.host}/{repository}:single"
    tool.good("pull", single, "--platform", "linux/amd64,linux/arm64", "--dry-run", *PLAIN_PULL)
    ran = tool("pull", single, "--platform", "linux/amd64", "--dry-run", "--json", *PLAIN_PULL)
    refused(ran, 2, "a single image for linux/arm64", "leave out --platform")


def test_what_docker_saved_in_part_is_a_base(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    _, leaves = put(vendor, repository)
    one = f"{vendor.host}/{repository}:1"
    tool.good("pull", one, "--platform", "linux/amd64", "-o", "o.tar", *PLAIN_PULL)
    # As Docker writes it: a list as it was, no word about what is absent, and of one child the manifest alone.
    with tarfile.open(tool.home / "o.tar") as ours, tarfile.open(tool.home / "saved.tar", "w") as saved:
        for member in ours:
            file = ours.extractfile(member)
            assert file
            raw = file.read()
            if member.name == "index.json":
                document = json.loads(raw)
                del document["annotations"]
                for entry in document["manifests"]:
                    entry["annotations"] = {"io.containerd.image.name": "docker.io/library/app:1"}
                raw = json.dumps(document).encode()
                member.size = len(raw)
            saved.addfile(member, io.BytesIO(raw))
        alone = tarfile.TarInfo("blobs/sha256/" + leaves["arm64"].digest.removeprefix("sha256:"))
        alone.size = len(leaves["arm64"].raw)
        saved.addfile(alone, io.BytesIO(leaves["arm64"].raw))
    ran = tool.good("pull", one, "--all", "-b", "oci-archive:saved.tar", "--dry-run", "--json", *PLAIN_PULL)
    assert ran.json["layers_shared"] == 3
    assert "lacks 2 manifests of its lists (linux/arm64, linux/s390x)" in ran.stderr
    ran = tool.good("pull", one, "--all", "-b", "docker-archive:saved.tar", "--dry-run", *PLAIN_PULL)
    assert "try oci-archive:saved.tar" in ran.stderr
    absent = tool.good("inspect", "saved.tar", "--json").json["images"][0]["absent"]
    assert [leaf["digest"] for leaf in absent] == [leaves["arm64"].digest, leaves["s390x"].digest]
