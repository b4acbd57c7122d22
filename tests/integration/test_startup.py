"""What is started, and what is imported: no more than the result needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.registry import Registry


@pytest.fixture
def count(tmp_path: Path, tool: Tool) -> Callable[..., Counter[str]]:
    """Runs the command, and counts what it asks skopeo for."""
    log = tmp_path / "runs"
    spy = tool.spy(f'echo "$*" >> {log}')

    def run(*arguments: str | Path, code: int = 0) -> Counter[str]:
        log.write_text("")
        ran = tool(*arguments, "--skopeo", spy)
        assert ran.code == code, ran.stderr
        words = ("inspect", "copy", "experimental-image-proxy", "--version")
        return Counter(
            next(word for word in words if word in line.split()) for line in log.read_text().splitlines()
        )

    return run


# Its version is looked at once, beside the first copy.
VERSION = Counter({"--version": 1})


def test_a_pull_inspects_each_side_and_copies_once(vendor: Registry, count: Callable[..., Counter[str]]) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer("same")])
    put_image(vendor, repository, "2", [layer("same"), layer(repository)])
    pull = ("pull", f"{vendor.host}/{repository}:2", "--base", f"{vendor.host}/{repository}:1", *PLAIN_PULL)
    assert count(*pull, "-o", "o.tar") == Counter(inspect=2, copy=1) + VERSION
    assert count(*pull, "--dry-run") == Counter(inspect=2)


def test_a_list_is_copied_leaf_by_leaf(vendor: Registry, count: Callable[..., Counter[str]]) -> None:
    repository = fresh()
    leaves = [(put_image(vendor, repository, None, [layer(f"{repository}{n}")]), platform(n)) for n in "abc"]
    put_list(vendor, repository, "1", leaves)
    pull = ("pull", f"{vendor.host}/{repository}:1", *PLAIN_PULL, "-o", "o.tar")
    assert count(*pull, "--all") == Counter(inspect=4, copy=3) + VERSION
    assert count(*pull, "--override-arch", "b") == Counter(inspect=2, copy=1) + VERSION


def test_a_push_reads_the_tag_probes_and_copies(
    tool: Tool, vendor: Registry, customer: Registry, count: Callable[..., Counter[str]]
) -> None:
    repository = fresh()
    shared = [layer(f"{repository}{n}", 100) for n in range(150)]
    put_image(vendor, repository, "1", shared)
    put_image(customer, repository, "1", shared)
    put_image(vendor, repository, "2", [*shared, layer(repository)])
    base = ("--base", f"{vendor.host}/{repository}:1", *PLAIN_PULL)
    tool.good("pull", f"{vendor.host}/{repository}:2", *base, "-o", "o.tar")
    there = f"{customer.host}/{repository}:2"
    # Hundreds of layers are asked for in a handful of runs, whether they are there or not.
    for repositories, code, looks in ((there, 0, 1), (there, 0, 0), (f"{customer.host}/{fresh()}:1", 3, 1)):
        vetting = count("vet", "o.tar", repositories, *PLAIN_DEST, code=code)
        # What is known is not looked at before.
        assert (vetting["inspect"], 1 <= vetting["copy"] <= 16) == (looks, True)
    # The tag is looked at before, and read back after; a few runs read the first bytes of all layers.
    pushing = count("push", "o.tar", there, *PLAIN_DEST)
    assert (pushing["inspect"], 3 <= pushing["copy"] <= 20) == (2, True)
    assert 1 <= pushing["experimental-image-proxy"] <= 6
    again = count("push", "o.tar", there, *PLAIN_DEST)
    assert (again["inspect"], 1 <= again["copy"] <= 16) == (1, True)


def test_what_needs_no_skopeo_starts_none(
    tool: Tool, vendor: Registry, tmp_path: Path, count: Callable[..., Counter[str]]
) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer(repository)])
    tool.good("pull", f"{vendor.host}/{repository}:1", *PLAIN_PULL, "-o", "o.tar")
    none = tmp_path / "none"
    assert "not installed" not in tool.good("inspect", "o.tar", env={"PATH": str(none)}).stderr
    assert count("vet", "o.tar") == Counter()


# What is only for moving images, or takes longest to import.
HEAVY = ("sh", "jsonschema", "hashlib", "tarfile", "json", "subprocess", "wrapper.incremental", "wrapper.oci")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        (["pull", "--help"], {}),
        (
            [],
            {
                "_SKOPEO_INCREMENTAL_COMPLETE": "bash_complete",
                "COMP_WORDS": "skopeo-incremental pu",
                "COMP_CWORD": "1",
            },
        ),
    ],
)
def test_help_and_completion_import_little(tool: Tool, arguments: list[str], variables: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", *tool.command[1:], *arguments],
        capture_output=True,
        text=True,
        # Measuring coverage imports things of its own.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")} | variables,
        check=True,
    )
    assert ran.stdout.strip()
    imported = {
        line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time")
    }
    assert "click.core" in imported
    assert not imported.intersection(HEAVY)
