"""Manifests, lists and images, from hostile bytes to checked values."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.builders import child, index, list_child, manifest, node, part
from wrapper.errors import ContentError
from wrapper.oci.documents import DEPTH, DOCUMENT_BYTES, check_schema, parse_document
from wrapper.oci.image import NESTING, Image, gather
from wrapper.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    build_layers_dictionary,
    digest_of,
    parse_manifest,
)
from wrapper.skopeo.messages import explain, fatal_message

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMAS = sorted(file.name for file in files("wrapper.oci.schemas").iterdir() if file.name.endswith(".json"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(files("wrapper.oci.schemas").joinpath(name).read_text()))


BAD_DOCUMENTS = {
    "empty": b"",
    "not UTF-8": b'{"a": "\xff"}',
    "not JSON": b"{",
    "an array": b"[]",
    "a name twice": b'{"a": 1, "a": 2}',
    "a name twice but for case": b'{"layers": [], "Layers": []}',
    "a name twice for Go": '{"s\u017f": 1, "ss": 2}'.encode(),
    "not a number": b'{"a": NaN}',
    "too deep": b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "absurdly deep": b'{"a":' + b"[" * 100_000,
    "too long": b'{"a": "' + b"x" * DOCUMENT_BYTES + b'"}',
    "an absurd number": b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", BAD_DOCUMENTS)
def test_bad_documents(kind: str) -> None:
    with pytest.raises(ContentError, match="it"):
        parse_document(BAD_DOCUMENTS[kind], "it")


def test_the_deepest_document() -> None:
    raw = b'{"a":' + b"[" * (DEPTH - 1) + b"]" * (DEPTH - 1) + b"}"
    assert parse_document(raw, "it")


def test_a_schema_error_names_its_place() -> None:
    document = parse_document(manifest(b"x", layers=[part(b"x"), part(b"y", size="1")]), "it")
    with pytest.raises(ContentError, match=r"layers\[1\]\.size"):
        check_schema(document, "oci-manifest", "it")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_content_error(raw: bytes) -> None:
    try:
        parse_document(raw, "it")
    except ContentError:
        return


def json_like() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
    names = st.sampled_from(
        ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "urls"]
    )
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
    )


@given(
    st.dictionaries(st.sampled_from(["schemaVersion", "config", "layers", "manifests", "mediaType"]), json_like())
)
def test_any_document_is_a_manifest_or_a_content_error(document: dict[str, Any]) -> None:
    for raw in (json.dumps(document).encode(), json.dumps({"schemaVersion": 2, **document}).encode()):
        try:
            parse_manifest(raw)
        except ContentError:
            continue


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (manifest(b"x"), OCI_MANIFEST),
        (manifest(b"x", mediaType=OCI_MANIFEST), OCI_MANIFEST),
        (manifest(b"x", mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
        (index(), OCI_INDEX),
        (index(mediaType=OCI_INDEX), OCI_INDEX),
        (index(mediaType=DOCKER_LIST), DOCKER_LIST),
    ],
)
def test_media_types(raw: bytes, media_type: str) -> None:
    found = parse_manifest(raw)
    assert (found.media_type, found.digest, found.size) == (media_type, digest_of(raw), len(raw))


SHA512 = "sha512:" + "0" * 128
BAD_MANIFESTS = {
    "manifest and list": manifest(b"x", manifests=[]),
    "a list by name": manifest(b"x", mediaType=OCI_INDEX),
    "a manifest by name": index(mediaType=DOCKER_MANIFEST),
    "an unknown type": manifest(b"x", mediaType="text/plain"),
    "a type that is none": manifest(b"x", mediaType=7),
    "Docker schema 1": b'{"schemaVersion": 1}',
    "an unknown schema version": manifest(b"x", schemaVersion=3),
    "neither": b'{"schemaVersion": 2}',
    "a sha512 layer": manifest(layers=[part(b"x", digest=SHA512)]),
    "a sha512 config": manifest(b"x").replace(digest_of(b"{}").encode(), SHA512.encode()),
    "a sha512 child": index(child(b"x", digest=SHA512)),
    "a short digest": manifest(layers=[part(b"x", digest="sha256:12")]),
    "a digest with a newline": manifest(layers=[part(b"x", digest=digest_of(b"x") + "\n")]),
    "a negative size": manifest(layers=[part(b"x", size=-1)]),
    "a size in words": manifest(layers=[part(b"x", size="1")]),
    "a size with a point": manifest(layers=[part(b"x", size=1.0)]),
    "a size that is true": manifest(layers=[part(b"x", size=True)]),
    "a size beyond all bounds": manifest(layers=[part(b"x", size=2**63)]),
    "urls that are no list": manifest(layers=[part(b"x", urls="https://x")]),
    "a layer without a type": manifest(layers=[{"digest": digest_of(b"x"), "size": 1}]),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_bad_manifests(kind: str) -> None:
    with pytest.raises(ContentError):
        parse_manifest(BAD_MANIFESTS[kind])


def test_a_descriptor_must_agree() -> None:
    raw = manifest(b"x")
    good = Descriptor(OCI_MANIFEST, digest_of(raw), len(raw))
    assert parse_manifest(raw, descriptor=good).digest == good.digest
    for bad, word in (
        (Descriptor(OCI_MANIFEST, digest_of(b""), len(raw)), "other bytes"),
        (Descriptor(OCI_MANIFEST, good.digest, len(raw) + 1), "descriptor says"),
        (Descriptor("text/plain", good.digest, len(raw)), "unsupported"),
    ):
        with pytest.raises(ContentError, match=word):
            parse_manifest(raw, descriptor=bad)
    docker = manifest(b"x", mediaType=DOCKER_MANIFEST)
    with pytest.raises(ContentError, match="descriptor says"):
        parse_manifest(docker, descriptor=Descriptor(OCI_MANIFEST, digest_of(docker), len(docker)))


def test_the_layers_dictionary() -> None:
    one = node(manifest(b"a", b"b"))
    two = node(manifest(layers=[part(b"b"), part(b"c"), part(b"far", urls=["https://x"])]))
    found = build_layers_dictionary(one, node(index()), two)
    assert list(found) == [digest_of(each) for each in (b"a", b"b", b"c")]


def tree(*raws: bytes) -> tuple[Any, list[str]]:
    store = {digest_of(raw): raw for raw in raws}
    asked: list[str] = []

    def load(children: Sequence[Descriptor]) -> list[bytes | None]:
        asked.extend(each.digest for each in children)
        return [store.get(each.digest) for each in children]

    return load, asked


def test_lists_come_innermost_first_and_each_manifest_once() -> None:
    leaf = manifest(b"x")
    inner = index(child(leaf))
    middle = index(list_child(inner), child(leaf))
    outer = index(list_child(inner), list_child(middle))
    load, asked = tree(leaf, inner, middle, outer)
    image = gather(node(outer), load)
    assert [each.raw for each in image.lists] == [inner, middle, outer]
    assert [each.raw for each in image.leaves] == [leaf]
    assert len(asked) == len(set(asked)) == 3


def test_lists_that_are_nested_too_deep() -> None:
    raws = [manifest(b"x")]
    for level in range(NESTING + 1):
        raws.append(index(list_child(raws[-1]) if level else child(raws[-1])))
    load, _ = tree(*raws)
    with pytest.raises(ContentError, match="nested"):
        gather(node(raws[-1]), load)


def test_what_is_shared_and_what_always_travels() -> None:
    image = Image((node(manifest(b"a", b"b", b"{}", config=b"{}")),))
    layers = build_layers_dictionary(node(manifest(b"a", b"{}")))
    shared = image.shared_with(layers)
    assert list(shared) == [digest_of(b"a")]
    assert image.travelling(shared) == {
        digest_of(b"b"): 1,
        digest_of(b"{}"): 2,
        image.root.digest: image.root.size,
    }


def test_sizes_that_contradict() -> None:
    with pytest.raises(ContentError, match="two sizes"):
        Image((node(manifest(layers=[part(b"x"), part(b"x", size=2)])),))
    lying = build_layers_dictionary(node(manifest(layers=[part(b"x", size=2)])))
    with pytest.raises(ContentError, match="in a base"):
        Image((node(manifest(b"x")),)).shared_with(lying)


def test_foreign_layers_do_not_travel() -> None:
    image = Image((node(manifest(layers=[part(b"x", urls=["https://x"]), part(b"y", urls=[])])),))
    assert list(image.foreign) == [digest_of(b"x")]
    assert list(image.layers) == [digest_of(b"y")]


def fatal(message: str) -> str:
    escaped = message.replace("\\", "\\\\").replace('"', '\\"')
    return f'time="2026-01-01T00:00:00Z" level=fatal msg="{escaped}"\n'


@pytest.mark.parametrize(
    ("message", "code", "step"),
    [
        ("reading manifest nope in H/app: manifest unknown: manifest unknown", 5, "check the name"),
        (
            "reading manifest nope in H/app: name unknown: repository name not known to registry",
            5,
            "check the name",
        ),
        ("reading manifest 1 in H/app: unauthorized: authentication required", 5, "--dest-creds"),
        ("unable to retrieve auth token: invalid username/password: unauthorized", 5, "log in"),
        ("failed to read from destination repository r: 403 (Forbidden)", 5, "may not"),
        ('Head "https://h/v2/": EOF', 5, "cut"),
        ("pinging container registry H: dial tcp: connect: connection refused", 5, "nothing listens"),
        ("dial tcp: lookup NAME on 1.1.1.1:53: no such host", 5, "host's name"),
        ("http: server gave HTTP response to HTTPS client", 5, "--dest-tls-verify=false"),
        ("x509: certificate signed by unknown authority", 5, "--dest-cert-dir"),
        ("initializing destination docker://H/a: registry H is blocked in /etc/x", 5, "registries.conf"),
        ("initiating layer upload to /v2/ in H: StatusCode: 405", 5, "read-only"),
        ("Source image rejected: Running image oci:PATH: is rejected by policy.", 5, "policy"),
        ("too many requests to registry", 5, "limits"),
        (f"something else about sha256:429{'0' * 61}", 5, "--debug"),
        ("writing blob: write /x: no space left on device", 6, "free some space"),
        ("Digest did not match, expected sha256:1, got sha256:2", 4, "try again"),
    ],
)
def test_what_skopeo_says(message: str, code: int, step: str) -> None:
    error = explain(fatal(message), "cannot do it", "--dest")
    assert error.code == code
    assert message in error.message
    assert step in error.next_step


def test_messages_that_are_not_fatal() -> None:
    assert fatal_message("") == "it said nothing"
    assert fatal_message("Error: unknown flag: --x\nUsage: skopeo\n") == "Error: unknown flag: --x"
    assert len(fatal_message(fatal("x" * 10_000))) < 700
