"""Modules that are imported while we wait."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wrapper.host import late

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_is_asked_for_last_is_imported_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(late, "_wanted", [])
    names = [f"late_{letter}" for letter in "abc"]
    for name in names:
        (tmp_path / f"{name}.py").write_text("")
    late.import_later(names[2])
    late.import_later(*names[:2])
    for name in names:
        assert name not in sys.modules
        assert late.import_one()
        assert sys.modules.pop(name)
    assert not late.import_one()
