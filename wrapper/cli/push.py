"""The command `push`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import BundleError
from .options import (
    bundle_options,
    common_options,
    delta_memory_option,
    expect_option,
    fail_fast_option,
    holding_bases,
    jobs_option,
    side_options,
    skopeo_options,
    src_options,
)


@click.command()
@click.argument("archive", nargs=-1, metavar="ARCHIVE...")
@click.argument("destination")
@bundle_options
@fail_fast_option("that fails; else the others are pushed")
@jobs_option
@expect_option
@holding_bases
@click.option("--additional-tag", multiple=True, metavar="TAG", help="A further tag; may be repeated.")
@click.option("--no-overwrite-tag", is_flag=True, help="Stop where a tag points to another image.")
@click.option("--receipt", metavar="FILE", help="Write there what the destination has then: the next pull's base.")
@click.option("--as-delta", is_flag=True, help="Store ARCHIVE itself there, for others to read.")
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--dest-daemon-host", metavar="HOST", help="Where Docker listens, for docker-daemon:.")
@side_options("dest", "the destination")
@src_options
@delta_memory_option
@skopeo_options
@common_options
def push(archive: tuple[str, ...], destination: str, **options: Any) -> int:
    """Push ARCHIVE to DESTINATION, which must have every layer that it leaves out, or a base must.

    Of a chain of archives, each made from the one before, the oldest comes first. A registry gets them all: the
    last as DESTINATION says, the others under their own tags where DESTINATION has none, else by digest. Other
    destinations get the last one.

    Of a bundle each image goes to DESTINATION/NAME, its name in the bundle.

    ARCHIVE may stand in a registry, as docker://HOST/NAME:TAG, where push --as-delta has stored it.
    """
    from .calls import incremental_of, new_names, require_archive
    from .show import show_push

    require_archive(archive, destination)
    failure = None
    try:
        result = incremental_of(options).push(
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
        )
    except BundleError as error:
        if error.result is None:
            raise
        result, failure = error.result, error
    show_push(result, sys.stdout, as_json=options["json"], dry_run=options["dry_run"], failure=failure)
    return failure.code if failure else 0
