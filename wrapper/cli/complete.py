"""The command `complete`."""

from __future__ import annotations

from typing import Any

import click

from .completion import files
from .help import OUTPUT, Command, option
from .options import (
    base_daemon_option,
    base_option,
    common_options,
    delta_memory_option,
    login_options,
    skopeo_options,
)


@click.command(
    cls=Command,
    short_help="Make an archive whole, with layers of its bases.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        (
            "Make an archive that needs nothing at its destination",
            "skopeo-incremental complete app-2.tar --base registry.example/team/app:1 \\\n    -o app-2-whole.tar",
        ),
        (
            "Take the missing layers from an earlier archive, without a network",
            "skopeo-incremental complete app-2.tar --base oci-archive:app-1.tar \\\n    -o app-2-whole.tar",
        ),
        (
            "Make the last archive of a chain whole, and load it into podman",
            "skopeo-incremental complete app-1.tar app-2.tar app-3.tar -o - | podman load",
        ),
    ),
)
@click.argument("archive", nargs=-1, required=True, shell_complete=files)
@base_option("Image or archive that has the missing layers.")
@option(
    OUTPUT,
    "--output",
    "-o",
    required=True,
    metavar="FILE",
    shell_complete=files,
    help="File to write the whole archive to; - is standard output.",
)
@login_options("base", "src")
@base_daemon_option
@delta_memory_option
@skopeo_options
@common_options
def complete(archive: tuple[str, ...], base: tuple[str, ...], output: str, **options: Any) -> None:
    """Add the layers that ARCHIVE leaves out. The result can be pushed to a destination that has no layers at all.

    Several archives are a chain: each was made from the one before. The oldest comes first, and the last is made
    whole.
    """
    from .calls import incremental_of, where_to
    from .show import show_pull

    where, out = where_to(output, options)
    with incremental_of(options).complete(archive, base, output=where) as whole:
        show_pull(whole.result, out, as_json=options["json"])
