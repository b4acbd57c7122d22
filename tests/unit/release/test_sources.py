"""What kind of thing a file is, and what is read of it."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from wrapper import ContentError, FoundImage, Incremental, IncrementalError
from wrapper.release.spec import FOUND

if TYPE_CHECKING:
    from pathlib import Path

POD = "spec: {containers: [{image: 'host.example/a:1'}]}\n"


def finals(*sources: Path | io.BytesIO) -> list[str]:
    return [image["final"] for image in Incremental().spec_from(*sources).spec["images"]]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=[POD])
    writer.start()
    assert finals(pipe) == ["host.example/a:1"]
    writer.join()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", POD),
        ("manifests", POD),
        ("list", "host.example/a:1\n"),
        ("list.txt", "host.example/a:1\n"),
        ("a.json", '{"containers": [{"image": "host.example/a:1"}]}'),
        ("noname", '{"containers": [{"image": "host.example/a:1"}]}'),
    ],
)
def test_kinds_are_told_by_content_and_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert finals(tmp_path / name) == ["host.example/a:1"]


def test_each_image_is_in_it_once_and_in_one_order(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("z.example/b:1\nnginx\na.example/c:1\n")
    (tmp_path / "other").write_text("docker.io/library/nginx:latest\nz.example/b:1\n")
    result = Incremental().spec_from(tmp_path / "list", tmp_path / "other")
    assert [image["name"] for image in result.spec["images"]] == ["b:1", "c:1", "library/nginx:latest"]
    assert finals(tmp_path / "other", tmp_path / "list") == [image["final"] for image in result.spec["images"]]
    assert FoundImage("z.example/b:1", f"{tmp_path}/other: line 2", "b:1") in result.found
    assert len(result.found) == 5


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\n" * 24_000_000, "longer than"),
        (b"a.example/b:1\n" * (FOUND + 1), f"more than {FOUND} images"),
        (b'{"containers":[' + b'{"image":"a"},' * FOUND + b'{"image":"a"}]}', f"more than {FOUND} images"),
    ],
    ids=["blank lines", "a long list", "many containers"],
)
def test_long_input_takes_little_memory(raw: bytes, words: str) -> None:
    tracemalloc.start()
    with pytest.raises(IncrementalError, match=words):
        finals(io.BytesIO(raw))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


def test_a_list_is_not_longer_than_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a.example/b:1\n" * 300_000)
    with pytest.raises(ContentError, match="is longer than 4194304 bytes"):
        finals(tmp_path / "a.txt")
