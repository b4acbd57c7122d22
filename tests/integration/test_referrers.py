"""What belongs to each image of a bundle: whether it travels, of what kind it is, and who finds it afterwards."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_signatures import beside, change_index, tag_of
from tests.support.front import Asked, Front, Given
from tests.support.images import OCI_INDEX, Image, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Ran, Tool, refused

if TYPE_CHECKING:
    from tests.support.registry import Registry

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SPDX = "application/spdx+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def refer(
    registry: Registry, repository: str, subject: Image, kind: str, said: dict[str, str] | None = None
) -> Image:
    """An artifact that names its subject, as oras and cosign 3 push it."""
    extra: dict[str, Any] = {"artifactType": kind, "subject": subject.descriptor()}
    extra |= {"annotations": said} if said else {}
    return put_image(
        registry, repository, None, [f"{kind} of {subject.digest}".encode()], config=b"{}", config_type=EMPTY,
        layer_types=[kind], extra=extra,
    )  # fmt: skip


def entry(image: Image, kind: str) -> dict[str, Any]:
    return {**image.descriptor(), "artifactType": kind}


class Bundle:
    """A list that is signed by tags, an image of which only the referrers API knows more, and a chart alone."""

    def __init__(self, tool: Tool, vendor: Registry) -> None:
        self.tool, self.prefix = tool, fresh("vendor")
        app, worker, chart = (f"{self.prefix}/{name}" for name in ("app", "worker", "chart"))
        self.leaves = [put_image(vendor, app, None, [layer(app + arch)], arch=arch) for arch in ("amd64", "arm64")]
        self.app = put_list(
            vendor, app, "2",
            [(leaf, platform(arch)) for leaf, arch in zip(self.leaves, ("amd64", "arm64"), strict=True)],
        )  # fmt: skip
        self.sig = beside(vendor, app, self.app, ".sig")
        self.att = beside(vendor, app, self.leaves[1], ".att")
        self.sbom = refer(vendor, app, self.app, SPDX)
        self.listed = put_list(vendor, app, tag_of(self.app), [(self.sbom, None)])
        self.worker = put_image(vendor, worker, "2", [layer(worker)])
        said = {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}
        self.signature = refer(vendor, worker, self.worker, BUNDLE, said)
        said = {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}
        self.provenance = refer(vendor, worker, self.worker, BUNDLE, said)
        self.parts = refer(vendor, worker, self.worker, "application/vnd.cyclonedx+json")
        self.signed_parts = refer(vendor, worker, self.parts, BUNDLE)
        put_image(vendor, chart, "2", [layer(chart)])
        self.images = [
            {"name": f"{name}:2", "final": f"{vendor.host}/{self.prefix}/{name}:2", "all": True}
            for name in ("app", "worker", "chart")
        ]
        # As oras prints it since 1.3: the signature of a list of parts stands below that.
        nested = entry(self.parts, "x") | {"referrers": [entry(self.signed_parts, BUNDLE)]}
        found = [entry(self.signature, BUNDLE), entry(self.provenance, BUNDLE), nested]
        self.discovered = {**self.worker.descriptor(), "reference": f"{vendor.host}/x@y", "referrers": found}
        tool.home.joinpath("worker.json").write_text(json.dumps(self.discovered))
        self.images[1]["with_from"] = "worker.json"

    def pull(self, **defaults: Any) -> Any:
        spec = {"images": self.images, "defaults": defaults}
        self.tool.home.joinpath("spec.json").write_text(json.dumps(spec))
        return self.tool("pull", "--spec", "spec.json", "-o", "b.tar", "--json", *PLAIN_PULL)


@pytest.fixture
def bundle(tool: Tool, vendor: Registry) -> Bundle:
    return Bundle(tool, vendor)


def test_a_bundle_of_signed_and_unsigned_images(tool: Tool, bundle: Bundle, customer: Registry) -> None:
    pulled = bundle.pull(signatures="if-present")
    assert pulled.code == 0, pulled.stderr
    images = {image["name"]: image for image in pulled.json["images"] if not image["beside"]}
    assert [images[f"{name}:2"]["referrers"] for name in ("app", "worker", "chart")] == [
        {"attestation": 1, "sbom": 1, "signature": 1},
        {"attestation": 1, "sbom": 1, "signature": 2},
        {},
    ]
    kinds = {image["digest"]: image["kind"] for image in pulled.json["images"]}
    assert kinds[bundle.listed.digest] == "list"
    assert (kinds[bundle.signature.digest], kinds[bundle.provenance.digest]) == ("signature", "attestation")
    assert kinds[bundle.app.digest] is None
    (warning,) = tool.good("spec", "b.tar", "--from", "vendor.example", "--json").json["warnings"]
    assert "b.tar has signatures or other referrers" in warning
    shown = tool.good("inspect", "b.tar", "--report", "page.html").stdout.decode()
    assert "1 attestation, 1 SBOM, 2 signatures" in shown
    page = tool.home.joinpath("page.html").read_text()
    for image in (bundle.sig, bundle.att, bundle.sbom, bundle.listed, bundle.signature, bundle.signed_parts):
        assert image.digest in page
    assert "with 1 attestation, 1 SBOM, 1 signature" in page
    tool.good("push", "b.tar", f"{customer.host}/{bundle.prefix}/there", *PLAIN_DEST)
    app, worker = (f"{bundle.prefix}/there/{name}" for name in ("app", "worker"))
    for repository, name, image in (
        (app, "2", bundle.app),
        (app, tag_of(bundle.app, ".sig"), bundle.sig),
        (app, tag_of(bundle.leaves[1], ".att"), bundle.att),
        (app, tag_of(bundle.app), bundle.listed),
        (app, bundle.sbom.digest, bundle.sbom),
        (worker, "2", bundle.worker),
        (worker, bundle.signature.digest, bundle.signature),
        (worker, bundle.provenance.digest, bundle.provenance),
        (worker, bundle.signed_parts.digest, bundle.signed_parts),
    ):
        assert customer.manifest(repository, name) == image.raw
    assert listed(customer, worker, bundle.worker) == {
        bundle.signature.digest, bundle.provenance.digest, bundle.parts.digest,
    }  # fmt: skip
    assert listed(customer, worker, bundle.parts) == {bundle.signed_parts.digest}
    entries = json.loads(customer.manifest(worker, tag_of(bundle.worker)) or b"{}")["manifests"]
    # Older versions of skopeo can't write the type.
    assert [each.get("artifactType", BUNDLE) for each in entries[:2]] == [BUNDLE, BUNDLE]
    assert "predicateType" in str(entries[0]["annotations"])
    watch = customer.watch()
    again = tool.good("push", "b.tar", f"{customer.host}/{bundle.prefix}/there", "--json", *PLAIN_DEST).json
    assert again["changed"] is False
    assert watch.writes() == []


def listed(registry: Registry, repository: str, subject: Image) -> set[str]:
    """What the list under the subject's tag names."""
    raw = registry.manifest(repository, tag_of(subject))
    return {each["digest"] for each in json.loads(raw or b"{}")["manifests"]}


