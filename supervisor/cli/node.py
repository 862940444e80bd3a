"""Finding the node a command is about, and asking it.

A command finds its node by `--run-dir`, `WIPPY_RUN_DIR`, the configuration folder given or the
current folder's, or as the only node this user runs; with several it lists them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from supervisor.core.requests import GetView, Verb, ViewAnswer
from supervisor.core.view import NodeView, Row
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import NodeFile, is_node_there, read_node_file
from supervisor.io.runtime_dirs import defaults, find_run_dirs
from wippy.errors import Internal, NotFound

COMMAND_TIMEOUT_S = 600.0
"""For commands that are answered when they are done: longer than a patient stop_timeout."""

USUAL_FOLDER = "configs"
"""The folder of the first example of every document; looked for in the current folder."""


def find_run_dir(run_dir: Path | None, config: Path | None = None) -> Path:
    """Return the run folder of the node that is meant.

    Args:
        run_dir: `--run-dir`, if given.
        config: A configuration folder or file, if given.

    Raises:
        NotFound: None runs, or several do and nothing says which.
    """
    if run_dir is not None:
        return run_dir.absolute()
    if config is not None:
        return _configured(config)
    if os.environ.get("WIPPY_RUN_DIR"):
        return Path(os.environ["WIPPY_RUN_DIR"]).absolute()
    here = Path.cwd()
    for folder in (here, here / USUAL_FOLDER):
        candidate = run_dir_of(folder)
        if is_node_there(candidate):
            return candidate
    return _the_only_one()


def run_dir_of(config: Path) -> Path:
    """Return where the node of `config` is found, without reading the configuration.

    A node whose folders are elsewhere leaves a link at the usual place.
    """
    usual = usual_run_dir(config)
    return usual.resolve() if usual.is_symlink() else usual


def usual_run_dir(config: Path) -> Path:
    """Return the run folder that the node of `config` has if nothing sets another."""
    return Path(defaults(config.resolve(), {}, environ=os.environ)["run_dir"])


def living_run_dirs() -> list[Path]:
    """Return the run folders of every node this user runs, in order of their names."""
    folders = {folder.resolve() for folder in find_run_dirs(os.environ)}
    return sorted(folder for folder in folders if is_node_there(folder))


@contextlib.contextmanager
def connected(run_dir: Path | None, config: Path | None = None) -> Iterator[ControlClient]:
    """Open a client of the node that is meant; raises `NotFound` if there is none."""
    with ControlClient(find_run_dir(run_dir, config)) as client:
        yield client


def stopped_node(run_dir: Path | None, config: Path | None) -> NodeFile:
    """Return what a node that does not run any more has left: its folders.

    Raises:
        NotFound: None is known that has run.
    """
    here = Path.cwd()
    if run_dir is None and config is None and not os.environ.get("WIPPY_RUN_DIR"):
        candidates = [run_dir_of(here), run_dir_of(here / USUAL_FOLDER)]
    else:
        candidates = [find_run_dir(run_dir, config)]
    for candidate in candidates:
        node = read_node_file(candidate)
        if node is not None:
            return node
    if config is not None and run_dir is None:
        return _configured_node(config)
    raise NotFound(
        "no node runs, and none was found that has run; say which: --config DIR or --run-dir DIR"
    )


def get_view(client: ControlClient, timeout_s: float = 10.0) -> NodeView:
    """Return the node's view."""
    answer = client.ask(GetView(), timeout_s)
    if not isinstance(answer, ViewAnswer):
        raise Internal(f"the root answered {type(answer).__name__} when asked for its view")
    return answer.view


def ask_about(
    client: ControlClient, child_id: str, verb: Verb, timeout_s: float = COMMAND_TIMEOUT_S
) -> object:
    """Ask something about one child; an id that does not exist gets the nearest one suggested."""
    try:
        return client.ask(verb, timeout_s)
    except NotFound as error:
        if "did you mean" in str(error) or child_id.isdecimal():
            raise  # an OS pid is no misspelt id
        raise NotFound(_unknown(child_id, get_view(client).rows)) from error


