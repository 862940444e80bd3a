"""`registry`: the entries that the node runs from, their versions, and changes of them."""

from __future__ import annotations

from typing import Annotated

import typer

from supervisor.cli.options import Color, Config, Json, RunDir, Yes


def complete_entry(incomplete: str) -> list[str]:
    """Return the ids of the registry that begin so, for the shell's completion."""
    from supervisor.cli.registry.access import Where, reading
    from wippy.errors import WippyError

    try:
        with reading(Where()) as reader:
            return [id_ for id_ in reader.entries() if id_.startswith(incomplete)]
    except WippyError:
        return []  # a completion has no place for an error


ID_HELP = "Entry, as in `registry list`."
Id = Annotated[str, typer.Argument(metavar="ID", help=ID_HELP, autocompletion=complete_entry)]
OptionalId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help=ID_HELP, autocompletion=complete_entry)
]
Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Entries.", autocompletion=complete_entry)
]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=0, help="As in `history`.")]
At = Annotated[
    int | None, typer.Option("--at", metavar="VERSION", min=0, help="As it was at this version.")
]
Kind = Annotated[str, typer.Option("--kind", "-k", help="Of this kind.")]
Namespace = Annotated[str, typer.Option("--namespace", "-N", help="In this namespace.")]
Meta = Annotated[
    list[str] | None, typer.Option("--meta", "-m", metavar="KEY=VALUE", help="With this meta.")
]
Comment = Annotated[str, typer.Option("--comment", help="Why; kept with the version.")]
Expected = Annotated[
    int | None,
    typer.Option(
        "--expected-version",
        metavar="VERSION",
        min=0,
        help="Refuse if the registry is at another version.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would change, and what the tree would do.")
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Even if nobody could change the policies back afterwards."),
]


def registry() -> None:
    """Show and change the entries that the node runs from.

    Examples:

        wippy-supervisor registry list
        wippy-supervisor registry get app.db:postgres
        wippy-supervisor registry set app.db:postgres port=5433 --comment "moved"
        wippy-supervisor registry history
        wippy-supervisor registry rollback 12
        wippy-supervisor registry export

    What only reads works on a stopped node too.
    """


def get(
    id: Id, at: At = None, json: Json = False, run_dir: RunDir = None, config: Config = None
) -> None:
    """Show an entry. As YAML, with the version that wrote it, and where it stands.

    Examples:

        wippy-supervisor registry get app.db:postgres
        wippy-supervisor registry get app.db:postgres --at 12
        wippy-supervisor registry get app.db:postgres --json | jq .entry.data.port

    Exit codes: 0 shown, 4 there is no such entry or version.
    """
    from supervisor.cli.registry import reading
    from supervisor.cli.registry.access import Where

    reading.get(Where(run_dir, config), id, at=at, is_json=json)


def list_(at: At = None, json: Json = False, run_dir: RunDir = None, config: Config = None) -> None:
    """Show all entries.

    Examples:

        wippy-supervisor registry list
        wippy-supervisor registry list --at 12
        wippy-supervisor registry list --json | jq -r '.entries[].id'
    """
    from supervisor.cli.registry import reading
    from supervisor.cli.registry.access import Where

    reading.find(Where(run_dir, config), meta={}, at=at, is_json=json)


def find(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="Ids like app.db:* or app.**")
    ] = "",
    kind: Kind = "",
    namespace: Namespace = "",
    meta: Meta = None,
    at: At = None,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show some entries. Those that are all of what is asked for.

    Examples:

        wippy-supervisor registry find 'app.db:*' --meta type=db.sql
        wippy-supervisor registry find --kind process.service --namespace app
    """
    from supervisor.cli.registry import reading
    from supervisor.cli.registry.access import Where
    from supervisor.cli.registry.values import assignments

    reading.find(
        Where(run_dir, config),
        pattern=pattern,
        kind=kind,
        namespace=namespace,
        meta=assignments(meta or ()),
        at=at,
        is_json=json,
    )


def history(
    id: OptionalId = None,
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many versions.")
    ] = 20,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show the versions. Newest first: when, by whom, why, and how many entries were created (+),
    updated (~) and deleted (-); those of one entry, if it is given.

    Examples:

        wippy-supervisor registry history -n 5
        wippy-supervisor registry history app.db:postgres
        wippy-supervisor registry history --json | jq '.versions[] | select(.author != "start")'
    """
    from supervisor.cli.registry import reading
    from supervisor.cli.registry.access import Where

    reading.history(Where(run_dir, config), id or "", limit=limit, is_json=json)


