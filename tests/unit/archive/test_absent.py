"""What archives say of children of lists that they do not hold, honest ones and others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import CONFIG, LAYER, LAYOUT, child, index, list_child, manifest, name_of, opened, tar
from wrapper.archive.contents import ABSENT, SPARSE, index_annotations
from wrapper.archive.documents import read_contents
from wrapper.errors import ContentError
from wrapper.oci.manifest import digest_of

THERE = manifest(LAYER, config=CONFIG)
ABSENT_1, ABSENT_2 = manifest(b"other", config=CONFIG), manifest(b"third", config=CONFIG)
INNER = index(child(ABSENT_2))
LIST = index(child(THERE), child(ABSENT_1), list_child(INNER))
OURS = index_annotations([], {}, requires=[SPARSE])


def archive(
    absent: list[bytes], *more: bytes, said: dict[str, str] = OURS, root: bytes = LIST, others: Any = ()
) -> bytes:
    digests = ",".join(sorted(map(digest_of, absent)))
    entry = list_child(root) | {"annotations": {ABSENT: digests} if absent else {}}
    entries = [entry, *map(child, others)]
    blobs = (root, THERE, CONFIG, LAYER, *more)
    raw = index(*entries, annotations=said)
    return tar([("oci-layout", LAYOUT), ("index.json", raw), *((name_of(blob), blob) for blob in blobs)])


def test_what_is_declared_to_be_absent() -> None:
    with opened(archive([ABSENT_1, ABSENT_2], INNER)) as one:
        (named,) = read_contents(one).images
    assert set(named.image.absent) == {digest_of(ABSENT_1), digest_of(ABSENT_2)}
    # A list in the list may be absent itself: what it names is not known then.
    with opened(archive([ABSENT_1, INNER])) as one:
        (named,) = read_contents(one).images
    assert set(named.image.absent) == {digest_of(ABSENT_1), digest_of(INNER)}
    assert [leaf.raw for leaf in named.image.leaves] == [THERE]


def test_an_absent_child_may_be_another_image() -> None:
    with opened(archive([ABSENT_1, INNER], ABSENT_1, b"other", others=[ABSENT_1])) as one:
        first, second = read_contents(one).images
    assert digest_of(ABSENT_1) in first.image.absent
    assert second.image.root.raw == ABSENT_1


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        (archive([]), "lacks|has no"),
        (archive([ABSENT_1]), "lacks|has no"),
        (archive([ABSENT_1, INNER], ABSENT_1), "declares it to be absent"),
        (archive([ABSENT_1, INNER, b"no child"]), "which no list of"),
        (archive([ABSENT_1, INNER, LIST]), "which no list of"),
        # What an absent list would name is not known.
        (archive([ABSENT_1, INNER, ABSENT_2]), "which no list of"),
        (archive([THERE, ABSENT_1, INNER]), "all manifests of index|declares it to be absent"),
        (archive([INNER], INNER, root=index(list_child(INNER))), "all manifests of index"),
        (
            archive([ABSENT_1, INNER], said=OURS | {next(k for k in OURS if "requires" in k): "newer"}),
            "newer version",
        ),
    ],
)
def test_what_contradicts_itself(hostile: bytes, words: str) -> None:
    with opened(hostile) as one, pytest.raises(ContentError, match=words):
        read_contents(one)


def test_other_tools_do_not_say_what_is_absent() -> None:
    with opened(archive([], said={})) as one:
        contents = read_contents(one)
    assert contents.format is None
    assert set(contents.images[0].image.absent) == {digest_of(ABSENT_1), digest_of(INNER)}
