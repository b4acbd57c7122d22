"""Mistakes that people make, and whether the answer tells them what they meant; and what results say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import wrapper
from tests.support.images import fresh, layer, put_image
from tests.support.tool import ACCOUNTS, PLAIN_DEST, PLAIN_PULL, refused

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.support.registry import Registry
    from tests.support.release import Release
    from tests.support.tool import Tool

PASSWORD = "wrong-Pa55"


class Update:
    """An archive that leaves out two layers of its base, and a place that has none."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.tool, self.repository = tool, fresh()
        shared = [layer(f"{self.repository}{number}") for number in range(2)]
        self.base = put_image(vendor, self.repository, "1", shared)
        self.final = put_image(vendor, self.repository, "2", [*shared, layer(self.repository)])
        self.old, self.new = (f"{vendor.host}/{self.repository}:{tag}" for tag in "12")
        self.empty = f"{customer.host}/{fresh('empty')}:2"
        tool.good("pull", self.old, "-o", "old.tar", *PLAIN_PULL)
        tool.good("pull", self.new, "-b", self.old, "-o", "new.tar", *PLAIN_PULL)


@pytest.fixture
def update(tool: Tool, vendor: Registry, customer: Registry) -> Update:
    return Update(tool, vendor, customer)


def test_files_in_place_of_references(tool: Tool, update: Update, vendor: Registry, customer: Registry) -> None:
    tool.good("push", "old.tar", update.empty, "--receipt", "site.json", *PLAIN_DEST)
    (tool.home / "one.json").write_bytes(update.base.raw)
    watch = vendor.watch()
    for given, written in (
        ("old.tar", "oci-archive:old.tar"),
        ("./old.tar", "oci-archive:./old.tar"),
        ("site.json", "receipt:site.json"),
        ("one.json", "manifest:one.json"),
    ):
        pull = ("pull", update.new, "-o", "o.tar", "--json", *PLAIN_PULL, "--base")
        refused(tool(*pull, given), 2, f"{given} is a file: write {written}")
        assert watch.requests() == []
        assert tool.good(*pull, written).json["layers_shared"] == 2
        watch = vendor.watch()
    refused(tool("pull", update.new, "-o", "o.tar", "--json", "-b", "none.tar"), 2, "there is no file none.tar")
    refused(tool("pull", "old.tar", "-o", "o.tar", "--json"), 2, "old.tar is a file", "--base oci-archive:old.tar")
    refused(tool("push", "old.tar", "copy.tar", "--json"), 2, "write oci-archive:copy.tar")
    spec = {"images": [{"name": "app:1", "final": update.new, "base": "old.tar"}]}
    (tool.home / "spec.json").write_text(json.dumps(spec))
    ran = tool("pull", "--spec", "spec.json", "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 2, "images[0].base", "write oci-archive:old.tar")
    # What begins with a host, or with a transport, is what it says.
    named = f"{customer.host}/{fresh()}/old.tar"
    tool.good("push", "old.tar", f"{named}:1", *PLAIN_DEST)
    tool.good("push", "old.tar", f"docker://{named}", *PLAIN_DEST)


def test_json_in_place_of_an_archive(tool: Tool, update: Update) -> None:
    tool.good("push", "old.tar", update.empty, "--receipt", "site.json", *PLAIN_DEST)
    (tool.home / "spec.json").write_text('{"images": []}')
    (tool.home / "one.json").write_bytes(update.base.raw)
    for command in (("vet",), ("inspect",), ("push", "--json")):
        destination = [update.empty] if "push" in command else ["--json"]
        refused(tool(*command, "site.json", *destination), 4, "site.json is a receipt", "receipt:site.json")
    refused(tool("vet", "spec.json", "--json"), 4, "a bundle's spec", "--spec")
    refused(tool("vet", "one.json", "--json"), 4, "a manifest", "manifest:one.json")


def test_arguments_that_are_swapped_or_missing(tool: Tool, update: Update) -> None:
    for command in ("push", "vet"):
        ran = tool(command, update.empty, "new.tar", "--json")
        refused(ran, 2, "the archive comes first", f"new.tar {update.empty}")
    refused(tool("push", "new.tar", "--json"), 2, "Missing argument 'DESTINATION'")
    refused(tool("push", update.empty, "--json"), 2, "Missing argument 'ARCHIVE'")
    refused(tool("push", "--json"), 2, "Missing argument")
    refused(tool("push", "new.tar", "old.tar", "--json"), 2, "'DESTINATION': old.tar is an archive")
    (tool.home / "site.json").write_text('{"receipt": "1"}')
    refused(tool("push", "new.tar", "site.json", "--json"), 2, "'DESTINATION': site.json is a receipt")
    (tool.home / "folder").mkdir()
    refused(tool("push", "new.tar", "./folder", "--json"), 2, "write dir:./folder")
    spec = {"images": [{"name": "app:2", "final": update.new}]}
    (tool.home / "spec.json").write_text(json.dumps(spec))
    mirror = ("mirror-config", "--spec", "spec.json", "-o", "files", "--json")
    refused(tool(*mirror, update.empty, "new.tar"), 2, f"new.tar {update.empty}")
    refused(tool("vet", "oci-archive:new.tar", "--json"), 2, "write new.tar")
    # What is no spec, is called what it is.
    pull = ("pull", "-o", "o.tar", "--json", "--spec")
    refused(tool(*pull, "new.tar"), 2, "new.tar is an archive, and not a spec")
    refused(tool("status", "site.json", "--site", "spec.json", "--json"), 2, "is a receipt, and not a spec")
    refused(tool(*pull, "folder"), 2, "the spec folder is not a file")
    refused(tool("pull", update.new, update.old, "-o", "o", "--json"), 2, f"{update.new} --base {update.old}")


def test_bases_that_are_no_manifests(tool: Tool, update: Update) -> None:
    (tool.home / "site.json").write_text('{"receipt": "1"}')
    (tool.home / "other.json").write_text("{}")
    (tool.home / "folder").mkdir()
    pull = ("pull", update.new, "-o", "o.tar", "--json", *PLAIN_PULL, "--base")
    refused(tool(*pull, "manifest:site.json"), 4, "site.json is a receipt, and not a manifest")
    refused(tool(*pull, "manifest:other.json"), 4, "other.json: ")
    refused(tool(*pull, "manifest:none.json"), 2, "manifest:none.json does not exist")
    refused(tool(*pull, "dir:folder"), 2, "dir:folder has no manifest", "a folder that skopeo wrote")


def test_values_of_options_that_are_none(tool: Tool) -> None:
    pull = ("pull", "host.example/app:1", "-o", "o.tar", "--json")
    # An unset variable of a shell must not be taken for false.
    for value in ("", "maybe"):
        refused(tool(*pull, "--tls-verify", value), 2, f"'{value}' is neither true nor false")
    refused(tool(*pull, "--timeout", "10m"), 2, "'10m' is not a valid number.")
    refused(tool(*pull, "--jobs", "many"), 2, "'many' is not a valid whole number.")
    refused(tool(*pull, "--tls-verify"), 2, "requires an argument", "see skopeo-incremental pull --help")


def test_a_base_is_asked_for(tool: Tool, update: Update) -> None:
    for ran in (
        tool("complete", "new.tar", "-o", "whole.tar", "--json"),
        tool("push", "new.tar", "oci:layout:2", "--json"),
        tool("push", "new.tar", "oci-archive:whole.tar", "--json"),
    ):
        refused(ran, 3, "lacks 2 layers", "name a place that has ", f" ({update.base.digest}) with --base")
        assert "push" not in ran.json["error"]["next"]
        assert ran.json["error"]["kind"] == "missing-layers"
        assert len(ran.json["missing"]) == 2
    # A chain has it all.
    tool.good("complete", "old.tar", "new.tar", "-o", "whole.tar")


def test_a_single_image_for_another_platform(tool: Tool, vendor: Registry) -> None:
    repository = fresh()
    put_image(vendor, repository, "arm", [layer(repository)], arch="arm64")
    put_image(vendor, repository, "chart", [layer(repository)], config=b"no JSON", config_type="application/x")
    here = f"{vendor.host}/{repository}"
    pull = ("-o", "o.tar", "--json", *PLAIN_PULL)
    ran = tool("pull", f"{here}:arm", "--override-arch", "amd64", *pull)
    refused(ran, 2, "a single image for linux/arm64, and not for linux/amd64", "--override-arch")
    refused(tool("pull", f"{here}:arm", "--override-os", "windows", "--dry-run", *pull), 2, "linux/arm64")
    tool.good("pull", f"{here}:arm", "--override-arch", "arm64", *pull)
    # Nobody asked for a platform, or it has none.
    tool.good("pull", f"{here}:arm", *pull)
    tool.good("pull", f"{here}:chart", "--override-arch", "amd64", *pull)
    spec = {"images": [{"name": "app:1", "final": f"{here}:arm", "platform": "linux/s390x"}]}
    (tool.home / "spec.json").write_text(json.dumps(spec))
    refused(tool("pull", "--spec", "spec.json", *pull), 2, "linux/arm64", "linux/s390x")


def test_no_tag_is_latest(tool: Tool, update: Update, customer: Registry) -> None:
    target = f"{customer.host}/{fresh('there')}"
    pushed = tool.good("push", "old.tar", target, "--json", *PLAIN_DEST).json
    assert [tag["reference"] for tag in pushed["tags"]] == [f"docker://{target}:latest"]
    assert pushed["images"][0]["reference"] == f"docker://{target}:latest"
    assert f"docker://{target}:latest" in tool.good("push", "old.tar", target, *PLAIN_DEST).text
    assert customer.manifest(target.partition("/")[2], "latest") == update.base.raw


def test_no_such_tag_is_one_short_line(tool: Tool, update: Update) -> None:
    ran = tool("pull", f"{update.new}0", "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 5)
    error = ran.json["error"]
    assert error["message"] == f"docker://{update.new}0 does not exist"
    assert (error["kind"], error["retryable"]) == ("not-found", False)


def test_whose_login_was_refused(tool: Tool, locked: Registry, update: Update) -> None:
    repository = fresh()
    put_image(locked, repository, "1", [layer("a")])
    here = f"{locked.host}/{repository}:1"
    pull = ("pull", here, "-o", "o.tar", "--json", *PLAIN_PULL)
    for flags in (["--final-creds", f"eve:{PASSWORD}"], ["--authfile", "auth.json"]):
        auth = "ZXZlOndyb25nLVBhNTU="
        (tool.home / "auth.json").write_text(json.dumps({"auths": {locked.host: {"auth": auth}}}))
        ran = tool(*pull, *flags)
        refused(
            ran, 5, f"cannot read docker://{here} as user 'eve'", "check its name and password", "--final-creds"
        )
        assert (ran.json["error"]["kind"], ran.json["error"]["retryable"]) == ("unauthorized", False)
        assert PASSWORD not in ran.text + ran.stderr
        assert auth not in ran.text + ran.stderr
    ran = tool("push", "old.tar", here, "--dest-creds", f"eve:{PASSWORD}", "--json", *PLAIN_DEST)
    refused(ran, 5, "as user 'eve'", "--dest-creds")
    # Without a login there is nobody to name.
    ran = tool(*pull)
    refused(ran, 5, "log in")
    assert "as user" not in ran.json["error"]["message"]
    assert ACCOUNTS["ann"].partition(":")[2] not in ran.text


def test_kinds_of_errors(tool: Tool, update: Update, secure: Registry) -> None:
    policy = tool.home / "policy.json"
    policy.write_text('{"default": [{"type": "reject"}]}')
    pull = ("pull", update.new, "-o", "o.tar", "--json")
    tls = (*pull[:1], f"{secure.host}/app:1", *pull[2:])
    for arguments, kind, retryable in (
        (("pull", "--json"), "usage", False),
        ((*pull, "--final-creds", "joe"), "usage", False),
        (pull, "tls", False),
        (tls, "tls", False),
        ((*pull, "--policy", policy, *PLAIN_PULL), "policy", False),
        (("pull", "127.0.0.1:1/app:1", "-o", "o.tar", "--json"), "network", True),
        (("pull", "no-such-host.invalid/app:1", "-o", "o.tar", "--json"), "network", False),
        ((*pull, "--with-signatures", *PLAIN_PULL), "signatures", False),
        ((*pull, "--tmpdir", "/proc", *PLAIN_PULL), "host", False),
        (("vet", "policy.json", "--json"), "content", False),
        (("vet", "new.tar", update.empty, "--json", *PLAIN_DEST), "missing-layers", False),
    ):
        error = tool(*arguments).json["error"]
        assert (error["kind"], error["retryable"]) == (kind, retryable), (arguments, error)


def test_exceptions_have_them_too(tool: Tool, tmp_path: Path, update: Update) -> None:
    with pytest.raises(wrapper.UsageError) as caught:
        wrapper.Incremental(temp_dir=tmp_path).pull("old.tar:1", "docker://no reference")
    assert (caught.value.kind, caught.value.retryable) == ("usage", False)
    with pytest.raises(wrapper.RegistryError) as refused_one:
        wrapper.Incremental(temp_dir=tmp_path).plan(None, "127.0.0.1:1/app:1")
    assert (refused_one.value.kind, refused_one.value.retryable) == ("network", True)
    with pytest.raises(wrapper.HostError) as unwritable:
        wrapper.Incremental(temp_dir="/proc").plan(None, update.new)
    assert "`temp_dir`" in unwritable.value.next_step
    assert "--" not in unwritable.value.next_step


def test_a_bundle_whose_images_lack_layers(release: Release) -> None:
    release.pull("1")
    release.push("1.tar", "--only", "chart")
    earlier = release.spec("1").rename(release.tool.home / "earlier.json")
    release.pull("2", "--base-spec", earlier)
    failed = release.push("2.tar", code=3)
    outcomes = [outcome for outcome in failed["outcomes"] if outcome["error"]]
    lacking = {each["digest"] for outcome in outcomes for each in outcome["missing"]}
    _same_error(failed, lacking)
    assert {outcome["error"]["kind"] for outcome in outcomes} == {"missing-layers"}
    where = f"{release.customer.host}/{release.prefix}"
    vetted = release.tool("vet", "2.tar", where, "--json", *PLAIN_DEST)
    assert vetted.code == 3
    _same_error(vetted.json, lacking)
    # One table with each layer once, one line that counts, and one next step for all.
    text = release.tool("push", "2.tar", where, *PLAIN_DEST)
    assert text.stderr.count("MISSING LAYER") == 1
    assert all(text.stderr.count(f"\n{digest} ") == 1 for digest in lacking)
    common = next(line for line in text.stderr.splitlines() if line.endswith("team/one:2, team/two:2, team/many:2"))
    assert common.split()[0] in lacking
    assert text.text.splitlines()[-1].split(":", 1)[1].strip() == "0 of 4 pushed, 1 already there, 3 failed"
    said = release.tool("vet", "2.tar", where, *PLAIN_DEST).text.splitlines()
    assert said[-1].split(":", 1)[1].strip() == "1 of 4 ready, 3 failed"
    (step,) = [line for line in said if line.startswith("next:")]
    assert step.split(":", 1)[1].strip() == vetted.json["error"]["next"]


def _same_error(shown: Any, lacking: set[str]) -> None:
    assert [each["digest"] for each in shown["missing"]] == sorted(lacking)
    assert (shown["error"]["code"], shown["error"]["kind"]) == (3, "missing-layers")


def test_a_bundle_that_cannot_be_read(release: Release) -> None:
    spec = release.spec("1")
    spec.write_text(spec.read_text().replace(release.reference("chart:7"), release.reference("chart:8")))
    ran = release.tool("pull", "--spec", spec, "-o", "o.tar", "--json", *PLAIN_PULL)
    refused(ran, 5, "1 of 4 images could not be read", "does not exist")
    (failure,) = ran.json["failures"]
    assert (failure["name"], failure["kind"], failure["retryable"]) == ("chart:7", "not-found", False)
