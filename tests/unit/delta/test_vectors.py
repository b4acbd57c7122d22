"""What real compressors wrote comes back bit for bit, and nothing of it had to be corrected."""

from __future__ import annotations

import io
from collections import defaultdict

import pytest

from tests.support.vectors import Vector, content, load, sha256
from wrapper.delta import models
from wrapper.delta.models import GO, GO_NEXT, KLAUSPOST, ZLIB, Name
from wrapper.delta.recipe import Recipe, analyse, rebuild
from wrapper.delta.window import COMPILED

VECTORS = load()
# Where nothing is compiled, what is long takes minutes.
AT_HAND = [each for each in VECTORS if COMPILED or len(content(each.content)) < 10_000]


@pytest.mark.parametrize("vector", AT_HAND, ids=lambda vector: vector.name)
def test_a_compressor_is_known(vector: Vector) -> None:
    data = content(vector.content)
    assert sha256(data) == vector.content_sha256
    recipe = vector.unpacked_recipe()
    name = Recipe(recipe).model
    assert name == Name(*vector.model)
    stream = b"".join(rebuild([data], recipe, vector.size))
    assert sha256(stream) == vector.sha256
    # The stream is what the compressor wrote: so the other way is put to the test, too.
    found = analyse(io.BytesIO(stream).read, names=[name])
    assert (found.corrections, found.verbatim_headers) == (0, 0)
    assert found.recipe == recipe


USUAL = (
    "zlib-6-8",
    "gnu-6",
    "go-1",
    "go-6",
    "go127-6",
    "pigz-6",
    "klauspost-1.11.3-5",
    "klauspost-1.14.4-5",
    "klauspost-1.19.1-5",
)


@pytest.mark.skipif(not COMPILED, reason="it takes minutes")
@pytest.mark.parametrize("name", USUAL)
def test_a_compressor_is_recognized(name: str) -> None:
    (vector,) = (each for each in VECTORS if each.name == f"{name}-mixed")
    stream = b"".join(rebuild([content(vector.content)], vector.unpacked_recipe(), vector.size))
    assert analyse(io.BytesIO(stream).read).corrections == 0


def test_every_model_has_a_vector() -> None:
    known = {
        Name(family, generation, level, memory)
        for family in (models.ZLIB, models.GNU, GO, KLAUSPOST, GO_NEXT)
        for generation in models.GENERATIONS.get(family, (0,))
        for level in range(1, 10)
        for memory in ((8, 9) if family == ZLIB else (0,))
        if models.is_known(Name(family, generation, level, memory))
    }
    assert known == {Name(*each.model[:4]) for each in VECTORS}


def test_vectors_tell_models_apart() -> None:
    by_stream = defaultdict(set)
    for vector in VECTORS:
        if vector.content in ("mixed", "long"):
            # Go 1.27 took over from klauspost/compress.
            same = (KLAUSPOST, 4, *vector.model[2:]) if vector.model[0] == GO_NEXT else vector.model
            by_stream[vector.sha256].add(same)
    assert {len(models) for models in by_stream.values()} == {1}
