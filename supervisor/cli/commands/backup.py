"""`backup`: a copy of the state, of a node that runs or of one that is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from supervisor.cli.node import COMMAND_TIMEOUT_S, connected, stopped_node
from supervisor.cli.options import Config, RunDir
from supervisor.cli.output import put
from supervisor.core.requests import Backup, Done
from wippy.core.units import format_bytes
from wippy.errors import Internal, NotFound

Target = Annotated[Path, typer.Argument(metavar="TARGET", help="A new folder.")]


def backup(target: Target, run_dir: RunDir = None, config: Config = None) -> None:
    """Copy the registry and the history, consistently, into a new folder.

    Examples:

        wippy-supervisor backup /backups/shop-monday
        wippy-supervisor start configs/ --state-dir /backups/shop-monday

    Of a node that runs, the keeper copies while everything goes on; of a stopped one the folder
    is copied while nobody can start it. Returns when the copy is on the disk.
    """
    path = target.absolute()
    try:
        with connected(run_dir, config) as client:
            answer = client.ask(Backup(str(path)), COMMAND_TIMEOUT_S)
    except NotFound:
        put(_of_stopped(Path(stopped_node(run_dir, config).state_dir), path))
        return
    if not isinstance(answer, Done):
        raise Internal(f"the root answered {type(answer).__name__} to backup")
    put(answer.text)


def _of_stopped(state_dir: Path, target: Path) -> str:
    from supervisor.io.state_copy import copy_stopped_state

    size_bytes = copy_stopped_state(state_dir, target)
    return f"{format_bytes(size_bytes)} in {target} (of a stopped node)"