def test_each_image_says_whether_signatures_travel(bundle: Bundle) -> None:
    ran = bundle.pull(signatures="required")
    refused(ran, 5, "chart:2", "no signature", "if-present")
    assert "worker:2" not in str(ran.json["failures"])
    bundle.images[2]["signatures"] = "no"
    pulled = bundle.pull(signatures="required").json
    assert pulled["images"][2]["referrers"] == {}
    bundle.images[0]["signatures"] = False
    bundle.images[0]["with"] = [f"{bundle.images[0]['final'].rpartition(':')[0]}@{bundle.sbom.digest}"]
    pulled = bundle.pull(signatures="required").json
    assert pulled["images"][0]["referrers"] == {"sbom": 1}


def test_the_option_says_it_for_all(tool: Tool, bundle: Bundle) -> None:
    unsigned = ("pull", bundle.images[2]["final"], "-o", "o.tar", "--json", *PLAIN_PULL)
    assert tool.good(*unsigned, "--signatures", "if-present").json["images"][0]["referrers"] == {}
    refused(tool(*unsigned, "--signatures", "required"), 5, "no signature", "--with-from", "--signatures")
    for words in ("no", "if-present"):
        ran = tool(*unsigned, "--with-signatures", "--signatures", words)
        refused(ran, 2, "contradicts")
    refused(tool(*unsigned, "--with-signatures", "--signatures", "required"), 5, "no signature")
    refused(tool(*unsigned, "--signatures", "if-present", "--no-preserve-digests"), 2, "--with-from")
    refused(tool("pull", "--spec", "s", "-o", "o.tar", "--with-from", "f", "--json"), 2, "with_from")


