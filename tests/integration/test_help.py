"""What help says, what the man pages say, and what the shell completes."""

from __future__ import annotations

import json
import shlex
from importlib.resources import files
from typing import TYPE_CHECKING

import click
import pytest

from tests.support.tool import ROOT
from wrapper.cli.help import ADVANCED, DELTA, GROUPS, HELP, IMAGES, LINK, LOGIN, OUTPUT, Command
from wrapper.cli.main import NAME, cli
from wrapper.cli.manual import ENVIRONMENT, FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.tool import Tool


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    assert isinstance(command, Command)
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, *path, name)


ALL = list(commands(cli))
IDS = ["-".join(path) or "all" for path, _ in ALL]


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_each_command_has_groups_examples_and_exit_codes(
    tool: Tool, path: tuple[str, ...], command: Command
) -> None:
    text = tool.good(*path, "--help", env={"COLUMNS": "80"}).text
    titles = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    groups = [title for title in titles if title in GROUPS]
    assert groups == [group for group in GROUPS if group in groups]
    assert titles[titles.index("Examples") :][:2] == ["Examples", "Exit codes"]
    assert len(command.examples) == 3
    for _, example in command.examples:
        assert all(f"    {line}\n" in text for line in example.splitlines())
        assert max(map(len, example.splitlines())) <= 90
    assert all(f"\n  {code} " in text for code in command.exit_codes)
    # Whatever has no group of its own would stand with this.
    asides = dict(command.option_groups(click.Context(command)))[HELP]
    assert {names.split()[-1] for names, _ in asides} <= {"--help", "--version"}


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_examples_are_commands_as_they_are(path: tuple[str, ...], command: Command) -> None:
    for _, example in command.examples:
        words = shlex.split(example.replace("\\\n", " ").partition(" | ")[0])
        assert words.pop(0) == NAME
        found: click.Command = cli
        while isinstance(found, click.Group):
            found = found.commands[words.pop(0)]
        context = found.make_context(NAME, words)
        assert tuple(path) in ((), ("kit",)) or found is command
        assert not [value for value in context.params.values() if isinstance(value, str) and value.startswith("--")]


def test_summaries_are_whole(tool: Tool) -> None:
    for arguments in ([], ["kit"]):
        text = tool.good(*arguments, "--help", env={"COLUMNS": "80"}).text
        listed = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        assert len(listed) >= 2
        # One line each, and none is cut.
        assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    assert text.index("  export") < text.index("  import")


def test_what_is_required_is_said(tool: Tool) -> None:
    for command, words in (
        ("complete", "[required]"),
        ("pull", "[required unless --dry-run]"),
        ("diff", "[required unless --dry-run]"),
    ):
        text = tool.good(command, "--help").text
        assert words in " ".join(text.partition("--output")[2].partition("\n  -")[0].split())


def test_options_of_one_kind_stand_together(tool: Tool) -> None:
    text = tool.good("pull", "--help").text
    groups = {group: text.partition(f"\n{group}:\n")[2].partition("\n\n")[0] for group in GROUPS}
    for group, name in (
        (IMAGES, "--override-arch"),
        (OUTPUT, "--json"),
        (DELTA, "--delta-memory"),
        (LOGIN, "--base-tls-verify"),
        (LOGIN, "--creds"),
        (LINK, "--retry-times"),
        (ADVANCED, "--insecure-policy"),
    ):
        assert f" {name} " in groups[group]
    # Whoever reads of a unit reads what it is.
    for group, name in ((LINK, "--cache-max-size"), (DELTA, "--delta-memory")):
        said = " ".join(groups[group].partition(name)[2].split())
        assert "powers of 1000" in said
        assert "powers of 1024" in said
    # Names are whole, and written with hyphens as they are.
    assert text.count("skopeo-incremental-spec(5)") == 2
    assert text.isascii()


def test_the_program_tells_its_environment_and_files(tool: Tool) -> None:
    text = " ".join(tool.good("--help").text.split())
    for entry in (*ENVIRONMENT, *FILES):
        assert entry.text in text


