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
    NetworkError,
    NoRepositoryError,
    NotFoundError,
    PolicyError,
    ReadOnlyError,
    RegistryError,
    ServerError,
    SignaturesError,
    TlsError,
    UnauthorizedError,
    UsageError,
)
from ..oci.reference import DEFAULT_TAG, DOCKER_HUB, Reference
from .reason import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import IncrementalError
    from .access import Access

_FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')
_NOISE = re.compile(r'^(error )?parsing image name "[^"]*": ', re.IGNORECASE)
_LONGEST = 600
_RETRY_AFTER = re.compile(r"retry[- ](?:after|in):? *(\d+(?:\.\d+)?)(ns|µs|us|ms|m|h)?", re.IGNORECASE)
_UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "m": 60.0, "h": 3600.0}
_QUERY = re.compile(r'(\bhttps?://[^\s"?]+\?)[^\s"\\]+')
_URL = re.compile(r"\bhttps?://([^/\s\"?#]+)")

_DOCKER = "docker://"

_UPLOADING = r"(initiating layer upload|uploading layer|uploading manifest|writing blob|writing manifest).*"
_ASKING = r"(trying to reuse blob|checking whether a blob).*"
_CHECK_NAME = "check the name and the tag"
_REFUSED = r"(unauthorized|authentication required|denied|StatusCode: 40[13])"

