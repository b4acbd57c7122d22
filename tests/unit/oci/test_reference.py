"""References: read, refused, changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.errors import UsageError
from wrapper.oci.reference import Reference, is_bundle_name, registry_reference, title_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host/app:1", Reference("docker", "host/app", "1")),
        ("docker://host:5000/team/app", Reference("docker", "host:5000/team/app")),
        ("app", Reference("docker", "app")),
        ("foo:bar", Reference("docker", "foo", "bar")),
        ("[::1]:5000/app:1", Reference("docker", "[::1]:5000/app", "1")),
        (f"host/app@{DIGEST}", Reference("docker", "host/app", None, DIGEST)),
        (f"host/app:1@{DIGEST}", Reference("docker", "host/app", "1", DIGEST)),
        ("oci:some/folder:1", Reference("oci", "some/folder:1")),
        ("containers-storage:[vfs@/x]app", Reference("containers-storage", "[vfs@/x]app")),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not an image"),
        ("-app", "not an image"),
        ("host/App", "not an image"),
        ("host/app:-x", "malformed tag"),
        ("host/app:" + "x" * 129, "malformed tag"),
        ("host/app@sha256:12", "malformed digest"),
        ("host/app@" + DIGEST.upper(), "malformed digest"),
        ("ftp://host/app", "unknown transport"),
        ("docker:host/app", "two slashes"),
        ("oci:", "names no place"),
        ("host/app\n", "characters"),
        ("host/" + "a" * 300, "not an image"),
        ("host//app", "not an image"),
        ("host/app: 1", "has a space"),
        (" host/app:1", "has a space"),
        ("host/my app:1", "has a space"),
    ],
)
def test_malformed_references(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://hub.docker.com/_/debian", "docker://docker.io/library/debian"),
        ("https://hub.docker.com/r/team/app/tags?page=1", "docker://docker.io/team/app"),
        ("https://quay.io/repository/team/app?tab=tags", "docker://quay.io/team/app"),
        ("http://host:5000/team/app:1/", "docker://host:5000/team/app:1"),
        ("docker:/host/app:1", "docker://host/app:1"),
        ("dokcer://host/app:1", "docker://host/app:1"),
        ("Docker://host/app:1", "docker://host/app:1"),
        ("oci-archve:none.tar", "oci-archive:none.tar"),
        ("oci_archive:./none", "oci-archive:./none"),
        ("receit:none.json", "receipt:none.json"),
        ("containers-storge:localhost/app:1", "containers-storage:localhost/app:1"),
    ],
)
def test_a_reference_is_told_how_it_is_written(given: str, written: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(given)
    assert caught.value.next_step.endswith(written)
    Reference.parse(written)


@given(st.one_of(st.text(), st.from_regex(r"[a-z:/@.\-0-9]{0,40}", fullmatch=True)))
def test_any_text_is_a_reference_or_a_usage_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except UsageError:
        return
    spelled = Reference.parse(str(reference))
    assert str(spelled) == str(reference)
    assert spelled == (reference.pinned(reference.digest) if reference.digest else reference)


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("app", "docker.io"),
        ("team/app:1", "docker.io"),
        ("localhost/app", "localhost"),
        ("host:1/app", "host:1"),
        ("a.b/c/d", "a.b"),
    ],
)
def test_the_registry_of_a_reference(text: str, registry: str) -> None:
    assert Reference.parse(text).registry == registry


def test_references_are_changed_by_copies() -> None:
    reference = Reference.parse("host/app:1")
    assert str(reference.pinned(DIGEST)) == f"docker://host/app@{DIGEST}"
    assert str(reference.pinned(DIGEST).tagged("2")) == "docker://host/app:2"
    with pytest.raises(UsageError, match="the base dir:x"):
        registry_reference("dir:x", "the base")


@pytest.mark.parametrize("text", ["", "5000/other/repo:1", "1\n", "@x", "-1", "a/b", "x" * 129, "ä"])
def test_nothing_but_a_tag_or_a_digest_is_appended(text: str) -> None:
    reference = Reference.parse("docker://host")
    with pytest.raises(UsageError, match="is not a tag"):
        reference.tagged(text)
    with pytest.raises(UsageError, match="is not a digest"):
        reference.pinned(text)


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        ("debian:12", "debian"),
        ("docker.io/library/debian", "debian"),
        ("library/debian", "debian"),
        ("team/app:1", "team/app"),
        ("docker.io/team/app", "team/app"),
        ("127.0.0.1:5000/app", "app"),
        ("vendor.example/library/app", "library/app"),
        ("localhost/a/b@sha256:" + "0" * 64, "a/b"),
    ],
)
def test_the_repository_without_its_host(text: str, repository: str) -> None:
    assert Reference.parse(text).repository == repository


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("debian:12", "debian:12"),
        ("docker.io/library/debian", "debian:latest"),
        ("docker.io/library/debian:12", "debian:12"),
        ("127.0.0.1:5000/team/app:1", "team/app:1"),
        ("vendor.example/library/app:1", "library/app:1"),
        (f"localhost/a/b@{DIGEST}", "a/b"),
        (f"localhost/a/b:1@{DIGEST}", "a/b:1"),
        ("12", None),
        ("", None),
        ("localhost/App:1", None),
        ("localhost/../x:1", None),
        ("evil\nname/x:1", None),
        ("oci:layout:1", None),
    ],
)
def test_what_people_call_an_image(text: str, title: str | None) -> None:
    assert title_of(text) == title
    assert title is None or is_bundle_name(title)


@given(st.text(alphabet="aA1.:/@-_[]\n", max_size=40))
def test_what_people_call_an_image_is_short_and_has_no_host(text: str) -> None:
    title = title_of(text)
    assert title is None or is_bundle_name(title)
