"""The command `push`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .completion import files, folders
from .help import ADVANCED, IMAGES, OUTPUT, Command, option
from .options import (
    bundle_options,
    common_options,
    delta_memory_option,
    expect_option,
    fail_fast_option,
    holding_bases,
    jobs_option,
    login_options,
    skopeo_options,
)


@click.command(
    cls=Command,
    short_help="Push an archive to a registry or another destination.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        (
            "Push an archive to a registry that has its base",
            "skopeo-incremental push app-2.tar docker://registry.example/team/app:2",
        ),
        (
            "Push all images of a bundle, and note what the registry has then",
            "skopeo-incremental push release-2.tar registry.example/mirror \\\n    --receipt receipt.json",
        ),
        (
            "Push to a folder, with the layers of an earlier archive",
            "skopeo-incremental push app-2.tar oci:images:app-2 --base oci-archive:app-1.tar",
        ),
    ),
)
@click.argument("archive", nargs=-1, metavar="ARCHIVE...", shell_complete=files)
@click.argument("destination")
@bundle_options
@fail_fast_option("that fails. Otherwise the others are still pushed")
@jobs_option
@expect_option
@holding_bases
@option(IMAGES, "--additional-tag", multiple=True, metavar="TAG", help="Also push this tag. May be repeated.")
@option(IMAGES, "--no-overwrite-tag", is_flag=True, help="Stop if a tag already points to another image.")
@option(
    IMAGES,
    "--verify",
    is_flag=False,
    flag_value="manifests",
    type=click.Choice(["manifests", "layers"]),
    help="Read the image back before a tag points to it: manifests and configs, or every layer, too. The default "
    "value is manifests.",
)
@option(IMAGES, "--as-delta", is_flag=True, help="Store ARCHIVE itself at DESTINATION, for others to read.")
@option(
    OUTPUT,
    "--receipt",
    metavar="FILE",
    shell_complete=files,
    help="Write to this file what the destination has after the push. If the file already is a receipt of the same "
    "registry, the push adds to it. The next pull takes it as a base.",
)
@option(
    OUTPUT,
    "--mirror-config",
    metavar="DIR",
    shell_complete=folders,
    help="Write files to this folder that make clusters pull the bundle's images from DESTINATION. Needs --spec.",
)
@option(
    OUTPUT,
    "--spec",
    metavar="FILE",
    shell_complete=files,
    help="The spec that the bundle was pulled with, for --mirror-config.",
)
@option(OUTPUT, "--dry-run", is_flag=True, help="Check everything and write nothing.")
@option(ADVANCED, "--dest-daemon-host", metavar="HOST", help="Address of the Docker daemon, for docker-daemon:.")
@login_options("base", "dest", "src")
@delta_memory_option
@skopeo_options
@common_options
def push(archive: tuple[str, ...], destination: str, **options: Any) -> int:
    """Push ARCHIVE to DESTINATION. Either DESTINATION or a base must have every layer that ARCHIVE leaves out.

    Several archives are a chain: each was made from the one before, and the oldest comes first. A registry gets all
    of them. The last one gets the name DESTINATION. The others keep their own tags if DESTINATION has no tag;
    otherwise they are pushed by digest. Other destinations get only the last one.

    Each image of a bundle goes to DESTINATION/NAME, where NAME is its name in the bundle.

    ARCHIVE may also be in a registry, as docker://HOST/NAME:TAG, where "push --as-delta" stored it.
    """
    from ..results import PushResult
    from .calls import incremental_of, new_names, require_archive, with_failure
    from .show import show_push

    require_archive(archive, destination)
    result, failure = with_failure(
        PushResult,
        lambda: incremental_of(options).push(
            archive,
            destination,
            base=options["base"],
            additional_tags=options["additional_tag"],
            overwrite_tag=not options["no_overwrite_tag"],
            dry_run=options["dry_run"],
            receipt=options["receipt"],
            only=options["only"],
            names=new_names(options),
            fail_fast=options["fail_fast"],
            expect_sha256=options["expect_sha256"],
            as_delta=options["as_delta"],
            mirror_config=options["mirror_config"],
            spec=options["spec"],
            verify=options["verify"],
        ),
    )
    show_push(result, sys.stdout, as_json=options["json"], dry_run=options["dry_run"], failure=failure)
    return failure.code if failure else 0
