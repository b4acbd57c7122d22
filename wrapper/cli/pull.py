"""The command `pull`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .completion import architectures, files, folders, systems, variants
from .help import IMAGES, LINK, OUTPUT, Command, option
from .options import (
    UNITS,
    anonymous_option,
    base_daemon_option,
    base_option,
    common_options,
    delta_options,
    fail_fast_option,
    in_bytes,
    jobs_option,
    login_options,
    output_option,
    skopeo_options,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_bundle_options = together(
    option(
        IMAGES,
        "--spec",
        metavar="FILE",
        shell_complete=files,
        help="Pull the images that this JSON or YAML file lists, as one bundle: see skopeo-incremental-spec(5).",
    ),
    option(
        IMAGES,
        "--base-spec",
        metavar="FILE",
        shell_complete=files,
        help="Spec of an earlier bundle that the other side already has.",
    ),
    fail_fast_option("that cannot be read"),
    jobs_option,
)

_site_options = together(
    option(
        IMAGES,
        "--for-site",
        multiple=True,
        metavar="FILE",
        shell_complete=files,
        help="Receipt of a site that is to get the archive. May be repeated: the archive then serves all of them.",
    ),
    option(
        OUTPUT,
        "--sent-ledger",
        metavar="FILE",
        shell_complete=files,
        help="Add the images to this list of what was sent. --base sent:FILE reads it.",
    ),
)

_cache_options = together(
    option(
        LINK,
        "--cache-dir",
        metavar="DIR",
        shell_complete=folders,
        help="Keep fetched layers in this folder, and reuse them from there.",
    ),
    option(
        LINK,
        "--cache-max-size",
        callback=in_bytes,
        metavar="SIZE",
        help="Maximum size of the cache, such as 20G. Layers that were not used for longest are removed first. "
        f"{UNITS}",
    ),
)

SIGNATURES = ("required", "if-present", "no")
"""As `source.options` has them, which takes long to import."""

_signature_options = together(
    option(
        IMAGES,
        "--signatures",
        type=click.Choice(SIGNATURES),
        help="Include the images' cosign tags and referrers tags: required (having none of them is an error), "
        "if-present, or no. Default: no.",
    ),
    option(IMAGES, "--with-signatures", is_flag=True, help="The same as --signatures required."),
    option(
        IMAGES,
        "--with",
        "referrers",
        multiple=True,
        metavar="REF@DIGEST",
        help="Include this referrer, named by its digest. May be repeated.",
    ),
    option(
        IMAGES,
        "--with-from",
        "referrers_from",
        multiple=True,
        metavar="FILE",
        shell_complete=files,
        help="Include the referrers that this file lists, as oras discover (JSON) or cosign tree print it. May be "
        "repeated.",
    ),
    option(
        IMAGES, "--remove-signatures", is_flag=True, help="Leave out signatures that an archive cannot contain."
    ),
)

_platform_options = together(
    option(IMAGES, "--all", is_flag=True, help="Pull all platforms of a multi-architecture image."),
    option(
        IMAGES,
        "--platform",
        multiple=True,
        metavar="OS/ARCH[/VARIANT]",
        help="Pull only these platforms of a multi-architecture image, such as linux/amd64,linux/arm64. The image "
        "keeps its digest, even with one platform; the others are absent. May be repeated.",
    ),
    option(
        IMAGES,
        "--override-os",
        metavar="OS",
        shell_complete=systems,
        help="Operating system to choose, such as linux. Default: that of this machine.",
    ),
    option(
        IMAGES,
        "--override-arch",
        metavar="ARCH",
        shell_complete=architectures,
        help="Architecture to choose, such as arm64. Default: that of this machine.",
    ),
    option(
        IMAGES,
        "--override-variant",
        metavar="VARIANT",
        shell_complete=variants,
        help="Architecture variant to choose, such as v7.",
    ),
)


@click.command(
    cls=Command,
    short_help="Pull what the other side lacks of an image into an archive.",
    exit_codes=(4, 5, 6),
    examples=(
        (
            "Pull release 2 for a site that has release 1",
            "skopeo-incremental pull vendor.example/app:2 --base vendor.example/app:1 \\\n    -o app-2.tar",
        ),
        (
            "Show how much that would be, and pull nothing",
            "skopeo-incremental pull vendor.example/app:2 --base vendor.example/app:1 \\\n    --dry-run",
        ),
        (
            "Pull all images of a release as one bundle, with changed layers as deltas",
            "skopeo-incremental pull --spec release-2.json --base-spec release-1.json \\\n"
            "    --delta -o release-2.tar",
        ),
    ),
)
@click.argument("final", nargs=-1, metavar="[FINAL]")
@base_option("Image that the other side already has.")
@_bundle_options
@_site_options
@_platform_options
@_signature_options
@output_option("archive")
@option(OUTPUT, "--dry-run", is_flag=True, help="Only show how much would be fetched.")
@anonymous_option
@_cache_options
@delta_options
@login_options("final", "base")
@base_daemon_option
@skopeo_options
@common_options
def pull(final: tuple[str, ...], base: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Pull image FINAL, or all images of a --spec, into an archive without the layers that the bases have.

    Without --base the archive is whole. The format of a spec is described in skopeo-incremental-spec(5).
    """
    from .calls import incremental_of, require_output, where_to
    from .show import show_pull

    spec, dry_run = options["spec"], options["dry_run"]
    _check_images(final, options)
    _check_signatures(options)
    require_output(output, options)
    where, out = (None, sys.stdout) if dry_run else where_to(output, options)
    incremental = incremental_of(options, **_architectures(options))
    several = {"base": base, "earlier": options["base_spec"], "fail_fast": options["fail_fast"]}
    sites = {"for_site": options["for_site"]}
    if dry_run:
        plan = (
            incremental.plan_bundle(spec, **several, **sites) if spec else incremental.plan(base, final[0], **sites)
        )
        show_pull(plan, out, as_json=options["json"])
        return
    more = {**sites, "output": where, "sent_ledger": options["sent_ledger"]}
    with (
        incremental.pull_bundle(spec, **several, **more) if spec else incremental.pull(base, final[0], **more)
    ) as archive:
        show_pull(archive.result, out, as_json=options["json"])


