"""Which images manifests and Compose files name, and where."""

from __future__ import annotations

import json
import tracemalloc

import pytest
import yaml

from wrapper import ContentError, FoundImage
from wrapper.release import compose, kubernetes
from wrapper.release.hints import Finding, Hint
from wrapper.release.listing import images_in as images_in_list
from wrapper.release.listing import is_listing

POD = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata:
    name: web
    annotations: {image: quay.io/no/annotation:1}
  spec:
    initContainers: [{name: a, image: one:1}]
    containers:
    - name: b
      image: host.example/two@sha256:abc
      command: [/bin/app, --sidecar-image, three:3, --url=http://host.example/x:1, host.example/four:4]
      args: ["--reload=host.example/five:5", "--level=info:2", 7]
      env:
      - {name: RELATED_IMAGE, value: team/six}
      - {name: REDIS, value: "redis.example:6379"}
      - {name: OTHER, valueFrom: {secretKeyRef: {name: x, key: y}}}
      - no variable
    ephemeralContainers: [{name: c, image: seven}]
    volumes:
    - {name: v, image: {reference: host.example/eight:8, pullPolicy: Always}}
    - {name: w, configMap: {name: image}}
  status:
    containerStatuses: [{image: host.example/nine:9}]
- apiVersion: operator.example/v1
  kind: Thing
  metadata: {name: deep}
  spec:
    baseImage: host.example/ten:10
    image: {repository: x, tag: "1"}
    template: {pods: [{spec: {containers: [{image: eleven:11}, {image: 12}, {name: none}, text]}}]}
"""


def test_pods_wherever_they_are() -> None:
    found = list(kubernetes.images_in(yaml.safe_load(POD), "f"))
    images = {each.reference: each.where for each in found if isinstance(each, FoundImage)}
    assert images == {
        "one:1": "f: Pod web: spec.initContainers[0].image",
        "host.example/two@sha256:abc": "f: Pod web: spec.containers[0].image",
        "seven": "f: Pod web: spec.ephemeralContainers[0].image",
        "host.example/eight:8": "f: Pod web: spec.volumes[0].image.reference",
        "eleven:11": "f: Thing deep: spec.template.pods[0].spec.containers[0].image",
    }
    hints = {each.reference: each.where for each in found if isinstance(each, Hint)}
    assert hints == {
        "three:3": "f: Pod web: spec.containers[0]: --sidecar-image",
        "host.example/four:4": "f: Pod web: spec.containers[0]: an argument",
        "host.example/five:5": "f: Pod web: spec.containers[0]: --reload",
        "team/six": "f: Pod web: spec.containers[0]: the variable RELATED_IMAGE",
        "host.example/ten:10": "f: Thing deep: spec.baseImage",
    }
    assert [each for each in found if isinstance(each, str)] == []


@pytest.mark.parametrize("value", [None, 1, "containers", [], [[{}]], {"containers": {"image": "x"}}, {1: [2]}])
def test_what_is_no_manifest_has_no_image(value: object) -> None:
    assert list(kubernetes.images_in(value, "f")) == []


def test_places_are_short_however_deep_and_long_names_are() -> None:
    text = '{"' + "k" * 1000 + '":'
    deep = json.loads(text * 300 + '{"containers": [{"image": "a:1"}]}' + "}" * 300)
    wide = {"x" * 8000: [{"containers": [{"image": f"a:{n}", "args": ["--image=b:1"]}]} for n in range(2000)]}
    tracemalloc.start()
    found: list[Finding] = [*kubernetes.images_in(deep, "f"), *kubernetes.images_in(wide, "f")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 1 + 2 * 2000
    assert all(len(each.where) < 500 for each in found if not isinstance(each, str))
    assert peak < 10_000_000


COMPOSE = """
name: shop
x-common: &common
  image: host.example/web:1
  environment: {WORKER_IMAGE: "worker:2", PORT: 80}
include: [other.yaml]
services:
  web: *common
  admin:
    <<: *common
    build: .
    command: run --image=tool:3
    environment: ["A=host.example/x:1", PLAIN]
    volumes: ["data:/data", {type: image, source: assets:4, target: /a}, {type: bind, source: /b}]
  built: {build: ./built}
  child: {extends: {service: web, file: base.yaml}}
  nothing:
"""


def test_services_of_compose() -> None:
    value = yaml.safe_load(COMPOSE)
    assert compose.is_compose(value)
    found = list(compose.images_in(value, "f"))
    assert [(each.reference, each.where) for each in found if isinstance(each, FoundImage)] == [
        ("host.example/web:1", "f: services.web.image"),
        ("host.example/web:1", "f: services.admin.image"),
        ("assets:4", "f: services.admin.volumes[1].source"),
    ]
    hints = {each.reference for each in found if isinstance(each, Hint)}
    assert hints == {"worker:2", "tool:3", "host.example/x:1"}
    warnings = [each for each in found if isinstance(each, str)]
    assert len(warnings) == 3
    assert warnings[0].startswith("f: what it includes is not read")
    assert warnings[1].startswith("f: services.built is built, and names no image")
    assert warnings[2].startswith("f: services.child extends another service")


@pytest.mark.parametrize("value", [None, [], {"services": []}, {"apiVersion": "v1", "services": {}}])
def test_what_is_no_compose_file(value: object) -> None:
    assert not compose.is_compose(value)


def test_lists() -> None:
    text = "# all\n\nnginx:1.25   # web\r\n  docker://host.example/a:1\n$REGISTRY/b:1\n"
    assert is_listing(text)
    assert [(each.reference, each.where) for each in images_in_list(text, "f")] == [
        ("nginx:1.25", "f: line 3"),
        ("host.example/a:1", "f: line 4"),
        ("$REGISTRY/b:1", "f: line 5"),
    ]
    for line in ("a/Not", "oci:folder:1", "a:1 b:2", "a@sha512:00"):
        with pytest.raises(ContentError, match="f: line 2: "):
            list(images_in_list(f"a:1\n{line}\n", "f"))


@pytest.mark.parametrize("text", ["", "# only\n", "a: b", "a:", "---\na", "- a", "{}", "[a]", "a b"])
def test_what_is_no_list(text: str) -> None:
    assert not is_listing(text)
