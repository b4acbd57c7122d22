"""What an archive says of itself: its format, its bases, what it leaves out."""

from __future__ import annotations

import json

import pytest

from tests.support.builders import CONFIG, IMAGE, LAYER, members, opened, tar
from wrapper.archive.contents import index_annotations, merge
from wrapper.archive.documents import read_contents
from wrapper.errors import ContentError
from wrapper.oci.manifest import digest_of


def annotated(annotations: dict[str, str], *blobs: bytes) -> bytes:
    return tar(members(CONFIG, *blobs, images=[IMAGE], annotations=annotations))


BASE, OTHER = digest_of(b"base"), digest_of(b"other")


def test_what_is_left_out_is_declared() -> None:
    said = index_annotations([BASE, OTHER], {digest_of(LAYER): [OTHER, BASE]})
    with opened(annotated(said)) as archive:
        found = read_contents(archive)
    assert (found.format, found.bases) == ("1", (BASE, OTHER))
    assert list(found.omitted) == [digest_of(LAYER)]
    assert found.bases_of[digest_of(LAYER)] == tuple(sorted((BASE, OTHER)))


NAMES = {BASE: "team/app:1", OTHER: "team/app", digest_of(IMAGE): "app:2"}


def test_names_are_what_people_call_images_and_bases() -> None:
    said = index_annotations([BASE, OTHER], {digest_of(LAYER): [BASE]}, NAMES)
    with opened(annotated(said)) as archive:
        found = read_contents(archive)
    assert found.names == NAMES
    assert found.single.title == "app:2"
    # Names are part of nothing else.
    assert index_annotations([BASE], {}, {}).keys() == index_annotations([BASE], {}).keys()
    assert said.keys() - index_annotations([BASE], {}).keys() == {f"{PREFIX}names"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("[]", {}),
        ("nothing", {}),
        ('{"a": 1, "A": 2}', {}),
        ("{" * 100_000, {}),
        (json.dumps(NAMES | {BASE: "registry.example:5000/app:1"}), {OTHER: "team/app", digest_of(IMAGE): "app:2"}),
        (json.dumps({BASE: ["app:1"], OTHER: "app:1\n", digest_of(IMAGE): "x" * 256}), {}),
        (json.dumps({digest_of(LAYER): "app:1", "sha256:x": "app:1"}), {}),
    ],
)
def test_what_is_no_name_is_passed_over(text: str, expected: dict[str, str]) -> None:
    said = index_annotations([BASE, OTHER], {digest_of(LAYER): [BASE]}) | {f"{PREFIX}names": text}
    with opened(annotated(said)) as archive:
        assert read_contents(archive).names == expected


def test_archives_together_have_all_names() -> None:
    said = index_annotations([BASE], {digest_of(LAYER): [BASE]}, {BASE: "app:1"})
    later = index_annotations([BASE], {digest_of(LAYER): [BASE]}, NAMES)
    with opened(annotated(said)) as one, opened(annotated(later)) as other:
        contents = [read_contents(each) for each in (one, other)]
    together = merge(contents, lambda _: False)
    assert together.names == {BASE: "team/app:1", digest_of(IMAGE): "app:2"}


PREFIX = "io.skopeo-incremental."
SOUND = index_annotations([BASE], {digest_of(LAYER): [BASE]})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({f"{PREFIX}format": "2"}, "newer version"),
        ({f"{PREFIX}requires": "layer-delta,what-comes-next"}, "newer version"),
        ({f"{PREFIX}omitted": "{}"}, "does not list"),
        ({f"{PREFIX}omitted": "[]"}, "not a JSON object"),
        ({f"{PREFIX}omitted": json.dumps({digest_of(LAYER): []})}, "schema"),
        ({f"{PREFIX}bases": "elsewhere"}, "not digests"),
    ],
)
def test_annotations_that_make_no_sense(change: dict[str, str], word: str) -> None:
    with opened(annotated(SOUND | change)) as archive, pytest.raises(ContentError, match=word):
        read_contents(archive)


def test_bases_alone_declare_that_something_may_be_left_out() -> None:
    said = {name: text for name, text in SOUND.items() if not name.endswith("omitted")}
    with opened(annotated(said)) as archive:
        assert read_contents(archive).bases == (BASE,)
    with opened(annotated(said | {f"{PREFIX}bases": ""})) as archive, pytest.raises(ContentError):
        read_contents(archive)
