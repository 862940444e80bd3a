"""`spawn`: one more child of a dynamic supervisor."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from supervisor.cli.node import COMMAND_TIMEOUT_S, ask_about, complete_id, connected
from supervisor.cli.options import Config, Json, RunDir
from supervisor.cli.output import put, put_json
from supervisor.core.requests import Done, Spawn
from wippy.errors import Internal, Invalid

SupervisorId = Annotated[
    str,
    typer.Argument(metavar="SUPERVISOR", help="A dynamic one.", autocompletion=complete_id),
]
Arguments = Annotated[
    str | None,
    typer.Argument(metavar="[JSON]", help="List of arguments in place of the template's."),
]


def spawn(
    supervisor: SupervisorId,
    args: Arguments = None,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Start one more child of a dynamic supervisor; prints its id when it is up.

    Examples:

        wippy-supervisor spawn app:crawlers
        wippy-supervisor spawn app:crawlers '["https://example.org", {"depth": 2}]'
    """
    verb = Spawn(supervisor, None if args is None else parse_args(args))
    with connected(run_dir, config) as client:
        answer = ask_about(client, supervisor, verb, COMMAND_TIMEOUT_S)
    if not isinstance(answer, Done):
        raise Internal(f"the root answered {type(answer).__name__} to spawn")
    if json:
        put_json({"id": answer.id})
    else:
        put(answer.id or answer.text)


def parse_args(text: str) -> tuple[Any, ...]:
    """Return the arguments in a JSON list; raises `Invalid` for anything else."""
    try:
        return tuple(msgspec.json.decode(text, type=list[Any]))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(
            f"{text!r} is no JSON list of arguments ({error}); write for instance '[1, \"a\"]'"
        ) from error
