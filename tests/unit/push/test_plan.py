"""What goes where: one image and a bundle are planned in one way."""

from __future__ import annotations

import io

import pytest

from tests.support.builders import LAYOUT, child, index, manifest, name_of, tar
from wrapper.archive.contents import index_annotations
from wrapper.errors import UsageError
from wrapper.oci.reference import Reference
from wrapper.push.options import Selection
from wrapper.push.plan import PushPlan, make_plan
from wrapper.push.registry import RegistryDestination
from wrapper.skopeo.access import Access
from wrapper.source.blobs import BlobSource

PREFIX = "io.skopeo-incremental."
NAME = "org.opencontainers.image.ref.name"


def archive(*names: str, is_bundle: bool = False, signed: bool = False) -> io.BytesIO:
    """An archive whose images have these names; with a signature of each, if wanted."""
    entries, blobs = [], {name_of(b"{}"): b"{}"}
    for name in names:
        image = manifest(name.encode())
        entries.append(child(image, annotations={NAME: name}))
        blobs |= {name_of(image): image, name_of(name.encode()): name.encode()}
        for kind in (".sig", ".sbom") if signed else ():
            referrer = manifest(f"{name}{kind}".encode())
            digest = child(image)["digest"]
            subject = {f"{PREFIX}beside": digest, NAME: digest.replace(":", "-") + kind}
            entries.append(child(referrer, annotations=subject))
            blobs |= {name_of(referrer): referrer, name_of(f"{name}{kind}".encode()): f"{name}{kind}".encode()}
    said = index_annotations([], {}, is_bundle=is_bundle)
    return io.BytesIO(
        tar([("oci-layout", LAYOUT), ("index.json", index(*entries, annotations=said)), *blobs.items()])
    )


def plan(*archives: io.BytesIO, to: str, selection: Selection | None = None, **more: bool) -> PushPlan:
    destination = RegistryDestination(Reference.parse(to), Access(), preserve=more.get("preserve", True))
    with BlobSource(list(archives)) as blob_source:
        return make_plan(blob_source, destination, selection or Selection())


def places(found: PushPlan) -> dict[str, str]:
    return {item.name: str(item.destination.reference) for item in found.items}


def test_one_image_is_a_list_of_one() -> None:
    found = plan(archive("1"), to="host.example/app:9")
    assert places(found) == {"1": "docker://host.example/app:9"}
    assert (found.destination, found.is_bundle) == ("docker://host.example/app:9", False)


def test_a_chain_goes_to_one_place_and_is_told_newest_first() -> None:
    found = plan(archive("1"), archive("2"), archive("3"), to="host.example/app:9")
    (item,) = found.items
    assert [named.name for named in item.images] == ["1", "2", "3"]
    assert (item.name, [named.name for named in found.told]) == ("3", ["3", "2", "1"])


def test_a_bundle_is_a_list_of_its_images() -> None:
    names = ("team/one:1", "two")
    found = plan(archive(*names, is_bundle=True), to="host.example:5000")
    assert places(found) == {name: f"docker://host.example:5000/{name}" for name in names}
    assert (found.destination, found.is_bundle) == ("docker://host.example:5000", True)
    chosen = plan(
        archive(*names, is_bundle=True),
        to="host.example/at",
        selection=Selection(["team/*"], {"team/one": "x/y:7"}),
    )
    assert places(chosen) == {"team/one:1": "docker://host.example/at/x/y:7"}


@pytest.mark.parametrize("is_bundle", [False, True])
def test_referrers_go_first_and_are_told_last(is_bundle: bool) -> None:
    found = plan(archive("app", is_bundle=is_bundle, signed=True), to="host.example/at")
    (item,) = found.items
    assert [bool(named.subject) for named in item.images] == [True, True, False]
    assert [str(named.name).rpartition(".")[2] for named in item.images] == ["sig", "sbom", "app"]
    assert item.image.name == "app"
    assert [bool(named.subject) for named in found.told] == [False, True, True]
    with pytest.raises(UsageError, match="signatures"):
        plan(
            archive("app", is_bundle=is_bundle, signed=True), to="host.example/at", preserve=False
        ).require_preserved()


@pytest.mark.parametrize(
    ("is_bundle", "to", "selection", "words"),
    [
        (False, "host.example/app:1", Selection(["app"]), "not a bundle"),
        (False, f"host.example/app@sha256:{'0' * 64}", Selection(), "not the digest of the archive"),
        (True, "host.example/app:1", Selection(), "has a tag"),
        (True, "host.example/at", Selection(["other*"]), "no image 'other"),
        (True, "host.example/at", Selection((), {"app": "Not:a:name"}), "is not a name"),
        (True, "host.example/at", Selection((), {"app": "b"}), "two images"),
    ],
)
def test_what_makes_no_sense_is_refused(is_bundle: bool, to: str, selection: Selection, words: str) -> None:
    names = ("app", "b") if is_bundle else ("app",)
    with pytest.raises(UsageError, match=words):
        plan(archive(*names, is_bundle=is_bundle), to=to, selection=selection)


def test_a_bundle_and_one_image_do_not_mix() -> None:
    with pytest.raises(UsageError, match="can't be pushed together"):
        plan(archive("app", is_bundle=True), archive("app"), to="host.example/at")
