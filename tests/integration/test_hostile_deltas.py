"""Archives whose changes are made to go on for ever, or to take all: each command ends soon, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.changes import change, name_of, write_changes
from tests.support.images import digest_of, fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.registry import Registry
    from tests.support.tool import Tool

SECONDS = 15


def levels(count: int, width: int, fan: int) -> list[dict[str, Any]]:
    """Levels of layers, each made from some of the level below; there is one more, of which nobody has any."""
    return [
        change(name_of((level, place)), [name_of((level - 1, (place + each) % width)) for each in range(fan)])
        for level in range(1, count + 1)
        for place in range(width)
    ]


GRAPHS = {
    "two ways at each level": levels(60, 2, 2),
    "a long chain": levels(1100, 1, 1),
    "a step too many": levels(9, 1, 1),
    "a circle": [change(name_of(each), [name_of((each + 1) % 5), name_of("base")]) for each in range(5)],
    "itself": [change(name_of("x"), [name_of("x")])],
}


def commands(there: str) -> list[Sequence[str]]:
    """All that read an archive."""
    return [
        ("vet", "a.tar"),
        ("vet", "a.tar", there, *PLAIN_DEST),
        ("push", "a.tar", there, *PLAIN_DEST),
        ("push", "a.tar", there, "--dry-run", *PLAIN_DEST),
        ("push", "a.tar", "oci:layout"),
        ("inspect", "a.tar"),
        ("inspect", "a.tar", "--for", there, "--tls-verify", "false"),
        ("complete", "a.tar", "--base", "oci-archive:a.tar", "-o", "whole.tar"),
        ("diff", "a.tar", "a.tar", "-o", "less.tar"),
    ]


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_pull_never_makes(tool: Tool, customer: Registry, kind: str) -> None:
    write_changes(tool.home / "a.tar", GRAPHS[kind])
    watch = customer.watch()
    for command in commands(f"{customer.host}/{fresh()}:1"):
        ran = tool(*command, "--json")
        refused(ran, 4, " makes sha256:")
        assert ran.cpu < SECONDS, command
    assert watch.requests() == []
    assert not (tool.home / "layout").exists()


def test_a_graph_with_many_ways_is_walked_once(tool: Tool, customer: Registry) -> None:
    """As deep as is allowed, each layer made from all of the level below: what is missing are the lowest ones."""
    write_changes(tool.home / "a.tar", levels(8, 30, 16))
    there = f"{customer.host}/{fresh()}:1"
    lowest = {name_of((0, place)) for place in range(30)}
    for command, code in zip(commands(there), (0, 3, 3, 3, 3, 0, 3, 3, 0), strict=True):
        ran = tool(*command, "--json")
        assert ran.cpu < SECONDS, command
        assert ran.code == code, (command, ran.stderr)
        if code == 3:
            assert {each["digest"] for each in ran.json["missing"]} == lowest
    assert customer.manifest(there.split("/", 1)[1].rpartition(":")[0], "1") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([change(name_of("x"), {name_of("old"): 5}), change(name_of("y"), {name_of("old"): 6})], "two lengths"),
        ([change(name_of("x"), {name_of("y"): 5}), change(name_of("y"), {name_of("old"): 5})], "two lengths"),
        ([change(name_of("x"), [name_of("old")], size=5)], "longer than the layer"),
        (
            [change(name_of("x"), [name_of("old")]), change(name_of("y"), [name_of("old")], content=6)],
            "two lengths",
        ),
        (
            [change(name_of("x"), [name_of("y")], content=7), change(name_of("y"), [name_of("old")])],
            "two lengths",
        ),
        ([change(name_of("x"), [name_of(each) for each in range(17)])], "schema"),
    ],
)
def test_lengths_that_can_not_be(tool: Tool, changes: list[dict[str, Any]], words: str) -> None:
    write_changes(tool.home / "a.tar", changes)
    refused(tool("vet", "a.tar", "--json"), 4, words)


@pytest.mark.parametrize("at", ["another archive", "a base"])
def test_an_old_layer_that_is_longer_than_it_is_said_to_be(tool: Tool, at: str) -> None:
    old = layer("old", 100_000)
    write_changes(tool.home / "old.tar", [], old, layers={digest_of(old): len(old)})
    write_changes(tool.home / "new.tar", [change(name_of("new"), {digest_of(old): 1000})])
    if at == "a base":
        ran = tool("push", "new.tar", "oci:layout", "--base", "oci-archive:old.tar", "--json")
    else:
        ran = tool("push", "old.tar", "new.tar", "oci:layout", "--json")
    refused(ran, 4, "length" if at == "a base" else "the archive says 1000")
    assert not (tool.home / "layout").exists()


def test_manifests_without_end(tool: Tool, customer: Registry) -> None:
    """The old layer is there, and thousands of manifests are named that might have it: few are asked for."""
    at, old = fresh(), layer("old")
    image = put_image(customer, at, "0", [old])
    (source,) = image.layers
    many = [name_of(number) for number in range(150 * 256)]
    changes = [
        change(name_of(f"new {number}"), {source: len(old)}, manifests=many[number * 256 : (number + 1) * 256])
        for number in range(150)
    ]
    write_changes(tool.home / "a.tar", changes)
    watch = customer.watch()
    ran = tool("push", "a.tar", f"{customer.host}/{at}:1", "--json", "--debug", *PLAIN_DEST)
    refused(ran, 3)
    assert [each["digest"] for each in ran.json["missing"]] == [source]
    runs = sum(line.lstrip().startswith("+ skopeo") for line in ran.stderr.splitlines())
    assert runs <= 256 + 20
    assert watch.writes() == []


def test_only_manifests_that_are_needed_are_asked_for(tool: Tool, customer: Registry) -> None:
    """What most changes name is asked for first; once a manifest has the old layers, no other is."""
    at, old = fresh(), layer("old")
    image = put_image(customer, at, "0", [old])
    (source,) = image.layers
    changes = [
        change(
            name_of(f"new {number}"),
            {source: len(old)},
            manifests=[image.digest, *(name_of((number, each)) for each in range(100))],
        )
        for number in range(20)
    ]
    write_changes(tool.home / "a.tar", changes)
    there = f"{customer.host}/{at}:1"
    assert tool.good("vet", "a.tar", there, "--json", "--debug", *PLAIN_DEST).json["missing"] == []
    ran = tool("vet", "a.tar", there, "--debug", *PLAIN_DEST)
    assert sum("+ skopeo inspect" in line for line in ran.stderr.splitlines()) <= 6
    # Where the old layer is at hand, none is.
    write_changes(tool.home / "b.tar", changes, old, layers={source: len(old)})
    ran = tool("vet", "b.tar", there, "--debug", *PLAIN_DEST)
    assert ran.code == 0
    assert "+ skopeo inspect" not in ran.stderr
