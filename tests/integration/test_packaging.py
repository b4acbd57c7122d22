"""Wheels and sdist: the same bytes twice, sound, and installable by what people install with."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.tool import ROOT

if TYPE_CHECKING:
    from tests.support.release import Release
    from tests.support.tool import Tool

OWN = f"cp{sys.version_info.major}{sys.version_info.minor}"
ABI3, PURE = "cp311-abi3", "py3-none-any"
COMMANDS = (
    "complete",
    "diff",
    "doctor",
    "inspect",
    "kit",
    "kit export",
    "kit import",
    "mirror-config",
    "pull",
    "push",
    "spec",
    "status",
    "vet",
)
PAGES = {"skopeo-incremental.1", *(f"skopeo-incremental-{each.replace(' ', '-')}.1" for each in COMMANDS)}
FORMATS = {"skopeo-incremental-spec.5"}


def run(*words: str | Path, **more: str) -> str:
    ran = subprocess.run([*map(str, words)], env=os.environ | more, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels and sdist, built once for all that test side by side."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    with (folder.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            run(ROOT / "scripts/build", folder.with_suffix(".new"))
            folder.with_suffix(".new").rename(folder)
    return folder


def wheel(folder: Path, tags: str = f"{OWN}-{OWN}") -> Path:
    (found,) = folder.glob(f"*-{tags}*.whl")
    return found


def pythons() -> list[str]:
    """This machine's Pythons that the package supports."""
    places = os.environ["PATH"].split(":")
    for shims in [place for place in places if place.endswith("/shims")]:
        # pyenv's: they run the one that is chosen, and no other.
        places.remove(shims)
        places += map(str, Path(shims).parent.glob("versions/*/bin"))
    found = [shutil.which(f"python3.{minor}", path=":".join(places)) for minor in range(11, 20)]
    return [path for path in found if path]


def test_two_builds_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    run(ROOT / "scripts/build", tmp_path)
    sums = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in (built, tmp_path)
    ]
    assert sums[0] == sums[1]
    assert len(sums[0]) == 4


def test_wheels_are_what_their_names_say(built: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
    for tags in (f"{OWN}-{OWN}", ABI3):
        name = wheel(built, tags).name
        (platform,) = (each for each in name.removesuffix(".whl").split(".") if "manylinux_2_" in each)
        said = " ".join(run(sys.executable, "-m", "auditwheel", "show", wheel(built, tags), **environment).split())
        assert f'the following platform tag: "{platform.rpartition("-")[2]}"' in said
    assert wheel(built, PURE).name.endswith(f"{PURE}.whl")
    run(sys.executable, "-m", "abi3audit", "--strict", wheel(built, ABI3), **environment)


def test_pip_takes_the_fastest_that_fits(built: Path) -> None:
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    best = {
        name: min(ranks[tag] for tag in parse_wheel_filename(wheel(built, name).name)[3] if tag in ranks)
        for name in (f"{OWN}-{OWN}", ABI3, PURE)
    }
    assert sorted(best, key=lambda name: best[name]) == list(best)


COMPILED = """
import gzip, io, pathlib
import wrapper.delta
from importlib import import_module
from wrapper.delta.recipe import analyse, rebuild
folder = pathlib.Path(wrapper.delta.__file__).parent
for types in folder.glob("*.pxd"):
    print(types.stem, import_module(f"wrapper.delta.{types.stem}").__file__.rpartition(".abi3")[2])
layer = gzip.compress(bytes(range(256)) * 999, mtime=0)
recipe = analyse(io.BytesIO(layer).read).recipe
print(wrapper.delta.is_compiled(), b"".join(rebuild([bytes(range(256)) * 999], recipe, len(layer))) == layer)
"""


@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).name)
def test_one_compiled_wheel_for_all_pythons(built: Path, tmp_path: Path, python: str) -> None:
    run(python, "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv/bin"
    run(programs / "pip", "install", "--quiet", wheel(built, ABI3))
    *modules, last = run(programs / "python", "-P", "-c", COMPILED).splitlines()
    assert len(modules) == len(list((ROOT / "wrapper/delta").glob("*.pxd")))
    assert {each.split()[1] for each in modules} == {".so"}
    assert last == "True True"
    assert "skopeo" in run(programs / "skopeo-incremental", "--version")


def test_what_is_in_them(built: Path) -> None:
    names = zipfile.ZipFile(wheel(built)).namelist()
    assert {"wrapper/py.typed", "skopeo_incremental/py.typed", "skopeo_incremental/__init__.pyi"} <= set(names)
    schemas = {path.name for path in (ROOT / "wrapper/oci/schemas").glob("*.json")}
    assert {Path(name).name for name in names if name.endswith(".json")} == schemas
    assert {
        Path(name).name for name in names if "/share/man/" in name and not name.endswith("/")
    } == PAGES | FORMATS
    assert {"wrapper/kit/airgap-export", "wrapper/kit/airgap-import"} <= set(names)
    assert {"wrapper/cli/page.css", "wrapper/cli/page.html.j2"} <= set(names)
    assert not any(name.startswith("tests") for name in names)
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    assert {"scripts/airgap-import", "tests/conftest.py", "LICENSE", "CHANGELOG.md", "README.md"} <= inside


def test_a_bare_venv(built: Path, tmp_path: Path, tool: Tool, release: Release) -> None:
    run("/usr/bin/python3", "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv/bin"
    run(programs / "pip", "install", "--quiet", wheel(built))
    assert "skopeo 1." in run(programs / "skopeo-incremental", "--version")
    code = "import skopeo_incremental, wrapper; assert skopeo_incremental.Incremental is wrapper.Incremental"
    run(programs / "python", "-c", code, PYTHONPATH="")
    run(programs / "python", "-P", "-m", "skopeo_incremental", "--help")
    assert {path.name for path in (tmp_path / "venv/share/man/man1").iterdir()} == PAGES
    assert {path.name for path in (tmp_path / "venv/share/man/man5").iterdir()} == FORMATS
    for command in COMMANDS:
        run(programs / "skopeo-incremental", *command.split(), "--help")
    assert "skopeo" in run(programs / "skopeo-incremental", "doctor")
    # Kits are made and imported by what is installed; what they bring along pip finds where it is told.
    kit, spec = tmp_path / "kit", release.spec("1")
    plain = ("--tls-verify", "false")
    bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_FIND_LINKS": str(built), "PYTHONPATH": ""}
    run(programs / "skopeo-incremental", "kit", "export", spec, kit, "--self-contained", *plain, **bare)
    assert [path.name for path in kit.glob("wheels/*/skopeo_incremental-*")] == [wheel(built).name]
    where = f"docker://{release.customer.host}/{release.prefix}"
    receipt = ("--receipt", tmp_path / "receipt.json")
    run(programs / "skopeo-incremental", "kit", "import", kit, where, *receipt, *plain, **bare)
    assert release.arrived("1")


@pytest.mark.parametrize("environment", [{"CC": "/bin/false"}, {"SKOPEO_INCREMENTAL_PURE": "1"}])
def test_without_a_compiler(tmp_path: Path, environment: dict[str, str]) -> None:
    """It is installed all the same, runs, and says that it is slow."""
    source = tmp_path / "source"
    names = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "skopeo_incremental",
            "wrapper",
            "docs/man",
            "*.py",
            "*.toml",
            "*.in",
            "*.md",
            "LICENSE",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, source, **environment)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("py3-none-any.whl") == ("SKOPEO_INCREMENTAL_PURE" in environment)
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "there")
    code = (
        "import gzip, io; from wrapper.delta import is_compiled; "
        "from wrapper.delta.recipe import analyse, rebuild; "
        "layer = gzip.compress(b'new' * 99, mtime=0); recipe = analyse(io.BytesIO(layer).read).recipe; "
        "print(is_compiled(), b''.join(rebuild([b'new' * 99], recipe, len(layer))) == layer)"
    )
    assert run(sys.executable, "-P", "-c", code, PYTHONPATH=str(tmp_path / "there")) == "False True\n"


