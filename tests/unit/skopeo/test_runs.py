"""A child that ends before it is skopeo."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

ENDED_EARLY = """
import os, sh, threading
from wrapper.errors import HostError
from wrapper.host.signals import interrupt
from wrapper.skopeo.runs import Runs

os.register_at_fork(after_in_child=lambda: os._exit(255))
runs = Runs(sh.Command("true"), "/", {}, None)
"""


def outcome(body: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: all its forks end at once.
    script = ENDED_EARLY + dedent(body)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_it_is_said_in_our_words() -> None:
    ended = outcome("""
        try:
            runs.start(["inspect"])
        except HostError as error:
            print(error.message)
    """)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "skopeo was ended while it started\n", "")


def test_of_a_signal_that_reached_the_child_first_the_command_ends() -> None:
    ended = outcome("""
        def notice():
            try:
                interrupt(SystemExit(7))
            except SystemExit:
                pass
        threading.Timer(0.03, notice).start()
        runs.start(["inspect"])
    """)
    assert (ended.returncode, ended.stderr) == (7, "")
