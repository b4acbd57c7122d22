"""Which layers are made of which: each is looked at once, whatever an archive says."""

from __future__ import annotations

import time

import pytest

from wrapper.delta.artifact import LayerDelta
from wrapper.delta.graph import STEPS, check_deltas, plan_making, sources_needed
from wrapper.errors import ContentError


def deltas(**made: str) -> dict[str, LayerDelta]:
    """Changes, by the layers that they make; a layer's name is one letter."""
    return {
        layer: LayerDelta(layer, 9, "blob", 5, dict.fromkeys(sources, 9), ()) for layer, sources in made.items()
    }


def test_layers_are_made_after_what_they_are_made_from() -> None:
    making = plan_making({"d": 9, "x": 9}, deltas(d="bc", b="a", c="a", z="y"), lambda digest: digest == "a")
    assert making.order[-1] == "d"
    assert sorted(making.order) == ["b", "c", "d"]
    assert (making.steps, making.needed, making.missing) == (2, {"a": 9}, {"x": 9})
    assert making.lacking.keys() == {"b", "c", "d", "x"}


def test_a_circle_is_missing_and_nothing_beside_it() -> None:
    making = plan_making({"d": 9, "e": 9}, deltas(d="c", c="d", e="a"), lambda digest: digest == "a")
    assert making.order == ("e",)
    assert making.missing.keys() == {"c", "d"}
    # Whoever has one of them has all.
    assert plan_making({"d": 9}, deltas(d="c", c="d"), lambda digest: digest == "c").missing == {}


def test_many_ways_and_long_ones_take_no_time() -> None:
    begun = time.process_time()
    wide = {
        f"{level}-{place}": [f"{level - 1}-{each}" for each in range(50)]
        for level in range(1, 60)
        for place in range(50)
    }
    long = {f"long {number}": [f"long {number - 1}"] for number in range(1, 50_000)}
    for sources in (wide, long):
        graph = {
            layer: LayerDelta(layer, 9, "blob", 5, dict.fromkeys(own, 9), ()) for layer, own in sources.items()
        }
        making = plan_making(dict.fromkeys(graph, 9), graph, lambda digest: digest.startswith(("0-", "long 0")))
        assert len(making.order) == len(graph)
        with pytest.raises(ContentError, match=f"{STEPS} are allowed"):
            check_deltas(graph, dict.fromkeys(graph, 9), lambda _: None, "app.tar")
    assert time.process_time() - begun < 10


def test_what_has_to_be_there_for_a_chain() -> None:
    nowhere = lambda _: False  # noqa: E731
    forward, back = deltas(b="a"), deltas(a="b")
    assert sources_needed([forward], "b", nowhere) == {"a": 9}
    assert sources_needed([forward, deltas(c="b")], "bc", nowhere) == {"a": 9}
    assert sources_needed([forward], "b", lambda digest: digest == "a") == {}
    # An archive that leads back to the older release.
    assert sources_needed([forward, back], "ab", nowhere) == {"a": 9}
    # What is not wanted needs nothing.
    assert sources_needed([deltas(b="a", d="c")], "d", nowhere) == {"c": 9}
