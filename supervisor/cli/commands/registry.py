"""`registry`: the entries that the node runs from, their versions, and changes of them."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from supervisor.cli.options import Config, Json, RunDir
from supervisor.cli.registry_verbs import Asked, perform


class Action(enum.StrEnum):
    """What is to be done."""

    GET = "get"
    LIST = "list"
    FIND = "find"
    SET = "set"
    HISTORY = "history"
    DIFF = "diff"
    ROLLBACK = "rollback"


Words = Annotated[
    list[str] | None, typer.Argument(metavar="[WORD]...", help="What it is done with.")
]
Kind = Annotated[str, typer.Option("--kind", "-k", help="Of this kind.")]
Meta = Annotated[
    list[str] | None, typer.Option("--meta", "-m", metavar="KEY=VALUE", help="With this meta.")
]
Comment = Annotated[str, typer.Option("--comment", help="Why; kept with the version.")]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many versions.")]


def registry(
    action: Annotated[Action, typer.Argument(help="What is to be done.")],
    words: Words = None,
    kind: Kind = "",
    meta: Meta = None,
    comment: Comment = "",
    limit: Limit = 20,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show and change the entries that the node runs from.

    Examples:

        wippy-supervisor registry list
        wippy-supervisor registry find 'app.db:*' --meta type=db.sql
        wippy-supervisor registry get app.db:postgres
        wippy-supervisor registry set app.db:postgres port=5433 --comment "moved"
        wippy-supervisor registry history
        wippy-supervisor registry diff
        wippy-supervisor registry rollback 12

    `set` takes values in YAML, `lifecycle.restart=transient` for one that lies deeper, and makes
    an entry of plain data where there is none. `diff` shows what differs from the files as they
    were last loaded, `diff 12` what differs from version 12. What only reads works on a stopped
    node too.
    """
    asked = Asked(
        words=tuple(words or ()),
        kind=kind,
        meta=tuple(meta or ()),
        comment=comment,
        limit=limit,
        is_json=json,
        run_dir=run_dir,
        config=config,
    )
    perform(action, asked)
