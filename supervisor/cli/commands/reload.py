"""`reload`: have the node read its configuration again."""

from __future__ import annotations

from typing import Annotated

import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.node import COMMAND_TIMEOUT_S, connected
from supervisor.cli.options import Config, RunDir
from supervisor.cli.output import put, put_json, say
from supervisor.core.requests import Reload, ReloadAnswer
from wippy.errors import Internal

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")]
Wait = Annotated[float, typer.Option("--timeout", help="Seconds to wait.")]


def reload(
    dry_run: DryRun = False,
    json: Json = False,
    timeout: Wait = COMMAND_TIMEOUT_S,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Take over the configuration's files now; returns when what changed does well.

    Files that change are taken over by themselves, unless `runtime.watch` is false; this waits for
    the outcome, and says it. What has not changed keeps its process.

    Examples:

        wippy-supervisor reload --dry-run          what would be stopped, started, restarted
        wippy-supervisor reload && echo adopted

    Exit codes: 0 adopted, or nothing to do; 1 something does not do well with it (see `why`);
    4 no node; 78 the files are wrong: all that is wrong is said, and what runs goes on.
    """
    with connected(run_dir, config) as client:
        answer = client.ask(Reload(dry_run), timeout)
    if not isinstance(answer, ReloadAnswer):
        raise Internal(f"the root answered {type(answer).__name__} to reload")
    if json:
        put_json({**_data(answer), "is_dry": dry_run})
    elif answer.broken:
        say(answer.broken)
    elif dry_run:
        for line in answer.plan or ("nothing would be changed",):
            put(line)
    else:
        for line in _told(answer):
            put(line)
        for id, why in answer.failed:
            say(f"error: {id} {why}; see wippy-supervisor why {id}")
    if answer.broken:
        raise typer.Exit(ExitCode.CONFIG)
    if answer.failed:
        raise typer.Exit(ExitCode.FAILED)


def _told(answer: ReloadAnswer) -> list[str]:
    lines = [*answer.done]
    if answer.overridden:
        names = ", ".join(answer.overridden)
        lines.append(f"changed at run time, and now what the files say: {names}")
    if answer.kept:
        lines.append(f"kept as changed at run time: {', '.join(answer.kept)}")
    if answer.needs_restart:
        names = ", ".join(answer.needs_restart)
        lines.append(f"runtime settings that count from the next start of the node on: {names}")
    entries = "1 entry" if answer.changed == 1 else f"{answer.changed} entries"
    what = f"{entries} changed" if answer.changed else "the files say nothing new"
    return [*lines, f"registry version {answer.version}: {what}"]


def _data(answer: ReloadAnswer) -> dict[str, object]:
    return {
        "ok": not answer.broken and not answer.failed,
        "version": answer.version,
        "changed": answer.changed,
        "done": answer.done,
        "failed": [{"id": id, "why": why} for id, why in answer.failed],
        "overridden": answer.overridden,
        "kept": answer.kept,
        "needs_restart": answer.needs_restart,
        "plan": answer.plan,
        "errors": answer.broken,
    }
