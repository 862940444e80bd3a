"""`history`: what happened, before the last restart of the runtime too."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from supervisor.cli.node import ask_about, connected
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import fact_line, for_json, put, put_json, wants_colour
from supervisor.core.requests import Facts, History
from wippy.errors import Internal

ANSWER_TIMEOUT_S = 10.0
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many.")]


def history(
    id: OptionalId = None,
    limit: Limit = 100,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show exits, decisions and commands from the state folder, oldest first.

    Examples:

        wippy-supervisor history
        wippy-supervisor history app:worker -n 20
        wippy-supervisor history --json | jq '.facts[] | select(.kind == "gave_up")'
    """
    with connected(run_dir, config) as client:
        answer = ask_about(client, id or "", History(id or "", limit), ANSWER_TIMEOUT_S)
    if not isinstance(answer, Facts):
        raise Internal(f"the root answered {type(answer).__name__} to history")
    if json:
        import msgspec

        put_json({"facts": for_json(msgspec.to_builtins(answer.facts))})
        return
    is_coloured = wants_colour(color, sys.stdout)
    for fact in answer.facts:
        put(fact_line(fact, with_date=True, is_coloured=is_coloured))
