"""The command `spec`: from what people have to a spec that `pull` reads."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.images import fresh, layer, platform, put_image, put_list
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, ROOT, refused
from wrapper import Incremental, UsageError, read_spec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry
    from tests.support.release import Release
    from tests.support.tool import Ran, Tool

DEPLOYMENT = """# Source: shop/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      initContainers:
        - name: migrate
          image: "{host}/{at}/migrate:1"
      containers:
        - name: web
          image: {host}/{at}/web:1
          env:
            - name: SIDECAR_IMAGE
              value: {host}/{at}/sidecar:1
---
# Source: shop/templates/night.yaml
apiVersion: batch/v1
kind: CronJob
metadata:
  name: night
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: night
              image: {host}/{at}/web:1
"""
SCHEMA = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))


@pytest.fixture
def shop(vendor: Registry) -> dict[str, Any]:
    """Images at a vendor's, and manifests that name them."""
    at = fresh("shop")
    images = {name: put_image(vendor, f"{at}/{name}", "1", [layer(name)]) for name in ("web", "migrate", "sidecar")}
    return {"at": at, "host": vendor.host, "images": images, "text": DEPLOYMENT.format(host=vendor.host, at=at)}


def finals(ran: Ran) -> dict[str, str]:
    return {image["name"]: image["final"] for image in ran.json["images"]}


def test_manifests_from_a_pipe_become_a_spec_that_is_pulled(tool: Tool, shop: dict[str, Any]) -> None:
    at, host = shop["at"], shop["host"]
    ran = tool.good("spec", "-", stdin=shop["text"])
    assert finals(ran) == {f"{at}/{name}:1": f"{host}/{at}/{name}:1" for name in ("migrate", "web")}
    assert ran.stderr.count("warning:") == 1
    assert f"SIDECAR_IMAGE: {host}/{at}/sidecar:1 may be an image, and is not in the spec" in ran.stderr
    # What is added as a list is no longer a warning.
    (tool.home / "extra.txt").write_text(f"# started by web\n{host}/{at}/sidecar:1\n")
    ran = tool.good("spec", "-", "extra.txt", "-o", "spec.json", stdin=shop["text"])
    assert (ran.text, ran.stderr.count("warning:")) == ("", 0)
    pulled = tool.good("pull", "--spec", "spec.json", "--dry-run", "--json", *PLAIN_PULL).json
    assert [image["name"] for image in pulled["images"]] == [
        f"{at}/{name}:1" for name in ("migrate", "sidecar", "web")
    ]


def test_tags_are_pinned(tool: Tool, shop: dict[str, Any], vendor: Registry) -> None:
    at, host = shop["at"], shop["host"]
    watch = vendor.watch()
    ran = tool.good("spec", "-", "--pin", "--tls-verify", "false", stdin=shop["text"])
    digests = {name: shop["images"][name].digest for name in ("migrate", "web")}
    assert finals(ran) == {f"{at}/{name}:1": f"{host}/{at}/{name}:1@{digest}" for name, digest in digests.items()}
    # Each tag is asked for once, and no blob.
    assert len(watch.requests()) == 2
    assert watch.blobs() == []
    (tool.home / "spec.json").write_bytes(ran.stdout)
    put_image(vendor, f"{at}/web", "1", [layer("moved")])
    pulled = tool.good("pull", "--spec", "spec.json", "--dry-run", "--json", *PLAIN_PULL).json
    assert {image["digest"] for image in pulled["images"]} == set(digests.values())
    # What is pinned is asked for no more.
    watch = vendor.watch()
    (tool.home / "list").write_text("\n".join(finals(ran).values()))
    assert finals(tool.good("spec", "list", "--pin", "--tls-verify", "false")) == finals(ran)
    assert watch.requests() == []


def test_tags_that_can_not_be_pinned(tool: Tool, shop: dict[str, Any]) -> None:
    at, host = shop["at"], shop["host"]
    listed = f"{host}/{at}/web:1\n{host}/{at}/web:none\n{host}/{at}/gone:1\n"
    ran = tool("spec", "-", "--pin", "--tls-verify", "false", "-o", "o.json", "--json", stdin=listed)
    refused(ran, 5, f"2 of 3 images could not be pinned; {host}/{at}/web:none: ")
    assert not (tool.home / "o.json").exists()