def _check_images(final: tuple[str, ...], options: Mapping[str, Any]) -> None:
    if len(final) > 1:
        one, *others = final
        bases = " ".join(f"--base {other}" for other in others)
        raise click.UsageError(f"Unexpected argument '{others[0]}': bases come with --base, as in {one} {bases}.")
    if bool(final) != (options["spec"] is None):
        raise click.UsageError("Give either FINAL or --spec FILE.")
    if options["spec"] is None and (options["base_spec"] or options["fail_fast"]):
        raise click.UsageError("--base-spec and --fail-fast go with --spec.")


def _check_signatures(options: Mapping[str, Any]) -> None:
    if options["with_signatures"] and options["signatures"] not in (None, SIGNATURES[0]):
        raise click.UsageError(f"--with-signatures contradicts --signatures {options['signatures']}.")


def _architectures(options: Mapping[str, Any]) -> dict[str, Any]:
    """Say what to take of a multi-architecture image."""
    from ..oci.platforms import Platform, wanted_platform

    overrides = (options["override_os"], options["override_arch"], options["override_variant"])
    if options["all"] and any(overrides):
        raise click.UsageError("--all takes every platform: leave out --override-os, -arch and -variant.")
    platforms = [Platform.parse(each) for text in options["platform"] for each in text.split(",")]
    if platforms and (options["all"] or any(overrides)):
        raise click.UsageError(
            "--platform keeps an image as it is, with these platforms: leave out --all, --override-os, -arch and "
            "-variant."
        )
    return {
        "platforms": platforms,
        "all_architectures": options["all"],
        "platform": wanted_platform(*overrides) if any(overrides) else None,
    }
