"""What was seen is remembered for a while, by its hash alone, and never where a link leads."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from wrapper.oci.reference import Reference
from wrapper.source.known import seen, was_seen

if TYPE_CHECKING:
    from pathlib import Path

THERE = Reference.parse("docker://registry.example/team/app:2")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def only_mark(cache: Path) -> Path:
    (mark,) = (path for path in cache.rglob("*") if not path.is_dir())
    return mark


def test_a_repository_is_known_whatever_the_tag(cache: Path) -> None:
    assert not was_seen(THERE)
    seen(THERE)
    assert was_seen(THERE)
    assert was_seen(THERE.tagged("other"))
    assert not was_seen(Reference.parse("docker://registry.example/team/app2"))
    assert only_mark(cache).read_bytes() == b""
    assert "example" not in str(only_mark(cache).relative_to(cache))


@pytest.mark.parametrize("days", [-1, 31])
def test_for_a_month_and_not_from_the_future(cache: Path, days: int) -> None:
    seen(THERE)
    then = time.time() - days * 24 * 3600
    os.utime(only_mark(cache), (then, then))
    assert not was_seen(THERE)
    seen(THERE)
    assert was_seen(THERE)


def test_a_link_is_not_followed(cache: Path, tmp_path: Path) -> None:
    seen(THERE)
    mark, elsewhere = only_mark(cache), tmp_path / "elsewhere"
    mark.unlink()
    mark.symlink_to(elsewhere)
    seen(THERE)
    assert not elsewhere.exists()


def test_a_relative_folder_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    seen(THERE)
    assert not (tmp_path / "relative").exists()
    assert was_seen(THERE)
    assert (tmp_path / "home/.cache").is_dir()
    assert not cache.exists()


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    seen(THERE)
    assert not was_seen(THERE)
