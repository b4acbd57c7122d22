from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wrapper import Reference, SpecImage, UsageError
from wrapper.mirror import containerd, k3s, mapping_txt, openshift, registries_conf
from wrapper.mirror.folder import HEADER
from wrapper.mirror.mapping import MirrorMapping, PlacedImage, make_mapping
from wrapper.mirror.simple_yaml import to_yaml

if TYPE_CHECKING:
    from types import ModuleType

    from wrapper.mirror.folder import ConfigFile

DIGEST = "sha256:" + "a" * 64
THERE = "registry.example:5000"
HOST_KEYS = {"capabilities", "override_path", "skip_verify"}
"""What is written, of the keys that containerd's docs/hosts.md has for a host."""


def mapped(finals: dict[str, str], prefix: str = f"{THERE}/mirror", *, insecure: bool = False) -> MirrorMapping:
    """Images by their names in the bundle, pushed below a prefix; `NAME>NEW` is pushed under another name."""
    spec = [SpecImage(name.partition(">")[0], final) for name, final in finals.items()]
    placed = [
        PlacedImage(name.partition(">")[0], Reference.parse(f"docker://{prefix}/{name.rpartition('>')[2]}"), DIGEST)
        for name in finals
    ]
    return make_mapping(spec, placed, f"docker://{prefix}", insecure=insecure)


def files(kind: ModuleType, mapping: MirrorMapping) -> dict[str, ConfigFile]:
    rendered = kind.render(mapping)
    assert all(file.content.decode().startswith(HEADER + "\n") for file in rendered)
    return {file.path: file for file in rendered}


def text(kind: ModuleType, mapping: MirrorMapping, path: str = "") -> str:
    found = files(kind, mapping)
    return found[path or next(iter(found))].content.decode()


ALIKE = {"team/app:2": "vendor.example/team/app:2", "charts/app:2": "vendor.example/charts/app:2"}
MOVED = {**ALIKE, "tools/worker:2": "vendor.example/worker:2"}


def test_registries_conf_has_a_table_for_each_repository() -> None:
    shown = tomllib.loads(text(registries_conf, mapped(MOVED)))
    assert shown["registry"] == [
        {"prefix": source, "location": source, "mirror": [{"location": f"{THERE}/mirror/{there}"}]}
        for source, there in (
            ("vendor.example/charts/app", "charts/app"),
            ("vendor.example/team/app", "team/app"),
            ("vendor.example/worker", "tools/worker"),
        )
    ]
    insecure = tomllib.loads(text(registries_conf, mapped(ALIKE, insecure=True)))
    assert all(mirror["insecure"] is True for each in insecure["registry"] for mirror in each["mirror"])


def test_a_tag_never_leads_to_another_image() -> None:
    """The vendor's `worker:2` may be another image than the one that is called so at the mirror."""
    mapping = mapped({"worker:2": "vendor.example/worker:2.0.1", "app:1": "vendor.example/app:1"})
    conf = files(registries_conf, mapping)[registries_conf.PATH]
    by_digest = {each["prefix"]: "mirror-by-digest-only" in each for each in tomllib.loads(conf.body)["registry"]}
    assert by_digest == {"vendor.example/app": False, "vendor.example/worker": True}
    assert f"vendor.example/worker:2.0.1 is {THERE}/mirror/worker:2 there" in conf.notes
    (hosts,) = tomllib.loads(text(containerd, mapping))["host"].values()
    assert hosts["capabilities"] == ["pull"]
    tags = yaml.safe_load(text(openshift, mapping, openshift.TAGS))
    assert [each["source"] for each in tags["spec"]["imageTagMirrors"]] == ["vendor.example/app"]
    assert "vendor.example/worker:2.0.1 is" in text(k3s, mapping)


def test_what_is_named_by_digest_is_looked_up_by_digest() -> None:
    mapping = mapped({"app:2": f"vendor.example/app@{DIGEST}"})
    assert mapping.warnings == ()
    assert tomllib.loads(text(registries_conf, mapping))["registry"][0]["mirror-by-digest-only"] is True
    assert list(files(openshift, mapping)) == [openshift.DIGESTS]
    assert text(mapping_txt, mapping).endswith(f"\nvendor.example/app@{DIGEST}={THERE}/mirror/app:2\n")


