"""The library says how its arguments are called, and the command line how its options are."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import wrapper
from wrapper.cli.main import cli
from wrapper.cli.wording import ACCESS_OPTIONS, OPTIONS, SIDE_OPTIONS, as_options

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(wrapper.__file__).parent
LIBRARY = [path for path in sorted(ROOT.rglob("*.py")) if path.parent != ROOT / "cli"]
FLAG = re.compile(r"(?<![\w-])--[a-z]")
ARGUMENT = re.compile(r"`[^`]*`")


def texts(source: str) -> Iterator[str]:
    """All texts of a module that are no docstrings; what is put into one is called `final`, as a side may be."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "final" for part in node.values)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docstrings | parts)
        ):
            yield node.value.replace("{side}", "final")


def messages(source: str) -> list[str]:
    """Those with several words: what is one word is an argument of skopeo's."""
    return [text for text in texts(source) if " " in text.strip()]


def test_messages_are_found() -> None:
    found = messages('"""Not --this."""\nfail(f"give {a} with --base", "--base", "a `b`")')
    assert found == ["give final with --base", "a `b`"]
    assert sum(len(messages(path.read_text())) for path in LIBRARY) > 300


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_knows_no_options(path: Path) -> None:
    for message in messages(path.read_text()):
        assert not FLAG.search(message), message
        for argument in ARGUMENT.findall(message):
            assert as_options(argument) != argument, (
                f"{message}: a line for {argument} is missing in cli/wording.py"
            )


def test_the_options_exist() -> None:
    def options(command: click.Command) -> set[str]:
        return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}

    commands = [cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))]
    known = {name for command in commands if command for name in options(command)}
    said = [*OPTIONS.values(), *ACCESS_OPTIONS.values()]
    named = {name for text in said for name in re.findall(r"--[\w-]+", text)}
    named |= {f"--{side}-{name.partition('=')[0]}" for side in ("final", "dest") for name in SIDE_OPTIONS.values()}
    # Docker has no final image.
    assert named - {"--final-daemon-host"} <= known


def test_what_becomes_of_arguments() -> None:
    text = "give `push_auth.creds`, `base_auth.tls_verify=False`, `final_auth.policy`, `temp_dir` or `jobs=1`"
    assert as_options(text) == "give --dest-creds, --base-tls-verify=false, --policy, --tmpdir or --jobs 1"
    assert as_options("`archive_auth.cert_dir`") == "--src-cert-dir"
    assert as_options("`final_auth.creds`", one_side=True) == "--creds"
    for other in ("`rm -rf`", "`other_auth.creds`", "`final_auth.other`", "`x`", "``"):
        assert as_options(other) == other
