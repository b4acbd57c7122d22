"""Runs skopeo, the only program that is run.

skopeo runs in our private folder and is given relative names: a colon anywhere in a layout's path would make
it write elsewhere, in silence.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import sh

from ..errors import BusyError, ContentError, HostError, IncrementalError, LinkError, RegistryError
from ..host.signals import check
from ..host.space import holds_sparse_files
from ..host.temporary import PrivateFolder, default_temp_dir, unwritable
from ..host.text import human_bytes, is_utf8
from .access import AuthFiles
from .messages import explain, fatal_message, unread
from .options import TIMEOUT, SkopeoOptions
from .process import NOISE, TICK, EarlyEndError, GreedyError, Run, StalledError, StallWatch
from .retry import Retries
from .runs import Question, Runs, no_answer, require_writable, starting
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from socket import socket

    from ..host.progress import Share
    from ..oci.reference import Reference
    from .access import Access

T = TypeVar("T")


OLDEST = (1, 9)
"""The oldest skopeo whose behaviour this package was built on."""

PARALLEL_COPIES = 10
"""How many copies go on at a time: each moves six layers at once, and waits for answers most of its time."""

NEAR = 0.15
"""Who answers a question in less than so many seconds is near: another run costs more than a few round trips."""

FAR = 0.3
"""Who takes more seconds than this for every answer is far: another run costs less than a few round trips."""

_MOST_THREADS = 32

_LEAST_SECONDS = 5.0
"""How long skopeo may take at least to say its version, in seconds: no link has a part in that."""

# For root the first is not enough; the second decides only where skopeo's cache, signatures and short names are.
_MEMORY_ONLY = {"XDG_DATA_HOME": os.devnull, "_CONTAINERS_ROOTLESS_UID": "1000"}

OWN_VARIABLES = "SKOPEO_INCREMENTAL_"
"""What the names of our own environment variables begin with; they don't reach skopeo."""


