"""The cache gives out what it has hashed, whoever writes to its folder meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.images import digest_of
from wrapper import CacheOptions, UsageError
from wrapper.host.progress import Progress
from wrapper.oci.layout import Layout
from wrapper.source.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path

GOOD, EVIL = b"a layer", b"another"


lines: list[str] = []
progress = Progress(lambda event: lines.append(event.message))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(CacheOptions(tmp_path / "cache"), progress)


def entry(cache: Cache) -> Path:
    return cache.folder / digest_of(GOOD).removeprefix("sha256:")


def test_what_is_given_out_is_what_was_hashed(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(cache).write_bytes(GOOD)
    touch = os.utime

    def touch_and_swap(path: Path) -> None:
        touch(path)
        (tmp_path / "other").write_bytes(EVIL)
        (tmp_path / "other").replace(path)

    monkeypatch.setattr(os, "utime", touch_and_swap)
    target = tmp_path / "target"
    assert not cache.get(digest_of(GOOD), target) or target.read_bytes() == GOOD


def test_an_entry_that_others_can_change_is_copied(cache: Cache, tmp_path: Path) -> None:
    entry(cache).write_bytes(GOOD)
    entry(cache).chmod(0o666)
    target = tmp_path / "target"
    assert cache.get(digest_of(GOOD), target)
    entry(cache).write_bytes(EVIL)
    assert target.read_bytes() == GOOD


def test_a_symbolic_link_is_followed_and_copied(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(GOOD)
    entry(cache).symlink_to(tmp_path / "elsewhere")
    target = tmp_path / "target"
    assert cache.get(digest_of(GOOD), target)
    (tmp_path / "elsewhere").write_bytes(EVIL)
    assert target.read_bytes() == GOOD


def test_a_pipe_or_a_folder_in_place_of_an_entry_is_passed_over(cache: Cache, tmp_path: Path) -> None:
    os.mkfifo(entry(cache))
    assert not cache.get(digest_of(GOOD), tmp_path / "target")
    entry(cache).unlink()
    entry(cache).mkdir()
    assert not cache.get(digest_of(GOOD), tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert any("no plain file" in line for line in lines)


def test_the_blobs_of_a_layout_are_no_cache(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layout.put(GOOD)
    with pytest.raises(UsageError, match="is part of an OCI layout"):
        Cache(CacheOptions(layout.blobs, max_size=1), progress)
    assert layout.holds(digest_of(GOOD), len(GOOD))