TREE = """📦 Supply Chain Security Related artifacts for an image: {name}:2
└── 🔐 Signatures for an image tag: {name}:{tag}.sig
   └── 🍒 {blob}
└── 🔗 https://sigstore.dev/cosign/sign/v1 artifacts via OCI referrer: {name}@{first}
   ├── 🍒 {blob}
   └── 🍒 {blob}
└── 🔗 application/vnd.cyclonedx+json artifacts via OCI referrer: {name}@{second}
"""
"""What cosign 3 prints: tags, referrers, and the digests of layers below each."""


@pytest.mark.parametrize("shape", ["index", "oras", "regctl", "cosign"])
def test_what_other_tools_print(tool: Tool, bundle: Bundle, shape: str) -> None:
    found = [entry(bundle.signature, BUNDLE), entry(bundle.parts, "x")]
    digests = {"first": bundle.signature.digest, "second": bundle.parts.digest, "blob": ZERO}
    tree = TREE.format(name=bundle.images[1]["final"].rpartition(":")[0], tag=tag_of(bundle.worker), **digests)
    document: dict[str, Any] = {
        "cosign": tree,
        "index": {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found},
        "oras": {"manifests": [{"reference": f"host.example/x@{each['digest']}", **each} for each in found]},
        "regctl": {"subject": {"Scheme": "reg", "Registry": "host.example"}, "descriptors": found},
    }[shape]
    tool.home.joinpath("f").write_text(document if isinstance(document, str) else json.dumps(document))
    pull = ("pull", bundle.images[1]["final"], "-o", "o.tar", "--with-from", "f", "--json", *PLAIN_PULL)
    pulled = tool.good(*pull, "--signatures", "required").json
    assert [image["digest"] for image in pulled["images"]] == [
        bundle.worker.digest, bundle.signature.digest, bundle.parts.digest,
    ]  # fmt: skip


ZERO = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[]", ["not a JSON object"]),
        ('{"manifests": [', ["not valid JSON"]),
        ('{"tags": []}', ["none of manifests"]),
        ('{"manifests": {}}', ["at manifests"]),
        ('{"manifests": [{"digest": "sha512:00"}]}', ["manifests[0].digest"]),
        (
            json.dumps({"referrers": [{"digest": ZERO, "referrers": [{"digest": f"{ZERO}\n"}]}]}),
            ["referrers[0].ref"],
        ),
        (json.dumps({"manifests": [{"digest": ZERO}] * 10_001}), ["manifests", "10000"]),
        (TREE.format(name="n", tag="t", blob=ZERO, first=ZERO[:40], second=ZERO), ["referrers[0].digest"]),
        (TREE.partition("\n")[0], ["may have failed"]),
        (TREE + " " * 4_200_000, ["longer than"]),
        ("host.example/app:sha256-00.sig", ["cosign tree"]),
        ('{"referrers": ' + '[{"referrers":' * 70 + "[]" + "}]" * 70 + "}", ["deeper"]),
    ],
)
def test_hostile_lists(tool: Tool, vendor: Registry, document: str, words: list[str]) -> None:
    tool.home.joinpath("f.json").write_text(document)
    watch = vendor.watch()
    pull = ("pull", f"{vendor.host}/any:1", "-o", "o.tar", "--with-from", "f.json", "--json", *PLAIN_PULL)
    refused(tool(*pull), 4, "f.json", *words)
    assert watch.requests() == []


