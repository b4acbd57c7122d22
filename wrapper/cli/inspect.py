"""The command `inspect`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import MissingLayersError
from .completion import files
from .help import IMAGES, OUTPUT, Command, option
from .options import any_side_options, archive_login_options, asking_options, common_options


@click.command(
    cls=Command,
    short_help="Show what an archive contains and what it leaves out.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        ("Show the images and layers of an archive", "skopeo-incremental inspect app-2.tar"),
        (
            "Write a page about a release, to have it approved",
            "skopeo-incremental inspect release-2.tar --report release-2.html",
        ),
        (
            "Ask a registry whether it has what the archive leaves out",
            "skopeo-incremental inspect app-2.tar --for docker://registry.example/team/app:1",
        ),
    ),
)
@click.argument("archive", shell_complete=files)
@option(IMAGES, "--for", "for_", metavar="REF", help="Ask this base or destination for what ARCHIVE leaves out.")
@option(
    IMAGES,
    "--from",
    "registry",
    metavar="PREFIX",
    help="With --as-spec: registry, or a part of it, that has the images. A receipt has its destination.",
)
@option(
    OUTPUT,
    "--as-spec",
    is_flag=True,
    help="Write a spec with the images of ARCHIVE, as the command spec does. ARCHIVE may also be a receipt.",
)
@option(
    OUTPUT,
    "--report",
    metavar="FILE",
    shell_complete=files,
    help="Write a page about ARCHIVE to this file, as self-contained HTML.",
)
@asking_options
@any_side_options
@archive_login_options
@common_options
def inspect(
    archive: str, for_: str | None, registry: str | None, report: str | None, *, as_spec: bool, **options: Any
) -> int:
    """Show the images and layers that ARCHIVE contains, and the layers that it leaves out.

    This needs no network. With --as-spec, the spec of these images is written instead. With --for, a base or a
    destination is asked whether it has what is left out; nothing is written there.

    ARCHIVE may also be in a registry, as docker://HOST/NAME:TAG. It is then fetched.
    """
    from .calls import incremental_of
    from .show import show_inspect, show_spec

    if as_spec:
        if for_ or report or archive.startswith("docker://"):
            raise click.UsageError("--as-spec needs ARCHIVE as a file, and goes without --for and --report.")
        made = incremental_of(options).spec_from(archive, registry=registry)
        show_spec(made, sys.stdout, as_json=options["json"])
        return 0
    if registry:
        raise click.UsageError("--from needs --as-spec.")
    result = incremental_of(options).inspect(archive, for_, checksum=bool(report))
    if report:
        from .page import write_page

        write_page(result, archive, report)
    show_inspect(result, sys.stdout, as_json=options["json"])
    return MissingLayersError.code if result.missing else 0
