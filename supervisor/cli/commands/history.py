"""`history`: what happened, before the last restart of the runtime too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from supervisor.cli.node import connected, stopped_node
from supervisor.cli.options import Color, Config, Json, OptionalId, RunDir
from supervisor.cli.output import fact_line, put, put_json, wants_colour
from supervisor.core.facts import Fact
from supervisor.core.json_form import for_json
from supervisor.core.requests import Facts, History
from supervisor.io.node_file import NodeFile
from wippy.errors import Internal, NotFound

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

    Works on a stopped node too.
    """
    facts = facts_of(id or "", limit, run_dir, config)
    if json:
        import msgspec

        put_json({"facts": for_json(msgspec.to_builtins(facts))})
        return
    is_coloured = wants_colour(color, sys.stdout)
    for fact in facts:
        put(fact_line(fact, with_date=True, is_coloured=is_coloured))


def facts_of(
    child_id: str, limit: int, run_dir: Path | None, config: Path | None
) -> tuple[Fact, ...]:
    """Return the last facts (of one child, if given), of a node that runs or has run.

    Raises:
        NotFound: Nothing says which node.
    """
    try:
        with connected(run_dir, config) as client:
            answer = client.ask(History(child_id, limit), ANSWER_TIMEOUT_S)
    except NotFound:
        return _of_stopped(child_id, limit, stopped_node(run_dir, config))
    if not isinstance(answer, Facts):
        raise Internal(f"the root answered {type(answer).__name__} to history")
    return answer.facts


def _of_stopped(child_id: str, limit: int, node: NodeFile) -> tuple[Fact, ...]:
    from supervisor.io.state_reader import StateReader

    reader = StateReader(Path(node.state_dir))
    try:
        return tuple(reader.history(child_id, limit))
    finally:
        reader.close()
