"""How help is laid out: options in groups, then examples and exit codes. Man pages are made of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .manual import ENVIRONMENT, EXIT_CODES, FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
    Row = tuple[str, str]

IMAGES = "Images"
OUTPUT = "Output"
DELTA = "Layer deltas"
LOGIN = "Login and TLS"
LINK = "Network"
ADVANCED = "Advanced"
HELP = "Help"

GROUPS = (IMAGES, OUTPUT, DELTA, LOGIN, LINK, ADVANCED, HELP)
"""The groups of options, in the order in which help shows them."""

_ALWAYS = (0, 1, 2, 130, 143)


_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class _Formatter(click.HelpFormatter):
    """Ends no line inside the name of an option or a command: it could not be searched for."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Iterable[Row], *arguments: Any, **more: Any) -> None:
        super().write_dl([(term, text.replace("-", _HYPHEN)) for term, text in rows], *arguments, **more)

    def getvalue(self) -> str:
        return super().getvalue().replace(_HYPHEN, "-")


class _Context(click.Context):
    formatter_class = _Formatter


class Option(click.Option):
    """An option that belongs to a group."""

    def __init__(self, *arguments: Any, group: str, **attributes: Any) -> None:
        """Make one.

        Args:
            arguments: click's.
            group: one of `GROUPS`.
            attributes: click's.
        """
        super().__init__(*arguments, **attributes)
        self.group = group


def option(group: str, *names: str, **attributes: Any) -> Decorator:
    """Return a decorator that adds an option, as `click.option` does.

    Args:
        group: one of `GROUPS`.
        names: the option's names.
        attributes: what `click.option` takes.
    """
    return click.option(*names, cls=Option, group=group, **attributes)


class Command(click.Command):
    """A command whose help has groups, examples and exit codes.

    Attributes:
        examples: what an example does, and its lines as a shell takes them.
        exit_codes: all exit codes that it may end with.
    """

    context_class = _Context

    def __init__(
        self, *arguments: Any, examples: Sequence[Row] = (), exit_codes: Sequence[int] = (), **attributes: Any
    ) -> None:
        """Make one.

        Args:
            arguments: click's.
            examples: pairs of what an example does and the example.
            exit_codes: exit codes that not every command has.
            attributes: click's.
        """
        super().__init__(*arguments, **attributes)
        self.examples = examples
        self.exit_codes = sorted({*_ALWAYS, *exit_codes})

    def option_groups(self, context: click.Context) -> list[tuple[str, list[Row]]]:
        """Return the options by group: for each option its names and its help."""
        rows: dict[str, list[Row]] = {group: [] for group in GROUPS}
        for parameter in self.get_params(context):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(context)):
                rows[getattr(parameter, "group", HELP)].append(row)
        return [(group, found) for group, found in rows.items() if found]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        for group, rows in self.option_groups(ctx):
            with formatter.section(group):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        if self.examples:
            with formatter.section("Examples"):
                for number, (what, example) in enumerate(self.examples):
                    formatter.write("\n" if number else "")
                    formatter.write_text(f"{what}:")
                    # As it is: wrapped, it could not be pasted.
                    for line in example.splitlines():
                        formatter.write(f"{'':>{formatter.current_indent + 2}}{line}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), EXIT_CODES[code]) for code in self.exit_codes])
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A group of commands, whose help lists them first, in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which they were given."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what every command has in common, too, where this is the program itself."""
        super().format_epilog(ctx, formatter)
        if ctx.parent is None:
            for title, entries in (("Environment", ENVIRONMENT), ("Files", FILES)):
                with formatter.section(title):
                    formatter.write_dl([(entry.name, entry.text) for entry in entries])