def test_nothing_was_found(tool: Tool, bundle: Bundle) -> None:
    none = TREE.partition("\n")[0] + "\nNo Supply Chain Security Related Artifacts found for image n:2,\n start"
    pull = ("pull", bundle.images[1]["final"], "-o", "o.tar", "--with-from", "f", "--json", *PLAIN_PULL)
    for document in ('{"manifests": []}', '{"descriptors": null}', none.format(name="n")):
        tool.home.joinpath("f").write_text(document)
        assert len(tool.good(*pull).json["images"]) == 1
        refused(tool(*pull, "--signatures", "required"), 5, "no signature")


def test_a_file_that_is_a_pipe(tool: Tool, bundle: Bundle) -> None:
    """As `--with-from <(oras discover …)` gives one."""
    pull = f"{tool.program} pull {bundle.images[1]['final']} -o o.tar {' '.join(PLAIN_PULL)}"
    script = f"{pull} --with-from <(cat worker.json)"
    env = tool.environment | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-c", script], capture_output=True, cwd=tool.home, env=env, check=False)
    assert ran.returncode == 0, ran.stderr
    assert bundle.signed_parts.digest in ran.stdout.decode()


def test_two_names_of_one_image(tool: Tool, bundle: Bundle) -> None:
    bundle.images = [bundle.images[1] | {"name": f"worker:{tag}"} for tag in ("2", "latest")]
    pulled, held = bundle.pull().json, tool.good("inspect", "b.tar", "--json").json
    for told in (pulled, held):
        assert [image["referrers"].get("signature") for image in told["images"]] == [2, 2, None, None, None, None]


def test_what_belongs_to_another_image_does_not_travel(tool: Tool, bundle: Bundle, vendor: Registry) -> None:
    pull = ("pull", bundle.images[1]["final"], "-o", "o.tar", "--with-from", "f.json", "--json", *PLAIN_PULL)
    refused(tool(*pull), 2, "f.json", "does not exist")
    tool.home.joinpath("f.json").mkdir()
    refused(tool(*pull), 2, "f.json", "is a folder")
    tool.home.joinpath("f.json").rmdir()
    repository = f"{bundle.prefix}/worker"
    other = put_image(vendor, repository, "other", [layer(fresh())])
    for image, words in ((refer(vendor, repository, other, SPDX), other.digest), (other, "no referrer")):
        tool.home.joinpath("f.json").write_text(json.dumps({"manifests": [entry(image, "x")]}))
        refused(tool(*pull), 4, image.digest, "does not belong", words)
    tool.home.joinpath("f.json").write_text(json.dumps({"manifests": [{"digest": ZERO}]}))
    refused(tool(*pull), 5, ZERO)


