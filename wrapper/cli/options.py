"""Options that several commands share: how they are called, and what help says of them.

Options of one command alone stand in its file. What becomes of all of them is in `calls`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from ..delta.options import EFFORTS
from .completion import booleans, files, folders
from .help import ADVANCED, DELTA, IMAGES, LINK, LOGIN, OUTPUT, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from .help import Decorator

UNITS = "K, M, G and T are powers of 1000; Ki, Mi, Gi and Ti are powers of 1024."
"""What help says of sizes."""


class _Whole(click.IntRange):
    name = "whole number"


class _Number(click.FloatRange):
    name = "number"


class Boolean(click.types.BoolParamType):
    """True or false, in one of click's ways to write it; not nothing, which an unset variable of a shell leaves."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Read a value, as click does."""
        with suppress(click.BadParameter):
            if value != "":
                return super().convert(value, param, ctx)
        raise click.BadParameter(f"'{value}' is neither true nor false.", ctx, param)


def together(*options: Decorator) -> Decorator:
    """Return one decorator for several options, which help shows in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate


def in_bytes(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an option's number of bytes; a callback for click."""
    from ..host.text import parse_bytes

    try:
        return None if value is None else parse_bytes(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param=parameter) from None


_SIDES = {
    "base": "for the bases",
    "final": "for the final image",
    "dest": "for the destination",
    "src": "for the registry that ARCHIVE is in",
}


def _access(names: Callable[[str], list[str]], whom: str) -> Decorator:
    """Return the four options that say how registries are reached.

    Args:
        names: makes an option's names for click of what it is about.
        whom: which registries.
    """
    return together(
        option(
            LOGIN,
            *names("creds"),
            metavar="USER:PASSWORD",
            help=f"Login {whom}; - reads one line from standard input.",
        ),
        option(LOGIN, *names("authfile"), metavar="FILE", shell_complete=files, help=f"Auth file {whom}."),
        option(
            LOGIN,
            *names("tls-verify"),
            type=Boolean(),
            metavar="BOOL",
            shell_complete=booleans,
            help=f"Require TLS and verify certificates {whom}: true or false.",
        ),
        option(
            LOGIN,
            *names("cert-dir"),
            metavar="DIR",
            shell_complete=folders,
            help=f"Folder with certificates (*.crt, *.cert, *.key) {whom}.",
        ),
    )


def _of_side(side: str) -> Decorator:
    return _access(lambda name: [f"--{side}-{name}"], _SIDES[side])


_everywhere = _access(lambda name: [f"--{name}"], "for all registries that have no such option of their own")


def login_options(*sides: str) -> Decorator:
    """Return the options of logins and TLS: those for all sides at once, and four for each side.

    Args:
        sides: of `base`, `final`, `dest` and `src`.
    """
    return together(_everywhere, *map(_of_side, sides))


def _of_any_side(name: str) -> list[str]:
    """Name an option as every side does, so that flags of another command can be tried as they are."""
    return [*(f"--{side}-{name}" for side in ("base", "final", "dest")), f"final_{name}".replace("-", "_")]


archive_login_options = _of_side("src")
"""The four options of the registry that archives are read from."""

any_side_options = together(_everywhere, _access(_of_any_side, "for the image or destination that is asked"))
"""The options of logins and TLS for commands that ask one registry, whatever side it is."""

common_options = together(
    option(
        OUTPUT,
        "--progress",
        type=click.Choice(["auto", "bar", "plain", "json", "none"]),
        default="auto",
        show_default=True,
        help="Show progress as a display on the terminal, as plain lines, or as JSON lines on standard error. auto "
        "chooses between bar and plain.",
    ),
    option(OUTPUT, "--json", is_flag=True, help="Print the result as one JSON object."),
    option(OUTPUT, "--quiet", "-q", is_flag=True, help="Print nothing but the result."),
    option(OUTPUT, "--debug", is_flag=True, help="Print each call of skopeo and what it answered."),
)
"""What every command has."""

anonymous_option = option(
    OUTPUT,
    "--anonymous",
    is_flag=True,
    help="Keep names of repositories and tags out of the archive. The images of a bundle keep theirs.",
)


def output_option(what: str) -> Decorator:
    """Return the option that says where an archive goes, for commands that have a dry run."""
    return option(
        OUTPUT,
        "--output",
        "-o",
        metavar="FILE",
        shell_complete=files,
        help=f"File to write the {what} to; - is standard output.  [required unless --dry-run]",
    )


