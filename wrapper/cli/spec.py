"""The command `spec`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .completion import files
from .help import IMAGES, OUTPUT, Command, option
from .options import asking_options, common_options, login_options

_YAML = (".yaml", ".yml")


@click.command(
    cls=Command,
    short_help="Write the spec of a bundle from manifests, charts and lists.",
    exit_codes=(4, 5, 6),
    examples=(
        ("Write a spec from a folder of manifests", "skopeo-incremental spec manifests -o release-2.json"),
        (
            "Write one from a rendered chart and a list, each tag with its digest",
            "skopeo-incremental spec rendered.yaml extra.txt --pin -o release-2.json",
        ),
        (
            "Write one from an archive, whose images are still at the vendor's",
            "skopeo-incremental spec release-1.tar --from vendor.example -o release-1.json",
        ),
    ),
)
@click.argument("sources", nargs=-1, required=True, metavar="FILE|FOLDER|-...", shell_complete=files)
@option(
    IMAGES,
    "--from",
    "registry",
    metavar="PREFIX",
    help="Registry, or a part of it, that has the images of archives and receipts. A receipt has its destination.",
)
@option(IMAGES, "--pin", is_flag=True, help="Ask registries for the digest of each tag, and write it as well.")
@option(
    OUTPUT,
    "--output",
    "-o",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="File to write the spec to. Default: standard output.",
)
@option(
    OUTPUT,
    "--format",
    "form",
    type=click.Choice(["json", "yaml"]),
    help="How to write the spec. Default: yaml if FILE ends in .yaml or .yml, otherwise json.",
)
@asking_options
@login_options("final")
@common_options
def spec(sources: tuple[str, ...], output: str, form: str | None, **options: Any) -> None:
    """Write the spec of a bundle, for "pull --spec", from files and folders that name images.

    These may be rendered Kubernetes manifests, Compose files, Helm charts (a folder or .tgz), plain lists of
    references, archives and receipts; - is standard input. A chart is rendered with its default values if helm is
    installed. Otherwise the images that it lists are taken.

    An image that a container starts by itself can't be known: an operator's, for example. Arguments, variables and
    fields that look like one are warnings. To add such images, give a list of them as a further FILE.

    The format of a spec is described in skopeo-incremental-spec(5).
    """
    from dataclasses import replace

    from .calls import incremental_of
    from .show import show_spec, spec_text

    form = _form(output, form)
    if "-" in sources and "-" in (options["creds"], options["final_creds"]):
        raise click.UsageError("Standard input can't be both FILE and a login: use --authfile.")
    if "-" in sources and sys.stdin is None:
        raise click.UsageError("Standard input is closed, but - is to read it.")
    given = [sys.stdin.buffer if source == "-" else source for source in sources]
    result = incremental_of(options).spec_from(*given, registry=options["registry"], pin=options["pin"])
    text = spec_text(result.spec) if form == "json" else _yaml(result.spec)
    if output != "-":
        result = replace(result, changed=_put(output, text.encode()))
    if options["json"]:
        show_spec(result, sys.stdout, as_json=True)
    elif output == "-":
        sys.stdout.write(text)


def _form(output: str, form: str | None) -> str:
    is_yaml = output.endswith(_YAML)
    if form == "yaml" and output != "-" and not is_yaml:
        raise click.UsageError("--format yaml needs a FILE that ends in .yaml or .yml: pull --spec looks at that.")
    return form or ("yaml" if is_yaml else "json")


def _yaml(spec: dict[str, Any]) -> str:
    try:
        import yaml
    except ImportError:
        from ..errors import UsageError

        step = "install skopeo-incremental[yaml], or write JSON"
        raise UsageError("a spec in YAML needs PyYAML, which is not installed", step) from None
    return str(yaml.safe_dump(spec, sort_keys=False, width=1000))


def _put(output: str, content: bytes) -> bool:
    """Write a file; say whether it is another one than before."""
    from pathlib import Path

    from ..errors import host_errors
    from ..host.outputs import is_stream, output_file

    path = Path(output)
    with host_errors(f"cannot write {output}"):
        changed = is_stream(path) or not path.is_file() or path.read_bytes() != content
        with output_file(path) as file:
            file.write(content)
    return changed
