"""Layers that are made when they are sent: first deliveries, old formats, ends of all kinds."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import format1
from tests.support.archives import members_of, repack
from tests.support.changes import change_1, write_changes
from tests.support.images import digest_of, fresh, put_image
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused
from tests.support.world import World, files, tar, zipped
from wrapper import Access, Incremental

if TYPE_CHECKING:
    from tests.support.registry import Registry


def workers(part: str) -> list[int]:
    """Processes of ours that make layers or changes, and are told of something."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            text = (process / "cmdline").read_text(errors="replace") if process.name.isdigit() else ""
        except OSError:
            continue
        if part in text and "from wrapper.host.workers" in text:
            found.append(int(process.name))
    return found


def none_left(part: str) -> bool:
    deadline = time.monotonic() + 60
    while workers(part):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def compressed(*command: str) -> Any:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def large(at: object, size: int = 30_000) -> bytes:
    """A tar that gzip packs worse than others do: what repeats is far apart."""
    rng = random.Random(str(at))
    far = {f"far{each}": rng.randbytes(size) for each in range(4)}
    return tar({**far, **files(at, 3), **{f"{name} again": data for name, data in far.items()}})


COMPRESSORS = {
    "zlib": lambda data: gzip.compress(data, 6, mtime=0),
    "pigz": compressed("pigz", "-n", "-c"),
    "GNU gzip": compressed("gzip", "-n", "-c", "-9"),
    "plain": lambda data: data,
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_first_delivery_is_repacked(tool: Tool, vendor: Registry, customer: Registry, name: str) -> None:
    """Without any base: what travels is shorter, and what arrives has its digest."""
    if name == "pigz" and not shutil.which("pigz"):
        pytest.skip("no pigz here")
    at = fresh()
    layers = [COMPRESSORS[name](large((at, each))) for each in range(3)]
    kind = "application/vnd.oci.image.layer.v1.tar" + ("" if name == "plain" else "+gzip")
    image = put_image(vendor, at, "1", layers, layer_types=[kind] * 3)
    pull = ("pull", f"{vendor.host}/{at}:1", "--delta", "--json", *PLAIN_PULL)
    planned = tool.good(*pull, "--dry-run").json
    assert {layer["reason"] for layer in planned["layers"]} == {"to be repacked"}
    pulled = tool.good(*pull, "-o", "1.tar").json
    assert [layer["travels"] for layer in pulled["layers"]] == ["repacked"] * 3
    assert all(layer["delta"]["sources"] == [] for layer in pulled["layers"])
    assert (pulled["omitted"], pulled["layers_delta"]) == ([], 3)
    assert pulled["archive"]["size"] < 0.9 * sum(map(len, layers))
    assert "repacked" in tool.good("inspect", "1.tar").text
    assert "leaves no layer out" in tool.good("vet", "1.tar").text
    there = f"{customer.host}/{at}:1"
    tool.good("push", "1.tar", there, *PLAIN_DEST)
    assert customer.manifest(at, "1") == image.raw
    assert all(customer.has_blob(at, digest) for digest in image.layers)
    assert tool.leftovers() == []


def test_all_destinations_take_what_is_made(tool: Tool, vendor: Registry) -> None:
    at = fresh()
    layers = [zipped({"own": layer}) for layer in (large((at, 0)), large((at, 1)))]
    image = put_image(vendor, at, "1", layers)
    pull = ("pull", f"{vendor.host}/{at}:1", *PLAIN_PULL)
    tool.good(*pull, "-o", "whole.tar")
    tool.good(*pull, "--delta", "-o", "1.tar")
    assert (tool.home / "1.tar").stat().st_size < 0.9 * (tool.home / "whole.tar").stat().st_size
    for to in ("oci:layout:1", "dir:folder", "oci-archive:made.tar:1"):
        tool.good("push", "1.tar", to, "--insecure-policy")
    tool.good("complete", "1.tar", "-o", "completed.tar")
    assert (tool.home / "completed.tar").read_bytes() == (tool.home / "whole.tar").read_bytes()
    names = [digest.removeprefix("sha256:") for digest in image.layers]
    for folder in ("layout/blobs/sha256", "folder"):
        assert [(tool.home / folder / name).read_bytes() for name in names] == layers
    made = members_of(tool.home / "made.tar")
    assert [made[f"blobs/sha256/{name}"] for name in names] == layers
    assert tool.leftovers() == []


def old_archive(path: Path, new: bytes, *olds: bytes, manifests: tuple[str, ...] = ()) -> str:
    """An archive of format 1, as older versions made them."""
    parts = [format1.parse_layer(each) for each in (new, *olds)]
    blob = format1.encode(parts[0], parts[1:])
    sources = {digest_of(old): len(old) for old in olds}
    told = change_1(digest_of(new), sources, size=len(new), blob=blob, manifests=manifests)
    return write_changes(path, [told], blob)


def test_an_archive_of_format_1_is_pushed(tool: Tool, customer: Registry) -> None:
    at = fresh()
    old, new = zipped(files(at)), zipped({**files(at), "more": b"more"})
    before = put_image(customer, at, "1", [old])
    digest = old_archive(tool.home / "2.tar", new, old, manifests=(before.digest,))
    inspected = tool.good("inspect", "2.tar", "--json").json
    (layer,) = inspected["layers"]
    assert (layer["travels"], layer["delta"]["model"]) == ("change", "")
    tool.good("push", "2.tar", f"{customer.host}/{at}:2", *PLAIN_DEST)
    assert digest_of(customer.manifest(at, "2") or b"") == digest
    assert customer.has_blob(at, digest_of(new))


def test_a_chain_through_both_formats(world: World) -> None:
    """The third release is made from the second, which an old archive has as its change of the first."""
    first, second = world.images["1"], world.images["2"]
    blobs = [zipped(world.contents[tag]) for tag in "123"]
    world.pull("3", "--delta", base="2")
    # The whole second release, with its layer as a change of format 1.
    world.pull("2", base="1")
    archive = world.tool.home / "2.tar"
    contents = members_of(archive)
    parts = [format1.parse_layer(each) for each in (blobs[1], blobs[0])]
    blob = format1.encode(parts[0], parts[1:])
    told = change_1(
        digest_of(blobs[1]),
        {digest_of(blobs[0]): len(blobs[0])},
        size=len(blobs[1]),
        blob=blob,
        manifests=[first.digest],
    )
    artifact = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.skopeo-incremental.layer-deltas.v1",
            "config": {"mediaType": "x/y", "digest": digest_of(b"{}"), "size": 2},
            "layers": [told],
            "subject": {"mediaType": "x/y", "digest": second.digest, "size": len(second.raw)},
        }
    ).encode()
    index = json.loads(contents["index.json"])
    index["annotations"]["io.skopeo-incremental.requires"] = "layer-delta"
    index["manifests"].append(
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest_of(artifact),
            "size": len(artifact),
            "annotations": {"io.skopeo-incremental.deltas": second.digest},
        }
    )
    name = "blobs/sha256/{}".format
    repack(
        archive,
        {
            name(digest_of(blobs[1])[7:]): None,
            name(digest_of(blob)[7:]): blob,
            name(digest_of(artifact)[7:]): artifact,
            name(digest_of(b"{}")[7:]): b"{}",
            "index.json": json.dumps(index).encode(),
        },
    )
    world.deliver("1")
    world.tool.good("push", "2.tar", "3.tar", world.there("3"), *PLAIN_DEST)
    assert world.arrived("3")
    assert all(world.customer.has_blob(world.at, digest) for digest in second.layers)


