"""What a push writes to a receipt: each tag that it has moved, whatever else failed; and receipts of any length."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.integration.test_sites import PLAIN_FINAL, Sites, for_sites, sites, states, valid
from tests.support.images import fresh
from tests.support.tool import PLAIN_DEST, PLAIN_PULL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry
    from tests.support.tool import Tool

__all__ = ["sites"]


def entries(path: Path) -> dict[str, str]:
    """The digests of a receipt, by references; each stands there once."""
    images = valid(path, "receipt")["images"]
    found = {each["reference"]: each["digest"] for each in images}
    assert len(found) == len(images)
    return found


def test_all_tags_of_an_image_are_in_the_receipt(sites: Sites, customer: Registry) -> None:
    tool, there = sites.tool, f"docker://{customer.host}/{fresh('site')}/app"
    one, two, three = (sites.images[f"team/app:{release}"].digest for release in (1, 2, 3))
    for release in (1, 2, 3):
        tool.good("pull", sites.reference(f"team/app:{release}"), "-o", f"{release}.tar", *PLAIN_PULL)

    def push(*words: str) -> dict[str, str]:
        tool.good("push", *words, "--receipt", "r.json", *PLAIN_DEST)
        return entries(tool.home / "r.json")

    assert push("1.tar", f"{there}:latest") == {f"{there}:latest": one}
    assert push("2.tar", f"{there}:2", "--additional-tag", "latest") == {f"{there}:2": two, f"{there}:latest": two}
    # Without a tag it is the same one.
    assert push("3.tar", there) == {f"{there}:latest": three, f"{there}:2": two}
    # The archives of a chain keep their tags.
    assert push("1.tar", "2.tar", there) == {f"{there}:{tag}": each for tag, each in (("2", two), ("1", one))} | {
        f"{there}:latest": three
    }


def test_what_arrived_of_a_bundle_is_in_the_receipt(sites: Sites) -> None:
    for release in (1, 2):
        sites.pull(release, f"{release}.tar")
    sites.push("berlin", "1.tar")
    for site in ("oslo", "rome"):
        sites.push(site, "1.tar", "--only", "team/app")
    before = entries(sites.tool.home / "rome.json")
    sites.pull(2, "update.tar", *for_sites("berlin"))
    push = ("push", "update.tar", "--receipt", "rome.json", "--json", *PLAIN_DEST)
    # What it is based on was never there.
    failed = sites.tool(*push, sites.there("rome"))
    assert (failed.code, [bool(each["error"]) for each in failed.json["outcomes"]]) == (3, [False, True])
    assert entries(sites.tool.home / "rome.json") == before | {
        sites.there("rome", "team/app:2"): sites.images["team/app:2"].digest
    }
    # Where nothing arrived, it stays as it is.
    raw = (sites.tool.home / "rome.json").read_bytes()
    assert sites.tool(*push, sites.there("rome"), "--only", "team/worker").code == 3
    assert (sites.tool.home / "rome.json").read_bytes() == raw
    assert sites.tool(*push, sites.there("rome"), "--only", "team/worker", "--receipt", "new.json").code == 3
    assert not (sites.tool.home / "new.json").exists()


def many(path: Path, number: int, *, name: str = "team/app", **more: Any) -> None:
    """A receipt of as many repositories."""

    def digest(*words: object) -> str:
        return "sha256:" + hashlib.sha256(repr(words).encode()).hexdigest()

    images = [
        {
            "digest": digest(position),
            "media_type": "x",
            "platform": None,
            "manifests": [],
            "reference": f"docker://site.example/mirror/{name}{position}:1",
            "layers": [{"digest": digest(position, each), "media_type": "x", "size": 1} for each in range(3)],
        }
        for position in range(number)
    ]
    said = {"receipt": "1", "destination": "docker://site.example/mirror", "date": "x", "version": "x"}
    path.write_text(json.dumps({**said, "images": images, **more}))


def test_thousands_of_images(tool: Tool, sites: Sites) -> None:
    """What each costs must not depend on how many there are."""
    number = 3000
    many(tool.home / "oslo.json", number)
    held = json.loads((tool.home / "oslo.json").read_text())["images"]
    images = [
        {"name": f"team/app{position}:2", "final": f"vendor.example/x@{each['digest']}"}
        for position, each in enumerate(held)
    ]
    (tool.home / "spec.json").write_text(json.dumps({"images": images}))
    ran = tool.good("status", "spec.json", "--site", "oslo.json", "--json", *PLAIN_FINAL)
    assert states(ran.json) == {"oslo.json": ["same"] * number}
    assert ran.cpu < 10, "it took 30 seconds when every image was compared with every other"
    images = [{"name": f"team/app{each}:2", "final": sites.reference("team/app:1")} for each in range(100)]
    (tool.home / "spec.json").write_text(json.dumps({"images": images, "defaults": {"base": "receipt:oslo.json"}}))
    ran = tool.good("pull", "--spec", "spec.json", "--dry-run", "--json", *PLAIN_PULL)
    assert ran.cpu < 10, "it took 40 seconds when the receipt was read for each image"
