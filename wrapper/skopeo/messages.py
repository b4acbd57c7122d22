"""What skopeo's messages mean: the table from its words to our errors and next steps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import (
    FREE_SPACE,
    ContentError,
    DiskFullError,
    HostError,
    LinkError,
    NotFoundError,
    RegistryError,
    SignaturesError,
    UsageError,
)

if TYPE_CHECKING:
    from ..errors import IncrementalError

_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_LONGEST = 600

# The first line that fits counts. Seen with skopeo 1.9.3 and 1.18 against docker-registry 2.8.2 and others.
# In a next step, {flag} stands for the start of this side's flags, such as --dest.
_TABLE: tuple[tuple[str, type[IncrementalError], str], ...] = (
    (
        r"no space left on device|disk quota exceeded",
        DiskFullError,
        FREE_SPACE,
    ),
    (
        r"unknown flag|flag provided but not defined",
        HostError,
        "this skopeo is too old: install 1.9 or newer",
    ),
    (r"does not resolve to an image ID", NotFoundError, "check the name: podman images lists what there is"),
    (
        r"invalid reference format|parsing named reference|path name is not absolute|neither a tag nor a digest"
        r"|failed to GetDriver graph",
        UsageError,
        "check how the image is called",
    ),
    (
        r"parsing image name \S*containers-storage:.*(no such file|permission denied|read-only|not supported)",
        HostError,
        "check that this user may use the local store: podman images must work",
    ),
    (
        r"io: read/write on closed pipe|Cannot connect to the Docker daemon",
        RegistryError,
        "check that Docker runs there, or say where it listens with --dest-daemon-host",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        RegistryError,
        "it speaks plain HTTP: allow that with {flag}-tls-verify=false, or in registries.conf",
    ),
    (
        r"x509:|certificate|tls: ",
        RegistryError,
        "give the registry's CA with {flag}-cert-dir DIR, or put it in /etc/containers/certs.d",
    ),
    (
        r"Source image rejected|signature was required|rejected by policy",
        RegistryError,
        "the signature policy forbids this image: see policy.json, or give another with --policy",
    ),
    (
        r"Can not copy signatures|Pushing signatures",
        SignaturesError,
        "an archive can't take this image's signatures along: leave them behind with --remove-signatures",
    ),
    (
        r"Digest did not match|does not match provided manifest digest|Corrupted blob"
        r"|exceeded maximum allowed size",
        ContentError,
        "what came is not what was asked for: try again, and tell who runs the registry",
    ),
    (
        r"(HTTP status:|StatusCode:|status code from registry|destination repository \S+) 5\d\d",
        LinkError,
        "the registry has an error of its own: try again, with --retry-times",
    ),
    (
        r"unauthorized|authentication required|unable to retrieve auth token|invalid username/password"
        r"|StatusCode: 401|401 \(Unauthorized\)|no basic auth credentials",
        RegistryError,
        "log in: give {flag}-creds or {flag}-authfile, or run skopeo login",
    ),
    (
        r"manifest unknown|name unknown|repository name not known|404 \(Not Found\)|StatusCode: 404",
        NotFoundError,
        "check the name and the tag",
    ),
    (
        r"denied|403 \(Forbidden\)|StatusCode: 403",
        RegistryError,
        "this login may not do that: use another with {flag}-creds or {flag}-authfile",
    ),
    (
        r"no such host|server misbehaving",
        RegistryError,
        "check the host's name, and that this machine can resolve it",
    ),
    (r"connection refused", LinkError, "nothing listens there: check host and port"),
    (r"is blocked in", RegistryError, "registries.conf forbids this registry on this machine"),
    (r"StatusCode: 405|405 \(Method Not Allowed\)", RegistryError, "the registry is read-only"),
    (
        r"too many requests|toomanyrequests|StatusCode: 429|429 \(Too Many",
        RegistryError,
        "the registry limits requests: try again later",
    ),
    (
        r"i/o timeout|deadline exceeded|TLS handshake timeout|network is unreachable|no route to host"
        r"|connection timed out|Client\.Timeout",
        LinkError,
        "check the network and the proxy settings, then try again, with --retry-times",
    ),
    (
        r"EOF|connection reset|transport connection broken|broken pipe|connection lost|closed network connection"
        r"|stream error|GOAWAY",
        LinkError,
        "the connection was cut: try again, with --retry-times",
    ),
    (r"permission denied", HostError, "check who may read and write that file"),
)


def fatal_message(stderr: str) -> str:
    """Return the last thing that skopeo said before it gave up, on one line."""
    fatal = _FATAL.findall(stderr)
    if fatal:
        text = re.sub(r"\\(.)", lambda match: " " if match[1] in "nt" else match[1], fatal[-1])
    else:
        lines = [line for line in stderr.splitlines() if line.strip()]
        # A usage error is followed by advice: the line that says "Error" is the one that counts.
        errors = [line for line in lines if line.startswith("Error")]
        text = (errors or lines or ["it said nothing"])[-1]
    text = text.strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def explain(stderr: str, doing: str, flag: str) -> IncrementalError:
    """Turn what skopeo said into an error.

    Args:
        stderr: all that it printed there.
        doing: what it was to do, such as "cannot read docker://host/app:2".
        flag: the start of this side's flags, such as `--dest`.

    Returns:
        The error, with skopeo's own words in its message.
    """
    message = fatal_message(stderr)
    for pattern, kind, step in _TABLE:
        if re.search(pattern, message):
            return kind(f"{doing}: {message}", step.format(flag=flag))
    return RegistryError(f"{doing}: {message}", "run again with --debug to see what skopeo was asked")
