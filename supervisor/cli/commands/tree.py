"""`tree`: who supervises whom."""

from __future__ import annotations

import sys

from supervisor.cli.commands.status import node_line, state_words
from supervisor.cli.node import connected, get_view, subtree
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import cut, is_utf8, painted, put, put_json, wants_colour, width_of
from supervisor.core.view import ASCII_GLYPHS, COLOURS, GLYPHS, Row, strategy_words
from wippy.core import reasons
from wippy.core.units import counted, format_duration


def tree(
    id: OptionalId = None,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show who supervises whom, with state, pid and strategy.

    Examples:

        wippy-supervisor tree
        wippy-supervisor tree app:ingest
        wippy-supervisor tree --json
    """
    with connected(run_dir, config) as client:
        view = get_view(client)
    rows = list(view.rows) if id is None else subtree(view, id)
    if json:
        put_json({"node": view.node, "tree": nested(rows)})
        return
    width = width_of(sys.stdout)
    is_coloured = wants_colour(color, sys.stdout)
    put(cut(node_line(view), width))
    for line in tree_lines(rows, width, is_coloured=is_coloured, is_ascii=not is_utf8(sys.stdout)):
        put(line)


def tree_lines(
    rows: list[Row], width: int, *, is_coloured: bool = False, is_ascii: bool = False
) -> list[str]:
    """Return rows (tree order) as lines with guide lines, cut to `width` if it is not 0."""
    glyphs = ASCII_GLYPHS if is_ascii else GLYPHS
    lines: list[str] = []
    for guide, row in zip(guides(rows, is_ascii=is_ascii), rows, strict=True):
        line = cut(f"{guide}{glyphs[row.state]} {row.id}  {about(row)}".rstrip(), width)
        colour = COLOURS[row.state] if is_coloured else ""
        at = len(guide)
        lines.append(line[:at] + painted(line[at : at + 1], colour) + line[at + 1 :])
    return lines


def guides(rows: list[Row], *, is_ascii: bool = False) -> list[str]:
    """Return what is drawn before each row, so that its parent can be seen."""
    tee, elbow, bar = ("|- ", "`- ", "|  ") if is_ascii else ("├─ ", "└─ ", "│  ")
    top = rows[0].depth if rows else 0
    drawn: list[str] = []
    open_below: set[int] = set()  # depths at which another sibling comes further down
    for row in reversed(rows):
        depth = row.depth - top
        own = "" if depth == 0 else tee if depth in open_below else elbow
        between = "".join(bar if it in open_below else "   " for it in range(1, depth))
        drawn.append(between + own)
        open_below = {it for it in open_below if it < depth} | {depth}
    return drawn[::-1]


def about(row: Row) -> str:
    """Return what a row says after its id."""
    words = [state_words(row)]
    if row.strategy:
        words.append(f"({strategy_words(row)})")
    if row.os_pid:
        words.append(f"pid {row.os_pid} g{row.generation} {format_duration(row.uptime_s)}")
    if row.restarts:
        words.append(counted(row.restarts, "restart"))
    if row.last_exit is not None:
        words.append(f"last exit {reasons.brief(row.last_exit)}")
    if row.detail:
        words.append(row.detail)
    return "  ".join(words)


def nested(rows: list[Row]) -> list[dict[str, object]]:
    """Return rows as objects, each with its `children`."""
    import msgspec

    below: dict[str, list[dict[str, object]]] = {row.id: [] for row in rows}
    tops: list[dict[str, object]] = []
    for row in rows:
        siblings = below.get(row.parent, tops) if row.parent != row.id else tops
        siblings.append({**msgspec.to_builtins(row), "children": below[row.id]})
    return tops
