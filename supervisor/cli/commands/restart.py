"""`restart`: stop one child and start it again."""

from __future__ import annotations

import typer

from supervisor.cli.node import COMMAND_TIMEOUT_S, connected
from supervisor.cli.options import ChildId, Config, RunDir, Yes
from supervisor.cli.targets import command, confirm_many
from supervisor.core.requests import Restart


def restart(
    id: ChildId,
    yes: Yes = False,
    timeout: float = typer.Option(COMMAND_TIMEOUT_S, "--timeout", help="Seconds to wait."),
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Stop a child and start it again; returns when it is up.

    Examples:

        wippy-supervisor restart app:worker
        wippy-supervisor restart app:ingest --yes      a supervisor: everything under it

    An operator's restart never counts against the restart intensity.
    """
    with connected(run_dir, config) as client:
        confirm_many(client, id, "restart", yes=yes)
        command(client, id, Restart(id), timeout)
