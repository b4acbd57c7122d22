"""The Ansible collection as Galaxy and Ansible's own checks see it, and its options beside those of the command."""

from __future__ import annotations

import ast
import json
import re
import runpy
import sys
import tarfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.collection import FOLDER, NAME, SOURCE, ansible, build, install
from wrapper import __version__
from wrapper.cli.main import cli

if TYPE_CHECKING:
    import click

ROLE_NAME = f"{NAME}.incremental_image"
ROLE = SOURCE / "roles/incremental_image"
ENTRY_POINTS = ("pull", "bundle", "vet", "push")
# What Ansible has another way for, or what makes no sense without a terminal.
NOT_FOR_TASKS = {"json", "quiet", "debug", "dry_run", "progress", "creds", "tls_verify", "cert_dir"}
# What an option of the command is called in a task, where that differs.
CALLED = {
    "additional_tag": "additional_tags",
    "base_spec": "base_images",
    "names": "map",
    "no_overwrite_tag": "overwrite_tag",
    "output": "archive",
    "override_arch": "platform",
    "referrers_from": "with_from",
    "override_os": "platform",
    "override_variant": "platform",
    "platform": "platforms",
    "spec": "images",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"))


@cache
def documented() -> dict[str, Any]:
    """The module's options, as its documentation has them."""
    tree = ast.parse((SOURCE / "plugins/modules/incremental_image.py").read_text())
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "DOCUMENTATION":
            options = yaml.safe_load(ast.literal_eval(statement.value))["options"]
            assert isinstance(options, dict)
            return options
    raise AssertionError


@cache
def specs() -> dict[str, dict[str, Any]]:
    """The variables of each entry point of the role, without their prefix."""
    entries = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {
        entry: {name.removeprefix("incremental_image_"): about for name, about in told["options"].items()}
        for entry, told in entries.items()
    }


def taken_by(command: str) -> set[str]:
    """The options of the module that its table gives to a command, logins and certificates included."""
    table = runpy.run_path(str(SOURCE / "plugins/module_utils/command.py"))
    kinds = ("authfile", "cert_dir", "creds", "tls_verify")
    return {*table["OPTIONS"][command], *(f"{side}_{kind}" for side in table["SIDES"][command] for kind in kinds)}


def parameters(command: str) -> dict[str, click.Parameter]:
    """The parameters of a command that tasks have, by what they are called there."""
    found = {str(each.name): each for each in cli.commands[command].params}
    return {CALLED.get(name, name): each for name, each in found.items() if name not in NOT_FOR_TASKS}


@pytest.mark.parametrize("command", ["pull", "vet", "push"])
def test_tasks_have_every_option_of_the_command(command: str) -> None:
    # These the module's own code puts into the command's line.
    by_hand = {"final", "images", "base_images", "archive", "destination", "receipt", "mirror_config", "fail_fast"}
    wanted = set(parameters(command)) - by_hand
    assert taken_by(command) - by_hand == wanted
    assert set(parameters(command)) <= set(documented())


def test_defaults_are_those_of_the_command() -> None:
    for name in ("retry_times", "retry_delay", "timeout", "preserve_digests", "skopeo"):
        assert documented()[name]["default"] == parameters("pull")[name].default
    assert documented()["delta_effort"]["choices"] == list(parameters("pull")["delta_effort"].type.choices)


def test_the_role_has_every_option_of_the_module() -> None:
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    assert list(tasks[0][f"{NAME}.incremental_image"]) == list(documented())
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert defaults == {
        f"incremental_image_{name}": about["default"] for name, about in documented().items() if "default" in about
    }
    assert set(specs()["main"]) == set(documented())
    for variables in specs().values():
        for name, about in variables.items():
            assert about["type"] == documented()[name]["type"], name
            assert about.get("default") == documented()[name].get("default"), name
            assert about.get("choices") == documented()[name].get("choices"), name
            assert about.get("no_log", False) == name.endswith("_creds"), name


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_entry_points_have_the_options_of_their_command(entry: str) -> None:
    common = {"archive", "executable", "extra_args"}
    own = {
        "pull": {"final"},
        "bundle": {"images", "base_images", "fail_fast"},
        "vet": {"destination"},
        "push": {"destination", "receipt", "mirror_config", "images"},
    }
    assert set(specs()[entry]) == taken_by("pull" if entry == "bundle" else entry) | common | own[entry]


def test_what_galaxy_gets(built: Path) -> None:
    """The file has the command's version, and nothing that was lying about."""
    assert built.name == f"skopeo_incremental-images-{__version__}.tar.gz"
    with tarfile.open(built) as tar:
        names = {member.name for member in tar.getmembers() if member.isfile()}
    unpacked = {"MANIFEST.json", "FILES.json"}
    tracked = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if path.is_file()}
    kept = {name for name in tracked if "__pycache__" not in name} - {"galaxy.yml", ".ansible-lint"}
    assert names == kept | unpacked


