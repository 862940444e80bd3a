"""`tree`: who supervises whom."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from supervisor.cli.commands.status import node_line
from supervisor.cli.node import get_part
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import cut, is_utf8, put, put_json, wants_colour, width_of
from supervisor.core.view import Row

PLAIN_WIDTH = 250
"""Of what is piped: every column has room."""


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
    view = get_part(id, run_dir, config)
    if json:
        put_json({"node": view.node, "tree": nested(view.rows)})
        return
    from supervisor.tui.render import tree_lines

    width = width_of(sys.stdout)
    put(cut(node_line(view), width))
    for line in tree_lines(
        view,
        width=width or PLAIN_WIDTH,
        color=wants_colour(color, sys.stdout),
        ascii_only=not is_utf8(sys.stdout),
    ):
        put(line.rstrip())


def nested(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return rows as objects, each with its `children`."""
    import msgspec

    below: dict[str, list[dict[str, object]]] = {row.id: [] for row in rows}
    tops: list[dict[str, object]] = []
    for row in rows:
        siblings = below.get(row.parent, tops) if row.parent != row.id else tops
        siblings.append({**msgspec.to_builtins(row), "children": below[row.id]})
    return tops
