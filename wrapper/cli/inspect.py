"""The command `inspect`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import MissingLayersError
from .options import any_side_options, asking_options, common_options, src_options


@click.command()
@click.argument("archive")
@click.option("--for", "for_", metavar="REF", help="Ask this base or destination for what ARCHIVE leaves out.")
@click.option("--report", metavar="FILE", help="Write a page about ARCHIVE there, as HTML in one file.")
@asking_options
@any_side_options
@src_options
@common_options
def inspect(archive: str, for_: str | None, report: str | None, **options: Any) -> int:
    """List what ARCHIVE holds and what it leaves out, without any network.

    With --for, also whether a base or a destination has what is left out; nothing is written there.

    ARCHIVE may stand in a registry, as docker://HOST/NAME:TAG, and is fetched then.
    """
    from .calls import as_final, incremental_of
    from .show import show_inspect

    result = incremental_of(as_final(options)).inspect(archive, for_, checksum=bool(report))
    if report:
        from .page import write_page

        write_page(result, archive, report)
    show_inspect(result, sys.stdout, as_json=options["json"])
    return MissingLayersError.code if result.missing else 0
