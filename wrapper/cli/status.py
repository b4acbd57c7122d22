"""The command `status`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .completion import files
from .help import IMAGES, Command, option
from .options import asking_options, common_options, login_options


@click.command(
    cls=Command,
    short_help="Show what sites have of a release, by their receipts.",
    exit_codes=(4, 5, 6),
    examples=(
        (
            "Show what two sites have of release 2",
            "skopeo-incremental status release-2.json \\\n    --site berlin.json --site oslo.json",
        ),
        (
            "Name the images that Oslo does not have yet",
            "skopeo-incremental status release-2.json --site oslo.json --json | \\\n"
            "    jq -r '.sites[].images[] | select(.state != \"same\").name'",
        ),
        (
            "Ask a vendor's registry that wants a login",
            "skopeo-incremental status release-2.json --site oslo.json \\\n    --final-authfile vendor-auth.json",
        ),
    ),
)
@click.argument("spec", shell_complete=files)
@option(
    IMAGES,
    "--site",
    "sites",
    multiple=True,
    required=True,
    metavar="FILE",
    shell_complete=files,
    help="Receipt of a site, as push --receipt wrote it. May be repeated.",
)
@login_options("final")
@asking_options
@common_options
def status(spec: str, sites: tuple[str, ...], **options: Any) -> None:
    """Show which images of SPEC each site has: the same, an older one, or none. Nothing is written anywhere.

    Registries are asked for the digests of tags only. If all images in SPEC have digests, no network is needed. One
    platform of a multi-architecture image counts as the image, unless SPEC has "all" or "platforms" for it. If SPEC
    has a digest, a site has the image only if it has exactly this digest.

    Images that a site has and SPEC does not have are listed, too. They are never removed. The table has the first
    twelve digits of digests; --json has them whole.
    """
    from .calls import incremental_of
    from .show import show_status

    show_status(incremental_of(options).status(spec, sites), sys.stdout, as_json=options["json"])
