"""The commands `kit export` and `kit import`: they run the scripts in `wrapper/kit`, which people can read."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from click.core import ParameterSource

from .completion import files, folders, volume_sizes
from .help import ADVANCED, IMAGES, LOGIN, OUTPUT, Command, Group, Option
from .options import UNITS
from .pull import pull
from .push import push

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SCRIPTS = Path(__file__).parents[1] / "kit"


def _options_of(command: click.Command, *without: str) -> list[click.Parameter]:
    """Return the options of another command, but for those of some names."""
    return [each for each in command.params if isinstance(each, click.Option) and each.name not in without]


# The bundle, its place and its result are the kit's own.
_PULL = _options_of(pull, "spec", "output", "dry_run")
# A kit is on a disk.
_SRC = ("src_creds", "src_authfile", "src_tls_verify", "src_cert_dir")
# The script says what the archive hashes to; without --check it pushes, and writes the receipt.
_PUSH = _options_of(
    push,
    "expect_sha256",
    "as_delta",
    "additional_tag",
    "dry_run",
    "receipt",
    *_SRC,
)

_EXPORT: list[click.Parameter] = [
    click.Argument(["spec"], shell_complete=files),
    click.Argument(["folder"], metavar="DIR", shell_complete=folders),
    Option(
        ["--volume-size"],
        group=OUTPUT,
        metavar="SIZE",
        shell_complete=volume_sizes,
        help="Cut the archive into volumes of this size, such as 700M or 4GiB. fat32 is 4294967295 bytes and dvd "
        f"is 4600000000. {UNITS}",
    ),
    Option(["--sign"], group=OUTPUT, metavar="KEY", help="Sign the kit with this gpg key."),
    Option(
        ["--self-contained"],
        group=OUTPUT,
        is_flag=True,
        help="Add this program to the kit, for a machine that only has skopeo and Python.",
    ),
    Option(
        ["--target"],
        group=OUTPUT,
        multiple=True,
        metavar="VER-ARCH",
        help="Add this program for machines with this Python and processor, such as 3.11-x86_64. May be repeated. "
        "Default: those of this machine.",
    ),
]

_IMPORT: list[click.Parameter] = [
    click.Argument(["folder"], metavar="DIR", shell_complete=folders),
    click.Argument(["destination"], metavar="PREFIX"),
    Option(["--check"], group=IMAGES, is_flag=True, help="Check the kit and the destination, and push nothing."),
    Option(
        ["--receipt"],
        group=OUTPUT,
        metavar="FILE",
        shell_complete=files,
        help="Write to this file what the registry has after the push. Default: receipt.json.",
    ),
    Option(
        ["--keyring"],
        group=LOGIN,
        metavar="FILE",
        shell_complete=files,
        help="Require a signature by a key in this file (gpg --export). Default: the keys that gpg knows.",
    ),
    Option(["--no-signature"], group=ADVANCED, is_flag=True, help="Do not check a signature."),
]


@click.group(
    cls=Group,
    short_help="Carry a bundle across an air gap in a folder with checksums.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        (
            "Make a kit on a disk with a FAT file system, and sign it",
            "skopeo-incremental kit export release-2.json /media/disk/kit \\\n"
            "    --base-spec release-1.json --volume-size fat32 --sign release@vendor.example",
        ),
        (
            "Check a kit, and push nothing",
            "skopeo-incremental kit import /media/disk/kit registry.example/mirror \\\n"
            "    --keyring vendor.gpg --check",
        ),
        (
            "Import a kit",
            "skopeo-incremental kit import /media/disk/kit registry.example/mirror \\\n    --keyring vendor.gpg",
        ),
    ),
)
def kit() -> None:
    """Carry a bundle of images across an air gap.

    A kit is a folder with the bundle, a page to approve, checksums, perhaps their signature, and a script that
    imports all of it. Both commands run POSIX shell scripts, airgap-export and airgap-import. Each kit contains
    airgap-import, so that its receiver can read that script and run it without this command.
    """


@kit.command(
    "export",
    cls=Command,
    params=[*_EXPORT, *_PULL],
    short_help="Pull a bundle into a new kit.",
    exit_codes=(4, 5, 6),
    examples=(
        (
            "Make a kit with what changed since release 1",
            "skopeo-incremental kit export release-2.json kit --base-spec release-1.json",
        ),
        (
            "Make a signed kit for disks with a FAT file system",
            "skopeo-incremental kit export release-2.json /media/disk/kit \\\n"
            "    --volume-size fat32 --sign release@vendor.example",
        ),
        (
            "Make a kit that contains this program, for two kinds of machines",
            "skopeo-incremental kit export release-2.json kit \\\n    --target 3.11-x86_64 --target 3.13-aarch64",
        ),
    ),
)
def export_kit(spec: str, folder: str, **_options: object) -> NoReturn:
    """Pull the images of SPEC into DIR, a new folder: the kit.

    The format of SPEC is described in skopeo-incremental-spec(5). See "skopeo-incremental pull --help" for what
    can be pulled.
    """
    _run("airgap-export", [spec, folder], _EXPORT, _PULL, ("pull",))


@kit.command(
    "import",
    cls=Command,
    params=[*_IMPORT, *_PUSH],
    short_help="Check a kit and push its images.",
    exit_codes=(3, 4, 5, 6),
    examples=(
        (
            "Import a kit that must be signed by a key of the vendor",
            "skopeo-incremental kit import /media/disk/kit docker://registry.example/mirror \\\n"
            "    --keyring vendor.gpg",
        ),
        (
            "Check a kit and the registry, and push nothing",
            "skopeo-incremental kit import /media/disk/kit registry.example/mirror --check",
        ),
        (
            "Import some images, with a login of its own",
            "skopeo-incremental kit import /media/disk/kit registry.example/mirror \\\n"
            "    --only 'team/*' --dest-authfile auth.json",
        ),
    ),
)
def import_kit(folder: str, destination: str, **_options: object) -> NoReturn:
    """Check the kit in DIR, then push each of its images to PREFIX/NAME.

    PREFIX is docker://REGISTRY/PATH. First the signature and the checksum of every file are checked; nothing is
    pushed where one of them is wrong. DIR is not written to.

    After a failure the same command can be run again: what has arrived is not sent twice. Carry the receipt back:
    the next kit is the difference to it.
    """
    _run("airgap-import", [folder, destination], _IMPORT, _PUSH, ("push", "vet"))


def _run(
    script: str,
    arguments: list[str],
    own: Sequence[click.Parameter],
    passed_on: Sequence[click.Parameter],
    commands: Sequence[str],
) -> NoReturn:
    """Become the script: signals, standard input and the exit code are its own then.

    Args:
        script: its name.
        arguments: its arguments.
        own: its parameters.
        passed_on: the options that it passes on to other commands.
        commands: those commands.
    """
    context = click.get_current_context()
    words = ["sh", str(_SCRIPTS / script), *arguments, *_words(context, own), *_words(context, passed_on)]
    # Python ignores it, and what it becomes would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvpe(words[0], words, _environment(context, passed_on, commands))  # noqa: S606


def _words(context: click.Context, parameters: Sequence[click.Parameter]) -> Iterator[str]:
    """Write the options of the command line as words again, but for logins."""
    for option in parameters:
        name = str(option.name)
        if not isinstance(option, click.Option) or not _is_given(context, name) or _is_login(name):
            continue
        value = context.params[name]
        if option.is_flag:
            yield option.opts[0] if value else option.secondary_opts[0]
            continue
        for each in value if option.multiple else [value]:
            yield f"{option.opts[0]}={each}"


def _environment(
    context: click.Context, passed_on: Sequence[click.Parameter], commands: Sequence[str]
) -> dict[str, str]:
    """Say how this program is started, and hand over logins: as arguments, others could read them."""
    environment = dict(os.environ)
    environment.setdefault("SKOPEO_INCREMENTAL_KIT_PYTHON", sys.executable)
    if not environment.get("SKOPEO_INCREMENTAL") and (program := _program()):
        environment["SKOPEO_INCREMENTAL"] = program
    for option in passed_on:
        name = str(option.name)
        if _is_login(name) and _is_given(context, name):
            for command in commands:
                environment[f"SKOPEO_INCREMENTAL_{command}_{name}".upper()] = context.params[name]
    return environment


def _is_given(context: click.Context, name: str) -> bool:
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return context.get_parameter_source(name) in sources


def _is_login(name: str) -> bool:
    return name.endswith("creds")


def _program() -> str | None:
    """Return the path of this program; None where it was not installed as one."""
    import shutil
    import sysconfig

    installed = Path(sysconfig.get_path("scripts"), "skopeo-incremental")
    return shutil.which(os.path.abspath(sys.argv[0])) or shutil.which(installed)  # noqa: PTH100 - links stay
