"""`doctor`: is this machine, and this installation, fit to run a node?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.node import living_run_dirs, run_dir_of
from supervisor.cli.options import Json
from supervisor.cli.output import put, put_json
from supervisor.io.node_file import read_node_file

PIDFD_SIGNAL_PROCESS_GROUP = 4
PIDFD_SEND_SIGNAL = 424  # the same system call number on every architecture (Linux 5.1 on)
OPEN_FILES_WANTED = 4096  # some five descriptors for each child of a large node
SOCKET_PATH_MAX = 107
DEPENDENCIES = (
    "multiprocess",
    "pyzmq",
    "msgspec",
    "lmdb",
    "psutil",
    "ruamel.yaml",
    "rich",
    "typer",
    "setproctitle",
)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; `text` of a failure says what to do."""

    what: str
    status: Literal["ok", "warning", "failed"]
    text: str


def doctor(json: Json = False) -> None:
    """Check Python, the kernel, limits, folders and the installation.

    Examples:

        wippy-supervisor doctor
        wippy-supervisor doctor --json

    Exit code 1 if something keeps a node from running; warnings do not count.
    """
    findings = list(examine())
    if json:
        put_json({"findings": findings})
    else:
        for it in findings:
            put(f"{it.status:<8} {it.what}: {it.text}")
    if any(it.status == "failed" for it in findings):
        raise typer.Exit(ExitCode.FAILED)


def examine() -> Iterator[Finding]:
    """Yield a finding for everything that a node needs."""
    yield _python()
    yield _package()
    yield from (_dependency(name) for name in DEPENDENCIES)
    yield _proc()
    yield _pidfd()
    yield _group_signal()
    yield _open_files()
    yield _processes()
    yield _run_folder()
    yield from _nodes()


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")


def _package() -> Finding:
    """PyPI's `supervisor` (supervisord) installs an import package of the same name."""
    import supervisor

    found = Path(supervisor.__file__ or "?").resolve()
    own = Path(__file__).resolve().parents[2] / "__init__.py"
    clash = _version_of("supervisor")
    if found != own:
        return Finding(
            "package", "failed", f"import supervisor finds {found}, not ours ({own}); "
            "PyPI's supervisor (supervisord) has the same name: use an environment of our own",
        )  # fmt: skip
    if clash and (own.parent / "supervisord.py").exists():
        return Finding(
            "package", "failed",
            f"supervisor {clash} (supervisord) is installed into the same folder {own.parent} and "
            "one has overwritten files of the other: use an environment of our own",
        )  # fmt: skip
    if clash:
        return Finding(
            "package", "warning", f"{own.parent}; supervisor {clash} (supervisord) is installed "
            "too, and an import may find it first: use an environment of our own",
        )  # fmt: skip
    return Finding("package", "ok", str(own.parent))


def _dependency(name: str) -> Finding:
    version = _version_of(name)
    if version:
        return Finding(name, "ok", version)
    return Finding(name, "failed", "not installed; pip install wippy-supervisor")


def _proc() -> Finding:
    if Path("/proc/self/stat").exists():
        return Finding("/proc", "ok", f"Linux {platform.release()}")
    return Finding("/proc", "failed", "not mounted; a node reads start times and memory there")


def _pidfd() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError) as error:
        return Finding("pidfd", "failed", f"{error}; Linux 5.3 or later is needed (seccomp?)")
    return Finding("pidfd", "ok", "processes are watched and signalled without races")


def _group_signal() -> Finding:
    """Signal 0 to our own group through a pidfd: only kernels from 6.9 know the flag."""
    import ctypes

    what = "pidfd group signals"
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    try:
        descriptor = os.pidfd_open(os.getpgrp())
    except OSError:
        return Finding(what, "warning", "cannot be tried here: the group's leader has ended")
    try:
        failed = syscall(PIDFD_SEND_SIGNAL, descriptor, 0, None, PIDFD_SIGNAL_PROCESS_GROUP)
    finally:
        os.close(descriptor)
    if failed:
        reason = os.strerror(ctypes.get_errno())
        return Finding(what, "warning", f"{reason}; killpg is used instead (Linux before 6.9)")
    return Finding(what, "ok", "PIDFD_SIGNAL_PROCESS_GROUP")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} (hard limit {hard})"
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES_WANTED:
        return Finding("open files", "warning", f"{text}; large nodes need {OPEN_FILES_WANTED}")
    return Finding("open files", "ok", text)


def _processes() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    return Finding("processes", "ok", "unlimited" if soft == resource.RLIM_INFINITY else str(soft))


def _run_folder() -> Finding:
    folder = run_dir_of(Path.cwd())
    base = next(it for it in (folder, *folder.parents) if it.exists())
    if len(str(folder)) + len("/root") > SOCKET_PATH_MAX:
        return Finding("run folder", "failed", f"{folder} is too long for a socket: --run-dir")
    if not os.access(base, os.W_OK | os.X_OK):
        return Finding("run folder", "failed", f"{base} cannot be written: --run-dir")
    try:
        with tempfile.NamedTemporaryFile(dir=base, prefix=".wippy-doctor-"):
            return Finding("run folder", "ok", f"{folder.parent}")
    except OSError as error:
        return Finding("run folder", "failed", f"{base}: {error.strerror}; --run-dir")


def _nodes() -> Iterator[Finding]:
    for folder in living_run_dirs():
        node = read_node_file(folder)
        name = node.node if node is not None else "?"
        state = node.state_dir if node is not None else "?"
        yield Finding(f"node {name}", "ok", f"runs; run folder {folder}, state folder {state}")


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
