"""The command `diff`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import anonymous_option, common_options, delta_options, tmpdir_option


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--output", "-o", metavar="FILE", help="Where it goes; - is standard output.")
@click.option("--dry-run", is_flag=True, help="Only say what changed.")
@anonymous_option
@delta_options
@tmpdir_option
@common_options
def diff(old: str, new: str, output: str | None, **options: Any) -> None:
    """Make the difference of the archives OLD and NEW: NEW without the layers of OLD's images. No network.

    With --delta, new layers travel as their change from OLD's. Of two bundles, images of one name are compared,
    whatever their tags are.
    """
    from .calls import incremental_of, require_output, where_to
    from .show import show_pull

    require_output(output, options)
    incremental = incremental_of(options)
    if options["dry_run"]:
        show_pull(incremental.diff_plan(old, new), sys.stdout, as_json=options["json"])
        return
    where, out = where_to(output, options)
    with incremental.diff(old, new, output=where) as archive:
        show_pull(archive.result, out, as_json=options["json"])
