"""Names that people know: an archive remembers those of its images and bases, without hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.archives import members_of, repack
from tests.support.images import Image, fresh, layer, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused, skopeo

if TYPE_CHECKING:
    from tests.support.registry import Registry
    from tests.support.release import Release

NAMES = "io.skopeo-incremental.names"


class Site:
    """Two releases of an image at a vendor, and a customer who has nothing."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.tool, self.vendor, self.customer = tool, vendor, customer
        self.at = fresh("team")
        self.one = self.put(vendor, "1")
        self.two = self.put(vendor, "2")
        self.names = {self.one.digest: f"{self.at}:1", self.two.digest: f"{self.at}:2"}

    def put(self, registry: Registry, tag: str) -> Image:
        return put_image(registry, self.at, tag, [layer(self.at), layer(self.at + tag)])

    def here(self, tag: str) -> str:
        return f"{self.vendor.host}/{self.at}:{tag}"

    def there(self, tag: str) -> str:
        return f"{self.customer.host}/{self.at}:{tag}"

    def pull(self, final: str, *options: str, output: str = "o.tar") -> Any:
        return self.tool.good("pull", final, *options, "-o", output, "--json", *PLAIN_PULL).json

    def index(self, archive: str = "o.tar") -> Any:
        return json.loads(members_of(self.tool.home / archive)["index.json"])

    def said(self, archive: str = "o.tar") -> Any:
        """The names that an archive has."""
        return json.loads(self.index(archive)["annotations"].get(NAMES, "{}"))

    def bytes_of(self, archive: str) -> bytes:
        return (self.tool.home / archive).read_bytes()


@pytest.fixture
def site(tool: Tool, vendor: Registry, customer: Registry) -> Site:
    return Site(tool, vendor, customer)


def test_an_archive_remembers_names_and_no_host(site: Site) -> None:
    pulled = site.pull(site.here("2"), "-b", site.here("1"))
    assert pulled["names"] == site.said() == site.names
    assert site.tool.good("inspect", "o.tar", "--json").json["names"] == site.names
    for part in (site.vendor.host, site.vendor.host.rpartition(":")[2], "127.0.0.1"):
        assert part.encode() not in site.bytes_of("o.tar")
    base = f"{'base:':<16}{site.at}:1 ({site.one.digest})\n"
    for command in (
        ("pull", site.here("2"), "-b", site.here("1"), "--dry-run", *PLAIN_PULL),
        ("inspect", "o.tar"),
        ("vet", "o.tar"),
    ):
        assert base in site.tool.good(*command).text, command
    assert f"{'image:':<16}{site.at}:2 linux/amd64\n" in site.tool.good("inspect", "o.tar").text
    # Other tools read it as before.
    site.pull(site.here("2"), output="whole.tar")
    skopeo("copy", f"oci-archive:{site.tool.home}/whole.tar:2", f"dir:{site.tool.home}/copied")
    assert (site.tool.home / "copied/manifest.json").read_bytes() == site.two.raw


def test_the_same_names_from_other_hosts_give_the_same_archive(site: Site) -> None:
    for tag in "12":
        site.put(site.customer, tag)
    site.pull(site.here("2"), "-b", site.here("1"))
    site.pull(site.there("2"), "-b", site.there("1"), output="mirrored.tar")
    assert site.bytes_of("mirrored.tar") == site.bytes_of("o.tar")


def test_the_order_of_bases_does_not_matter(site: Site) -> None:
    site.put(site.vendor, "1")
    put_image(site.vendor, site.at, "latest", [layer(site.at), layer(site.at + "1")])
    bases = [("-b", site.here(tag)) for tag in ("latest", "1")]
    for output, ordered in (("one.tar", bases), ("other.tar", bases[::-1])):
        pulled = site.pull(site.here("2"), *ordered[0], *ordered[1], output=output)
        assert pulled["names"] == site.names
    assert site.bytes_of("one.tar") == site.bytes_of("other.tar")


def test_digests_and_no_tag(site: Site) -> None:
    pinned = f"{site.vendor.host}/{site.at}@"
    pulled = site.pull(pinned + site.two.digest, "-b", pinned + site.one.digest)
    assert pulled["names"] == site.said() == {site.one.digest: site.at, site.two.digest: site.at}
    # What only has a repository's name can't be loaded under one.
    assert "annotations" not in site.index()["manifests"][0]
    site.pull(pinned + site.two.digest, output="pulled.tar")
    site.tool.good("complete", "o.tar", "-b", site.here("1"), "--base-tls-verify=false", "-o", "completed.tar")
    assert site.bytes_of("completed.tar") == site.bytes_of("pulled.tar")


