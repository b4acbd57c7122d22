"""A signal's exception that gets lost comes back, and nothing is printed of it."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent


def outcome(body: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: what it leaves pending would end the tests.
    return subprocess.run([sys.executable, "-c", dedent(body)], capture_output=True, text=True, check=False)


def test_lost_in_a_hook_of_fork_it_is_raised_again() -> None:
    ended = outcome("""
        import os
        from wrapper.host.signals import check, interrupt
        os.register_at_fork(after_in_parent=lambda: interrupt(SystemExit(7)))
        if pid := os.fork():
            os.waitpid(pid, 0)
            check()
    """)
    assert (ended.returncode, ended.stderr) == (7, "")


def test_other_lost_exceptions_are_still_told() -> None:
    ended = outcome("""
        import os
        from wrapper.host.signals import interrupt
        try:
            interrupt(KeyboardInterrupt())
        except KeyboardInterrupt:
            pass
        def fail():
            raise ValueError("another")
        os.register_at_fork(after_in_parent=fail)
        if pid := os.fork():
            os.waitpid(pid, 0)
    """)
    assert ended.returncode == 0
    assert "ValueError: another" in ended.stderr
