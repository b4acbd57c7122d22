"""From references as people write them to those of a spec, and their names."""

from __future__ import annotations

import pytest

from wrapper import FoundImage, SpecImage
from wrapper.release.images import WholeImage, merge_images, name_images, whole_image

ONE, TWO = ("sha256:" + digit * 64 for digit in "12")


def whole(text: str, name: str = "") -> WholeImage:
    image, _ = whole_image(FoundImage(text, "f", name))
    assert image
    return image


@pytest.mark.parametrize(
    ("text", "written", "assumed"),
    [
        ("nginx", "docker.io/library/nginx:latest", "no host and no tag"),
        ("nginx:1.25", "docker.io/library/nginx:1.25", "no host"),
        ("docker.io/nginx:1", "docker.io/library/nginx:1", ""),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1", ""),
        ("team/app:1", "docker.io/team/app:1", "no host"),
        ("host.example/app", "host.example/app:latest", "no tag"),
        ("localhost:5000/app:1", "localhost:5000/app:1", ""),
        (f"host.example/app@{ONE}", f"host.example/app@{ONE}", ""),
        (f"host.example/app:1@{ONE}", f"host.example/app:1@{ONE}", ""),
        (f"app:1@{ONE}", f"docker.io/library/app:1@{ONE}", "no host"),
        (" host.example/app:1 ", "host.example/app:1", ""),
    ],
)
def test_references_are_written_out(text: str, written: str, assumed: str) -> None:
    image, warning = whole_image(FoundImage(text, "f"))
    assert image
    assert image.text == written
    assert warning == (f"f: {text.strip()} has {assumed}: it is taken for {written}" if assumed else "")


@pytest.mark.parametrize(
    "text",
    ["{{ .Values.image }}", "${REGISTRY}/app:1", "$REGISTRY/app:1", "app:$(TAG)", "<your image>", "host/app:%s"],
)
def test_templates_are_left_out(text: str) -> None:
    assert whole_image(FoundImage(text, "f")) == (
        None,
        f"f: {text} is a template that nobody filled in: it is left out",
    )


@pytest.mark.parametrize("text", ["", "a/Upper", "a:b:c", "a@sha512:00", "a\nb", "x" * 300, "oci:folder:x"])
def test_what_is_no_reference_is_left_out(text: str) -> None:
    image, warning = whole_image(FoundImage(text, "f"))
    assert image is None
    assert warning.startswith("f: ")
    assert warning.endswith(": it is left out")


def test_what_is_left_out_is_named_as_it_is_written() -> None:
    assert "'docker://h.example/app:1' is" in whole_image(FoundImage("docker://h.example/app:1", "f"))[1]


def names(*images: WholeImage) -> dict[str, str]:
    found, _ = name_images(images)
    for image, name in found.items():
        SpecImage(name, image.text)
    assert len(set(found.values())) == len(images)
    return {image.text: name for image, name in found.items()}


def test_names_are_repository_and_tag() -> None:
    plain = whole("host.example/team/app:1"), whole("nginx:1.25"), whole(f"host.example/team/app@{ONE}")
    assert name_images(plain)[1] == []
    assert names(*plain) == {
        "host.example/team/app:1": "team/app:1",
        "docker.io/library/nginx:1.25": "library/nginx:1.25",
        f"host.example/team/app@{ONE}": "team/app:digest-111111111111",
    }


def test_one_repository_of_two_hosts() -> None:
    images = [whole("a.example:5000/app:1"), whole("B.example/app:2"), whole("a.example:5000/other:1")]
    assert names(*images) == {
        "a.example:5000/app:1": "a.example-5000/app:1",
        "B.example/app:2": "b.example/app:2",
        "a.example:5000/other:1": "other:1",
    }
    assert name_images(images)[1] == [
        "app is in B.example and in a.example:5000: in the names, the host stands before it"
    ]
    # Whatever comes first.
    assert names(*reversed(images)) == names(*images)


def test_one_tag_with_several_digests() -> None:
    tag = "t" * 128
    images = [
        whole(f"h.example/app:{tag}@{TWO}"),
        whole(f"h.example/app:{tag}"),
        whole(f"h.example/app:{tag}@{ONE}"),
    ]
    assert names(*images) == {
        f"h.example/app:{tag}": f"app:{tag}",
        f"h.example/app:{tag}@{ONE}": f"app:{'t' * 115}-111111111111",
        f"h.example/app:{tag}@{TWO}": f"app:{'t' * 115}-222222222222",
    }
    assert len(name_images(images)[1]) == 2


def test_a_name_is_used_once_whatever_tags_there_are() -> None:
    images = [whole("h.example/app:1"), whole(f"h.example/app:1@{ONE}"), whole("h.example/app:1-111111111111")]
    assert names(*images)[f"h.example/app:1@{ONE}"] == f"app:1-{'1' * 64}"


def test_names_that_images_have_already() -> None:
    images = [whole(f"h.example/mirror/app:1@{ONE}", "app:1"), whole("app:1", "app:1"), whole("h.example/app:1")]
    assert sorted(names(*images).values())[0] == "app:1"


def test_a_digest_alone_is_the_image_that_has_it_and_a_tag() -> None:
    tagged, alone = whole(f"h.example/app:1@{ONE}"), whole(f"h.example/app@{ONE}")
    others = [whole(f"h.example/app@{TWO}"), whole(f"h.example/other@{ONE}"), whole("h.example/app:1")]
    found = [(each, FoundImage(each.text, "f")) for each in (alone, tagged, *others)]
    merged = merge_images(found)
    assert [image for image, _ in merged] == [tagged, tagged, *others]
    assert [place for _, place in merged] == [place for _, place in found]
    named = whole(f"h.example/app@{ONE}", "app:delivered")
    assert [image for image, _ in merge_images([(named, found[0][1]), found[1]])] == [named, tagged]


def test_an_image_has_the_name_that_a_bundle_gave_it() -> None:
    named, plain = whole(f"h.example/mirror/app:1@{ONE}", "app:1"), whole(f"h.example/mirror/app:1@{ONE}")
    alone, other = whole(f"h.example/mirror/app@{ONE}"), whole("h.example/mirror/app:1")
    found = [(each, FoundImage(each.text, "f")) for each in (plain, alone, named, other)]
    assert [image for image, _ in merge_images(found)] == [named, named, named, other]