def test_ansible_doc_shows_it(built: Path, tmp_path: Path) -> None:
    where = str(install(built, tmp_path))
    shown = {}
    for kind in ("module", "role"):
        words = ("--json", "-t", kind, ROLE_NAME)
        ran = ansible("ansible-doc", *words, cwd=tmp_path, home=tmp_path, ANSIBLE_COLLECTIONS_PATH=where)
        assert ran.returncode == 0, ran.stderr
        shown[kind] = json.loads(ran.stdout)[ROLE_NAME]
    module = shown["module"]
    assert set(module["doc"]["options"]) == set(documented())
    assert {"code", "kind", "retryable", "missing", "result"} <= set(module["return"])
    assert module["examples"].count(ROLE_NAME) == 4
    assert set(shown["role"]["entry_points"]) == {"main", *ENTRY_POINTS}


@pytest.mark.parametrize(("folder", "names"), [(SOURCE, []), (FOLDER, ["export.yml", "import.yml"])])
def test_ansible_lint_is_content(folder: Path, names: list[str], tmp_path: Path) -> None:
    ran = ansible(
        "ansible-lint",
        *("--offline", "--strict", "--profile", "production", "--nocolor", *names),
        cwd=folder,
        home=tmp_path,
        ANSIBLE_COLLECTIONS_PATH=str(FOLDER / "collections"),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_ansible_test_is_content(built: Path, tmp_path: Path) -> None:
    """Its sanity tests. For each it makes an environment, with tools that it fetches through pip."""
    folder = install(built, tmp_path) / "ansible_collections" / NAME.replace(".", "/")
    _bootstrap_pip(tmp_path)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = ("sanity", "--python", python, "--color", "no", "--truncate", "0")
    # Most others look at what our own tests and linters look at, too; all of them pass, and take minutes.
    wanted = (word for name in ("compile", "validate-modules") for word in ("--test", name))
    ran = ansible("ansible-test", *words, *wanted, cwd=folder, home=tmp_path)
    said = ran.stdout + ran.stderr
    if "No matching distribution found" in said or "Name or service not known" in said:
        pytest.skip("ansible-test can't fetch its tools from here")
    assert ran.returncode == 0, said
    assert 'Running sanity test "validate-modules"' in said


def _bootstrap_pip(home: Path) -> None:
    """Give ansible-test the script that brings pip into its environments, which it would download otherwise."""
    source = distribution("ansible-core").locate_file("ansible_test/_internal/python_requirements.py")
    wanted = re.search(r"pip='([0-9.]+)'", Path(str(source)).read_text())
    if wanted:
        script = home / f".ansible/test/cache/get_pip_{wanted[1].replace('.', '_')}.py"
        script.parent.mkdir(parents=True)
        script.write_text("import ensurepip\n\nensurepip.bootstrap()\n")
