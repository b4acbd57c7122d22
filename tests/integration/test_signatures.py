"""Signatures and what else stands beside an image: they travel when asked for, and are never lost in silence."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.images import OCI_INDEX, Image, digest_of, fresh, layer, platform, put_image, put_list
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, Tool, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.registry import Registry

COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"


def tag_of(image: Image, kind: str = "") -> str:
    return image.digest.replace(":", "-") + kind


def beside(registry: Registry, repository: str, image: Image, kind: str) -> Image:
    """What cosign puts there: one blob with a media type of its own."""
    payload = f"{kind} of {image.digest}".encode()
    return put_image(registry, repository, tag_of(image, kind), [payload], layer_types=[COSIGN])


def referrer(registry: Registry, repository: str, image: Image, what: str) -> Image:
    """An artifact that names its subject, as oras and cosign 3 push it."""
    extra = {"artifactType": "application/vnd.example.sbom", "subject": image.descriptor()}
    return put_image(
        registry, repository, None, [what.encode()], config=b"{}", layer_types=["text/plain"],
        config_type="application/vnd.oci.empty.v1+json", extra=extra,
    )  # fmt: skip


class Release:
    """A list with two platforms at the vendor's, signed every way, and a customer who has its base."""

    def __init__(self, vendor: Registry, customer: Registry) -> None:
        self.repository, self.target = fresh(), fresh("there")
        self.name = f"{vendor.host}/{self.repository}"
        put_image(vendor, self.repository, "1", [layer("base")])
        put_image(customer, self.target, "1", [layer("base")])
        self.leaves = [
            put_image(vendor, self.repository, None, [layer("base"), layer(self.repository + arch)], arch=arch)
            for arch in ("amd64", "arm64")
        ]
        self.image = put_list(
            vendor, self.repository, "2",
            [(leaf, platform(arch)) for leaf, arch in zip(self.leaves, ("amd64", "arm64"), strict=True)],
        )  # fmt: skip
        self.signed = {
            tag_of(image, kind): beside(vendor, self.repository, image, kind)
            for image, kind in ((self.image, ".sig"), (self.image, ".att"), (self.leaves[1], ".sig"))
        } | {tag_of(self.leaves[0], ".sbom"): beside(vendor, self.repository, self.leaves[0], ".sbom")}
        self.referrer = referrer(vendor, self.repository, self.image, "a list of parts")
        self.signed[tag_of(self.image)] = put_list(
            vendor, self.repository, tag_of(self.image), [(self.referrer, None)]
        )
        self.pull = ("pull", f"{self.name}:2", "-b", f"{self.name}:1", "-o", "o.tar", "--json", *PLAIN_PULL)


@pytest.fixture
def release(vendor: Registry, customer: Registry) -> Release:
    return Release(vendor, customer)


def test_signatures_travel_with_a_list_and_its_children(tool: Tool, customer: Registry, release: Release) -> None:
    pulled = tool.good(*release.pull, "--all", "--with-signatures").json
    assert pulled["digest"] == release.image.digest
    assert {image["name"]: image["digest"] for image in pulled["images"][1:]} == {
        tag: image.digest for tag, image in release.signed.items()
    }
    assert {image["beside"] for image in pulled["images"]} == {None, release.image.digest}
    tool.good("vet", "o.tar", f"{customer.host}/{release.target}:2", *PLAIN_DEST)
    watch = customer.watch()
    pushed = tool.good("push", "o.tar", f"{customer.host}/{release.target}:2", "--json", *PLAIN_DEST).json
    for tag, image in {**release.signed, "2": release.image}.items():
        assert customer.manifest(release.target, tag) == image.raw
    assert customer.manifest(release.target, release.referrer.digest) == release.referrer.raw
    manifests = [
        request.path.rpartition("/")[2] for request in watch.requests("PUT") if "/manifests/" in request.path
    ]
    assert manifests[-1] == "2"
    assert pushed["tags"][0]["reference"].endswith(":2")
    assert len(pushed["tags"]) == 1 + len(release.signed)
    watch = customer.watch()
    again = tool.good("push", "o.tar", f"{customer.host}/{release.target}:2", "--json", *PLAIN_DEST).json
    assert again["changed"] is False
    assert watch.writes() == []


