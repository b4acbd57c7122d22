"""What is written can be read: the writer knows the reader's rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.builders import CONFIG, child, index, manifest, node, part
from wrapper.archive.contents import NamedImage, index_annotations
from wrapper.archive.documents import require_readable
from wrapper.errors import ContentError
from wrapper.oci.documents import DOCUMENT_BYTES, OURS
from wrapper.oci.image import resolve_image
from wrapper.oci.layout import canonical_json, index_document
from wrapper.oci.manifest import OCI_MANIFEST, digest_of


def hexadecimal(number: int) -> str:
    return f"sha256:{number:064x}"


def layer(number: int, size: int = 1_000_000) -> dict[str, Any]:
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    return {"mediaType": kind, "digest": hexadecimal(number), "size": size}


def image(*layers: dict[str, Any]) -> bytes:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json"} | {
        name: text for name, text in part(CONFIG).items() if name != "mediaType"
    }
    return canonical_json({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [*layers]})


def check(images: list[bytes], below: list[bytes], omitted: dict[str, list[str]], layers: dict[str, int]) -> bytes:
    """Check an archive of these images, and of the manifests below them; return its index."""
    bases = sorted({base for each in omitted.values() for base in each})
    entries = [child(raw, node(raw).media_type) for raw in images]
    raw_index = index_document(entries, index_annotations(bases, omitted))
    documents = {digest_of(raw): raw for raw in (*images, *below)}
    sizes = {digest: len(raw) for digest, raw in documents.items()} | {digest_of(CONFIG): len(CONFIG)}
    named = [
        NamedImage(None, resolve_image(node(raw), lambda children: [documents[each.digest] for each in children]))
        for raw in images
    ]
    require_readable("the archive", raw_index, named, sizes | layers)
    return raw_index


def test_an_index_may_grow_with_what_is_left_out() -> None:
    omitted = {hexadecimal(number): [hexadecimal(10**6 + base) for base in range(3)] for number in range(20_000)}
    images = [
        image(*(layer(number) for number in range(start, start + 5_000))) for start in range(0, 20_000, 5_000)
    ]
    assert DOCUMENT_BYTES < len(check(images, [], omitted, {})) < OURS.size


def test_a_bundle_of_five_hundred_whole_lists_fits() -> None:
    lists, below = [], []
    omitted: dict[str, list[str]] = {}
    for number in range(500):
        children = []
        for platform in range(8):
            first = (number * 8 + platform) * 10
            raw = image(*(layer(each) for each in range(first, first + 10)))
            omitted |= {hexadecimal(each): [hexadecimal(10**6 + number)] for each in range(first, first + 10)}
            attestation = image(
                layer(10**7 + number * 8 + platform) | {"annotations": {"in-toto.io/type": "x" * 60}}
            )
            omitted[hexadecimal(10**7 + number * 8 + platform)] = [hexadecimal(10**6 + number)]
            below += [raw, attestation]
            children += [
                child(raw) | {"platform": {"os": "linux", "architecture": f"cpu{platform}"}},
                child(attestation) | {"platform": {"os": "unknown", "architecture": "unknown"}},
            ]
        lists.append(index(*children))
    assert sum(map(len, (*lists, *below))) > 8 * 1024 * 1024
    check(lists, below, omitted, {})


def test_more_than_a_reader_takes_is_not_written() -> None:
    omitted = {hexadecimal(number): [hexadecimal(10**6 + base) for base in range(9)] for number in range(40_000)}
    with pytest.raises(ContentError, match=r"index\.json of the archive would be longer") as caught:
        check([image()], [], omitted, {})
    assert "several archives" in caught.value.next_step
    long = [manifest(annotations={"note": "x" * 3_900_000, "number": str(number)}) for number in range(20)]
    with pytest.raises(ContentError, match="too many manifests") as caught:
        check(long, [], {}, {})
    assert "several archives" in caught.value.next_step
    with pytest.raises(ContentError, match="more than 100000 members"):
        check([image()], [], {}, {hexadecimal(number): 1 for number in range(100_000)})


def test_images_that_contradict_each_other_are_not_written() -> None:
    one, other = image(layer(1, 10)), image(layer(1, 11))
    with pytest.raises(ContentError, match="is 10 bytes long in the archive, but its manifest says 11"):
        check([one, other], [], {}, {hexadecimal(1): 10})
    with pytest.raises(ContentError, match=r"leaves out layer sha256:0*1, for which two"):
        check([one, other], [], {hexadecimal(1): [hexadecimal(2)]}, {})
    assert json.loads(
        check([one, image(layer(1, 10), layer(2, 5))], [], {}, {hexadecimal(1): 10, hexadecimal(2): 5})
    )
