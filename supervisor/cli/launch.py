"""Starting a node: its folders, what the guardian reads there, and the guardian itself."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from supervisor.cli.node import get_view, usual_run_dir
from supervisor.core.spec import Blueprint
from supervisor.core.view import NodeView
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import (
    BLUEPRINT,
    SOCKET,
    NodeFile,
    is_listening,
    is_node_there,
    read_node_file,
    replace_file,
    write_node_file,
)
from supervisor.io.state_lock import StateLock
from wippy.core import reasons
from wippy.errors import AlreadyExists, Invalid, NotFound, PermissionDenied, Timeout, Unavailable

NODE_LOG = "node.log"
GUARDIAN = "supervisor.root.guardian"
SOCKET_PATH_MAX = 107
"""Bytes of `sun_path`, less the closing zero (unix(7))."""
LOOK_S = 0.02
"""How often a node that is starting is looked at: a start takes some hundred milliseconds."""
LOG_TAIL_LINES = 40
LOG_FORMATS = ("text", "json")


class Ended(Exception):
    """The guardian ended before the node was up; `code` is what the command ends with."""

    def __init__(self, code: int) -> None:
        how = reasons.sentence(reasons.from_returncode(code))
        super().__init__(f"the node, while it was starting, {how}")
        self.code = shell_code(code)


def prepare(blueprint: Blueprint, log_format: str = LOG_FORMATS[0]) -> Path:
    """Make the folders and write what the guardian reads; return the run folder.

    Args:
        blueprint: The configuration.
        log_format: One of `LOG_FORMATS`.

    Raises:
        AlreadyExists: A node runs there, or another runtime holds the state folder.
        PermissionDenied: A folder is somebody else's, or open to others.
        Invalid: The run folder's path is too long for a socket; no such format.
        Unavailable: No room on the disk.
    """
    if log_format not in LOG_FORMATS:
        raise Invalid(f"--log-format {log_format}: must be {' or '.join(LOG_FORMATS)}")
    runtime = blueprint.runtime
    run_dir = Path(runtime.run_dir)
    make_private(run_dir)
    if is_node_there(run_dir):
        raise AlreadyExists(_runs_already(run_dir))
    StateLock.acquire(runtime.state_dir).release()
    node = NodeFile(
        node=runtime.node,
        source=blueprint.source,
        state_dir=runtime.state_dir,
        run_dir=runtime.run_dir,
        log_dir=runtime.log_dir,
        log_format=log_format,
    )
    try:
        Path(runtime.log_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_node_file(run_dir, node)
        replace_file(run_dir / BLUEPRINT, msgspec.msgpack.encode(blueprint))
    except OSError as error:
        raise Unavailable(f"{error.filename or run_dir}: {error.strerror}") from error
    return run_dir


def leave_link(config: Path, run_dir: Path) -> None:
    """Let commands find a node whose run folder is not the usual one of its configuration: leave
    a link to it at the usual place. Where that cannot be, `--run-dir` is needed."""
    usual = usual_run_dir(config)
    with contextlib.suppress(OSError):
        if usual.is_symlink():
            usual.unlink()
        if usual != run_dir and not usual.exists():
            make_private(usual.parent)
            usual.symlink_to(run_dir, target_is_directory=True)


def make_private(run_dir: Path) -> None:
    """Make the run folder with mode 0700: whoever can open its socket commands the node.

    Raises:
        PermissionDenied: It is there, and somebody else's or open to others; or so is the
            folder above it, so that another could put a folder of his in its place.
        Invalid: It is no folder, or too long for a socket.
    """
    if len(os.fsencode(run_dir / SOCKET)) > SOCKET_PATH_MAX:
        raise Invalid(
            f"run folder {run_dir}: the path of its socket would be longer than "
            f"{SOCKET_PATH_MAX} bytes; choose a shorter one with --run-dir"
        )
    try:
        for folder in (*reversed(run_dir.parents), run_dir):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        found, above = run_dir.lstat(), run_dir.parent.stat()
    except OSError as error:
        raise PermissionDenied(f"run folder {run_dir}: {error.strerror}; --run-dir") from error
    if not stat.S_ISDIR(found.st_mode):
        raise Invalid(f"run folder {run_dir} is no folder; remove it, or choose --run-dir")
    if found.st_uid != os.geteuid():
        raise PermissionDenied(f"run folder {run_dir} belongs to uid {found.st_uid}; --run-dir")
    if found.st_mode & 0o077:
        raise PermissionDenied(
            f"run folder {run_dir} is open to others (mode {found.st_mode & 0o777:04o}): "
            f"chmod 700 {run_dir}, or choose another with --run-dir"
        )
    if not _is_safe_parent(above):
        raise PermissionDenied(
            f"run folder {run_dir}: others can replace it, since they can write to "
            f"{run_dir.parent}; choose another with --run-dir"
        )


def become_guardian(run_dir: Path) -> NoReturn:
    """Turn this process into the node's guardian: it keeps our pid, and our terminal or pipe."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, _command(run_dir), _environment())


