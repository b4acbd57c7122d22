"""What is asked of a pull: one image and a bundle's are requested in one way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wrapper import DeltaOptions, Platform, Reference, SignatureOptions, SpecImage, UsageError
from wrapper.cli import pull as pull_options
from wrapper.pull.request import PullOptions, request_bundle, request_image
from wrapper.skopeo.access import Access
from wrapper.source.options import SIGNATURES

OPTIONS = PullOptions(
    base=Access(),
    final=Access(),
    all_architectures=False,
    platform=Platform("linux", "arm64"),
    preserve_digests=True,
    signatures=SignatureOptions(),
    cache=None,
    deltas=DeltaOptions(),
)
ONE, TWO = (Reference.parse(f"host.example/app:{tag}") for tag in "12")


def test_one_image_is_a_list_of_one() -> None:
    request = request_image(OPTIONS, ["host.example/app:1", ONE], TWO)
    (image,) = request.images
    assert (image.final.reference, [base.reference for base in image.bases]) == (TWO, [ONE, ONE])
    assert (image.name, image.wanted, request.is_bundle) == (None, OPTIONS.platform, False)
    (whole,) = request_image(replace(OPTIONS, all_architectures=True), None, TWO).images
    assert (whole.wanted, whole.bases) == (None, ())


def test_a_spec_is_a_list_of_its_images() -> None:
    amd64 = Platform("linux", "amd64")
    spec = [
        SpecImage("app:2", TWO, (ONE,)),
        SpecImage("whole:2", TWO, all=True, delta=True),
        SpecImage("one:2", TWO, all=False, platform=amd64),
    ]
    earlier = [SpecImage("app:1", ONE), SpecImage("gone:1", ONE)]
    request = request_bundle(OPTIONS, spec, None, earlier, fail_fast=True)
    assert [(image.name, image.wanted, image.delta) for image in request.images] == [
        ("app:2", OPTIONS.platform, False),
        ("whole:2", None, True),
        ("one:2", amd64, False),
    ]
    # A base that is named twice counts once.
    assert [[base.reference for base in image.bases] for image in request.images] == [[ONE], [], []]
    assert (request.is_bundle, request.fail_fast, request.gone) == (True, True, ("gone:1",))


def test_what_an_image_does_not_say_is_as_for_all() -> None:
    spec = [
        SpecImage("as-for-all:2", TWO),
        SpecImage("alone:2", TWO, signatures="no"),
        SpecImage("with:2", TWO, referrers=[f"host.example/app@sha256:{'0' * 64}"]),
    ]
    options = replace(OPTIONS, signatures=SignatureOptions(include="if-present"))
    images = request_bundle(options, spec, None, None, fail_fast=False).images
    assert [image.signatures.mode for image in images] == ["if-present", "no", "if-present"]
    assert [image.signatures.need_digests for image in images] == [True, False, True]
    assert images[2].signatures.referrers == spec[2].referrers


def test_signatures_are_required_or_may_be_there_or_not() -> None:
    assert [SignatureOptions(include=each).mode for each in (True, False)] == ["required", "no"]
    assert set(SIGNATURES) == set(pull_options.SIGNATURES)
    for refused in (
        lambda: SignatureOptions(include="maybe"),
        lambda: SpecImage("app:2", TWO, signatures="maybe"),
        lambda: SpecImage("app:2", TWO, referrers=["host.example/app:1"]),
    ):
        with pytest.raises(UsageError):
            refused()


@pytest.mark.parametrize(
    "change", [{"signatures": SignatureOptions(include=True)}, {"deltas": DeltaOptions(enabled=True)}]
)
def test_what_needs_a_digest_forbids_conversion(change: dict[str, SignatureOptions | DeltaOptions]) -> None:
    with pytest.raises(UsageError):
        replace(OPTIONS, preserve_digests=False, **change)


def test_platforms_of_a_list_and_those_that_the_last_bundle_had() -> None:
    amd64, arm64 = Platform("linux", "amd64"), Platform("linux", "arm64")
    options = replace(OPTIONS, platform=None, platforms=(amd64, arm64))
    (image,) = request_image(options, ONE, TWO).images
    assert (image.wanted, image.demanded, image.base_wanted) == ((amd64, arm64), (amd64, arm64), {})
    spec = [
        SpecImage("app:2", TWO),
        SpecImage("own:2", TWO, ONE, platforms=[arm64]),
        SpecImage("one:2", TWO, platform=arm64),
        SpecImage("whole:2", TWO, all=True),
    ]
    earlier = [SpecImage("app:1", ONE, platforms=[amd64]), SpecImage("own:1", ONE, platforms=[amd64])]
    requests = request_bundle(options, spec, None, earlier, fail_fast=False).images
    assert [each.wanted for each in requests] == [(amd64, arm64), (arm64,), arm64, None]
    assert [each.demanded for each in requests] == [(amd64, arm64), (arm64,), arm64, None]
    # What is named as a base counts whole.
    assert [each.base_wanted for each in requests] == [{ONE: (amd64,)}, {}, {}, {}]


@pytest.mark.parametrize(
    "change", [{"all_architectures": True}, {"platform": Platform("linux", "arm")}, {"preserve_digests": False}]
)
def test_platforms_contradict_other_choices(change: dict[str, object]) -> None:
    options = replace(OPTIONS, platform=None, platforms=(Platform("linux", "arm64"),))
    with pytest.raises(UsageError):
        replace(options, **change)
