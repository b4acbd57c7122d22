"""Errors: one line each, the machine's too."""

from __future__ import annotations

import pytest

from wrapper.errors import LENGTH, HostError, IncrementalError, host_errors, one_line


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
