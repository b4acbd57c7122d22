"""The command line: flags to calls, results to text or JSON, errors to exit codes."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import BundleError, HostError, IncrementalError, MissingLayersError, UsageError
from ..host.signals import disarm, interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from ..delta.options import DeltaOptions
    from ..incremental import Incremental
    from ..skopeo.access import Access
    from ..source.cache import CacheOptions

NAME = "skopeo-incremental"
PREFIX = "SKOPEO_INCREMENTAL"


_CLEANING_UP = 10.0
"""For how long after a signal further ones are passed over, in seconds."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: what is open is cleaned up on the way out."""


class CancelledError(IncrementalError):
    """Ctrl-C ended the command."""

    code = 130


class TerminatedError(IncrementalError):
    """SIGTERM or SIGHUP ended the command."""

    code = 143


def side_options(side: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the four options of one side.

    Args:
        side: `base`, `final` or `dest`.
        what: what it is, for the help.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                f"--{side}-cert-dir", metavar="DIR", help=f"Certificates (*.crt, *.cert, *.key) for {what}."
            ),
            click.option(
                f"--{side}-tls-verify", type=bool, metavar="BOOL", help=f"Demand TLS and check it for {what}."
            ),
            click.option(f"--{side}-authfile", metavar="FILE", help=f"Auth file for {what}."),
            click.option(
                f"--{side}-creds",
                metavar="USER:PASSWORD",
                help=f"Login for {what}; - reads a line from standard input.",
            ),
        ):
            command = option(command)
        return command

    return decorate


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command has."""
    for option in (
        click.option("--debug", is_flag=True, help="Show each call of skopeo, and what it said."),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing but the result."),
        click.option("--json", is_flag=True, help="Print the result as one JSON object."),
    ):
        command = option(command)
    return command


def _any_side(name: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return an option that has the names of all sides too, so that flags of a command can be tried as they are."""
    names = [f"--{name}", *(f"--{side}-{name}" for side in ("base", "final", "dest"))]
    return click.option(*names, name.replace("-", "_"), **more)


def any_side_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the four options of a side that may be any, for commands that ask one registry."""
    for option in (
        _any_side("cert-dir", metavar="DIR", help="Certificates (*.crt, *.cert, *.key)."),
        _any_side("tls-verify", type=bool, metavar="BOOL", help="Demand TLS and check it."),
        _any_side("authfile", metavar="FILE", help="Auth file."),
        _any_side("creds", metavar="USER:PASSWORD", help="Login; - reads a line from standard input."),
    ):
        command = option(command)
    return command


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that ask, and move no layer."""
    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(min=1),
            default=30.0,
            metavar="SECONDS",
            show_default=True,
            help="How long an answer may take.",
        ),
        click.option("--insecure-policy", is_flag=True, help="Accept images without asking the signature policy."),
        click.option("--policy", metavar="FILE", help="Signature policy in place of the system's."),
        click.option("--tmpdir", metavar="DIR", help="Folder for temporary files."),
        click.option("--skopeo", default="skopeo", metavar="PATH", help="The skopeo to run.", show_default=True),
    ):
        command = option(command)
    return command


def _as_final(options: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options of whatever side as those of the final image."""
    names = ("creds", "authfile", "tls_verify", "cert_dir")
    others = {name: value for name, value in options.items() if name not in names}
    return others | {f"final_{name}": options[name] for name in names} | {"authfile": None}


def _bytes(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from ..host.text import parse_bytes

    try:
        return None if value is None else parse_bytes(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param=parameter) from None


def skopeo_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that runs skopeo."""
    for option in (
        click.option("--skopeo", default="skopeo", metavar="PATH", help="The skopeo to run.", show_default=True),
        click.option(
            "--preserve-digests/--no-preserve-digests",
            default=True,
            help="Demand that the image stays as it is, or let skopeo convert it.",
            show_default=True,
        ),
        click.option("--insecure-policy", is_flag=True, help="Accept images without asking the signature policy."),
        click.option("--policy", metavar="FILE", help="Signature policy in place of the system's."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0),
            default=600.0,
            metavar="SECONDS",
            help="End a copy that moves no bytes for so long, and an answer that takes so long; 0 never does.",
            show_default=True,
        ),
        click.option(
            "--retry-delay",
            type=click.FloatRange(min=0, max=60),
            default=1.0,
            metavar="SECONDS",
            help="Pause before the first retry; each further one is twice as long, up to a minute.",
            show_default=True,
        ),
        click.option(
            "--retry-times",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Try again where the link fails: so often in a row without progress.",
            show_default=True,
        ),
        click.option("--tmpdir", metavar="DIR", help="Folder for temporary files."),
        click.option("--authfile", metavar="FILE", help="Auth file for sides that have none of their own."),
    ):
        command = option(command)
    return command


