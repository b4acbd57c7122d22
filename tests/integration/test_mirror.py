"""Clusters that pull from the mirror: real clients find images there by their old names."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.support import containerd
from tests.support.containerd import why_no_containerd
from tests.support.images import digest_of, fresh, layer, put_image
from tests.support.kits import bring, export
from tests.support.registry import Registry
from tests.support.release import Release
from tests.support.tool import PLAIN_DEST, ROOT, refused
from wrapper import Access, Incremental, SpecImage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stores import Store
    from tests.support.tool import Tool

PATHS = (
    "certs.d/{host}/hosts.toml",
    "k3s/registries.yaml",
    "mapping.txt",
    "openshift/imagedigestmirrorset.yaml",
    "openshift/imagetagmirrorset.yaml",
    "registries.conf.d/50-skopeo-incremental.conf",
)


@pytest.fixture
def delivered(tool: Tool, customer: Registry, tmp_path: Path) -> Release:
    """A vendor whose registry is gone after a bundle was pulled from it."""
    registry = Registry(tmp_path / "gone").start()
    release = Release(tool, registry, customer)
    release.pull("1")
    registry.stop()
    return release


def written(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def config(release: Release, *options: str | Path, folder: Path) -> Any:
    spec = release.tool.home / "spec-1.json"
    to = f"{release.customer.host}/{release.prefix}"
    words = ("1.tar", to, "--spec", spec, "-o", folder, *PLAIN_DEST, "--json", *options)
    return release.tool.good("mirror-config", *words).json


def as_client(tool: Tool, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a client whose settings of registries are the files in a folder, and nothing else."""
    conf = folder.parent / "registries.conf"
    conf.write_text("")
    environment = {
        "CONTAINERS_REGISTRIES_CONF": str(conf),
        "CONTAINERS_REGISTRIES_CONF_DIR": str(folder / "registries.conf.d"),
    }
    home = folder.parent / "client"
    drop_ins = home / ".config/containers/registries.conf.d"
    drop_ins.mkdir(parents=True, exist_ok=True)
    for path in (folder / "registries.conf.d").iterdir():
        (drop_ins / path.name).write_bytes(path.read_bytes())
    return subprocess.run(
        command,
        env=tool.environment | environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_clients_find_images_by_their_old_names(delivered: Release, stores: list[Store], tmp_path: Path) -> None:
    """From the spec to podman: the vendor's registry has stopped before the push."""
    folder, spec = tmp_path / "config", delivered.tool.home / "spec-1.json"
    result = delivered.push("1.tar", "--mirror-config", folder, "--spec", spec)
    told = result["mirror_config"]
    assert told["changed"] is True
    paths = [path.format(host=delivered.vendor.host.replace(":", "_") + "_") for path in PATHS]
    assert sorted(told["files"]) == [str(folder / path) for path in paths]
    assert sorted(written(folder)) == paths
    jsonschema.validate(result, json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))

    for name in delivered.names("1"):
        raw = as_client(
            delivered.tool, folder, "skopeo", "inspect", "--raw", f"docker://{delivered.reference(name)}"
        )
        assert digest_of(raw.stdout.encode()) == delivered.images[name].digest, raw.stderr
    one = delivered.reference("team/one:1")
    digest = delivered.images["team/one:1"].digest
    for name in (one, f"{one.rpartition(':')[0]}@{digest}"):
        pulled = as_client(delivered.tool, folder, *stores[0].podman, "pull", name)
        assert pulled.returncode == 0, pulled.stderr
    assert stores[0].images() == [one, delivered.images["team/one:1"].config.removeprefix("sha256:")]
    # Without the drop-in nobody answers.
    (folder / PATHS[-1]).unlink()
    (tmp_path / "client/.config/containers/registries.conf.d" / PATHS[-1].rpartition("/")[2]).unlink()
    assert as_client(delivered.tool, folder, "skopeo", "inspect", "--raw", f"docker://{one}").returncode != 0


_MANIFESTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      initContainers:
        - {name: schema, image: "HOST/team/schema:2"}
      containers:
        - {name: shop, image: "HOST/team/shop:2"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - {name: report, image: "HOST/team/shop:2"}
"""


def test_from_manifests_to_a_client_at_the_other_side(
    tool: Tool, customer: Registry, stores: list[Store], tmp_path: Path
) -> None:
    """What a cluster's manifests name is packed, pushed, and found there by the names that they have."""
    gone = Registry(tmp_path / "gone").start()
    images = {name: put_image(gone, f"team/{name}", "2", [layer(name)]) for name in ("schema", "shop")}
    (tool.home / "shop.yaml").write_text(_MANIFESTS.replace("HOST", gone.host))
    tool.good("spec", "shop.yaml", "-o", "release.json")
    tool.good("pull", "--spec", "release.json", "-o", "release.tar", "--final-tls-verify", "false")
    gone.stop()
    folder, prefix = tmp_path / "config", fresh("mirror")
    mirror = ("--mirror-config", folder, "--spec", "release.json")
    tool.good("push", "release.tar", f"{customer.host}/{prefix}", *mirror, *PLAIN_DEST)
    for name, image in images.items():
        assert customer.manifest(f"{prefix}/team/{name}", "2") == image.raw
        old = f"{gone.host}/team/{name}:2"
        pulled = as_client(tool, folder, *stores[0].podman, "pull", old)
        assert pulled.returncode == 0, pulled.stderr
        assert image.config.removeprefix("sha256:") in stores[0].images()


@pytest.mark.skipif(bool(why_no_containerd()), reason=why_no_containerd())
def test_containerd_finds_images_by_their_old_names(tool: Tool, customer: Registry, tmp_path: Path) -> None:
    """Two vendors have a repository of one name: one of them has images behind two prefixes then."""
    vendors = [Registry(tmp_path / name).start() for name in "ab"]
    names = [f"{vendor.host}/team/app" for vendor in vendors] + [f"{vendors[0].host}/team/tools"]
    images = {}
    for name in names:
        host, _, path = name.partition("/")
        vendor = next(each for each in vendors if each.host == host)
        images[name] = put_image(vendor, path, "2", [layer(name)])
    (tool.home / "images.txt").write_text("".join(f"{name}:2\n" for name in names))
    tool.good("spec", "images.txt", "-o", "spec.json")
    tool.good("pull", "--spec", "spec.json", "-o", "2.tar", "--final-tls-verify", "false")
    for vendor in vendors:
        vendor.stop()
    to, folder = f"{customer.host}/{fresh('site')}", tmp_path / "config"
    pushed = tool.good("push", "2.tar", to, "--mirror-config", folder, "--spec", "spec.json", *PLAIN_DEST)
    assert "containerd" not in pushed.stderr
    watch = customer.watch()
    with containerd.running() as socket:
        for name, image in images.items():
            for end in (":2", f"@{image.digest}"):
                assert containerd.fetch(socket, f"{name}{end}", tmp_path).returncode != 0
                fetched = containerd.fetch(socket, f"{name}{end}", folder / "certs.d")
                assert fetched.returncode == 0, fetched.stderr
    assert {blob for image in images.values() for blob in (image.config, *image.layers)} <= {
        each.partition("?")[0] for each in watch.blobs()
    }


def test_names_that_changed_are_found_and_others_are_not_named(delivered: Release, tmp_path: Path) -> None:
    options = ("--only", "team/*", "--map", "team/one=other/uno")
    folder = tmp_path / "config"
    told = config(delivered, *options, folder=folder)
    assert [each["destination"].rpartition(delivered.prefix)[2] for each in told["mapping"]] == [
        "/team/many:1",
        "/other/uno:1",
        "/team/two:1",
    ]
    assert any("containerd finds 0 of 3" in each for each in told["warnings"])
    assert "chart" not in "".join(written(folder).values())
    planned = written(folder)
    pushed = delivered.push(
        "1.tar", *options, "--mirror-config", folder, "--spec", delivered.tool.home / "spec-1.json"
    )
    # A push writes the same: nothing new.
    assert pushed["mirror_config"] == told | {"changed": False}
    assert written(folder) == planned
    raw = as_client(
        delivered.tool, folder, "skopeo", "inspect", "--raw", f"docker://{delivered.reference('team/one:1')}"
    )
    assert digest_of(raw.stdout.encode()) == delivered.images["team/one:1"].digest, raw.stderr


def test_a_tag_never_leads_to_another_image(tool: Tool, release: Release, tmp_path: Path) -> None:
    """The vendor's release 2 is called 1 at the mirror: whoever asks for the vendor's 1 must not get it."""
    at = fresh("vendor/app")
    images = {tag: put_image(release.vendor, at, tag, [layer(f"{at}{tag}")], docker=True) for tag in ("1", "2")}
    final = f"{release.vendor.host}/{at}:2"
    (tool.home / "spec-1.json").write_text(json.dumps({"images": [{"name": "app:1", "final": final}]}))
    tool.good("pull", "--spec", "spec-1.json", "-o", "1.tar", "--final-tls-verify", "false")
    release.push("1.tar")
    folder = tmp_path / "config"
    assert any("another tag" in each for each in config(release, folder=folder)["warnings"])
    ask = ("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{release.vendor.host}/{at}")
    for tag in "12":
        raw = as_client(release.tool, folder, *ask[:-1], f"{ask[-1]}:{tag}")
        assert digest_of(raw.stdout.encode()) == images[tag].digest, raw.stderr
    watch = release.customer.watch()
    assert as_client(release.tool, folder, *ask[:-1], f"{ask[-1]}@{images['2'].digest}").returncode == 0
    assert watch.requests("GET", "HEAD")


def test_nothing_is_pushed_if_files_can_not_be_written(delivered: Release, tmp_path: Path) -> None:
    folder, spec = tmp_path / "config", delivered.tool.home / "spec-1.json"
    theirs = folder / "k3s/registries.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mirrors: {}\n")
    to = f"{delivered.customer.host}/{delivered.prefix}"
    push = ("push", "1.tar", to, *PLAIN_DEST, "--json")
    refused(
        delivered.tool(*push, "--mirror-config", folder, "--spec", spec), 2, "registries.yaml was not written by"
    )
    assert written(folder) == {"k3s/registries.yaml": "mirrors: {}\n"}
    for words in (("--mirror-config", tmp_path / "new"), ("--spec", spec)):
        refused(delivered.tool(*push, *words), 2, "--mirror-config", "--spec")
    refused(delivered.tool(*push, "--mirror-config", spec, "--spec", spec), 2, "is not a folder")
    long = tmp_path / ("a" * 300)
    refused(delivered.tool(*push, "--mirror-config", long, "--spec", spec), 6, "cannot write into", "too long")
    (delivered.tool.home / "other.json").write_text('{"images": [{"name": "a", "final": "x.example/a"}]}')
    other = ("--mirror-config", tmp_path / "new", "--spec", "other.json")
    refused(delivered.tool(*push, *other), 2, "names none of the images", "--spec")
    delta = ("--as-delta", "--mirror-config", tmp_path / "new", "--spec", spec)
    refused(delivered.tool(*push[:2], f"{to}:1", *push[3:], *delta), 2, "--mirror-config")
    assert not any(delivered.there(name) for name in delivered.names("1"))
    dry = delivered.push("1.tar", "--dry-run", "--mirror-config", tmp_path / "new", "--spec", spec)
    assert dry["mirror_config"]["changed"] is True
    assert not (tmp_path / "new").exists()


