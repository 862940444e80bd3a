"""`check`: read a configuration, say all that is wrong with it, change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONFIG_HELP = "A configuration file, or a folder of them."


def check(
    config: Annotated[Path, typer.Argument(help=CONFIG_HELP)] = Path("configs"),
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a configuration without starting anything.

    All errors of all files are shown at once, each with its place and the nearest right word.

    Examples:

      wippy-supervisor check configs/

      wippy-supervisor check app.yaml --json | jq '.errors[].message'

    Exit codes: 0 it is right, 2 there is nothing at that path, 78 it has errors.
    """
    import msgspec

    from supervisor.cli.configuration import load_or_exit

    blueprint = load_or_exit(config, as_json=json)
    count = len(blueprint.entries)
    if json:
        answer = {"schema": 1, "ok": True, "entries": count, "errors": []}
        print(msgspec.json.format(msgspec.json.encode(answer)).decode())
    else:
        print(f"{config}: {count} {'entry' if count == 1 else 'entries'}, no errors")
