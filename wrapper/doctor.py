"""What could keep pull and push from working on this machine, found before they are needed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .delta import is_compiled
from .errors import FREE_SPACE, HostError, IncrementalError, NotFoundError, RegistryError
from .host.temporary import default_temp_dir
from .host.text import human_bytes
from .oci.reference import registry_reference
from .results import ERROR, OK, WARNING, DoctorResult, Finding
from .skopeo.inspect import require_manifest
from .skopeo.runner import Skopeo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .oci.reference import Reference
    from .skopeo.access import Access
    from .skopeo.options import SkopeoOptions

LITTLE_SPACE = 1_000_000_000
"""Fewer free bytes than this are worth a warning."""

RESUMES = (1, 10)
"""The first skopeo that goes on inside a layer when its connection is cut, once about a megabyte has come."""


FAST = (1, 14)
"""An older skopeo needs more time for the same work, and asks twice as often which layers a place has."""


def exit_code(result: DoctorResult) -> int:
    """Return 0, or the exit code of a machine that is not ready, or of a registry that does not let us in."""
    wrong = {finding.check for finding in result.findings if finding.status == ERROR}
    if not wrong:
        return 0
    return RegistryError.code if wrong == {"registry"} else HostError.code


def examine(options: SkopeoOptions, access: Access, reference: str | Reference | None) -> DoctorResult:
    """Look at everything that pull and push need.

    Args:
        options: which skopeo runs, and how.
        access: how the registry is reached.
        reference: an image or repository to ask for; None asks no registry.

    Raises:
        UsageError: the reference is malformed.
    """
    asked = registry_reference(reference, "the image") if reference is not None else None
    return DoctorResult(changed=False, findings=tuple(_findings(options, access, asked)))


def _findings(options: SkopeoOptions, access: Access, reference: Reference | None) -> Iterator[Finding]:
    yield Finding("python", OK, f"{platform.python_version()} on {platform.machine()}")
    folder = _check_folder(options.temp_dir or default_temp_dir())
    yield folder
    yield from _check_auth_files(access)
    yield _check_policy(access)
    yield _check_modules()
    if folder.status == ERROR:
        yield Finding("skopeo", WARNING, "not checked: that needs the temporary folder")
        return
    try:
        with Skopeo(options) as skopeo:
            version = skopeo.version()
            yield _check_skopeo(version)
            yield from _check_speed(version)
            if reference:
                yield from _check_registry(skopeo, reference, access)
    except IncrementalError as error:
        yield Finding("skopeo", ERROR, error.message, error.next_step)


def _check_modules() -> Finding:
    if is_compiled():
        return Finding("delta", OK, "layers can be made from their changes at full speed")
    return Finding(
        "delta",
        WARNING,
        "the modules that make changes are not compiled here: pull sends all layers whole, and pushing changes "
        "takes hours",
        "install a compiler (gcc, python3-dev), then install this tool again; or install a wheel that was built "
        "on a machine like this one",
    )


def _check_speed(version: str) -> Iterator[Finding]:
    if _number(version) < FAST:
        yield Finding(
            "speed",
            OK,
            f"{version}: a newer skopeo is 10 to 20 % faster, and a vet takes half as many round trips",
            "install skopeo 1.14 or newer if that matters",
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _check_skopeo(version: str) -> Finding:
    if _number(version) < RESUMES:
        return Finding(
            "skopeo",
            WARNING,
            f"{version}: starts a layer again from its beginning when the connection is cut",
            "install skopeo 1.10 or newer if large layers do not get through a bad link",
        )
    return Finding("skopeo", OK, f"{version}: continues inside a layer when the connection is cut")


def _check_folder(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            found = os.statvfs(folder)
    except OSError as error:
        return Finding(
            "space", ERROR, f"cannot write to {folder}: {error.strerror}", "choose another one with `temp_dir`"
        )
    free = found.f_frsize * found.f_bavail
    if free < LITTLE_SPACE:
        return Finding("space", WARNING, f"{human_bytes(free)} free in {folder}", FREE_SPACE)
    return Finding("space", OK, f"{human_bytes(free)} free in {folder}")


def _check_auth_files(access: Access) -> Iterator[Finding]:
    if given := access.authfile or os.environ.get("REGISTRY_AUTH_FILE"):
        yield _check_auth_file(Path(given))
        return
    found = [_check_auth_file(path) for path in _auth_files() if path.exists()]
    if access.creds:
        yield Finding("login", OK, "given with `final_auth.creds`")
    elif not found:
        yield Finding("login", OK, "there is no auth file: registries are used without a login")
    yield from found


def _auth_files() -> Iterator[Path]:
    """Where skopeo looks, in its order: see containers-auth.json(5)."""
    home = Path(os.environ.get("HOME", "/"))
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers/auth.json")
    else:
        yield Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "containers/auth.json")
    yield Path(os.environ.get("DOCKER_CONFIG") or home / ".docker", "config.json")
    yield home / ".dockercfg"


def _check_auth_file(path: Path) -> Finding:
    document = _read(path, "login", "auth file")
    if isinstance(document, Finding):
        return document
    helpers = {document.get("credsStore"), *_values(document.get("credHelpers"))}
    absent = [f"docker-credential-{name}" for name in helpers if name]
    absent = sorted(name for name in absent if not shutil.which(name))
    if absent:
        return Finding(
            "login", WARNING, f"{path} needs {absent[0]}, which is not installed", f"install {absent[0]}"
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("login", WARNING, f"other users can read {path}", f"chmod 600 {path}")
    hosts = sorted(document.get("auths") or ()) if isinstance(document.get("auths"), dict) else []
    return Finding("login", OK, f"{path} has {'logins for ' + ', '.join(hosts) if hosts else 'no login'}")


def _values(value: object) -> list[str]:
    return [each for each in value.values() if isinstance(each, str)] if isinstance(value, dict) else []


def _check_policy(access: Access) -> Finding:
    if access.insecure_policy:
        return Finding(
            "policy",
            WARNING,
            "the policy is not applied: every image is accepted",
            "leave out `final_auth.insecure_policy`",
        )
    own = Path(os.environ.get("HOME", "/"), ".config/containers/policy.json")
    path = Path(access.policy or (own if own.exists() else "/etc/containers/policy.json"))
    document = _read(path, "policy", "signature policy")
    if isinstance(document, Finding):
        return document
    default = document.get("default")
    if not isinstance(default, list) or not default:
        return Finding("policy", ERROR, f"{path} has no default rule", "see containers-policy.json(5)")
    accepts = [rule.get("type") for rule in default if isinstance(rule, dict)] == ["insecureAcceptAnything"]
    what = "accepts images that it does not name" if accepts else "refuses or checks images that it does not name"
    return Finding("policy", OK, f"{path} {what}")


def _read(path: Path, check: str, what: str) -> dict[str, Any] | Finding:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        steps = {
            "login": "run skopeo login, or correct `final_auth.authfile` or REGISTRY_AUTH_FILE",
            "policy": "install it (Debian: golang-github-containers-common), or name one with `final_auth.policy`",
        }
        return Finding(check, ERROR, f"the {what} {path} does not exist", steps[check])
    except OSError as error:
        return Finding(
            check, ERROR, f"cannot read the {what} {path}: {error.strerror}", "check that this user may read it"
        )
    except (ValueError, RecursionError):
        return Finding(check, ERROR, f"the {what} {path} is not JSON", "correct it, or move it away")
    if not isinstance(document, dict):
        return Finding(check, ERROR, f"the {what} {path} is not a JSON object", "correct it, or move it away")
    return document


def _check_registry(skopeo: Skopeo, reference: Reference, access: Access) -> Iterator[Finding]:
    host = reference.registry
    try:
        (answer,) = skopeo.inspect_raw([(reference, access, "final")])
        if isinstance(answer, bytes):
            require_manifest(reference, answer)
    except IncrementalError as error:
        answer = error
    if isinstance(answer, NotFoundError):
        yield Finding("registry", OK, f"{host} answers, and accepts this login")
        yield Finding("image", WARNING, f"{reference} does not exist", "check the name and the tag if it should")
    elif isinstance(answer, IncrementalError):
        yield Finding("registry", ERROR, answer.message, answer.next_step)
    else:
        yield Finding("registry", OK, f"{host} answers, and accepts this login")
        yield Finding("image", OK, f"{reference} can be read")
    if access.tls_verify is False:
        yield Finding(
            "tls",
            WARNING,
            f"not required of {host}",
            "leave out `final_auth.tls_verify=False` if the registry has TLS",
        )