def spawn_guardian(run_dir: Path, node_log: Path) -> subprocess.Popen[bytes]:
    """Start the guardian in a session of its own, its output appended to `node_log`."""
    with open(os.open(node_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as log:
        return subprocess.Popen(
            _command(run_dir),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until(
    guardian: subprocess.Popen[bytes], run_dir: Path, is_there: Callable[[NodeView], bool]
) -> NodeView:
    """Wait until the node answers with a view that `is_there` accepts; ^C ends the node.

    Raises:
        Ended: The guardian ended first.
    """
    try:
        _wait_listening(guardian, run_dir)
        with ControlClient(run_dir) as client:
            while True:
                view = _view_if_any(client)
                if view is not None and is_there(view):
                    return view
                _rest(guardian)
    except NotFound:
        raise Ended(guardian.wait()) from None
    except KeyboardInterrupt:
        guardian.send_signal(signal.SIGTERM)
        guardian.wait()
        raise


def shell_code(returncode: int) -> int:
    """Return what a shell makes of a subprocess's end: 128 + n where signal n killed it."""
    return 128 - returncode if returncode < 0 else returncode


def log_tail(node_log: Path, offset: int) -> list[str]:
    """Return the last lines that were written to `node_log` after byte `offset`."""
    with node_log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _wait_listening(guardian: subprocess.Popen[bytes], run_dir: Path) -> None:
    while not is_listening(run_dir / SOCKET):
        _rest(guardian)


def _rest(guardian: subprocess.Popen[bytes]) -> None:
    """Wait for the next look; raises `Ended` if the guardian ends."""
    try:
        raise Ended(guardian.wait(LOOK_S))
    except subprocess.TimeoutExpired:
        return


def _view_if_any(client: ControlClient) -> NodeView | None:
    try:
        return get_view(client, timeout_s=1.0)
    except (Timeout, Unavailable):
        return None  # the root is busy, or just being replaced


def _command(run_dir: Path) -> list[str]:
    # -P: a folder `supervisor` where the user happens to be must not shadow our package.
    return [sys.executable, "-P", "-m", GUARDIAN, str(run_dir)]


def _environment() -> dict[str, str]:
    """Return our environment; a source tree that is not installed is put on PYTHONPATH."""
    ours = Path(__file__).resolve().parents[2]
    environment = dict(os.environ)
    if ours.name not in {"site-packages", "dist-packages"}:
        given = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = f"{ours}:{given}" if given else str(ours)
    return environment


def _is_safe_parent(above: os.stat_result) -> bool:
    is_writable = bool(above.st_mode & 0o022) and not above.st_mode & stat.S_ISVTX
    return above.st_uid in {0, os.geteuid()} and not is_writable


def _runs_already(run_dir: Path) -> str:
    node = read_node_file(run_dir)
    who = f"node {node.node} runs (pid {node.guardian_pid})" if node is not None else "a node runs"
    return (
        f"{who} in {run_dir} already; look: wippy-supervisor top --run-dir {run_dir}; "
        f"stop it: wippy-supervisor stop --run-dir {run_dir}"
    )
