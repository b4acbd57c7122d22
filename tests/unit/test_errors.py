"""Errors: one line each, the machine's too."""

from __future__ import annotations

import pytest

from wrapper.errors import HostError, host_errors, one_line


def test_what_is_not_printable_is_escaped() -> None:
    assert one_line("a\nb\x1b[2Jü") == "a\\nb\\x1b[2Jü"


def test_errors_of_the_machine() -> None:
    with pytest.raises(HostError, match="cannot write x: No space left"), host_errors("cannot write x"):
        raise OSError(28, "No space left on device")
