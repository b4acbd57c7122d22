"""Signs of life: on a terminal, in a pipe, as JSON, to a library's caller; and how that caller ends a call."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import subprocess
import sys
import termios
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.support.images import fresh, layer, put_image
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT
from tests.support.world import files, zipped
from wrapper import Access, DeltaOptions, Incremental
from wrapper.events import ENDED, MOVED, PHASES, Event
from wrapper.host import progress
from wrapper.host.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.registry import Registry
    from tests.support.tool import Tool
    from tests.support.world import World

# Larger ones are measured by hand: SIGNS_OF_LIFE=200,4 takes an image of 200 MB over a link of 4 MB/s.
_SIZE, _RATE = (int(float(each) * 1_000_000) for each in os.environ.get("SIGNS_OF_LIFE", "6,0.5").split(","))
_SECONDS = 10
PLAIN = Access(tls_verify=False)


class Watched:
    """A command that runs, with what it said on standard error, and when."""

    def __init__(self, tool: Tool, arguments: Sequence[str], *, terminal: bool) -> None:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            termios.tcsetwinsize(theirs, (24, 100))
        environment = tool.environment | {"TERM": "xterm-256color"}
        self.said = b""
        self.longest = 0.0
        last = time.monotonic()
        with subprocess.Popen(
            [*tool.command, *arguments],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=tool.home,
        ) as running:
            os.close(theirs)
            while part := self._read(ours):
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
                self.said += part
            os.close(ours)
            self.longest = max(self.longest, time.monotonic() - last)
            self.stdout = running.stdout.read() if running.stdout else b""
        self.code = running.returncode

    def _read(self, descriptor: int) -> bytes:
        try:
            return os.read(descriptor, 65536)
        except OSError:
            # The other end of a terminal is closed.
            return b""


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_no_ten_seconds_without_a_sign_of_life(
    tool: Tool, vendor: Registry, customer: Registry, *, terminal: bool
) -> None:
    at = fresh("slow")
    noise = random.Random(at).randbytes(_SIZE)
    images = [put_image(vendor, at, tag, [zipped({"noise": noise, "release": tag.encode()}, 1)]) for tag in "12"]
    with Proxy(vendor.host, bytes_per_second=_RATE) as slow, Proxy(customer.host, bytes_per_second=_RATE) as there:
        source, target = f"{slow.host}/{at}", f"{there.host}/{at}"
        tool.good("pull", f"{vendor.host}/{at}:1", "-o", "1.tar", *PLAIN_PULL)
        tool.good("push", "1.tar", f"{customer.host}/{at}:1", *PLAIN_DEST)
        pull = ["pull", f"{source}:2", "--base", f"{source}:1", "--delta", "-o", "2.tar", *PLAIN_PULL]
        for arguments in (pull, ["push", "2.tar", f"{target}:2", *PLAIN_DEST]):
            watched = Watched(tool, arguments, terminal=terminal)
            assert watched.code == 0, watched.said.decode()
            assert watched.longest < _SECONDS, watched.said.decode()
            shown = watched.said.decode()
            step = "fetching" if arguments is pull else "sending"
            assert re.search(rf"\[\d/\d\] {step} \S+.* \d+\.\d (MB )?of \d+\.\d MB", shown), shown
            assert ("\x1b[" in shown) == terminal
            if terminal:
                assert re.search(r"\d (kB|MB)/s +\d:\d\d left", shown), shown
    assert customer.manifest(at, "2") == images[1].raw


def put_two(vendor: Registry) -> tuple[str, str]:
    """Two releases of one layer, of which little changes."""
    at = fresh("one")
    for tag in "12":
        put_image(vendor, at, tag, [zipped(files(at, 60) | {"release": tag.encode()})])
    return f"{vendor.host}/{at}:1", f"{vendor.host}/{at}:2"


def test_one_layer_is_compared_step_by_step(tool: Tool, vendor: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    # However fast a machine is, it is looked at meanwhile.
    monkeypatch.setattr(progress, "BEAT", 0.01)
    base, final = put_two(vendor)
    events: list[Event] = []
    deltas = DeltaOptions(enabled=True)
    incremental = Incremental(base_auth=PLAIN, final_auth=PLAIN, deltas=deltas, on_event=events.append)
    incremental.pull(base, final, output=tool.home / "2.tar").close()
    shares = [event.bytes_done / event.bytes_total for event in events if event.phase == "comparing"]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert any(0 < share < 1 for share in shares), shares


def test_a_bundle_is_shown_by_its_names(world: World, wide: tuple[str, object]) -> None:
    tool = world.tool
    images = [
        {"name": "team/app:2", "final": world.reference("2")},
        {"name": "team/wide:1", "final": wide[0], "all": True},
    ]
    (tool.home / "spec.json").write_text(json.dumps({"images": images}))
    ran = tool.good("pull", "--spec", "spec.json", "-o", "b.tar", *PLAIN_PULL, "--progress", "json", "--json")
    items = {(each["phase"], each["item"]) for each in map(json.loads, ran.stderr.splitlines())}
    assert {("fetching", "team/app:2"), ("fetching", "team/wide:1")} <= items
    assert ran.json["bundle"]


def test_json_lines(world: World) -> None:
    tool = world.tool
    schema = json.loads((ROOT / "wrapper/oci/schemas/progress.json").read_text())
    assert schema["properties"]["phase"]["enum"] == ["", *PHASES]
    world.deliver("1")
    pull = ("pull", world.reference("2"), "--base", world.reference("1"), "-o", "2.tar", *PLAIN_PULL)
    push = ("push", "2.tar", world.there("2"), *PLAIN_DEST)
    phases = []
    for arguments in (pull, push):
        lines = tool.good(*arguments, "--progress", "json").stderr.splitlines()
        events = [json.loads(line) for line in lines]
        for event in events:
            jsonschema.validate(event, schema)
        assert events[-1]["kind"] == ENDED
        phases += [event["phase"] for event in events if event["step"]]
        last = [event for event in events if event["phase"] in ("fetching", "sending")][-1]
        assert last["bytes_done"] == last["bytes_total"] > 0
    assert list(dict.fromkeys(phases)) == [
        *("reading", "fetching", "packing"),
        *("verifying", "vetting", "sending", "reading back"),
    ]


@pytest.mark.parametrize("mode", ["none", "plain"])
def test_other_ways_to_be_shown(world: World, mode: str) -> None:
    tool, final = world.tool, world.reference("2")
    ran = tool.good("pull", final, "-o", "2.tar", *PLAIN_PULL, "--progress", mode)
    assert ("reading" in ran.stderr) == (mode == "plain")
    if mode == "none":
        assert ran.stderr == ""
    # What is asked for last counts.
    assert tool.good("pull", final, "-o", "2.tar", *PLAIN_PULL, "-q", "--progress", mode).stderr == ""


class EnoughError(Exception):
    pass


@pytest.mark.parametrize("phase", ["reading", "fetching", "vetting", "sending"])
def test_who_is_told_may_end_a_call(
    tool: Tool, vendor: Registry, customer: Registry, tmp_path: Path, phase: str
) -> None:
    at = fresh("ended")
    image = put_image(vendor, at, "1", [layer(at, 3_000_000)])
    raised: list[float] = []

    def receive(event: Event) -> None:
        # Not at once: in the middle of what is done meanwhile.
        if event.kind == MOVED and event.phase == phase and (phase != "fetching" or event.bytes_done):
            raised.append(time.monotonic())
            raise EnoughError

    before = set(threading.enumerate())
    temporary = tmp_path / "temp"
    temporary.mkdir()
    output = tmp_path / "out.tar"
    quiet = Incremental(final_auth=PLAIN, push_auth=PLAIN)
    slow = Proxy((vendor if phase in ("reading", "fetching") else customer).host, bytes_per_second=400_000)
    with slow, quiet.pull(None, f"{vendor.host}/{at}:1") as archive:
        told = Incremental(
            final_auth=PLAIN,
            push_auth=PLAIN,
            on_event=receive,
            temp_dir=temporary,
            skopeo=str(tool.spy("sleep 0.5")),
        )
        call = (
            partial(told.pull, None, f"{slow.host}/{at}:1", output=output)
            if phase in ("reading", "fetching")
            else partial(told.push, archive, f"{slow.host}/{at}:1")
        )
        with pytest.raises(EnoughError):
            call()
        assert time.monotonic() - raised[0] < 5
    assert len(raised) == 1
    assert not output.exists()
    assert list(temporary.iterdir()) == []
    for left in set(threading.enumerate()) - before:
        left.join(30)
        assert not left.is_alive()
    assert customer.manifest(at, "1") is None
    # The next call is another one.
    with quiet.pull(None, f"{vendor.host}/{at}:1") as archive:
        assert archive.result.digest == image.digest


def test_who_is_told_may_end_a_comparison(tool: Tool, vendor: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    base, final = put_two(vendor)
    workers: list[Worker] = []
    told = Worker.told

    def look(worker: Worker) -> float:
        workers.append(worker)
        return told(worker)

    def receive(event: Event) -> None:
        if event.phase == "comparing" and workers:
            raise EnoughError

    monkeypatch.setattr(Worker, "told", look)
    monkeypatch.setattr(progress, "BEAT", 0.01)
    output = tool.home / "2.tar"
    incremental = Incremental(
        base_auth=PLAIN,
        final_auth=PLAIN,
        deltas=DeltaOptions(enabled=True),
        on_event=receive,
        temp_dir=tool.temporary,
    )
    with pytest.raises(EnoughError):
        incremental.pull(base, final, output=output)
    assert workers
    assert not any(worker.is_running() for worker in workers)
    assert not output.exists()
    assert tool.leftovers() == []


def test_a_display_can_be_interrupted(tool: Tool, vendor: Registry) -> None:
    at = fresh("bar")
    put_image(vendor, at, "1", [layer(at, 3_000_000)])
    ours, theirs = pty.openpty()
    with (
        Proxy(vendor.host, bytes_per_second=400_000) as slow,
        subprocess.Popen(
            [sys.executable, "-m", "wrapper", "pull", f"{slow.host}/{at}:1", "-o", "1.tar", *PLAIN_PULL],
            stderr=theirs,
            env=tool.environment | {"TERM": "xterm", "PYTHONPATH": str(ROOT)},
            cwd=tool.home,
        ) as running,
    ):
        os.close(theirs)
        said = b""
        while b"fetching" not in said or b"B/s" not in said:
            said += os.read(ours, 65536)
        running.terminate()
        while part := _rest(ours):
            said += part
    os.close(ours)
    assert running.returncode == 143
    # The cursor is there again.
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l")
    assert b"error: terminated" in said
    assert not (tool.home / "1.tar").exists()


def _rest(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
