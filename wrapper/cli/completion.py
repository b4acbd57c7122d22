"""What the shell offers for values, as `shell_complete` of options. Any other value is accepted as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import click
    from click.shell_completion import CompletionItem

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem] | list[str]]

# Go's names, as images have them.
_SYSTEMS = ("linux", "windows", "freebsd")
_ARCHITECTURES = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le")
_VARIANTS = ("v5", "v6", "v7", "v8")


def _paths(kind: str) -> Completer:
    """Let the shell complete paths. click's type for them would check each value, and `-` is no path."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type=kind)]

    return complete


def _words(*words: str) -> Completer:
    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


files = _paths("file")
folders = _paths("dir")
booleans = _words("true", "false")
systems = _words(*_SYSTEMS)
architectures = _words(*_ARCHITECTURES)
variants = _words(*_VARIANTS)
volume_sizes = _words("fat32", "dvd")