def test_man_pages_tell_what_matters_to_a_command() -> None:
    def page(name: str) -> str:
        return (ROOT / "docs/man" / name).read_text().replace("\\-", "-")

    pull, vet, diff, kit = (page(f"skopeo-incremental-{name}.1") for name in ("pull", "vet", "diff", "kit-import"))
    assert all(f"\n.SH {title}\n" in pull for title in ("EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"))
    assert "REGISTRY_AUTH_FILE" in pull
    assert "REGISTRY_AUTH_FILE" not in diff
    assert "TMPDIR" in diff
    assert "skopeo-incremental/repositories" in vet
    assert "skopeo-incremental/repositories" not in pull
    assert "GNUPGHOME" in kit
    assert "\n.SS Login and TLS\n" in pull
    spec = page("skopeo-incremental-spec.5")
    assert all(f"images[].{name}" in spec for name in ("name", "final", "base", "all", "platform", "delta"))
    assert "(string, required)" in spec


def test_the_example_of_a_spec_is_one(tool: Tool, tmp_path: Path) -> None:
    from wrapper import read_spec

    schema = json.loads(files("wrapper.oci.schemas").joinpath("spec.json").read_text())
    for example in schema["examples"]:
        (tmp_path / "spec.json").write_text(json.dumps(example))
        assert len(read_spec(tmp_path / "spec.json")) == len(example["images"])


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ki", ["plain,kit"]),
        ("kit ", ["plain,export", "plain,import"]),
        ("kit export --sig", ["plain,--sign", "plain,--signatures"]),
        ("kit export --base-s", ["plain,--base-spec"]),
        ("kit export spec", ["file,spec"]),
        ("kit export spec.json k", ["dir,k"]),
        ("kit export spec.json kit --volume-size ", ["plain,fat32", "plain,dvd"]),
        ("kit import ", ["dir,"]),
        ("kit import kit prefix --keyring ~/v", ["file,~/v"]),
        ("kit import kit prefix --dest-tls-verify f", ["plain,false"]),
        ("pull --spec rel", ["file,rel"]),
        ("pull app:2 -o ", ["file,"]),
        ("pull app:2 --cache-dir /v", ["dir,/v"]),
        ("pull app:2 --override-arch ar", ["plain,arm64", "plain,arm"]),
        ("pull app:2 --override-os l", ["plain,linux"]),
        ("pull app:2 --override-variant ", ["plain,v5", "plain,v6", "plain,v7", "plain,v8"]),
        ("pull app:2 --tls-verify ", ["plain,true", "plain,false"]),
        ("pull app:2 --delta-effort b", ["plain,best"]),
        ("push app-2.tar.0", ["file,app-2.tar.0"]),
        ("push app.tar host/app --dest-cert-dir c", ["dir,c"]),
        ("push app.tar host/app --src-authfile=a", ["file,a"]),
        ("diff one.tar tw", ["file,tw"]),
        ("inspect x.tar --report p", ["file,p"]),
        ("doctor --policy p", ["file,p"]),
    ],
)
def test_the_shell_completes(tool: Tool, words: str, offered: list[str]) -> None:
    asked = [NAME, *shlex.split(words), *([""] if words.endswith(" ") else [])]
    variables = {
        "_SKOPEO_INCREMENTAL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"{NAME} {words}",
        "COMP_CWORD": str(len(asked) - 1),
    }
    assert tool.good(env=variables).text.splitlines() == offered


def test_what_the_shell_does_not_offer_is_accepted(tool: Tool) -> None:
    """Completion checks nothing: what a value is, the library says."""
    ran = tool("vet", "none.tar.001", "--json")
    assert "none.tar.001" in ran.json["error"]["message"]
    ran = tool("pull", "127.0.0.1:1/app:2", "--override-arch", "pdp11", "--dry-run", "--json")
    assert ran.code == 5
    ran = tool("push", "docker://127.0.0.1:1/archive:1", "127.0.0.1:1/app:2", "--json")
    assert ran.code == 5
