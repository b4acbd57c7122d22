"""From the library's words to those of the command line.

The library names its own arguments, in backquotes: "choose another folder with `temp_dir`". Here the options that
set them take their places.
"""

from __future__ import annotations

import re

_SIDES = {"base": "base", "final": "final", "push": "dest", "archive": "src"}

OPTIONS = {
    "additional_tags": "--additional-tag",
    "all_architectures": "--all",
    "as_delta": "--as-delta",
    "base": "--base",
    "deep": "--deep",
    "deltas.enabled": "--delta",
    "deltas.memory": "--delta-memory",
    "fail_fast": "--fail-fast",
    "jobs=1": "--jobs 1",
    "link.retry_times": "--retry-times",
    "link.timeout": "--timeout",
    "mirror_config": "--mirror-config",
    "names": "--map",
    "only": "--only",
    "output": "--output",
    "overwrite_tag=False": "--no-overwrite-tag",
    "platforms": "--platform",
    "platform": "--override-os, --override-arch and --override-variant",
    "preserve_digests=False": "--no-preserve-digests",
    "receipt": "--receipt",
    "registry": "--from",
    "sent_ledger": "--sent-ledger",
    "signatures.include": "--signatures (--with-signatures)",
    "signatures.referrers": "--with",
    "signatures.referrers_from": "--with-from",
    "signatures.remove": "--remove-signatures",
    "skopeo": "--skopeo",
    "spec": "--spec",
    "temp_dir": "--tmpdir",
    "trace": "--debug",
    "verify": "--verify",
}
"""The options that set arguments of the library which belong to no side."""

SIDE_OPTIONS = {
    "authfile": "authfile",
    "cert_dir": "cert-dir",
    "creds": "creds",
    "daemon_host": "daemon-host",
    "tls_verify=False": "tls-verify=false",
}
"""The options of each side, as they are called after its name; `final_auth.creds` is --final-creds."""

ACCESS_OPTIONS = {"insecure_policy": "--insecure-policy", "policy": "--policy"}
"""Options that are the same for all sides."""

_ARGUMENT = re.compile(r"`(?:(?P<side>[a-z]+)_auth\.)?(?P<name>[a-z_.]+(?:=\w+)?)`")


def as_options(text: str, *, one_side: bool = False) -> str:
    """Return a text of the library with options in place of its arguments.

    Args:
        text: the text.
        one_side: whether the command has one side alone, whose options have no side's name.
    """

    def option(found: re.Match[str]) -> str:
        side, name = found["side"], found["name"]
        if side is None:
            return OPTIONS.get(name, found[0])
        if name in ACCESS_OPTIONS:
            return ACCESS_OPTIONS[name]
        if side not in _SIDES or name not in SIDE_OPTIONS:
            return found[0]
        return f"--{SIDE_OPTIONS[name]}" if one_side else f"--{_SIDES[side]}-{SIDE_OPTIONS[name]}"

    return _ARGUMENT.sub(option, text)