def diff(
    old: Annotated[int | None, typer.Argument(metavar="[OLD]", min=0, help="A version.")] = None,
    new: Annotated[int | None, typer.Argument(metavar="[NEW]", min=0, help="A later one.")] = None,
    json: Json = False,
    color: Color = "auto",
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show what differs. From the files as they were last loaded; from version OLD; or from OLD
    to NEW.

    Examples:

        wippy-supervisor registry diff
        wippy-supervisor registry diff 12
        wippy-supervisor registry diff 12 15 --json | jq '.changes[].id'
    """
    from supervisor.cli.registry import reading
    from supervisor.cli.registry.access import Where

    reading.diff(Where(run_dir, config), old, new, color=color, is_json=json)


def set_(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID PATH=VALUE... | -", help="What is set.", show_default=False),
    ] = None,
    file: Annotated[
        str, typer.Option("--file", "-f", metavar="FILE", help="Entries in YAML; - is stdin.")
    ] = "",
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="PATH", help="Remove a value.")
    ] = None,
    kind: Annotated[str, typer.Option("--kind", "-k", help="Makes the entry, or changes it.")] = "",
    meta: Annotated[
        list[str] | None, typer.Option("--meta", "-m", metavar="KEY=VALUE", help="Sets meta.")
    ] = None,
    comment: Comment = "",
    expected_version: Expected = None,
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Set values, or whole entries. As one version, from words or from a YAML file.

    Examples:

        wippy-supervisor registry set app.db:postgres port=5433 --comment "moved"
        wippy-supervisor registry set app:web lifecycle.restart=transient --dry-run
        wippy-supervisor registry set app:flags --kind registry.entry beta=true
        wippy-supervisor registry set app:web --unset lifecycle.backoff
        wippy-supervisor registry get app:web | sed s/5s/9s/ | wippy-supervisor registry set -
        wippy-supervisor registry set --file more.yaml

    Values are YAML. The file has entries as `get` shows them (`id: app:web`), one or a list, or is
    a file of a configuration; relative paths in it start where they did, those of new entries at
    the configuration's folder.

    Exit codes: 0 it is on the disk, 1 refused (it would be wrong, or somebody was first), 4 no
    such entry or no node, 78 the file has errors.
    """
    from supervisor.cli.registry import writing
    from supervisor.cli.registry.access import Where

    how = writing.How(comment, expected_version, force, dry_run, json)
    where, given = Where(run_dir, config), list(words or ())
    if file or given == [writing.STDIN]:
        if (file and given) or unset or kind or meta:
            raise typer.BadParameter("with a file there is nothing else to set")
        writing.set_entries(where, how, file or writing.STDIN)
        return
    if not given:
        raise typer.BadParameter("give an id and what to set: app:web port=5433, or --file FILE")
    if len(given) == 1 and not (unset or kind or meta):
        raise typer.BadParameter(f"give what to set of {given[0]}: port=5433")
    id, *texts = given
    writing.set_values(where, how, id, texts, unset=unset or (), kind=kind, meta=meta or ())


def delete(
    ids: Ids,
    comment: Comment = "",
    expected_version: Expected = None,
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Delete entries. As one version; what others need is not deleted, and the error names them.

    Examples:

        wippy-supervisor registry delete app:note
        wippy-supervisor registry delete app:web app:web_code --comment "retired" --dry-run

    `registry rollback` brings them back. Exit codes as of `set`.
    """
    from supervisor.cli.registry import writing
    from supervisor.cli.registry.access import Where

    how = writing.How(comment, expected_version, force, dry_run, json)
    writing.delete(Where(run_dir, config), how, ids)


def rollback(
    version: Version,
    comment: Comment = "",
    expected_version: Expected = None,
    force: Force = False,
    dry_run: DryRun = False,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Restore an old version. As a new one that has its entries: nothing of the history is lost.

    Examples:

        wippy-supervisor registry rollback 12 --dry-run
        wippy-supervisor registry rollback 12 --comment "back to before the move"

    Exit codes as of `set`; 4 if there is no such version, or it was forgotten.
    """
    from supervisor.cli.registry import writing
    from supervisor.cli.registry.access import Where

    how = writing.How(comment, expected_version, force, dry_run, json)
    writing.rollback(Where(run_dir, config), how, version)


def export(
    to: Annotated[
        str, typer.Option("--to", metavar="DIR", help="A new folder instead; - is stdout.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Write changes back into the files. Comments, order and layout of the rest stay.

    Examples:

        wippy-supervisor registry export --dry-run
        wippy-supervisor registry export
        wippy-supervisor registry export --to exported/

    Only the entries that differ are touched, and their source files. New ones go to the first file
    of their namespace, or to a new one. `--to` writes the whole configuration, and leaves the
    files as they are. Works on a stopped node too.

    Exit codes: 0 written, or nothing to write; 1 a file was changed since it was loaded, or
    an entry cannot be written back; then nothing is written.
    """
    from supervisor.cli.registry import exporting
    from supervisor.cli.registry.access import Where

    exporting.export(Where(run_dir, config), to, is_dry_run=dry_run, is_json=json)


def compact(
    keep: Annotated[int, typer.Option("--keep", min=1, help="Versions to keep.")],
    yes: Yes = False,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Forget old versions. The entries stay as they are.

    Examples:

        wippy-supervisor registry compact --keep 100

    The file does not shrink: its room is used again.
    """
    from supervisor.cli.output import confirm
    from supervisor.cli.registry import writing
    from supervisor.cli.registry.access import Where

    confirm(f"Forget all versions but the last {keep}?", yes=yes)
    writing.compact(Where(run_dir, config), keep, is_json=json)


ACTIONS = (get, list_, find, history, diff, set_, delete, rollback, export, compact)
