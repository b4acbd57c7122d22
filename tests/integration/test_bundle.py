"""Bundles: several images in one archive, pushed under a prefix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.images import digest_of, fresh, layer, platform, put_image, put_list
from tests.support.release import CHART, CHART_LAYER
from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT, Tool, refused
from wrapper import BundleError, Incremental, UsageError

if TYPE_CHECKING:
    from tests.support.images import Image
    from tests.support.registry import Registry
    from tests.support.release import Release


def test_two_releases(release: Release) -> None:
    watch = release.vendor.watch()
    pulled = release.pull("1")
    assert pulled["bundle"]
    assert pulled["digest"] is None
    assert [image["name"] for image in pulled["images"]] == release.names("1")
    assert {image["change"] for image in pulled["images"]} == {"new"}
    # What several have is fetched once and stored once.
    assert len(watch.blobs()) == len(set(watch.blobs()))
    assert pulled["layers_new"] == 1 + 2 * 2 + 2 + 1
    pushed = release.push("1.tar", "--receipt", "receipt.json")
    assert pushed["changed"]
    assert [outcome["changed"] for outcome in pushed["outcomes"]] == [True] * 4
    assert release.arrived("1")
    watch = release.customer.watch()
    again = release.push("1.tar")
    assert not again["changed"]
    assert not any(outcome["changed"] for outcome in again["outcomes"])
    assert watch.writes() == []

    # The next release is the difference to the last one: by its spec, by the receipt, by the archive.
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    watch = release.vendor.watch()
    by_spec = release.pull("2", "--base-spec", earlier)
    changes = {image["name"]: image["change"] for image in by_spec["images"]}
    assert changes == {
        "team/one:2": "changed",
        "team/two:2": "changed",
        "team/many:2": "changed",
        "chart:7": "same",
    }
    assert by_spec["layers_new"] == 4
    first = (release.tool.home / "2.tar").read_bytes()
    for base in ("receipt:receipt.json", "oci-archive:1.tar"):
        release.pull("2", "--base", base)
        assert (release.tool.home / "2.tar").read_bytes() == first, base
    pushed = release.push("2.tar")
    assert {outcome["name"]: outcome["changed"] for outcome in pushed["outcomes"]}["chart:7"] is False
    assert release.arrived("2")


def test_the_output_keeps_to_its_schema(release: Release) -> None:
    schema = Draft202012Validator(json.loads((ROOT / "wrapper/oci/schemas/output.json").read_text()))
    spec = release.spec("1")
    schema.validate(release.pull("1"))
    where = f"{release.customer.host}/{release.prefix}"
    for command in (
        ("inspect", "1.tar"),
        ("vet", "1.tar", where, *PLAIN_DEST),
        ("push", "1.tar", where, "--dry-run", *PLAIN_DEST),
        ("pull", "--spec", spec, "--dry-run", *PLAIN_PULL),
    ):
        schema.validate(release.tool.good(*command, "--json").json)
    schema.validate(release.push("1.tar", "--only", "chart", "--map", "chart=team/chart"))
    bad = release.spec("1", ["team/one:1", "team/none:1"])
    schema.validate(release.tool("pull", "--spec", bad, "--dry-run", "--json", *PLAIN_PULL).json)


def test_the_tables(release: Release) -> None:
    """What people see has a line for each image."""
    text = release.tool.good("pull", "--spec", release.spec("1"), "-o", "1.tar", *PLAIN_PULL).text
    where = f"{release.customer.host}/{release.prefix}"
    texts = [text, release.tool.good("inspect", "1.tar").text]
    texts += [release.tool.good(command, "1.tar", where, *PLAIN_DEST).text for command in ("vet", "push")]
    for text in texts:
        for name in release.names("1"):
            assert release.images[name].digest in next(line for line in text.splitlines() if line.startswith(name))


def test_what_is_gone_and_new(release: Release) -> None:
    earlier = release.spec("1", ["team/one:1", "team/two:1"]).rename(release.tool.home / "earlier.json")
    spec = release.spec("2", ["team/one:2", "chart:7"])
    dry = ("pull", "--spec", spec, "--base-spec", earlier, "--dry-run", *PLAIN_PULL)
    watch = release.vendor.watch()
    planned = release.tool.good(*dry, "--json").json
    assert planned["gone"] == ["team/two:1"]
    assert [image["change"] for image in planned["images"]] == ["changed", "new"]
    assert watch.blobs() == []
    assert "team/two:1" in release.tool.good(*dry).text


def test_only_and_map(release: Release) -> None:
    release.pull("1")
    pushed = release.push("1.tar", "--only", "team/o*", "--only", "chart:7", "--map", "chart=charts/ours")
    ours = [outcome["destination"].rpartition("/")[2] for outcome in pushed["outcomes"]]
    assert ours == ["one:1", "ours:7"]
    assert release.there("charts/ours:7") == release.images["chart:7"].digest
    assert release.there("team/two:1") is None
    where = f"{release.customer.host}/{release.prefix}"
    for options, word in (
        (("--only", "none*"), "none*"),
        (("--map", "none=other"), "none"),
        (("--map", "chart=Upper"), "Upper"),
        (("--map", "chart"), "OLD=NEW"),
        (("--map", "team/one=same:1", "--map", "team/two=same:1"), "same:1"),
    ):
        refused(release.tool("push", "1.tar", where, "--json", *options, *PLAIN_DEST), 2, word)
    for destination in (f"{where}:1", f"{where}@sha256:{64 * 'a'}", "oci:layout", "dir:folder"):
        watch = release.customer.watch()
        refused(
            release.tool("push", "1.tar", destination, "--json", *PLAIN_DEST), 2, "prefix" if ":1" in where else ""
        )
        assert watch.writes() == []
    refused(
        release.tool("push", "1.tar", where, "--additional-tag", "x", "--json", *PLAIN_DEST), 2, "--additional-tag"
    )


def test_the_root_of_a_registry_is_a_prefix(release: Release) -> None:
    at = fresh("root")
    spec = release.spec("1", ["chart:7"])
    spec.write_text(spec.read_text().replace('"chart:7"', f'"{at}:7"', 1))
    release.tool.good("pull", "--spec", spec, "-o", "o.tar", *PLAIN_PULL)
    release.tool.good("push", "o.tar", f"docker://{release.customer.host}", *PLAIN_DEST)
    assert digest_of(release.customer.manifest(at, "7") or b"") == release.images["chart:7"].digest


def test_one_that_lacks_its_base_does_not_stop_the_others(release: Release) -> None:
    """Its layers are named; the others arrive, unless --fail-fast is given."""
    release.pull("1")
    release.push("1.tar", "--only", "team/one", "--only", "chart")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    watch = release.customer.watch()
    failed = release.push("2.tar", "--fail-fast", code=3)
    assert watch.writes() == []
    where = f"{release.customer.host}/{release.prefix}"
    vetted = release.tool("vet", "2.tar", where, "--json", *PLAIN_DEST)
    assert vetted.code == 3
    assert watch.writes() == []
    failed = release.push("2.tar", code=3)
    by_name = {outcome["name"]: outcome for outcome in failed["outcomes"]}
    assert failed["error"]["code"] == 3
    assert [bool(outcome["error"]) for outcome in failed["outcomes"]] == [False, True, True, False]
    two, one = release.images["team/two:2"], release.images["team/one:2"]
    assert [each["digest"] for each in by_name["team/two:2"]["missing"]] == sorted(two.layers[:2])
    assert release.there("team/one:2") == one.digest
    assert release.there("team/two:2") is None
    # And with what brings the layers all is well.
    release.push("1.tar")
    release.push("2.tar")
    assert release.arrived("2")


def test_a_base_lends_what_the_site_lacks(release: Release) -> None:
    release.pull("1")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    release.push("2.tar", "--base", "oci-archive:1.tar")
    assert release.arrived("2")
    chain = f"docker://{release.customer.host}/{fresh('chain')}"
    pushed = release.tool.good("push", "1.tar", "2.tar", chain, "--json", *PLAIN_DEST).json
    # The chart is the same in both.
    assert len(pushed["outcomes"]) == 7


def test_tags_move_last(release: Release) -> None:
    release.pull("1")
    watch = release.customer.watch()
    release.push("1.tar")
    puts = [each.path for each in watch.writes() if "/manifests/" in each.path]
    tagged = ["sha256:" not in path for path in puts]
    assert tagged == sorted(tagged)
    assert sum(tagged) == 4


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda spec: spec["images"][1].update(base=["docker:wrong"]), "images[1].base[0]"),
        (lambda spec: spec["images"][1].update(base=[7]), "images[1].base[0]"),
        (lambda spec: spec["images"][2].update(final="oci:layout"), "images[2].final"),
        (lambda spec: spec["images"][2].pop("final"), "images[2]"),
        (lambda spec: spec["images"][0].update(name="Upper:1"), "images[0].name"),
        (lambda spec: spec["images"][0].update(name="a@sha256:b"), "images[0].name"),
        (lambda spec: spec["images"][3].update(name=spec["images"][0]["name"]), "images[3].name"),
        (lambda spec: spec["images"][3].update(platform="linux"), "images[3].platform"),
        (lambda spec: spec["images"][3].update(all=True, platform="linux/arm64"), "images[3].platform"),
        (lambda spec: spec["images"][3].update(typo=1), "images[3]"),
        (lambda spec: spec.update(images=[]), "images"),
        (lambda spec: spec.update(defaults={"all": "yes"}), "defaults.all"),
    ],
)
def test_a_bad_spec_names_the_place(release: Release, change: Any, place: str) -> None:
    path = release.spec("1")
    spec = json.loads(path.read_text())
    change(spec)
    path.write_text(json.dumps(spec))
    watch = release.vendor.watch()
    refused(release.tool("pull", "--spec", path, "-o", "o.tar", "--json", *PLAIN_PULL), 2, place)
    assert watch.requests() == []


def test_specs_that_are_none(tool: Tool) -> None:
    (tool.home / "bad.json").write_text("{")
    (tool.home / "bad.yaml").write_text("images: [")
    (tool.home / "date.yaml").write_text("images: 2026-11-24")
    for spec in ("bad.json", "bad.yaml", "date.yaml", "none.json"):
        refused(tool("pull", "--spec", spec, "-o", "o.tar", "--json"), 2, spec)
    refused(tool("pull", "image", "--spec", "bad.json", "-o", "o.tar", "--json"), 2, "--spec")
    refused(tool("pull", "image", "--fail-fast", "-o", "o.tar", "--json"), 2, "--fail-fast")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Ten of ten of ten ... : 500 bytes that stand for gigabytes.
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
            + "images: *a9\n",
            ("line 2", "*a0"),
        ),
        ("images: &all [*all]\n", ("line 1", "*all")),
        ("defaults: &one {all: true}\nimages:\n- {<<: *one, name: a, final: h/a}\n", ("line 3", "*one")),
        ("images: " + "[" * 100_000, ("nested deeper",)),
        ("- " * 100_000, ("nested deeper",)),
        ("images: [" + "{}, " * 200_000 + "]", ("more than", "values")),
        ("images: " + "1" + ":1" * 400_000, ("longer than", "characters")),
        ("images: " + "x" * 2_000_000, ("longer than", "bytes")),
        ("images: !" + "x" * 500_000 + " y", ("not YAML",)),
        ("images: " + "9" * 5000, ("not YAML",)),
        ("images: .inf", ("spec.yaml",)),
        ('images: !!int ""', ("not YAML",)),
        ("images: !!bool x", ("not YAML",)),
        ("images: !!timestamp x", ("not YAML",)),
        ("images: !!binary eA==", ("not YAML",)),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_yaml_spec_that_takes_all_is_refused(tool: Tool, text: str, words: tuple[str, ...]) -> None:
    (tool.home / "spec.yaml").write_text(text)
    ran = tool("pull", "--spec", "spec.yaml", "-o", "o.tar", "--json")
    assert ran.cpu < 20
    refused(ran, 2, *words)
    assert len(ran.json["error"]["message"]) < 1000


def test_a_json_spec_that_takes_all_is_refused(tool: Tool) -> None:
    for text, words in (
        ('{"images": ' + "[" * 100_000, "nested deeper"),
        ('{"images": [' + "1," * 300_000 + "1]}", "values"),
        ('{"images": "' + "x" * 5_000_000 + '"}', "longer than"),
        ('{"images": ' + "9" * 5000 + "}", "not valid JSON"),
    ):
        (tool.home / "spec.json").write_text(text)
        ran = tool("pull", "--spec", "spec.json", "-o", "o.tar", "--json")
        refused(ran, 2, words)
        assert len(ran.json["error"]["message"]) < 1000


def test_yaml_and_defaults(release: Release) -> None:
    path = release.tool.home / "spec.yaml"
    path.write_text(
        f"""
        defaults: {{platform: linux/arm64}}
        images:
          - {{name: "many/arm:1", final: "{release.reference("team/many:1")}"}}
          - {{name: "many/all:1", final: "{release.reference("team/many:1")}", all: true}}
          - {{name: "many/amd:1", final: "{release.reference("team/many:1")}", platform: linux/amd64}}
        """
    )
    pulled = release.tool.good("pull", "--spec", path, "-o", "o.tar", "--json", *PLAIN_PULL).json
    platforms = [image["platform"] or len(image["manifests"]) for image in pulled["images"]]
    assert platforms == ["linux/arm64", 2, "linux/amd64"]


def test_images_that_fail_to_pull_are_all_named(release: Release, vendor: Registry) -> None:
    spec = release.spec("1", ["team/one:1", "none:1", "team/two:1", "none:2"])
    ran = release.tool("pull", "--spec", spec, "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 5, "none:1")
    assert [failure["name"] for failure in ran.json["failures"]] == ["none:1", "none:2"]
    assert not (release.tool.home / "o.tar").exists()
    ran = release.tool("pull", "--spec", spec, "-o", "o.tar", "--json", "--fail-fast", *PLAIN_PULL)
    assert [failure["name"] for failure in ran.json["failures"]] == ["none:1"]


def test_the_library(release: Release, tool: Tool) -> None:
    from wrapper.skopeo.access import Access

    plain = Access(tls_verify=False)
    incremental = Incremental(final_auth=plain, base_auth=plain, push_auth=plain, jobs=2, skopeo="skopeo")
    with incremental.pull_bundle(release.spec("1")) as archive:
        assert archive.result.bundle
        with pytest.raises(UsageError, match="tag or digest"):
            incremental.push(archive, f"{release.customer.host}/{release.prefix}:1")
        pushed = incremental.push(archive, f"{release.customer.host}/{release.prefix}", only=["team/*"])
        assert [outcome.name for outcome in pushed.outcomes] == release.names("1")[:3]
    earlier = release.spec("1").rename(tool.home / "earlier.json")
    with (
        incremental.pull_bundle(release.spec("2"), earlier=earlier) as archive,
        pytest.raises(BundleError) as caught,
    ):
        incremental.push(archive, f"{release.customer.host}/{fresh('empty')}")
    assert caught.value.code == 3
    assert caught.value.result
    assert [bool(outcome.error) for outcome in caught.value.result.outcomes] == [True, True, True, True]


def test_other_commands_say_that_it_is_a_bundle(release: Release) -> None:
    release.pull("1")
    refused(release.tool("complete", "1.tar", "-o", "o.tar", "--json"), 2, "4 images")
    single = ("pull", release.reference("chart:7"), "-o", "single.tar", *PLAIN_PULL)
    release.tool.good(*single)
    where = f"{release.customer.host}/{release.prefix}"
    refused(release.tool("push", "single.tar", where, "--only", "x", "--json", *PLAIN_DEST), 2, "--only")
    refused(release.tool("push", "1.tar", "single.tar", where, "--json", *PLAIN_DEST), 2, "one image")


def test_twenty_images(release: Release) -> None:
    """What is missing is fetched, each blob once; all arrives with its digest; then there is nothing to do."""
    at, vendor = release.at, release.vendor
    shared = [layer(f"{at}shared{number}", 20_000) for number in range(3)]
    images: dict[str, Image] = {}
    bases: dict[str, str] = {}
    known: set[str] = set()
    customer = release.customer
    for number in range(17):
        name, docker = f"app{number}", number > 11
        own = layer(f"{at}{name}base")
        old = put_image(vendor, f"{at}/{name}", "1", [shared[0], own], docker=docker)
        layers = [shared[0], own, shared[1 + number % 2], layer(f"{at}{name}new")]
        images[f"{name}:2"] = put_image(vendor, f"{at}/{name}", "2", layers, docker=docker)
        bases[f"{name}:2"] = f"{vendor.host}/{at}/{name}:1"
        known |= set(old.layers)
        for data in (shared[0], own):
            customer.put_blob(f"{release.prefix}/{name}", digest_of(data), data)
    for name in ("many1", "many2"):
        leaves = [
            (put_image(vendor, f"{at}/{name}", None, [*shared, layer(f"{at}{name}{cpu}")]), platform(cpu))
            for cpu in ("amd64", "arm64")
        ]
        images[f"{name}:2"] = put_list(vendor, f"{at}/{name}", "2", leaves)
    chart: Any = {"config": b"{}", "config_type": CHART, "layer_types": [CHART_LAYER]}
    images["chart:2"] = put_image(vendor, f"{at}/chart", "2", [layer(f"{at}chart2")], **chart)
    spec = release.tool.home / "spec.json"
    entries = [
        {
            "name": name,
            "final": f"{vendor.host}/{at}/{name}",
            "all": True,
            "base": [bases[name]] if name in bases else [],
        }
        for name in images
    ]
    spec.write_text(json.dumps({"images": entries}))
    watch = vendor.watch()
    pulled = release.tool.good("pull", "--spec", spec, "--jobs", "4", "-o", "o.tar", "--json", *PLAIN_PULL).json
    leaves = [leaf for image in images.values() for leaf in (image.children or [image])]
    # The lists' repositories have no base with the layer that the others share.
    needed = {digest for leaf in leaves for digest in leaf.layers}
    missing = needed - (known - set(leaves[-2].layers))
    fetched = watch.blobs()
    assert len(fetched) == len(set(fetched))
    assert set(fetched) == missing | {leaf.config for leaf in leaves}
    sizes = {digest: size for leaf in leaves for digest, size in leaf.sizes.items()}
    assert pulled["bytes_new"] == sum(sizes[digest] for digest in missing)
    pushed = release.push("o.tar")
    assert [outcome["name"] for outcome in pushed["outcomes"]] == list(images)
    assert {name: release.there(name) for name in images} == {name: image.digest for name, image in images.items()}
    watch = release.customer.watch()
    again = release.push("o.tar")
    assert not any(outcome["changed"] for outcome in again["outcomes"])
    assert watch.writes() == []


def test_images_that_contradict_each_other_are_refused_before_anything_is_fetched(
    tool: Tool, vendor: Registry
) -> None:
    common = layer("contradicted")
    good, liar = fresh(), fresh()
    put_image(vendor, good, "1", [common])
    lying = json.loads(put_image(vendor, liar, "1", [common]).raw)
    lying["layers"][0]["size"] += 1
    kind = "application/vnd.oci.image.manifest.v1+json"
    vendor.put_manifest(liar, "1", json.dumps(lying).encode(), kind)
    spec = tool.home / "spec.json"
    images = [{"name": f"{name}:1", "final": f"{vendor.host}/{name}:1"} for name in (good, liar)]
    spec.write_text(json.dumps({"images": images}))
    watch = vendor.watch()
    for more in (("--dry-run",), ("-o", "x.tar")):
        refused(
            tool("pull", "--spec", spec, *more, "--json", *PLAIN_PULL),
            4,
            digest_of(common),
            "but its manifest says",
        )
    assert watch.blobs() == []
    assert not (tool.home / "x.tar").exists()


def test_a_receipt_that_nobody_could_read_is_refused_before_the_push(
    tool: Tool, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wrapper.oci.documents import Bounds
    from wrapper.source import growing

    release.pull("1")
    monkeypatch.setattr(growing, "OURS", Bounds(1_000, 1_000))
    watch = release.customer.watch()
    with pytest.raises(UsageError, match="one receipt can't hold"):
        Incremental().push(tool.home / "1.tar", f"{release.customer.host}/x", receipt=tool.home / "r.json")
    assert watch.requests() == []
    assert not (tool.home / "r.json").exists()
