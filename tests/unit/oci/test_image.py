"""Images: lists in lists, what is shared with a base, and what travels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import child, index, list_child, manifest, node, part
from wrapper.errors import ContentError
from wrapper.oci.image import NESTING, Image, resolve_image
from wrapper.oci.manifest import Descriptor, build_layers_dictionary, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    image = resolve_image(node(outer), load)
    assert [each.raw for each in image.lists] == [inner, middle, outer]
    assert [each.raw for each in image.leaves] == [leaf]
    assert len(asked) == len(set(asked)) == 3


def test_lists_that_are_nested_too_deep() -> None:
    raws = [manifest(b"x")]
    for level in range(NESTING + 1):
        raws.append(index(list_child(raws[-1]) if level else child(raws[-1])))
    load, _ = tree(*raws)
    with pytest.raises(ContentError, match="nested"):
        resolve_image(node(raws[-1]), load)


def test_what_is_shared_and_what_always_travels() -> None:
    image = Image((node(manifest(b"a", b"b", b"{}", config=b"{}")),))
    layers = build_layers_dictionary(node(manifest(b"a", b"{}")))
    shared = image.shared_with(layers)
    assert list(shared) == [digest_of(b"a")]
    assert image.blob_sizes(shared) == {
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


def test_children_that_are_absent() -> None:
    leaf, other = manifest(b"x"), manifest(b"y")
    inner = index(child(other))
    load, _ = tree(leaf, inner)
    image = resolve_image(node(index(child(leaf), list_child(inner), child(manifest(b"z")))), load)
    assert [*image.absent] == [digest_of(manifest(b"z")), digest_of(other)]
    assert list(image.layers) == [digest_of(b"x")]
    alone = Image((node(index(child(leaf))),))
    with pytest.raises(ContentError, match="absent"):
        alone.require_leaves()
