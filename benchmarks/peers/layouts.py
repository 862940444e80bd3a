"""How each peer is told to keep one program running; each function returns the peer's command.

Everything else is left as the peer has it, but for what would make it give up or wait on purpose.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from peers import tools

Layout = Callable[[Path, list[str]], list[str]]
"""Lays out a private folder for a program and its arguments; returns a foreground command."""

Program = Callable[[Path], list[str]]
"""Returns the command line of a program that tells its first line through this FIFO."""


def respawn(folder: Path, program: list[str]) -> list[str]:
    """Return a bare loop of posix_spawn and waitpid, in C."""
    return [str(tools.compiled("respawn")), *program]


def supervisord(folder: Path, program: list[str]) -> list[str]:
    """Return supervisord with `startsecs=0`: a start counts at once."""
    config = folder / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\n"
        f"[program:actor]\ncommand={' '.join(program)}\nautorestart=true\nstartsecs=0\n"
        "stdout_logfile=NONE\nstderr_logfile=NONE\n"
    )
    return [str(tools.packaged("supervisord")), "-c", str(config)]


def circusd(folder: Path, program: list[str]) -> list[str]:
    """Return circusd with its sockets in the folder and no limit of restarts."""
    config = folder / "circus.ini"
    sockets = "\n".join(
        f"{name} = ipc://{folder}/{name}" for name in ("endpoint", "pubsub_endpoint")
    )
    config.write_text(
        f"[circus]\n{sockets}\n[watcher:actor]\ncmd = {' '.join(program)}\ncopy_env = True\n"
        "max_retry = -1\n"
    )
    return [str(tools.packaged("circusd")), str(config)]


def runsv(folder: Path, program: list[str]) -> list[str]:
    """Return runit's `runsv` on a service folder."""
    return ["runsv", str(_service(folder, program))]


def supervise(folder: Path, program: list[str]) -> list[str]:
    """Return daemontools' `supervise` on a service folder."""
    return ["supervise", str(_service(folder, program))]


def _service(folder: Path, program: list[str]) -> Path:
    """Make a service folder whose `run` is the program itself: no shell is in between."""
    service = folder / "service"
    service.mkdir()
    run = service / "run"
    if len(program) == 2:
        run.symlink_to(program[0])
    else:
        run.write_text(f"#!{program[0]}\n{Path(program[1]).read_text()}")
        run.chmod(0o755)
    (service / "first-lines").symlink_to(program[-1])
    return service


def missing(layout: Layout, program: Program) -> str:
    """Return why a peer cannot run this program here; empty if it can."""
    if layout in (supervisord, circusd):
        return "" if tools.packaged(layout.__name__) else "not installed (PyPI)"
    if (layout is respawn or program is c_program) and tools.compiled("actor") is None:
        return "no C compiler"
    packages: dict[Layout, str] = {runsv: "runit", supervise: "daemontools"}
    package = packages.get(layout, "")
    if not package or shutil.which(layout.__name__):
        return ""
    return f"not installed (apt-get install {package})"


def python_program(fifo: Path) -> list[str]:
    """Return the Python actor's command line."""
    return [str(tools.empty_python()), str(tools.PROGRAMS / "actor.py"), str(fifo)]


def isolated_python_program(fifo: Path) -> list[str]:
    """Return the same without `site`: for information, nobody runs actors so."""
    return [str(tools.empty_python()), "-I", "-S", *python_program(fifo)[1:]]


def c_program(fifo: Path) -> list[str]:
    """Return the C actor's command line."""
    return [str(tools.compiled("actor")), str(fifo)]
