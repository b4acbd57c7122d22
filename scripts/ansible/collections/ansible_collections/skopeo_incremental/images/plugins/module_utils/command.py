# Copyright: The skopeo-incremental authors
# SPDX-License-Identifier: Apache-2.0
"""The command skopeo-incremental: which options it takes from a task, how it is run, and what it answers."""

from __future__ import annotations

import json

MEANINGS = {
    0: "done",
    1: "a bug in skopeo-incremental",
    2: "the task asks for something that is not possible",
    3: "layers are missing at the destination",
    4: "some content does not match its digest or schema",
    5: "a registry or skopeo failed",
    6: "this machine lacks something",
    130: "interrupted",
    143: "terminated",
}
"""What the exit codes of the command mean."""

PROGRESS = "plain"
"""How the command reports progress: line by line, because nobody watches a terminal.

It goes into the environment, as `SKOPEO_INCREMENTAL_PULL_PROGRESS` and so on. There, a command without this option
ignores it.
"""

SIDES = {"pull": ("base", "final"), "vet": ("base", "dest", "src"), "push": ("base", "dest", "src")}
"""The sides that a command reaches. Each has a login, an auth file, certificates, and TLS on or off."""

_SHARED = (
    "authfile",
    "base",
    "base_daemon_host",
    "delta_memory",
    "insecure_policy",
    "jobs",
    "policy",
    "preserve_digests",
    "retry_delay",
    "retry_times",
    "skopeo",
    "timeout",
    "tmpdir",
)
_ARCHIVED = ("expect_sha256", "map", "only")

OPTIONS = {
    "pull": (
        *_SHARED,
        "all",
        "anonymous",
        "cache_dir",
        "cache_max_size",
        "delta",
        "delta_effort",
        "delta_min_saving",
        "for_site",
        "platform",
        "platforms",
        "referrers",
        "remove_signatures",
        "sent_ledger",
        "signatures",
        "with_from",
        "with_signatures",
    ),
    "vet": (*_SHARED, *_ARCHIVED, "deep"),
    "push": (
        *_SHARED,
        *_ARCHIVED,
        "additional_tags",
        "as_delta",
        "dest_daemon_host",
        "fail_fast",
        "overwrite_tag",
        "verify",
    ),
}
"""The options of a task that become options of each command."""

LOCAL = ("delta_memory", "tmpdir")
"""The options that matter when `vet` checks an archive alone, without any network."""

# Where the command's option is not called as the task's.
_FLAGS = {"additional_tags": "--additional-tag", "platforms": "--platform", "referrers": "--with"}
# Options that are on until the command is told otherwise.
_OFF = {"overwrite_tag": "--no-overwrite-tag", "preserve_digests": "--no-preserve-digests"}


def arguments(parameters: dict, names: tuple) -> list:
    """Return options of a task as options of the command.

    Args:
        parameters: what the task says.
        names: which of its options are wanted.

    Raises:
        ValueError: a platform is malformed.
    """
    words = []
    for name in names:
        value, flag = parameters[name], _FLAGS.get(name, _flag(name))
        if value is None:
            continue
        if name == "platform":
            words += _platform(value)
        elif name in _OFF:
            words += [] if value else [_OFF[name]]
        elif isinstance(value, bool):
            words += [flag] if value else []
        elif isinstance(value, dict):
            words += [word for old, new in value.items() for word in (flag, f"{old}={new}")]
        elif isinstance(value, list):
            words += [word for each in value for word in (flag, each)]
        else:
            words += [flag, str(value)]
    return words


def side_arguments(parameters: dict, command: str) -> list:
    """Return how a command reaches its registries. Logins are no arguments: everybody could read them."""
    words = []
    for side in SIDES[command]:
        for name in ("authfile", "cert_dir"):
            value = parameters[f"{side}_{name}"]
            words += [_flag(f"{side}_{name}"), value] if value else []
        verify = parameters[side + "_tls_verify"]
        words += [] if verify is None else [_flag(side + "_tls_verify"), str(verify).lower()]
    return words