def test_pipx(built: Path, tmp_path: Path) -> None:
    places = {f"PIPX_{name}": str(tmp_path / name) for name in ("HOME", "BIN_DIR", "MAN_DIR")}
    run(sys.executable, "-m", "pipx", "install", f"{wheel(built)}[yaml]", **places)
    assert "skopeo-incremental" in run(tmp_path / "BIN_DIR/skopeo-incremental", "--version")
    assert list((tmp_path / "MAN_DIR").rglob("skopeo-incremental.1"))


def test_the_man_pages_are_those_of_the_commands(tmp_path: Path) -> None:
    """scripts/man writes them."""
    run(sys.executable, ROOT / "scripts/man.py", tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (ROOT / "docs/man").iterdir()}
    assert made.keys() == PAGES | FORMATS


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_reads_the_pages() -> None:
    for path in (ROOT / "docs/man").iterdir():
        ran = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, check=True)
        assert not ran.stderr
        assert all(word in ran.stdout for word in ("NAME", "EXAMPLES", "SEE ALSO"))


def test_the_version_names_skopeos(tool: Tool, tmp_path: Path) -> None:
    said = run("skopeo", "--version").split()[2]
    assert tool.good("--version").text.strip().endswith(f"skopeo {said}")
    none = {"PATH": str(tmp_path)}
    assert "no skopeo" in tool.good("--version", env=none).text
    (tmp_path / "skopeo").write_text("#!/bin/sh\necho nonsense\n")
    (tmp_path / "skopeo").chmod(0o755)
    assert "no skopeo that answers" in tool.good("--version", env=none).text


def test_the_changelog_has_this_version() -> None:
    from wrapper import __version__

    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_completion(tool: Tool) -> None:
    words = {
        "_SKOPEO_INCREMENTAL_COMPLETE": "bash_complete",
        "COMP_WORDS": "skopeo-incremental p",
        "COMP_CWORD": "1",
    }
    offered = tool.good(env=words).text.split()
    assert {each.rpartition(",")[2] for each in offered} == {"pull", "push"}
    script = tool.good(env={"_SKOPEO_INCREMENTAL_COMPLETE": "bash_source"}).text
    assert "complete" in script
