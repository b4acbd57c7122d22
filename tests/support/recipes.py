"""The commands that a page of the documents shows, as one script.

Blocks marked `sh` or `python` run in their order, in one folder and one shell. A line `<!-- skip: REASON -->` right
before a block leaves it out. A block marked `text` right after one that runs is what that prints: each of its lines
must come, in this order. Digests and numbers may differ.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- skip: (?P<reason>[^\n]+) -->\n)?^```(?P<kind>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INDENTED = re.compile(r"^[ \t]+```", re.MULTILINE)
_VARYING = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:DIGEST"),
    (re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b"), "DIGEST"),
    (re.compile(r"\d[\d.,:]*"), "N"),
    (re.compile(r"\b[kMG]?B\b|\bbytes\b"), "B"),
    (re.compile(r"\s+"), " "),
)
_SECONDS = 120


@dataclass
class Block:
    """A block that runs, and what its page says that it prints."""

    kind: str
    text: str
    expected: str = ""


def blocks_of(page: Path) -> list[Block]:
    """Return what of a page is to run."""
    shown = page.read_text()
    assert not _INDENTED.search(shown), "a block in a list would not run"
    found: list[Block] = []
    end, ran = -1, False
    for match in _BLOCK.finditer(shown):
        follows = ran and not shown[end : match.start()].strip()
        if match["kind"] == "text" and follows:
            found[-1].expected = match["text"]
        ran = match["kind"] in ("sh", "python") and not match["reason"]
        if ran:
            found.append(Block(match["kind"], match["text"]))
        end = match.end()
    return found


def run(blocks: list[Block], folder: Path, environment: dict[str, str]) -> None:
    """Run blocks in a folder, and compare what they print with what is expected."""
    lines = ["set -eu", "exec 2>&1"]
    for number, block in enumerate(blocks):
        lines.append(f"echo '@@ {number}'")
        if block.kind == "sh":
            lines.append(block.text)
        else:
            (folder / f"block{number}.py").write_text(block.text)
            lines.append(f"python block{number}.py")
    script = folder / "page.sh"
    script.write_text("\n".join(lines) + "\n")
    # A page may start servers: they end with it, however it ends.
    with subprocess.Popen(
        ["sh", script.name], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            said, _ = running.communicate(timeout=_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 0, said
    printed = re.split(r"^@@ \d+\n", said, flags=re.MULTILINE)[1:]
    for block, output in zip(blocks, printed, strict=True):
        compare(block.expected, output)


def compare(expected: str, output: str) -> None:
    """Each line that is expected comes, in this order; others may stand between."""
    there = iter([_plain(line) for line in output.splitlines()])
    for line in expected.splitlines():
        assert any(_plain(line) == each for each in there), f"not printed: {line}\nin:\n{output}"


def _plain(line: str) -> str:
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.strip()
