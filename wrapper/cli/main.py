"""The command line: the commands as one program, failures to messages and exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, cast

import click

from ..errors import LIMITS, HostError, IncrementalError, UsageError
from ..host.signals import disarm
from .help import HELP, Group, option
from .signals import CancelledError, Terminated, TerminatedError, end_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

NAME = "skopeo-incremental"
PREFIX = "SKOPEO_INCREMENTAL"

_NO_MEMORY = "there is not enough memory"
_LIMITED = (errno.EAGAIN, errno.ENOMEM)

_COMMANDS = (
    "pull",
    "vet",
    "push",
    "mirror-config",
    "inspect",
    "complete",
    "diff",
    "spec",
    "status",
    "kit",
    "doctor",
)
"""Each command is a function in the file of its name, with `_` for `-`. Help has them in this order."""


class _Commands(Mapping[str, click.Command]):
    """The commands by name. A file is read when its command is asked for: all others would only cost time."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in _COMMANDS:
            raise KeyError(name)
        place = name.replace("-", "_")
        return cast("click.Command", getattr(import_module(f".{place}", __package__), place))

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from .version import line

        click.echo(line(NAME))
        context.exit()


@click.group(
    name=NAME,
    cls=Group,
    exit_codes=(3, 4, 5, 6),
    examples=(
        (
            "On the vendor's side: pull release 2 for a site that has release 1",
            f"{NAME} pull vendor.example/app:2 --base vendor.example/app:1 \\\n    -o app-2.tar",
        ),
        (
            "At the site: check that nothing is missing, and write nothing",
            f"{NAME} vet app-2.tar registry.example/app:2",
        ),
        ("At the site: push it", f"{NAME} push app-2.tar registry.example/app:2"),
    ),
    # click wants a mapping that it could add to, and adds nothing.
    commands=cast("MutableMapping[str, click.Command]", _Commands()),
    context_settings={
        "auto_envvar_prefix": PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@option(
    HELP,
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show this program's version and skopeo's, and exit.",
)
def cli() -> None:
    """Move container images as the difference to what the other side already has.

    Images are named as in skopeo: docker://HOST/NAME:TAG, or HOST/NAME:TAG for short. Every option can also be set
    in the environment: SKOPEO_INCREMENTAL_PULL_BASE_CREDS is "pull --base-creds".
    """


def main() -> NoReturn:
    """Run the command line and exit with the code that `docs/reference/exit-codes.md` gives."""
    end_on_signals()
    # Python has None where a stream was closed before it began.
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        sys.stderr.write("error: standard output is closed, but the result goes there\n")
        os._exit(HostError.code)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is done is done: a name that the terminal's character set lacks must not make it a failure.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:])
    except (KeyboardInterrupt, Terminated) as problem:
        # It came in the moment in which another end was told of.
        code = TerminatedError.code if isinstance(problem, Terminated) else CancelledError.code
    except (MemoryError, SystemError):
        # Not even for the message there was enough.
        code = HostError.code
        os.write(sys.stderr.fileno(), b"error: " + _NO_MEMORY.encode() + b"\n")
    with suppress(OSError):
        sys.stderr.flush()
    # Everything is closed by now; to take the interpreter down in good order would cost a tenth of a small pull.
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; whatever goes wrong is said here, once.

    Args:
        arguments: the command line, without the program's name.
    """
    try:
        code = cli.main(arguments, prog_name=NAME, standalone_mode=False) or 0
        sys.stdout.flush()
        # What was done is done: a signal that comes now is too late.
        disarm()
        return code
    except click.exceptions.NoArgsIsHelpError as problem:
        if _wants_json(arguments):
            return _fail(arguments, problem, UsageError("no command was given", f"see {NAME} --help"))
        problem.show()
        return UsageError.code
    except click.ClickException as problem:
        context = problem.ctx if isinstance(problem, click.UsageError) else None
        # click does not always say whose options are wrong.
        command = context.command_path if context else f"{NAME} {_command(arguments)}".rstrip()
        step = f"see {command} --help"
        return _fail(arguments, problem, UsageError(problem.format_message(), step))
    except IncrementalError as problem:
        return _fail(arguments, problem, problem)
    except (KeyboardInterrupt, click.Abort) as problem:
        return _fail(arguments, problem, CancelledError("interrupted", "run the same command again"))
    except Terminated as problem:
        return _fail(arguments, problem, TerminatedError("terminated", "run the same command again"))
    except OSError as problem:
        step = LIMITS if problem.errno in _LIMITED else "check where standard output and standard error go"
        return _fail(arguments, problem, HostError(f"{problem.strerror or problem}", step))
    except (MemoryError, SystemError) as problem:
        # Python's own calls fail with the latter where memory ends.
        problem.__traceback__ = None
        return _fail(arguments, problem, HostError(_NO_MEMORY, LIMITS))
    except ImportError as problem:
        step = "allow more memory (ulimit -v), or install the program again"
        return _fail(arguments, problem, HostError(f"a part of the program can't be loaded: {problem}", step))
    except UnicodeEncodeError as problem:
        step = "rename the files, or set LC_ALL=C.UTF-8"
        return _fail(
            arguments, problem, HostError(f"a name has characters that {problem.encoding} can't express", step)
        )
    except Exception as problem:
        if str(problem) == "can't start new thread":
            return _fail(arguments, problem, HostError("can't start another thread", LIMITS))
        step = "this is a bug: run the command again with --debug, and report it"
        return _fail(arguments, problem, IncrementalError(f"{type(problem).__name__}: {problem}", step))


def _fail(arguments: list[str], problem: BaseException, error: IncrementalError) -> int:
    disarm()
    from .show import show_error

    if "--debug" in arguments and type(error) is IncrementalError:
        import traceback

        traceback.print_exception(problem)
    # What cannot be said is still told by the exit code.
    with suppress(OSError):
        show_error(error, sys.stdout if _wants_json(arguments) else None)
    return error.code


def _wants_json(arguments: list[str]) -> bool:
    """Say whether JSON is wanted, before click knows: a usage error must be JSON too."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    variable = os.environ.get(f"{PREFIX}_{_command(arguments).upper().replace('-', '_')}_JSON", "")
    return "--json" in options or variable.lower() in ("1", "true", "t", "yes", "y", "on")


def _command(arguments: list[str]) -> str:
    return next((argument for argument in arguments if argument in _COMMANDS), "")
