"""The command `pull`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .options import (
    base_daemon_option,
    base_option,
    common_options,
    delta_options,
    fail_fast_option,
    in_bytes,
    jobs_option,
    side_options,
    skopeo_options,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_bundle_options = together(
    click.option("--spec", metavar="FILE", help="Pull the images that this file names into one bundle."),
    click.option("--base-spec", metavar="FILE", help="What the other side has: the bundle that this file names."),
    fail_fast_option("that can't be read"),
    jobs_option,
)

_cache_options = together(
    click.option("--cache-dir", metavar="DIR", help="Keep layers there as they arrive, and take them from there."),
    click.option(
        "--cache-max-size",
        callback=in_bytes,
        metavar="SIZE",
        help="Bytes that the cache may hold, such as 20G: what was not used for longest goes first.",
    ),
)

_signature_options = together(
    click.option(
        "--remove-signatures", is_flag=True, help="Leave behind signatures that an archive can't take along."
    ),
    click.option(
        "--with-signatures",
        is_flag=True,
        help="Take along cosign's tags and the referrers' tag of the image; that there is none is an error.",
    ),
    click.option(
        "--with",
        "referrers",
        multiple=True,
        metavar="REF@DIGEST",
        help="Take along this referrer by its digest; may be repeated.",
    ),
)

_platform_options = together(
    click.option("--all", is_flag=True, help="Take a multi-architecture image whole."),
    click.option("--override-os", metavar="OS", help="Choose this operating system from a list."),
    click.option("--override-arch", metavar="ARCH", help="Choose this processor from a list."),
    click.option("--override-variant", metavar="VARIANT", help="Choose this processor variant from a list."),
)


@click.command()
@click.argument("final", nargs=-1, metavar="[FINAL]")
@base_option("What the other side has; may be repeated.")
@_bundle_options
@click.option("--output", "-o", metavar="FILE", help="Where the archive goes; - is standard output.")
@click.option("--dry-run", is_flag=True, help="Only say how much would be fetched.")
@_cache_options
@_signature_options
@delta_options
@_platform_options
@side_options("final", "the final image")
@side_options("base", "the bases")
@base_daemon_option
@skopeo_options
@common_options
def pull(final: tuple[str, ...], base: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Pull the difference between bases and FINAL, or of all images of a --spec, into an archive."""
    from .calls import incremental_of, require_output, where_to
    from .show import show_pull

    spec, dry_run = options["spec"], options["dry_run"]
    _check_images(final, options)
    require_output(output, options)
    where, out = (None, sys.stdout) if dry_run else where_to(output, options)
    incremental = incremental_of(options, **_architectures(options))
    several = {"base": base, "earlier": options["base_spec"], "fail_fast": options["fail_fast"]}
    if dry_run:
        plan = incremental.plan_bundle(spec, **several) if spec else incremental.plan(base, final[0])
        show_pull(plan, out, as_json=options["json"])
        return
    with (
        incremental.pull_bundle(spec, **several, output=where)
        if spec
        else incremental.pull(base, final[0], output=where)
    ) as archive:
        show_pull(archive.result, out, as_json=options["json"])


def _check_images(final: tuple[str, ...], options: Mapping[str, Any]) -> None:
    if len(final) > 1:
        one, *others = final
        bases = " ".join(f"--base {other}" for other in others)
        raise click.UsageError(f"Unexpected argument '{others[0]}': bases come with --base, as in {one} {bases}.")
    if bool(final) != (options["spec"] is None):
        raise click.UsageError("Give FINAL, or --spec FILE.")
    if options["spec"] is None and (options["base_spec"] or options["fail_fast"]):
        raise click.UsageError("--base-spec and --fail-fast go with --spec.")


def _architectures(options: Mapping[str, Any]) -> dict[str, Any]:
    """Say what to take of a multi-architecture image."""
    from ..oci.platforms import wanted_platform

    overrides = (options["override_os"], options["override_arch"], options["override_variant"])
    if options["all"] and any(overrides):
        raise click.UsageError("--all takes every platform: leave out --override-os, -arch and -variant.")
    return {
        "all_architectures": options["all"],
        "platform": wanted_platform(*overrides) if any(overrides) else None,
    }