def test_a_push_that_fails_writes_none(delivered: Release, tmp_path: Path) -> None:
    """Most images are there, but the release as a whole is not."""
    put_image(delivered.customer, f"{delivered.prefix}/team/one", "1", [layer("other")])
    mirror = ("--mirror-config", tmp_path / "config", "--spec", delivered.tool.home / "spec-1.json")
    told = delivered.push("1.tar", "--no-overwrite-tag", *mirror, code=5)
    assert told["mirror_config"] is None
    assert not (tmp_path / "config").exists()


def test_an_archive_of_one_image_has_no_spec(delivered: Release, release: Release, tmp_path: Path) -> None:
    final = ("--final-tls-verify", "false")
    release.tool.good("pull", release.reference("team/one:1"), "-o", "one.tar", *final)
    to, spec = f"{release.customer.host}/{release.prefix}", release.spec("1")
    ran = release.tool("mirror-config", "one.tar", to, "--spec", spec, "-o", tmp_path / "config", "--json")
    refused(ran, 2, "not a bundle")
    ran = release.tool("mirror-config", "1.tar", f"{to}:1", "--spec", spec, "-o", tmp_path / "config", "--json")
    refused(ran, 2, "has a tag")
    ran = release.tool("mirror-config", "1.tar", "oci:layout", "--spec", spec, "-o", tmp_path / "config", "--json")
    refused(ran, 2, "oci:layout is not in a registry")
    assert not (tmp_path / "config").exists()


def test_an_import_of_a_kit_writes_them_too(release: Release, tmp_path: Path) -> None:
    kit = export(release)
    ran = bring(release, kit, "--mirror-config", tmp_path / "config", "--spec", release.spec("1"))
    assert ran.returncode == 0, ran.stderr
    assert len(written(tmp_path / "config")) == len(PATHS)


def test_the_library_and_the_text(delivered: Release, tmp_path: Path) -> None:
    spec = [SpecImage(name, delivered.reference(name)) for name in delivered.names("1")]
    to = f"docker://{delivered.customer.host}/{delivered.prefix}"
    incremental = Incremental(push_auth=Access(tls_verify=False))
    archive = delivered.tool.home / "1.tar"
    result = incremental.mirror_config(archive, to, spec, tmp_path / "config")
    assert len(result.mapping) == 4
    assert not incremental.mirror_config(archive, to, spec, tmp_path / "config").changed
    words = ("mirror-config", archive, to, "--spec", delivered.tool.home / "spec-1.json", "-o", tmp_path / "config")
    shown = delivered.tool.good(*words, "--tls-verify", "false").text
    there = f"{delivered.customer.host}/{delivered.prefix}/chart:7"
    assert [delivered.reference("chart:7"), there] in [line.split() for line in shown.splitlines()]
    assert shown.endswith("result:         already there: nothing written\n")
    # Without that option clients verify certificates.
    assert "result:         written" in delivered.tool.good(*words).text
    assert not any("insecure" in text or "http://" in text for text in written(tmp_path / "config").values())
    listed = json.loads(json.dumps(config(delivered, folder=tmp_path / "config")))
    jsonschema.validate(listed, json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
