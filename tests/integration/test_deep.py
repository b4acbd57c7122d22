"""A registry whose cache says yes to what garbage collection has removed: who reads it back notices."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.support.front import Front, Given
from tests.support.images import digest_of, fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.registry import Registry
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused, skopeo
from wrapper import HostError, Incremental, LinkOptions, NetworkError, UsageError
from wrapper.oci.reference import Reference
from wrapper.skopeo.access import Access
from wrapper.skopeo.inspect import ImageSource
from wrapper.skopeo.options import SkopeoOptions
from wrapper.skopeo.proxy import begin_reading
from wrapper.skopeo.runner import Skopeo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.front import Asked
    from tests.support.images import Image

_SCHEMA = json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text())


class Forgetful:
    """A customer's registry that keeps in memory which blobs it has, and an application that is delivered to it."""

    def __init__(self, tool: Tool, vendor: Registry, registry: Registry) -> None:
        self.tool, self.registry, self.at = tool, registry, fresh()
        self.shared = [layer(f"{self.at}a"), layer(f"{self.at}b")]
        self.base = put_image(vendor, self.at, "1", self.shared)
        self.image = put_image(vendor, self.at, "2", [*self.shared, layer(f"{self.at}c")])
        one, two = (f"{vendor.host}/{self.at}:{tag}" for tag in "12")
        tool.good("pull", one, "-o", "1.tar", *PLAIN_PULL)
        tool.good("pull", two, "-b", one, "-o", "2.tar", *PLAIN_PULL)

    def there(self, tag: str) -> str:
        return f"{self.registry.host}/{self.at}:{tag}"

    def run(self, command: str, tag: str, *options: str) -> Any:
        return self.tool(command, f"{tag}.tar", self.there(tag), "--json", *options, *PLAIN_DEST)

    def good(self, command: str, tag: str, *options: str) -> Any:
        ran = self.run(command, tag, *options)
        assert ran.code == 0, ran.stderr + ran.text
        jsonschema.validate(ran.json, _SCHEMA)
        return ran.json

    def blob(self, digest: str) -> Path:
        name = digest.partition(":")[2]
        return self.registry.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name

    def collect_garbage(self) -> None:
        """Do what its people do: delete an image, and let the registry's own collector run while it serves."""
        self.good("push", "1")
        assert self.registry.call("DELETE", f"/v2/{self.at}/manifests/{self.base.digest}")[0] == 202
        config = str(self.registry.folder / "config.yml")
        collected = subprocess.run(["docker-registry", "garbage-collect", config], capture_output=True, check=True)
        assert b"eligible for deletion" in collected.stdout
        # The lie that all of this is about.
        assert not any(self.blob(digest).exists() for digest in self.base.layers)
        assert all(self.registry.has_blob(self.at, digest) for digest in self.base.layers)

    def tags(self) -> list[str]:
        """What the registry lists, whether it can be pulled or not."""
        _, _, raw = self.registry.call("GET", f"/v2/{self.at}/tags/list")
        return json.loads(raw).get("tags") or []

    def can_be_pulled(self, tag: str, image: Image) -> bool:
        if self.registry.manifest(self.at, tag) != image.raw:
            return False
        folder = self.tool.home / "pulled"
        shutil.rmtree(folder, ignore_errors=True)
        skopeo("copy", "--src-tls-verify=false", f"docker://{self.there(tag)}", f"dir:{folder}")
        return True


def delivered(tool: Tool, vendor: Registry, there: Registry, *base: bytes) -> str:
    """Pull `2.tar`, which leaves out the layers of a base that is there already; return the repository's name."""
    at = fresh()
    put_image(vendor, at, "1", [*base])
    put_image(vendor, at, "2", [*base, layer(at)])
    one, two = (f"{vendor.host}/{at}:{tag}" for tag in "12")
    tool.good("pull", two, "-b", one, "-o", "2.tar", *PLAIN_PULL)
    put_image(there, at, "1", [*base])
    return at


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("cached")
    storage = {
        "filesystem": {"rootdirectory": str(folder / "data")},
        "delete": {"enabled": True},
        "cache": {"blobdescriptor": "inmemory"},
    }
    registry = Registry(folder, extra={"storage": storage}).start()
    yield registry
    registry.stop()


