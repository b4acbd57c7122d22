"""Which children a list keeps for a platform."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.errors import UsageError
from wrapper.oci.manifest import OCI_MANIFEST, Descriptor
from wrapper.oci.platforms import Platform
from wrapper.oci.sparse import select


def child(number: int, *, about: int | None = None, **platform: Any) -> Descriptor:
    described: dict[str, Any] = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}", "size": 1}
    if platform:
        described["platform"] = {"os": "linux"} | platform
    if about is not None:
        described["annotations"] = {"vnd.docker.reference.digest": f"sha256:{about:064x}"}
    return Descriptor.from_json(described)


CHILDREN = [
    child(1, architecture="amd64"),
    child(2, architecture="arm", variant="v6"),
    child(3, architecture="arm", variant="v7"),
    child(4, os="windows", architecture="amd64", **{"os.version": "10.0.1"}),
    child(5, os="windows", architecture="amd64", **{"os.version": "10.0.2"}),
    child(6, about=3, os="unknown", architecture="unknown"),
    child(7, about=1, os="unknown", architecture="unknown"),
    child(8),
]


@pytest.mark.parametrize(
    ("platform", "kept"),
    [
        ("linux/amd64", [1, 7]),
        ("linux/arm/v7", [3, 6]),
        ("linux/arm/v8", [3, 6]),
        ("linux/arm", [3, 6]),
        ("windows/amd64", [4, 5]),
        ("linux/s390x", []),
    ],
)
def test_what_is_kept(platform: str, kept: list[int]) -> None:
    found = select(Platform.parse(platform), CHILDREN)
    assert [int(each.digest.removeprefix("sha256:"), 16) for each in found] == kept


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "linux/arm/v7/x", "Linux/amd64", "linux/amd64\n", "/amd64"]
)
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(UsageError, match="is not a platform"):
        Platform.parse(text)