def test_pinning_logs_in(tool: Tool, locked: Registry) -> None:
    at = fresh()
    image = put_image(locked, at, "1", [layer(at)])
    listed = f"{locked.host}/{at}:1"
    ran = tool("spec", "-", "--pin", "--tls-verify", "false", "--json", stdin=listed)
    refused(ran, 5)
    assert ran.json["error"]["kind"] == "unauthorized"
    options = ("--pin", "--tls-verify", "false", "--creds", ACCOUNTS["bob"])
    assert finals(tool.good("spec", "-", *options, stdin=listed)) == {f"{at}:1": f"{listed}@{image.digest}"}
    refused(tool("spec", "-", "--creds", "-", "--json", stdin=listed), 2, "can't be both")


def test_the_result_as_json(tool: Tool, shop: dict[str, Any]) -> None:
    at, host = shop["at"], shop["host"]
    (tool.home / "web.yaml").write_text(shop["text"] + "---\nimage: none\n")
    for changed in (True, False):
        result = tool.good("spec", "web.yaml", "-o", "spec.json", "--json").json
        SCHEMA.validate(result)
        assert result["changed"] is changed
    assert result["spec"] == json.loads((tool.home / "spec.json").read_text())
    place = "jobTemplate.spec.template.spec.containers[0].image"
    assert result["found"][-1] == {
        "reference": f"{host}/{at}/web:1",
        "where": f"web.yaml: line 18: CronJob night: spec.{place}",
        "name": f"{at}/web:1",
        "all_platforms": False,
        "platforms": [],
    }
    assert len(result["found"]) == 3
    assert len(result["warnings"]) == 1
    assert tool.good("spec", "web.yaml", "--json").json | {"changed": False} == result