def test_a_tag_that_was_made_from_a_digest_leads_nobody_astray() -> None:
    """`spec` tells two images of one tag apart so; the vendor has no such tag."""
    finals = {"app:1": "vendor.example/app:1", "app:1-" + "a" * 12: f"vendor.example/app:1@{DIGEST}"}
    for kind in (registries_conf, containerd, openshift, k3s):
        assert not any(file.notes for file in kind.render(mapped(finals)))
    assert "resolve" in text(containerd, mapped(finals))
    assert "mirror-by-digest-only" not in text(registries_conf, mapped(finals))
    other = mapped({**finals, "app:1-" + "b" * 12: f"vendor.example/app:2@{DIGEST}"})
    assert "resolve" not in text(containerd, other)


def test_a_digest_that_the_bundle_has_not_is_told() -> None:
    listed = "sha256:" + "b" * 64
    (warning,) = mapped({"app:2": f"vendor.example/app@{listed}"}).warnings
    assert warning.startswith(f"nobody finds vendor.example/app@{listed} by this digest")


@pytest.mark.parametrize(
    "final", ["nginx:1", "docker.io/nginx:1", "docker.io/library/nginx:1", "index.docker.io/nginx:1"]
)
def test_docker_hub_is_named_in_full(final: str) -> None:
    mapping = mapped({"library/nginx:1": final})
    assert list(files(containerd, mapping)) == ["certs.d/docker.io/hosts.toml"]
    assert mapping.images[0].source == "docker.io/library/nginx:1"
    there = mapped({"app:1": "vendor.example/app:1"}, "docker.io/team")
    assert list(tomllib.loads(text(containerd, there))["host"]) == ["https://registry-1.docker.io/v2/team"]


@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize("prefix", [THERE, f"{THERE}/some/mirror"])
def test_containerd_keeps_paths_behind_a_prefix(prefix: str, insecure: bool) -> None:
    mapping = mapped({**ALIKE, "app:1": "other.example:99/app:1"}, prefix, insecure=insecure)
    found = files(containerd, mapping)
    assert list(found) == ["certs.d/other.example_99_/hosts.toml", "certs.d/vendor.example/hosts.toml"]
    path = prefix.removeprefix(THERE).replace("/some", "/v2/some")
    urls = [f"https://{THERE}{path}", *([f"http://{THERE}{path}"] if insecure else [])]
    for file in found.values():
        hosts = tomllib.loads(file.content.decode())["host"]
        assert list(hosts) == urls
        for url, host in hosts.items():
            assert host.keys() <= HOST_KEYS
            assert host["capabilities"] == ["pull", "resolve"]
            # Otherwise containerd adds /v2 behind the path.
            assert host.get("override_path", False) is bool(path)
            assert host.get("skip_verify", False) is (insecure and url.startswith("https"))
        assert not file.notes


def containerd_looks_for(file: ConfigFile, path: str) -> list[str]:
    """Where containerd looks for a tag of a repository, in order."""
    hosts = tomllib.loads(file.content.decode()).get("host", {}).items()
    return [f"{url}/{path}".replace("/v2/", "/") for url, host in hosts if "resolve" in host["capabilities"]]


def test_containerd_looks_behind_every_prefix() -> None:
    """What `spec` makes of two registries that have a repository of one name: there the host stands before it."""
    finals = {
        "a.example/team/app:1": "a.example/team/app:1",
        "b.example/team/app:1": "b.example/team/app:1",
        "team/tools:1": "a.example/team/tools:1",
    }
    found = files(containerd, mapped(finals))
    for host, path, place in (
        ("a.example", "team/app", "a.example/team/app"),
        ("a.example", "team/tools", "team/tools"),
        ("b.example", "team/app", "b.example/team/app"),
    ):
        file = found[f"certs.d/{host}/hosts.toml"]
        assert f"https://{THERE}/mirror/{place}" in containerd_looks_for(file, path)
        assert not file.notes
    # An older image of another registry may be behind the shorter one.
    first = containerd_looks_for(found["certs.d/a.example/hosts.toml"], "team/app")[0]
    assert first == f"https://{THERE}/mirror/a.example/team/app"


