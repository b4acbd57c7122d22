"""Asking a destination which layers it has, with skopeo alone, and without writing anything there.

skopeo has no command for "does this blob exist". But a copy asks for every layer by HEAD before it sends one,
and stops before it writes where a blob is absent from its source: so a layout whose manifest lists the layers
in question, and whose blobs are all absent, asks and never writes. With `--debug` it says of each layer what the
answer was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import RegistryError
from ..oci.layout import Layout, canonical_json, index_document, index_entry
from ..oci.manifest import OCI_MANIFEST, digest_of
from .messages import explain, fatal_message
from .options import preserve_flags
from .runs import Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oci.manifest import Descriptor
    from ..oci.reference import Reference
    from .access import Access
    from .runner import Skopeo

# A config that is nowhere: it is what stops a probe whose layers are all there.
_ABSENT = digest_of(b"the config of a probe, which is absent by design")
_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
_LAYERS_EACH = 10
_PROBES = 6
_SECONDS = 120
_SECONDS_EACH = 5

_ASKED = re.compile(r'level=debug msg="Checking if we can reuse blob (sha256:[0-9a-f]{64})[:" ]')
_IN_STORAGE = re.compile(r'level=debug msg="Skipping blob (sha256:[0-9a-f]{64}) \(already present\)')
_ANSWERS = {'level=debug msg="... already exists"': True, 'level=debug msg="... not present"': False}


def present_layers(
    skopeo: Skopeo, destination: Reference, access: Access, layers: Sequence[Descriptor]
) -> frozenset[str]:
    """Ask a registry's repository which of `layers` it has.

    Nothing is written there, nothing is mounted. That a layer is present does not mean that an upload will
    be allowed.

    Args:
        skopeo: an entered `Skopeo`.
        destination: the repository.
        access: how its registry is reached.
        layers: what to ask for, each once.

    Returns:
        The digests of those that are there. For all others the registry said that they are not.

    Raises:
        RegistryError: for at least one layer the answer was neither yes nor no.
    """
    if not layers:
        return frozenset()
    groups = _groups(layers)

    def ask() -> frozenset[str]:
        present: set[str] = set()
        calls = _calls(skopeo, destination, access, groups)
        doing = f"cannot tell which layers {destination} has"
        for group, (_, stderr) in zip(groups, skopeo.probes(calls, doing), strict=True):
            present |= _read_answers([layer.digest for layer in group], stderr, doing)
        return frozenset(present)

    return skopeo.retries.run(ask)


def mount_layers(
    skopeo: Skopeo, destination: Reference, access: Access, layers: Sequence[Descriptor]
) -> frozenset[str]:
    """Let a registry mount in one repository what it has in another, as far as the user's skopeo knows.

    Args:
        skopeo: an entered `Skopeo`.
        destination: the repository.
        access: how its registry is reached.
        layers: what to mount, each once.

    Returns:
        The digests of the layers that are there then.

    Raises:
        RegistryError: for at least one layer the answer was neither yes nor no.
    """
    # The same question, with the user's own cache of what is where: skopeo then mounts by itself what it can.
    doing = f"cannot mount layers in {destination}"
    skopeo.probes(_calls(skopeo, destination, access, _groups(layers)), doing, own_cache=False)
    return present_layers(skopeo, destination, access, layers)


def _groups(layers: Sequence[Descriptor]) -> list[Sequence[Descriptor]]:
    count = min(_PROBES, -(-len(layers) // _LAYERS_EACH))
    return [layers[start::count] for start in range(count)]


def _calls(
    skopeo: Skopeo, destination: Reference, access: Access, groups: Sequence[Sequence[Descriptor]]
) -> list[Question]:
    target = str(destination.tagged(destination.tag or "probe"))
    calls = []
    for group in groups:
        layout = _layout(skopeo, group)
        seconds = _limit(skopeo.timeout, len(group))
        arguments = [
            "--debug",
            f"--command-timeout={seconds}s",
            f"--policy={private_policy(layout)}",
            "copy",
            *access.flags(destination, skopeo.auth_files, "dest-"),
            f"oci:{layout.folder.name}",
            target,
        ]
        calls.append(Question(arguments, seconds))
    return calls


def present_in_storage(
    skopeo: Skopeo, destination: Reference, layers: Sequence[Descriptor], *, preserve: bool
) -> frozenset[str]:
    """Ask a local store (`containers-storage:`) which of `layers` it has.

    skopeo builds layers one on top of the other: with one at the bottom that is nowhere, it looks for all the
    others and builds none.

    Args:
        skopeo: an entered `Skopeo`.
        destination: an image there, which need not exist.
        layers: what to ask for, each once.
        preserve: whether the push will demand that digests stay as they are.

    Returns:
        The digests of those that are there.

    Raises:
        IncrementalError: the store can't be asked.
    """
    if not layers:
        return frozenset()
    # The store wants to read the config first.
    bottom = _descriptor("layer.v1.tar+gzip", _ABSENT, 2)
    layout = _layout(skopeo, layers, bottom, _CONFIG)
    call = ["--debug", f"--policy={private_policy(layout)}", "copy", *preserve_flags(preserve)]
    call += [f"oci:{layout.folder.name}", str(destination)]
    doing = f"cannot tell which layers {destination} has"
    ((_, stderr),) = skopeo.probes([Question(call, skopeo.timeout)], doing, own_cache=False)
    if not fatal_message(stderr).startswith(f"reading blob {_ABSENT}: open"):
        raise explain(stderr, doing, "--dest")
    return frozenset(_IN_STORAGE.findall(stderr)) & {layer.digest for layer in layers}


def _limit(timeout: float | None, layers: int) -> float:
    """Return how many seconds a probe may take: one answer may take the timeout, and a login comes before all."""
    enough = _SECONDS + _SECONDS_EACH * layers
    return min(enough, timeout * (layers + 1)) if timeout else enough


def private_policy(layout: Layout) -> str:
    """Write a signature policy that accepts one layout of ours and nothing else; return its file's path.

    The system's policy may reject everything that is not in a registry; what stands in our private folder
    was verified before.
    """
    policy = {
        "default": [{"type": "reject"}],
        "transports": {"oci": {str(layout.folder.resolve()): [{"type": "insecureAcceptAnything"}]}},
    }
    path = layout.folder / "policy.json"
    path.write_bytes(canonical_json(policy))
    return str(path)


def _layout(
    skopeo: Skopeo,
    layers: Sequence[Descriptor],
    bottom: dict[str, str | int] | None = None,
    config_blob: bytes | None = None,
) -> Layout:
    descriptors = [bottom] if bottom else []
    descriptors += [_descriptor("layer.v1.tar+gzip", layer.digest, layer.size) for layer in layers]
    config = _descriptor("config.v1+json", _ABSENT, 2)
    if config_blob is not None:
        config = _descriptor("config.v1+json", digest_of(config_blob), len(config_blob))
    manifest = canonical_json(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": descriptors}
    )
    index = index_document([index_entry(OCI_MANIFEST, digest_of(manifest), len(manifest))])
    layout = Layout.create(skopeo.new_folder("probe"), index)
    layout.put(manifest)
    if config_blob is not None:
        layout.put(config_blob)
    return layout


def _descriptor(kind: str, digest: str, size: int) -> dict[str, str | int]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": size}


def _read_answers(digests: Sequence[str], stderr: str, doing: str) -> set[str]:
    answers: dict[str, bool] = {}
    asked = None
    for line in stderr.splitlines():
        if found := _ASKED.search(line):
            asked = found[1]
        for text, present in _ANSWERS.items():
            if asked and line.endswith(text):
                answers[asked] = present
                asked = None
    missing = [digest for digest in digests if not answers.get(digest, True)]
    # The answers count only where skopeo stopped for the reason that they give.
    expected = f"reading blob {missing[0]}: open" if missing else f"reading config blob {_ABSENT}: open"
    if answers.keys() != set(digests) or not fatal_message(stderr).startswith(expected):
        error = explain(stderr, doing, "--dest")
        if isinstance(error, RegistryError):
            raise error
        raise RegistryError(error.message, error.next_step)
    return {digest for digest, present in answers.items() if present}
