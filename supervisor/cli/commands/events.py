"""`events`: what happened, and what happens."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from supervisor.cli.node import connected, find_row, get_view
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import fact_line, put_json_now, put_now, wants_colour
from supervisor.core.facts import Fact
from supervisor.core.requests import Subscribe
from supervisor.io.control_client import ControlClient

Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on as it happens.")]


def events(
    id: OptionalId = None,
    follow: Follow = False,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show the last events of this root; with -f go on as they happen, until ^C.

    Examples:

        wippy-supervisor events
        wippy-supervisor events -f app:worker
        wippy-supervisor events -f --json | jq 'select(.kind == "exited")'

    With --json each line is one object. `history` shows what is older than the root.
    """
    is_coloured = wants_colour(color, sys.stdout)
    with connected(run_dir, config) as client:
        view = get_view(client)
        if id is not None:
            find_row(view, id)
        for fact in view.facts:
            _show(fact, id, json, is_coloured)
        if follow:
            last = max((fact.seq for fact in view.facts), default=0)
            _follow(client, last, id, json, is_coloured)


def _follow(
    client: ControlClient, since_seq: int, id: str | None, json: bool, is_coloured: bool
) -> None:
    for update in client.updates(Subscribe(since_seq=since_seq)):
        for fact in update.facts:
            _show(fact, id, json, is_coloured)


def _show(fact: Fact, id: str | None, json: bool, is_coloured: bool) -> None:
    if id is not None and id != fact.id and id not in fact.affected:
        return
    if json:
        put_json_now(fact)
    else:
        put_now(fact_line(fact, is_coloured=is_coloured))
