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
    template: {pods: [{spec: {containers: [{image: eleven:11}, {image: null}, {name: none}, text]}}]}
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
        "team/six": "f: Pod web: spec.containers[0].env[0]: the variable RELATED_IMAGE",
        "host.example/ten:10": "f: Thing deep: spec.baseImage",
        "x:1": "f: Thing deep: spec.image",
    }
    assert [each for each in found if isinstance(each, str)] == []


@pytest.mark.parametrize("image", [12, True, ["a:1"], "x" * 5000])
def test_an_image_is_a_text(image: object) -> None:
    with pytest.raises(ContentError, match=r"f: spec.containers\[0\] breaks the schema at image: "):
        list(kubernetes.images_in({"spec": {"containers": [{"image": image}]}}, "f"))


ELSEWHERE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c, labels: {image: host.example/no:1}}
data:
  plain: host.example/a:1
  list: "host.example/b:1,host.example/c@sha256:%(digest)s"
  SIDECAR_IMAGES: "d:1, e:1"
  injected.yaml: |
    containers:
    - image: "f:1"
    - image: {{ .Values.image }}
  run.sh: "exec podman run docker://host.example/g:1 https://host.example/no:2 key.example/no=x:1 image: no"
  config.json: '{"image": "h:1", "icon": "image/no.png", "other": "host.example/i:1"}'
---
apiVersion: db.example/v1
kind: Cluster
metadata: {name: c}
spec:
  imageName: host.example/j:1
  additional: [host.example/k:1, no]
  image: {registry: host.example, repository: team/l, tag: 1.5, digest: ""}
  config: {env: [{name: A, value: host.example/m:1}], imagePullPolicy: Always, imageTag: no}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: {description: such as host.example/no:3, image: host.example/no:4}
---
apiVersion: v1
kind: PodList
items:
- metadata: {name: p, annotations: {a: host.example/no:5}}
  spec: {containers: [{image: host.example/n:1}]}
  status: {containerStatuses: [{image: host.example/no:6, imageID: "host.example/no@sha256:%(digest)s"}]}
---
image: {repository: host.example/o, tag: 1}
sidecar: {image: host.example/p:1}
note: host.example/no:7
"""


def test_what_may_be_an_image_elsewhere() -> None:
    documents = yaml.safe_load_all(ELSEWHERE % {"digest": "1" * 64})
    found = [each for document in documents for each in kubernetes.images_in(document, "f")]
    hints = [each.reference for each in found if isinstance(each, Hint)]
    assert sorted(hints) == [
        *("d:1", "e:1", "f:1", "h:1", "host.example/a:1", "host.example/b:1"),
        *(f"host.example/c@sha256:{'1' * 64}", "host.example/g:1", "host.example/i:1", "host.example/j:1"),
        *("host.example/k:1", "host.example/m:1", "host.example/o:1", "host.example/p:1"),
        "host.example/team/l:1.5",
    ]
    assert [each.reference for each in found if isinstance(each, FoundImage)] == ["host.example/n:1"]
    assert Hint("host.example/k:1", "f: Cluster c: spec.additional[0]") in found
    assert Hint("host.example/m:1", "f: Cluster c: spec.config.env[0]: the variable A") in found


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
  twin: {extends: {service: web}}
  same: {extends: web}
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
    assert warnings[2].startswith("f: services.child extends a service of another file")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("host.example/a:${TAG:-1}", "host.example/a:1"),
        ("${HOST-docker.io}/${ORG:-team}/a:${TAG:-1.2}", "docker.io/team/a:1.2"),
        ("${HOST:-${OTHER:-host.example}/deep}/a:1", "host.example/deep/a:1"),
        ("a${SUFFIX:-}:1", "a:1"),
        ("host.example/a:${TAG}", None),
        ("host.example/a:$TAG", None),
        ("${HOST:-host.example}/a:${TAG:?say which}", None),
        ("a:$${TAG:-1}", None),
        ("a:${TAG:+1}", None),
    ],
)
def test_variables_have_their_default_values(text: str, filled: str | None) -> None:
    *warnings, image = compose.images_in({"services": {"a": {"image": text}}}, "f")
    assert image == FoundImage(filled or text, "f: services.a.image")
    said = f"f: services.a.image: {text} is taken with its default values; to use others, give the output of "
    assert [str(each).startswith(said) for each in warnings] == ([True] if filled else [])


@pytest.mark.parametrize(
    ("service", "place"),
    [({"image": ["a:1"]}, "image"), ({"image": 1.25}, "image"), ("a:1", ""), ({"volumes": "a"}, "volumes")],
)
def test_services_fit_the_schema(service: object, place: str) -> None:
    with pytest.raises(ContentError, match=rf"f breaks the schema at services\.web\.?{place}: "):
        list(compose.images_in({"services": {"web": service}}, "f"))


def test_a_compose_file_that_includes_others_alone() -> None:
    value = {"name": "shop", "include": ["other.yaml"]}
    assert compose.is_compose(value)
    assert len(list(compose.images_in(value, "f"))) == 1
    assert not compose.is_compose({"include": ["x"], "image": "ruby"})


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
