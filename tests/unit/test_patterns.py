"""Regular expressions of ours take whole texts: in Python `$` also stands before a last newline."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wrapper

ROOT = Path(wrapper.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MESSAGES = {"skopeo/reason.py", "skopeo/runner.py"}
"""Files that look for something inside what skopeo says, whatever stands around it."""


def regexes(tree: ast.AST) -> list[str]:
    """The constant texts in what is given to a function of `re` first."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[first, *_]):
                texts = [each.value for each in ast.walk(first) if isinstance(each, ast.Constant)]
                found += [text for text in texts if isinstance(text, str)]
    return found


def test_they_are_found() -> None:
    tree = ast.parse("re.compile(rf'a{b}c$'), re.search('x', y)")
    assert regexes(tree) == ["a", "c$", "x"]
    assert sum(len(regexes(ast.parse(path.read_text()))) for path in FILES) > 10


@pytest.mark.parametrize("path", [path for path in FILES if str(path.relative_to(ROOT)) not in MESSAGES], ids=str)
def test_no_end_is_before_a_newline(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [text for text in regexes(tree) if "$" in text], "use fullmatch"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "match"]
    assert not calls, "use fullmatch"