def test_what_containerd_can_not_find_is_said() -> None:
    moved = {**MOVED, "tools/job:2": "vendor.example/team/job:2"}
    file = files(containerd, mapped(moved))["certs.d/vendor.example/hosts.toml"]
    assert file.notes[0].startswith("containerd finds 3 of 4 repositories of vendor.example")
    assert f"# vendor.example/team/job is {THERE}/mirror/tools/job there\n" in file.content.decode()
    assert containerd_looks_for(file, "worker") == [
        f"https://{THERE}/mirror/tools/worker",
        f"https://{THERE}/mirror/worker",
    ]
    nothing = files(containerd, mapped({"a:1": "vendor.example/b:1"}))["certs.d/vendor.example/hosts.toml"]
    assert nothing.notes[0].startswith("containerd finds 0 of 1 repositories of vendor.example")
    assert tomllib.loads(nothing.content.decode()) == {}


def test_containerd_asks_nowhere_for_a_tag_where_another_image_is() -> None:
    taken = files(containerd, mapped({**MOVED, "worker:2": "other.example/worker:2"}))
    file = taken["certs.d/vendor.example/hosts.toml"]
    assert containerd_looks_for(file, "worker") == [f"https://{THERE}/mirror/tools/worker"]
    assert file.notes == (
        f"{THERE}/mirror is used for digests only: for vendor.example/worker there is another image at "
        f"{THERE}/mirror/worker",
    )


def k3s_finds(shown: dict[str, Any], host: str, path: str) -> str:
    """Where k3s looks for a repository: its first rule that fits."""
    mirror = shown["mirrors"][host]
    for pattern, new in mirror.get("rewrite", {}).items():
        if re.search(pattern, path):
            path = re.sub(pattern, new.replace("$1", r"\1"), path)
            break
    return f"{mirror['endpoint'][0]}/{path}"


@pytest.mark.parametrize("prefix", [THERE, f"{THERE}/mirror"])
@pytest.mark.parametrize("finals", [ALIKE, MOVED, {**MOVED, "x/a.b:1": "vendor.example/a.b:1"}])
def test_k3s_finds_every_repository(finals: dict[str, str], prefix: str) -> None:
    mapping = mapped(finals, prefix, insecure=True)
    shown = yaml.safe_load(text(k3s, mapping))
    assert set(shown) == {"mirrors", "configs"}
    assert shown["configs"] == {THERE: {"tls": {"insecure_skip_verify": True}}}
    for each in mapping.repositories:
        assert k3s_finds(shown, each.source.host, each.source.path) == f"https://{each.mirrors[0]}"
    if "x/a.b:1" in finals:
        # A point in a pattern is no more than a point, and a text in a pattern means the same in TOML.
        assert "\\" not in text(k3s, mapping)
        assert k3s_finds(shown, "vendor.example", "a-b") == f"https://{THERE}/a-b"
    assert "configs" not in yaml.safe_load(text(k3s, mapped(finals, prefix)))


def test_k3s_leaves_alone_what_else_is_in_the_registry() -> None:
    shown = yaml.safe_load(text(k3s, mapped({"team/app:2": f"{THERE}/team/app:2"})))
    assert k3s_finds(shown, THERE, "team/app") == f"https://{THERE}/mirror/team/app"
    assert k3s_finds(shown, THERE, "mirror/team/app") == f"https://{THERE}/mirror/team/app"


def test_a_repository_in_two_places() -> None:
    mapping = mapped({"a/app:1": "vendor.example/app:1", "b/app:2": "vendor.example/app:2"})
    (registry,) = tomllib.loads(text(registries_conf, mapping))["registry"]
    assert [each["location"] for each in registry["mirror"]] == [f"{THERE}/mirror/{each}/app" for each in "ab"]
    assert "it takes the first one" in text(k3s, mapping)
    file = files(containerd, mapping)["certs.d/vendor.example/hosts.toml"]
    assert containerd_looks_for(file, "app") == [f"https://{THERE}/mirror/{each}/app" for each in "ab"]


PLACE = (
    r"^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*(:[0-9]+)?"
    r"(/[a-z0-9]+(([._]|__|-*)[a-z0-9]+)*)*$"
)
"""What the API server takes for a source or a mirror: a host, and the path of a repository or a part of it."""

