"""What never answers: a credential helper, a skopeo that is stopped, a destination that stops reading."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.images import fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, Ran, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry

ANN = ACCOUNTS["ann"]
TIMEOUT = 2


class Hanging:
    """A registry with a login, an image there, and programs that hang when it is their turn."""

    def __init__(self, tool: Tool, locked: Registry) -> None:
        self.tool = tool
        repository, self.target = fresh(), fresh("there")
        put_image(locked, repository, "1", [layer("a")])
        put_image(locked, self.target, "1", [layer("a")])
        self.image = put_image(locked, repository, "2", [layer("a"), layer(repository)])
        self.registry = locked
        login = ("--final-creds", ANN, "--base-creds", ANN)
        self.pull = (
            "pull", f"{locked.host}/{repository}:2", "-b", f"{locked.host}/{repository}:1", *PLAIN_PULL, "-o",
        )  # fmt: skip
        tool.good(*self.pull, "good.tar", *login)
        there = f"{locked.host}/{self.target}:2"
        self.commands: dict[str, tuple[str, ...]] = {
            "pull": (*self.pull, "o.tar"),
            "vet": ("vet", "good.tar", there, *PLAIN_DEST),
            "push": ("push", "good.tar", there, *PLAIN_DEST),
            "doctor": ("doctor", there, "--tls-verify", "false"),
        }
        self.programs = tool.home.parent / "programs"
        self.programs.mkdir()
        self.turns = tool.home.parent / "turns"
        # Whoever looks for what is left knows it by this.
        self.sleep = f"sleep 98765{time.monotonic_ns() % 100000}"

    def program(self, name: str, turn: int, hang: str, else_: str) -> None:
        """Make a program that hangs from its nth turn on."""
        path = self.programs / name
        path.write_text(
            # Two may begin at once.
            f"#!/bin/sh\nturn=$(flock {path} sh -c 'echo . >> {self.turns}; wc -l < {self.turns}')\n"
            f"[ $turn -lt {turn} ] || {{ {hang}; }}\n{else_}\n"
        )
        path.chmod(0o755)

    def helper(self, turn: int, *, stubborn: bool) -> None:
        user, _, password = ANN.partition(":")
        answer = json.dumps({"ServerURL": "x", "Username": user, "Secret": password})
        hang = ("trap '' TERM; " if stubborn else "") + self.sleep
        self.program("docker-credential-hang", turn, hang, f"cat > /dev/null; echo '{answer}'")
        (self.tool.home / ".docker").mkdir()
        helpers = {"credHelpers": {self.registry.host: "hang"}}
        (self.tool.home / ".docker/config.json").write_text(json.dumps(helpers))

    def stop_skopeo(self, first: int, last: int) -> None:
        real = shutil.which("skopeo")
        self.program("skopeo", first, f"[ $turn -gt {last} ] || kill -STOP $$", f'exec {real} "$@"')

    def run(self, command: str, *more: str) -> Ran:
        """What hangs does so for days: a run that ends was not kept by it."""
        return self.tool(
            *self.commands[command], "--json", "--timeout", str(TIMEOUT), *more,
            env={"PATH": f"{self.programs}:{self.tool.environment['PATH']}"},
        )  # fmt: skip

    def left(self) -> list[str]:
        """What still runs of the programs: one that was killed may take a moment to go."""
        deadline = time.monotonic() + 60
        while (found := self.running()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def running(self) -> list[str]:
        lines = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(process.read_bytes().decode(errors="replace").replace("\0", " "))
            except OSError:
                continue
        return [line for line in lines if self.sleep in line]


@pytest.fixture
def hanging(tool: Tool, locked: Registry) -> Hanging:
    return Hanging(tool, locked)


@pytest.mark.parametrize(
    ("command", "turn", "stubborn", "words"),
    [
        (
            "pull",
            1,
            True,
            ("cannot read docker://", "nothing came for 2 s", "nothing was written", "credential helper"),
        ),
        ("pull", 3, False, ("cannot fetch docker://", "nothing moved for 2 s")),
        ("vet", 1, False, ("cannot read docker://", "nothing came for", "credential helper")),
        ("vet", 2, False, ("cannot tell which layers docker://", "nothing came for", "credential helper")),
        ("push", 1, False, ("docker://", "nothing came for", "credential helper")),
        ("push", 3, True, ("docker://", "nothing came for")),
        # Which run that is depends on which of them asks first.
        ("push", 4, True, ("docker://", ": nothing ", "timeout")),
    ],
)
def test_a_credential_helper_that_hangs(
    hanging: Hanging, command: str, turn: int, stubborn: bool, words: tuple[str, ...]
) -> None:
    hanging.helper(turn, stubborn=stubborn)
    ran = hanging.run(command)
    refused(ran, 5, *words)
    assert hanging.left() == []
    assert hanging.tool.leftovers() == []
    assert not (hanging.tool.home / "o.tar").exists()
    assert hanging.registry.manifest(hanging.target, "2") is None


def test_doctor_finds_a_credential_helper_that_hangs(hanging: Hanging) -> None:
    hanging.helper(1, stubborn=False)
    ran = hanging.run("doctor")
    assert ran.code == 5
    assert "nothing came for 2 s" in ran.text
    assert hanging.left() == []


@pytest.mark.parametrize(
    ("command", "turn"), [("pull", 1), ("pull", 3), ("pull", 4), ("vet", 1), ("vet", 2), ("push", 3)]
)
def test_a_skopeo_that_is_stopped(hanging: Hanging, command: str, turn: int) -> None:
    """Whatever it is to do, its version included."""
    hanging.stop_skopeo(turn, turn)
    side = ("--base-creds", ANN, "--final-creds", ANN) if command == "pull" else ("--dest-creds", ANN)
    ran = hanging.run(command, *side)
    refused(ran, 5, "nothing ")
    assert hanging.tool.leftovers() == []
    assert hanging.registry.manifest(hanging.target, "2") is None


def test_one_of_several_copies_that_hangs(hanging: Hanging) -> None:
    """The others are ended, too."""
    repository = fresh("wide")
    leaves = [
        put_image(hanging.registry, repository, None, [layer(f"{repository}{n}")], arch=f"cpu{n}") for n in range(4)
    ]
    put_list(hanging.registry, repository, "1", [(leaf, platform(f"cpu{n}")) for n, leaf in enumerate(leaves)])
    # The list and its leaves are read before.
    hanging.helper(len(leaves) + 2, stubborn=False)
    hanging.commands["all"] = (
        "pull", f"{hanging.registry.host}/{repository}:1", "--all", "-o", "o.tar", *PLAIN_PULL,
    )  # fmt: skip
    ran = hanging.run("all")
    refused(ran, 5, "cannot fetch docker://", "nothing moved for 2 s")
    assert hanging.left() == []
    assert hanging.tool.leftovers() == []
    assert not (hanging.tool.home / "o.tar").exists()


def test_what_hangs_is_tried_again(hanging: Hanging) -> None:
    hanging.stop_skopeo(1, 2)
    ran = hanging.run(
        "pull", "--base-creds", ANN, "--final-creds", ANN, "--retry-times", "1", "--retry-delay", "0.1"
    )
    assert ran.code == 0, ran.stderr
    assert "nothing came for 2 s" in ran.stderr


def test_a_version_that_is_never_said(hanging: Hanging) -> None:
    hanging.program("skopeo", 1, hanging.sleep, "")
    ran = hanging.tool("--version", env={"PATH": f"{hanging.programs}:{hanging.tool.environment['PATH']}"})
    assert ran.code == 0
    assert "no skopeo that answers" in ran.text
    assert hanging.left() == []


@pytest.mark.parametrize("layers", [1, 6])
def test_a_destination_that_stops_reading(tool: Tool, vendor: Registry, customer: Registry, layers: int) -> None:
    """In the middle of an upload: what skopeo's runtime reads to wake itself is no progress."""
    repository, target = fresh("large"), fresh("there")
    # More than the kernel holds of all connections.
    put_image(vendor, repository, "1", [layer(f"{repository}{n}", 48_000_000 // layers) for n in range(layers)])
    tool.good("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", *PLAIN_PULL)
    timeout = 8
    with Proxy(customer.host, stall_after=2_000_000) as proxy:
        begun = time.monotonic()
        ran = tool(
            "push", "o.tar", f"{proxy.host}/{target}:1", "--json", *PLAIN_DEST, "--timeout", str(timeout),
        )  # fmt: skip
        refused(ran, 5, "cannot send docker://", f"nothing moved for {timeout} s", "--timeout")
        assert time.monotonic() - begun > timeout
    assert customer.manifest(target, "1") is None
    assert tool.leftovers() == []
