"""`start`: a node, or one child of a running node."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.node import COMMAND_TIMEOUT_S, complete_id, connected, nearest
from supervisor.cli.options import Config
from supervisor.cli.output import put, say
from supervisor.cli.targets import command
from supervisor.core.requests import Start
from supervisor.core.spec import Blueprint
from wippy.errors import AlreadyExists, Invalid, NotFound

LOOKS_LIKE_ID = re.compile(r"^[^/\s:]+:[^/\s:]+$")

Target = Annotated[
    str,
    typer.Argument(metavar="CONFIG|ID", help="Folder or file, or a child of the running node.",
                   autocompletion=complete_id),
]  # fmt: skip
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Return when it is up.")]
NoTui = Annotated[bool, typer.Option("--no-tui", help="Lines instead of the live tree.")]
Folder = Annotated[Path | None, typer.Option(help="In place of the configuration's.")]
Name = Annotated[str | None, typer.Option(help="Name of the node.")]
ExitCodeFrom = Annotated[
    str | None,
    typer.Option(metavar="ID", help="End with this child's exit code when it fails for good."),
]
LogFormat = Annotated[
    str,
    typer.Option(metavar="FORMAT", envvar="WIPPY_LOG_FORMAT", help="Lines as text, or as json."),
]


def start(
    target: Target,
    detach: Detach = False,
    no_tui: NoTui = False,
    state_dir: Folder = None,
    run_dir: Folder = None,
    log_dir: Folder = None,
    name: Name = None,
    exit_code_from: ExitCodeFrom = None,
    log_format: LogFormat = "text",
    config: Config = None,
) -> None:
    """Start the node of a configuration, or a stopped child of the running node.

    Examples:

        wippy-supervisor start configs/            live tree in a terminal, lines elsewhere
        wippy-supervisor start configs/ --detach   returns when everything is up
        wippy-supervisor start app:worker          a child that was stopped, is done or failed

    Exit codes: 78 the configuration is wrong, 75 another runtime has the state folder, 69 the
    runtime gave up, 1 the start failed; a node that was stopped ends with 0, or with the code of
    its essential child.
    """
    if is_child_id(target):
        with connected(run_dir, config) as client:
            command(client, target, Start(target), COMMAND_TIMEOUT_S)
        return
    if config is not None:
        raise Invalid(f"--config says which node has the child {target!r}; it is no child's id")
    flags = {"state_dir": state_dir, "run_dir": run_dir, "log_dir": log_dir, "node": name}
    overrides = {flag: str(value) for flag, value in flags.items() if value is not None}
    blueprint = with_essential(_load(Path(target), overrides), exit_code_from)
    folder = _prepare(blueprint, Path(target), log_format)
    if detach:
        _start_detached(blueprint, folder)
    elif no_tui or not _is_for_people():
        from supervisor.cli.launch import become_guardian

        become_guardian(folder)
    else:
        raise typer.Exit(_start_with_tree(blueprint, folder))


def is_child_id(target: str) -> bool:
    """Say whether `target` names a child (`app:worker`, `app:pool#2`) and no file or folder."""
    return bool(LOOKS_LIKE_ID.match(target)) and not Path(target).exists()


def with_essential(blueprint: Blueprint, child_id: str | None) -> Blueprint:
    """Return the blueprint with `child_id` made essential: its final failure ends the node with
    its exit code. Raises `NotFound` if there is no such service."""
    if child_id is None:
        return blueprint
    entry = blueprint.entries.get(child_id)
    lifecycle = getattr(entry, "lifecycle", None)
    if entry is None or lifecycle is None:
        near = nearest(child_id, list(blueprint.entries))
        hint = f"; did you mean '{near}'?" if near else ""
        raise NotFound(f"--exit-code-from {child_id}: no such service in {blueprint.source}{hint}")
    lifecycle = msgspec.structs.replace(lifecycle, essential=True)
    changed = msgspec.structs.replace(entry, lifecycle=lifecycle)
    return msgspec.structs.replace(blueprint, entries={**blueprint.entries, child_id: changed})


def _load(config: Path, overrides: dict[str, str]) -> Blueprint:
    from supervisor.cli.configuration import load_or_exit

    return load_or_exit(config, as_json=False, overrides=overrides)


def _prepare(blueprint: Blueprint, config: Path, log_format: str) -> Path:
    from supervisor.cli.launch import leave_link, prepare

    try:
        folder = prepare(blueprint, log_format)
    except AlreadyExists as error:
        say(f"error: {error}")
        raise typer.Exit(ExitCode.STATE_IN_USE) from error
    leave_link(config, folder)
    return folder


def _is_for_people() -> bool:
    """Say whether the live tree can be shown: a terminal that can, and nobody's CI."""
    is_dumb = os.environ.get("TERM", "dumb") == "dumb" or bool(os.environ.get("CI"))
    return sys.stdin.isatty() and sys.stdout.isatty() and not is_dumb


def _start_detached(blueprint: Blueprint, run_dir: Path) -> None:
    from supervisor.cli.launch import Ended, log_tail, wait_until

    guardian, node_log, offset = _spawn(blueprint, run_dir)
    try:
        view = wait_until(guardian, run_dir, lambda view: view.state == "running")
    except Ended as end:
        _tell_failure(log_tail(node_log, offset), node_log)
        raise typer.Exit(end.code or ExitCode.FAILED) from end
    processes = len({row.os_pid for row in view.rows if row.os_pid})
    put(f"node {view.node} is up: {processes} processes; look: wippy-supervisor top")


def _start_with_tree(blueprint: Blueprint, run_dir: Path) -> int:
    """Show the live tree of a new node; return what the command ends with."""
    from supervisor.cli.launch import Ended, log_tail, shell_code, wait_until
    from supervisor.tui.app import run

    guardian, node_log, offset = _spawn(blueprint, run_dir)
    try:
        wait_until(guardian, run_dir, lambda view: True)
    except Ended as end:
        _tell_failure(log_tail(node_log, offset), node_log)
        return end.code or ExitCode.FAILED
    status = run(run_dir, owns_node=True, node_exit=guardian.poll)
    if guardian.poll() is None:
        return status  # detached from it, or the terminal went away: the node goes on
    if guardian.returncode:
        _tell_failure(log_tail(node_log, offset), node_log)
    return shell_code(guardian.returncode)


def _spawn(blueprint: Blueprint, run_dir: Path) -> tuple[subprocess.Popen[bytes], Path, int]:
    """Start the guardian; return it, its log, and where in the log its own lines begin."""
    from supervisor.cli.launch import NODE_LOG, size_of, spawn_guardian

    node_log = Path(blueprint.runtime.log_dir) / NODE_LOG
    offset = size_of(node_log)
    return spawn_guardian(run_dir, node_log), node_log, offset


def _tell_failure(lines: list[str], node_log: Path) -> None:
    for line in lines:
        say(line)
    say(f"the node did not stay up; its log: {node_log}")
