"""Amounts in words."""

from __future__ import annotations

import pytest

from wrapper.host.text import human_bytes, named, plural


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (4 * 10**15, "4000.0 TB")]
)
def test_amounts(size: int, text: str) -> None:
    assert human_bytes(size) == text
    assert (plural(1, "layer"), plural(0, "layer")) == ("1 layer", "0 layers")


def test_a_name_stands_before_its_digest() -> None:
    assert named("sha256:1", {"sha256:1": "team/app:1"}) == "team/app:1 (sha256:1)"
    assert named("sha256:2", {"sha256:1": "team/app:1"}) == "sha256:2"
