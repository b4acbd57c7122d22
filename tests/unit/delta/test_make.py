"""How far the making of a change is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import files, tar, zipped
from wrapper.delta import make
from wrapper.delta.make import MADE, _Analysis, _Telling, analyse_layer

if TYPE_CHECKING:
    from pathlib import Path


def test_an_analysis_says_how_much_it_has_read(tmp_path: Path) -> None:
    content = files("make", 150)
    (tmp_path / "layer").write_bytes(zipped(content))
    (tmp_path / "content").write_bytes(tar(content))
    told: list[float] = []
    analyse_layer(*(str(tmp_path / name) for name in ("layer", "content", "recipe")), told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert any(0 < part < 1 for part in told)


@pytest.mark.parametrize(
    ("analysed", "parts"), [(0.0, [0, 0, 0]), (0.5, [0.4, 0.5, 0.5]), (1.0, [0.4, 0.7, 1]), (None, [0.4, 0.7, 1])]
)
def test_what_takes_longest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analysed: float | None, parts: list[float]
) -> None:
    class Analysis(_Analysis):
        def told(self) -> float:
            return analysed or 0.0

    told: list[float] = []
    monkeypatch.setattr(make, "tell", told.append)
    telling = _Telling(None if analysed is None else Analysis(tmp_path, tmp_path, tmp_path))
    telling.part(0, 0.8)(0.5)
    telling.part(0.6, 0.8)(0.5)
    telling.part(0.6, 1)(1)
    assert told == pytest.approx([MADE * part for part in parts])
