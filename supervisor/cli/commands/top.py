"""`top`: the live tree of a node that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from supervisor.cli.options import Color, Config, RunDir


def top(
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse every command: only look.")
    ] = False,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="No glyphs; so it is where the locale is not UTF-8.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Print one picture and leave; works in a pipe.")
    ] = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show the live tree of a node that runs; `?` lists the keys, `q` leaves.

    Examples:

        wippy-supervisor top
        wippy-supervisor top --read-only
        wippy-supervisor top --once | less
    """
    from supervisor.cli.node import find_run_dir
    from supervisor.tui.app import run

    code = run(
        find_run_dir(run_dir, config),
        owns_node=False,
        read_only=read_only,
        ascii_only=ascii_only,
        once=once,
        color=color,
    )
    raise typer.Exit(code)