def test_a_line_that_is_cut_makes_the_layer_again(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at = fresh()
    image = put_image(vendor, at, "1", [gzip.compress(large(at, 1_000_000), mtime=0)])
    tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL)
    with Proxy(customer.host, cut_after_up=200_000, cut_times=2) as proxy:
        ran = tool.good(
            "push", "1.tar", f"{proxy.host}/{at}:1", "--retry-times", "5", "--retry-delay", "0.1", *PLAIN_DEST
        )
    assert ran.code == 0
    assert customer.manifest(at, "1") == image.raw
    assert tool.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_a_push_that_is_ended(
    tool: Tool, vendor: Registry, customer: Registry, number: signal.Signals
) -> None:
    """The destination takes nothing, so that the layer is never made to its end."""
    at = fresh()
    put_image(vendor, at, "1", [gzip.compress(large(at, 1_000_000), mtime=0)])
    tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL)
    (layer,) = tool.good("inspect", "1.tar", "--json").json["layers"]
    with Proxy(customer.host, stall_after=100_000) as proxy:
        running = subprocess.Popen(
            [*tool.command, "push", "1.tar", f"{proxy.host}/{at}:1", *PLAIN_DEST],
            env=tool.environment,
            cwd=tool.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        while not workers(layer["digest"]):
            assert running.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)
        assert workers(layer["digest"])
        os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
        _, stderr = running.communicate(timeout=600)
    assert b"Traceback" not in stderr
    assert none_left(layer["digest"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_a_pull_that_is_ended(tool: Tool, vendor: Registry, number: signal.Signals) -> None:
    at = fresh()
    put_image(vendor, at, "1", [gzip.compress(large((at, each), 2_000_000), mtime=0) for each in range(3)])
    pull = ("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL, "--tmpdir", tool.temporary)
    running = subprocess.Popen(
        [*tool.command, *map(str, pull)],
        env=tool.environment,
        cwd=tool.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    mark = str(tool.temporary)
    while not workers(mark):
        assert running.poll() is None
        time.sleep(0.01)
    time.sleep(0.4)
    assert workers(mark)
    os.killpg(running.pid, number) if number == signal.SIGINT else running.send_signal(number)
    _, stderr = running.communicate(timeout=600)
    assert running.returncode in (-9, 130, 143)
    assert b"Traceback" not in stderr
    assert none_left(mark)
    assert not (tool.home / "1.tar").exists()
    if number != signal.SIGKILL:
        assert tool.leftovers() == []


def test_a_worker_that_is_killed_at_pull(tool: Tool, vendor: Registry) -> None:
    """As by a system without memory: its layer travels whole, and that is said."""
    at = fresh()
    put_image(vendor, at, "1", [gzip.compress(large((at, each), 2_000_000), mtime=0) for each in range(2)])
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set() and not (found := workers(str(tool.temporary))):
            time.sleep(0.005)
        os.kill(min(found), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    pull = ("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL, "--tmpdir", tool.temporary)
    pulled = tool.good(*pull, "--json").json
    ended.set()
    killer.join(5)
    assert sorted(layer["travels"] for layer in pulled["layers"]) == ["repacked", "whole"]
    assert any("signal 9" in layer["reason"] for layer in pulled["layers"])
    assert tool.leftovers() == []


def test_a_worker_that_is_killed(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """As by a system without memory: the push ends, says why, and has written no tag."""
    at = fresh()
    put_image(vendor, at, "1", [gzip.compress(large(at, 1_000_000), mtime=0)])
    tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL)
    (layer,) = tool.good("inspect", "1.tar", "--json").json["layers"]

    def kill() -> None:
        while not (found := workers(layer["digest"])):
            time.sleep(0.005)
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    with Proxy(customer.host, bytes_per_second=2_000_000) as proxy:
        killer.start()
        ran = tool("push", "1.tar", f"{proxy.host}/{at}:1", "--json", *PLAIN_DEST)
        killer.join(5)
    refused(ran, 6, "signal 9")
    assert customer.manifest(at, "1") is None
    assert tool.leftovers() == []


def test_what_travels_whole_says_why(tool: Tool, vendor: Registry) -> None:
    at = fresh()
    rng = random.Random(at)
    layers = [
        # A reserved bit; and a window of 2 TiB (RFC 8878, 3.1.1.1).
        b"\x28\xb5\x2f\xfd\x08" + rng.randbytes(30_000),
        b"\x28\xb5\x2f\xfd\x00\xff" + rng.randbytes(30_000),
        zipped({"x": b"short"}),
        zipped({"x": rng.randbytes(50_000)}),
    ]
    put_image(vendor, at, "1", layers)
    pulled = tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", "--json", *PLAIN_PULL).json
    assert [layer["travels"] for layer in pulled["layers"]] == ["whole"] * 4
    reasons = [layer["reason"] for layer in pulled["layers"]]
    assert "its format is not understood" in reasons[0]
    assert "too large: it takes more memory" in reasons[1]
    assert "short" in reasons[2]
    assert "no saving" in reasons[3]
    (tool.home / "1.tar").unlink()
    said = tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", *PLAIN_PULL).text
    assert all(reason in said for reason in reasons)
    plain = tool.good("pull", f"{vendor.host}/{at}:1", "-o", "2.tar", "--json", *PLAIN_PULL).json
    assert {layer["reason"] for layer in plain["layers"]} == {""}


class Uncompiled(Tool):
    """The command as it is where there was no compiler."""

    @property
    def environment(self) -> dict[str, str]:
        pure = self.home.parent / "pure"
        if not pure.exists():
            leave = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(ROOT / "wrapper", pure / "wrapper", ignore=leave)
        found = super().environment
        return found | {"PYTHONPATH": f"{pure}:{found.get('PYTHONPATH', '')}"}


def test_without_compiled_modules(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """Layers travel whole from there; to there they may come as they like, and it is said how long that takes."""
    uncompiled = Uncompiled(tool.home, tool.temporary)
    at = fresh()
    image = put_image(vendor, at, "1", [gzip.compress(large(at, 6_000), mtime=0)])
    pull = ("pull", f"{vendor.host}/{at}:1", "--delta", *PLAIN_PULL)
    ran = uncompiled.good(*pull, "-o", "whole.tar", "--json")
    assert [layer["travels"] for layer in ran.json["layers"]] == ["whole"]
    assert "not compiled" in ran.json["layers"][0]["reason"]
    assert "warning: the modules that make changes are not compiled here" in ran.stderr
    assert tool.good(*pull, "-o", "1.tar", "--json").json["layers_delta"] == 1
    pushed = uncompiled.good("push", "1.tar", f"{customer.host}/{at}:1", *PLAIN_DEST)
    assert "not compiled here: " in pushed.stderr
    assert "minute" in pushed.stderr
    assert customer.manifest(at, "1") == image.raw


_NO_PIPES = """
import os, runpy

def mkfifo(path, mode):
    raise OSError(1, "Operation not permitted")

os.mkfifo = mkfifo
runpy.run_module("wrapper", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("where", ["no pipes", "twice in a manifest", "volumes", "no file of the system's"])
def test_a_layer_is_made_wherever_its_change_lies(
    tool: Tool, vendor: Registry, customer: Registry, tmp_path: Path, where: str
) -> None:
    at = fresh()
    data = gzip.compress(large(at, 100_000), mtime=0)
    image = put_image(vendor, at, "1", [data, data] if where == "twice in a manifest" else [data])
    pulled = tool.good("pull", f"{vendor.host}/{at}:1", "--delta", "-o", "1.tar", "--json", *PLAIN_PULL).json
    assert pulled["layers_delta"] == 1
    archive, there = tool.home / "1.tar", f"{customer.host}/{at}:1"
    if where == "no pipes":
        ran = subprocess.run(
            [sys.executable, "-c", _NO_PIPES, "push", "1.tar", there, *PLAIN_DEST],
            env=tool.environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            cwd=tool.home,
            check=False,
        )
        assert ran.returncode == 0
    elif where == "no file of the system's":
        with io.BytesIO(archive.read_bytes()) as file:
            Incremental(temp_dir=tool.temporary, push_auth=Access(tls_verify=False)).push(file, there)
    else:
        if where == "volumes":
            whole = archive.read_bytes()
            archive.unlink()
            size = len(whole) // 7
            for number in range(8):
                (tool.home / f"1.tar.{number + 1:03}").write_bytes(whole[number * size : (number + 1) * size])
            archive = tool.home / "1.tar.001"
        tool.good("push", archive, there, *PLAIN_DEST)
    assert customer.manifest(at, "1") == image.raw
    assert all(customer.has_blob(at, digest) for digest in image.layers)
    assert tool.leftovers() == []
