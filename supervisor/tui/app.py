"""Running the live tree: one picture into a pipe, or the viewer on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from supervisor.core.requests import GetView, ViewAnswer
from supervisor.core.view import NodeView
from supervisor.io.control_client import ControlClient
from supervisor.tui import model, render
from supervisor.tui.capabilities import is_utf8, utc_offset_s, wants_color
from supervisor.tui.link import Client, Connect, Link
from supervisor.tui.look import Look
from supervisor.tui.state import Model
from supervisor.tui.terminal import Signals, Terminal
from supervisor.tui.viewer import Viewer
from wippy.errors import Internal, Invalid

ONCE_WIDTH = 120
ONCE_TIMEOUT_S = 10.0


def run(
    run_dir: Path,
    *,
    owns_node: bool,
    read_only: bool = False,
    ascii_only: bool = False,
    once: bool = False,
    node_exit: Callable[[], int | None] | None = None,
    color: str = "auto",
    connect: Connect = ControlClient,
) -> int:
    """Show the live tree of the node in `run_dir` until the user leaves or the node is gone.

    Args:
        run_dir: The node's run folder.
        owns_node: This is the node's own foreground: leaving means to stop it or to detach, and
            SIGTERM, SIGHUP and a closed terminal stop everything in order.
        read_only: Refuse commands.
        ascii_only: Nothing but ASCII; so it is anyway where the locale is not UTF-8.
        once: Print one picture to stdout and return.
        node_exit: With `owns_node`: the exit code of the guardian, None while it runs.
        color: `auto`, `always` or `never`; NO_COLOR and FORCE_COLOR decide `auto`.
        connect: Makes the client.

    Returns:
        0 when the user left or detached; with `owns_node` the node's exit code when it ended; 4
        when it went away by itself; 128 + n after signal n.

    Raises:
        NotFound: No node lives in `run_dir`.
        Invalid: stdin or stdout is no terminal, or `color` is none of the three words.
    """
    has_color = wants_color(color, os.environ, is_terminal=os.isatty(1))
    is_ascii = ascii_only or not is_utf8(os.environ, sys.stdout.encoding)
    if once:
        return _print_once(connect, run_dir, has_color=has_color, is_ascii=is_ascii)
    if not (os.isatty(0) and os.isatty(1)) or os.environ.get("TERM", "dumb") == "dumb":
        raise Invalid(
            "the live tree needs a terminal; see wippy-supervisor top --once, or events -f"
        )
    link = Link(run_dir, connect)
    if not owns_node:
        link.connect()
    shown = Model(owns_node=owns_node, is_read_only=read_only, run_dir=str(run_dir))
    encoding = "ascii" if is_ascii else "utf-8"
    look = Look(has_color=has_color, is_ascii=is_ascii, utc_offset_s=utc_offset_s())
    try:
        with Signals() as signals, Terminal(encoding=encoding) as terminal:
            ending = Viewer(terminal, signals, link, shown, look, node_exit).run()
    finally:
        link.close()
    # A terminal that is gone would turn our last words, and so the exit code, into an error.
    if ending.text and not terminal.is_gone:
        print(ending.text, file=sys.stdout if ending.code == 0 else sys.stderr, flush=True)
    return ending.code


def _print_once(connect: Connect, run_dir: Path, *, has_color: bool, is_ascii: bool) -> int:
    client = connect(run_dir)
    try:
        view = _view(client)
    finally:
        client.close()
    width = _once_width()
    shown = Model(run_dir=str(run_dir), width=width, height=max(24, len(view.rows)))
    shown = model.view_came(shown, view, 0.0)
    look = Look(has_color=has_color, is_ascii=is_ascii, utc_offset_s=utc_offset_s())
    for line in render.once(shown, look):
        print(line)
    return 0


def _view(client: Client) -> NodeView:
    answer = client.ask(GetView(), ONCE_TIMEOUT_S)
    if not isinstance(answer, ViewAnswer):
        raise Internal(f"the root answered {type(answer).__name__} to get_view")
    return answer.view


def _once_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return os.get_terminal_size(1).columns if os.isatty(1) else ONCE_WIDTH