def test_what_belongs_to_an_absent_platform_does_not_travel(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    here, absent = (
        put_image(vendor, repository, None, [layer(repository + arch)], arch=arch) for arch in ("amd64", "arm64")
    )
    put_list(vendor, repository, "2", [(here, platform("amd64")), (absent, platform("arm64"))])
    both = [refer(vendor, repository, image, SPDX) for image in (here, absent)]
    tool.home.joinpath("f").write_text(json.dumps({"manifests": [entry(image, SPDX) for image in both]}))
    pull = ("pull", f"{vendor.host}/{repository}:2", "--with-from", "f", "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(
        tool(*pull, "--platform", "linux/amd64"), 4, both[1].digest, absent.digest, "does not travel", "--platform"
    )
    assert len(tool.good(*pull, "--platform", "linux/amd64,linux/arm64").json["images"]) == 3


def test_a_list_at_the_destination_keeps_its_entries(tool: Tool, bundle: Bundle, customer: Registry) -> None:
    target = fresh("there")
    own = refer(customer, target, bundle.worker, SPDX)
    put_list(customer, target, tag_of(bundle.worker), [(own, None)])
    tool.good("pull", bundle.images[1]["final"], "-o", "o.tar", "--with-from", "worker.json", *PLAIN_PULL)
    push = ("push", "o.tar", f"{customer.host}/{target}:2", "--no-overwrite-tag", "--json", *PLAIN_DEST)
    before = json.loads(customer.manifest(target, tag_of(bundle.worker)) or b"")["manifests"]
    planned = tool.good(*push, "--dry-run").json
    pushed = tool.good(*push).json
    assert planned["tags"] == pushed["tags"]
    lists = {tag["reference"].rpartition(":")[2]: tag["previous_digest"] for tag in pushed["tags"]}
    assert set(lists) >= {"2", tag_of(bundle.worker), tag_of(bundle.parts)}
    after = json.loads(customer.manifest(target, tag_of(bundle.worker)) or b"")["manifests"]
    assert after[: len(before)] == before
    assert len(after) == 4
    assert tool.good(*push).json["changed"] is False
    # Somebody else made it anew: what the archive has is added again.
    put_list(customer, target, tag_of(bundle.worker), [(own, None)])
    assert tool.good(*push).json["changed"] is True
    assert len(listed(customer, target, bundle.worker)) == 4


def put_typed(
    registry: Registry, repository: str, subject: Image, found: list[Image], kind: str | None = SPDX
) -> Image:
    """The list under the subject's tag, as oras and cosign write it: with the type of each entry."""
    entries = [image.descriptor() | ({"artifactType": kind} if kind else {}) for image in found]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    registry.put_manifest(repository, tag_of(subject), raw, OCI_INDEX)
    return Image(raw, OCI_INDEX)


class Listed:
    """An image with an SBOM that the vendor's list names, as real tools write it."""

    def __init__(self, tool: Tool, vendor: Registry) -> None:
        self.tool, self.vendor, self.repository = tool, vendor, fresh()
        self.app = put_image(vendor, self.repository, "2", [layer(self.repository)])
        self.sbom = refer(vendor, self.repository, self.app, SPDX)
        self.list = put_typed(vendor, self.repository, self.app, [self.sbom])

    def pull(self, *others: Image) -> None:
        name = f"{self.vendor.host}/{self.repository}"
        more = [word for image in others for word in ("--with", f"{name}@{image.digest}")]
        self.tool.good("pull", f"{name}:2", "--signatures", "required", *more, "-o", "o.tar", *PLAIN_PULL)

    def push(self, customer: Registry, target: str, *more: str) -> Ran:
        return self.tool.good("push", "o.tar", f"{customer.host}/{target}:2", "--json", *more, *PLAIN_DEST)


@pytest.fixture
def with_list(tool: Tool, vendor: Registry) -> Listed:
    return Listed(tool, vendor)


def test_other_kinds_are_told_by_their_type(with_list: Listed) -> None:
    scan = "application/vnd.example.scan.v1+json"
    other = refer(with_list.vendor, with_list.repository, with_list.app, scan)
    listed_too = refer(with_list.vendor, with_list.repository, with_list.app, scan, {"of": "today"})
    put_typed(with_list.vendor, with_list.repository, with_list.app, [with_list.sbom, listed_too])
    with_list.pull(other)
    inspect = ("inspect", "o.tar", "--report", "page.html")
    told = with_list.tool.good(*inspect, "--json").json["images"]
    assert told[0]["referrers"] == {"other": 2, "sbom": 1}
    assert (told[0]["kind"], told[0]["artifact_type"]) == (None, None)
    assert [(leaf["kind"], leaf["artifact_type"]) for leaf in told[1]["manifests"]] == [
        ("sbom", SPDX),
        ("other", scan),
    ]
    assert (told[2]["kind"], told[2]["artifact_type"]) == ("other", scan)
    page = with_list.tool.home.joinpath("page.html").read_text()
    assert page.count(f"<td>other<br><code>{scan}</code></td>") == 2
    assert with_list.tool.good("inspect", "o.tar").text.count(scan) == 2


@pytest.mark.parametrize("more", [(), ("--verify",), ("--no-overwrite-tag",)])
def test_a_list_whose_entries_have_types(with_list: Listed, customer: Registry, more: tuple[str, ...]) -> None:
    target = fresh("there")
    with_list.pull()
    tags = with_list.push(customer, target, *more).json["tags"]
    assert [tag["previous_digest"] for tag in tags if tag["reference"].endswith(tag_of(with_list.app))] == [None]
    assert customer.manifest(target, with_list.sbom.digest) == with_list.sbom.raw
    assert listed(customer, target, with_list.app) == {with_list.sbom.digest}
    again = with_list.push(customer, target, *more)
    assert again.json["changed"] is False
    assert "warning" not in again.stderr


def test_a_list_of_the_vendor_adds_to_that_at_the_destination(with_list: Listed, customer: Registry) -> None:
    target = fresh("there")
    own = refer(customer, target, with_list.app, BUNDLE)
    before = put_typed(customer, target, with_list.app, [own], None)
    with_list.pull()
    with_list.push(customer, target, "--no-overwrite-tag")
    entries = json.loads(customer.manifest(target, tag_of(with_list.app)) or b"")["manifests"]
    assert entries[0] == json.loads(before.raw)["manifests"][0]
    assert [each["digest"] for each in entries] == [own.digest, with_list.sbom.digest]
    assert customer.manifest(target, with_list.sbom.digest) == with_list.sbom.raw
    assert with_list.push(customer, target).json["changed"] is False


def test_entries_with_types_are_not_lost(with_list: Listed, customer: Registry) -> None:
    """Not every skopeo can write them again: then the list stays as it is."""
    target = fresh("there")
    own = refer(customer, target, with_list.app, BUNDLE)
    before = put_typed(customer, target, with_list.app, [own], BUNDLE)
    with_list.pull()
    pushed = with_list.push(customer, target)
    entries = json.loads(customer.manifest(target, tag_of(with_list.app)) or b"")["manifests"]
    assert entries[0] == json.loads(before.raw)["manifests"][0]
    if len(entries) == 1:
        assert "does not list" in pushed.stderr
        assert "newer" in pushed.stderr
    assert customer.manifest(target, with_list.sbom.digest) == with_list.sbom.raw


def test_a_list_that_names_what_is_gone(with_list: Listed, customer: Registry) -> None:
    target, vendor = fresh("there"), with_list.vendor
    gone = refer(vendor, with_list.repository, with_list.app, BUNDLE)
    put_typed(vendor, with_list.repository, with_list.app, [gone, with_list.sbom], None)
    vendor.call("DELETE", f"/v2/{with_list.repository}/manifests/{gone.digest}")
    with_list.pull()
    pushed = with_list.push(customer, target)
    assert listed(customer, target, with_list.app) == {with_list.sbom.digest}
    assert "warning" not in pushed.stderr
    assert with_list.push(customer, target).json["changed"] is False


def test_what_the_list_of_the_vendor_lacks_is_listed(with_list: Listed, customer: Registry) -> None:
    """A signature of the image, and one of what that list names."""
    target = fresh("there")
    late, signed = (
        refer(with_list.vendor, with_list.repository, subject, BUNDLE)
        for subject in (with_list.app, with_list.sbom)
    )
    with_list.pull(late, signed, with_list.sbom)
    with_list.push(customer, target)
    assert listed(customer, target, with_list.app) == {with_list.sbom.digest, late.digest}
    assert listed(customer, target, with_list.sbom) == {signed.digest}
    for image in (late, signed, with_list.sbom):
        assert customer.manifest(target, image.digest) == image.raw


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"signatures": "maybe"}, "images[0].signatures"),
        ({"with": ["host.example/app:1"]}, "images[0].with[0]"),
        ({"with": "host.example/app:1"}, "images[0].with:"),
        ({"with_from": [1]}, "images[0].with_from[0]"),
    ],
)
def test_a_spec_that_says_something_else(tool: Tool, fields: dict[str, Any], words: str) -> None:
    image = {"name": "app:1", "final": "host.example/app:1", **fields}
    tool.home.joinpath("spec.json").write_text(json.dumps({"images": [image]}))
    refused(tool("pull", "--spec", "spec.json", "-o", "o.tar", "--json"), 2, words)


