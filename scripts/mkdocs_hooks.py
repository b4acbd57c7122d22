"""What mkdocs puts into the reference: the commands and the schemas, as they are in the code.

A page asks for it with a comment of its own line, `<!-- commands -->` or `<!-- schema: NAME.json -->`.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapper.cli.main import NAME, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parents[1] / "wrapper/oci/schemas"
_ASKED = re.compile(r"^<!-- (?:commands|schema: (?P<name>[\w.-]+)) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in what a page asks for; mkdocs calls this for each page."""
    return _ASKED.sub(lambda match: schema(match["name"]) if match["name"] else commands(), markdown)


def commands() -> str:
    """Describe every command, its arguments and its options."""
    return "\n".join(_command([NAME], cli, None))


def _command(path: list[str], command: click.Command, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=path[-1], parent=parent, **command.context_settings)
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    yield f"\n## {' '.join(path)}\n\n```text\n{usage}\n```\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield _text(" ".join(paragraph.split())) + "\n"
    for group, rows in _option_groups(command, context):
        yield f"| {group} | |\n|---|---|"
        yield from (f"| `{names}` | {_text(meaning)} |" for names, meaning in rows)
        yield ""
    for what, example in getattr(command, "examples", ()):
        yield f"{_text(what)}:\n\n```text\n{example}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command([*path, name], command.commands[name], context)


def _option_groups(command: click.Command, context: click.Context) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each group of options: its name, and for each option its names and its help."""
    if hasattr(command, "option_groups"):
        return list(command.option_groups(context))
    records = [each.get_help_record(context) for each in command.get_params(context)]
    return [("Options", [record for record in records if record and record[1]])]


def schema(name: str) -> str:
    """Describe every value of a JSON schema.

    Args:
        name: the schema's file.
    """
    document = json.loads((SCHEMAS / name).read_text())
    lines = [f"`wrapper/oci/schemas/{name}`\n", "| value | type | meaning |\n|---|---|---|"]
    lines += [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _values(document, document, "", ())]
    return "\n".join(lines) + "\n"


def _values(
    node: dict[str, Any], root: dict[str, Any], path: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield path, type and meaning of each value below a node; one that contains itself is told once."""
    for name, given in node.get("properties", {}).items():
        value, seen = _resolved(given, root, above)
        here = f"{path}.{name}".lstrip(".")
        items, seen = _resolved(value.get("items", {}), root, seen)
        required = "" if name in node.get("required", ()) else ", optional"
        kind = _kind(value) + (" or null" if "anyOf" in given else "") + required
        yield here, kind, _text(given.get("description", value.get("description", "")))
        if None in seen:
            continue
        yield from _values(value, root, here, seen)
        yield from _values(items, root, f"{here}[]", seen)


def _resolved(
    node: dict[str, Any], root: dict[str, Any], above: tuple[str | None, ...]
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Follow references and `or null`; None at the end of what is above says that it went in a circle."""
    while True:
        if "anyOf" in node and {"type": "null"} in node["anyOf"]:
            node = next(each for each in node["anyOf"] if each != {"type": "null"})
        target = node.get("$ref")
        if not target:
            return node, above
        if target in above:
            return {}, (*above, None)
        above = (*above, target)
        node = root["$defs"][target.rpartition("/")[2]]


def _kind(value: dict[str, Any]) -> str:
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value["enum"])
    kind = value.get("type", "object")
    return " or ".join(kind) if isinstance(kind, list) else kind


def _text(text: str) -> str:
    """Return text as Markdown shows it in a table."""
    return re.sub(r"([*_\[\]|])", r"\\\1", html.escape(text, quote=False))