def missing_layers(result: dict) -> list:
    """Return the layers that are missing, each once; of a bundle those of all its images."""
    found = {}
    for part in [result, *result.get("outcomes", []), *result.get("failures", [])]:
        for layer in part.get("missing", []):
            found.setdefault(layer["digest"], layer)
    return list(found.values())


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _platform(value: str) -> list:
    parts = value.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"the platform {value!r} is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")
    words = ["--override-os", parts[0], "--override-arch", parts[1]]
    return [*words, "--override-variant", parts[2]] if parts[2:] else words


class Command:
    """The command as one task runs it.

    Attributes:
        module: the Ansible module.
        parameters: what the task says.
        log: what the command has said so far, line by line.
    """

    def __init__(self, module) -> None:
        """Find the command.

        Args:
            module: an `AnsibleModule`; it fails where the command is not installed.
        """
        self.module = module
        self.parameters = module.params
        self.executable = module.get_bin_path(module.params["executable"], required=True)
        self.log = []

    def options(self, command: str, *more: str) -> list:
        """Return all options of a command that the task gives, the ones by which it reaches registries among them.

        Args:
            command: `pull`, `vet` or `push`.
            more: further options of the task.
        """
        try:
            given = arguments(self.parameters, (*OPTIONS[command], *more))
        except ValueError as problem:
            error = {"code": 2, "message": str(problem), "next": "write it as linux/arm64 or linux/arm/v7"}
            self.finish({"code": 2, "error": error}, changed=False)
        return given + side_arguments(self.parameters, command) + self.parameters["extra_args"]

    def run(self, command: str, *words: str) -> dict:
        """Run the command once.

        Args:
            command: `pull`, `vet`, `push` or `inspect`.
            words: its arguments and options.

        Returns:
            What it printed as JSON, and its exit code as `code`.
        """
        prefix = f"SKOPEO_INCREMENTAL_{command.upper()}_"
        environment = {prefix + "PROGRESS": PROGRESS}
        for side in SIDES.get(command, ()):
            if self.parameters[side + "_creds"]:
                environment[f"{prefix}{side.upper()}_CREDS"] = self.parameters[side + "_creds"]
        code, out, err = self.module.run_command(
            [self.executable, command, *words, "--json"], environ_update=environment
        )
        self.log += err.splitlines()
        try:
            result = json.loads(out)
        except ValueError:
            message = f"{self.executable} printed no JSON: {(err or out).strip()}"
            self.finish({"code": code or 1, "error": {"message": message}}, changed=False)
        result["code"] = code
        return result

    def finish(self, result: dict, changed: bool, before: dict | None = None, after: dict | None = None) -> None:
        """Tell Ansible how it went, and end.

        Args:
            result: what the command printed last, and its exit code as `code`.
            changed: whether anything was written, or in check mode would be.
            before: digests by name, as they were.
            after: digests by name, as they are now.
        """
        code = result.pop("code")
        told = {
            "code": code,
            "meaning": MEANINGS.get(code, "unknown"),
            "missing": missing_layers(result),
            "result": result,
            "log": self.log,
        }
        if before != after:
            told["diff"] = {"before": _lines(before), "after": _lines(after)}
        for warning in [*result.get("warnings", []), *(result.get("mirror_config") or {}).get("warnings", [])]:
            self.module.warn(warning)
        if code == 0:
            self.module.exit_json(changed=changed, **told)
        error = result.get("error", {})
        told.update((name, error[name]) for name in ("kind", "retryable") if name in error)
        message = error.get("message", "the command failed")
        if told["missing"]:
            message += ": " + ", ".join(layer["digest"] for layer in told["missing"])
        done = bool(result.get("changed")) and not self.module.check_mode
        self.module.fail_json(msg=message, next=error.get("next", ""), changed=done, **told)


def _lines(digests: dict | None) -> str:
    return "".join(f"{name} {digest}\n" for name, digest in sorted((digests or {}).items()))
