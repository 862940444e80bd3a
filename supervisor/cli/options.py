"""Options that several verbs share: same flag, same meaning everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from supervisor.cli.node import complete_id

RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Run folder of the node (or WIPPY_RUN_DIR; else it is found)."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The node of this configuration folder or file."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs, schema 1.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Color = Annotated[str, typer.Option("--color", help="auto, always or never.", metavar="WHEN")]
ChildId = Annotated[
    str, typer.Argument(metavar="ID", help="Child, as in `status`.", autocompletion=complete_id)
]
OptionalId = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="Child, as in `status`.", autocompletion=complete_id),
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Children.", autocompletion=complete_id),
]