def test_a_list_that_cannot_be_written_stops_nothing(tool: Tool, bundle: Bundle, customer: Registry) -> None:
    target = fresh("there")
    own = put_image(customer, target, tag_of(bundle.worker), [layer(fresh())])
    tool.good("pull", bundle.images[1]["final"], "-o", "o.tar", "--with-from", "worker.json", *PLAIN_PULL)
    ran = tool.good("push", "o.tar", f"{customer.host}/{target}:2", *PLAIN_DEST)
    assert f"{tag_of(bundle.worker)} does not list" in ran.stderr
    assert customer.manifest(target, tag_of(bundle.worker)) == own.raw
    assert customer.manifest(target, "2") == bundle.worker.raw


def test_a_registry_whose_tags_stay(with_list: Listed, customer: Registry) -> None:
    target = fresh("there")
    own = refer(customer, target, with_list.app, BUNDLE)
    before = put_typed(customer, target, with_list.app, [own], None)
    with_list.pull()

    def rule(asked: Asked) -> Given | None:
        if asked.method == "PUT" and asked.path.endswith(tag_of(with_list.app)):
            return Given(400, b'{"errors": [{"code": "TAG_INVALID", "message": "tag is immutable"}]}')
        return None

    with Front(rule, customer) as front:
        push = ("push", "o.tar", f"{front.host}/{target}:2", *PLAIN_DEST)
        ran = with_list.tool.good(*push)
    assert "does not list what was sent: the registry does not accept it" in ran.stderr
    assert customer.manifest(target, tag_of(with_list.app)) == before.raw
    assert customer.manifest(target, "2") == with_list.app.raw


