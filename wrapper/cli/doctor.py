"""The command `doctor`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import any_side_options, asking_options, common_options


@click.command()
@click.argument("reference", required=False, metavar="[IMAGE]")
@asking_options
@any_side_options
@common_options
def doctor(reference: str | None, **options: Any) -> int:
    """Find what could keep pull and push from working, and say what to do.

    With IMAGE its registry is asked too: whether it answers, speaks TLS as expected, and accepts the login.
    """
    from ..doctor import exit_code
    from .calls import as_final, incremental_of
    from .show import show_doctor

    result = incremental_of(as_final(options)).doctor(reference)
    show_doctor(result, sys.stdout, as_json=options["json"])
    return exit_code(result)
