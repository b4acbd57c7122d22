"""The Python face, against real registries."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

import wrapper
from tests.support.images import OCI_INDEX, fresh, layer, platform, put_image, put_list
from tests.support.tool import ACCOUNTS, skopeo
from wrapper import (
    Access,
    Authentications,
    Incremental,
    MissingLayersError,
    Platform,
    Reference,
    UsageError,
    Writer,
    build_layers_dictionary,
    fetch_manifests,
    process_list,
)

if TYPE_CHECKING:
    from tests.support.registry import Registry

PLAIN = Access(tls_verify=False)
SIDES = Authentications(PLAIN, PLAIN, PLAIN)


class Release:
    def __init__(self, vendor: Registry, customer: Registry) -> None:
        repository, target = fresh(), fresh("there")
        self.shared = layer(repository)
        self.base = put_image(vendor, repository, "1", [self.shared])
        self.final = put_image(vendor, repository, "2", [self.shared, layer("new")])
        self.one, self.two = f"docker://{vendor.host}/{repository}:1", f"docker://{vendor.host}/{repository}:2"
        self.target = target
        self.there = f"docker://{customer.host}/{target}:2"


@pytest.fixture
def release(vendor: Registry, customer: Registry) -> Release:
    return Release(vendor, customer)


def test_pull_and_push(
    release: Release, customer: Registry, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = io.StringIO()
    incremental = Incremental(
        base_auth=PLAIN, final_auth=PLAIN, push_auth=PLAIN, report_writer=lines, temp_dir=tmp_path
    )
    with incremental.pull(release.one, release.two) as archive:
        path = Path(archive.name)
        assert path.exists()
        assert archive.result.digest == release.final.digest
        assert archive.result.archive is not None
        assert archive.result.archive.path is None
        assert len(archive.read()) == archive.result.archive.size
        vetted = incremental.push_vet(archive)
        assert (vetted.destination, vetted.missing) == (None, ())
        assert [each.digest for each in incremental.push_vet(archive, release.there).missing] == release.base.layers
        with pytest.raises(MissingLayersError) as caught:
            incremental.push(archive, release.there)
        assert [each.digest for each in caught.value.missing] == release.base.layers
        put_image(customer, release.target, "1", [release.shared])
        pushed = incremental.push(archive, release.there)
        assert pushed.digest == release.final.digest
        assert incremental.inspect(archive).format == "1"
    assert not path.exists()
    assert archive.closed
    assert list(tmp_path.iterdir()) == []
    assert "fetching" in lines.getvalue()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        pushed.digest = "x"  # type: ignore[misc]


def test_where_there_are_no_pipes_a_push_unpacks(
    release: Release, customer: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    # More than what is written to a file in any case.
    repository = fresh("pipes")
    image = put_image(customer, repository, "1", [layer(repository, 100_000)])
    incremental = Incremental(authentications=SIDES, temp_dir=tmp_path, trace=lines.append)
    with incremental.pull(None, f"{customer.host}/{repository}:1") as archive:
        for fails in (False, True):
            if fails:
                monkeypatch.setattr(os, "mkfifo", Mock(side_effect=PermissionError(errno.EPERM, "no pipes")))
            target = fresh("unpacked")
            incremental.push(archive, f"{customer.host}/{target}:1")
            assert customer.manifest(target, "1") == image.raw
            assert any("unpacking" in line for line in lines) == fails
        # What is no file of the system's can't be read by others.
        lines.clear()
        target = fresh("unpacked")
        archive.seek(0)
        incremental.push(io.BytesIO(archive.read()), f"{customer.host}/{target}:1")
        assert customer.manifest(target, "1") == image.raw
    assert list(tmp_path.iterdir()) == []


def test_outputs(release: Release, tmp_path: Path) -> None:
    incremental = Incremental(authentications=SIDES, temp_dir=tmp_path)
    out = tmp_path / "out.tar"
    with incremental.pull([release.one], release.two, output=out) as archive:
        assert archive.read() == out.read_bytes()
    assert out.exists()
    stream = io.BytesIO()
    with incremental.pull(Reference.parse(release.one), release.two, output=stream) as archive:
        assert archive.read() == b""
    assert stream.getvalue() == out.read_bytes()
    whole = incremental.plan(None, release.two)
    assert (whole.layers_new, whole.layers_shared, whole.archive) == (2, 0, None)


def test_fetching_manifests(vendor: Registry) -> None:
    repository = fresh()
    leaves = [
        put_image(vendor, repository, None, [layer("x"), layer(arch)], arch=arch) for arch in ("amd64", "arm")
    ]
    final = put_list(
        vendor, repository, "1", [(leaves[0], platform("amd64")), (leaves[1], platform("arm", "v7"))], indent=4
    )
    reference = f"{vendor.host}/{repository}:1"
    found = fetch_manifests(reference, PLAIN)
    assert [each.digest for each in found] == [final.digest, *(leaf.digest for leaf in leaves)]
    assert found[0].raw == final.raw
    assert found[2].platform == Platform("linux", "arm", "v7")
    assert process_list(reference, final.raw, OCI_INDEX, PLAIN) == found[1:]
    assert list(build_layers_dictionary(*found)) == list(dict.fromkeys(leaves[0].layers + leaves[1].layers))
    with pytest.raises(wrapper.ContentError):
        process_list(reference, leaves[0].raw, OCI_INDEX, PLAIN)


def test_a_platform_is_chosen(vendor: Registry) -> None:
    repository = fresh()
    arm = put_image(vendor, repository, None, [layer("arm")], arch="arm64")
    put_list(vendor, repository, "1", [(arm, platform("arm64"))])
    reference = f"{vendor.host}/{repository}:1"
    chosen = Incremental(final_auth=PLAIN, platform=Platform("linux", "arm64")).plan(None, reference)
    assert chosen.digest == arm.digest
    with pytest.raises(UsageError, match="linux/arm64"):
        Incremental(final_auth=PLAIN, platform=Platform("plan9", "mips")).plan(None, reference)
    assert Incremental(final_auth=PLAIN, all_architectures=True).plan(None, reference).digest != arm.digest


def test_credentials_do_not_show() -> None:
    assert "first-Pa55" not in repr(Authentications(base=Access(creds=ACCOUNTS["ann"])))


class TestWriter:
    def copy(self, release: Release, to: str, tmp_path: Path, **more: Any) -> wrapper.PushResult:
        writer = Writer(release.one, to, from_access=PLAIN, to_access=PLAIN, temp_dir=tmp_path, **more)
        return writer.copy(release.two, PLAIN)

    def test_to_a_registry(self, release: Release, customer: Registry, tmp_path: Path) -> None:
        with pytest.raises(MissingLayersError):
            self.copy(release, release.there, tmp_path)
        put_image(customer, release.target, "1", [release.shared])
        assert self.copy(release, release.there, tmp_path).changed
        assert customer.manifest(release.target, "2") == release.final.raw

    def test_to_an_archive(self, release: Release, tmp_path: Path) -> None:
        self.copy(release, f"oci-archive:{tmp_path}/a.tar:name", tmp_path)
        found = Incremental().inspect(tmp_path / "a.tar")
        assert found.images[0].name == "name"
        assert [each.digest for each in found.omitted] == release.base.layers

    def test_to_a_layout(self, release: Release, tmp_path: Path) -> None:
        layout = tmp_path / "layout"
        assert self.copy(release, f"oci:{layout}:2", tmp_path).changed
        assert not self.copy(release, f"oci:{layout}:2", tmp_path).changed
        hexes = {each.name for each in (layout / "blobs/sha256").iterdir()}
        new = {release.final.digest, release.final.config, release.final.layers[1]}
        assert hexes == {digest.removeprefix("sha256:") for digest in new}
        # Another image keeps its place, and the same name moves.
        Writer(release.two, f"oci:{layout}:1", from_access=PLAIN).copy(release.one, PLAIN)
        entries = json.loads((layout / "index.json").read_text())["manifests"]
        assert {each["digest"] for each in entries} == {release.final.digest, release.base.digest}

    def test_to_places_that_begin_empty(self, release: Release, vendor: Registry, tmp_path: Path) -> None:
        with pytest.raises(MissingLayersError):
            self.copy(release, f"dir:{tmp_path}/dir", tmp_path)
        other = fresh()
        put_image(vendor, other, "1", [layer("quite another")])
        writer = Writer(f"{vendor.host}/{other}:1", f"dir:{tmp_path}/dir", from_access=PLAIN)
        assert writer.copy(release.two, PLAIN).digest == release.final.digest
        assert (tmp_path / "dir/manifest.json").read_bytes() == release.final.raw
        skopeo("copy", f"dir:{tmp_path}/dir", f"oci:{tmp_path}/again")
