"""The exceptions, each with its exit code and what to do next."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .results import MissingLayer, PushResult


FREE_SPACE = "free some space, or choose another folder with --tmpdir or --output"

TOO_LARGE = (
    "its file system takes no file of that size: choose another with --output or --tmpdir, or cut the archive into "
    "volumes, as airgap-export --volume-size fat32 does"
)


LENGTH = 2_000
"""How long a message is at most, in characters."""


LIMITS = "allow more processes and memory (ulimit -u, ulimit -v, pids.max), or less at a time with --jobs 1"


def one_line(text: str) -> str:
    """Return `text` with everything that is not printable escaped.

    Names and messages come from registries and archives: none of them may move a cursor or forge a line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def brief(text: str) -> str:
    """Return `text` as one line of bounded length: what it quotes may be as long as its maker liked.

    Its end stays, where skopeo and registries say why.
    """
    # Twice: to escape all of a long one takes much memory, and makes a short one long.
    return _shortened(one_line(_shortened(text)))


def _shortened(text: str) -> str:
    return text if len(text) <= LENGTH else f"{text[: LENGTH // 2 - 5]} ... {text[-LENGTH // 2 :]}"


class IncrementalError(Exception):
    """Anything that this package raises on purpose.

    Attributes:
        code: the exit code of the command line.
        message: what is wrong, with which reference or digest; one line.
        next_step: what to do about it; one line, empty where there is nothing to say.
    """

    code: int = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        """Keep `message` and `next_step`, each made one printable line that is not too long."""
        self.message = brief(message)
        self.next_step = brief(next_step)
        super().__init__(self.message)


class UsageError(IncrementalError):
    """What was asked for makes no sense: a malformed reference, an unknown platform, no such archive."""

    code = 2


class MissingLayersError(IncrementalError):
    """The destination lacks layers that the archive leaves out; nothing was written.

    Attributes:
        missing: the layers, each with the bases that would bring it.
        names: what people call the bases, by their digests, as far as the archive says.
    """

    code = 3

    def __init__(
        self,
        message: str,
        missing: tuple[MissingLayer, ...],
        next_step: str = "",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the `missing` layers and the `names` beside the message."""
        super().__init__(message, next_step)
        self.missing = missing
        self.names = dict(names or {})


class BundleError(IncrementalError):
    """Images of a bundle failed; the exit code is that of the first in the bundle's order.

    Attributes:
        failures: the name of each, and what was wrong.
        result: what was done all the same; None where nothing was.
    """

    result: PushResult | None = None

    def __init__(self, done: str, failures: Sequence[tuple[str, IncrementalError]], count: int) -> None:
        """Keep the failures.

        Args:
            done: what could not be done, such as "pushed".
            failures: the name of each image that failed, and what was wrong, in the bundle's order; at least one.
            count: how many images there are.
        """
        name, first = failures[0]
        message = f"{len(failures)} of {count} images could not be {done}; {name}: {first.message}"
        super().__init__(message, first.next_step)
        self.failures = tuple(failures)
        self.code = first.code


class ContentError(IncrementalError):
    """Bytes that are not what they should be: digest, size, schema, a broken or hostile archive."""

    code = 4


class RegistryError(IncrementalError):
    """skopeo or a registry failed: login, network, TLS, policy, an answer that says neither yes nor no."""

    code = 5


class NotFoundError(RegistryError):
    """The registry answered, and has no such image or repository."""


class NoRepositoryError(NotFoundError):
    """The registry answered, and has no such repository."""


class DeniedError(RegistryError):
    """The registry wants a login, or another one; some say so, too, of a repository that does not exist."""


class HiddenError(DeniedError):
    """The registry has it, but something on the way keeps it from being asked for as skopeo does."""


class SignaturesError(RegistryError):
    """skopeo found signatures that an archive can't take along."""


class LinkError(RegistryError):
    """A failure that may pass: the connection was cut or timed out, or the registry had an error of its own.

    Attributes:
        retry_after: how many seconds the registry wants us to wait; 0 where it did not say.
    """

    retry_after: float = 0.0


class BusyError(LinkError):
    """The registry, or what stands before it, wants fewer requests, or fewer at a time."""


class HostError(IncrementalError):
    """The machine that we run on: skopeo missing or too old, disk full, a folder that can't be written."""

    code = 6


class DiskFullError(HostError):
    """A file system has no room left, or the disk quota is used up."""


@contextmanager
def host_errors(doing: str) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `HostError` that says what we were doing.

    Args:
        doing: the start of the message, such as "cannot write /media/disk/app.tar".
    """
    try:
        yield
    except OSError as error:
        message = f"{doing}: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(message, FREE_SPACE) from error
        if error.errno == errno.EFBIG:
            raise HostError(message, TOO_LARGE) from error
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            raise HostError(message, LIMITS) from error
        if error.errno == errno.EPIPE:
            raise HostError(message, "whatever read the output has gone away") from error
        raise HostError(message, "check that the folder exists and may be written") from error