def test_the_signature_of_one_platform(tool: Tool, customer: Registry, release: Release) -> None:
    pulled = tool.good(
        *release.pull, "--override-arch", "arm64", "--override-os", "linux", "--with-signatures"
    ).json
    assert [image["name"] for image in pulled["images"][1:]] == [tag_of(release.leaves[1], ".sig")]
    inspected = tool.good("inspect", "o.tar", "--json").json
    assert inspected["images"][1]["beside"] == release.leaves[1].digest
    tool.good("push", "o.tar", f"{customer.host}/{release.target}:arm", *PLAIN_DEST)
    tag = tag_of(release.leaves[1], ".sig")
    assert customer.manifest(release.target, tag) == release.signed[tag].raw


def test_a_signature_that_came_later_is_sent_alone(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    tool.good(*release.pull, "--all")
    tool.good("push", "o.tar", f"{customer.host}/{release.target}:2", *PLAIN_DEST)
    tool.good(
        "pull", f"{release.name}:2", "-b", f"{release.name}:2", "-o", "signatures.tar", "--all",
        "--with-signatures", *PLAIN_PULL,
    )  # fmt: skip
    watch = customer.watch()
    pushed = tool.good("push", "signatures.tar", f"{customer.host}/{release.target}:2", "--json", *PLAIN_DEST).json
    assert pushed["changed"] is True
    written = {
        request.path.rpartition("/")[2] for request in watch.requests("PUT") if "/manifests/" in request.path
    }
    assert written == {*release.signed, release.referrer.digest}


def test_no_signature_is_an_error(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "1", [layer(repository)])
    ran = tool("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", "--with-signatures", "--json", *PLAIN_PULL)
    refused(ran, 5, "no signature", "referrers API", "--with")
    assert list(tool.home.iterdir()) == []


def test_a_list_of_referrers_without_any_is_none(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    image = put_image(vendor, repository, "1", [layer(repository)])
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    vendor.put_manifest(repository, tag_of(image), empty, OCI_INDEX)
    ran = tool("pull", f"{vendor.host}/{repository}:1", "-o", "o.tar", "--with-signatures", "--json", *PLAIN_PULL)
    refused(ran, 5, "no signature")


def test_a_referrer_travels_by_its_digest(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    bundle = referrer(vendor, release.repository, release.image, "known to the referrers API alone")
    pulled = tool.good(
        *release.pull, "--all", "--with", f"{release.name}@{bundle.digest}",
        "--with", f"{release.name}@{release.referrer.digest}",
    ).json  # fmt: skip
    assert [image["digest"] for image in pulled["images"][1:]] == [bundle.digest, release.referrer.digest]
    tool.good("push", "o.tar", f"{customer.host}/{release.target}:2", *PLAIN_DEST)
    assert customer.manifest(release.target, bundle.digest) == bundle.raw
    assert customer.manifest(release.target, release.referrer.digest) == release.referrer.raw


def test_what_does_not_fit_together(tool: Tool, release: Release) -> None:
    refused(tool(*release.pull, "--with", f"{release.name}:1"), 2, "no digest")
    refused(tool(*release.pull, "--with-signatures", "--no-preserve-digests"), 2, "--with-signatures")
    tool.good(*release.pull, "--all", "--with-signatures")
    refused(tool("push", "o.tar", "127.0.0.1:1/a:1", "--no-preserve-digests", "--json"), 2, "signatures")


def test_no_overwrite_tag_holds_for_signatures_too(
    tool: Tool, vendor: Registry, customer: Registry, release: Release
) -> None:
    tool.good(*release.pull, "--all", "--with-signatures")
    own = put_image(customer, release.target, tag_of(release.image, ".sig"), [b"the customer's own"])
    push = ("push", "o.tar", f"{customer.host}/{release.target}:2", "--json", *PLAIN_DEST)
    refused(tool(*push, "--no-overwrite-tag"), 5, own.digest, ".sig")
    assert customer.manifest(release.target, "2") is None
    assert own.digest in [tag["previous_digest"] for tag in tool.good(*push).json["tags"]]


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"org.opencontainers.image.ref.name": "latest"}, "'latest'"),
        ({"org.opencontainers.image.ref.name": "sha256-" + "0" * 64 + ".sig"}, "does not belong"),
        ({"io.skopeo-incremental.beside": "sha256:" + "0" * 64}, "does not hold"),
    ],
)
def test_an_archive_does_not_choose_tags(
    tool: Tool, customer: Registry, release: Release, annotations: dict[str, str], words: str
) -> None:
    tool.good(*release.pull, "--all", "--with-signatures")
    change_index(tool.home / "o.tar", annotations)
    watch = customer.watch()
    refused(tool("push", "o.tar", f"{customer.host}/{release.target}:2", "--json", *PLAIN_DEST), 4, words)
    assert watch.requests() == []