@pytest.fixture
def forgetful(tool: Tool, vendor: Registry, cached: Registry) -> Forgetful:
    return Forgetful(tool, vendor, cached)


def test_a_registry_that_says_yes_to_what_it_has_removed(forgetful: Forgetful) -> None:
    forgetful.collect_garbage()
    # This is what a plain vet can't know.
    assert forgetful.good("vet", "2")["missing"] == []
    words = ("2 layers", "no image that is known there", f"push {forgetful.at}:1", "--base")
    refused(forgetful.run("vet", "2", "--deep"), 5, *words, *forgetful.base.layers)
    said = ("can't give it back", "no tag was written", "restart the registry", *forgetful.base.layers)
    refused(forgetful.run("push", "2", "--verify=layers"), 5, *said)
    assert forgetful.registry.manifest(forgetful.at, "2") is None
    # Nobody can push the base there now: of its manifest, too, the registry says that it has it.
    refused(forgetful.run("push", "1", "--verify"), 5, "no tag was written", "restart the registry")
    refused(forgetful.run("push", "1"), 5, "no tag was written", "restart")
    assert forgetful.tags() == []
    # What the errors say to do.
    forgetful.registry.restart()
    refused(forgetful.run("vet", "2", "--deep"), 3, f"{forgetful.at}:1")
    forgetful.good("push", "1", "--verify=layers")
    sizes = {"layers": 2, "bytes": sum(map(len, forgetful.shared))}
    assert forgetful.good("vet", "2", "--deep")["read_back"] == {"manifests": 1, **sizes}
    assert forgetful.good("push", "2", "--verify=layers")["read_back"]["layers"] == 3
    assert forgetful.can_be_pulled("2", forgetful.image)


def test_a_plain_push_writes_no_tag_that_cannot_be_pulled(forgetful: Forgetful) -> None:
    forgetful.collect_garbage()
    said = (
        "2 blobs",
        "can't be read there",
        "no tag was written",
        "restart the registry",
        f"push {forgetful.at}:1",
    )
    refused(forgetful.run("push", "2"), 5, *said, *forgetful.base.layers)
    assert forgetful.registry.manifest(forgetful.at, "2") is None
    forgetful.registry.restart()
    refused(forgetful.run("push", "2"), 3, f"{forgetful.at}:1")
    forgetful.good("push", "1")
    assert forgetful.good("push", "2")["changed"]
    assert forgetful.can_be_pulled("2", forgetful.image)


def test_what_is_converted_is_read_when_it_has_its_tag(forgetful: Forgetful) -> None:
    """Only then there is an image to read it by."""
    forgetful.collect_garbage()
    said = ("2 blobs", "its tag was written", "restart the registry", *forgetful.base.layers)
    refused(forgetful.run("push", "2", "--no-preserve-digests"), 5, *said)
    forgetful.registry.restart()
    forgetful.good("push", "1")
    forgetful.good("push", "2", "--no-preserve-digests")


