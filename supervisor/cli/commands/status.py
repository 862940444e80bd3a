"""`status`: one table of everything."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.node import get_part
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import (
    columns,
    cut,
    is_utf8,
    painted,
    put,
    put_json,
    wants_colour,
    width_of,
)
from supervisor.core.view import (
    ASCII_GLYPHS,
    COLOURS,
    GLYPHS,
    NodeView,
    Row,
    State,
    dead_letter_words,
    is_settled_well,
)
from wippy.core import reasons
from wippy.core.units import counted, format_bytes, format_duration

HEADINGS = ("STATE", "ID", "PID", "UPTIME", "RESTARTS", "CPU%", "MEMORY", "LAST EXIT", "DETAIL")
RIGHT = frozenset({2, 3, 4, 5, 6})


def status(
    id: OptionalId = None,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show every child and the counts.

    Examples:

        wippy-supervisor status
        wippy-supervisor status app:ingest
        wippy-supervisor status --json | jq '.rows[] | select(.state != "up") | .id'

    Exit code 0 when all is as it should be (up, done, or stopped on purpose), 3 when not.
    """
    view = get_part(id, run_dir, config)
    if json:
        put_json(view)
    else:
        show(view, is_coloured=wants_colour(color, sys.stdout), width=width_of(sys.stdout))
    if not all(is_settled_well(row) for row in view.rows) or view.state != "running":
        raise typer.Exit(ExitCode.NOT_ALL_UP)


def show(view: NodeView, *, is_coloured: bool, width: int) -> None:
    """Write the node's line, its alarms, the table and the counts."""
    put(cut(node_line(view), width))
    red = "red" if is_coloured else ""
    if view.broken_text:
        put(painted("! the files are not used as they are; what runs goes on", red))
        for line in view.broken_text.splitlines():
            put(painted(f"  {line}", red))
    for alarm in view.alarms:
        put(painted(f"! {alarm}", red))
    rows = view.rows
    glyphs = GLYPHS if is_utf8(sys.stdout) else ASCII_GLYPHS
    colours = ["", *(COLOURS[row.state] for row in rows)] if is_coloured else []
    cells = [HEADINGS, *(cells_of(row, glyphs) for row in rows)]
    for line in columns(cells, right=RIGHT, width=width, colours=colours):
        put(line)
    put(counts(rows))


def node_line(view: NodeView) -> str:
    """Return the node in one line."""
    recovered = f" (number {view.root_starts})" if view.root_starts > 1 else ""
    return (
        f"node {view.node}: {view.state}, up {format_duration(view.uptime_s)}, "
        f"root {view.root_pid}{recovered}, registry {view.registry_version}, "
        f"{counted(view.restarts, 'restart')}, durability {view.durability}, {view.source}"
    )


def cells_of(row: Row, glyphs: dict[State, str]) -> tuple[str, ...]:
    """Return the cells of one row."""
    return (
        f"{glyphs[row.state]} {state_words(row)}",
        row.id,
        str(row.os_pid or ""),
        format_duration(row.uptime_s) if row.state is State.UP else "",
        str(row.restarts),
        "" if row.cpu_percent is None else f"{row.cpu_percent:.1f}",
        "" if row.memory_bytes is None else format_bytes(row.memory_bytes),
        "" if row.last_exit is None else reasons.brief(row.last_exit),
        ", ".join(filter(None, (row.detail, _dead_letters(row)))),
    )


def _dead_letters(row: Row) -> str:
    words = dead_letter_words(row)
    return f"dead letters: {words}" if words else ""


def state_words(row: Row) -> str:
    """Return the state and what qualifies it: `up, crash loop`, `up, frozen`."""
    words = [str(row.state)]
    words += ["crash loop"] if row.is_crash_loop else []
    words += ["frozen"] if row.is_frozen else []
    return ", ".join(words)


def counts(rows: Sequence[Row]) -> str:
    """Return the number of rows in each state: `14: 12 up, 1 backoff, 1 failed`."""
    by_state = Counter(str(row.state) for row in rows)
    return f"{len(rows)}: " + ", ".join(f"{n} {state}" for state, n in by_state.most_common())
