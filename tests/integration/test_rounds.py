"""How often a slow link is waited for: rounds of runs side by side, connections, logins and requests.

docs/explanation/round-trips.md has the same numbers. Times are never asserted.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import make_certificates
from tests.support.images import fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.registry import Registry
from tests.support.tokens import TokenServer
from tests.support.tool import ACCOUNTS, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Place:
    """A registry with TLS and a login by token, what stands before it and counts, and its back door."""

    front: Proxy
    registry: Registry
    back: Registry
    tokens: TokenServer

    @property
    def host(self) -> str:
        return self.front.host

    def counts(self) -> tuple[int, int, int]:
        connections = self.front.connections + self.tokens.connections
        return connections, len(self.tokens.scopes), len(self.registry.requests())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    tls = make_certificates(folder)
    data = folder / "data"
    with TokenServer(folder, tls, ACCOUNTS["ann"]) as tokens:
        registry = Registry(folder / "front", extra={"auth": tokens.auth}, tls=tls, data=data).start()
        back = Registry(folder / "back", data=data).start()
        try:
            with Proxy(registry.host) as front:
                yield Place(front, registry, back, tokens)
        finally:
            registry.stop()
            back.stop()


@dataclass
class Cost:
    rounds: list[Counter[str]]
    connections: int
    tokens: int
    requests: int


class Far:
    """The command with a skopeo that is as slow as if it were far from all registries."""

    def __init__(self, tool: Tool, place: Place) -> None:
        self.tool, self.place = tool, place
        self.log = tool.home.parent / "runs"
        self.spy = tool.home.parent / "spy"
        self.spy.write_text(
            f'#!/bin/sh\necho "begin $*" >> {self.log}\n[ "$1" = --version ] || sleep 0.4\n'
            f'{shutil.which("skopeo")} "$@"\ncode=$?\necho "end $*" >> {self.log}\nexit $code\n'
        )
        self.spy.chmod(0o755)
        trusted = tool.home.parent / "trusted"
        trusted.mkdir()
        shutil.copy(place.registry.folder.parent / "ca.crt", trusted)
        options = {"creds": ACCOUNTS["ann"], "cert-dir": str(trusted)}
        self.options = {
            side: [word for name, text in options.items() for word in (f"--{side}-{name}", text)]
            for side in ("base", "final", "dest")
        }

    def __call__(self, command: str, *arguments: str | Path) -> Cost:
        self.log.write_text("")
        before = self.place.counts()
        sides = ("base", "final") if command == "pull" else ("dest",)
        options = [word for side in sides for word in self.options[side]]
        self.tool.good(command, *arguments, *options, "--skopeo", self.spy)
        # The registry writes its log after it has answered.
        self.place.registry.watch().requests()
        spent = (after - earlier for after, earlier in zip(self.place.counts(), before, strict=True))
        return Cost(self._rounds(), *spent)

    def configs(self) -> int:
        """How many configs went by themselves in the last run."""
        begun = [line for line in self.log.read_text().splitlines() if line.startswith("begin")]
        return sum(" oci:probe" in line and "--debug" not in line for line in begun)

    def _rounds(self) -> list[Counter[str]]:
        """What ran side by side: a round ends when nothing is left of it."""
        rounds: list[Counter[str]] = []
        running = 0
        for line in self.log.read_text().splitlines():
            event, *words = line.split()
            probing = any(word.startswith("oci:probe") for word in words)
            # A config that goes beside its image is in no round of its own, and is ended when the image is there.
            if "--version" in words or (probing and "--debug" not in words):
                continue
            if event == "end":
                running -= 1
                continue
            if not running:
                rounds.append(Counter())
            running += 1
            rounds[-1][_kind_of(words)] += 1
        return rounds


def _kind_of(words: list[str]) -> str:
    if any(word.startswith("oci:probe") for word in words):
        return "probe"
    kinds = {"inspect": "inspect", "copy": "copy", "experimental-image-proxy": "read"}
    return next(kind for word, kind in kinds.items() if word in words)


@pytest.fixture
def far(tool: Tool, place: Place) -> Far:
    return Far(tool, place)


def test_a_pull_takes_two_rounds(far: Far, place: Place) -> None:
    repository = fresh()
    put_image(place.back, repository, "1", [layer("a"), layer("b")])
    put_image(place.back, repository, "2", [layer("a"), layer("b"), layer(repository)])
    image = f"{place.host}/{repository}"
    cost = far("pull", f"{image}:2", "-b", f"{image}:1", "-o", "o.tar")
    assert cost.rounds == [Counter(inspect=2), Counter(copy=1)]
    assert cost.tokens == 3
    # Each run says hello, is sent to log in, and reads a manifest; the copy reads a layer and the config, too.
    assert cost.requests == 3 * 2 + 2
    assert cost.connections <= 11


def test_children_of_all_lists_take_one_round_more(far: Far, place: Place) -> None:
    repository = fresh()
    names = ["amd64", "arm64", "ppc64le", "s390x"]
    for tag in "12":
        leaves = [
            (put_image(place.back, repository, None, [layer(n), layer(f"{n}{tag}")], arch=n), platform(n))
            for n in names
        ]
        put_list(place.back, repository, tag, leaves)
    image = f"{place.host}/{repository}"
    cost = far("pull", f"{image}:2", "-b", f"{image}:1", "--all", "-o", "o.tar")
    assert cost.rounds == [Counter(inspect=2), Counter(inspect=8), Counter(copy=4)]
    assert cost.tokens == 14
    # Of a list that is narrowed, only what is taken is read; of a base everything counts.
    cost = far("pull", f"{image}:2", "-b", f"{image}:1", "--override-arch", "s390x", "-o", "o.tar")
    assert cost.rounds == [Counter(inspect=2), Counter(inspect=5), Counter(copy=1)]


def test_a_push_vets_and_looks_in_one_round(far: Far, place: Place) -> None:
    repository, target = fresh(), fresh("there")
    for at in (repository, target):
        put_image(place.back, at, "1", [layer(each) for each in range(50)])
    put_image(place.back, repository, "2", [*(layer(each) for each in range(50)), layer(repository)])
    image, there = f"{place.host}/{repository}", f"{place.host}/{target}:2"
    far("pull", f"{image}:2", "-b", f"{image}:1", "-o", "o.tar")
    # A repository that is not known yet is looked at before somebody logs in who may write.
    unknown, probes = far("vet", "o.tar", there).rounds
    assert unknown == Counter(inspect=1)
    assert 10 <= probes["probe"] <= 20
    cost = far("vet", "o.tar", there)
    assert cost.rounds == [probes]
    # Each layer is asked for once, and one that can't exist.
    assert cost.requests == 51 + probes["probe"]
    looked, read, *pushed = far("push", "o.tar", there).rounds
    assert looked == probes + Counter(inspect=1)
    # What is there is read by an image that is there; the archive's own layer and config are asked for meanwhile.
    assert read == Counter(read=6, probe=3)
    assert pushed == [Counter(copy=1), Counter(inspect=1)]
    # The config goes beside the image, which would send it last.
    assert far.configs() == 1
    assert far("push", "o.tar", there).rounds == [looked]


def test_without_an_image_to_read_by_a_push_takes_two_rounds_more(far: Far, place: Place) -> None:
    repository, target = fresh(), fresh("there")
    put_image(place.back, repository, "1", [layer("a")])
    put_image(place.back, repository, "2", [layer("a"), layer(repository)])
    # Its layer is there in another image, which nobody knows of.
    put_image(place.back, target, "other", [layer("a"), layer("b")])
    image = f"{place.host}/{repository}"
    far("pull", f"{image}:2", "-b", f"{image}:1", "-o", "o.tar")
    _, tried, *pushed = far("push", "o.tar", f"{place.host}/{target}:2").rounds
    assert tried == Counter(read=1, probe=3)
    sent, tagged = Counter(copy=1), Counter(copy=1)
    assert pushed == [sent, Counter(read=1), tagged, Counter(inspect=1)]


def test_a_list_is_pushed_side_by_side(far: Far, place: Place) -> None:
    repository, target = fresh(), fresh("there")
    leaves = [(put_image(place.back, repository, None, [layer(n)], arch=n), platform(n)) for n in "abcd"]
    put_list(place.back, repository, "1", leaves)
    far("pull", f"{place.host}/{repository}:1", "--all", "-o", "o.tar")
    cost = far("push", "o.tar", f"{place.host}/{target}:1")
    # Nothing of it is there, so nothing is read.
    looked = [Counter(inspect=1), Counter(probe=9)]
    assert cost.rounds == [*looked, Counter(copy=4), Counter(copy=1), Counter(inspect=1)]


def test_a_bundle_takes_as_many_rounds_as_one_image(far: Far, place: Place) -> None:
    images = []
    for number in range(4):
        name = fresh("bundle")
        for at in (name, f"to/{name}"):
            put_image(place.back, at, "1", [layer(f"{name}{number}")])
        put_image(place.back, name, "2", [layer(f"{name}{number}"), layer(name)])
        final = f"{place.host}/{name}"
        images.append({"final": f"{final}:2", "base": f"{final}:1", "name": f"{name}:2"})
    spec = far.tool.home / "spec.json"
    spec.write_text(json.dumps({"images": images}))
    assert far("pull", "--spec", spec, "-o", "o.tar").rounds == [Counter(inspect=8), Counter(copy=4)]
    into = f"{place.host}/to"
    *vetted, sent, tagged, read = far("push", "o.tar", into).rounds
    looked = Counter(inspect=4, probe=8)
    # One image may be read while another is still asked for.
    assert sum(vetted, Counter()) == looked + Counter(read=4, probe=12)
    assert (sent, tagged, read) == (Counter(copy=4), Counter(copy=4), Counter(inspect=4))
    assert far("push", "o.tar", into).rounds == [looked]
    # One at a time, where somebody wants that.
    assert far("push", "o.tar", into, "--jobs", "1").rounds == [Counter(probe=2, inspect=1)] * 4


def test_what_two_images_share_is_sent_once(far: Far, place: Place) -> None:
    repository, target = fresh(), fresh("there")
    common = layer(repository, 200_000)
    for tag in "123":
        put_image(place.back, repository, tag, [common, layer(f"{repository}{tag}")])
    spec = far.tool.home / "spec.json"
    images = [{"final": f"{place.host}/{repository}:{tag}", "name": f"{target}:{tag}"} for tag in "123"]
    spec.write_text(json.dumps({"images": images}))
    far("pull", "--spec", spec, "-o", "o.tar")
    before = place.front.bytes_up
    *looked, first, others, _, _ = far("push", "o.tar", place.host).rounds
    assert sum(looked, Counter()) == Counter(inspect=3, probe=12)
    assert (first, others) == (Counter(copy=1), Counter(copy=2))
    assert place.front.bytes_up - before < 300_000
