"""The command `vet`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import MissingLayersError
from .options import (
    bundle_options,
    common_options,
    delta_memory_option,
    expect_option,
    holding_bases,
    jobs_option,
    side_options,
    skopeo_options,
    src_options,
)


@click.command()
@click.argument("archive")
@click.argument("destination", required=False)
@bundle_options
@jobs_option
@expect_option
@holding_bases
@side_options("dest", "the destination")
@src_options
@delta_memory_option
@skopeo_options
@common_options
def vet(archive: str, destination: str | None, **options: Any) -> int:
    """Check ARCHIVE, and whether DESTINATION, or a base, has every layer that it leaves out.

    Without DESTINATION the archive alone is checked, without any network.

    ARCHIVE may stand in a registry, as docker://HOST/NAME:TAG, and is fetched then.
    """
    from .calls import incremental_of, new_names
    from .show import show_vet

    result = incremental_of(options).push_vet(
        archive,
        destination,
        base=options["base"],
        only=options["only"],
        names=new_names(options),
        expect_sha256=options["expect_sha256"],
    )
    show_vet(result, sys.stdout, as_json=options["json"])
    return MissingLayersError.code if result.missing else 0