def test_a_folder_of_manifests_compose_files_and_charts(tool: Tool, shop: dict[str, Any]) -> None:
    folder = tool.home / "release"
    (folder / "deep/.git").mkdir(parents=True)
    (folder / "deep/web.yml").write_text(shop["text"])
    (folder / "deep/.git/x.yaml").write_text("a: [")
    (folder / "deep/README.md").write_text("a: [")
    (folder / "deep/patch.json").write_text('[{"op": "remove", "path": "/a"}]')
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "host.example/pod:1"}]}}
    (folder / "deep/pod.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod]}))
    (folder / "compose.yaml").write_text(
        "x-web: &web {image: 'nginx:1.25'}\nservices: {web: *web, tag: {image: 'app:${TAG}'}, own: {build: .}}\n"
    )
    (folder / "chart").mkdir()
    (folder / "chart/Chart.yaml").write_text(
        "name: chart\nannotations:\n  artifacthub.io/images: |\n    - {name: a, image: host.example/chart:1}\n"
    )
    (folder / "chart/templates").mkdir()
    (folder / "chart/templates/web.yaml").write_text("{{ if }}")
    (folder / "loop").symlink_to(folder)
    (folder / "packed.tgz").write_text("")
    ran = tool.good("spec", folder, env={"PATH": "/usr/bin:/bin"})
    at = shop["at"]
    names = {f"{at}/migrate:1", f"{at}/web:1", "pod:1", "chart:1", "library/nginx:1.25"}
    assert finals(ran).keys() == names
    for words in (
        "services.web.image: nginx:1.25 has no host: it is taken for docker.io/library/nginx:1.25",
        "services.tag.image: app:${TAG} is a template that nobody filled in: it is left out",
        "services.own is built, and names no image",
        "packed.tgz is not read: if it is a chart, give it by itself",
        "helm is not installed: only the images that the chart lists are taken",
    ):
        assert words in ran.stderr


def fake_helm(tool: Tool, script: str) -> dict[str, str]:
    folder = tool.home.parent / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "helm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "helm").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_chart_that_helm_renders(tool: Tool, shop: dict[str, Any]) -> None:
    chart = tool.home / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("name: chart\nannotations: {images: '- {image: host.example/not:1}'}\n")
    (chart / "Images.lock").write_text("images: [{name: a, image: host.example/lock:1}]\n")
    (tool.home / "rendered").write_text(shop["text"])
    rendering = f'[ "$1 $2 $3" = "template release {chart}" ] && cat {tool.home}/rendered'
    ran = tool.good("spec", "chart", env=fake_helm(tool, rendering))
    assert finals(ran).keys() == {f"{shop['at']}/migrate:1", f"{shop['at']}/web:1", "lock:1"}
    assert "chart: rendered with the chart's default values" in ran.stderr
    failing = fake_helm(tool, "echo 'Error: a value is required' >&2; exit 1")
    refused(tool("spec", "chart", "--json", env=failing), 4, "a value is required", "helm template")
    # Without end.
    refused(tool("spec", "chart", "--json", env=fake_helm(tool, "exec yes")), 4, "is longer than")


def test_back_from_an_archive_and_from_a_receipt(release: Release) -> None:
    tool = release.tool
    release.pull("1")
    release.push("1.tar", "--receipt", "receipt.json")
    first = read_spec(release.spec("1"))[0]
    prefix = first.final.name.removesuffix(f"/{first.name.partition(':')[0]}")
    held = {image["name"]: image["digest"] for image in tool.good("inspect", "1.tar", "--json").json["images"]}
    from_archive = finals(tool.good("spec", "1.tar", "--from", prefix))
    from_receipt = finals(tool.good("spec", "receipt.json"))
    assert from_archive.keys() == from_receipt.keys() == held.keys()
    for name, digest in held.items():
        assert from_archive[name] == f"{prefix}/{name}@{digest}"
        assert from_receipt[name].endswith(f"/{name}@{digest}")
    (tool.home / "back.json").write_text(tool.good("spec", "receipt.json").text)
    pulled = tool.good("pull", "--spec", "back.json", "--dry-run", "--json", *PLAIN_PULL).json
    assert {image["name"]: image["digest"] for image in pulled["images"]} == held
    # A receipt says where an image is, whatever --map has called it.
    release.push("1.tar", "--receipt", "mapped.json", "--map", "team/one=other/name")
    mapped = finals(tool.good("spec", "mapped.json"))
    assert "/other/name:1@" in mapped["team/one:1"]
    assert mapped | {"team/one:1": from_receipt["team/one:1"]} == from_receipt
    refused(tool("spec", "1.tar", "--json"), 2, "does not hold which registry its images are in", "--from")
    for wrong in ("https://vendor.example", "vendor.example/team:1", "Vendor Example", "vendor.example/Team", "-"):
        ran = tool("spec", "1.tar", "--from", wrong, "--json")
        refused(ran, 2, f"'{wrong}' is not a registry, or a part of one", "write --from as HOST")
    for good in (f"docker://{prefix}", f"{prefix}/"):
        assert finals(tool.good("spec", "1.tar", "--from", good)) == from_archive
    # The same from the command that looks into archives.
    assert finals(tool.good("inspect", "1.tar", "--as-spec", "--from", prefix)) == from_archive
    assert finals(tool.good("inspect", "receipt.json", "--as-spec")) == from_receipt
    SCHEMA.validate(tool.good("inspect", "receipt.json", "--as-spec", "--json").json)
    refused(tool("inspect", "1.tar", "--as-spec", "--json"), 2, "which registry its images are in", "--from")
    refused(tool("inspect", "1.tar", "--from", prefix, "--json"), 2, "--from needs --as-spec")
    for more in (["1.tar", "--for", "dir:x"], ["docker://x.example/1:1"], ["1.tar", "--report", "x.html"]):
        refused(tool("inspect", *more, "--as-spec", "--json"), 2, "--as-spec needs ARCHIVE as a file")


def test_back_from_some_platforms_of_a_list(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at = fresh()
    leaves = {arch: put_image(vendor, at, None, [layer(arch)], arch=arch) for arch in ("amd64", "arm64", "s390x")}
    whole = put_list(vendor, at, "1", [(each, platform(arch)) for arch, each in leaves.items()])
    some = ["--platform", "linux/amd64,linux/arm64"]
    tool.good("pull", f"{vendor.host}/{at}:1", *some, "-o", "1.tar", *PLAIN_PULL)
    absent = leaves["s390x"]
    # This registry looks for children among blobs, too, and takes a list without that child.
    customer.put_blob(at, absent.digest, absent.raw)
    tool.good("push", "1.tar", f"{customer.host}/{at}:1", "--receipt", "r.json", *PLAIN_DEST)
    for source in (["1.tar", "--from", vendor.host], ["r.json"]):
        result = tool.good("spec", *source, "-o", "back.json", "--json").json
        SCHEMA.validate(result)
        (image,) = result["spec"]["images"]
        assert image["platforms"] == ["linux/amd64", "linux/arm64"]
        # From the registry that has no more than these.
        (pulled,) = tool.good("pull", "--spec", "back.json", "--dry-run", "--json", *PLAIN_PULL).json["images"]
        assert pulled["digest"] == whole.digest
        assert [leaf["digest"] for leaf in pulled["absent"]] == [absent.digest]
    tool.good("pull", f"{vendor.host}/{at}:1", "--all", "-o", "all.tar", *PLAIN_PULL)
    tool.good("push", "all.tar", f"{customer.host}/{at}:1", "--receipt", "r.json", *PLAIN_DEST)
    (image,) = tool.good("spec", "r.json", "--json").json["spec"]["images"]
    assert (image["all"], "platforms" in image) == (True, False)


def test_a_receipt_of_an_image_by_itself(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at = fresh()
    image = put_image(vendor, at, "1", [layer(at)])
    tool.good("pull", f"{vendor.host}/{at}:1", "-o", "1.tar", *PLAIN_PULL)
    tool.good("push", "1.tar", f"{customer.host}/{at}:1", "--receipt", "r.json", *PLAIN_DEST)
    assert finals(tool.good("spec", "r.json")) == {f"{at}:1": f"{customer.host}/{at}:1@{image.digest}"}
    archive = tool.good("spec", "1.tar", "--from", vendor.host)
    assert finals(archive) == {f"{at}:1": f"{vendor.host}/{at}:1@{image.digest}"}
    tool.good("pull", f"{vendor.host}/{at}:1", "--anonymous", "-o", "2.tar", *PLAIN_PULL)
    refused(tool("spec", "2.tar", "--from", vendor.host, "--json"), 2, "there is no image in 2.tar")
    path = tool.home / "r.json"
    (tool.home / "bad.json").write_text(path.read_text().replace(f"/{at}:1", "/A b:1"))
    refused(tool("spec", "bad.json", "--json"), 4, "bad.json: images[0].reference: ")
    tool.good("push", "1.tar", "oci:layout:1", "--receipt", "local.json")
    refused(tool("spec", "local.json", "--json"), 2, "where nothing can be pulled from", "--from")


def test_yaml_is_written_and_read(tool: Tool, shop: dict[str, Any]) -> None:
    for options in (["-o", "spec.yaml"], ["-o", "other.yml", "--format", "yaml"], ["-o", "-", "--format", "yaml"]):
        ran = tool.good("spec", "-", *options, stdin=shop["text"])
        text = ran.text if options[1] == "-" else (tool.home / options[1]).read_text()
        assert len(yaml.safe_load(text)["images"]) == 2
        assert text.startswith("images:\n- name: ")
    assert len(read_spec(tool.home / "spec.yaml")) == 2
    tool.good("spec", "-", "-o", "json.yaml", "--format", "json", stdin=shop["text"])
    assert read_spec(tool.home / "json.yaml") == read_spec(tool.home / "spec.yaml")
    wrong = tool("spec", "-", "-o", "x.json", "--format", "yaml", "--json", stdin=shop["text"])
    refused(wrong, 2, "ends in .yaml or .yml")


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("web.yaml", "a: 1\n---\nb: [\n", 4, "web.yaml: line 4: it is not YAML"),
        ("web.json", '{"a": 1,\n', 4, "web.json is not valid JSON"),
        ("web.yaml", "image: {{ .Values.image }}\n", 4, "render it first"),
        ("extra.txt", "a:1\nNot a name\n", 4, "extra.txt: line 2: "),
        ("shop.tgz", "\x1f\x8bno chart", 4, "shop.tgz is not a packed chart"),
        ("web.yaml", "a: &a [*a]\n", 4, "web.yaml: line 1: *a stands for nothing before it"),
        ("web.yaml", "kind: Service\n", 2, "there is no image in web.yaml"),
        ("web.yaml", "", 2, "there is no image in web.yaml"),
        ("compose.yaml", "services: {web: {image: '${IMAGE}'}}", 2, "there is no image in compose.yaml"),
    ],
    ids=range(9),
)
def test_what_can_not_be_read(tool: Tool, name: str, content: str, code: int, words: str) -> None:
    (tool.home / name).write_bytes(content.encode("latin-1"))
    refused(tool("spec", name, "--json", "-o", "o.json"), code, words)
    assert not (tool.home / "o.json").exists()


def test_what_is_not_there(tool: Tool) -> None:
    refused(tool("spec", "none.yaml", "--json"), 2, "there is no file or folder none.yaml")
    (tool.home / "empty").mkdir()
    refused(tool("spec", "empty", "--json"), 2, "there is no image in empty")
    refused(tool("spec", "a" * 300, "--json"), 2, "there is no file or folder aaa")
    refused(tool("spec", "", "--json"), 2, "the name of a file or folder is empty")
    refused(tool("spec", "--json"), 2, "Missing argument")


def test_from_python(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("nginx:1\n")
    events = []
    with (tmp_path / "list").open("rb") as file:
        result = Incremental(on_event=events.append).spec_from(file, tmp_path / "list")
    assert result.spec == {"images": [{"name": "library/nginx:1", "final": "docker.io/library/nginx:1"}]}
    assert [each.where for each in result.found] == ["standard input: line 1", f"{tmp_path}/list: line 1"]
    assert {event.message for event in events if event.kind == "warning"} == set(result.warnings)
    with pytest.raises(UsageError, match="there is no image"):
        Incremental().spec_from()
