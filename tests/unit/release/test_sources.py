"""What kind of thing a file is, and what is read of it."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from wrapper import ContentError, FoundImage, Incremental

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


def test_a_list_of_windows(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("# all\r\nhost.example/a:1\r\n".encode("utf-16"))
    assert finals(tmp_path / "list") == ["host.example/a:1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", POD),
        ("manifests", POD),
        ("list", "host.example/a:1\n"),
        ("list.txt", "host.example/a:1\n"),
        ("a.json", '{"containers": [{"image": "host.example/a:1"}]}'),
        ("array.json", '["docker://host.example/a:1"]'),
        ("array.yaml", "# all\n- host.example/a:1\n"),
        ("Images.lock", "kind: ImagesLock\nimages: [{image: 'host.example/a:1'}]\n"),
        ("noname", '{"containers": [{"image": "host.example/a:1"}]}'),
    ],
)
def test_kinds_are_told_by_content_and_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert finals(tmp_path / name) == ["host.example/a:1"]


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    folders = [tmp_path / "/".join("d" * depth) for depth in range(1, sys.getrecursionlimit() + 100)]
    for folder in folders:
        folder.mkdir()
    pod = folders[-1] / "a.yaml"
    try:
        pod.write_text(POD)
        assert finals(tmp_path) == ["host.example/a:1"]
    finally:
        # What removes old folders of tests calls itself for each, too.
        pod.unlink()
        for folder in reversed(folders):
            folder.rmdir()


def test_in_a_folder_a_list_may_be_of_anything(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "words.json").write_text('["alpha", "not an image"]')
    (tmp_path / "none.json").write_text('{"images": []}')
    result = Incremental().spec_from(tmp_path)
    assert (len(result.found), result.warnings) == (1, ())


def test_a_spec_is_one_already(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("host.example/a:1\n")
    (tmp_path / "spec.json").write_text(json.dumps(Incremental().spec_from(tmp_path / "list").spec))
    result = Incremental().spec_from(tmp_path / "list", tmp_path / "spec.json")
    assert result.warnings == (f"{tmp_path}/spec.json is a spec already: it is not read; pull it with `spec`",)


def test_kustomize_changes_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "kustomization.yaml").write_text("images: [{name: host.example/a, newTag: '2'}]\n")
    (tmp_path / "more.yaml").write_text("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n")
    # Not kustomize's, but Flux's.
    (tmp_path / "flux.yaml").write_text("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n")
    assert Incremental().spec_from(tmp_path).warnings == tuple(
        f"{tmp_path}/{name}: what kustomize changes is not known: give the output of kubectl kustomize"
        for name in ("kustomization.yaml", "more.yaml")
    )


def test_what_may_be_an_image_is_said_once(tmp_path: Path) -> None:
    data = {"a": "host.example/b:1", "b": "host.example/b:1", "c": "host.example/c:1"}
    (tmp_path / "a.json").write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": data}))
    (tmp_path / "list").write_text(f"host.example/c:1@sha256:{'1' * 64}\n")
    result = Incremental().spec_from(tmp_path / "a.json", tmp_path / "list")
    place = f"{tmp_path}/a.json: ConfigMap: data.a (and 1 other place)"
    assert result.warnings == (f"{place}: host.example/b:1 may be an image, and is not in the spec",)


def test_each_image_is_in_it_once_and_in_one_order(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("z.example/b:1\nnginx\na.example/c:1\n")
    (tmp_path / "other").write_text("docker.io/library/nginx:latest\nz.example/b:1\n")
    result = Incremental().spec_from(tmp_path / "list", tmp_path / "other")
    assert [image["name"] for image in result.spec["images"]] == ["b:1", "c:1", "library/nginx:latest"]
    assert finals(tmp_path / "other", tmp_path / "list") == [image["final"] for image in result.spec["images"]]
    assert FoundImage("z.example/b:1", f"{tmp_path}/other: line 2", "b:1") in result.found
    assert len(result.found) == 5


def test_long_input_takes_little_memory() -> None:
    raw = b"\n" * 24_000_000
    tracemalloc.start()
    with pytest.raises(ContentError, match="longer than"):
        finals(io.BytesIO(raw))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


@pytest.mark.parametrize("form", ["list", "json"])
def test_there_is_a_bound_for_images(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wrapper.release.spec.FOUND", 100)
    references = [f"a.example/b:{number}" for number in range(101)]
    containers = {"containers": [{"image": each} for each in references]}
    raw = "\n".join(references) if form == "list" else json.dumps(containers)
    with pytest.raises(ContentError, match="more than 100 images"):
        finals(io.BytesIO(raw.encode()))


def test_a_list_is_not_longer_than_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a.example/b:1\n" * 300_000)
    with pytest.raises(ContentError, match="is longer than 4194304 bytes"):
        finals(tmp_path / "a.txt")
