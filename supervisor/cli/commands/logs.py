"""`logs`: what children wrote, read from their files, of a stopped node too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from supervisor.cli.commands.events import Follow
from supervisor.cli.node import connected, find_row, get_view, nearest, stopped_node
from supervisor.cli.options import Config, Ids, Json, RunDir
from supervisor.cli.output import put_json_now, put_now
from supervisor.core.view import Row, RowKind
from supervisor.io.log_text import Follower, tail_lines
from wippy.errors import NotFound, WippyError

LOOK_S = 0.2
"""How often a followed file is looked at: at a line a frame nobody sees a difference."""
LOOK_FOR_NEW_S = 2.0
"""How often `-f` without ids asks for children that were made meanwhile."""
SUFFIX = ".log"

Lines = Annotated[int, typer.Option("-n", "--lines", min=0, help="Last lines of each.")]


def logs(
    ids: Ids = None,
    follow: Follow = False,
    lines: Lines = 20,
    json: Json = False,
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Show the last lines that children wrote to stdout and stderr; with -f go on, until ^C.

    Examples:

        wippy-supervisor logs app:worker
        wippy-supervisor logs -f -n 0 app:worker app:reporter
        wippy-supervisor logs -f

    Several children get their id before each line. Works on a stopped node too.
    """
    paths = log_paths(ids or [], run_dir, config)
    if not follow:
        for child_id, path in paths.items():
            for line in tail_lines(path, lines):
                _show(child_id, line, paths, json)
        return
    followers = {child_id: Follower(path, backlog=lines) for child_id, path in paths.items()}
    look_again_s = time.monotonic() + LOOK_FOR_NEW_S
    while True:
        is_quiet = not _show_new(followers, paths, json)
        if is_quiet:
            time.sleep(LOOK_S)
        if not ids and time.monotonic() >= look_again_s:
            look_again_s = time.monotonic() + LOOK_FOR_NEW_S
            _add_new(followers, paths, run_dir, config)


def log_paths(ids: list[str], run_dir: Path | None, config: Path | None) -> dict[str, str]:
    """Return the log file of each child in `ids` (of all, if empty), in tree order.

    Raises:
        NotFound: No such child, and no log of it; or nothing says which node.
    """
    try:
        with connected(run_dir, config) as client:
            view = get_view(client)
    except NotFound:
        return _of_stopped(ids, run_dir, config)
    if ids:
        rows = [find_row(view, child_id) for child_id in ids]
        return {row.id: row.log_path for row in rows if row.log_path}
    return _one_for_each_file(view.rows)


def _one_for_each_file(rows: tuple[Row, ...]) -> dict[str, str]:
    """Return every log once; the actors of a worker write into the worker's."""
    owners: dict[str, str] = {}
    for row in rows:
        if row.log_path and (row.kind is not RowKind.POOL_ACTOR or row.log_path not in owners):
            owners[row.log_path] = row.id
    return {child_id: path for path, child_id in owners.items()}


def _of_stopped(ids: list[str], run_dir: Path | None, config: Path | None) -> dict[str, str]:
    folder = Path(stopped_node(run_dir, config).log_dir)
    if not ids:
        return {path.stem: str(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
    from supervisor.root.jobs import log_name

    paths = {child_id: folder / log_name(child_id) for child_id in ids}
    for child_id, path in paths.items():
        if not path.exists():
            known = [it.name.removesuffix(SUFFIX) for it in folder.glob(f"*{SUFFIX}")]
            near = nearest(path.name.removesuffix(SUFFIX), known)
            hint = f"; did you mean {near}{SUFFIX}?" if near else ""
            raise NotFound(f"no node runs, and no child '{child_id}' left a log in {folder}{hint}")
    return {child_id: str(path) for child_id, path in paths.items()}


def _show_new(followers: Mapping[str, Follower], paths: Mapping[str, str], json: bool) -> bool:
    """Write what is new; say whether anything was."""
    has_any = False
    for child_id, follower in followers.items():
        for line in follower.read():
            has_any = True
            _show(child_id, line, paths, json)
    return has_any


def _show(child_id: str, line: str, paths: Mapping[str, str], json: bool) -> None:
    if json:
        put_json_now({"id": child_id, "line": line})
    else:
        put_now(f"{child_id} | {line}" if len(paths) > 1 else line)


def _add_new(
    followers: dict[str, Follower], paths: dict[str, str], run_dir: Path | None, config: Path | None
) -> None:
    try:
        now = log_paths([], run_dir, config)
    except WippyError:
        return  # the root is busy or gone; what is followed already goes on
    for child_id, path in now.items():
        if path not in paths.values():
            paths[child_id] = path
            followers[child_id] = Follower(path)
