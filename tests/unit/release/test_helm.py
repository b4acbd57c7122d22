"""Charts without helm: what they say of themselves, packed or not, hostile or not."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from wrapper import ContentError, FoundImage
from wrapper.release import helm, packed
from wrapper.release.helm import images_in

if TYPE_CHECKING:
    from pathlib import Path

CHART = """apiVersion: v2
name: shop
version: 1.0.0
annotations:
  artifacthub.io/images: |
    - name: web
      image: host.example/web:1
    - name: db
      image: host.example/db:2
      whitelisted: true
"""
INNER = "apiVersion: v2\nname: cache\nannotations:\n  images: |\n    - {name: cache, image: host.example/cache:3}\n"
LOCK = """apiVersion: v0
kind: ImagesLock
images:
- name: tools
  image: host.example/tools:4
  chart: shop
  digests: [{digest: "sha256:00", arch: linux/amd64}]
"""
PACKED_INNER = INNER.replace("cache:3", "packed:5")


@pytest.fixture(autouse=True)
def without_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm.shutil, "which", lambda _: None)


def pack(content: dict[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in content.items():
            raw = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return out.getvalue()


def whole(prefix: str = "shop/") -> dict[str, bytes | str]:
    return {
        f"{prefix}Chart.yaml": CHART,
        f"{prefix}Images.lock": LOCK,
        f"{prefix}charts/cache/Chart.yaml": INNER,
        f"{prefix}charts/packed-1.tgz": pack({"packed/Chart.yaml": PACKED_INNER}),
        f"{prefix}templates/Chart.yaml": "{{ no YAML",
        f"{prefix}values.yaml": "image: host.example/no:1",
    }


IMAGES = {"web:1", "db:2", "cache:3", "tools:4", "packed:5"}


def found(path: Path) -> set[str]:
    first, *images = images_in(path)
    assert isinstance(first, str)
    assert "helm is not installed: only the images that the chart lists are taken" in first
    assert all(isinstance(each, FoundImage) and each.where.startswith(str(path)) for each in images)
    return {each.reference.removeprefix("host.example/") for each in images if isinstance(each, FoundImage)}


def test_a_folder_and_a_packed_chart_say_the_same(tmp_path: Path) -> None:
    for name, data in whole("").items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    (tmp_path / "shop.tgz").write_bytes(pack(whole()))
    assert found(tmp_path / "shop") == found(tmp_path / "shop.tgz") == IMAGES


def test_a_chart_that_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: shop\nannotations:\ndependencies:\n")
    (tmp_path / "Images.lock").write_text("kind: ImagesLock\nimages: []\n")
    (only,) = images_in(tmp_path)
    assert "helm is not installed: only the images that the chart lists are taken; or render it" in str(only)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("Chart.yaml", "", r"Chart.yaml breaks the schema: None is not of type 'object'"),
        ("Chart.yaml", "just text\n", r"Chart.yaml breaks the schema: 'just text' is not"),
        ("Chart.yaml", "annotations: {images: [{image: a:1}]}\n", r"breaks the schema at annotations.images: "),
        ("Chart.yaml", "annotations: {images: 'a: b'}\n", r"annotations.images breaks the schema at images: "),
        ("Chart.yaml", "annotations: {images: '- a:1'}\n", r"images\[0\]: 'a:1' is not of type 'object'"),
        ("Chart.yaml", "annotations: {images: '- {name: a}'}\n", r"images\[0\]: 'image' is a required property"),
        ("Chart.yaml", "annotations: {images: '[a'}\n", r"annotations.images: line 1: it is not YAML"),
        ("Chart.yaml", "dependencies: [redis]\n", r"Chart.yaml breaks the schema at dependencies\[0\]: "),
        ("Images.lock", "images: [{image: 3}]\n", r"Images.lock breaks the schema at images\[0\].image: 3 is not"),
        ("Images.lock", "images: 3\n", r"Images.lock breaks the schema at images: 3 is not"),
        ("Images.lock", "", r"Images.lock breaks the schema: None is not"),
    ],
    ids=range(11),
)
def test_charts_fit_the_schemas(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / "Chart.yaml").write_text("name: shop\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(ContentError, match=words):
        list(images_in(tmp_path))


def test_a_library_is_a_part_of_other_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Chart.yaml").write_text("name: common\ntype: library\n")
    (tmp_path / "charts/cache").mkdir(parents=True)
    (tmp_path / "charts/cache/Chart.yaml").write_text(INNER)
    monkeypatch.setattr(helm.shutil, "which", lambda _: "/bin/false")
    assert list(images_in(tmp_path)) == []


def test_helm_may_not_take_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    (tmp_path / "Chart.yaml").write_text(CHART)
    monkeypatch.setattr(helm.shutil, "which", lambda _: str(program))
    monkeypatch.setattr(helm, "RENDER_SECONDS", 0)
    with pytest.raises(ContentError, match=r"helm was ended while it rendered .*: it may take 0 seconds"):
        list(images_in(tmp_path))


def test_what_is_no_chart(tmp_path: Path) -> None:
    path = tmp_path / "x.tgz"
    for raw, words in (
        (pack({"shop/values.yaml": "a: 1"}), "is not a Helm chart"),
        (gzip.compress(b"no tar" * 500), "is not a packed chart"),
        (pack(whole())[:-40], "is not a packed chart"),
        (b"\x1f\x8bnothing", "is not a packed chart"),
        (pack({"shop/Chart.yaml": "a: ["}), "x.tgz/shop/Chart.yaml: line 1: it is not YAML"),
    ):
        path.write_bytes(raw)
        with pytest.raises(ContentError, match=words):
            list(images_in(path))


def test_a_packed_chart_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "UNPACKED_BYTES", 1_000_000)
    path = tmp_path / "x.tgz"
    path.write_bytes(pack({"shop/Chart.yaml": CHART, "shop/large": bytes(2_000_000)}))
    with pytest.raises(ContentError, match=r"x.tgz is longer than 1000000 bytes when it is unpacked"):
        list(images_in(path))
    # Those in it count together.
    inner = pack({"in/Chart.yaml": INNER, "in/large": bytes(400_000)})
    path.write_bytes(pack({"shop/Chart.yaml": CHART} | {f"shop/charts/{n}.tgz": inner for n in range(3)}))
    with pytest.raises(ContentError, match=r"is longer than 1000000 bytes when it is unpacked"):
        list(images_in(path))


@pytest.mark.parametrize("kind", ["name", "extension"])
def test_headers_of_a_packed_chart_are_bounded(tmp_path: Path, kind: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT if kind == "name" else None) as tar:
        member = tarfile.TarInfo("n" * 20_000 if kind == "name" else "shop/values.yaml")
        member.pax_headers = {"comment": "x" * 20_000}
        tar.addfile(member)
    (tmp_path / "x.tgz").write_bytes(out.getvalue())
    with pytest.raises(ContentError, match=r"x.tgz has a member whose headers claim more than 16384 bytes"):
        list(images_in(tmp_path / "x.tgz"))


def test_headers_of_one_member_count_together(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for _ in range(9):
            member = tarfile.TarInfo("././@LongLink")
            member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2000
            tar.addfile(member, io.BytesIO(bytes(2000)))
    (tmp_path / "x.tgz").write_bytes(out.getvalue())
    with pytest.raises(ContentError, match=r"x.tgz has a member whose headers claim more"):
        list(images_in(tmp_path / "x.tgz"))


def test_members_of_a_packed_chart_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many: dict[str, bytes | str] = {f"shop/templates/{number}.yaml": "a: 1" for number in range(100)}
    (tmp_path / "x.tgz").write_bytes(pack(many | whole()))
    assert found(tmp_path / "x.tgz") == IMAGES
    monkeypatch.setattr(packed, "MEMBERS", 3)
    (tmp_path / "x.tgz").write_bytes(pack({"shop/Chart.yaml": CHART, "shop/a": "", "shop/b": "", "shop/c": ""}))
    with pytest.raises(ContentError, match=r"x.tgz has more than 3 members"):
        list(images_in(tmp_path / "x.tgz"))


def test_dependencies_that_are_absent(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_bytes(
        pack(whole() | {"shop/Chart.yaml": f"{CHART}dependencies:\n- name: cache\n- name: gone\n"})
    )
    (absent,) = (each for each in images_in(tmp_path / "x.tgz") if "it depends on" in str(each))
    assert "it depends on the chart gone, which is not in charts/" in str(absent)


def test_links_in_charts_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(INNER)
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts/loop").symlink_to(tmp_path)
    assert len([each for each in images_in(tmp_path) if isinstance(each, FoundImage)]) == 5


def test_charts_in_charts_have_an_end(tmp_path: Path) -> None:
    raw = pack({"shop/Chart.yaml": INNER})
    for _ in range(20):
        raw = pack({"shop/Chart.yaml": "name: outer\n", "shop/charts/inner.tgz": raw})
    (tmp_path / "x.tgz").write_bytes(raw)
    assert not [each for each in images_in(tmp_path / "x.tgz") if isinstance(each, FoundImage)]
