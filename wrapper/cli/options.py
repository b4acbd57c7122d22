"""Options that several commands share: how they are called, and what help says of them.

Options of one command alone stand in its file. What becomes of all of them is in `calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..delta.options import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*options: Decorator) -> Decorator:
    """Return one decorator for several options, which help shows in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def in_bytes(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an option's number of bytes; a callback for click."""
    from ..host.text import parse_bytes

    try:
        return None if value is None else parse_bytes(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param=parameter) from None


def _side(names: Callable[[str], list[str]], of_what: str) -> Decorator:
    """Return the four options of a side.

    Args:
        names: makes an option's names for click of what it is about.
        of_what: how help goes on, with a space before.
    """
    return together(
        click.option(
            *names("creds"),
            metavar="USER:PASSWORD",
            help=f"Login{of_what}; - reads a line from standard input.",
        ),
        click.option(*names("authfile"), metavar="FILE", help=f"Auth file{of_what}."),
        click.option(*names("tls-verify"), type=bool, metavar="BOOL", help=f"Demand TLS and check it{of_what}."),
        click.option(*names("cert-dir"), metavar="DIR", help=f"Certificates (*.crt, *.cert, *.key){of_what}."),
    )


def side_options(side: str, what: str) -> Decorator:
    """Return the four options of one side.

    Args:
        side: `base`, `final`, `dest` or `src`.
        what: what it is, for the help.
    """
    return _side(lambda name: [f"--{side}-{name}"], f" for {what}")


src_options = side_options("src", "the registry that ARCHIVE is in")
"""The four options of the registry that archives are read from."""


def _of_any_side(name: str) -> list[str]:
    """Name an option as all sides do, too, so that flags of a command can be tried as they are."""
    return [f"--{name}", *(f"--{side}-{name}" for side in ("base", "final", "dest")), name.replace("-", "_")]


any_side_options = _side(_of_any_side, "")
"""The four options of a side that may be any, for commands that ask one registry."""

common_options = together(
    click.option("--json", is_flag=True, help="Print the result as one JSON object."),
    click.option("--quiet", "-q", is_flag=True, help="Say nothing but the result."),
    click.option("--debug", is_flag=True, help="Show each call of skopeo, and what it said."),
)
"""What every command has."""

anonymous_option = click.option(
    "--anonymous",
    is_flag=True,
    help="Keep names of repositories and tags out of the archive; a bundle's images keep theirs.",
)

tmpdir_option = click.option("--tmpdir", metavar="DIR", help="Folder for temporary files.")

_skopeo_option = click.option(
    "--skopeo", default="skopeo", metavar="PATH", help="The skopeo to run.", show_default=True
)

_policy_options = together(
    click.option("--policy", metavar="FILE", help="Signature policy in place of the system's."),
    click.option("--insecure-policy", is_flag=True, help="Accept images without asking the signature policy."),
)

asking_options = together(
    _skopeo_option,
    tmpdir_option,
    _policy_options,
    click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=30.0,
        metavar="SECONDS",
        show_default=True,
        help="How long an answer may take.",
    ),
)
"""What commands have that ask, and move no layer."""

skopeo_options = together(
    click.option("--authfile", metavar="FILE", help="Auth file for sides that have none of their own."),
    tmpdir_option,
    click.option(
        "--retry-times",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Try again where the link fails: so often in a row without progress.",
        show_default=True,
    ),
    click.option(
        "--retry-delay",
        type=click.FloatRange(min=0, max=60),
        default=1.0,
        metavar="SECONDS",
        help="Pause before the first retry; each further one is twice as long, up to a minute.",
        show_default=True,
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=600.0,
        metavar="SECONDS",
        help="End a copy that moves no bytes for so long, and an answer that takes so long; 0 never does.",
        show_default=True,
    ),
    _policy_options,
    click.option(
        "--preserve-digests/--no-preserve-digests",
        default=True,
        help="Demand that the image stays as it is, or let skopeo convert it.",
        show_default=True,
    ),
    _skopeo_option,
)
"""What commands have that move layers."""

delta_memory_option = click.option(
    "--delta-memory",
    callback=in_bytes,
    metavar="SIZE",
    help="Memory that making changes, or layers of them, may take, 1Gi by default.",
)

delta_options = together(
    click.option(
        "--delta",
        is_flag=True,
        help="Let new layers travel as their change, or repacked, where that saves enough.",
    ),
    click.option(
        "--delta-effort",
        type=click.Choice(EFFORTS),
        help="How much work goes into changes: what takes longer becomes smaller.",
    ),
    click.option(
        "--delta-min-saving",
        type=click.FloatRange(0, 100),
        metavar="PERCENT",
        help="What a change must save of its layer, else that travels whole: 10 by default.",
    ),
    delta_memory_option,
)


expect_option = click.option(
    "--expect-sha256",
    multiple=True,
    metavar="HEX",
    help="What ARCHIVE hashes to, else stop; repeated for each volume, or archive of a chain, in their order.",
)
"""What tells archives from others that somebody has put in their places."""


def base_option(help_text: str) -> Decorator:
    """Return the option that names bases."""
    return click.option("--base", "-b", multiple=True, metavar="REF", help=help_text)


base_daemon_option = click.option(
    "--base-daemon-host", metavar="HOST", help="Where Docker listens, for docker-daemon: as a base."
)

holding_bases = together(
    base_option("Where layers come from that the destination lacks; may be repeated."),
    side_options("base", "the bases"),
    base_daemon_option,
)
"""The bases of a push, and the options of their side."""

bundle_options = together(
    click.option(
        "--only",
        multiple=True,
        metavar="NAME",
        help="Of a bundle, only images of this name, with or without its tag; *, ? and [] as in a shell.",
    ),
    click.option("--map", "names", multiple=True, metavar="OLD=NEW", help="Call a bundle's image NEW there."),
)
"""What chooses from a bundle."""


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    metavar="N",
    help="Work on so many images at a time: 10 by default, 1 where retries are wanted.",
)
"""How many images of a bundle, or children of a list, are worked on side by side."""


def fail_fast_option(when: str) -> Decorator:
    """Return the option to stop early."""
    return click.option("--fail-fast", is_flag=True, help=f"Stop at the first image of a bundle {when}.")
