"""Writes the man pages: scripts/man.py FOLDER. What they say of commands is what help says."""

from __future__ import annotations

import json
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapper import __version__
from wrapper.cli.help import Command
from wrapper.cli.main import NAME, cli
from wrapper.cli.manual import ENVIRONMENT, EXIT_CODES, FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPEC = f"{NAME}-spec"
ELSEWHERE = ("skopeo(1)", "containers-auth.json(5)", "containers-policy.json(5)", "containers-registries.conf(5)")


def main() -> None:
    folder = Path(sys.argv[1])
    for context, command in commands(cli):
        page(folder, context.command_path.replace(" ", "-"), 1, command_page(context, command))
    schema = json.loads(files("wrapper.oci.schemas").joinpath("spec.json").read_text())
    page(folder, SPEC, 5, spec_page(schema))


def commands(
    command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[click.Context, Command]]:
    """Yield a command and those in it, each with its context."""
    assert isinstance(command, Command)
    context = click.Context(command, info_name=command.name, parent=parent, **command.context_settings)
    yield context, command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from commands(each, context)


def page(folder: Path, name: str, section: int, lines: Iterable[str]) -> None:
    # No date: the same commands give the same pages.
    title = f'.TH "{name.upper()}" "{section}" "" "{NAME} {__version__}"'
    (folder / f"{name}.{section}").write_text("\n".join([title, *lines, ""]))


def command_page(context: click.Context, command: Command) -> Iterator[str]:
    path = context.command_path
    yield from name_section(path.replace(" ", "-"), command.short_help or "The differences of container images.")
    yield ".SH SYNOPSIS"
    yield f"{bold(path)} {plain(' '.join(command.collect_usage_pieces(context)))}"
    yield ".SH DESCRIPTION"
    yield from paragraphs(command.help or "")
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name, each in command.commands.items():
            yield from entry(bold(name), f"{each.short_help} See {path.replace(' ', '-')}-{name}(1).")
    yield ".SH OPTIONS"
    for group, rows in command.option_groups(context):
        yield f".SS {plain(group)}"
        for names, text in rows:
            yield from entry(re.sub(r"(?<![\w\\])(\\-){1,2}\w(\w|\\-)*", r"\\fB\g<0>\\fR", plain(names)), text)
    yield ".SH EXAMPLES"
    for what, example in command.examples:
        yield from (".PP", plain(f"{what}:"), *verbatim(example))
    yield ".SH EXIT STATUS"
    for code in command.exit_codes:
        yield from entry(bold(str(code)), EXIT_CODES[code])
    options = None if isinstance(command, click.Group) else {each.name for each in command.params}
    for title, table in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        found = [
            each for each in table if options is None or not each.options or options.intersection(each.options)
        ]
        if found:
            yield f".SH {title}"
        for each in found:
            yield from entry(bold(each.name), each.text)
    related = {NAME, *(f"{NAME}-{name}" for name in cli.commands)} - {path.replace(" ", "-")}
    yield from see_also([f"{name}(1)" for name in sorted(related)] + [f"{SPEC}(5)", *ELSEWHERE])


def spec_page(schema: dict[str, Any]) -> Iterator[str]:
    yield from name_section(SPEC, f"{schema['title']}.")
    yield ".SH DESCRIPTION"
    yield from paragraphs(
        f'A spec lists the images that "{NAME} pull --spec" or "{NAME} kit export" pulls into one bundle. '
        "It is a JSON file. A file whose name ends in .yaml or .yml is read as YAML, if PyYAML is installed.\n\n"
        "Fields with other names than those below are an error."
    )
    yield ".SH FIELDS"
    for name, text in fields(schema, schema):
        yield from entry(bold(name), text)
    yield ".SH EXAMPLES"
    for each in schema["examples"]:
        yield from (".PP", *verbatim(json.dumps(each, indent=2)))
    yield from see_also([f"{SPEC}(1)", f"{NAME}-pull(1)", f"{NAME}-kit-export(1)"])


def fields(root: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of an object and of those in it: the path of each, and what it is."""
    for name, given in schema["properties"].items():
        told = {**root["$defs"][given["$ref"].rpartition("/")[2]], **given} if "$ref" in given else given
        # One of some words is a word.
        kind = told.get("type", "string")
        kinds = [kind] if isinstance(kind, str) else kind
        kind = " or ".join(
            f"list of {'object' if 'object' in str(told['items']) else 'string'}s" if each == "array" else each
            for each in sorted(kinds, reverse=True)
        )
        needed = ", required" if name in schema.get("required", ()) else ""
        yield f"{prefix}{name}", f"({kind}{needed}) {told['description']}"
        if "properties" in told:
            yield from fields(root, told, f"{prefix}{name}.")
        if "properties" in told.get("items", {}):
            yield from fields(root, told["items"], f"{prefix}{name}[].")


def name_section(name: str, text: str) -> list[str]:
    return [".SH NAME", rf"{plain(name)} \- {plain(text[0].lower() + text[1:].removesuffix('.'))}"]


def see_also(names: Iterable[str]) -> list[str]:
    return [".SH SEE ALSO", ",\n".join(rf"\fB{plain(name.partition('(')[0])}\fR({name[-2]})" for name in names)]


def entry(term: str, text: str) -> list[str]:
    return [".TP", term, plain(text)]


def paragraphs(text: str) -> Iterator[str]:
    for each in re.split(r"\n\s*\n", text.strip()):
        yield from (".PP", plain(" ".join(each.split())))


def verbatim(text: str) -> list[str]:
    return [".PP", ".nf", ".RS 4", *map(plain, text.splitlines()), ".RE", ".fi"]


def bold(text: str) -> str:
    return rf"\fB{plain(text)}\fR"


def plain(text: str) -> str:
    """Escape what roff would take for its own."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    main()
