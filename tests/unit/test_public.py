"""What a user of the library sees: names, help, types, and both names of the package."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import skopeo_incremental
import wrapper
from tests.support.tool import ROOT
from wrapper import Platform, Reference, SpecImage, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSIDE = {"AuthFiles", "Progress", "Puller", "Target"}
"""In methods that only the package itself calls."""

PUBLIC = {name: getattr(wrapper, name) for name in wrapper.__all__}


def test_every_public_name_is_there_and_explained() -> None:
    for name, value in PUBLIC.items():
        assert value.__doc__, name
    with pytest.raises(AttributeError, match="no_such_name"):
        wrapper.no_such_name  # noqa: B018


def test_both_names_of_the_package_have_the_same() -> None:
    assert dir(skopeo_incremental) == dir(wrapper)
    assert skopeo_incremental.__all__ == wrapper.__all__
    for name, value in PUBLIC.items():
        assert getattr(skopeo_incremental, name) is value
    assert skopeo_incremental.__version__ == wrapper.__version__
    with pytest.raises(AttributeError, match="'skopeo_incremental' has no attribute 'no_such_name'"):
        skopeo_incremental.no_such_name  # noqa: B018


def test_both_names_of_the_package_are_the_command() -> None:
    said = [
        subprocess.run([sys.executable, "-m", name, "--help"], capture_output=True, text=True, check=True).stdout
        for name in ("wrapper", "skopeo_incremental")
    ]
    assert said[0] == said[1]
    assert said[0].startswith("Usage: skopeo-incremental ")


@pytest.mark.parametrize("module", [wrapper, skopeo_incremental])
def test_help_shows_all(module: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(module))
    for name, value in PUBLIC.items():
        heading = f"class {name}" if inspect.isclass(value) else name
        assert f"\n    {heading}" in shown, name
    assert "__getattr__" not in shown


def test_every_type_in_a_signature_is_public() -> None:
    lacking = {
        (where, name)
        for value in PUBLIC.values()
        for module, where, annotation in _annotations(value)
        for name in _names(annotation) & _ours(module)
        if name not in PUBLIC
    }
    assert {name for _, name in lacking} == INSIDE, sorted(lacking)


def test_every_exception_is_public() -> None:
    from wrapper import errors

    raised = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert {name for name in raised if issubclass(getattr(errors, name), Exception)} <= PUBLIC.keys()


def _annotations(value: Any) -> Iterator[tuple[str, str, str]]:
    """Each annotation of a function, or of a class and what is public in it: its module, its place, its text."""
    if inspect.isfunction(value):
        yield from ((value.__module__, value.__qualname__, text) for text in value.__annotations__.values())
    for each in inspect.getmro(value) if inspect.isclass(value) else ():
        if each.__module__.startswith("wrapper."):
            members = {name: member for name, member in vars(each).items() if not name.startswith("_")}
            functions = [_function(member) for member in (vars(each).get("__init__"), *members.values())]
            for source in (each, *filter(inspect.isfunction, functions)):
                for name, text in inspect.get_annotations(source).items():
                    yield each.__module__, f"{source.__qualname__}, {name}", str(text)


def _function(member: Any) -> Any:
    return member.fget if isinstance(member, property) else getattr(member, "__func__", member)


def _names(annotation: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(annotation)) if isinstance(node, ast.Name)}


def _ours(module: str) -> set[str]:
    """What a module defines, or has from others of the package."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.level:
            found |= {each.asname or each.name for each in node.names}
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    return found


USER = """
import skopeo_incremental
from {package} import ContentError, Incremental, Output, PullResult, SpecImage, __version__

def plan(output: Output) -> PullResult:
    incremental = Incremental(deltas=skopeo_incremental.DeltaOptions(enabled=True))
    image = SpecImage("app:2", "host.example/app:2", "host.example/app:1")
    assert image.final.registry and image.bases[0].tag
    try:
        with incremental.pull_bundle([image], output=output) as archive:
            return archive.result
    except ContentError as error:
        raise SystemExit(error.next_step + __version__) from None
"""


def test_users_are_checked(tmp_path: Path) -> None:
    for package in ("skopeo_incremental", "wrapper"):
        (tmp_path / f"{package}_user.py").write_text(USER.format(package=package))
    (tmp_path / "wrong.py").write_text(
        "from skopeo_incremental import Incremental, Incrmental\nIncremental(jobs='2')\n"
    )
    # As for anybody who has it installed.
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}", "."]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "Found 2 errors in 1 file" in ran.stdout, ran.stdout + ran.stderr
    assert 'has no attribute "Incrmental"' in ran.stdout
    assert "[arg-type]" in ran.stdout


def test_the_images_of_a_spec_are_written_as_on_the_command_line() -> None:
    one, two = (Reference.parse(f"host.example/app:{tag}") for tag in "12")
    image = SpecImage("app:2", "host.example/app:2", "docker://host.example/app:1")
    assert image == SpecImage("app:2", two, (one,)) == SpecImage("app:2", two, ["host.example/app:1"])
    assert (image.final, image.bases) == (two, (one,))
    assert SpecImage("app:2", two).bases == SpecImage("app:2", two, None).bases == ()
    platform = Platform("linux", "amd64")
    with pytest.raises(UsageError, match="'Not a name' is no name"):
        SpecImage("Not a name", two)
    with pytest.raises(UsageError, match="not in a registry"):
        SpecImage("app:2", "oci:folder")
    with pytest.raises(UsageError, match="every platform travels"):
        SpecImage("app:2", two, all=True, platform=platform)
    assert SpecImage("app:2", two, platform=platform).platform is platform