def test_an_image_that_its_sender_may_not_read(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """That is no fault of the image's, and is said."""
    at = fresh()
    put_image(vendor, at, "1", [layer(f"{at}a")])
    tool.good("pull", f"{vendor.host}/{at}:1", "-o", "1.tar", *PLAIN_PULL)
    put_image(customer, at, "other", [layer(f"{at}a")])
    with Proxy(customer.host) as front:
        front.answer(403, only="^GET .*/manifests/sha256:")
        pushed = tool.good("push", "1.tar", f"{front.host}/{at}:1", *PLAIN_DEST)
    assert "2 blobs that it says it has is not known" in pushed.stderr


def test_a_stored_archive(forgetful: Forgetful) -> None:
    stored = ("push", "1.tar", "--as-delta", "--json", *PLAIN_DEST)
    forgetful.tool.good(*stored, forgetful.there("stored"))
    shutil.rmtree(forgetful.blob(forgetful.base.layers[0]))
    refused(forgetful.tool(*stored, forgetful.there("again")), 5, "1 blob", forgetful.base.layers[0], "no tag")
    assert forgetful.registry.manifest(forgetful.at, "again") is None
    # What the error says to do.
    forgetful.registry.restart()
    forgetful.tool.good(*stored, forgetful.there("again"))
    skopeo("copy", "--src-tls-verify=false", f"docker://{forgetful.there('again')}", f"dir:{forgetful.tool.home}/x")


def test_with_an_image_to_read_by_it_shows_before_anything_is_written(forgetful: Forgetful) -> None:
    forgetful.good("push", "1")
    shutil.rmtree(forgetful.blob(forgetful.base.layers[1]))
    watch = forgetful.registry.watch()
    for options in (["--dry-run"], []):
        ran = forgetful.run("push", "2", *options)
        refused(ran, 5, "1 blob", forgetful.base.layers[1], f"push {forgetful.at}:1")
        assert forgetful.base.layers[0] not in ran.json["error"]["message"]
    assert watch.writes() == []


def test_what_the_archive_has_itself_may_be_claimed_too(forgetful: Forgetful, vendor: Registry) -> None:
    """skopeo does not send what the registry says it has, whether the archive has it or not."""
    forgetful.collect_garbage()
    put_image(vendor, forgetful.at, "3", [*forgetful.shared, layer("third")])
    forgetful.tool.good("pull", f"{vendor.host}/{forgetful.at}:3", "-o", "3.tar", *PLAIN_PULL)
    refused(forgetful.run("push", "3"), 5, "2 blobs", "push this archive", *forgetful.base.layers)
    assert forgetful.registry.manifest(forgetful.at, "3") is None
    # A config may be lost alone.
    forgetful.registry.restart()
    forgetful.good("push", "1")
    shutil.rmtree(forgetful.blob(forgetful.base.config))
    ran = forgetful.tool("push", "1.tar", forgetful.there("new"), "--json", *PLAIN_DEST)
    refused(ran, 5, "1 blob", forgetful.base.config)


def test_a_base_serves_to_read_what_the_archive_has(forgetful: Forgetful) -> None:
    """So that shows before anything is written, too."""
    forgetful.good("push", "1")
    own = forgetful.image.layers[-1]
    forgetful.registry.put_blob(forgetful.at, own, layer(f"{forgetful.at}c"))
    shutil.rmtree(forgetful.blob(own))
    watch = forgetful.registry.watch()
    refused(forgetful.run("push", "2"), 5, "1 blob", own, "push this archive")
    assert watch.writes() == []


def test_layers_that_another_repository_claims(forgetful: Forgetful) -> None:
    """A registry mounts what it says it has, and does not look."""
    forgetful.good("push", "1")
    shutil.rmtree(forgetful.blob(forgetful.base.layers[0]))
    other = f"{forgetful.registry.host}/{fresh()}:2"
    base = ("-b", forgetful.there("1"), "--base-tls-verify=false")
    ran = forgetful.tool("push", "2.tar", other, *base, "--json", *PLAIN_DEST)
    refused(ran, 5, "1 blob", forgetful.base.layers[0], "no tag was written")
    assert forgetful.registry.manifest(other.partition("/")[2].partition(":")[0], "2") is None


def test_no_more_than_first_bytes_are_read(tool: Tool, vendor: Registry, customer: Registry) -> None:
    at = delivered(tool, vendor, customer, os.urandom(30_000_000))
    with Proxy(customer.host) as front:
        tool.good("push", "2.tar", f"{front.host}/{at}:2", *PLAIN_DEST)
        gets = [each for each in front.requests if each.startswith("GET") and "/blobs/" in each]
        assert len(gets) == 1
        # What the kernels hold.
        assert front.bytes_down < 8_000_000


def test_storage_that_only_others_reach(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """A registry may send readers on to where this machine can't go: it may be pushed to all the same."""
    at = delivered(tool, vendor, customer, layer(fresh()))
    with Proxy(customer.host) as front:
        location = "http://127.0.0.1:1/there?Signature=53cr37&Expires=9"
        front.answer(307, only="^GET .*/blobs/", headers={"Location": location})
        pushed = tool.good("push", "2.tar", f"{front.host}/{at}:2", "--json", "--debug", *PLAIN_DEST)
        assert pushed.json["changed"]
        # Who has that address may read the blob.
        assert "53cr37" not in pushed.stderr
        assert "http://127.0.0.1:1/there?" in pushed.stderr
        assert "warning: " in pushed.stderr
        assert "can't be read from here" in pushed.stderr
        front.answers.clear()
        # It says itself that it has lost it.
        front.answer(404, only="^GET .*/blobs/")
        refused(tool("push", "2.tar", f"{front.host}/{at}:3", "--json", *PLAIN_DEST), 5, "1 blob")


def test_storage_that_a_firewall_cuts(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """Nobody has said that the blob is not there."""
    at = delivered(tool, vendor, customer, layer(fresh()))

    def cut(_: Asked) -> None:
        raise ConnectionError

    with Front(cut) as storage, Proxy(customer.host) as front:
        front.answer(307, only="^GET .*/blobs/", headers={"Location": f"http://{storage.host}/there"})
        pushed = tool.good("push", "2.tar", f"{front.host}/{at}:2", *PLAIN_DEST)
    assert "can't be read from here" in pushed.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_storage_that_does_not_answer(tool: Tool, vendor: Registry, customer: Registry, silent: str) -> None:
    """A firewall may drop what goes there: one blob is waited for, and not each."""
    at = delivered(tool, vendor, customer, *(layer(fresh()) for _ in range(4)))
    with Proxy(customer.host) as front:
        front.answer(307, only="^GET .*/blobs/", headers={"Location": f"http://{silent}/there"})
        pushed = tool.good("push", "2.tar", f"{front.host}/{at}:2", "--timeout=3", *PLAIN_DEST)
        assert "says that it has 4 blobs" in pushed.stderr
        assert "can't be read from here" in pushed.stderr
        assert len([each for each in front.requests if each.startswith("GET") and "/blobs/" in each]) == 1


def test_storage_out_of_reach_is_waited_for_once(
    tool: Tool, vendor: Registry, customer: Registry, silent: str
) -> None:
    """Each image of a bundle would wait for the same."""
    entries = []
    for name in map(str, range(3)):
        base = layer(fresh())
        at = delivered(tool, vendor, customer, base)
        put_image(customer, f"mirror/{at}", "1", [base])
        entries.append({"final": f"{vendor.host}/{at}:2", "base": f"{vendor.host}/{at}:1", "name": f"{at}:{name}"})
    spec = tool.home / "spec.json"
    spec.write_text(json.dumps({"images": entries}))
    tool.good("pull", "--spec", spec, "-o", "b.tar", *PLAIN_PULL)
    with Proxy(customer.host) as front:
        front.answer(307, only="^GET .*/blobs/", headers={"Location": f"http://{silent}/there"})
        push = ("push", "b.tar", f"{front.host}/mirror", "--timeout=3", "--jobs=1", *PLAIN_DEST)
        pushed = tool.good(*push)
        assert pushed.stderr.count("can't be read from here") == 1
        assert "nothing else is read there" in pushed.stderr
        assert len([each for each in front.requests if each.startswith("GET") and "/blobs/" in each]) == 1


_REFUSALS = {
    "a proxy on the way to storage": Given(307, headers={"Location": "https://storage.example/there"}),
    "a bad request": Given(400, b"<Error><Code>InvalidArgument</Code></Error>"),
    "too many requests": Given(429, headers={"Retry-After": "0"}),
}


@pytest.mark.parametrize("refusal", _REFUSALS)
def test_a_refusal_says_nothing_of_a_blob(tool: Tool, vendor: Registry, customer: Registry, refusal: str) -> None:
    """It was pushed there before anybody began to read, and that went well."""
    at = delivered(tool, vendor, customer, layer(fresh()))

    def refuse(asked: Asked) -> Given | None:
        return _REFUSALS[refusal] if asked.method == "GET" and "/blobs/" in asked.path else None

    # Front has no tunnels: that is an answer, too.
    with Front(refuse, customer) as front, Front(lambda _: Given(403)) as proxy:
        environment = {"HTTPS_PROXY": f"http://{proxy.host}", "NO_PROXY": ""}
        pushed = tool.good("push", "2.tar", f"{front.host}/{at}:2", *PLAIN_DEST, env=environment)
    assert "can't be read from here" in pushed.stderr


def test_the_manifest_to_read_by_is_damaged(tool: Tool, vendor: Registry, cached: Registry) -> None:
    """The registry has an error of its own then; what was uploaded serves as well."""
    base = layer(fresh())
    at = delivered(tool, vendor, cached, base)
    raw = cached.manifest(at, "1")
    assert raw
    name = digest_of(raw).partition(":")[2]
    (cached.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data").write_bytes(b"")
    pushed = tool.good("push", "2.tar", f"{cached.host}/{at}:2", *PLAIN_DEST)
    assert "warning" not in pushed.stderr
    assert cached.manifest(at, "2")


def test_first_bytes_are_not_waited_for_as_long_as_a_copy(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy may stand still for ten minutes, and then goes on; who only looks has something else to do."""
    monkeypatch.setattr("wrapper.skopeo.proxy._PATIENCE", 0.5)
    source = ImageSource(Reference.parse(f"{silent}/app:1"), Access(tls_verify=False), "push")
    for timeout in (600, None):
        with (
            Skopeo(SkopeoOptions(link=LinkOptions(timeout=timeout))) as run,
            pytest.raises(NetworkError, match=r"nothing came for 0\.5 s"),
        ):
            begin_reading(run, [source], {f"sha256:{'0' * 64}": 1})


@pytest.mark.parametrize(("times", "retries", "code"), [(1, 0, 0), (3, 2, 0), (1000, 0, 5)])
def test_a_link_that_is_cut(
    tool: Tool, vendor: Registry, customer: Registry, times: int, retries: int, code: int
) -> None:
    """It is not the blob's fault, as long as retries are left; each try reads what was cut twice."""
    at = delivered(tool, vendor, customer, layer(fresh()))
    left = [None] * times

    def cut(asked: Asked) -> None:
        if asked.method == "GET" and "/blobs/" in asked.path and left:
            left.pop()
            raise ConnectionError

    with Front(cut, customer) as front:
        retry = (f"--retry-times={retries}", "--retry-delay=0.01")
        ran = tool("push", "2.tar", f"{front.host}/{at}:2", *retry, *PLAIN_DEST)
    assert ran.code == code, ran.stderr
    assert bool(left) == bool(code)


def test_a_pipe_is_ours_alone(forgetful: Forgetful) -> None:
    """Another run that starts meanwhile must not keep it open: skopeo would wait until that run ends."""
    forgetful.good("push", "1")
    reference = Reference.parse(forgetful.there("1"))
    seen: list[bool] = []

    def trace(line: str) -> None:
        if "FinishPipe" in line:
            folder = Path("/proc/self/fd")
            pipes = [int(each.name) for each in folder.iterdir() if ends_in_a_pipe(each)]
            seen.append(any(map(os.get_inheritable, pipes)))

    def ends_in_a_pipe(descriptor: Path) -> bool:
        with suppress(FileNotFoundError):
            return descriptor.name not in before and str(descriptor.readlink()).startswith("pipe:")
        return False

    before = {each.name for each in Path("/proc/self/fd").iterdir()}
    with Skopeo(SkopeoOptions(trace=trace)) as run:
        source = ImageSource(reference, Access(tls_verify=False), "push")
        blobs = dict(zip(forgetful.base.layers, map(len, forgetful.shared), strict=True))
        assert begin_reading(run, [source], blobs) == {}
    assert seen == [False, False]


def test_no_pipe_can_be_opened(forgetful: Forgetful) -> None:
    """As many files as may be are open when skopeo hands one over."""
    forgetful.good("push", "1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def trace(line: str) -> None:
        if "GetBlob" in line:
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))

    with Skopeo(SkopeoOptions(trace=trace)) as run:
        source = ImageSource(Reference.parse(forgetful.there("1")), Access(tls_verify=False), "push")
        try:
            with pytest.raises(HostError, match="too many files are open"):
                begin_reading(run, [source], {forgetful.base.layers[0]: len(forgetful.shared[0])})
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_proxy_that_answers_otherwise(forgetful: Forgetful) -> None:
    """That command is called experimental: it may change."""
    forgetful.good("push", "1")
    answer = "import socket; line = socket.socket(fileno=0); line.recv(9999); line.send(b'[1]'); line.recv(1)"
    other = forgetful.tool.spy(f'case "$*" in *experimental*) exec {sys.executable} -c "{answer}"; esac')
    said = forgetful.tool.good("push", "2.tar", forgetful.there("2"), *PLAIN_DEST, "--skopeo", other).stderr
    assert "can't be read from here: skopeo's experimental-image-proxy does not answer as it did" in said


def test_a_skopeo_without_a_proxy(forgetful: Forgetful) -> None:
    """That command is called experimental."""
    forgetful.good("push", "1")
    other = forgetful.tool.home / "skopeo"
    lines = [
        "#!/bin/sh",
        'case "$*" in *experimental*) echo "no such command" >&2; exit 1; esac',
        'exec skopeo "$@"',
    ]
    other.write_text("\n".join([*lines, ""]))
    other.chmod(0o755)
    push = ("push", "2.tar", forgetful.there("2"), *PLAIN_DEST, "--skopeo", other)
    said = forgetful.tool.good(*push).stderr
    assert "says that it has 2 blobs" in said
    assert "can't be read from here: skopeo ended" in said


def test_own_layers_are_sent_again_although_the_tag_is_there(forgetful: Forgetful) -> None:
    forgetful.good("push", "1")
    shutil.rmtree(forgetful.blob(forgetful.base.layers[1]))
    forgetful.registry.restart()
    assert forgetful.good("push", "1")["changed"] is False
    assert not forgetful.registry.has_blob(forgetful.at, forgetful.base.layers[1])
    read = forgetful.good("push", "1", "--verify=layers")["read_back"]
    assert (read["manifests"], read["layers"]) == (1, 2)
    assert forgetful.can_be_pulled("1", forgetful.base)
    shown = forgetful.tool.good("push", "1.tar", forgetful.there("1"), "--verify", *PLAIN_DEST)
    assert shown.text.endswith("result:         already there\n")


def test_which_layer_it_is(forgetful: Forgetful) -> None:
    forgetful.good("push", "1")
    watch = forgetful.registry.watch()
    shown = forgetful.tool.good("vet", "2.tar", forgetful.there("2"), "--deep", *PLAIN_DEST)
    assert "read back:      1 manifest, 2 layers" in shown.text
    assert sorted(each for each in watch.blobs() if each in forgetful.base.layers) == sorted(forgetful.base.layers)
    assert watch.writes() == []
    whole, gone = forgetful.base.layers
    shutil.rmtree(forgetful.blob(gone))
    ran = forgetful.run("vet", "2", "--deep")
    refused(ran, 5, "1 layer", gone, "EOF", "restart the registry", f"push {forgetful.at}:1")
    assert whole not in ran.json["error"]["message"]
    assert forgetful.tool.leftovers() == []


def test_a_layer_with_other_bytes(forgetful: Forgetful) -> None:
    forgetful.good("push", "1")
    damaged = forgetful.blob(forgetful.base.layers[0]) / "data"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    said = ("1 layer", forgetful.base.layers[0], "Digest did not match", "storage is damaged")
    refused(forgetful.run("vet", "2", "--deep"), 5, *said)
    # It is so short that its first bytes are all.
    said = ("1 blob", forgetful.base.layers[0], "no tag was written", "storage is damaged")
    refused(forgetful.run("push", "2"), 5, *said)


def test_a_long_layer_with_other_bytes(tool: Tool, vendor: Registry, cached: Registry) -> None:
    large = os.urandom(50_000)
    at = delivered(tool, vendor, cached, large)
    digest = digest_of(large)
    name = digest.partition(":")[2]
    damaged = cached.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
    damaged.write_bytes(large[:-1] + b"?" + large[-1:])
    # First bytes say that it is there, and no more; manifests are sound.
    push = ("push", "2.tar", f"{cached.host}/{at}:2", "--json", *PLAIN_DEST)
    assert tool.good(*push).json["changed"]
    manifests = tool.good(*push, "--verify").json["read_back"]
    assert manifests == {"manifests": 1, "layers": 0, "bytes": 0}
    refused(tool(*push, "--verify=layers"), 5, "1 layer", digest, "storage is damaged")


def test_an_image_that_the_archive_does_not_name(forgetful: Forgetful) -> None:
    """The layers came there in another image: it may be named, or has the tag that is to be moved."""
    other = forgetful.there("other")
    put_image(forgetful.registry, forgetful.at, "other", [*forgetful.shared, layer("more")])
    refused(forgetful.run("vet", "2", "--deep"), 5, "no image that is known there")
    plain = ("--base-tls-verify=false",)
    assert forgetful.good("vet", "2", "--deep", "-b", other, *plain)["read_back"]["layers"] == 2
    put_image(forgetful.registry, forgetful.at, "2", [*forgetful.shared, layer("more")])
    assert forgetful.good("vet", "2", "--deep")["read_back"]["layers"] == 2
    # What skopeo converts is not what the archive has.
    refused(forgetful.run("push", "2", "--verify", "--no-preserve-digests"), 2, "--verify", "--no-preserve")


def test_bundles_and_lists(tool: Tool, vendor: Registry, forgetful: Forgetful) -> None:
    name = fresh()
    for tag, more in (("1", []), ("2", [layer("new")])):
        children = [
            (put_image(vendor, name, None, [layer(f"{name}{arch}"), *more], arch=arch), platform(arch))
            for arch in ("amd64", "arm64")
        ]
        put_list(vendor, name, tag, children)
    finals = [f"{vendor.host}/{name}:2", f"{vendor.host}/{forgetful.at}:2"]
    bases = [f"{vendor.host}/{name}:1", f"{vendor.host}/{forgetful.at}:1"]
    spec = tool.home / "spec.json"
    entries = [
        f'{{"final": "{final}", "base": "{base}", "name": "{title}:2", "all": true}}'
        for final, base, title in zip(finals, bases, ["list", "one"], strict=True)
    ]
    spec.write_text(f'{{"images": [{", ".join(entries)}]}}')
    tool.good("pull", "--spec", spec, "-o", "b.tar", *PLAIN_PULL)
    tool.good("pull", bases[0], "--all", "-o", "l.tar", *PLAIN_PULL)
    prefix = f"{forgetful.registry.host}/{name}"
    tool.good("push", "l.tar", f"{prefix}/list:1", *PLAIN_DEST)
    tool.good("push", "1.tar", f"{prefix}/one:1", *PLAIN_DEST)
    vetted = tool.good("vet", "b.tar", prefix, "--deep", "--json", *PLAIN_DEST).json
    assert (vetted["read_back"]["manifests"], vetted["read_back"]["layers"]) == (3, 4)
    shutil.rmtree(forgetful.blob(forgetful.base.layers[0]))
    ran = tool("vet", "b.tar", prefix, "--deep", "--json", *PLAIN_DEST)
    refused(ran, 5, "1 of 2 images could not be vetted", "one:2", forgetful.base.layers[0])
    # What was found of the others is told, too.
    assert [bool(each["error"]) for each in ran.json["outcomes"]] == [False, True]
    assert [each["name"] for each in ran.json["failures"]] == ["one:2"]
    assert ran.json["read_back"]["layers"] == 2
    ran = tool("vet", "b.tar", prefix, "--deep", *PLAIN_DEST)
    assert ran.code == 5
    assert [line.split()[:2] for line in ran.text.splitlines()[:3]] == [
        ["IMAGE", "RESULT"],
        ["list:2", "ready"],
        ["one:2", "FAILED"],
    ]
    assert ran.text.splitlines()[-1].split(maxsplit=1)[1] == "1 of 2 ready, 1 failed"
    assert "error: " in ran.stderr
    assert "restart the registry" in ran.stderr
    # What is sound goes there; of the other one there is no tag.
    ran = tool("push", "b.tar", prefix, "--verify=layers", "--json", *PLAIN_DEST)
    assert ran.code == 5
    assert [bool(each["error"]) for each in ran.json["outcomes"]] == [False, True]
    assert (ran.json["read_back"]["manifests"], ran.json["read_back"]["layers"]) == (3, 3)
    assert forgetful.registry.manifest(f"{name}/list", "2")
    assert forgetful.registry.manifest(f"{name}/one", "2") is None


def test_places_on_this_machine(forgetful: Forgetful, tool: Tool, vendor: Registry) -> None:
    tool.good("push", "1.tar", "oci:layout:1")
    assert tool.good("vet", "2.tar", "oci:layout:2", "--deep", "--json").json["read_back"]["layers"] == 2
    refused(tool("push", "2.tar", "oci:layout:2", "--verify", "--json"), 2, "not in a registry", "--verify")
    refused(tool("vet", "2.tar", "--deep", "--json"), 2, "no destination", "--deep")
    stored = f"{forgetful.registry.host}/stored:1"
    refused(tool("push", "1.tar", stored, "--as-delta", "--verify", "--json"), 2, "--verify")
    tool.good("push", "1.tar", "containers-storage:app:1")
    refused(tool("vet", "2.tar", "containers-storage:app:2", "--deep", "--json"), 2, "unpacked", "--deep")


def test_the_library(forgetful: Forgetful, tool: Tool) -> None:
    forgetful.good("push", "1")
    incremental = Incremental(push_auth=Access(tls_verify=False), temp_dir=tool.temporary)
    archive, there = str(tool.home / "2.tar"), f"docker://{forgetful.there('2')}"
    vetted = incremental.push_vet(archive, there, deep=True)
    assert vetted.read_back
    assert vetted.read_back.layers == 2
    with pytest.raises(UsageError, match="everything"):
        incremental.push(archive, there, verify="everything")
    pushed = incremental.push(archive, there, verify="layers")
    assert pushed.read_back
    assert pushed.read_back.bytes == vetted.read_back.bytes + pushed.bytes_new
    assert incremental.push(archive, there).read_back is None
    assert incremental.push(archive, there, verify="layers", dry_run=True).read_back is None