tmpdir_option = option(
    ADVANCED, "--tmpdir", metavar="DIR", shell_complete=folders, help="Folder for temporary files."
)

_skopeo_option = option(
    ADVANCED,
    "--skopeo",
    default="skopeo",
    metavar="PATH",
    shell_complete=files,
    help="Program to run as skopeo.",
    show_default=True,
)

_policy_options = together(
    option(
        ADVANCED,
        "--policy",
        metavar="FILE",
        shell_complete=files,
        help="Signature policy to use instead of the system's.",
    ),
    option(ADVANCED, "--insecure-policy", is_flag=True, help="Accept any image without a signature policy."),
)

asking_options = together(
    option(
        LINK,
        "--timeout",
        type=_Number(min=1),
        default=30.0,
        metavar="SECONDS",
        show_default=True,
        help="How long to wait for an answer.",
    ),
    tmpdir_option,
    _policy_options,
    _skopeo_option,
)
"""What commands have that ask, and move no layer."""

skopeo_options = together(
    option(
        LINK,
        "--retry-times",
        type=_Whole(min=0),
        default=0,
        metavar="N",
        help="How often to retry after a network failure. Every layer that arrives restarts the count.",
        show_default=True,
    ),
    option(
        LINK,
        "--retry-delay",
        type=_Number(min=0, max=60),
        default=1.0,
        metavar="SECONDS",
        help="Pause before the first retry. It doubles with each further retry, up to a minute.",
        show_default=True,
    ),
    option(
        LINK,
        "--timeout",
        type=_Number(min=0),
        default=600.0,
        metavar="SECONDS",
        help="Stop when no data has moved, or no answer has come, for this long. 0 means no limit.",
        show_default=True,
    ),
    tmpdir_option,
    _policy_options,
    option(
        ADVANCED,
        "--preserve-digests/--no-preserve-digests",
        default=True,
        help="Keep the image as it is, or let skopeo convert it, which changes its digest.",
        show_default=True,
    ),
    _skopeo_option,
)
"""What commands have that move layers."""

delta_memory_option = option(
    DELTA,
    "--delta-memory",
    callback=in_bytes,
    metavar="SIZE",
    help=f"Memory limit for making deltas and for rebuilding layers from them. Default: 1Gi. {UNITS}",
)

delta_options = together(
    option(
        DELTA,
        "--delta",
        is_flag=True,
        help="Store new layers as deltas, or repacked, where that saves enough.",
    ),
    option(
        DELTA,
        "--delta-effort",
        type=click.Choice(EFFORTS),
        help="How much work goes into deltas. More work takes longer and makes them smaller.",
    ),
    option(
        DELTA,
        "--delta-min-saving",
        type=_Number(0, 100),
        metavar="PERCENT",
        help="How much smaller than its layer a delta must be. Otherwise the layer is stored whole. Default: 10.",
    ),
    delta_memory_option,
)


expect_option = option(
    IMAGES,
    "--expect-sha256",
    multiple=True,
    metavar="HEX",
    help="Stop unless ARCHIVE has this SHA-256. Repeat it for each volume, or each archive of a chain, in order.",
)
"""What tells archives from others that somebody has put in their places."""


def base_option(help_text: str) -> Decorator:
    """Return the option that names bases."""
    return option(IMAGES, "--base", "-b", multiple=True, metavar="REF", help=f"{help_text} May be repeated.")


base_daemon_option = option(
    ADVANCED,
    "--base-daemon-host",
    metavar="HOST",
    help="Address of the Docker daemon that has docker-daemon: bases.",
)

holding_bases = together(
    base_option("Image or archive that has layers which the destination lacks."), base_daemon_option
)
"""The bases of a push."""

bundle_options = together(
    option(
        IMAGES,
        "--only",
        multiple=True,
        metavar="NAME",
        help="Only images of a bundle with this name, with or without its tag. May contain *, ? and [].",
    ),
    option(
        IMAGES,
        "--map",
        "names",
        multiple=True,
        metavar="OLD=NEW",
        help="Use the name NEW at the destination for image OLD of a bundle.",
    ),
)
"""What chooses from a bundle."""


jobs_option = option(
    LINK,
    "--jobs",
    type=_Whole(1, 32),
    metavar="N",
    help="Number of images to process at the same time. Default: 10, or 1 with --retry-times.",
)
"""How many images of a bundle, or children of a list, are worked on side by side."""


def fail_fast_option(when: str) -> Decorator:
    """Return the option to stop early."""
    return option(IMAGES, "--fail-fast", is_flag=True, help=f"Stop at the first image of a bundle {when}.")
