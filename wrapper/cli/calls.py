"""From options, as click has parsed them, to calls of the library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import BundleError, UsageError
from ..host.late import import_later
from .progress import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO, TextIO

    from ..delta.options import DeltaOptions
    from ..incremental import Incremental
    from ..skopeo.access import Access
    from ..source.options import CacheOptions


_Result = TypeVar("_Result")


def with_failure(kind: type[_Result], call: Callable[[], _Result]) -> tuple[_Result, BundleError | None]:
    """Make a call of which something is to be shown also where images of a bundle failed.

    Args:
        kind: what it returns, or an error brings as its `result`.
        call: the call.

    Returns:
        What it returned or the error brought, and that error, if there was one.

    Raises:
        IncrementalError: there is nothing to be shown but the error.
    """
    try:
        return call(), None
    except BundleError as error:
        if not isinstance(error.result, kind):
            raise
        return error.result, error


def incremental_of(options: Mapping[str, Any], **more: Any) -> Incremental:
    """Make what does the work.

    Args:
        options: the command's options; what it does not have is as the library has it by default.
        more: further arguments, as they are.
    """
    from ..incremental import Incremental
    from ..skopeo.access import Authentications
    from ..skopeo.options import LinkOptions
    from ..source.options import SignatureOptions

    # Results are shown when skopeo has run.
    import_later(f"{__package__}.show")
    return Incremental(
        authentications=Authentications(*_accesses(options)),
        on_event=display(options),
        temp_dir=options.get("tmpdir"),
        skopeo=options.get("skopeo", "skopeo"),
        preserve_digests=options.get("preserve_digests", True),
        signatures=SignatureOptions(
            options.get("remove_signatures", False),
            options.get("with_signatures", False) or options.get("signatures") or False,
            tuple(options.get("referrers", ())),
            tuple(options.get("referrers_from", ())),
        ),
        cache=_cache_options(options),
        deltas=_delta_options(options),
        anonymous=options.get("anonymous", False),
        link=LinkOptions(
            options.get("retry_times", 0),
            options.get("retry_delay", 1.0),
            options.get("timeout") or None,
        ),
        jobs=options.get("jobs"),
        trace=(lambda line: click.echo(line, err=True)) if options["debug"] else None,
        **more,
    )


def new_names(options: Mapping[str, Any]) -> dict[str, str]:
    """Read what images of a bundle are to be called, by what they are called in it.

    Raises:
        click.UsageError: a pair is malformed.
    """
    names = {}
    for pair in options["names"]:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise click.UsageError(f"--map '{pair}' is not OLD=NEW.")
        names[old] = new
    return names


def require_archive(archives: Sequence[str], destination: str) -> None:
    """Demand both an archive and a destination: what stands alone is taken for the latter.

    Raises:
        click.UsageError: there is one alone.
    """
    from ..oci.mistakes import FOLDER
    from ..oci.reference import file_meant

    if archives:
        *_, last = found = [file_meant(each) for each in (*archives, destination)]
        if last and last.kind != FOLDER and all(file and file.exists for file in found):
            raise click.UsageError(f"Missing argument 'DESTINATION': {destination} is {last.kind}.")
        return
    if file_meant(destination):
        raise click.UsageError(f"Missing argument 'DESTINATION': {destination} is the archive.")
    raise click.UsageError(f"Missing argument 'ARCHIVE': {destination} is the destination.")


def require_output(output: str | None, options: Mapping[str, Any]) -> None:
    """Demand a place for the archive, unless nothing is to be done.

    Raises:
        click.UsageError: there is none.
    """
    if output is None and not options["dry_run"]:
        raise click.UsageError("Give --output FILE (or -), or --dry-run.")


def where_to(output: str | None, options: Mapping[str, Any]) -> tuple[str | BinaryIO | None, TextIO]:
    """Return where an archive goes, and where its result is shown: standard output can't take both.

    Raises:
        click.UsageError: the archive can't go there.
    """
    if output == "":
        raise click.UsageError("--output needs a file's name.")
    if output != "-":
        return output, sys.stdout
    if options["json"]:
        raise click.UsageError("--json can't be used with --output -: the archive goes to standard output.")
    if sys.stdout.isatty():
        raise click.UsageError("Standard output is a terminal: redirect it, or give --output FILE.")
    return sys.stdout.buffer, sys.stderr


def _cache_options(options: Mapping[str, Any]) -> CacheOptions | None:
    if not options.get("cache_dir"):
        return None
    from ..source.options import CacheOptions

    return CacheOptions(options["cache_dir"], options["cache_max_size"])


def _delta_options(options: Mapping[str, Any]) -> DeltaOptions:
    from ..delta.options import DeltaOptions

    given = {name: options.get(f"delta_{name}") for name in ("effort", "min_saving", "memory")}
    said = {name: value for name, value in given.items() if value is not None}
    return DeltaOptions(enabled=options.get("delta", False), **said)


def _accesses(options: Mapping[str, Any]) -> Iterator[Access]:
    """Say how each side is reached: by its own options, else by those for all sides.

    Lines of standard input are read in this order: that of all sides, base, final, dest, src.
    """
    from ..skopeo.access import Access

    everywhere = {name: options.get(name) for name in ("creds", "authfile", "tls_verify", "cert_dir")}
    everywhere["creds"] = _login("--creds", everywhere["creds"])
    for side in ("base", "final", "dest", "src"):
        if f"{side}_creds" not in options:
            yield Access()
            continue
        own = {name: options[f"{side}_{name}"] for name in everywhere if options[f"{side}_{name}"] is not None}
        if "creds" in own:
            own["creds"] = _login(f"--{side}-creds", own["creds"])
        # A side's auth file is its login: that of all sides would count before it.
        shared = everywhere | {"creds": None} if "authfile" in own else everywhere
        yield Access(
            **shared | own,
            policy=options["policy"],
            insecure_policy=options["insecure_policy"],
            daemon_host=options.get(f"{side}_daemon_host"),
        )


def _login(option: str, creds: str | None) -> str | None:
    """Return a login; where it is `-`, the next line of standard input."""
    if creds != "-":
        return creds
    if sys.stdin and sys.stdin.isatty():
        return str(click.prompt(f"{option}, as user:password", hide_input=True, err=True))
    try:
        line = sys.stdin.readline() if sys.stdin else ""
    except UnicodeDecodeError:
        # What it was is nobody's business.
        raise UsageError(f"{option} is -, but standard input is not UTF-8") from None
    if not line:
        raise UsageError(f"{option} is -, but standard input has no line for it")
    return line.rstrip("\r\n")
