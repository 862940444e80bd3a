"""`plan`: what would start, in which order, and what each death would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from supervisor.cli.commands.check import CONFIG_HELP


def plan(
    config: Annotated[Path, typer.Argument(help=CONFIG_HELP)] = Path("configs"),
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show what starting a configuration would do, without doing it.

    The start order in waves (what is in one wave starts side by side), and for each child what its
    death does: who is stopped, who is started, and what happens when that happens too often.

    Examples:

      wippy-supervisor plan configs/

      wippy-supervisor plan configs/ --json | jq '.deaths[] | select(.id == "app:worker")'

    Exit codes: 0 shown, 2 there is nothing at that path, 78 the configuration has errors.
    """
    import msgspec

    from supervisor.cli.configuration import load_or_exit
    from supervisor.core import graph
    from supervisor.core import plan as planning

    blueprint = load_or_exit(config, as_json=json)
    found = planning.plan(graph.build(blueprint))
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print(planning.text(found))