def get_part(child_id: str | None, run_dir: Path | None, config: Path | None) -> NodeView:
    """Return the view of the node that is meant, its rows those of a child and all below it, if
    one is given.

    Raises:
        NotFound: There is no such child, or no node.
    """
    import msgspec

    with connected(run_dir, config) as client:
        view = get_view(client)
    if child_id is None:
        return view
    return msgspec.structs.replace(view, rows=tuple(subtree(view, child_id)))


def find_row(view: NodeView, child_id: str) -> Row:
    """Return the row of `child_id`; raises `NotFound` that suggests the nearest id."""
    for row in view.rows:
        if row.id == child_id:
            return row
    raise NotFound(_unknown(child_id, view.rows))


def subtree(view: NodeView, child_id: str) -> list[Row]:
    """Return the row of `child_id` and all below it, in tree order."""
    top = find_row(view, child_id)
    after = view.rows[view.rows.index(top) + 1 :]
    below: list[Row] = []
    for row in after:
        if row.depth <= top.depth:
            break
        below.append(row)
    return [top, *below]


def nearest(word: str, words: list[str]) -> str:
    """Return the entry of `words` most like `word`; a bare name is compared with names alone.
    Empty if none is like it."""
    import difflib

    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if not close:
        by_name = {full.rpartition(":")[2]: full for full in reversed(words)}
        name = word.rpartition(":")[2]
        close = [by_name[it] for it in difflib.get_close_matches(name, by_name, n=1, cutoff=0.7)]
    return close[0] if close else ""


def complete_id(incomplete: str) -> list[str]:
    """Return the ids of the running node that begin so, for the shell's completion."""
    return complete(lambda row: row.id, incomplete)


def complete(key: Callable[[Row], str], incomplete: str) -> list[str]:
    """Return `key` of each row that begins with `incomplete`; nothing if no node answers."""
    from wippy.errors import WippyError

    try:
        with connected(None) as client:
            rows = get_view(client, timeout_s=1.0).rows
    except WippyError:
        return []  # a completion has no place for an error
    return [key(row) for row in rows if key(row).startswith(incomplete)]


def _unknown(child_id: str, rows: tuple[Row, ...]) -> str:
    near = nearest(child_id, [row.id for row in rows])
    hint = f"; did you mean '{near}'?" if near else "; see wippy-supervisor status"
    return f"no child '{child_id}' in this node{hint}"


def _configured(config: Path) -> Path:
    """Return the run folder that a configuration given by name has; reads it only if need be."""
    found = run_dir_of(config)
    if is_node_there(found):
        return found
    from supervisor.io.files import load_runtime

    return Path(load_runtime(config, environ=os.environ).run_dir)


def _configured_node(config: Path) -> NodeFile:
    """Return the folders of a node whose run folder is gone: a reboot may have emptied /tmp."""
    from supervisor.io.files import load_runtime

    runtime = load_runtime(config, environ=os.environ)
    return NodeFile(
        node=runtime.node,
        source=str(config.absolute()),
        state_dir=runtime.state_dir,
        run_dir=runtime.run_dir,
        log_dir=runtime.log_dir,
    )


def _the_only_one() -> Path:
    living = living_run_dirs()
    if len(living) == 1:
        return living[0]
    if not living:
        raise NotFound(
            "no node of yours is running. Start one: wippy-supervisor start configs/ "
            "(or say where it is: --run-dir DIR)"
        )
    lines = [f"  --run-dir {folder}   {_described(folder)}" for folder in living]
    raise NotFound("several nodes are running; say which one:\n" + "\n".join(lines))


def _described(run_dir: Path) -> str:
    node = read_node_file(run_dir)
    return f"node {node.node} from {node.source}" if node is not None else "a node"
