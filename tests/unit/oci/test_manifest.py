"""Manifests and lists: from hostile bytes to checked values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import child, index, manifest, node, part
from wrapper.errors import ContentError
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
