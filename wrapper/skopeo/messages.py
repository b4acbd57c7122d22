"""What skopeo's messages mean: the table from its words to our errors and next steps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import (
    FREE_SPACE,
    BusyError,
    ContentError,
    DeniedError,
    DiskFullError,
    HiddenError,
    HostError,
    LinkError,
    NoRepositoryError,
    NotFoundError,
    RegistryError,
    SignaturesError,
    UsageError,
)
from ..oci.reference import DOCKER_HUB
from .reason import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import IncrementalError

_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_LONGEST = 600
_RETRY_AFTER = re.compile(r"retry[- ](?:after|in):? *(\d+(?:\.\d+)?)(ns|µs|us|ms|m|h)?", re.IGNORECASE)
_UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "m": 60.0, "h": 3600.0}
_URL = re.compile(r"\bhttps?://([^/\s\"?#]+)")

_UPLOADING = r"(initiating layer upload|uploading layer|uploading manifest|writing blob|writing manifest).*"
_ASKING = r"(trying to reuse blob|checking whether a blob).*"
_REFUSED = r"(unauthorized|authentication required|denied|StatusCode: 40[13])"

# The first line that fits the message's reason counts; names are taken out before.
# Seen with skopeo 1.9.3 and 1.18 against docker-registry 2.8.2 and others.
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
        r"StatusCode: 413|413 \(|[Rr]equest [Ee]ntity [Tt]oo [Ll]arge",
        RegistryError,
        "what stands before the registry limits the size of uploads: have it raised (nginx: client_max_body_size)",
    ),
    (
        r"pinging container registry.*(404 \(|StatusCode: 404)",
        RegistryError,
        "what answers there is no registry: check host and port",
    ),
    (
        r"(HTTP status:|StatusCode:|status code from registry|destination repository \S+) 503",
        BusyError,
        "the registry is overloaded, or lets in fewer connections: try again, with --retry-times",
    ),
    (
        r"(HTTP status:|StatusCode:|status code from registry|destination repository \S+) 5\d\d",
        LinkError,
        "the registry has an error of its own: try again, with --retry-times",
    ),
    (
        r"too many requests|toomanyrequests|StatusCode: 429|429 \(Too Many",
        BusyError,
        "the registry limits requests: try again later, with --retry-times",
    ),
    (
        r"client version \S+ is too old",
        HostError,
        "Docker no longer speaks with this skopeo: install a newer one, or give its place with --skopeo",
    ),
    (
        r"accept header does not support",
        HiddenError,
        "a proxy drops all but one of the Accept headers: have it pass them on, or go around it",
    ),
    (
        # The operating system's words.
        r"(?<!denied: )permission denied",
        HostError,
        "check who may read and write that file",
    ),
    (
        _UPLOADING + _REFUSED,
        DeniedError,
        "this login may read there, but not push: give one that may with {flag}-creds or {flag}-authfile",
    ),
    (
        _UPLOADING + r"(unsupported|StatusCode: 405)",
        RegistryError,
        "the registry is read-only, or only a cache of another one (pull-through): push to where images are kept",
    ),
    (
        _ASKING + r"(StatusCode: 405|405 \()",
        RegistryError,
        "skopeo can't push there: what answers does not let anybody ask for a blob (HEAD)",
    ),
    (
        _ASKING + r"(StatusCode: 403|403 \()|fetching blob.*(403 \(|StatusCode: 403)",
        DeniedError,
        "this login may not see layers there: use another with {flag}-creds or {flag}-authfile; or the storage "
        "refuses that the registry redirects to: look at the proxy's rules, and at the clock",
    ),
    (
        r"denied.*(unauthorized|authentication required)|(unauthorized|authentication required).*denied",
        DeniedError,
        "this login may not do that, or there is none: give one that may with {flag}-creds or {flag}-authfile",
    ),
    (
        r"unauthorized|authentication required|unable to retrieve auth token|invalid username/password"
        r"|StatusCode: 401|401 \(Unauthorized\)|no basic auth credentials",
        DeniedError,
        "log in: give {flag}-creds or {flag}-authfile, or run skopeo login",
    ),
    (r"name unknown|repository name not known", NoRepositoryError, "check the name and the tag"),
    (
        # Harbor, Quay and others have codes of their own, which skopeo calls unknown.
        r"manifest unknown|404 \(Not Found\)|StatusCode: 404"
        r"|unknown: .*([Nn]ot [Ff]ound|was deleted or has expired)",
        NotFoundError,
        "check the name and the tag",
    ),
    (
        r"denied|403 \(Forbidden\)|StatusCode: 403",
        DeniedError,
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
)


def fatal_message(stderr: str) -> str:
    """Return the last thing that skopeo said before it gave up, on one line; a long one without its middle."""
    text = _fatal(stderr)
    # What failed stands at the beginning, and why at the end.
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"


def _fatal(stderr: str) -> str:
    fatal = _FATAL.findall(stderr)
    if fatal:
        text = re.sub(r"\\(.)", lambda match: " " if match[1] in "nt" else match[1], fatal[-1])
    else:
        lines = [line for line in stderr.splitlines() if line.strip()]
        # A usage error is followed by advice: the line that says "Error" is the one that counts.
        errors = [line for line in lines if line.startswith("Error")]
        text = (errors or lines or ["it said nothing"])[-1]
    return text.strip()


def explain(stderr: str, doing: str, flag: str, arguments: Sequence[str] = ()) -> IncrementalError:
    """Turn what skopeo said into an error.

    Args:
        stderr: all that it printed there.
        doing: what it was to do, such as "cannot read docker://host/app:2".
        flag: the start of this side's flags, such as `--dest`.
        arguments: what it was given, and what else it may name: how something is called is no reason.

    Returns:
        The error, with skopeo's own words in its message.
    """
    whole, message = _fatal(stderr), f"{doing}: {fatal_message(stderr)}"
    why = reason(whole, arguments)
    for pattern, kind, step in _TABLE:
        if re.search(pattern, why):
            error = kind(message, step.format(flag=flag) + _elsewhere(whole, arguments))
            if isinstance(error, BusyError):
                error.retry_after = _retry_after(whole)
            return error
    return RegistryError(message, "run again with --debug to see what skopeo was asked")


def no_registry(host: str, does: str) -> RegistryError:
    """Return the error for a server that answers, but not as a registry does.

    Args:
        host: its name.
        does: what it does, such as "answers yes to everything".
    """
    return RegistryError(
        f"{host} {does}: it is not a registry (a captive portal or a login page?)",
        f"look at https://{host}/v2/ in a browser; check the host's name and the proxy settings",
    )


def _retry_after(message: str) -> float:
    found = _RETRY_AFTER.search(message)
    return float(found[1]) * _UNITS.get(found[2] or "", 1.0) if found else 0.0


def _elsewhere(message: str, arguments: Sequence[str]) -> str:
    """Name the host that failed, where it is not the one that was asked for, as a registry's storage."""
    asked = {each.removeprefix("docker://").partition("/")[0] for each in arguments if each.startswith("docker://")}
    hosts = [host for host in _URL.findall(message) if host not in asked and not host.endswith(DOCKER_HUB)]
    return f"; the registry sent skopeo on to {hosts[-1]}" if asked and hosts else ""
