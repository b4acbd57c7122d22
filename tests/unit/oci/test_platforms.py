"""Platforms: chosen as skopeo does."""

from __future__ import annotations

import pytest

from wrapper.oci.platforms import Platform, choose, wanted_platform

ARMS = [
    Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7"), Platform("linux", "arm"), None,
    Platform("linux", "arm64", "v8"), Platform("windows", "amd64", None, "10.0"), Platform("linux", "amd64", "v3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "position"),
    [
        (Platform("linux", "arm", "v7"), 1),
        (Platform("linux", "arm", "v8"), 1),
        (Platform("linux", "arm", "v5"), 2),
        (Platform("linux", "arm"), 2),
        (Platform("linux", "arm64"), 4),
        (Platform("linux", "amd64"), None),
        (Platform("linux", "amd64", "v3"), 6),
        (Platform("windows", "amd64"), 5),
        (Platform("linux", "s390x"), None),
    ],
)
def test_a_platform_is_chosen_as_skopeo_does(wanted: Platform, position: int | None) -> None:
    assert choose(wanted, ARMS) == position


def test_this_machines_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    assert str(wanted_platform()) == "linux/arm/v7"
    assert str(wanted_platform(architecture="arm")) == "linux/arm"
    assert str(wanted_platform(os="windows", architecture="amd64", variant="v2")) == "windows/amd64/v2"


@pytest.mark.parametrize(
    "config", [{}, {"os": "linux"}, {"os": [], "architecture": "x"}, {"os": 1, "architecture": 2}]
)
def test_a_config_without_a_platform(config: dict[str, object]) -> None:
    assert Platform.from_config(config) is None