# The first line that fits the message's reason counts; names are taken out before.
# Seen with skopeo 1.9.3 and 1.18 against docker-registry 2.8.2 and others.
# In a next step, {side} stands for the side that an error is about, such as push.
_TABLE: tuple[tuple[str, type[IncrementalError], str], ...] = (
    (r"no space left on device|disk quota exceeded", DiskFullError, FREE_SPACE),
    (
        r"unknown flag|flag provided but not defined",
        HostError,
        "this skopeo is too old: install 1.9 or newer",
    ),
    (
        r"does not resolve to an image ID",
        NotFoundError,
        "check the name: podman images lists the images that are there",
    ),
    (
        r"invalid reference format|parsing named reference|path name is not absolute|neither a tag nor a digest"
        r"|failed to GetDriver graph",
        UsageError,
        "check the image's name",
    ),
    (
        r"parsing image name \S*containers-storage:.*(no such file|permission denied|read-only|not supported)",
        HostError,
        "check that this user may use the local store: podman images must work",
    ),
    (
        r"io: read/write on closed pipe|Cannot connect to the Docker daemon",
        RegistryError,
        "check that Docker runs there, or say where it listens with `{side}_auth.daemon_host`",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        TlsError,
        "the registry speaks plain HTTP: allow that with `{side}_auth.tls_verify=False`, or in registries.conf",
    ),
    (
        r"x509:|certificate|tls: ",
        TlsError,
        "give the folder with the registry's CA with `{side}_auth.cert_dir`, or put the CA into "
        "/etc/containers/certs.d",
    ),
    (
        r"Source image rejected|signature was required|rejected by policy",
        PolicyError,
        "the signature policy forbids this image: see policy.json, or give another one with `{side}_auth.policy`",
    ),
    (
        r"Can not copy signatures|Pushing signatures",
        SignaturesError,
        "an archive can't hold this image's signatures: leave them behind with `signatures.remove`",
    ),
    (
        r"Digest did not match|does not match provided manifest digest|[Cc]orrupted blob"
        r"|exceeded maximum allowed size",
        ContentError,
        "the registry sent something else than it was asked for: try again, and tell the people who run it",
    ),
    (
        r"StatusCode: 413|413 \(|[Rr]equest [Ee]ntity [Tt]oo [Ll]arge",
        RegistryError,
        "a proxy in front of the registry limits the size of uploads: have the limit raised "
        "(nginx: client_max_body_size)",
    ),
    (
        r"pinging container registry.*(404 \(|StatusCode: 404)",
        RegistryError,
        "the server that answers there is not a registry: check host and port",
    ),
    (
        r"(HTTP status:|StatusCode:|status code from registry|destination repository \S+) 503",
        BusyError,
        "the registry is overloaded, or accepts fewer connections: try again, with `link.retry_times`",
    ),
    (
        r"(HTTP status:|StatusCode:|status code from registry|destination repository \S+) 5\d\d",
        ServerError,
        "the registry has an internal error: try again, with `link.retry_times`",
    ),
    (
        r"too many requests|toomanyrequests|StatusCode: 429|429 \(Too Many",
        BusyError,
        "the registry limits requests: try again later, with `link.retry_times`",
    ),
    (
        r"client version \S+ is too old",
        HostError,
        "Docker no longer works with this skopeo: install a newer one, or give the path of one with `skopeo`",
    ),
    (
        r"accept header does not support",
        HiddenError,
        "a proxy drops all but one of the Accept headers: configure it to pass them on, or bypass it",
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
        "this login may read there, but not push: give one that may with `{side}_auth.creds` or "
        "`{side}_auth.authfile`",
    ),
    (
        _UPLOADING + r"(unsupported|StatusCode: 405)",
        ReadOnlyError,
        "the registry is read-only, or only a cache of another one (pull-through): push to the registry that "
        "keeps the images",
    ),
    (
        _ASKING + r"(StatusCode: 405|405 \()",
        ReadOnlyError,
        "skopeo can't push there: the server does not let anybody ask for a blob (HEAD)",
    ),
    (
        _ASKING + r"(StatusCode: 403|403 \()|fetching blob.*(403 \(|StatusCode: 403)",
        DeniedError,
        "this login may not see layers there: give another one with `{side}_auth.creds` or "
        "`{side}_auth.authfile`; or the storage that the registry redirects to refuses: check the proxy's rules, "
        "and the clock",
    ),
    (
        r"denied.*(unauthorized|authentication required)|(unauthorized|authentication required).*denied",
        UnauthorizedError,
        "there is no login, or this one may not do that: give one that may with `{side}_auth.creds` or "
        "`{side}_auth.authfile`",
    ),
    (
        r"unauthorized|authentication required|unable to retrieve auth token|invalid username/password"
        r"|StatusCode: 401|401 \(Unauthorized\)|no basic auth credentials",
        UnauthorizedError,
        "log in: give `{side}_auth.creds` or `{side}_auth.authfile`, or run skopeo login",
    ),
    (r"name unknown|repository name not known", NoRepositoryError, _CHECK_NAME),
    (
        # Harbor, Quay and others have codes of their own, which skopeo calls unknown.
        r"manifest unknown|404 \(Not Found\)|StatusCode: 404"
        r"|unknown: .*([Nn]ot [Ff]ound|was deleted or has expired)",
        NotFoundError,
        _CHECK_NAME,
    ),
    (
        r"denied|403 \(Forbidden\)|StatusCode: 403",
        DeniedError,
        "this login may not do that: give another one with `{side}_auth.creds` or `{side}_auth.authfile`",
    ),
    (
        r"no such host|server misbehaving",
        NetworkError,
        "check the host's name, and that this machine can resolve it",
    ),
    (r"connection refused", LinkError, "no server listens there: check host and port"),
    (r"is blocked in", PolicyError, "registries.conf on this machine forbids this registry"),
    (r"StatusCode: 405|405 \(Method Not Allowed\)", ReadOnlyError, "the registry is read-only"),
    (
        r"i/o timeout|deadline exceeded|TLS handshake timeout|network is unreachable|no route to host"
        r"|connection timed out|Client\.Timeout",
        LinkError,
        "check the network and the proxy settings, then try again, with `link.retry_times`",
    ),
    (
        r"EOF|connection reset|transport connection broken|broken pipe|connection lost|closed network connection"
        r"|stream error|GOAWAY",
        LinkError,
        "the connection was cut: try again, with `link.retry_times`",
    ),
)


def fatal_message(stderr: str) -> str:
    """Return the last thing that skopeo said before it gave up, on one line; a long one without its middle."""
    text = _fatal(stderr)
    # What failed stands at the beginning, and why at the end.
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"


def without_queries(text: str) -> str:
    """Return what skopeo said without the queries of addresses: a signed one opens what it leads to to anybody."""
    return _QUERY.sub(r"\1…", text)


