"""`wrapper.delta` as it is where nothing could be compiled: the compiled one has to do the same."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapper.delta
from wrapper.delta import malformed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

_NAME = "wrapper.uncompiled_delta"
_FOLDER = Path(wrapper.delta.__file__).parent


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        return spec_from_file_location(name, _FOLDER / f"{module}.py") if package == _NAME else None


def load(name: str) -> Any:
    """Import a module of `wrapper.delta`, and those that it needs, from their Python files."""
    if _NAME not in sys.modules:
        package = ModuleType(_NAME)
        # In no folder, where others find compiled modules; and the fuzzer watches what finders after its own find.
        package.__path__ = []
        sys.modules[_NAME] = package
        sys.meta_path.append(_Finder())
        # What is raised is raised for both.
        sys.modules[f"{_NAME}.malformed"] = malformed
    return importlib.import_module(f"{_NAME}.{name}")