OBJECT = {
    "type": "object",
    "properties": {
        "apiVersion": {"const": "config.openshift.io/v1"},
        "kind": {"enum": ["ImageDigestMirrorSet", "ImageTagMirrorSet"]},
        "metadata": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 253}
            },
            "required": ["name"],
            "additionalProperties": False,
        },
        "spec": {
            "type": "object",
            "patternProperties": {
                "^image(Digest|Tag)Mirrors$": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "source": {"type": "string", "pattern": PLACE},
                            "mirrors": {
                                "type": "array",
                                "uniqueItems": True,
                                "items": {"type": "string", "pattern": PLACE},
                            },
                        },
                        "required": ["source", "mirrors"],
                        "additionalProperties": False,
                    },
                }
            },
            "additionalProperties": False,
        },
    },
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
}
"""The documented fields of both objects, as far as they are used."""


def test_openshift_gets_its_objects() -> None:
    found = {path: yaml.safe_load(file.content) for path, file in files(openshift, mapped(MOVED)).items()}
    for shown in found.values():
        jsonschema.validate(shown, OBJECT)
        assert shown["metadata"]["name"] == "registry-example-5000-mirror"
    entries = [
        {"source": f"vendor.example/{source}", "mirrors": [f"{THERE}/mirror/{there}"]}
        for source, there in (("charts/app", "charts/app"), ("team/app", "team/app"), ("worker", "tools/worker"))
    ]
    assert found[openshift.DIGESTS]["kind"] == "ImageDigestMirrorSet"
    assert found[openshift.DIGESTS]["spec"] == {"imageDigestMirrors": entries}
    assert found[openshift.TAGS]["kind"] == "ImageTagMirrorSet"
    assert found[openshift.TAGS]["spec"] == {"imageTagMirrors": entries}
    odd = mapped({"a__b/c--d/e.f_g:1": "Vendor-1.Example:5050/a__b/c--d/e.f_g:1", "h:1": "localhost/h:1"})
    for file in files(openshift, odd).values():
        jsonschema.validate(yaml.safe_load(file.content), OBJECT)
    insecure = files(openshift, mapped(MOVED, insecure=True))[openshift.DIGESTS]
    assert "insecureRegistries" in insecure.notes[0]


def test_other_names_lead_to_other_places() -> None:
    shown = text(mapping_txt, mapped({"team/app:2>apps/app:2": "vendor.example/team/app:2"}))
    assert shown == f"{HEADER}\nvendor.example/team/app:2={THERE}/mirror/apps/app:2\n"


def test_the_order_of_the_spec_does_not_matter() -> None:
    for kind in (registries_conf, containerd, openshift, k3s, mapping_txt):
        backwards = dict(reversed(MOVED.items()))
        assert kind.render(mapped(MOVED)) == kind.render(mapped(backwards))


def test_an_image_that_stays_where_it_was_needs_no_mirror() -> None:
    mapping = mapped({"app:1": f"{THERE}/mirror/app:1"})
    assert [kind.render(mapping) for kind in (containerd, openshift, k3s)] == [[], [], []]
    assert "[[registry]]" not in text(registries_conf, mapping)


def test_a_spec_of_another_bundle() -> None:
    placed = [PlacedImage(name, Reference.parse(f"docker://{THERE}/{name}"), DIGEST) for name in ("app:1", "old:1")]
    mapping = make_mapping(
        [SpecImage("app:1", "vendor.example/app:1")], placed, f"docker://{THERE}", insecure=False
    )
    assert mapping.warnings == ("the spec does not name old:1: nothing leads to it",)
    with pytest.raises(UsageError, match="names none of the images of the bundle: app:1, old:1"):
        make_mapping([SpecImage("app:2", "vendor.example/app:2")], placed, f"docker://{THERE}", insecure=False)


def values() -> st.SearchStrategy[Any]:
    texts = st.text(
        st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8
    )
    words = texts | st.sampled_from(["yes", "null", "1", "- a", "a: b", "# no", "", "~", "1:30"])
    return st.recursive(
        words | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    )


@given(st.dictionaries(st.text("abc^$.*()/:", min_size=1, max_size=6), values(), min_size=1, max_size=3))
def test_yaml_is_read_as_what_was_written(value: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(value)) == value
