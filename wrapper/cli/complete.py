"""The command `complete`."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    base_daemon_option,
    base_option,
    common_options,
    delta_memory_option,
    side_options,
    skopeo_options,
    src_options,
)


@click.command()
@click.argument("archive", nargs=-1, required=True)
@base_option("What has the layers; may be repeated.")
@click.option("--output", "-o", required=True, metavar="FILE", help="Where it goes; - is standard output.")
@side_options("base", "the bases")
@base_daemon_option
@src_options
@delta_memory_option
@skopeo_options
@common_options
def complete(archive: tuple[str, ...], base: tuple[str, ...], output: str, **options: Any) -> None:
    """Make ARCHIVE whole, with the layers of bases: an archive that needs nothing at its destination.

    Of a chain of archives, each made from the one before, the oldest comes first; the last is made whole.
    """
    from .calls import incremental_of, where_to
    from .show import show_pull

    where, out = where_to(output, options)
    with incremental_of(options).complete(archive, base, output=where) as whole:
        show_pull(whole.result, out, as_json=options["json"])
