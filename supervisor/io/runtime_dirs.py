"""Where a node's things live, and how a command finds the node (api.md, section 3)."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wippy.core import ids
from wippy.errors import Invalid, NotFound

STATE_FOLDER = ".wippy"
ROOT_SOCKET = "root"
"""A run folder that holds this socket is a node's."""
MAX_SOCKET_PATH_BYTES = 107
"""sockaddr_un has 108 bytes, the last one NUL (unix(7))."""
LONGEST_SOCKET_NAME = 40
MAX_RUN_DIR_BYTES = MAX_SOCKET_PATH_BYTES - LONGEST_SOCKET_NAME - 1
SHORT_HASH = 10
"""Characters: two configurations of one user meet by chance in one of 10^12 cases."""


def defaults(
    source: Path, values: Mapping[str, Any], *, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return node and folders for what `values` does not set.

    Args:
        source: The configuration file or folder, absolute.
        values: What is set, by names of `RuntimeSpec`.
        environ: `XDG_RUNTIME_DIR` is used.

    Nothing is made. The run folder follows from the state folder: one state, one run folder.
    """
    folder = source if source.is_dir() else source.parent
    state_dir = str(values.get("state_dir", folder / STATE_FOLDER))
    return {
        "node": _host_name(),
        "state_dir": state_dir,
        "run_dir": str(_bases(environ)[0] / _short_hash(state_dir)),
        "log_dir": str(Path(state_dir) / "logs"),
    }


def fits_socket(run_dir: str) -> bool:
    """Say whether every socket of a node fits below `run_dir`."""
    return len(os.fsencode(run_dir)) <= MAX_RUN_DIR_BYTES


def find_run_dirs(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return the run folders of this user's nodes, sorted.

    Only those in the default places are found, and a node that was killed may have left one.
    """
    found: set[Path] = set()
    for base in _bases(os.environ if environ is None else environ):
        found.update(folder for folder in _folders(base) if is_run_dir(folder))
    return tuple(sorted(found))


def is_run_dir(folder: Path) -> bool:
    """Say whether `folder` is this user's and holds the socket of a root."""
    try:
        is_ours = folder.stat().st_uid == os.geteuid()
    except OSError:
        return False  # gone since it was listed
    return is_ours and (folder / ROOT_SOCKET).exists()


def resolve_run_dir(
    *,
    run_dir: Path | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Path:
    """Return the run folder of the node that a command means.

    In this order: `run_dir` (the flag), `WIPPY_RUN_DIR`, the configuration given, the node of the
    current folder or of its `configs/`, the only node that this user runs.

    Raises:
        NotFound: No node runs, or `config` is not there.
        Invalid: Several run, and nothing says which is meant; the message lists them.
        ConfigErrors: The `runtime:` section of `config` is wrong.
    """
    variables = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else cwd
    if run_dir is not None:
        return here / run_dir
    if config is not None:
        return _of_config(here / config, variables)
    if variables.get("WIPPY_RUN_DIR"):
        return here / variables["WIPPY_RUN_DIR"]
    for folder in (here, here / "configs"):
        if folder.is_dir() and is_run_dir(near := _of_config(folder, variables)):
            return near
    return _only_one(find_run_dirs(variables), variables)


def _of_config(config: Path, environ: Mapping[str, str]) -> Path:
    from supervisor.io import files  # the two need each other: a section may name the folder

    return Path(files.load_runtime(config, environ=environ).run_dir)


def _only_one(found: tuple[Path, ...], environ: Mapping[str, str]) -> Path:
    if not found:
        where = _bases(environ)[0]
        raise NotFound(
            f"no node at {where} (not running?). Start one: wippy-supervisor start configs/"
        )
    if len(found) > 1:
        listed = "\n".join(f"  --run-dir {folder}" for folder in found)
        raise Invalid(f"{len(found)} nodes are running; say which one is meant:\n{listed}")
    return found[0]


def _bases(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders that hold run folders, the one for new nodes first."""
    own = Path("/tmp") / f"wippy-{os.geteuid()}"
    session = environ.get("XDG_RUNTIME_DIR", "")
    # A relative one is invalid (XDG base directory specification), one that is gone useless.
    if session.startswith("/") and os.access(session, os.W_OK):
        return (Path(session) / "wippy", own)
    return (own,)


def _folders(base: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder for folder in base.iterdir() if folder.is_dir())
    except OSError:
        return ()  # none was ever made


def _short_hash(state_dir: str) -> str:
    return hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:SHORT_HASH]


def _host_name() -> str:
    name = socket.gethostname().split(".")[0]
    return name if ids.NODE.fullmatch(name) else "node"