def delta_memory_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the bound of what making a layer of its change may take."""
    return click.option(
        "--delta-memory",
        callback=_bytes,
        metavar="SIZE",
        help="Memory that making a layer of its change may take, 1Gi by default.",
    )(command)


def fail_fast_option(when: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the option to stop early."""
    return click.option("--fail-fast", is_flag=True, help=f"Stop at the first image of a bundle {when}.")


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from .version import line

        click.echo(line(NAME))
        context.exit()


@click.group(
    name=NAME,
    context_settings={
        "auto_envvar_prefix": PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show this program's version and skopeo's, and exit.",
)
def cli() -> None:
    """Move container images as the difference to what the other side already has.

    IMAGE names are skopeo's: docker://HOST/NAME:TAG, or HOST/NAME:TAG for short. Every option can come from
    the environment too, such as SKOPEO_INCREMENTAL_PULL_BASE_CREDS.
    """


@cli.command()
@click.argument("final", required=False)
@click.option("--base", "-b", multiple=True, metavar="REF", help="What the other side has; may be repeated.")
@click.option("--spec", metavar="FILE", help="Pull the images that this file names into one bundle.")
@click.option("--base-spec", metavar="FILE", help="What the other side has: the bundle that this file names.")
@fail_fast_option("that can't be read")
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    metavar="N",
    help="Fetch so many images at a time: 3 by default, 1 where retries are wanted.",
)
@click.option("--output", "-o", metavar="FILE", help="Where the archive goes; - is standard output.")
@click.option("--dry-run", is_flag=True, help="Only say how much would be fetched.")
@click.option("--cache-dir", metavar="DIR", help="Keep layers there as they arrive, and take them from there.")
@click.option(
    "--cache-max-size",
    callback=_bytes,
    metavar="SIZE",
    help="Bytes that the cache may hold, such as 20G: what was not used for longest goes first.",
)
@click.option("--remove-signatures", is_flag=True, help="Leave behind signatures that an archive can't take along.")
@click.option(
    "--with-signatures",
    is_flag=True,
    help="Take along cosign's tags and the referrers' tag of the image; that there is none is an error.",
)
@click.option(
    "--with",
    "referrers",
    multiple=True,
    metavar="REF@DIGEST",
    help="Take along this referrer by its digest; may be repeated.",
)
@click.option("--delta", is_flag=True, help="Let new layers travel as their change, where that saves enough.")
@click.option(
    "--delta-level",
    type=click.IntRange(1, 22),
    metavar="N",
    help="zstd's level for changes, 1 to 22: 15 by default.",
)
@click.option(
    "--delta-min-saving",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="What a change must save of its layer, else that travels whole: 10 by default.",
)
@delta_memory_option
@click.option("--all", is_flag=True, help="Take a multi-architecture image whole.")
@click.option("--override-os", metavar="OS", help="Choose this operating system from a list.")
@click.option("--override-arch", metavar="ARCH", help="Choose this processor from a list.")
@click.option("--override-variant", metavar="VARIANT", help="Choose this processor variant from a list.")
@side_options("final", "the final image")
@side_options("base", "the bases")
@skopeo_options
@common_options
def pull(final: str | None, base: tuple[str, ...], output: str | None, **options: Any) -> None:
    """Pull the difference between bases and FINAL, or of all images of a --spec, into an archive."""
    from ..oci.platforms import wanted_platform
    from .show import show_pull

    spec = options["spec"]
    if (final is None) == (spec is None):
        raise click.UsageError("Give FINAL, or --spec FILE.")
    if spec is None and (options["base_spec"] or options["fail_fast"]):
        raise click.UsageError("--base-spec and --fail-fast go with --spec.")
    if output is None and not options["dry_run"]:
        raise click.UsageError("Give --output FILE (or -), or --dry-run.")
    to_stdout = not options["dry_run"] and _to_stdout(output, options)
    overrides = (options["override_os"], options["override_arch"], options["override_variant"])
    if options["all"] and any(overrides):
        raise click.UsageError("--all takes every platform: leave out --override-os, -arch and -variant.")
    incremental = _incremental(options, all_architectures=options["all"], platform=wanted_platform(*overrides))
    several = {"base": base, "earlier": options["base_spec"], "fail_fast": options["fail_fast"]}
    if options["dry_run"]:
        plan = incremental.plan_bundle(spec, **several) if spec else incremental.plan(base, str(final))
        show_pull(plan, sys.stdout, as_json=options["json"])
        return
    where = sys.stdout.buffer if to_stdout else output
    with (
        incremental.pull_bundle(spec, **several, output=where)
        if spec
        else incremental.pull(base, str(final), output=where)
    ) as archive:
        show_pull(archive.result, sys.stderr if to_stdout else sys.stdout, as_json=options["json"])


