#!/usr/bin/python
"""Ansible module: moves container images with skopeo-incremental, on the machine that the task runs on."""

from __future__ import annotations

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: incremental_image
short_description: Move container images as the difference to what the other side has
description:
  - Runs skopeo-incremental. An archive or a tag that is as asked for already is left alone, and is no change.
  - In check mode everything is looked at and nothing is written; with C(--diff) digests before and after are shown.
  - A failure has C(code), the command's exit code, C(meaning), C(next), and C(missing), the missing layers.
options:
  action:
    description: What to do. C(bundle) is C(pull) for several images.
    choices: [pull, vet, push, bundle]
    required: true
    type: str
  archive:
    description:
      - The archive that is written, or read.
      - C(vet) and C(push) also take C(docker://HOST/NAME:TAG) of one that is stored in a registry.
    required: true
    type: path
  final:
    description: C(pull), the image.
    type: str
  images:
    description: C(bundle), the images, as a spec has them, each with C(name) and C(final).
    type: list
    elements: dict
  base:
    description: What the other side has; C(vet) and C(push), where layers come from that the destination lacks.
    type: list
    elements: str
    default: []
  base_images:
    description: C(bundle), the images of an earlier bundle, which the other side has.
    type: list
    elements: dict
  destination:
    description: C(vet) and C(push), where the archive goes; of a bundle, the prefix.
    type: str
  all:
    description: Take multi-architecture images whole.
    type: bool
    default: false
  delta:
    description: C(pull) and C(bundle), let new layers travel as their change, or repacked, where that saves enough.
    type: bool
    default: false
  delta_effort:
    description: C(pull) and C(bundle), how much work goes into changes.
    choices: [fast, default, best]
    type: str
  additional_tags:
    description: C(push), further tags.
    type: list
    elements: str
    default: []
  overwrite_tag:
    description: C(push), whether a tag that points to another image may be moved.
    type: bool
    default: true
  only:
    description: C(vet) and C(push), of a bundle only images of these names.
    type: list
    elements: str
    default: []
  map:
    description: C(vet) and C(push), other names for a bundle's images.
    type: dict
    default: {}
  expect_sha256:
    description: C(vet) and C(push), what the archive hashes to, or each of its volumes in their order.
    type: list
    elements: str
    default: []
  receipt:
    description: C(push), a file that will say what the destination has then.
    type: path
  base_creds:
    description: Login for the bases, as user:password.
    type: str
  final_creds:
    description: Login for the final images.
    type: str
  dest_creds:
    description: Login for the destination.
    type: str
  base_authfile:
    description: Auth file for the bases.
    type: path
  final_authfile:
    description: Auth file for the final images.
    type: path
  dest_authfile:
    description: Auth file for the destination.
    type: path
  base_tls_verify:
    description: Demand TLS and check it for the bases.
    type: bool
  final_tls_verify:
    description: Demand TLS and check it for the final images.
    type: bool
  dest_tls_verify:
    description: Demand TLS and check it for the destination.
    type: bool
  extra_args:
    description: Further options of the command.
    type: list
    elements: str
    default: []
  executable:
    description: The command.
    type: str
    default: skopeo-incremental
"""

RETURN = r"""
result:
  description: What the command printed with C(--json).
  returned: always
  type: dict
missing:
  description: The layers that are missing, each with C(digest), C(size) and C(bases).
  returned: always
  type: list
code:
  description: The command's exit code.
  returned: always
  type: int
meaning:
  description: What that means.
  returned: always
  type: str
"""

MEANINGS = {
    0: "done",
    1: "a bug",
    2: "what was asked for makes no sense",
    3: "layers are missing at the destination",
    4: "something is not what its digest or schema says",
    5: "a registry or skopeo failed",
    6: "this machine lacks something",
    130: "interrupted",
    143: "terminated",
}
# Which sides a command has options for.
SIDES = {"pull": ("base", "final"), "bundle": ("base", "final"), "vet": ("base", "dest"), "push": ("base", "dest")}
# What of an archive decides about its bytes.
CONTENT = ("images", "bases", "omitted")


class Command:
    """The command line for one action."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.parameters = module.params
        self.action = module.params["action"]
        self.executable = module.get_bin_path(module.params["executable"], required=True)

    def run(self, command: str, *arguments: str) -> dict:
        """Run a command of the tool, and return what it printed."""
        environment = {}
        for side in SIDES[self.action]:
            creds = self.parameters[side + "_creds"]
            if creds:
                # Arguments are for everybody to see.
                environment["_".join(("SKOPEO_INCREMENTAL", command, side, "CREDS")).upper()] = creds
        code, out, err = self.module.run_command(
            [self.executable, command, *arguments, "--json", "--quiet"], environ_update=environment
        )
        try:
            result = json.loads(out)
        except ValueError:
            self.module.fail_json(
                msg=f"{self.executable} answered with no JSON: {(err or out).strip()}",
                code=code,
                meaning=MEANINGS.get(code, "unknown"),
                missing=[],
                result={},
            )
        result["code"] = code
        return result

    def access(self) -> list:
        """Return the options by which registries are reached."""
        options = []
        for side in SIDES[self.action]:
            if self.parameters[side + "_authfile"]:
                options += [f"--{side}-authfile", self.parameters[side + "_authfile"]]
            verify = self.parameters[side + "_tls_verify"]
            if verify is not None:
                options += [f"--{side}-tls-verify", str(verify).lower()]
        for base in self.parameters["base"]:
            options += ["--base", base]
        return options + self.parameters["extra_args"]

    def finish(self, result: dict, changed: bool, before: dict, after: dict) -> None:
        """Tell Ansible."""
        code = result.pop("code")
        missing = result.get("missing", [])
        told = {"code": code, "meaning": MEANINGS.get(code, "unknown"), "missing": missing, "result": result}
        if before != after:
            told["diff"] = {"before": _lines(before), "after": _lines(after)}
        if code:
            error = result.get("error", {})
            message = error.get("message", "it failed")
            if missing:
                message += ": " + ", ".join(layer["digest"] for layer in missing)
            step = error.get("next", "")
            done = bool(result.get("changed")) and not self.module.check_mode
            self.module.fail_json(msg=message, next=step, changed=done, **told)
        self.module.exit_json(changed=changed, **told)


def _lines(digests: dict) -> str:
    return "".join("{} {}\n".format(*pair) for pair in sorted(digests.items()))


def _images(result: dict) -> dict:
    return {image["name"] or "image": image["digest"] for image in result.get("images", [])}


def _content(result: dict) -> list:
    """Return what two archives of the same bytes have in common, whether they were read or planned."""
    images = [(image["name"], image["digest"], image["beside"]) for image in result["images"]]
    # What changes are made from is known only when they were made.
    left_out = sorted(layer["digest"] for layer in result["layers"] if layer["where"] == "omitted")
    return [images, sorted(result["bases"]), left_out]


def pull(command: Command, sources: list) -> None:
    """Write the archive, unless it is there."""
    parameters = command.parameters
    archive = parameters["archive"]
    options = command.access() + [f"--{name}" for name in ("all", "delta") if parameters[name]]
    if parameters["delta_effort"]:
        options += ["--delta-effort", parameters["delta_effort"]]
    planned = command.run("pull", *sources, "--dry-run", *options)
    if planned["code"]:
        command.finish(planned, False, {}, {})
    there = command.run("inspect", archive) if os.path.isfile(archive) else {"code": 2}
    before = {} if there["code"] else _images(there)
    same = not there["code"] and _content(there) == _content(planned)
    # What it says that it is, it also has to be.
    if same and command.run("vet", archive)["code"] == 0:
        command.finish(planned, False, before, before)
    if command.module.check_mode:
        command.finish(planned, True, before, _images(planned))
    pulled = command.run("pull", *sources, "--output", archive, *options)
    command.finish(pulled, bool(pulled.get("changed")), before, _images(pulled))


def push(command: Command) -> None:
    """Push the archive, or in check mode say what would be pushed."""
    parameters = command.parameters
    arguments = [parameters["archive"], parameters["destination"], *_selection(parameters), *command.access()]
    for tag in parameters["additional_tags"]:
        arguments += ["--additional-tag", tag]
    if not parameters["overwrite_tag"]:
        arguments.append("--no-overwrite-tag")
    if command.module.check_mode:
        arguments.append("--dry-run")
    elif parameters["receipt"]:
        arguments += ["--receipt", parameters["receipt"]]
    pushed = command.run("push", *arguments)
    before, after = {}, {}
    for tag in pushed.get("tags", []):
        before[tag["reference"]] = tag["previous_digest"] or "none"
        after[tag["reference"]] = pushed["digest"]
    for outcome in pushed.get("outcomes", []):
        if not outcome["error"]:
            after[outcome["destination"]] = outcome["digest"]
    command.finish(pushed, bool(pushed.get("changed")), before, after)


def _selection(parameters: dict) -> list:
    options = []
    for name in parameters["only"]:
        options += ["--only", name]
    for old, new in parameters["map"].items():
        options += ["--map", f"{old}={new}"]
    for sha256 in parameters["expect_sha256"]:
        options += ["--expect-sha256", sha256]
    return options


def bundle(command: Command) -> None:
    """Pull what the task names, through spec files that go away again."""
    paths = []
    try:
        for images in (command.parameters["images"], command.parameters["base_images"] or []):
            handle, path = tempfile.mkstemp(suffix=".json")
            paths.append(path)
            with os.fdopen(handle, "w") as file:
                json.dump({"images": images}, file)
        sources = ["--spec", paths[0]]
        if command.parameters["base_images"]:
            sources += ["--base-spec", paths[1]]
        pull(command, sources)
    finally:
        for path in paths:
            os.unlink(path)


def main() -> None:
    text, path, several = {"type": "str"}, {"type": "path"}, {"type": "list", "elements": "str", "default": []}
    secret, flag = {"type": "str", "no_log": True}, {"type": "bool"}
    sides = ("base", "final", "dest")
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": ["pull", "vet", "push", "bundle"]},
            "archive": {"type": "path", "required": True},
            "final": text,
            "images": {"type": "list", "elements": "dict"},
            "base": several,
            "base_images": {"type": "list", "elements": "dict"},
            "destination": text,
            "all": {"type": "bool", "default": False},
            "delta": {"type": "bool", "default": False},
            "delta_effort": {"type": "str", "choices": ["fast", "default", "best"]},
            "additional_tags": several,
            "overwrite_tag": {"type": "bool", "default": True},
            "only": several,
            "map": {"type": "dict", "default": {}},
            "expect_sha256": several,
            "receipt": path,
            "extra_args": several,
            "executable": {"type": "str", "default": "skopeo-incremental"},
            **{side + "_creds": secret for side in sides},
            **{side + "_authfile": path for side in sides},
            **{side + "_tls_verify": flag for side in sides},
        },
        required_if=[
            ("action", "pull", ("final",)),
            ("action", "bundle", ("images",)),
            ("action", "vet", ("destination",)),
            ("action", "push", ("destination",)),
        ],
        supports_check_mode=True,
    )
    command = Command(module)
    if command.action == "pull":
        pull(command, [module.params["final"]])
    elif command.action == "bundle":
        bundle(command)
    elif command.action == "push":
        push(command)
    else:
        arguments = [module.params["archive"], module.params["destination"], *_selection(module.params)]
        command.finish(command.run("vet", *arguments, *command.access()), False, {}, {})


if __name__ == "__main__":
    main()
