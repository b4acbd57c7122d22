"""Asking a destination which layers it has, with skopeo alone, and without writing anything there.

skopeo has no command for "does this blob exist". But a copy asks for every layer by HEAD before it sends one,
and stops before it writes where a blob is absent from its source: so a layout whose manifest lists the layers
in question, and whose blobs are all absent, asks and never writes. With `--debug` it says of each layer what the
answer was.

One of these layers is one that can't exist: a web server that says yes to everything has that one, too.

skopeo asks for one layer after the other, and takes ten round trips before the first. Over a slow link many runs
that ask for few layers each are done first; on a fast one starting them takes longer than that spares.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from ..errors import RegistryError
from ..oci.layout import Layout, canonical_json, index_document, index_entry
from ..oci.manifest import OCI_MANIFEST, Descriptor, digest_of
from .messages import explain, fatal_message, no_registry
from .options import preserve_flags
from .runs import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..oci.reference import Reference
    from .access import Access
    from .runner import Skopeo

# A blob that is nowhere: it stops a probe in time.
_ABSENT = digest_of(b"the config of a probe, which is absent by design")
_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
_PROBES = 16
_NEAR_EACH = 10
_NEAR_PROBES = 6
_SECONDS = 120
_SECONDS_EACH = 5

_ASKED = re.compile(r'level=debug msg="Checking if we can reuse blob (sha256:[0-9a-f]{64})[:" ]')
_IN_STORAGE = re.compile(r'level=debug msg="Skipping blob (sha256:[0-9a-f]{64}) \(already present\)')
_ABOUT = re.compile(
    r"(trying to reuse blob|checking whether a blob) (?P<digest>sha256:\w+) (at destination|exists in \S+): "
)
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
    return skopeo.steadily(lambda: frozenset(_ask(skopeo, destination, access, layers)))


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
    questions = (probe.question for probe in _probes(skopeo, destination, access, layers))
    skopeo.probes(questions, f"cannot mount layers in {destination}", memory_cache=False)
    return present_layers(skopeo, destination, access, layers)


def sending(skopeo: Skopeo, destination: Reference, access: Access, blob: bytes) -> Question:
    """Return the run that sends a blob by itself: a copy of what has it for a layer, but no config.

    Args:
        skopeo: an entered `Skopeo`.
        destination: the repository.
        access: how its registry is reached.
        blob: the bytes.
    """
    layout = _layout(skopeo, [Descriptor("", digest_of(blob), len(blob))])
    layout.put(blob)
    return _question(skopeo, destination, access, layout, 1)


def _ask(skopeo: Skopeo, destination: Reference, access: Access, layers: Sequence[Descriptor]) -> set[str]:
    probes: list[_Probe] = []

    def questions() -> Iterator[Question]:
        for probe in _probes(skopeo, destination, access, layers):
            probes.append(probe)
            yield probe.question

    present: set[str] = set()
    unclear: list[Descriptor] = []
    again = False
    doing = _doing(destination)
    results = skopeo.probes(questions(), doing)
    for probe, (_, stderr) in zip(probes, results, strict=True):
        answers = _clear_answers(skopeo, destination, access, probe, stderr)
        present.update(digest for digest, is_there in answers.items() if is_there)
        unclear += [layer for layer in probe.layers if layer.digest not in answers]
        again = again or answers.keys() != probe.digests
    if again:
        # skopeo said that a layer is missing, and not why it got no answer for another: it says so of that alone.
        probe = _probe(skopeo, destination, access, unclear)
        ((_, stderr),) = skopeo.probes([probe.question], doing)
        answers = _clear_answers(skopeo, destination, access, probe, stderr)
        if answers.keys() != probe.digests:
            raise _unknown(skopeo, destination, access, probe, stderr)
        present.update(digest for digest, is_there in answers.items() if is_there)
    return present


def _clear_answers(
    skopeo: Skopeo, destination: Reference, access: Access, probe: _Probe, stderr: str
) -> dict[str, bool]:
    """Return the answers of a probe that ended as it should."""
    answers = probe.answers(stderr)
    if _says_yes(probe, answers) or not probe.stopped_in_time(stderr, answers):
        raise _unknown(skopeo, destination, access, probe, stderr)
    return answers


def _unknown(skopeo: Skopeo, destination: Reference, access: Access, probe: _Probe, stderr: str) -> RegistryError:
    """Return the error for an answer that is neither yes nor no."""
    if _says_yes(probe, probe.answers(stderr)):
        return no_registry(destination.registry, "answers yes to everything")
    error = explain(stderr, _doing(destination), "push", (*probe.question.arguments, str(skopeo.folder)), access)
    if not isinstance(error, RegistryError):
        error = RegistryError(error.message, error.next_step)
    asked = {layer.digest for layer in probe.layers}
    # Of the blob that can't exist nobody has heard.
    error.message = _ABOUT.sub(lambda found: found[0] if found["digest"] in asked else "", error.message)
    error.args = (error.message,)
    return error


def _says_yes(probe: _Probe, answers: Mapping[str, bool]) -> bool:
    return probe.impossible is not None and answers.get(probe.impossible) is True


def _doing(destination: Reference) -> str:
    return f"cannot tell which layers {destination} has"


def _probes(
    skopeo: Skopeo, destination: Reference, access: Access, layers: Sequence[Descriptor]
) -> Iterator[_Probe]:
    """Make the probes that ask for layers, each when it is its turn: the first answer tells how far away it is."""
    # The first run also asks for what can't exist: a server that says yes to everything shows in one answer.
    rest, impossible = layers, 1
    parts = _PROBES
    while rest or impossible:
        left = len(rest) + impossible
        if skopeo.is_near:
            parts = min(parts, _NEAR_PROBES, _share(left, _NEAR_EACH))
        # The first ones may ask for one layer more: the last ones start later.
        each = _share(left, parts)
        group, rest = rest[: each - impossible], rest[each - impossible :]
        yield _probe(skopeo, destination, access, group, with_impossible=bool(impossible))
        impossible = 0
        parts = max(1, parts - 1)


def _share(count: int, parts: int) -> int:
    """Return how many each of so many parts has at most."""
    return -(-count // parts)


class _Probe(NamedTuple):
    """One run of skopeo that asks.

    Attributes:
        layers: what it asks for.
        impossible: the digest of the last thing that it asks for, which can't exist; None where it does not.
        question: the run itself.
    """

    layers: Sequence[Descriptor]
    impossible: str | None
    question: Question

    @property
    def digests(self) -> set[str]:
        """All that it asks for."""
        return set(self._order)

    @property
    def _order(self) -> tuple[str, ...]:
        further = (self.impossible,) if self.impossible else ()
        return (*(layer.digest for layer in self.layers), *further)

    def answers(self, stderr: str) -> dict[str, bool]:
        """Read of each blob whether it is there; nothing of one for which there was no clear answer."""
        answers: dict[str, bool] = {}
        asked = None
        for line in stderr.splitlines():
            if found := _ASKED.search(line):
                asked = found[1]
            for text, present in _ANSWERS.items():
                if asked and line.endswith(text):
                    answers[asked] = present
                    asked = None
        return answers

    def stopped_in_time(self, stderr: str, answers: Mapping[str, bool]) -> bool:
        """Say whether skopeo ended because the first blob is absent that is not there: only then answers count."""
        missing = next((digest for digest in self._order if answers.get(digest) is False), None)
        blob = f"blob {missing}" if missing else f"config blob {_ABSENT}"
        return fatal_message(stderr).startswith(f"reading {blob}: open")


def _probe(
    skopeo: Skopeo,
    destination: Reference,
    access: Access,
    layers: Sequence[Descriptor],
    *,
    with_impossible: bool = True,
) -> _Probe:
    # Nobody can have it: it is made anew each time, and is the digest of nothing that anybody knows.
    impossible = [Descriptor("", f"sha256:{secrets.token_hex(32)}", 2)] if with_impossible else []
    layout = _layout(skopeo, [*layers, *impossible])
    question = _question(skopeo, destination, access, layout, len(layers) + len(impossible), "--debug")
    return _Probe(layers, impossible[0].digest if impossible else None, question)


def _question(
    skopeo: Skopeo, destination: Reference, access: Access, layout: Layout, layers: int, *flags: str
) -> Question:
    """Return the run that copies a layout whose config is absent."""
    seconds = _limit(skopeo.timeout, layers)
    arguments = [
        *flags,
        f"--command-timeout={seconds}s",
        f"--policy={private_policy(layout)}",
        "copy",
        # What is sent, if anything, must not be compressed.
        *preserve_flags(True),
        *access.flags(destination, skopeo.auth_files, "dest-"),
        f"oci:{layout.folder.name}",
        str(destination.tagged(destination.tag or "probe")),
    ]
    return Question(arguments, seconds)


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
    doing = _doing(destination)
    ((_, stderr),) = skopeo.probes([Question(call, skopeo.timeout)], doing, memory_cache=False)
    if not fatal_message(stderr).startswith(f"reading blob {_ABSENT}: open"):
        raise explain(stderr, doing, "push", (*call, str(skopeo.folder)))
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