def change_index(archive: Path, annotations: dict[str, str]) -> None:
    """Change the annotations of the last thing beside the image."""
    parts: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file:
                parts[member.name] = file.read()
    index: dict[str, Any] = json.loads(parts["index.json"])
    index["manifests"][-1]["annotations"] |= annotations
    parts["index.json"] = json.dumps(index).encode()
    with tarfile.open(archive, "w") as tar:
        for name, data in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def lookaside(tool: Tool, vendor: Registry) -> Path:
    """A server of signatures, as the user's registries.d names it."""
    folder = tool.home / ".config" / "containers" / "registries.d"
    folder.mkdir(parents=True)
    store = tool.temporary.parent / "lookaside"
    # Older versions of skopeo call it sigstore.
    (folder / "test.yaml").write_text(f"docker:\n  {vendor.host}:\n    sigstore: file://{store}\n")
    return store


def sign(store: Path, repository: str, image: Image) -> None:
    folder = store / f"{repository}@{image.digest.replace(':', '=')}"
    folder.mkdir(parents=True)
    (folder / "signature-1").write_bytes(b"\x90not checked, since the policy accepts anything")


@pytest.mark.parametrize("what", ["image", "list"])
def test_signatures_that_cannot_travel_are_not_lost_in_silence(
    tool: Tool, vendor: Registry, release: Release, lookaside: Path, what: str
) -> None:
    sign(lookaside, release.repository, release.image if what == "list" else release.leaves[0])
    refused(tool(*release.pull, "--all"), 5, "ignatures", "--remove-signatures")
    assert not (tool.home / "o.tar").exists()
    ran = tool.good(*release.pull, "--all", "--remove-signatures")
    assert ran.json["digest"] == release.image.digest


def test_what_is_not_signed_needs_no_flag(tool: Tool, release: Release, lookaside: Path) -> None:
    tool.good(*release.pull, "--all")


@pytest.fixture
def key(tool: Tool) -> Path:
    """A key pair in a keyring of its own."""
    ring = tool.home / "gnupg"
    ring.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(ring), "--batch", "--quiet"]
    subprocess.run(
        [*gpg, "--passphrase", "", "--quick-generate-key", "vendor@example.com", "ed25519", "sign", "never"],
        check=True,
        capture_output=True,
    )
    exported = subprocess.run([*gpg, "--export", "vendor@example.com"], check=True, capture_output=True)
    (tool.home / "vendor.gpg").write_bytes(exported.stdout)
    return ring


def test_the_policy_decides(tool: Tool, vendor: Registry, lookaside: Path, key: Path) -> None:
    repository = fresh()
    images = {tag: put_image(vendor, repository, tag, [layer(repository + tag)]) for tag in ("signed", "unsigned")}
    payload = {
        "critical": {
            "identity": {"docker-reference": f"{vendor.host}/{repository}:signed"},
            "image": {"docker-manifest-digest": images["signed"].digest},
            "type": "atomic container signature",
        },
        "optional": {"creator": "test", "timestamp": 1},
    }
    folder = lookaside / f"{repository}@{images['signed'].digest.replace(':', '=')}"
    folder.mkdir(parents=True)
    subprocess.run(
        ["gpg", "--homedir", str(key), "--batch", "--quiet", "--passphrase", "", "--sign",
         "--output", str(folder / "signature-1"), "-"],
        input=json.dumps(payload).encode(), check=True, capture_output=True,
    )  # fmt: skip
    (tool.home / "policy.json").write_text(
        json.dumps(
            {
                "default": [{"type": "reject"}],
                "transports": {
                    "docker": {
                        vendor.host: [
                            {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(tool.home / "vendor.gpg")}
                        ]
                    }
                },
            }
        )
    )
    pull = ("-o", "o.tar", "--policy", "policy.json", "--remove-signatures", "--json", *PLAIN_PULL)
    refused(tool("pull", f"{vendor.host}/{repository}:unsigned", *pull), 5, "signature was required", "--policy")
    assert not (tool.home / "o.tar").exists()
    by_tag = tool("pull", f"{vendor.host}/{repository}:signed", *pull)
    assert by_tag.code == 0, by_tag.stderr
    assert by_tag.json["digest"] == digest_of(images["signed"].raw)
