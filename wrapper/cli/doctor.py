"""The command `doctor`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .help import Command
from .options import any_side_options, asking_options, common_options


@click.command(
    cls=Command,
    short_help="Check this machine, and a registry, for what could go wrong.",
    exit_codes=(5, 6),
    examples=(
        ("Check skopeo, disk space, auth files and the signature policy", "skopeo-incremental doctor"),
        (
            "Check as well whether a registry answers and accepts the login",
            "skopeo-incremental doctor docker://registry.example/team/app:2",
        ),
        (
            "Try the options of a failed push",
            "skopeo-incremental doctor registry.example/team/app:2 \\\n"
            "    --dest-authfile auth.json --dest-cert-dir certs",
        ),
    ),
)
@click.argument("reference", required=False, metavar="[IMAGE]")
@asking_options
@any_side_options
@common_options
def doctor(reference: str | None, **options: Any) -> int:
    """Check this machine for everything that could make pull or push fail, and say what to do.

    With IMAGE its registry is checked too: whether it answers, speaks TLS as expected, and accepts the login.
    """
    from ..doctor import exit_code
    from .calls import incremental_of
    from .show import show_doctor

    result = incremental_of(options).doctor(reference)
    show_doctor(result, sys.stdout, as_json=options["json"])
    return exit_code(result)