def holding_bases(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the bases of a push, and the four options of their side."""
    help_text = "Where layers come from that the destination lacks; may be repeated."
    return click.option("--base", "-b", multiple=True, metavar="REF", help=help_text)(
        side_options("base", "the bases")(command)
    )


def bundle_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what chooses from a bundle."""
    for option in (
        click.option("--map", "names", multiple=True, metavar="OLD=NEW", help="Call a bundle's image NEW there."),
        click.option(
            "--only",
            multiple=True,
            metavar="NAME",
            help="Of a bundle, only images of this name, with or without its tag; *, ? and [] as in a shell.",
        ),
    ):
        command = option(command)
    return command


def _names(options: Mapping[str, Any]) -> dict[str, str]:
    names = {}
    for pair in options["names"]:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise click.UsageError(f"--map '{pair}' is not OLD=NEW.")
        names[old] = new
    return names


@cli.command()
@click.argument("archive")
@click.argument("destination", required=False)
@bundle_options
@holding_bases
@side_options("dest", "the destination")
@delta_memory_option
@skopeo_options
@common_options
def vet(archive: str, destination: str | None, **options: Any) -> int:
    """Check ARCHIVE, and whether DESTINATION, or a base, has every layer that it leaves out.

    Without DESTINATION the archive alone is checked, without any network.
    """
    from .show import show_vet

    result = _incremental(options).push_vet(
        archive, destination, base=options["base"], only=options["only"], names=_names(options)
    )
    show_vet(result, sys.stdout, as_json=options["json"])
    return MissingLayersError.code if result.missing else 0


@cli.command()
@click.argument("archive", nargs=-1, required=True)
@click.argument("destination")
@bundle_options
@fail_fast_option("that fails; else the others are pushed")
@holding_bases
@click.option("--additional-tag", multiple=True, metavar="TAG", help="A further tag; may be repeated.")
@click.option("--no-overwrite-tag", is_flag=True, help="Stop where a tag points to another image.")
@click.option("--receipt", metavar="FILE", help="Write there what the destination has then: the next pull's base.")
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--dest-daemon-host", metavar="HOST", help="Where Docker listens, for docker-daemon:.")
@side_options("dest", "the destination")
@delta_memory_option
@skopeo_options
@common_options
def push(archive: tuple[str, ...], destination: str, **options: Any) -> int:
    """Push ARCHIVE to DESTINATION, which must have every layer that it leaves out, or a base must.

    Of a chain of archives, each made from the one before, the oldest comes first. A registry gets them all: the
    last as DESTINATION says, the others under their own tags where DESTINATION has none, else by digest. Other
    destinations get the last one.

    Of a bundle each image goes to DESTINATION/NAME, its name in the bundle.
    """
    from .show import show_push

    failure = None
    try:
        result = _incremental(options).push(
            archive,
            destination,
            base=options["base"],
            additional_tags=options["additional_tag"],
            overwrite_tag=not options["no_overwrite_tag"],
            dry_run=options["dry_run"],
            receipt=options["receipt"],
            only=options["only"],
            names=_names(options),
            fail_fast=options["fail_fast"],
        )
    except BundleError as error:
        if error.result is None:
            raise
        result, failure = error.result, error
    show_push(result, sys.stdout, as_json=options["json"], dry_run=options["dry_run"], failure=failure)
    return failure.code if failure else 0


@cli.command()
@click.argument("archive")
@click.option("--for", "for_", metavar="REF", help="Ask this base or destination for what ARCHIVE leaves out.")
@click.option("--report", metavar="FILE", help="Write a page about ARCHIVE there, as HTML in one file.")
@asking_options
@any_side_options
@common_options
def inspect(archive: str, for_: str | None, report: str | None, **options: Any) -> int:
    """List what ARCHIVE holds and what it leaves out, without any network.

    With --for, also whether a base or a destination has what is left out; nothing is written there.
    """
    from .show import show_inspect

    result = _incremental(_as_final(options)).inspect(archive, for_, checksum=bool(report))
    if report:
        from .page import write_page

        write_page(result, archive, report)
    show_inspect(result, sys.stdout, as_json=options["json"])
    return MissingLayersError.code if result.missing else 0


@cli.command()
@click.argument("archive", nargs=-1, required=True)
@click.option("--base", "-b", multiple=True, metavar="REF", help="What has the layers; may be repeated.")
@click.option("--output", "-o", required=True, metavar="FILE", help="Where it goes; - is standard output.")
@side_options("base", "the bases")
@delta_memory_option
@skopeo_options
@common_options
def complete(archive: tuple[str, ...], base: tuple[str, ...], output: str, **options: Any) -> None:
    """Make ARCHIVE whole, with the layers of bases: an archive that needs nothing at its destination.

    Of a chain of archives, each made from the one before, the oldest comes first; the last is made whole.
    """
    from .show import show_pull

    to_stdout = _to_stdout(output, options)
    where = sys.stdout.buffer if to_stdout else output
    with _incremental(options).complete(archive, base, output=where) as whole:
        show_pull(whole.result, sys.stderr if to_stdout else sys.stdout, as_json=options["json"])


@cli.command()
@click.argument("old")
@click.argument("new")
@click.option("--output", "-o", metavar="FILE", help="Where it goes; - is standard output.")
@click.option("--dry-run", is_flag=True, help="Only say what changed.")
@click.option("--tmpdir", metavar="DIR", help="Folder for temporary files.")
@common_options
def diff(old: str, new: str, output: str | None, **options: Any) -> None:
    """Make the difference of the archives OLD and NEW: NEW without the layers of OLD's images. No network.

    Of two bundles, images of one name are compared, whatever their tags are.
    """
    from .show import show_pull

    if output is None and not options["dry_run"]:
        raise click.UsageError("Give --output FILE (or -), or --dry-run.")
    incremental = _incremental(options)
    if options["dry_run"]:
        show_pull(incremental.diff_plan(old, new), sys.stdout, as_json=options["json"])
        return
    to_stdout = _to_stdout(output, options)
    with incremental.diff(old, new, output=sys.stdout.buffer if to_stdout else output) as archive:
        show_pull(archive.result, sys.stderr if to_stdout else sys.stdout, as_json=options["json"])


@cli.command()
@click.argument("reference", required=False, metavar="[IMAGE]")
@asking_options
@any_side_options
@common_options
def doctor(reference: str | None, **options: Any) -> int:
    """Find what could keep pull and push from working, and say what to do.

    With IMAGE its registry is asked too: whether it answers, speaks TLS as expected, and accepts the login.
    """
    from ..doctor import exit_code
    from .show import show_doctor

    result = _incremental(_as_final(options)).doctor(reference)
    show_doctor(result, sys.stdout, as_json=options["json"])
    return exit_code(result)


def _to_stdout(output: str | None, options: Mapping[str, Any]) -> bool:
    """Say whether an archive goes to standard output."""
    if output == "":
        raise click.UsageError("--output needs a file's name.")
    if output == "-" and options["json"]:
        raise click.UsageError("--json can't be used with --output -: the archive goes to standard output.")
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("Standard output is a terminal: redirect it, or give --output FILE.")
    return output == "-"


def _incremental(options: Mapping[str, Any], **more: Any) -> Incremental:
    from ..incremental import Incremental
    from ..skopeo.access import Authentications
    from ..skopeo.options import LinkOptions
    from ..source.signatures import SignatureOptions

    on_terminal = sys.stderr.isatty() and not options["quiet"]
    return Incremental(
        authentications=Authentications(*(_access(options, side) for side in ("base", "final", "dest"))),
        report_writer=None if options["quiet"] else sys.stderr,
        temp_dir=options.get("tmpdir"),
        skopeo=options.get("skopeo", "skopeo"),
        preserve_digests=options.get("preserve_digests", True),
        signatures=SignatureOptions(
            options.get("remove_signatures", False),
            options.get("with_signatures", False),
            tuple(options.get("referrers", ())),
        ),
        cache=_cache_options(options),
        deltas=_delta_options(options),
        link=LinkOptions(
            options.get("retry_times", 0),
            options.get("retry_delay", 1.0),
            options.get("timeout") or None,
            options.get("jobs"),
        ),
        progress=sys.stderr if on_terminal else None,
        trace=(lambda line: click.echo(line, err=True)) if options["debug"] else None,
        **more,
    )


def _cache_options(options: Mapping[str, Any]) -> CacheOptions | None:
    if not options.get("cache_dir"):
        return None
    from ..source.cache import CacheOptions

    return CacheOptions(options["cache_dir"], options["cache_max_size"])


def _delta_options(options: Mapping[str, Any]) -> DeltaOptions:
    from ..delta.options import DeltaOptions

    given = {name: options.get(f"delta_{name}") for name in ("level", "min_saving", "memory")}
    said = {name: value for name, value in given.items() if value is not None}
    return DeltaOptions(enabled=options.get("delta", False), **said)


def _access(options: Mapping[str, Any], side: str) -> Access:
    from ..skopeo.access import Access

    if f"{side}_creds" not in options:
        return Access()
    creds = options[f"{side}_creds"]
    return Access(
        creds=_read_creds(side) if creds == "-" else creds,
        authfile=options[f"{side}_authfile"] or options["authfile"],
        tls_verify=options[f"{side}_tls_verify"],
        cert_dir=options[f"{side}_cert_dir"],
        policy=options["policy"],
        insecure_policy=options["insecure_policy"],
        daemon_host=options.get(f"{side}_daemon_host"),
    )


def _read_creds(side: str) -> str:
    if sys.stdin and sys.stdin.isatty():
        return str(click.prompt(f"--{side}-creds, as user:password", hide_input=True, err=True))
    line = sys.stdin.readline() if sys.stdin else ""
    if not line:
        raise UsageError(f"--{side}-creds is -, but standard input has no line for it")
    return line.rstrip("\r\n")


def main() -> NoReturn:
    """Run the command line and exit with the code that README's table gives."""
    handler = _end_on_signal()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    # Python has None where a stream was closed before it began.
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        sys.stderr.write("error: standard output is closed, and the result goes there\n")
        os._exit(HostError.code)
    try:
        code = run(sys.argv[1:])
    except (KeyboardInterrupt, Terminated) as problem:
        # It came in the moment in which another end was told of.
        code = TerminatedError.code if isinstance(problem, Terminated) else CancelledError.code
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
        step = f"see {context.command_path if context else NAME} --help"
        return _fail(arguments, problem, UsageError(problem.format_message(), step))
    except IncrementalError as problem:
        return _fail(arguments, problem, problem)
    except (KeyboardInterrupt, click.Abort) as problem:
        return _fail(arguments, problem, CancelledError("interrupted", "run the same command again"))
    except Terminated as problem:
        return _fail(arguments, problem, TerminatedError("terminated", "run the same command again"))
    except OSError as problem:
        step = "check where standard output and standard error go"
        return _fail(arguments, problem, HostError(f"{problem.strerror or problem}", step))
    except Exception as problem:
        step = "this is a bug: run again with --debug, and report it"
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
    command = next((argument for argument in arguments if argument in cli.commands), "")
    variable = os.environ.get(f"{PREFIX}_{command.upper()}_JSON", "")
    return "--json" in options or variable.lower() in ("1", "true", "t", "yes", "y", "on")


def _end_on_signal() -> Callable[[int, FrameType | None], None]:
    """Return a handler that ends the command, and lets nobody disturb its clean-up."""
    own = os.getpid()
    first = -_CLEANING_UP

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != own:
            # Forked to become skopeo, and reached before it is: the clean-up is not its business.
            os._exit(255)
        if time.monotonic() - first < _CLEANING_UP:
            return
        first = time.monotonic()
        interrupt(KeyboardInterrupt() if number == signal.SIGINT else Terminated())

    return handle