@pytest.mark.parametrize("options", [(), ("--anonymous",)])
def test_what_is_made_whole_is_what_a_pull_writes(site: Site, options: tuple[str, ...]) -> None:
    site.pull(site.here("2"), *options, output="pulled.tar")
    site.pull(site.here("2"), "-b", site.here("1"), *options)
    made = site.tool.good(
        "complete", "o.tar", "-b", site.here("1"), "--base-tls-verify=false", "-o", "made.tar", "--json"
    ).json
    assert site.bytes_of("made.tar") == site.bytes_of("pulled.tar")
    assert made["names"] == ({} if options else {site.two.digest: f"{site.at}:2"})
    site.tool.good("push", "made.tar", "oci-archive:renamed.tar:3")
    assert site.said("renamed.tar") == ({} if options else {site.two.digest: f"{site.at}:3"})


def test_an_anonymous_archive_has_no_names(site: Site) -> None:
    pull = (site.here("2"), "-b", site.here("1"), "--anonymous")
    pulled = site.pull(*pull)
    assert pulled["names"] == {}
    for part in (site.at, "127.0.0.1", NAMES, "ref.name", "containerd"):
        assert part.encode() not in site.bytes_of("o.tar"), part
    site.pull(site.here("1"), output="1.tar")
    site.pull(site.here("2"), output="2.tar")
    made = site.tool.good("diff", "1.tar", "2.tar", "--anonymous", "-o", "made.tar", "--json").json
    assert made["names"] == {}
    assert site.bytes_of("made.tar") == site.bytes_of("o.tar")
    refused(site.tool("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST), 3, f"push {site.one.digest} there")
    site.tool.good("push", "1.tar", site.there("1"), *PLAIN_DEST)
    site.tool.good("push", "o.tar", site.there("2"), *PLAIN_DEST)
    assert site.customer.manifest(site.at, "2") == site.two.raw


def test_what_is_missing_is_told_by_name(site: Site) -> None:
    site.pull(site.here("2"), "-b", site.here("1"))
    base = f"{site.at}:1 ({site.one.digest})"
    step = f"push {base} there first"
    vetted = site.tool("vet", "o.tar", site.there("2"), *PLAIN_DEST)
    assert (vetted.code, f"  {base}\n" in vetted.text) == (3, True)
    asked = site.tool("inspect", "o.tar", "--for", f"docker://{site.there('2')}", "--json", "--tls-verify=false")
    other = put_image(site.vendor, site.at, "other", [layer("nothing of it")])
    made = ("complete", "o.tar", "-b", site.here("other"), "--base-tls-verify=false", "-o", "x.tar")
    for ran in (
        site.tool("vet", "o.tar", site.there("2"), "--json", *PLAIN_DEST),
        asked,
        site.tool("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST),
        site.tool(*made, "--json"),
    ):
        refused(ran, 3, base)
        assert ran.json["names"] == site.names
        assert ran.json["missing"][0]["bases"] == [site.one.digest]
    assert other.digest not in ran.text
    pushed = site.tool("push", "o.tar", site.there("2"), *PLAIN_DEST)
    assert f"  {base}\n" in pushed.stderr
    assert f"next: {step}" in pushed.stderr


def test_bases_outside_of_registries_have_the_names_that_they_have_there(site: Site) -> None:
    site.pull(site.here("1"), output="1.tar")
    site.tool.good("push", "1.tar", site.there("first"), "--receipt", "receipt.json", *PLAIN_DEST)
    home = site.tool.home
    copy = ("copy", "--src-tls-verify=false", f"docker://{site.here('1')}")
    skopeo(*copy, f"oci-archive:{home}/full.tar:vendor.example/library/app:1")
    skopeo(*copy, f"oci:{home}/layout:docker.io/library/app:1")
    skopeo(*copy, f"oci-archive:{home}/tag.tar:1")
    (home / "base.json").write_bytes(site.one.raw)
    for base, name in (
        ("oci-archive:1.tar", f"{site.at}:1"),
        ("receipt:receipt.json", f"{site.at}:first"),
        ("oci-archive:full.tar", "library/app:1"),
        ("oci:layout", "app:1"),
        ("oci-archive:tag.tar", None),
        ("manifest:base.json", None),
    ):
        pulled = site.pull(site.here("2"), "-b", base)
        known = {site.one.digest: name} if name else {}
        assert pulled["names"] == site.said() == known | {site.two.digest: f"{site.at}:2"}, base
        assert pulled["layers_shared"] == 1


def test_a_chain_and_an_archive_in_a_registry(site: Site) -> None:
    third = site.put(site.vendor, "3")
    site.pull(site.here("2"), "-b", site.here("1"), output="2.tar")
    site.pull(site.here("3"), "-b", "oci-archive:2.tar", output="3.tar")
    everything = site.names | {third.digest: f"{site.at}:3"}
    site.pull(site.here("1"), output="1.tar")
    chain = ("push", "1.tar", "2.tar", "3.tar", site.there("3"), "--receipt", "receipt.json")
    assert site.tool.good(*chain, "--json", *PLAIN_DEST).json["names"] == everything
    pulled = site.pull(site.here("3"), "-b", "receipt:receipt.json", "--dry-run")
    assert pulled["names"][third.digest] == f"{site.at}:3"
    stored = site.tool.good("push", "3.tar", site.there("stored"), "--as-delta", "--json", *PLAIN_DEST).json
    found = site.tool.good("inspect", f"docker://{site.there('stored')}", "--json", "--src-tls-verify=false").json
    assert stored["names"] == found["names"] == {d: n for d, n in everything.items() if d != site.one.digest}


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "[]",
        "not JSON",
        '{"sha256:x": 1}',
        "[" * 100_000,
        json.dumps({"x": "y" * 1_000_000}),
        json.dumps(dict.fromkeys(map(str, range(300_000)), "a:1")),
    ],
)
def test_without_names_that_can_be_read_all_is_the_same(site: Site, said: str | None) -> None:
    site.pull(site.here("1"), output="1.tar")
    site.pull(site.here("2"), "-b", site.here("1"))
    index = site.index()
    del index["annotations"][NAMES]
    if said is not None:
        index["annotations"][NAMES] = said
    repack(site.tool.home / "o.tar", {"index.json": json.dumps(index).encode()})
    refused(
        site.tool("vet", "o.tar", site.there("2"), "--json", *PLAIN_DEST), 3, f"push {site.one.digest} there first"
    )
    site.tool.good("push", "1.tar", site.there("1"), *PLAIN_DEST)
    pushed = site.tool.good("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST).json
    # By which other tools load it.
    assert pushed["names"] == {site.two.digest: f"{site.at}:2"}


def test_hostile_names_are_passed_over(site: Site) -> None:
    """One that is none is not shown; one that lies leads nowhere."""
    site.pull(site.here("1"), output="1.tar")
    site.pull(site.here("2"), "-b", site.here("1"))
    index = site.index()
    for name in (
        "a\nb",
        "\x1b[2J:1",
        "<script>alert(1)</script>",
        "x" * 500,
        "a:" + "1" * 129,
        "run this; rm",
        "A",
        "",
        "a:1 (sha256:0)",
        ["a"],
        None,
    ):
        index["annotations"][NAMES] = json.dumps(site.names | {site.one.digest: name})
        repack(site.tool.home / "o.tar", {"index.json": json.dumps(index).encode()})
        found = site.tool.good("inspect", "o.tar")
        assert f"{'base:':<16}{site.one.digest}\n" in found.text, name
    elsewhere = {digest: f"elsewhere:{number}" for number, digest in enumerate(site.names)}
    index["annotations"][NAMES] = json.dumps(elsewhere | dict.fromkeys(site.two.layers, "layer:1"))
    repack(site.tool.home / "o.tar", {"index.json": json.dumps(index).encode()})
    refused(
        site.tool("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST), 3, f"elsewhere:0 ({site.one.digest})"
    )
    site.tool.good("push", "1.tar", site.there("1"), *PLAIN_DEST)
    pushed = site.tool.good("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST).json
    assert pushed["names"] == {site.one.digest: "elsewhere:0", site.two.digest: f"{site.at}:2"}
    assert site.customer.manifest(site.at, "2") == site.two.raw


def test_a_bundle_knows_its_bases_by_their_names_in_the_earlier_one(release: Release) -> None:
    release.pull("1")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    pulled = release.pull("2", "--base-spec", earlier)
    names = {image.digest: name for name, image in release.images.items()}
    assert pulled["names"] == release.tool.good("inspect", "2.tar", "--json").json["names"] == names
    made = release.tool.good("diff", "1.tar", "2.tar", "-o", "made.tar", "--json").json
    assert made["names"] == names
    base = release.images["team/one:1"].digest
    failed = release.push("2.tar", code=3)
    assert f"team/one:1 ({base})" in failed["error"]["next"]
    assert failed["names"] == names
    # Where its images go, an anonymous one still says; what they are based on it does not.
    (release.tool.home / "2.tar").unlink()
    anonymous = release.pull("2", "--base-spec", earlier, "--anonymous")
    own = {release.images[name].digest: name for name in release.names("2")}
    assert anonymous["names"] == release.tool.good("inspect", "2.tar", "--json").json["names"] == own
    archive = (release.tool.home / "2.tar").read_bytes()
    for part in (release.at, "team/one:1", "127.0.0.1"):
        assert part.encode() not in archive


def test_a_receipt_of_a_bundle_names_its_images(release: Release) -> None:
    release.pull("1")
    release.push("1.tar", "--receipt", release.tool.home / "receipt.json")
    pulled = release.pull("2", "--base", "receipt:receipt.json")
    assert pulled["names"] == {image.digest: name for name, image in release.images.items()}


def test_names_are_in_the_schema(site: Site) -> None:
    import jsonschema

    schema = json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text())
    pulled = site.pull(site.here("2"), "-b", site.here("1"))
    jsonschema.validate(pulled, schema)
    jsonschema.validate(site.tool("push", "o.tar", site.there("2"), "--json", *PLAIN_DEST).json, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pulled | {"names": {"team/app:1": site.one.digest}}, schema)
