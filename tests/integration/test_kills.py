"""Ended at any moment: nothing half-done under its name, no skopeo left, and the next run cleans up."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.images import Image, fresh, layer, put_image
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.registry import Registry

ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
KILLS = 36


def started(tool: Tool, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*tool.command, *map(str, arguments)],
        env=tool.environment,
        cwd=tool.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # A signal to the whole group, as a terminal sends it, must not reach the tests.
        start_new_session=True,
    )


def ready(running: subprocess.Popen[bytes]) -> None:
    """Wait until the command handles signals: before that, Python's own start ends by them, and not always well."""
    while running.poll() is None:
        status = Path(f"/proc/{running.pid}/status").read_text()
        if int(status.partition("SigCgt:")[2].split()[0], 16) & 1 << signal.SIGTERM - 1:
            return
        time.sleep(0.001)


def processes_in(folder: Path) -> list[str]:
    """Processes that work anywhere below `folder`."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and folder in (process / "cwd").readlink().parents:
                found.append((process / "cmdline").read_text(errors="replace"))
        except OSError:
            continue
    return found


def all_gone(folder: Path) -> bool:
    deadline = time.monotonic() + 60
    while processes_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def large(vendor: Registry) -> tuple[str, Image]:
    """An image that takes a moment to move."""
    repository = fresh("large")
    layers = [layer(f"{repository}{number}", 4_000_000) for number in range(4)]
    return f"{vendor.host}/{repository}:1", put_image(vendor, repository, "1", layers)


def test_kills_at_random_moments(
    tool: Tool, vendor: Registry, customer: Registry, large: tuple[str, Image]
) -> None:
    reference, image = large
    tool.good("pull", reference, "-o", "good.tar", *PLAIN_PULL)
    whole = (tool.home / "good.tar").read_bytes()
    begun = time.monotonic()
    tool.good("pull", reference, "-o", "timed.tar", *PLAIN_PULL)
    usual = time.monotonic() - begun
    output = tool.home / "folder" / "o.tar"
    output.parent.mkdir()
    chance = random.Random(4)
    ended = {"in time": 0, "too late": 0}
    for turn in range(KILLS):
        number = list(ENDINGS)[turn % 3]
        target = fresh("there")
        before = {*tool.temporary.iterdir(), *output.parent.iterdir()}
        if turn % 2:
            running = started(tool, "pull", reference, "-o", output, "--tmpdir", tool.temporary, *PLAIN_PULL)
        else:
            running = started(tool, "push", "good.tar", f"{customer.host}/{target}:1", *PLAIN_DEST)
        ready(running)
        time.sleep(chance.uniform(0, 0.9) * usual)
        # A Ctrl-C goes to the whole group.
        os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
        _, stderr = running.communicate(timeout=600)
        assert running.returncode in (0, ENDINGS[number]), stderr
        assert b"Traceback" not in stderr
        ended["too late" if running.returncode == 0 else "in time"] += 1
        assert all_gone(tool.temporary)
        if output.exists():
            assert output.read_bytes() == whole
            output.unlink()
        if number != signal.SIGKILL and running.returncode > 0:
            # No more than what an earlier SIGKILL left, where this run was too short to remove it.
            assert before >= {*tool.temporary.iterdir(), *output.parent.iterdir()}
        if (raw := customer.manifest(target, "1")) is not None:
            assert raw == image.raw
            assert all(customer.has_blob(target, digest) for digest in image.layers)
    assert ended["in time"] >= 20, ended
    # What the last SIGKILLs left is gone after a run that uses the folders.
    tool.good("pull", reference, "-o", output, "--tmpdir", tool.temporary, *PLAIN_PULL)
    assert tool.leftovers() == []
    assert list(output.parent.iterdir()) == [output]


@pytest.fixture
def killed(tool: Tool, large: tuple[str, Image], vendor: Registry) -> Iterator[list[str]]:
    """What a pull leaves that was killed in the middle of its download; the line would be busy for seconds more."""
    with Proxy(vendor.host, bytes_per_second=2_000_000) as proxy:
        slow = large[0].replace(vendor.host, proxy.host)
        running = started(tool, "pull", slow, "-o", "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
        while not any("copy" in line.split("\0") for line in processes_in(tool.temporary)):
            assert running.poll() is None
            time.sleep(0.005)
        running.kill()
        running.communicate()
        left = tool.leftovers()
        assert len(left) == 1
        assert [path.name for path in tool.home.iterdir() if path.suffix == ".part"]
        yield left


def test_skopeo_dies_with_us_and_the_next_run_cleans_up(
    tool: Tool, large: tuple[str, Image], killed: list[str]
) -> None:
    assert all_gone(tool.temporary)
    tool.good("pull", large[0], "-o", "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
    assert tool.leftovers() == []
    assert [path.name for path in tool.home.iterdir()] == ["o.tar"]


def test_a_neighbour_that_is_alive_is_not_touched(tool: Tool, large: tuple[str, Image], killed: list[str]) -> None:
    (lock,) = (tool.temporary / killed[0]).glob("*.lock")
    with lock.open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        tool.good("pull", large[0], "-o", "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
        assert tool.leftovers() == killed
        assert list((tool.temporary / killed[0]).iterdir()) != [lock]


def test_what_another_machine_may_use_is_not_touched(
    tool: Tool, large: tuple[str, Image], killed: list[str]
) -> None:
    """Of a shared folder that shows no machine the other's locks."""
    boot_id = tool.home / "boot_id"
    boot_id.write_text("another\n")
    mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    elsewhere = ["unshare", "--mount", "sh", "-c", mount, str(boot_id)]
    if subprocess.run([*elsewhere, "true"], capture_output=True, check=False).returncode:
        pytest.skip("to be another machine needs root")
    pull = ["pull", large[0], "-o", "o.tar", "--tmpdir", str(tool.temporary), *PLAIN_PULL]
    ran = subprocess.run(
        [*elsewhere, *tool.command, *pull], env=tool.environment, cwd=tool.home, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert str(tool.temporary / killed[0]) in ran.stderr.decode()
    assert tool.leftovers() == killed
    assert [path.name for path in tool.home.iterdir() if path.suffix == ".part"]
    assert "another machine" not in tool.good(*pull).stderr
    assert tool.leftovers() == []
    assert sorted(path.name for path in tool.home.iterdir()) == ["boot_id", "o.tar"]


def test_folders_of_other_people_are_not_touched(tool: Tool, large: tuple[str, Image]) -> None:
    mine = [
        tool.temporary / "skopeo-incremental-releases",
        tool.temporary / "skopeo-incremental-0123456789abcdef",
        tool.temporary / "else",
    ]
    for folder in mine:
        folder.mkdir()
        (folder / "precious").write_text("mine")
    elsewhere = tool.temporary / "skopeo-incremental-fedcba9876543210"
    elsewhere.symlink_to(mine[2])
    (mine[2] / "skopeo-incremental.lock").touch()
    tool.good("pull", large[0], "-o", "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
    assert all((folder / "precious").read_text() == "mine" for folder in mine)
    assert elsewhere.is_symlink()


def test_many_at_once_to_one_output(tool: Tool, large: tuple[str, Image]) -> None:
    """The last complete one wins; at every moment there is a complete one, or none."""
    output = tool.home / "o.tar"
    tool.good("pull", large[0], "-o", output, *PLAIN_PULL)
    whole = output.read_bytes()
    running = [started(tool, "pull", large[0], "-o", output, *PLAIN_PULL) for _ in range(6)]
    seen = [True]
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(output.read_bytes() == whole)

    looking = threading.Thread(target=look)
    looking.start()
    for each in running:
        _, stderr = each.communicate(timeout=600)
        assert each.returncode == 0, stderr
    done.set()
    looking.join()
    assert all(seen)
    assert list(tool.home.iterdir()) == [output]


def test_a_signal_that_the_caller_ignores_stays_ignored(tool: Tool, large: tuple[str, Image]) -> None:
    """As under nohup."""
    running = subprocess.Popen(
        ["nohup", *tool.command, "pull", large[0], "-o", "o.tar", *PLAIN_PULL],
        env=tool.environment, cwd=tool.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    ready(running)
    running.send_signal(signal.SIGHUP)
    _, stderr = running.communicate(timeout=600)
    assert running.returncode == 0, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_while_leaves_are_fetched(
    tool: Tool, vendor: Registry, wide: tuple[str, Image], number: signal.Signals
) -> None:
    reference, _ = wide
    with Proxy(vendor.host, bytes_per_second=200_000) as proxy:
        slow = reference.replace(vendor.host, proxy.host)
        running = started(tool, "pull", slow, "--all", "-o", "o.tar", "--tmpdir", tool.temporary, *PLAIN_PULL)
        while sum("copy" in line.split("\0") for line in processes_in(tool.temporary)) < 2:
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(number)
        _, stderr = running.communicate(timeout=600)
        assert running.returncode == ENDINGS[number], stderr
        assert b"Traceback" not in stderr
        assert all_gone(tool.temporary)
    if number != signal.SIGKILL:
        assert tool.leftovers() == []
        assert list(tool.home.iterdir()) == []