def test_a_signature_of_what_a_list_names(with_list: Listed, tool: Tool) -> None:
    """It belongs to the image, by whatever way its subject travels."""
    name = f"{with_list.vendor.host}/{with_list.repository}"
    signed = refer(with_list.vendor, with_list.repository, with_list.sbom, BUNDLE)
    tool.home.joinpath("f").write_text(json.dumps({"manifests": [entry(signed, BUNDLE)]}))
    pull = ("pull", f"{name}:2", "--with-from", "f", "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(tool(*pull), 4, signed.digest, "does not belong")
    for more in (("--signatures", "if-present"), ("--with", f"{name}@{with_list.sbom.digest}")):
        assert signed.digest in [image["digest"] for image in tool.good(*pull, *more).json["images"]]


def test_an_archive_does_not_choose_lists(tool: Tool, bundle: Bundle, vendor: Registry, customer: Registry) -> None:
    """What refers to something else than its image is sent, and listed nowhere."""
    repository, target = f"{bundle.prefix}/worker", fresh("there")
    other = put_image(vendor, repository, "other", [layer(fresh())])
    foreign = refer(vendor, repository, other, SPDX)
    name = bundle.images[1]["final"].rpartition(":")[0]
    tool.good("pull", f"{name}:2", "-o", "o.tar", "--with", f"{name}@{foreign.digest}", *PLAIN_PULL)
    pushed = tool.good("push", "o.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST).json
    assert customer.manifest(target, foreign.digest) == foreign.raw
    assert customer.manifest(target, tag_of(other)) is None
    assert not [tag for tag in pushed["tags"] if "sha256-" in tag["reference"]]
    # Nor does one that says by an annotation of its own to which image it belongs.
    change_index(tool.home / "o.tar", {"io.skopeo-incremental.beside": other.digest})
    refused(tool("push", "o.tar", f"{customer.host}/{target}:2", "--json", *PLAIN_DEST), 4, "does not hold")
