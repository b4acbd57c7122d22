"""What help and man pages say of exit codes, environment variables and files."""

from __future__ import annotations

from typing import NamedTuple

EXIT_CODES = {
    0: "Success. A warning may have been printed.",
    1: "Unexpected error: a bug in this program.",
    2: "Wrong usage: for example a malformed reference, an unknown platform, or a missing file.",
    3: "Layers that the archive leaves out are missing. Nothing was written.",
    4: "Bad content: a digest, size or schema does not match, or an archive is damaged.",
    5: "skopeo or a registry failed: image not found, login, network, TLS, or policy.",
    6: "This machine failed: skopeo is missing or too old, the disk is full, or a folder is not writable.",
    130: "Interrupted by Ctrl-C.",
    143: "Terminated by SIGTERM or SIGHUP.",
}
"""What each exit code means."""


class Entry(NamedTuple):
    """An environment variable, or a file.

    Attributes:
        name: what it is called; several that belong together are separated by commas.
        text: what it is for.
        options: it matters to commands that have one of these options, by click's names; empty: to all.
    """

    name: str
    text: str
    options: tuple[str, ...] = ()


_LOOKS = ("dest_creds", "for_")
"""Commands with one of these may look at a repository without writing to it."""

ENVIRONMENT = (
    Entry(
        "SKOPEO_INCREMENTAL_COMMAND_OPTION",
        'Value of an option: SKOPEO_INCREMENTAL_PULL_BASE_CREDS is that of "pull --base-creds". The command line '
        "wins. Several values of an option that may be repeated are separated by spaces.",
    ),
    Entry("SKOPEO_INCREMENTAL", "Program that the scripts of kits run as skopeo-incremental.", ("sign", "keyring")),
    Entry("GNUPGHOME", "Folder with the keys of gpg.", ("sign", "keyring")),
    Entry("REGISTRY_AUTH_FILE", "Auth file to use where no option gives a login or an auth file.", ("authfile",)),
    Entry(
        "XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG",
        "Folders in which skopeo looks for an auth file if REGISTRY_AUTH_FILE is not set either.",
        ("authfile",),
    ),
    Entry(
        "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
        "Proxies through which skopeo reaches registries, and the hosts that it reaches without one.",
        ("authfile",),
    ),
    Entry(
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "Certificate authorities that skopeo trusts instead of those of the system.",
        ("authfile",),
    ),
    Entry(
        "TMPDIR",
        "Folder for temporary files where --tmpdir is not given. Default: /var/tmp. An archive is made in the "
        "folder of its output instead, if files can be sparse there.",
        ("tmpdir",),
    ),
    Entry("XDG_CACHE_HOME", "Folder in which the cache below lies. Default: ~/.cache", _LOOKS),
)
"""The environment variables that are read, by this program or by skopeo."""

FILES = (
    Entry(
        "~/.cache/skopeo-incremental/repositories/",
        "An empty file for each repository that was seen in a registry, named by a hash of the repository's name. "
        "For 30 days, commands that write nothing do not check again whether it exists. The folder can be removed "
        "at any time.",
        _LOOKS,
    ),
    Entry(
        "$XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json, ~/.docker/config.json",
        "Logins, looked up in this order: see containers-auth.json(5).",
        ("authfile",),
    ),
    Entry(
        "~/.config/containers/policy.json, /etc/containers/policy.json",
        "Signature policy: see containers-policy.json(5).",
        ("policy",),
    ),
    Entry(
        "~/.config/containers/registries.conf, /etc/containers/registries.conf",
        "Settings and mirrors of registries: see containers-registries.conf(5).",
        ("authfile",),
    ),
    Entry(
        "~/.config/containers/certs.d/HOST:PORT/, /etc/containers/certs.d/HOST:PORT/",
        "Certificates of a registry, where --cert-dir is not given: see containers-certs.d(5).",
        ("authfile",),
    ),
    Entry(
        "~/.config/containers/registries.d/, /etc/containers/registries.d/",
        "Places of signatures outside of registries: see containers-registries.d(5).",
        ("remove_signatures",),
    ),
)
"""The files that are read or written beside those that options name."""
