"""The command `diff`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .completion import files
from .help import OUTPUT, Command, option
from .options import anonymous_option, common_options, delta_options, output_option, tmpdir_option


@click.command(
    cls=Command,
    short_help="Make the difference of two archives, without a network.",
    exit_codes=(4, 6),
    examples=(
        (
            "Write the difference of two whole archives",
            "skopeo-incremental diff app-1.tar app-2-whole.tar -o app-2.tar",
        ),
        (
            "Write changed layers as deltas",
            "skopeo-incremental diff app-1.tar app-2-whole.tar --delta -o app-2.tar",
        ),
        ("Show what changed between two releases", "skopeo-incremental diff release-1.tar release-2.tar --dry-run"),
    ),
)
@click.argument("old", shell_complete=files)
@click.argument("new", shell_complete=files)
@output_option("difference")
@option(OUTPUT, "--dry-run", is_flag=True, help="Only show what changed.")
@anonymous_option
@delta_options
@tmpdir_option
@common_options
def diff(old: str, new: str, output: str | None, **options: Any) -> None:
    """Write the archive NEW without the layers that the images of the archive OLD have. This needs no network.

    With --delta, new layers are stored as deltas against those of OLD. In two bundles, images with the same
    name are compared, whatever their tags are.
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
