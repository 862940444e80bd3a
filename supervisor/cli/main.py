"""`wippy-supervisor`: finds the verb, runs it, turns errors into exit codes.

Only the module of the verb that was asked for is imported (`status` must be quick); all of them
only for `--help` and for completion.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from supervisor.cli.exit_codes import ExitCode, code_for
from wippy.errors import Cancelled, WippyError

PROGRAM = "wippy-supervisor"

VERBS = (
    "start",
    "stop",
    "status",
    "tree",
    "top",
    "why",
    "events",
    "history",
    "logs",
    "kill",
    "restart",
    "spawn",
    "send",
    "call",
    "run",
    "shell",
    "registry",
    "reload",
    "check",
    "plan",
    "init",
    "schema",
    "backup",
    "doctor",
    "version",
)
"""In the order of the help; each is a module of `supervisor.cli.commands` with a function of the
same name, whose docstring is its help. A module with `ACTIONS` has several commands: they follow
the verb (`registry get`), and are functions named so (a `_` at the end avoids Python's own)."""

HELP = """Supervise actors in real OS processes: start a tree, watch it, kill it, see it heal.

Examples:

    wippy-supervisor init shop && wippy-supervisor start shop
    wippy-supervisor start configs/ --detach
    wippy-supervisor top
    wippy-supervisor kill app:worker -s KILL && wippy-supervisor why app:worker
"""


class Suggesting(TyperGroup):
    """A group of commands; an unknown one gets the nearest suggested."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of the first word."""
        word, known = args[0] if args else "", self.list_commands(ctx)
        if word and not word.startswith("-") and word not in known:
            ctx.fail(unknown_word(word, known, ctx.command_path))
        return super().resolve_command(ctx, args)


class LazyVerbs(Suggesting):
    """The group of all verbs; imports a verb's module when the verb is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a verb; None for a word that is none."""
        return load_verb(cmd_name) if cmd_name in VERBS else None


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one command line and return its exit code; errors are told on stderr."""
    try:
        status = _app()(args=args, prog_name=PROGRAM, standalone_mode=True)
        sys.stdout.flush()
    except SystemExit as end:
        return _flushed(_status(end.code))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    except Cancelled as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    except WippyError as error:
        # Problems of a configuration are told line by line, each with its place.
        label = "" if error.kind == "configuration" else "error: "
        sys.stderr.write(f"{label}{error}\n")
        return code_for(error)
    return _status(status)


def load_verb(verb: str) -> Any:
    """Return the click command of `verb`."""
    module = importlib.import_module(f"supervisor.cli.commands.{verb}")
    function: Callable[..., None] = getattr(module, verb)
    actions: Sequence[Callable[..., None]] = getattr(module, "ACTIONS", ())
    if actions:
        return _group(verb, function.__doc__ or "", actions)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(verb)(_ending_quietly(function))
    command = typer.main.get_command(single)
    command.help = readable_help(command.help or "")
    return command


def _group(verb: str, doc: str, actions: Sequence[Callable[..., None]]) -> Any:
    group = typer.Typer(
        name=verb,
        cls=Suggesting,
        help=readable_help(inspect.cleandoc(doc)),
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    group.callback()(_nothing)
    for action in actions:
        name = action.__name__.rstrip("_")
        text = readable_help(inspect.cleandoc(action.__doc__ or ""))
        group.command(name, help=text)(_ending_quietly(action))
    return typer.main.get_command(group)


def readable_help(docstring: str) -> str:
    """Return a docstring with its indented lines marked to stay as they are (click's \\b)."""
    paragraphs = docstring.split("\n\n")
    return "\n\n".join(f"\b\n{it}" if "\n    " in f"\n{it}" else it for it in paragraphs)


def unknown_word(word: str, known: Sequence[str], path: str = PROGRAM) -> str:
    """Return what to say about a word that is none of the commands of `path`."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else f" See {path} --help."
    return f"No such command '{word}'.{hint}"


def _app() -> typer.Typer:
    app = typer.Typer(
        cls=LazyVerbs,
        name=PROGRAM,
        help=readable_help(HELP),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    return None


_nothing.__doc__ = None


def _ending_quietly(function: Callable[..., None]) -> Callable[..., None]:
    """Return the verb, ending with the code of a broken pipe where click would say 1."""

    @functools.wraps(function)
    def verb(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            raise typer.Exit(_broken_pipe()) from None

    return verb


def _status(code: object) -> int:
    if code is None:
        return ExitCode.OK
    return code if isinstance(code, int) else ExitCode.FAILED


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _broken_pipe()
    return status


def _broken_pipe() -> int:
    """Go quietly: whoever read our output has seen enough (`| head`)."""
    # Python would flush stdout again at exit, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.BROKEN_PIPE


if __name__ == "__main__":
    main()
