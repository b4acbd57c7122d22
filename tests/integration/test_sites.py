"""Several sites: receipts that grow, one archive for all, what each site has, and what was sent."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.integration.test_kills import processes_in, started
from tests.integration.test_sparse import accepting
from tests.support.images import Image, fresh, layer, platform, put_image, put_list
from tests.support.proxy import Proxy
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused
from wrapper import Access, Incremental
from wrapper.errors import UsageError
from wrapper.oci.documents import Bounds
from wrapper.source import growing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.registry import Registry

NAMES = ("team/app", "team/worker")
SITES = ("berlin", "oslo", "rome")
SCHEMA = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
ZEROS = "sha256:" + "0" * 64


def valid(path: Path, kind: str) -> Any:
    document = json.loads(path.read_text())
    schema = json.loads((ROOT / f"wrapper/oci/schemas/{kind}.json").read_text())
    Draft202012Validator(schema).validate(document)
    return document


class Sites:
    """A vendor with four releases of two images, and sites in one registry, each with a prefix of its own."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.tool, self.vendor, self.customer = tool, vendor, customer
        self.at = fresh("vendor")
        self.prefixes = {site: fresh(site) for site in SITES}
        self.layers = {
            f"{name}:{release}": [layer(f"{self.at}{name}{seed}") for seed in ("base", release // 2, f"v{release}")]
            for name in NAMES
            for release in range(1, 5)
        }
        self.images: dict[str, Image] = {}
        for name, layers in self.layers.items():
            repository, _, tag = name.partition(":")
            self.images[name] = put_image(vendor, f"{self.at}/{repository}", tag, layers)

    def reference(self, name: str) -> str:
        return f"{self.vendor.host}/{self.at}/{name}"

    def there(self, site: str, name: str = "") -> str:
        return f"docker://{self.customer.host}/{self.prefixes[site]}" + (f"/{name}" if name else "")

    def spec(self, release: int, *, names: tuple[str, ...] = NAMES, pinned: bool = False) -> Path:
        images = []
        for name in (f"{each}:{release}" for each in names):
            tagless = self.reference(name).rpartition(":")[0]
            final = f"{tagless}@{self.images[name].digest}" if pinned else self.reference(name)
            images.append({"name": name, "final": final})
        path = self.tool.home / f"release-{release}.json"
        path.write_text(json.dumps({"images": images}))
        return path

    def pull(self, release: int, output: str, *options: str | Path, **more: Any) -> Any:
        words = ("pull", "--spec", self.spec(release, **more), "-o", output, "--json", *options)
        return self.tool.good(*words, *PLAIN_PULL).json

    def push(self, site: str, archive: str, *options: str) -> Any:
        words = ("push", archive, self.there(site), "--receipt", f"{site}.json", "--json", *options)
        return self.tool.good(*words, *PLAIN_DEST).json

    def status(self, release: int, *options: str, **more: Any) -> Any:
        files = [word for site in SITES for word in ("--site", f"{site}.json")]
        return self.tool.good("status", self.spec(release, **more), *files, *options, *PLAIN_FINAL)

    def receipt(self, site: str) -> Any:
        return valid(self.tool.home / f"{site}.json", "receipt")

    def has(self, site: str, name: str) -> bool:
        repository, _, tag = name.partition(":")
        return self.customer.manifest(f"{self.prefixes[site]}/{repository}", tag) == self.images[name].raw


PLAIN_FINAL = ("--final-tls-verify", "false")


@pytest.fixture
def sites(tool: Tool, vendor: Registry, customer: Registry) -> Sites:
    return Sites(tool, vendor, customer)


@pytest.fixture
def apart(sites: Sites) -> Sites:
    """Berlin has release 1, Oslo has 2 and of release 1 the worker; Rome has release 3, but no worker."""
    for release in (1, 2, 3):
        sites.pull(release, f"{release}.tar")
    sites.push("berlin", "1.tar")
    sites.push("oslo", "1.tar", "--only", "team/worker")
    sites.push("oslo", "2.tar", "--only", "team/app")
    sites.push("rome", "3.tar", "--only", "team/app")
    return sites


def for_sites(*names: str) -> list[str]:
    return [word for name in names for word in ("--for-site", f"{name}.json")]


def test_one_archive_serves_sites_at_different_releases(apart: Sites) -> None:
    pulled = apart.pull(4, "4.tar", *for_sites(*SITES))
    # Of the application all have the lowest layer; Rome has no worker, so all of that travels.
    assert [each["digest"] for each in pulled["omitted"]] == [apart.images["team/app:4"].layers[0]]
    assert {image["name"]: image["change"] for image in pulled["images"]} == {
        "team/app:4": "changed",
        "team/worker:4": "new",
    }
    whole = "the receipts name no layer for team/worker:4 that every site has"
    assert pulled["warnings"] == [whole]
    for site in SITES:
        apart.push(site, "4.tar")
        assert all(apart.has(site, f"{name}:4") for name in NAMES), site
    # Fewer sites have more in common; the order does not matter.
    two = apart.pull(4, "two.tar", *for_sites("berlin", "oslo"))
    assert two["layers_shared"] == 6
    first = (apart.tool.home / "two.tar").read_bytes()
    apart.pull(4, "two.tar", *for_sites("oslo", "berlin"))
    assert (apart.tool.home / "two.tar").read_bytes() == first


def test_one_site_is_served_as_by_its_receipt_as_a_base(apart: Sites) -> None:
    for name, words in (("a.tar", ("--for-site", "oslo.json")), ("b.tar", ("--base", "receipt:oslo.json"))):
        apart.pull(2, name, *words)
    assert (apart.tool.home / "a.tar").read_bytes() == (apart.tool.home / "b.tar").read_bytes()


def test_what_only_some_sites_have_already_still_travels(apart: Sites) -> None:
    pulled = apart.pull(2, "2.tar", *for_sites("berlin", "oslo"), names=("team/app",))
    assert pulled["images"][0]["change"] == "changed"
    assert [each["digest"] for each in pulled["omitted"]] == [apart.images["team/app:2"].layers[0]]
    apart.push("berlin", "2.tar")
    assert apart.has("berlin", "team/app:2")
    # Now both have it.
    again = apart.pull(2, "2.tar", *for_sites("berlin", "oslo"), names=("team/app",))
    assert (again["images"][0]["change"], again["layers_new"]) == ("same", 0)


def test_one_image_counts_what_sites_have_in_its_repository(apart: Sites) -> None:
    final = apart.reference("team/app:4")
    pulled = apart.tool.good("pull", final, *for_sites(*SITES), "-o", "o.tar", "--json", *PLAIN_PULL).json
    assert [each["digest"] for each in pulled["omitted"]] == [apart.images["team/app:4"].layers[0]]
    would = ("pull", final, "--dry-run", "--json", "--base", apart.reference("team/app:3"), *PLAIN_PULL)
    # A base is what all have, too, whatever the receipts say.
    assert apart.tool.good(*would, *for_sites(*SITES)).json["layers_shared"] == 1
    assert apart.tool.good(*would[:-2], *PLAIN_PULL).json["layers_shared"] == 1
    missing = apart.tool("pull", final, "--for-site", "none.json", "--dry-run", "--json", *PLAIN_PULL)
    refused(missing, 2, "none.json does not exist")
    folder = apart.tool("pull", final, "--for-site", ".", "--dry-run", "--json", *PLAIN_PULL)
    refused(folder, 2, "the receipt . is no plain file")


def states(told: Any) -> dict[str, list[str]]:
    return {site["receipt"]: [image["state"] for image in site["images"]] for site in told["sites"]}


def test_an_image_that_was_pushed_alone_is_no_base_of_another_in_a_bundle(
    tool: Tool, vendor: Registry, customer: Registry
) -> None:
    """A bundle's images go to repositories of their names: what the only other one has is of no use there."""
    at, there = fresh("vendor"), fresh("site")
    for name in NAMES:
        put_image(vendor, f"{at}/{name}", "1", [layer(f"{at}common"), layer(f"{at}{name}")])
    worker, target = f"{vendor.host}/{at}/team/worker:1", f"{customer.host}/{there}"
    tool.good("pull", worker, "-o", "worker.tar", *PLAIN_PULL)
    tool.good("push", "worker.tar", f"{target}/team/worker:1", "--receipt", "site.json", *PLAIN_DEST)
    spec = {"images": [{"name": f"{name}:1", "final": f"{vendor.host}/{at}/{name}:1"} for name in NAMES]}
    (tool.home / "spec.json").write_text(json.dumps(spec))
    for base in (("--for-site", "site.json"), ("--base", "receipt:site.json")):
        pulled = tool.good("pull", "--spec", "spec.json", *base, "-o", "both.tar", "--json", *PLAIN_PULL).json
        assert [image["change"] for image in pulled["images"]] == ["new", "same"]
    tool.good("push", "both.tar", target, *PLAIN_DEST)
    # By itself an image may be called otherwise at the site, where there is no other one.
    words = ("pull", f"{vendor.host}/{at}/team/app:1", "--for-site", "site.json", "-o", "app.tar", "--json")
    assert tool.good(*words, *PLAIN_PULL).json["layers_shared"] == 1


def test_status_before_and_after(apart: Sites) -> None:
    schema = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    watch = apart.customer.watch()
    before = apart.status(2, "--json").json
    assert watch.requests() == []
    schema.validate(before)
    assert before["changed"] is False
    assert [image["digest"] for image in before["release"]] == [apart.images[f"{name}:2"].digest for name in NAMES]
    assert states(before) == {
        "berlin.json": ["older", "older"],
        "oslo.json": ["same", "older"],
        "rome.json": ["older", "absent"],
    }
    rome = before["sites"][2]
    assert rome["images"][0]["digest"] == apart.images["team/app:3"].digest
    assert rome["images"][0]["date"] == apart.receipt("rome")["date"]
    assert not any(site["others"] for site in before["sites"])
    apart.pull(2, "update.tar", *for_sites(*SITES))
    for site in SITES:
        apart.push(site, "update.tar")
    after = apart.status(2, "--json").json
    assert set(states(after)) == {f"{site}.json" for site in SITES}
    assert all(each == ["same", "same"] for each in states(after).values())
    assert {each["name"] for site in after["sites"] for each in site["others"]} == {
        "team/app:1",
        "team/worker:1",
        "team/app:3",
    }
    assert all(each["state"] == "other" for site in after["sites"] for each in site["others"])


def test_status_as_a_table(apart: Sites) -> None:
    lines = apart.status(2, names=("team/app",)).text.splitlines()
    assert lines[0].split() == ["IMAGE", "DIGEST", *SITES]
    one, two, three = (apart.images[f"team/app:{release}"].digest[7:19] for release in (1, 2, 3))
    assert lines[1].split() == ["team/app:2", two, "older", one, "same", "older", three]
    assert lines[3].split() == ["ONLY", "AT", "THE", "SITE", "IMAGE", "DIGEST", "SINCE"]
    assert [line.split()[:2] for line in lines[4:]] == [["berlin", "team/worker:1"], ["oslo", "team/worker:1"]]
    assert max(map(len, lines)) <= 80
    # Where files of several folders have one name, the whole name tells.
    (apart.tool.home / "other").mkdir()
    (apart.tool.home / "other/oslo.json").write_bytes((apart.tool.home / "oslo.json").read_bytes())
    lines = apart.status(2, "--site", "other/oslo.json").text.splitlines()
    assert lines[0].split()[2:] == [*(f"{site}.json" for site in SITES), "other/oslo.json"]


def test_status_of_pinned_images_asks_nobody(apart: Sites) -> None:
    watch = apart.vendor.watch()
    told = apart.status(2, "--json", "--skopeo", "/nowhere", pinned=True).json
    assert states(told)["oslo.json"] == ["same", "older"]
    assert watch.requests() == []


def test_status_of_a_list_of_which_sites_have_one_platform(
    tool: Tool, vendor: Registry, customer: Registry
) -> None:
    repository = fresh("list")
    leaves = [
        (
            put_image(vendor, repository, None, [layer(f"{repository}{cpu}")], arch=cpu),
            {"os": "linux", "architecture": cpu},
        )
        for cpu in ("amd64", "arm64")
    ]
    put_list(vendor, repository, "1", leaves)
    image = {"name": repository, "final": f"{vendor.host}/{repository}:1"}
    (tool.home / "spec.json").write_text(json.dumps({"images": [image]}))
    (tool.home / "all.json").write_text(json.dumps({"images": [image | {"all": True}]}))
    tool.good("pull", "--spec", "spec.json", "--override-arch", "arm64", "-o", "o.tar", *PLAIN_PULL)
    tool.good("push", "o.tar", f"{customer.host}/{fresh()}", "--receipt", "r.json", *PLAIN_DEST)
    for spec, state in (("spec.json", "same"), ("all.json", "older")):
        told = tool.good("status", spec, "--site", "r.json", "--json", *PLAIN_FINAL).json
        assert states(told) == {"r.json": [state]}


def test_status_of_platforms(tool: Tool, vendor: Registry, customer: Registry) -> None:
    """A site may have another platform than the release wants, or not all of them."""
    repository, target = fresh("list"), fresh("site")
    leaves = {
        cpu: put_image(vendor, repository, None, [layer(f"{repository}{cpu}")], arch=cpu)
        for cpu in ("amd64", "arm64")
    }
    whole = put_list(vendor, repository, "1", [(each, platform(cpu)) for cpu, each in leaves.items()])

    def spec(name: str, **more: Any) -> str:
        image = {"name": "app:1", "final": f"{vendor.host}/{repository}:1", **more}
        (tool.home / name).write_text(json.dumps({"images": [image]}))
        return name

    specs = [
        spec("one.json", platforms=["linux/amd64"]),
        spec("other.json", platforms=["linux/arm64"]),
        spec("all.json", all=True),
        spec("image.json", platform="linux/arm64"),
    ]
    pinned = f"{vendor.host}/{repository}:1@{whole.digest}"
    fixed = [
        spec("fixed-one.json", final=pinned, platforms=["linux/amd64"]),
        spec("fixed-other.json", final=pinned, platforms=["linux/arm64"]),
        spec("fixed-all.json", final=pinned, all=True),
    ]

    def states_of(names: list[str]) -> list[str]:
        ran = [tool.good("status", each, "--site", "r.json", "--json", *PLAIN_FINAL).json for each in names]
        return [each["sites"][0]["images"][0]["state"] for each in ran]

    def told() -> list[str]:
        # Where the digest is in the spec, the receipt alone says which platforms the site lacks.
        watch = vendor.watch()
        assert states_of(fixed) == states_of(specs[:3])
        assert len(watch.requests("GET")) == 3
        return states_of(specs)

    def push(name: str) -> None:
        tool.good("pull", "--spec", name, "-o", "o.tar", *PLAIN_PULL)
        tool.good("push", "o.tar", f"{customer.host}/{target}", "--receipt", "r.json", *PLAIN_DEST)

    with accepting(customer, f"{target}/app", leaves["arm64"]):
        push("one.json")
    assert told() == ["same", "older", "older", "older"]
    (held,) = valid(tool.home / "r.json", "receipt")["images"]
    assert [each["platform"] for each in held["absent"]] == ["linux/arm64"]
    # The rest of the list comes to what is there already.
    push("other.json")
    (held,) = valid(tool.home / "r.json", "receipt")["images"]
    assert held["digest"] == whole.digest
    assert {each["digest"] for each in held["manifests"]} == {each.digest for each in leaves.values()}
    assert len(held["layers"]) == 2
    assert "absent" not in held
    assert told() == ["same"] * 4
    # The image of a platform under the tag of the list.
    push("image.json")
    assert told() == ["older", "older", "older", "same"]


def test_status_of_one_image_under_two_names(sites: Sites) -> None:
    put_image(sites.vendor, f"{sites.at}/team/copy", "1", sites.layers["team/app:1"])
    sites.pull(1, "1.tar", names=("team/app",))
    sites.push("berlin", "1.tar")
    images = [{"name": name, "final": sites.reference(name), "base": []} for name in ("team/app:1", "team/copy:1")]
    (sites.tool.home / "spec.json").write_text(json.dumps({"images": images}))
    told = sites.tool.good("status", "spec.json", "--site", "berlin.json", "--json", *PLAIN_FINAL).json
    assert states(told) == {"berlin.json": ["same", "absent"]}


def test_status_that_can_not_be_told(apart: Sites) -> None:
    bad = json.loads(apart.spec(2).read_text())
    bad["images"][1]["final"] += "none"
    (apart.tool.home / "bad.json").write_text(json.dumps(bad))
    ran = apart.tool("status", "bad.json", "--site", "oslo.json", "--json", *PLAIN_FINAL)
    refused(ran, 5, "1 of 2 images could not be read", "team/worker:2")
    refused(apart.tool("status", "release-2.json", "--json"), 2, "--site")


def test_a_receipt_grows(apart: Sites) -> None:
    held = apart.receipt("oslo")
    assert [image["name"] for image in held["images"]] == ["team/app:2", "team/worker:1"]
    new, old = held["images"]
    assert (new["reference"], old["reference"]) == (
        apart.there("oslo", "team/app:2"),
        apart.there("oslo", "team/worker:1"),
    )
    assert "date" not in new
    assert old["date"] <= held["date"]
    # What stood under the same tag is not known any more: a registry may remove what no tag points to.
    put_image(apart.vendor, f"{apart.at}/team/app", "2", apart.layers["team/app:3"])
    apart.pull(2, "moved.tar", names=("team/app",))
    apart.push("oslo", "moved.tar")
    assert [image["name"] for image in apart.receipt("oslo")["images"]] == ["team/app:2", "team/worker:1"]
    assert apart.receipt("oslo")["images"][0]["digest"] != new["digest"]
    # An older version of this program reads the first without a name, and all layers.
    assert set(held) == {"receipt", "destination", "date", "version", "images"}


def test_the_latest_of_a_chain_comes_first(sites: Sites) -> None:
    sites.pull(1, "1.tar")
    sites.pull(2, "2.tar", "--base", "oci-archive:1.tar")
    chain = ("push", "1.tar", "2.tar", sites.there("oslo"), "--receipt", "oslo.json", "--json")
    sites.tool.good(*chain, *PLAIN_DEST)
    names = [image["name"] for image in sites.receipt("oslo")["images"]]
    assert names == ["team/app:2", "team/worker:2", "team/app:1", "team/worker:1"]
    older = sites.tool.good("status", sites.spec(3), "--site", "oslo.json", "--json", *PLAIN_FINAL).json
    for image in older["sites"][0]["images"]:
        assert image["digest"] == sites.images[image["name"].replace(":3", ":2")].digest


def test_images_by_themselves_share_a_receipt(apart: Sites) -> None:
    tool, there = apart.tool, f"docker://{apart.customer.host}/{apart.prefixes['rome']}/{apart.at}"
    for name in ("team/app:1", "team/worker:1", "team/app:2"):
        tool.good("pull", apart.reference(name), "-o", "o.tar", *PLAIN_PULL)
        tool.good("push", "o.tar", f"{there}/{name}", "--receipt", "one.json", *PLAIN_DEST)
    held = valid(tool.home / "one.json", "receipt")
    assert [image["reference"] for image in held["images"]] == [
        f"{there}/{name}" for name in ("team/app:2", "team/worker:1", "team/app:1")
    ]
    # A registry has layers by repository: those of the worker's are of no use to the application.
    would = ("pull", "--base", "receipt:one.json", "--dry-run", "--json", *PLAIN_PULL)
    assert tool.good(*would, apart.reference("team/app:3")).json["layers_shared"] == 2
    put_image(apart.vendor, f"{apart.at}/other", "1", apart.layers["team/worker:1"])
    assert tool.good(*would, apart.reference("other:1")).json["layers_shared"] == 0
    told = tool.good("status", apart.spec(2), "--site", "one.json", "--json", *PLAIN_FINAL).json
    assert states(told) == {"one.json": ["same", "older"]}
    assert [each["name"] for each in told["sites"][0]["others"]] == [
        f"{apart.prefixes['rome']}/{apart.at}/team/app:1"
    ]


def test_receipts_of_older_versions(apart: Sites) -> None:
    path = apart.tool.home / "berlin.json"
    held = apart.receipt("berlin")
    for image in held["images"]:
        del image["reference"]
    path.write_text(json.dumps(held))
    assert states(apart.status(1, "--json").json)["berlin.json"] == ["same", "same"]
    put_image(apart.vendor, f"{apart.at}/team/app", "1", apart.layers["team/app:3"])
    apart.pull(1, "moved.tar", "--for-site", "berlin.json", names=("team/app",))
    apart.push("berlin", "moved.tar")
    assert [image["reference"] for image in apart.receipt("berlin")["images"]] == [
        apart.there("berlin", f"{name}:1") for name in NAMES
    ]


def test_an_empty_file_is_no_receipt_yet(apart: Sites) -> None:
    (apart.tool.home / "rome.json").write_bytes(b"")
    apart.push("rome", "1.tar")
    assert len(apart.receipt("rome")["images"]) == 2


def test_places_that_keep_one_image_have_a_receipt_of_that_one(apart: Sites) -> None:
    tool = apart.tool
    for place, count in (("oci:layout", 2), ("dir:folder", 1)):
        for release, tag in ((1, "a"), (2, "b")):
            tool.good("pull", apart.reference(f"team/app:{release}"), "-o", "o.tar", *PLAIN_PULL)
            where = f"{place}:{tag}" if place == "oci:layout" else place
            tool.good("push", "o.tar", where, "--receipt", f"{count}.json")
        assert len(valid(tool.home / f"{count}.json", "receipt")["images"]) == count


HOSTILE: dict[str, tuple[Any, ...]] = {
    "not JSON": (b"{", "not valid JSON"),
    "an array": (b"[]", "not a JSON object"),
    "no receipt": (b"{}", "is not a receipt"),
    "of another format": (b'{"receipt": "2"}', "is not a receipt of format 1"),
    "a date that is a number": ("date", 1, "at date"),
    "an endless reference": ("reference", "x" * 9000, "at images[0].reference: it is longer"),
    "no digest": ("digest", "sha256:0", "at images[0].digest"),
    "a size below nothing": (
        "layers",
        [{"digest": ZEROS, "media_type": "x", "size": -1}],
        "images[0].layers[0].size",
    ),
}


def test_bad_receipts(apart: Sites) -> None:
    path, spec = apart.tool.home / "oslo.json", apart.spec(2)
    for kind, (*change, words) in HOSTILE.items():
        held = json.loads((apart.tool.home / "rome.json").read_text())
        if len(change) == 1:
            path.write_bytes(change[0])
        else:
            (held if change[0] == "date" else held["images"][0])[change[0]] = change[1]
            path.write_text(json.dumps(held))
        raw, watch = path.read_bytes(), apart.customer.watch()
        push = ("push", "2.tar", apart.there("oslo"), "--receipt", "oslo.json", "--json", *PLAIN_DEST)
        refused(apart.tool(*push), 4, "oslo.json", words)
        assert watch.requests() == [], kind
        assert path.read_bytes() == raw
        refused(apart.tool("status", spec, "--site", "oslo.json", "--json"), 4, "oslo.json", words, "--receipt")
        pull = ("pull", "--spec", spec, "--for-site", "oslo.json", "-o", "o.tar", "--json", *PLAIN_PULL)
        refused(apart.tool(*pull), 4, "oslo.json", words)
        assert not (apart.tool.home / "o.tar").exists()


def test_references_in_a_receipt_are_only_compared(apart: Sites) -> None:
    """Whoever made it may have written anything there."""
    path = apart.tool.home / "oslo.json"
    held = apart.receipt("oslo")
    odd = ("docker://", "docker://a b", "../../etc/passwd", "docker://\u2028\x1b[2J/x:1", "x" * 8000, "receipt:/x")
    for image, reference in zip(held["images"] * 3, odd, strict=True):
        image["reference"] = reference
        image.pop("name", None)
        path.write_text(json.dumps(held))
        apart.pull(2, "o.tar", "--for-site", "oslo.json")
        told = apart.status(4)
        assert "\x1b" not in told.text
        assert all(line.isprintable() for line in told.text.splitlines())


def test_another_place_has_another_receipt(apart: Sites, vendor: Registry) -> None:
    raw, watch = (apart.tool.home / "oslo.json").read_bytes(), vendor.watch()
    ran = apart.tool("push", "2.tar", f"{vendor.host}/x", "--receipt", "oslo.json", "--json", *PLAIN_DEST)
    refused(ran, 2, "oslo.json is the receipt of", apart.customer.host, "--receipt")
    assert watch.requests() == []
    assert (apart.tool.home / "oslo.json").read_bytes() == raw


def test_what_was_sent_is_a_base(sites: Sites) -> None:
    one = sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    first = valid(sites.tool.home / "sent.json", "sent")
    assert [(each["name"], each["reference"]) for each in first["images"]] == [
        (f"{name}:1", f"docker://{sites.reference(f'{name}:1')}") for name in NAMES
    ]
    assert not one["warnings"]
    two = sites.pull(2, "2.tar", "--base", "sent:sent.json", "--sent-ledger", "sent.json")
    assert two["layers_shared"] == 2
    assert two["warnings"] == ["sent:sent.json says what was sent: nobody has confirmed that it arrived"]
    # The same as if the site had told; and a chain arrives.
    sites.push("berlin", "1.tar")
    sites.pull(2, "told.tar", "--base", "receipt:berlin.json")
    assert (sites.tool.home / "told.tar").read_bytes() == (sites.tool.home / "2.tar").read_bytes()
    sites.push("berlin", "2.tar")
    assert all(sites.has("berlin", f"{name}:2") for name in NAMES)
    held = valid(sites.tool.home / "sent.json", "sent")
    assert [each["name"] for each in held["images"]] == [
        f"{name}:{release}" for release in (2, 1) for name in NAMES
    ]
    assert held["images"][2]["date"] == first["date"]
    # What was sent of one image is of no use to another, and one image is added as a bundle's are.
    words = ("pull", sites.reference("team/app:3"), "--base", "sent:sent.json", "--sent-ledger", "sent.json")
    assert sites.tool.good(*words, "-o", "3.tar", "--json", *PLAIN_PULL).json["layers_shared"] == 2
    assert len(valid(sites.tool.home / "sent.json", "sent")["images"]) == 5


def test_a_pull_of_what_was_sent_keeps_its_archive(sites: Sites) -> None:
    """A command that is run a second time must not take out of the archive what it has noted as sent."""
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    pull = (2, "2.tar", "--base", "sent:sent.json", "--sent-ledger", "./sent.json")
    first = sites.pull(*pull)
    archive, sent = (sites.tool.home / name for name in ("2.tar", "sent.json"))
    before = [archive.read_bytes(), sent.read_bytes()]
    again = sites.pull(*pull)
    assert [archive.read_bytes(), sent.read_bytes()] == before
    assert (first["changed"], again["changed"]) == (True, False)
    assert again["archive"] == first["archive"]
    assert again["layers_new"] == first["layers_new"] > 0
    assert [image["change"] for image in again["images"]] == [image["change"] for image in first["images"]]
    assert "2.tar stays as it is" in again["warnings"][-1]
    SCHEMA.validate(again)
    with Incremental(final_auth=Access(tls_verify=False)).pull_bundle(
        sites.spec(2), base=f"sent:{sent}", output=archive, sent_ledger=sent
    ) as kept:
        assert kept.read() == before[0]
    # An archive that is damaged, or another one, is not kept: it is made of what the list says, as it always is.
    within = before[0].index(b"\x1f\x8b") + 100
    for other in (
        before[0][:within] + bytes(9) + before[0][within + 9 :],
        (sites.tool.home / "1.tar").read_bytes(),
    ):
        archive.write_bytes(other)
        assert sites.pull(*pull)["layers_new"] == 0
        assert archive.read_bytes() != other


def test_what_sites_have_is_no_source_of_changes(apart: Sites) -> None:
    """A receipt names layers, and has none: whoever wants changes is told to name an image, too."""
    told = apart.pull(4, "o.tar", *for_sites("oslo"), "--delta", "--dry-run")
    assert any("no layers that changes could be made from" in each for each in told["warnings"])
    more = ("--base-spec", apart.spec(2))
    told = apart.pull(4, "o.tar", *for_sites("oslo"), *more, "--delta", "--dry-run")
    assert not any("no layers that changes" in each for each in told["warnings"])


def test_a_site_that_did_not_get_it_finds_out(sites: Sites) -> None:
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    sites.pull(2, "2.tar", "--base", "sent:sent.json")
    watch = sites.customer.watch()
    refused(sites.tool("push", "2.tar", sites.there("oslo"), "--json", *PLAIN_DEST), 3)
    # It would ask the repository of this name.
    asked = sites.tool("inspect", "2.tar", "--for", sites.there("oslo"), "--json", *PLAIN_DEST)
    assert "use vet, as images of a bundle go to several" in asked.stderr
    assert watch.writes() == []


def test_nothing_is_added_that_was_not_sent(sites: Sites) -> None:
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    raw = (sites.tool.home / "sent.json").read_bytes()
    files = {path.name for path in sites.tool.home.iterdir()}
    pull = ("pull", sites.reference("team/app:2"), "--sent-ledger", "sent.json", "--json", *PLAIN_PULL)
    sites.tool.good(*pull, "--dry-run")
    assert sites.tool(*pull, "-o", "no/such/o.tar").code == 6
    assert sites.tool("pull", sites.reference("none:1"), *pull[2:], "-o", "o.tar").code == 5
    assert (sites.tool.home / "sent.json").read_bytes() == raw
    refused(sites.tool(*pull, "-o", "o.tar", "--sent-ledger", "no/such.json"), 6, "no/such.json")
    assert {path.name for path in sites.tool.home.iterdir()} == files


def test_an_archive_is_no_list_of_what_was_sent(sites: Sites) -> None:
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    raw, watch = (sites.tool.home / "sent.json").read_bytes(), sites.vendor.watch()
    for name in ("sent.json", "new.json"):
        pull = ("pull", sites.reference("team/app:2"), "-o", f"./{name}", "--sent-ledger", name, "--json")
        refused(sites.tool(*pull, *PLAIN_PULL), 2, name, "--sent-ledger")
    assert watch.requests() == []
    assert (sites.tool.home / "sent.json").read_bytes() == raw
    assert not (sites.tool.home / "new.json").exists()


def test_a_list_that_nobody_could_read_is_refused_before_anything_is_fetched(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = sites.tool.home
    monkeypatch.setattr(growing, "OURS", Bounds(1_000, 1_000))
    watch = sites.vendor.watch()
    with pytest.raises(UsageError, match="one list of what was sent can't hold"):
        Incremental(final_auth=Access(tls_verify=False)).pull(
            None, sites.reference("team/app:1"), output=home / "o.tar", sent_ledger=home / "sent.json"
        )
    assert watch.blobs() == []
    assert list(home.iterdir()) == []


@pytest.fixture
def large(vendor: Registry) -> Iterator[str]:
    repository = fresh("large")
    put_image(vendor, repository, "1", [layer(f"{repository}{number}", 2_000_000) for number in range(3)])
    with Proxy(vendor.host, bytes_per_second=1_000_000) as proxy:
        yield f"{proxy.host}/{repository}:1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_pull_adds_nothing(sites: Sites, large: str, number: signal.Signals) -> None:
    tool = sites.tool
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    raw = (tool.home / "sent.json").read_bytes()
    more = ("-o", "o.tar", "--sent-ledger", "sent.json", "--tmpdir", tool.temporary, *PLAIN_PULL)
    running = started(tool, "pull", large, *more)
    while not any("copy" in line.split("\0") for line in processes_in(tool.temporary)):
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(number)
    running.communicate()
    assert running.returncode != 0
    assert (tool.home / "sent.json").read_bytes() == raw
    assert not (tool.home / "o.tar").exists()
    # Nor does the next run fall over what was left.
    sites.pull(2, "2.tar", "--sent-ledger", "sent.json")
    assert len(valid(tool.home / "sent.json", "sent")["images"]) == 4
    assert not [path for path in tool.home.iterdir() if path.suffix == ".part"]


def test_ledgers_are_told_apart(sites: Sites) -> None:
    sites.pull(1, "1.tar", "--sent-ledger", "sent.json")
    sites.push("oslo", "1.tar")
    final = sites.reference("team/app:2")
    dry = ("--dry-run", "--json", *PLAIN_PULL)
    refused(sites.tool("pull", final, "-b", "receipt:sent.json", *dry), 4, "not a receipt", "sent:sent.json")
    refused(
        sites.tool("pull", final, "-b", "sent:oslo.json", *dry), 4, "not a list of what was", "receipt:oslo.json"
    )
    refused(sites.tool("pull", final, "-b", "sent.json", *dry), 2, "write sent:sent.json")
    refused(sites.tool("pull", final, "-b", "sent:none.json", *dry), 2, "none.json does not exist")
    refused(sites.tool("push", "1.tar", "sent:x", "--json"), 2, "can't be a destination")
    watch = sites.vendor.watch()
    refused(sites.tool("pull", final, "-o", "o.tar", "--sent-ledger", "oslo.json", *dry[1:]), 4, "not a list of")
    bad = json.loads((sites.tool.home / "sent.json").read_text())
    bad["images"][1]["layers"][0]["digest"] = "x"
    (sites.tool.home / "sent.json").write_text(json.dumps(bad))
    ran = sites.tool("pull", final, "-o", "o.tar", "--sent-ledger", "sent.json", *dry[1:])
    refused(ran, 4, "sent.json breaks the schema at images[1].layers[0].digest")
    assert watch.requests() == []
