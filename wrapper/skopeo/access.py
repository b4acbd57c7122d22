"""Credentials, TLS and policy of one side (base, final or destination), as skopeo's flags."""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HostError, UsageError, host_errors
from ..host.text import is_utf8

if TYPE_CHECKING:
    from ..oci.reference import Reference


class AuthFiles:
    """Auth files that are in memory alone, and gone with us however we end: none is ever on a disk."""

    def __init__(self) -> None:
        """Begin with none."""
        # One for each account: base and final may be two of one registry.
        self._files: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def path(self, creds: str, registry: str) -> str:
        """Return the path of an auth file that only we, what we start, and the superuser can read.

        Args:
            creds: `user:password`.
            registry: the host that they are for.

        Raises:
            HostError: it can't be made.
        """
        with host_errors("cannot hand over a login"), self._lock:
            if (creds, registry) not in self._files:
                self._files[creds, registry] = _in_memory({"auths": {registry: {"auth": _encoded(creds)}}})
            try:
                # Another program's "self" is not ours; and our number may be another one there.
                process = Path("/proc/self").readlink()
            except FileNotFoundError:
                raise HostError(
                    "cannot hand over a login: /proc is not mounted", "mount it, or give an auth file"
                ) from None
        return f"/proc/{process}/fd/{self._files[creds, registry]}"

    def close(self) -> None:
        """Forget all; their paths lead nowhere then."""
        while self._files:
            _, descriptor = self._files.popitem()
            os.close(descriptor)


def _in_memory(document: object) -> int:
    descriptor = os.memfd_create("auth")
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", closefd=False) as file:
            json.dump(document, file)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _encoded(creds: str) -> str:
    return base64.b64encode(creds.encode()).decode()


@dataclass(frozen=True)
class Access:
    """How one side is reached. What is not given is left to skopeo's own configuration.

    Attributes:
        creds: `user:password`; counts before every auth file, and for this side's registry alone.
        authfile: the path of an auth file as `skopeo login` writes it.
        tls_verify: whether to demand TLS and check certificates.
        cert_dir: a folder with `*.crt`, `*.cert` and `*.key`, as skopeo takes it.
        policy: the path of a signature policy to use in place of the system's.
        insecure_policy: whether to accept every image, signed or not.
        daemon_host: where Docker listens, such as `unix:///run/docker.sock`, for `docker-daemon:`.
    """

    creds: str | None = field(default=None, repr=False)
    authfile: str | Path | None = None
    tls_verify: bool | None = None
    cert_dir: str | Path | None = None
    policy: str | Path | None = None
    insecure_policy: bool = False
    daemon_host: str | None = None

    def __post_init__(self) -> None:
        """Refuse credentials that are not a user and a password.

        Raises:
            UsageError: `creds` has no colon, or no user before it, or is not UTF-8.
        """
        if self.creds is not None and not self.creds.partition(":")[0]:
            raise UsageError("the credentials have no user name", "write them as user:password")
        if self.creds is not None and ":" not in self.creds:
            raise UsageError("the credentials have no password", "write them as user:password")
        if self.creds is not None and not is_utf8(self.creds):
            raise UsageError("the credentials are not UTF-8", "set LC_ALL=C.UTF-8 if they should be")

    def flags(self, reference: Reference, auth_files: AuthFiles, prefix: str = "") -> list[str]:
        """Return skopeo's flags for this side.

        Args:
            reference: what is to be reached: credentials go to its registry alone.
            auth_files: takes one for `creds`.
            prefix: `src-` or `dest-` for `copy`; empty for `inspect`.

        Raises:
            UsageError: the auth file or the folder of certificates does not exist.
            HostError: the auth file for `creds` can't be made.
        """
        flags = []
        if authfile := self._authfile(reference, auth_files):
            flags.append(f"--{prefix}authfile={authfile}")
        if self.tls_verify is not None:
            flags.append(f"--{prefix}tls-verify={'true' if self.tls_verify else 'false'}")
        if self.daemon_host is not None and reference.transport == "docker-daemon":
            flags.append(f"--{prefix}daemon-host={self.daemon_host}")
        if self.cert_dir is not None:
            flags.append(f"--{prefix}cert-dir={_existing(self.cert_dir, 'folder of certificates')}")
        return flags

    def policy_flags(self) -> list[str]:
        """Return skopeo's global flags for the signature policy.

        Raises:
            UsageError: the policy does not exist.
        """
        if self.insecure_policy:
            return ["--insecure-policy"]
        if self.policy is not None:
            return [f"--policy={_existing(self.policy, 'signature policy')}"]
        return []

    def user(self, registry: str) -> str:
        """Return the name of the user that a login was given for; nothing where none was given.

        Args:
            registry: the registry's host.
        """
        if self.creds is not None:
            return self.creds.partition(":")[0]
        chosen = self._chosen_authfile()
        try:
            logins = json.loads(Path(chosen).read_bytes())["auths"] if chosen else {}
            # A login may be one for a part of a registry.
            encoded = next((login["auth"] for key, login in logins.items() if key.split("/")[0] == registry), "")
            return base64.b64decode(encoded).decode().partition(":")[0]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # Who can't be named is not named.
            return ""

    def _authfile(self, reference: Reference, auth_files: AuthFiles) -> str | Path | None:
        if self.creds is not None:
            # What is no registry wants no login.
            return auth_files.path(self.creds, reference.registry) if reference.transport == "docker" else None
        chosen = self._chosen_authfile()
        return _existing(chosen, "auth file") if chosen else None

    def _chosen_authfile(self) -> str | Path | None:
        return self.authfile or os.environ.get("REGISTRY_AUTH_FILE")


def _existing(path: str | Path, what: str) -> Path:
    # skopeo runs in another folder, so a relative path must become an absolute one.
    absolute = Path(path).absolute()
    if not absolute.exists():
        raise UsageError(f"the {what} {path} does not exist")
    return absolute


@dataclass(frozen=True)
class Authentications:
    """How the sides are reached (Go: `incremental.Authentications`).

    Attributes:
        base: where base images come from.
        final: where the final image comes from.
        push: where the archive goes.
        archive: where archives are read from that stand in a registry.
    """

    base: Access = Access()
    final: Access = Access()
    push: Access = Access()
    archive: Access = Access()