class Skopeo:
    """skopeo, with a private folder that lasts as long as this object is entered.

    Attributes:
        folder: the private folder: temporary files, and where skopeo runs.
        auth_files: the logins that skopeo is given.
        retries: whether and when to try again where a link fails.
        timeout: how long a copy may move no bytes, and one answer may take, in seconds; None for no limit.
        copies: how many copies go on at a time.
        turns: every copy takes one; questions have turns of their own.
    """

    folder: Path

    def __init__(self, options: SkopeoOptions | None = None, temp_dir: Path | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            options: which skopeo runs, and how; what is on PATH by default.
            temp_dir: where the private folder is made if the options don't say, and if files can be sparse there;
                else TMPDIR, else /var/tmp, since /tmp is often memory and layers are large.
        """
        options = options or SkopeoOptions()
        path, link = options.path, options.link
        self._path = os.path.abspath(path) if "/" in path else path  # noqa: PTH100 - keeps symbolic links
        self._chosen = options.temp_dir is not None
        self._temp_dir = options.temp_dir or temp_dir or default_temp_dir()
        self._trace = options.trace
        self._report = options.report
        self.retries = Retries(link.retry_times, link.retry_delay, options.report, self._pause)
        self.timeout = link.timeout
        self.copies = options.jobs or (1 if link.retry_times else PARALLEL_COPIES)
        self.turns = Turns(self.copies)
        self.auth_files = AuthFiles()
        self._digests = count(1)
        self._folders = count(1)
        self._version_known = False
        self._unfit: HostError | None = None

    def __enter__(self) -> Skopeo:
        """Make the private folder; nothing runs yet.

        Raises:
            HostError: there is no skopeo, or no folder can be made.
        """
        require_writable(self._path)
        try:
            command = sh.Command(self._path)
        except sh.CommandNotFound:
            raise HostError(
                f"there is no skopeo at '{self._path}'" if "/" in self._path else "skopeo is not installed",
                "install skopeo 1.9 or newer (Debian: apt install skopeo), or give its path with `skopeo`",
            ) from None
        self._private = self._make_private()
        self.folder = self._private.path
        self._runs = Runs(command, str(self.folder), _environment(self.folder), self._trace)
        return self

    def _make_private(self) -> PrivateFolder:
        """Make the private folder: where placeholders take no room and JSON can name it, unless it was chosen."""
        try:
            if not (self._chosen or self._temp_dir == default_temp_dir()):
                private = PrivateFolder.create(self._temp_dir, self._report)
                if is_utf8(str(private.path.resolve())) and holds_sparse_files(private.path):
                    return private
                private.remove()
                self._temp_dir = default_temp_dir()
            if not is_utf8(str(self._temp_dir.resolve())):
                raise HostError(
                    f"the name of the temporary folder {self._temp_dir} is not UTF-8, so no policy can name it",
                    "choose another one with `temp_dir`",
                )
            return PrivateFolder.create(self._temp_dir, self._report)
        except OSError as error:
            raise unwritable(self._temp_dir, error) from None

    def __exit__(self, *_: object) -> None:
        """End what still runs and remove the private folder."""
        try:
            self._end()
        except BaseException:
            # A signal came in the middle of it, and there is still something to clean up.
            self._end()
            raise

    def _pause(self, seconds: float) -> None:
        """Wait; in a thread, too, a signal or another's failure ends that."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            check()
            self._runs.require_open()
            time.sleep(min(left, TICK))

    def _end(self) -> None:
        self._runs.end_all()
        self.auth_files.close()
        self._private.remove()

    def trace(self, line: str) -> None:
        """Hand a line to whoever wants to know each step."""
        if self._trace:
            self._trace(line)

    def new_folder(self, kind: str) -> Path:
        """Return the path of a folder that is not there yet, inside the private folder."""
        return self.folder / f"{kind}-{next(self._folders)}"

    def in_parallel(self, steps: Sequence[Callable[[], T]], at_once: int = _MOST_THREADS) -> list[T]:
        """Take steps that run skopeo, each in a thread of its own; how many runs go on at a time, turns decide.

        Args:
            steps: what to do; none may be in another's way.
            at_once: how many steps are taken at a time.

        Returns:
            What each returned.

        Raises:
            BaseException: what the first one raised that failed; the others are ended.
        """
        pool = ThreadPoolExecutor(min(len(steps), at_once) or 1, "step")
        running = []
        try:
            with starting("a copy"):
                # What is to end this thread ends those, too.
                running += [pool.submit(copy_context().run, step) for step in steps]
            pending = set(running)
            while pending:
                done, pending = wait(pending, TICK, FIRST_EXCEPTION)
                check()
                for step in done:
                    step.result()
        except BaseException:
            for step in running:
                step.cancel()
            self._runs.close()
            raise
        finally:
            pool.shutdown()
        return [step.result() for step in running]

    def side_by_side(
        self, steps: Sequence[Callable[[], T]], at_once: int = _MOST_THREADS
    ) -> list[T | IncrementalError]:
        """Take steps as `in_parallel` does, all of them, whatever happens to some.

        Args:
            steps: what to do; none may be in another's way.
            at_once: how many steps are taken at a time.

        Returns:
            What each returned, or what was wrong.
        """

        def kept(step: Callable[[], T]) -> T | IncrementalError:
            try:
                return step()
            except IncrementalError as error:
                return error

        if len(steps) == 1:
            return [kept(steps[0])]
        return self.in_parallel([partial(kept, step) for step in steps], at_once)

    def inspect_raw(
        self, wanted: Sequence[tuple[Reference, Access, str]], *, config: bool = False
    ) -> list[bytes | IncrementalError]:
        """Read manifests or lists, several at a time.

        Args:
            wanted: reference, access, and side, as in `ImageSource`, for each.
            config: read the config of each instead.

        Returns:
            For each its bytes, **not verified** (skopeo does not, not even for a digest), or what was wrong.

        Raises:
            HostError: skopeo is too old.
        """
        attempts = self.retries.begin()
        alone = self.is_alone
        results = self._inspect_once(wanted, config)
        while failed := {place: result for place, result in enumerate(results) if isinstance(result, LinkError)}:
            first = next(iter(failed.values()))
            try:
                if not self.slow_down(first, alone=alone) or self.retries.times:
                    attempts.wait_after(first)
            except LinkError:
                break
            alone = True
            for place, result in zip(
                failed, self._inspect_once([wanted[each] for each in failed], config), strict=True
            ):
                results[place] = result
        return results

    @property
    def is_alone(self) -> bool:
        """Whether no more than one question, and no more than one copy, goes on at a time."""
        return self.turns.alone and self._runs.turns.alone

    def slow_down(self, error: LinkError, *, alone: bool) -> bool:
        """From now on, let one question and one copy go on at a time, where too many were too much for a registry.

        Args:
            error: what went wrong.
            alone: whether no other could run at that time.

        Returns:
            Whether the same is worth another try.
        """
        if alone or not isinstance(error, BusyError):
            return False
        self.turns.only_one()
        self._runs.turns.only_one()
        return True

    def steadily(self, step: Callable[[], T]) -> T:
        """Take a step that runs skopeo beside others, again where a link fails.

        Raises:
            LinkError: the last try failed too.
        """

        def once() -> T:
            alone = self.is_alone
            try:
                return step()
            except BusyError as error:
                # Where retries are wanted, they pause before, and say so.
                if not self.slow_down(error, alone=alone) or self.retries.times:
                    raise
                return step()

        return self.retries.run(once)

    @property
    def is_near(self) -> bool:
        """Whether what was asked so far has answered so soon that it is not worth more runs to wait less."""
        return self._runs.quickest is not None and self._runs.quickest < NEAR

    @property
    def is_far(self) -> bool:
        """Whether nobody has answered soon so far."""
        return self._runs.quickest is not None and self._runs.quickest > FAR

    def _inspect_once(
        self, wanted: Sequence[tuple[Reference, Access, str]], config: bool
    ) -> list[bytes | IncrementalError]:
        what = ["--raw", "--config"] if config else ["--raw"]
        limit = [f"--command-timeout={self.timeout}s"] if self.timeout else []
        calls = [
            [*limit, "inspect", *what, *access.flags(reference, self.auth_files), str(reference)]
            for reference, access, _ in wanted
        ]
        results: list[bytes | IncrementalError] = []
        answers = self._runs.ask([Question(call, self.timeout) for call in calls])
        # What is no skopeo may well exit 0, but will not answer with a JSON object.
        if any(
            answer[0] or not answer[1].lstrip().startswith(b"{") for answer in answers if isinstance(answer, tuple)
        ):
            self._check_version()
        for (reference, access, side), call, answer in zip(wanted, calls, answers, strict=True):
            doing = f"cannot read {reference}"
            if isinstance(answer, EarlyEndError):
                results.append(no_answer(doing, answer, self.timeout))
            else:
                code, stdout, stderr = answer
                names = (*call, str(self.folder))
                results.append(
                    stdout if code == 0 else unread(reference, explain(stderr, doing, side, names, access))
                )
        return results

    def copy(
        self,
        source: str,
        destination: str,
        *,
        flags: Sequence[str] = (),
        policy: Sequence[str] = (),
        doing: str,
        side: str,
        access: Access,
        moved: Callable[[], int] | None = None,
        most: int | None = None,
        tick: Callable[[], None] | None = None,
        share: Share | None = None,
    ) -> str:
        """Copy an image, once.

        Args:
            source: as skopeo takes it, local paths relative to the private folder.
            destination: likewise.
            flags: of `copy`.
            policy: the global flags for the signature policy.
            doing: what to call it in an error, such as "cannot fetch docker://host/app:2".
            side: which one it is, as in `ImageSource`, for an error's next step.
            access: how that side is reached, for an error.
            moved: tells how many bytes have moved so far; by default how many skopeo has read.
            most: how many bytes may move, as `moved` tells; a copy that moves more is ended.
            tick: called a few times a second as long as skopeo runs.
            share: counts what has moved.

        Returns:
            The digest of what was written, which may be another where digests are not preserved.

        Raises:
            LinkError: the link failed, or nothing moved for longer than the timeout.
            ContentError: more came than may be.
            IncrementalError: as `messages.explain` reads skopeo's message.
        """
        digest_file = f"digest-{next(self._digests)}"
        arguments = [*policy, "copy", *flags, f"--digestfile={digest_file}", source, destination]
        with self.turns.turn():
            run = self._runs.start(arguments)
            watch = StallWatch(moved, self.timeout) if moved else StallWatch(run.bytes_read, self.timeout, NOISE)

            def require_at_most() -> None:
                if most is not None and watch.moved > most:
                    came = human_bytes(watch.moved)
                    raise ContentError(
                        f"{doing}: {came} arrived, and the image has no more than {human_bytes(most)}",
                        "its manifest is wrong, or the server does not stop: tell the people who run the registry",
                    )

            def look() -> None:
                watch.look()
                require_at_most()
                if share:
                    share.reach(watch.moved)
                if tick:
                    tick()

            try:
                self._check_version()
                code, _, stderr = self._runs.finish(run, look)
            except StalledError:
                self._runs.end([run])
                raise LinkError(
                    f"{doing}: nothing moved for {self.timeout:g} s",
                    "try again, with `link.retry_times`, or allow more time with `link.timeout`",
                ) from None
            except GreedyError as why:
                self._runs.end([run])
                raise no_answer(doing, why, None) from None
            except IncrementalError:
                # Whoever tries again is to be alone.
                self._runs.end([run])
                raise
            if code != 0:
                # It may have filled the disk between two looks.
                require_at_most()
                raise explain(stderr, doing, side, (*arguments, str(self.folder)), access)
        return (self.folder / digest_file).read_text().strip()

    @contextmanager
    def beside(self, question: Question) -> Iterator[None]:
        """Let something run as long as this is entered; what becomes of it does not matter."""
        if self.is_alone or not self._runs.turns.take(wait=False):
            yield
            return
        try:
            run = self._runs.start(question.arguments, _MEMORY_ONLY)
            try:
                yield
            finally:
                self._runs.end([run])
        finally:
            self._runs.turns.give_back()

    @contextmanager
    def serving(self, arguments: Sequence[str], line: socket) -> Iterator[Run]:
        """Let skopeo answer requests as long as this is entered; it ends when the other end of the line is closed.

        Args:
            arguments: skopeo's.
            line: the end of a line that skopeo reads and answers at.
        """
        with self._runs.turns.turn(), self._version_checked():
            run = self._runs.start(arguments, _MEMORY_ONLY, line)
            try:
                yield run
                deadline = run.seconds() + _LEAST_SECONDS
                self._runs.finish(run, lambda: run.require_within(deadline))
            except BaseException as error:
                self._runs.end([run])
                if not isinstance(error, EarlyEndError):
                    raise

    def probes(self, calls: Iterable[Question], doing: str, *, memory_cache: bool = True) -> list[tuple[int, str]]:
        """Run copies that are to fail, several at a time.

        Args:
            calls: what to ask.
            doing: what to call it in an error, such as "cannot tell which layers docker://host/app has".
            memory_cache: use a blob cache in memory only. Without the user's, skopeo cannot mount a blob from
                another repository: it asks, and no more.

        Returns:
            Exit code and stderr of each.

        Raises:
            LinkError: one did not end in time.
            HostError: skopeo is too old.
        """
        asked: list[Question] = []

        def asking() -> Iterator[Question]:
            for call in calls:
                asked.append(call)
                yield call

        with self._version_checked():
            answers = self._runs.ask(asking(), _MEMORY_ONLY if memory_cache else None)
        results = []
        for call, answer in zip(asked, answers, strict=True):
            if isinstance(answer, EarlyEndError):
                raise no_answer(doing, answer, call.seconds)
            results.append((answer[0], answer[2]))
        return results

    @contextmanager
    def _version_checked(self) -> Iterator[None]:
        """Look once at skopeo's version, while something else runs."""
        if self._version_known:
            if self._unfit:
                raise self._unfit
            yield
            return
        self._version_known = True
        run = self._runs.start(["--version"])
        yield
        try:
            self._version_of(run)
        except HostError as error:
            # All others must not go on with it either.
            self._unfit = error
            raise

    def _check_version(self) -> None:
        """Look once at skopeo's version: beside the first copy, or to explain a failure."""
        with self._version_checked():
            pass

    def version(self) -> str:
        """Return skopeo's version, such as "1.9.3".

        Raises:
            HostError: it does not answer as skopeo does, or is too old.
        """
        self._version_known = True
        return self._version_of(self._runs.start(["--version"]))

    def _version_of(self, run: Run) -> str:
        seconds = max(self.timeout or TIMEOUT, _LEAST_SECONDS)
        deadline = run.seconds() + seconds
        try:
            code, stdout, stderr = self._runs.finish(run, lambda: run.require_within(deadline))
        except EarlyEndError:
            self._runs.end([run])
            raise RegistryError(
                f"'{self._path}' does not answer with its version: nothing came for {seconds:g} s",
                "check what that program waits for, or give the path of another one with `skopeo`",
            ) from None
        said = stdout.decode(errors="replace").strip()
        found = re.match(r"skopeo version ((\d+)\.(\d+)\S*)", said)
        if code != 0 or not found:
            raise HostError(f"'{self._path}' does not answer as skopeo does: {said or fatal_message(stderr)}")
        if (int(found[2]), int(found[3])) < OLDEST:
            raise HostError(f"{said} is too old", "install skopeo 1.9 or newer, or give its path with `skopeo`")
        return found[1]


def _environment(folder: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    if "XDG_RUNTIME_DIR" not in environment:
        # skopeo then looks into /run/containers/UID, and gives up where it may not (as after su).
        try:
            Path(f"/run/containers/{os.getuid()}/auth.json").stat()
        except FileNotFoundError:
            pass
        except OSError:
            environment["XDG_RUNTIME_DIR"] = str(folder)
    return environment
