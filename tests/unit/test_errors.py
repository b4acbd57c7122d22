"""Errors: one line each, the machine's too."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from wrapper import errors
from wrapper.cli.signals import CancelledError
from wrapper.errors import (
    KINDS,
    LENGTH,
    BundleError,
    HostError,
    IncrementalError,
    LinkError,
    MissingLayersError,
    host_errors,
    one_line,
)
from wrapper.results import MissingLayer


def test_what_is_not_printable_is_escaped() -> None:
    assert one_line("a\nb\x1b[2Jü") == "a\\nb\\x1b[2Jü"


def test_errors_of_the_machine() -> None:
    with pytest.raises(HostError, match="cannot write x: No space left"), host_errors("cannot write x"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("unit", ["x", "\n", "\x01", "\U0001f600", "\ue000"])
def test_a_message_has_a_bound_and_keeps_its_end(unit: str) -> None:
    error = IncrementalError(f"begin {unit * 4_000_000}: denied", f"next {unit * 4_000_000} end")
    assert len(error.message) <= LENGTH
    assert error.message.startswith("begin ")
    assert error.message.endswith(": denied")
    assert error.next_step.endswith(" end")
    assert str(error) == error.message
    assert error.message.isprintable()


def test_a_message_of_usual_length_stays_whole() -> None:
    text = "x" * LENGTH
    assert IncrementalError(text).message == text


def test_kinds_are_a_closed_list() -> None:
    classes = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, IncrementalError)
    ]
    assert {each.kind for each in (*classes, CancelledError)} == set(KINDS)
    schema = json.loads((files("wrapper") / "oci/schemas/output.json").read_text())
    for name in ("error", "failure"):
        assert schema["$defs"][name]["properties"]["kind"]["enum"] == list(KINDS)


def test_a_bundle_fails_as_its_first_image_does() -> None:
    layers = [MissingLayer(f"sha256:{digit * 64}", 1, ()) for digit in "12"]
    link, missing = LinkError("cut", "again"), MissingLayersError("lacking", tuple(layers))
    both = BundleError("pushed", [("a", link), ("b", missing)], 2)
    assert (both.code, both.kind, both.retryable) == (5, "network", False)
    assert both.message == "2 of 2 images could not be pushed; a: cut"
    assert BundleError("read", [("a", link)], 1).message == "1 of 1 image could not be read; a: cut"
    assert BundleError("pushed", [("a", link), ("b", link)], 2).retryable
    # Each layer once, whoever lacks it.
    several = BundleError("pushed", [("a", missing), ("b", MissingLayersError("x", (layers[1],)))], 2)
    assert several.missing == tuple(layers)
    failure = both.as_failure()
    assert (failure.code, failure.kind, failure.message, failure.next) == (5, "network", both.message, "again")
