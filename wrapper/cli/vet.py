"""The command `vet`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import MissingLayersError
from .completion import files
from .help import IMAGES, Command, option
from .options import (
    bundle_options,
    common_options,
    delta_memory_option,
    expect_option,
    holding_bases,
    jobs_option,
    login_options,
    skopeo_options,
)


@click.command(
    cls=Command,
    short_help="Check an archive, and whether a destination can take it.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        ("Check that an archive is undamaged, without a network", "skopeo-incremental vet app-2.tar"),
        (
            "Check that a registry has every layer that the archive leaves out",
            "skopeo-incremental vet app-2.tar docker://registry.example/team/app:2",
        ),
        (
            "Read these layers, too: the registry's cache may be wrong",
            "skopeo-incremental vet app-2.tar docker://registry.example/team/app:2 --deep",
        ),
    ),
)
@click.argument("archive", shell_complete=files)
@click.argument("destination", required=False)
@bundle_options
@jobs_option
@expect_option
@holding_bases
@option(
    IMAGES,
    "--deep",
    is_flag=True,
    help="Also read from DESTINATION every layer that it says it has, and verify it. This fetches these layers.",
)
@login_options("base", "dest", "src")
@delta_memory_option
@skopeo_options
@common_options
def vet(archive: str, destination: str | None, **options: Any) -> int:
    """Check ARCHIVE, and whether DESTINATION or a base has every layer that it leaves out. Nothing is written.

    Without DESTINATION only the archive is checked, which needs no network.

    ARCHIVE may also be in a registry, as docker://HOST/NAME:TAG. It is then fetched.
    """
    from ..results import VetResult
    from .calls import incremental_of, new_names, with_failure
    from .show import show_vet

    result, failure = with_failure(
        VetResult,
        lambda: incremental_of(options).push_vet(
            archive,
            destination,
            base=options["base"],
            only=options["only"],
            names=new_names(options),
            expect_sha256=options["expect_sha256"],
            deep=options["deep"],
        ),
    )
    show_vet(result, sys.stdout, as_json=options["json"], failure=failure)
    if failure:
        return failure.code
    return MissingLayersError.code if result.missing else 0
