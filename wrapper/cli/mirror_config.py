"""The command `mirror-config`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .completion import booleans, files, folders
from .help import IMAGES, LOGIN, OUTPUT, Command, option
from .options import Boolean, bundle_options, common_options


@click.command(
    cls=Command,
    short_help="Write files that make clusters pull from a mirror.",
    exit_codes=(4, 5, 6),
    examples=(
        (
            "Make clusters pull the images of a bundle from where it was pushed",
            "skopeo-incremental mirror-config release-2.tar registry.example/mirror \\\n"
            "    --spec release-2.json -o mirror-config",
        ),
        (
            "The same for images that were pushed under other names",
            "skopeo-incremental mirror-config release-2.tar registry.example/mirror \\\n"
            "    --spec release-2.json --map team/app=apps/app -o mirror-config",
        ),
        (
            "The same for a registry without TLS",
            "skopeo-incremental mirror-config release-2.tar registry.example:5000 \\\n"
            "    --spec release-2.json --dest-tls-verify false -o mirror-config",
        ),
    ),
)
@click.argument("archive", nargs=-1, metavar="ARCHIVE...", shell_complete=files)
@click.argument("destination")
@option(
    IMAGES,
    "--spec",
    required=True,
    metavar="FILE",
    shell_complete=files,
    help="The spec that the bundle was pulled with: it says where the images come from.",
)
@bundle_options
@option(
    OUTPUT,
    "--output",
    "-o",
    required=True,
    metavar="DIR",
    shell_complete=folders,
    help="Folder for the files. Other files there stay as they are.",
)
@option(
    LOGIN,
    "--dest-tls-verify",
    "--tls-verify",
    type=Boolean(),
    metavar="BOOL",
    shell_complete=booleans,
    help="Whether clients require TLS and verify certificates of DESTINATION: true or false.",
)
@common_options
def mirror_config(archive: tuple[str, ...], destination: str, **options: Any) -> int:
    """Write files that make clusters and hosts pull the images of a bundle from DESTINATION, by their old names.

    They are for podman, CRI-O and skopeo (registries.conf.d), containerd (certs.d), OpenShift (openshift), and k3s
    and RKE2 (k3s). mapping.txt has each image as SOURCE=DESTINATION. No registry is asked.

    ARCHIVE... and DESTINATION are those of the push. "push --mirror-config" writes the same files.
    """
    from ..skopeo.access import Access
    from .calls import incremental_of, new_names, require_archive
    from .show import show_mirror_config

    require_archive(archive, destination)
    access = Access(tls_verify=options["dest_tls_verify"])
    result = incremental_of(options, push_auth=access).mirror_config(
        archive,
        destination,
        options["spec"],
        options["output"],
        only=options["only"],
        names=new_names(options),
    )
    show_mirror_config(result, sys.stdout, as_json=options["json"])
    return 0
