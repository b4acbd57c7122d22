#!/usr/bin/python
# Copyright: The skopeo-incremental authors
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: moves container images with skopeo-incremental, on the machine where the task runs."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: incremental_image
short_description: Move container images as the difference from what the other side has
author:
  - The skopeo-incremental authors (!UNKNOWN)
description:
  - Runs the command C(skopeo-incremental) on the machine where the task runs.
  - An archive or a tag that is already as the task wants it is left alone, and the task reports no change.
  - Logins are never arguments of a process. They reach the command through its environment.
requirements:
  - skopeo-incremental
  - skopeo
attributes:
  check_mode:
    description: The task reads everything, says what would change, and writes nothing.
    support: full
  diff_mode:
    description: The task shows the digests of the images before and after.
    support: full
options:
  action:
    description:
      - What to do.
      - V(pull) writes an archive with what O(final) has and O(base) lacks.
      - V(bundle) does the same for several images, and writes one archive.
      - V(vet) checks an archive, and whether O(destination) has every layer that the archive leaves out.
      - V(push) pushes an archive to O(destination).
    choices: [pull, vet, push, bundle]
    required: true
    type: str
  archive:
    description:
      - The path of the archive that O(action=pull) and O(action=bundle) write, and that the other actions read.
      - O(action=vet) and O(action=push) also read an archive that is stored in a registry, such as
        V(docker://HOST/NAME:TAG).
    required: true
    type: path
  final:
    description: The image to pull. Required with O(action=pull).
    type: str
  images:
    description:
      - The images of a bundle. Required with O(action=bundle), and with O(mirror_config).
      - Each entry has C(name), the image's name in the bundle, and C(final), the image to pull. It may also have
        C(base), C(all), C(platform), C(platforms), C(delta), C(signatures), C(with) and C(with_from).
    type: list
    elements: dict
  base:
    description:
      - For O(action=pull) and O(action=bundle), images that the other side has.
      - For O(action=vet) and O(action=push), where layers come from that the destination lacks.
    type: list
    elements: str
    default: []
  base_images:
    description: The images of an earlier bundle that the other side has, in the same form as O(images).
    type: list
    elements: dict
  for_site:
    description:
      - Receipts of the sites that are to get the archive, as O(receipt) writes them.
      - The archive leaves out what all of these sites have.
    type: list
    elements: path
    default: []
  sent_ledger:
    description:
      - A list of what was sent, to which the images are added when the archive is complete.
      - V(sent:FILE) reads it as a base. If a task reads and adds to the same file, an archive of the images that
        the file already has stays as it is.
    type: path
  destination:
    description:
      - Where the images go, such as V(docker://HOST/NAME:TAG). For a bundle, the prefix of all its images.
      - Required with O(action=push). Without it, O(action=vet) checks the archive alone and needs no network.
    type: str
  all:
    description: Whether to pull multi-architecture images whole.
    type: bool
    default: false
  platform:
    description:
      - The platform to pull from multi-architecture images, as V(OS/ARCHITECTURE) or V(OS/ARCHITECTURE/VARIANT).
      - The default is the platform of the machine where the task runs.
    type: str
  platforms:
    description:
      - The platforms to keep of multi-architecture images, in the same form as O(platform).
      - The images keep their digests, even with one platform. Their other platforms are absent.
    type: list
    elements: str
    default: []
  delta:
    description: Whether new layers may travel as their change, or repacked, where that saves enough.
    type: bool
    default: false
  delta_effort:
    description: How much work goes into changes. More work takes longer and makes a smaller archive.
    choices: [fast, default, best]
    type: str
  delta_min_saving:
    description: How much a change must save of its layer, in percent. The command's default is 10.
    type: float
  delta_memory:
    description: How much memory changes of layers may take, such as V(512Mi). The command's default is 1Gi.
    type: str
  cache_dir:
    description: A folder in which pulled layers are kept for the next pull.
    type: path
  cache_max_size:
    description: How many bytes O(cache_dir) may hold, such as V(20G).
    type: str
  signatures:
    description:
      - Whether to pull the signatures of the images, and what else stands under tags of their digests, too.
      - With V(required), an image without any is an error. The default is V(no).
    choices: [required, if-present, "no"]
    type: str
  with_signatures:
    description: The same as O(signatures=required).
    type: bool
    default: false
  remove_signatures:
    description: Whether to leave behind signatures that an archive cannot hold.
    type: bool
    default: false
  referrers:
    description: Referrers of the image to pull, too, each as V(REFERENCE@DIGEST).
    type: list
    elements: str
    default: []
  with_from:
    description: Files that list referrers of the image to pull, too, as C(oras discover) prints them as JSON.
    type: list
    elements: path
    default: []
  anonymous:
    description: Whether to leave the names of images out of the archive.
    type: bool
    default: false
  additional_tags:
    description: Further tags for the image at the destination.
    type: list
    elements: str
    default: []
  overwrite_tag:
    description: Whether a tag that points to another image may be moved.
    type: bool
    default: true
  only:
    description: Take only the images of a bundle that have one of these names. Patterns as in a shell are allowed.
    type: list
    elements: str
    default: []
  map:
    description: New names for images of a bundle, by their names in the bundle.
    type: dict
    default: {}
  expect_sha256:
    description: The SHA-256 of the archive, or of each of its volumes in their order.
    type: list
    elements: str
    default: []
  deep:
    description:
      - Whether O(action=vet) also reads from the destination every layer that it says it has.
      - This fetches these layers.
    type: bool
    default: false
  verify:
    description:
      - What O(action=push) reads back before a tag points to it.
      - C(manifests) means manifests and configs. C(layers) means every layer, too.
    type: str
    choices: [manifests, layers]
  receipt:
    description:
      - A file to write that says what the destination has after the push. It is a base for the next pull.
      - A receipt of the same registry is added to.
    type: path
  mirror_config:
    description:
      - A folder for files that make clusters and hosts pull the images of a bundle from O(destination).
      - They are written after a push. O(images) says where the images come from.
    type: path
  as_delta:
    description: Whether to store the archive itself in the registry, for others to read.
    type: bool
    default: false
  fail_fast:
    description: Whether to stop at the first image of a bundle that fails.
    type: bool
    default: false
  jobs:
    description:
      - How many images to work on at a time.
      - The command's default is 10, or 1 where O(retry_times) is set.
    type: int
  retry_times:
    description: How often in a row to try again, without progress, where the network fails.
    type: int
    default: 0
  retry_delay:
    description: The pause before the first retry, in seconds. Each further pause is twice as long, up to a minute.
    type: float
    default: 1.0
  timeout:
    description: After how many seconds without progress a copy or a request ends. V(0) means never.
    type: float
    default: 600.0
  preserve_digests:
    description: Whether images must keep their digests. Otherwise skopeo may convert them.
    type: bool
    default: true
  authfile:
    description: The auth file for all registries that have none of their own.
    type: path
  base_creds:
    description: The login for the bases, as V(USER:PASSWORD).
    type: str
  base_authfile:
    description: The auth file for the bases.
    type: path
  base_tls_verify:
    description: Whether to require TLS and verify certificates for the bases.
    type: bool
  base_cert_dir:
    description: A folder with certificates for the bases.
    type: path
  base_daemon_host:
    description: Where Docker listens, for bases of the transport C(docker-daemon).
    type: str
  final_creds:
    description: The login for the images to pull, as V(USER:PASSWORD).
    type: str
  final_authfile:
    description: The auth file for the images to pull.
    type: path
  final_tls_verify:
    description: Whether to require TLS and verify certificates for the images to pull.
    type: bool
  final_cert_dir:
    description: A folder with certificates for the images to pull.
    type: path
  dest_creds:
    description: The login for the destination, as V(USER:PASSWORD).
    type: str
  dest_authfile:
    description: The auth file for the destination.
    type: path
  dest_tls_verify:
    description: Whether to require TLS and verify certificates for the destination.
    type: bool
  dest_cert_dir:
    description: A folder with certificates for the destination.
    type: path
  dest_daemon_host:
    description: Where Docker listens, for a destination of the transport C(docker-daemon).
    type: str
  src_creds:
    description: The login for the registry that O(archive) is in, as V(USER:PASSWORD).
    type: str
  src_authfile:
    description: The auth file for the registry that O(archive) is in.
    type: path
  src_tls_verify:
    description: Whether to require TLS and verify certificates for the registry that O(archive) is in.
    type: bool
  src_cert_dir:
    description: A folder with certificates for the registry that O(archive) is in.
    type: path
  policy:
    description: The signature policy to use in place of the system's.
    type: path
  insecure_policy:
    description: Whether to accept images without asking the signature policy.
    type: bool
    default: false
  tmpdir:
    description: The folder for temporary files.
    type: path
  skopeo:
    description: The skopeo to run, as a name or a path.
    type: str
    default: skopeo
  executable:
    description: The command to run, as a name or a path.
    type: str
    default: skopeo-incremental
  extra_args:
    description: Further options of the command, as they are.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Pull what release 2 has and release 1 lacks
  skopeo_incremental.images.incremental_image:
    action: pull
    final: registry.example.com/team/app:2
    base:
      - registry.example.com/team/app:1
    archive: /media/disk/app-2.tar
    delta: true
    retry_times: 5
    cache_dir: /var/cache/images

- name: Pull a release of several images into one archive
  skopeo_incremental.images.incremental_image:
    action: bundle
    images:
      - name: app:2
        final: registry.example.com/team/app:2
      - name: worker:2
        final: registry.example.com/team/worker:2
    base_images:
      - name: app:1
        final: registry.example.com/team/app:1
      - name: worker:1
        final: registry.example.com/team/worker:1
    archive: /media/disk/release-2.tar

- name: Check that the archive arrived whole
  skopeo_incremental.images.incremental_image:
    action: vet
    archive: /media/disk/release-2.tar

- name: Push the archive, and try again while that may help
  skopeo_incremental.images.incremental_image:
    action: push
    archive: /media/disk/release-2.tar
    destination: docker://registry.customer.example/mirror
    dest_creds: "{{ vault_registry_login }}"
    receipt: /media/disk/receipt.json
  register: pushed
  until: pushed is succeeded or not (pushed.retryable | default(false))
  retries: 5
  delay: 60
"""

RETURN = r"""
code:
  description: The exit code of the command.
  returned: always
  type: int
  sample: 3
meaning:
  description: What the exit code means.
  returned: always
  type: str
  sample: layers are missing at the destination
kind:
  description: The kind of the failure, one word for programs.
  returned: on failure, if the command reports it
  type: str
retryable:
  description: Whether the same task may succeed if it runs again later.
  returned: on failure, if the command reports it
  type: bool
next:
  description: What to do about the failure.
  returned: on failure
  type: str
missing:
  description: The layers that the destination lacks. For a bundle, those of all its images.
  returned: always
  type: list
  elements: dict
  contains:
    digest:
      description: The digest of the layer.
      type: str
    size:
      description: The size of the layer in bytes.
      type: int
    bases:
      description: The digests of the bases that have the layer.
      type: list
      elements: str
result:
  description: What the command printed with C(--json).
  returned: always
  type: dict
log:
  description: What the command reported while it worked, line by line.
  returned: always
  type: list
  elements: str
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skopeo_incremental.images.plugins.module_utils.command import (
    LOCAL,
    Command,
    arguments,
)

_SIDES = ("base", "final", "dest", "src")


def pull(command: Command, sources: list, *more: str) -> None:
    """Write the archive, unless it is there.

    Args:
        command: what runs.
        sources: the image, or the options that name a bundle's images.
        more: further options of the task that count here.
    """
    archive = command.parameters["archive"]
    options = command.options("pull", *more)
    planned = command.run("pull", *sources, "--dry-run", *options)
    if planned["code"]:
        command.finish(planned, changed=False)
    there = command.run("inspect", archive) if os.path.isfile(archive) else {"code": 2}
    before = {} if there["code"] else _digests(there)
    same = not there["code"] and (_content(there) == _content(planned) or _was_sent(command, there, planned))
    # The archive may have been damaged since it was written.
    if same and command.run("vet", archive, *arguments(command.parameters, LOCAL))["code"] == 0:
        command.finish(planned, False, before, before)
    if command.module.check_mode:
        command.finish(planned, True, before, _digests(planned))
    pulled = command.run("pull", *sources, "--output", archive, *options)
    command.finish(pulled, bool(pulled.get("changed")), before, _digests(pulled))


def bundle(command: Command) -> None:
    """Pull the images that the task names, through spec files."""
    sources = []
    for option, name in (("--spec", "images"), ("--base-spec", "base_images")):
        images = command.parameters[name]
        if name == "images" or images:
            sources += [option, _spec_file(command, name)]
    pull(command, sources, "fail_fast")


def vet(command: Command) -> None:
    """Check the archive, and the destination if the task names one."""
    destination = command.parameters["destination"]
    words = [command.parameters["archive"], *([destination] if destination else []), *command.options("vet")]
    command.finish(command.run("vet", *words), changed=False)


def push(command: Command) -> None:
    """Push the archive, or in check mode say what would be pushed."""
    parameters = command.parameters
    words = [parameters["archive"], parameters["destination"], *command.options("push")]
    if parameters["mirror_config"]:
        words += ["--mirror-config", parameters["mirror_config"], "--spec", _spec_file(command, "images")]
    if command.module.check_mode:
        words.append("--dry-run")
    elif parameters["receipt"]:
        words += ["--receipt", parameters["receipt"]]
    pushed = command.run("push", *words)
    before, after = {}, {}
    for tag in pushed.get("tags", []):
        before[tag["reference"]] = tag["previous_digest"] or "none"
        after[tag["reference"]] = pushed["digest"]
    for outcome in pushed.get("outcomes", []):
        if not outcome["error"]:
            after[outcome["destination"]] = outcome["digest"]
    written = bool((pushed.get("mirror_config") or {}).get("changed"))
    command.finish(pushed, bool(pushed.get("changed")) or written, before, after)


def _spec_file(command: Command, name: str) -> str:
    """Write the images that an option of the task names into a file that Ansible removes."""
    path = os.path.join(command.module.tmpdir, name + ".json")
    with open(path, "w") as file:
        json.dump({"images": command.parameters[name]}, file)
    return path


def _digests(result: dict) -> dict:
    return {image["name"] or "image": image["digest"] for image in result.get("images", [])}


def _content(result: dict) -> list:
    """Return what two archives of the same bytes have in common, whether they were read or planned."""
    images = [(image["name"], image["digest"], image["beside"]) for image in result["images"]]
    # Which layers changes are made from is known only after they are made.
    left_out = sorted(layer["digest"] for layer in result["layers"] if layer["where"] == "omitted")
    return [images, sorted(result["bases"]), left_out]


def _was_sent(command: Command, there: dict, planned: dict) -> bool:
    """Return whether the archive would only lose what an earlier run of the task has noted as sent."""
    sent = command.parameters["sent_ledger"]
    bases = [os.path.abspath(each[5:]) for each in command.parameters["base"] if each.startswith("sent:")]
    if not sent or os.path.abspath(sent) not in bases:
        return False
    nothing_new = all(image["change"] == "same" for image in planned["images"] if not image["beside"])
    (images, _, left_out), (wanted, _, leavable) = _content(there), _content(planned)
    return nothing_new and images == wanted and set(left_out) <= set(leavable)


def argument_spec() -> dict:
    """Return the options of the module, as DOCUMENTATION describes them."""
    text, path, truth, number = {"type": "str"}, {"type": "path"}, {"type": "bool"}, {"type": "float"}
    texts, dicts = {"type": "list", "elements": "str", "default": []}, {"type": "list", "elements": "dict"}
    off, on = {"type": "bool", "default": False}, {"type": "bool", "default": True}
    return {
        "action": {"type": "str", "required": True, "choices": ["pull", "vet", "push", "bundle"]},
        "archive": {"type": "path", "required": True},
        "final": text,
        "images": dicts,
        "base": texts,
        "base_images": dicts,
        "for_site": {"type": "list", "elements": "path", "default": []},
        "sent_ledger": path,
        "destination": text,
        "all": off,
        "platform": text,
        "platforms": texts,
        "delta": off,
        "delta_effort": {"type": "str", "choices": ["fast", "default", "best"]},
        "delta_min_saving": number,
        "delta_memory": text,
        "cache_dir": path,
        "cache_max_size": text,
        "signatures": {"type": "str", "choices": ["required", "if-present", "no"]},
        "with_signatures": off,
        "remove_signatures": off,
        "referrers": texts,
        "with_from": {"type": "list", "elements": "path", "default": []},
        "anonymous": off,
        "additional_tags": texts,
        "overwrite_tag": on,
        "only": texts,
        "map": {"type": "dict", "default": {}},
        "expect_sha256": texts,
        "deep": off,
        "verify": {"type": "str", "choices": ["manifests", "layers"]},
        "receipt": path,
        "mirror_config": path,
        "as_delta": off,
        "fail_fast": off,
        "jobs": {"type": "int"},
        "retry_times": {"type": "int", "default": 0},
        "retry_delay": {"type": "float", "default": 1.0},
        "timeout": {"type": "float", "default": 600.0},
        "preserve_digests": on,
        "authfile": path,
        **{side + "_creds": {"type": "str", "no_log": True} for side in _SIDES},
        **{side + "_authfile": path for side in _SIDES},
        **{side + "_tls_verify": truth for side in _SIDES},
        **{side + "_cert_dir": path for side in _SIDES},
        "base_daemon_host": text,
        "dest_daemon_host": text,
        "policy": path,
        "insecure_policy": off,
        "tmpdir": path,
        "skopeo": {"type": "str", "default": "skopeo"},
        "executable": {"type": "str", "default": "skopeo-incremental"},
        "extra_args": texts,
    }


def main() -> None:
    """Do what the task says."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_if=[
            ("action", "pull", ("final",)),
            ("action", "bundle", ("images",)),
            ("action", "push", ("destination",)),
        ],
        required_by={"mirror_config": ("images",)},
        supports_check_mode=True,
    )
    command = Command(module)
    if module.params["action"] == "pull":
        pull(command, [module.params["final"]])
    else:
        {"bundle": bundle, "vet": vet, "push": push}[module.params["action"]](command)


if __name__ == "__main__":
    main()
