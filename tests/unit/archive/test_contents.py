"""What an archive says of itself: its format, its bases, what it leaves out."""

from __future__ import annotations

import json

import pytest

from tests.support.builders import CONFIG, IMAGE, LAYER, members, opened, tar
from wrapper.archive.contents import index_annotations
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
