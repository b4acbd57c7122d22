"""The bad line of the other tests: that each of its faults does happen."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.images import OCI_MANIFEST, Image, digest_of, fresh, layer, put_image
from tests.support.proxy import Proxy
from tests.support.tool import skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry

SIZE = 300_000


@dataclass
class Stored:
    """An image in a registry, and what to ask for."""

    repository: str
    image: Image

    @property
    def blob(self) -> str:
        return f"/v2/{self.repository}/blobs/{self.image.layers[0]}"

    @property
    def manifest(self) -> str:
        return f"/v2/{self.repository}/manifests/1"


@pytest.fixture
def stored(vendor: Registry) -> Stored:
    repository = fresh()
    return Stored(repository, put_image(vendor, repository, "1", [layer("a", SIZE), layer("b", SIZE)]))


def connected(proxy: Proxy) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10))


def asked(proxy: Proxy, path: str, method: str = "GET") -> tuple[int, bytes]:
    with connected(proxy) as connection:
        connection.request(method, path, headers={"Accept": OCI_MANIFEST})
        answer = connection.getresponse()
        return answer.status, answer.read()


def failing(*arguments: str) -> str:
    ran = subprocess.run(["skopeo", *arguments], capture_output=True, check=False)
    assert ran.returncode
    return ran.stderr.decode()


def pull(proxy: Proxy, stored: Stored, path: Path) -> tuple[str, ...]:
    return ("copy", "--src-tls-verify=false", f"docker://{proxy.host}/{stored.repository}:1", f"oci:{path}:1")


@pytest.fixture
def layout(stored: Stored, vendor: Registry, tmp_path: Path) -> Path:
    # Not through a proxy: skopeo would learn where there the layers are, and mount instead of push.
    image = f"docker://{vendor.host}/{stored.repository}:1"
    skopeo("copy", "--src-tls-verify=false", image, f"oci:{tmp_path}/pushed:1")
    return tmp_path / "pushed"


def push(proxy: Proxy, layout: Path, target: str) -> tuple[str, ...]:
    return ("copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{proxy.host}/{target}:1")


def test_without_a_fault_all_passes(stored: Stored, layout: Path, vendor: Registry, tmp_path: Path) -> None:
    with Proxy(vendor.host) as proxy:
        skopeo(*pull(proxy, stored, tmp_path / "layout"))
        assert proxy.bytes_down > 2 * SIZE > proxy.bytes_up
        assert {f"GET {stored.manifest}", f"GET {stored.blob}"} <= set(proxy.requests)
    target = fresh("there")
    with Proxy(vendor.host) as proxy:
        skopeo(*push(proxy, layout, target))
        assert proxy.bytes_up > 2 * SIZE > proxy.bytes_down
        # The uploads come through here too, though the registry says where to.
        assert any(request.startswith("PATCH ") for request in proxy.requests)
        assert f"PUT /v2/{target}/manifests/1" in proxy.requests
        assert proxy.cuts == proxy.flips == 0
    assert vendor.manifest(target, "1") == stored.image.raw


def test_a_cut_drops_every_connection(stored: Stored, vendor: Registry) -> None:
    with Proxy(vendor.host, cut_after=SIZE // 2, cut_times=1) as proxy, connected(proxy) as other:
        other.connect()
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            asked(proxy, stored.blob)
        with pytest.raises(ConnectionResetError):
            other.sock.recv(1)
        assert (proxy.cuts, proxy.bytes_down) == (1, SIZE // 2)
        assert digest_of(asked(proxy, stored.blob)[1]) == stored.image.layers[0]
        assert proxy.cuts == 1


def test_cuts_come_again(stored: Stored, vendor: Registry) -> None:
    with Proxy(vendor.host) as proxy:
        asked(proxy, stored.manifest)
        proxy.recount()
        proxy.cut_after = SIZE // 2
        for number in (1, 2, 3):
            with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
                asked(proxy, stored.blob)
            assert proxy.cuts == number
        proxy.cut_after = None
        assert asked(proxy, stored.blob)[0] == 200


def test_a_cut_of_one_connection_leaves_the_others(stored: Stored, vendor: Registry) -> None:
    with Proxy(vendor.host, cut_each=SIZE // 2) as proxy, connected(proxy) as other:
        for _ in range(2):
            with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
                asked(proxy, stored.blob)
        other.request("GET", "/v2/")
        assert other.getresponse().status == 200
        assert proxy.cuts == 2


def test_a_push_is_cut(stored: Stored, layout: Path, vendor: Registry) -> None:
    target = fresh("there")
    with Proxy(vendor.host, cut_after_up=SIZE // 2) as proxy:
        assert "writing blob" in failing(*push(proxy, layout, target))
        assert proxy.cuts
        proxy.cut_after_up, proxy.cut_each_up = None, 500
        failing(*push(proxy, layout, target))
        assert vendor.manifest(target, "1") is None
        proxy.cut_each_up = None
        skopeo(*push(proxy, layout, target))
    assert vendor.manifest(target, "1") == stored.image.raw


def test_a_stall_and_its_end(stored: Stored, vendor: Registry, tmp_path: Path) -> None:
    with Proxy(vendor.host, stall_after=SIZE) as proxy:
        began = time.monotonic()
        assert "deadline" in failing("--command-timeout=1s", *pull(proxy, stored, tmp_path / "layout"))
        assert time.monotonic() - began > 0.9
        assert proxy.bytes_down + proxy.bytes_up == SIZE
        with connected(proxy) as connection:
            connection.request("GET", "/v2/")
            connection.sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.sock.recv(1)
            proxy.resume()
            connection.sock.settimeout(10)
            assert connection.getresponse().status == 200
        skopeo(*pull(proxy, stored, tmp_path / "layout"))


def test_a_slow_line_is_shared(stored: Stored, vendor: Registry, tmp_path: Path) -> None:
    with Proxy(vendor.host, bytes_per_second=SIZE) as proxy:
        began = time.monotonic()
        skopeo(*pull(proxy, stored, tmp_path / "layout"))
        assert time.monotonic() - began >= 2


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_answers_of_the_proxy(stored: Stored, vendor: Registry, status: int) -> None:
    watch = vendor.watch()
    with Proxy(vendor.host).answer(status, 2, only="GET .*/blobs/", headers={"X-A": "b"}, body=b"no") as proxy:
        assert asked(proxy, stored.manifest) == (200, stored.image.raw)
        assert asked(proxy, stored.blob, "HEAD")[0] == 200
        with connected(proxy) as connection:
            for body in (b"", b"some"):
                # The connection stays whole.
                connection.request("GET", stored.blob, body)
                answer = connection.getresponse()
                assert (answer.status, answer.headers["X-A"], answer.read()) == (status, "b", b"no")
            connection.request("GET", stored.blob)
            assert connection.getresponse().status == 200
        assert len(proxy.requests) == 5
    assert len(watch.requests()) == 3


def test_a_refused_upload(stored: Stored, layout: Path, vendor: Registry) -> None:
    """What the client sends on is taken and thrown away."""
    target = fresh("there")
    with Proxy(vendor.host).answer(503, only="^PATCH ") as proxy:
        assert "503" in failing(*push(proxy, layout, target))
        assert proxy.bytes_up < SIZE
        proxy.answers.clear()
        skopeo(*push(proxy, layout, target))
    assert vendor.manifest(target, "1") == stored.image.raw


def test_a_flipped_bit(stored: Stored, vendor: Registry, tmp_path: Path) -> None:
    right = vendor.call("GET", stored.blob)[2]
    place = SIZE // 2
    with Proxy(vendor.host, flip=place) as proxy:
        wrong = asked(proxy, stored.blob)[1]
        assert [at for at in range(len(right)) if right[at] != wrong[at]] == [place]
        assert asked(proxy, stored.blob)[1] == right
        assert asked(proxy, stored.manifest)[1] == stored.image.raw
        assert proxy.flips == 1
        proxy.flip_times = None
        assert asked(proxy, stored.blob)[1] == wrong
        assert "igest" in failing(*pull(proxy, stored, tmp_path / "layout"))


def test_tls_passes(secure: Registry, tmp_path: Path) -> None:
    repository = fresh()
    put_image(secure, repository, "1", [layer("a", SIZE)])
    with Proxy(secure.host, cut_after=SIZE // 2) as proxy:
        stored = Stored(repository, Image(b"", ""))
        failing(*pull(proxy, stored, tmp_path / "layout"))
        assert proxy.cuts
        proxy.cut_after = None
        skopeo(*pull(proxy, stored, tmp_path / "layout"))
        assert proxy.requests == []


def test_its_end_waits_for_nobody(stored: Stored, vendor: Registry) -> None:
    with Proxy(vendor.host, stall_after=1000) as proxy:
        held = socket.create_connection(("127.0.0.1", proxy.port))
        held.sendall(f"GET {stored.blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        half = socket.create_connection(("127.0.0.1", proxy.port))
        half.sendall(b"PUT /x HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf")
        time.sleep(0.1)
    held.close()
    half.close()
    with pytest.raises(ConnectionRefusedError):
        asked(proxy, "/v2/")


def test_a_registry_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    with Proxy(nobody) as proxy, pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        asked(proxy, "/v2/")