def _fatal(stderr: str) -> str:
    stderr = without_queries(stderr)
    fatal = _FATAL.findall(stderr)
    if fatal:
        text = re.sub(r"\\(.)", lambda match: " " if match[1] in "nt" else match[1], fatal[-1])
    else:
        lines = [line for line in stderr.splitlines() if line.strip()]
        # A usage error is followed by advice: the line that says "Error" is the one that counts.
        errors = [line for line in lines if line.startswith("Error")]
        text = (errors or lines or ["it said nothing"])[-1]
    return text.strip()


def explain(
    stderr: str, doing: str, side: str, arguments: Sequence[str] = (), access: Access | None = None
) -> IncrementalError:
    """Turn what skopeo said into an error.

    Args:
        stderr: all that it printed there.
        doing: what it was to do, such as "cannot read docker://host/app:2".
        side: the side that it was about, as in `ImageSource`.
        arguments: what it was given, and what else it may name: how something is called is no reason.
        access: how that side is reached: whose login was refused is said then.

    Returns:
        The error, with skopeo's own words in its message.
    """
    # Whose name it is, we say.
    whole, said = _fatal(stderr), _NOISE.sub("", fatal_message(stderr))
    why = reason(whole, arguments)
    for pattern, kind, step in _TABLE:
        if not re.search(pattern, why):
            continue
        step = step.format(side=side)
        if issubclass(kind, DeniedError) and (user := _user(access, arguments)):
            doing = f"{doing} as user '{user}'"
            if kind is UnauthorizedError:
                step = f"the registry refused this login: check its name and password, or {_another(side)}"
        error = kind(f"{doing}: {said}", step + _elsewhere(whole, arguments))
        if isinstance(error, BusyError):
            error.retry_after = _retry_after(whole)
        return error
    return RegistryError(f"{doing}: {said}", "run again with `trace` to see each call of skopeo")


def unread(reference: Reference, error: IncrementalError) -> IncrementalError:
    """Return what is wrong where a reference was read; that there is no such image takes few words."""
    if not isinstance(error, NotFoundError) or reference.transport != "docker":
        return error
    if isinstance(error, NoRepositoryError):
        return type(error)(f"{reference} does not exist: there is no such repository", error.next_step)
    tag = "" if reference.tag or reference.digest else f":{DEFAULT_TAG}"
    return type(error)(f"{reference}{tag} does not exist", error.next_step)


def _another(side: str) -> str:
    return f"give another one with `{side}_auth.creds` or `{side}_auth.authfile`"


def _user(access: Access | None, arguments: Sequence[str]) -> str:
    """Return the user whose login was given for the registry that was asked; nothing where none was."""
    asked = next((each for each in arguments if each.startswith(_DOCKER)), None)
    return access.user(Reference.parse(asked).registry) if access and asked else ""


def _host(argument: str) -> str:
    return argument.removeprefix(_DOCKER).partition("/")[0]


def no_registry(host: str, does: str) -> RegistryError:
    """Return the error for a server that answers, but not as a registry does.

    Args:
        host: its name.
        does: what it does, such as "answers yes to everything".
    """
    return RegistryError(
        f"{host} {does}: it is not a registry (a captive portal or a login page?)",
        f"open https://{host}/v2/ in a browser; check the host's name and the proxy settings",
    )


def _retry_after(message: str) -> float:
    found = _RETRY_AFTER.search(message)
    return float(found[1]) * _UNITS.get(found[2] or "", 1.0) if found else 0.0


def other_host(message: str, arguments: Sequence[str]) -> str:
    """Return the host that failed if it is not the one that was asked for, as a registry's storage; else nothing.

    Args:
        message: what skopeo said.
        arguments: what it was given.
    """
    asked = {_host(each) for each in arguments if each.startswith(_DOCKER)}
    hosts = [host for host in _URL.findall(message) if host not in asked and not host.endswith(DOCKER_HUB)]
    return hosts[-1] if asked and hosts else ""


def _elsewhere(message: str, arguments: Sequence[str]) -> str:
    host = other_host(message, arguments)
    return f"; the registry sent skopeo on to {host}" if host else ""
