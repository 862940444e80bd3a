"""The root's start: recover, then run until the tree is down.

python -m supervisor.root.boot RUN_DIR GUARDIAN_PID ATTEMPT LOCK_FD REPORT_FD
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import time
from pathlib import Path

import msgspec
from setproctitle import setproctitle

import supervisor
from supervisor.core.facts import FactKind
from supervisor.core.graph import build
from supervisor.core.spec import Blueprint
from supervisor.io.node_file import BLUEPRINT, read_node_file
from supervisor.io.os_process import OsProcess, boot_id
from supervisor.io.process_table import ProcessTable
from supervisor.io.state_lock import StateLock
from supervisor.io.subreaper import become_subreaper
from supervisor.root import recovery
from supervisor.root.control import SOCKET_NAME
from supervisor.root.root import Root
from supervisor.root.run_folder import START_ANEW_CODE
from wippy.errors import WippyError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Blocked by the guardian from the start, so that one that comes during recovery is not lost."""


def main(argv: list[str]) -> int:
    """Run the root; the exit code also goes to the guardian over the pipe `REPORT_FD`."""
    run_dir, guardian_pid, attempt, lock_fd, report_fd = (Path(argv[1]), *map(int, argv[2:6]))
    os.set_inheritable(report_fd, False)
    StateLock.adopt(lock_fd)
    become_subreaper()
    _raise_open_files()
    try:
        code = _run(run_dir, guardian_pid, attempt)
    except WippyError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = 1
    if code == START_ANEW_CODE:
        return code  # without a word to the guardian: it starts another root
    try:
        os.write(report_fd, str(code).encode())
    except BrokenPipeError:
        # The guardian was killed: nobody asks for the code, and nobody else tidies up.
        (run_dir / SOCKET_NAME).unlink(missing_ok=True)
    return code


def _run(run_dir: Path, guardian_pid: int, attempt: int) -> int:
    blueprint = msgspec.msgpack.decode((run_dir / BLUEPRINT).read_bytes(), type=Blueprint)
    setproctitle(f"wippy: root [{blueprint.runtime.node}]")
    table = ProcessTable(run_dir, boot_id())
    if attempt == 1:
        table.forget_node()
    found = recovery.end_leftovers(table)
    node = table.note_root_start(time.time())
    if found.survivors:
        raise WippyError(f"{found.sentence()}; nothing is started beside them")
    told = read_node_file(run_dir)
    log_format = told.log_format if told is not None else "text"
    return asyncio.run(_serve(blueprint, table, guardian_pid, node.root_starts, found, log_format))


async def _serve(
    blueprint: Blueprint,
    table: ProcessTable,
    guardian_pid: int,
    root_starts: int,
    found: recovery.Recovered,
    log_format: str,
) -> int:
    root = Root(
        blueprint,
        build(blueprint),
        table,
        root_starts=root_starts,
        guardian_pid=guardian_pid,
        python_path=_python_path(),
        log_format=log_format,
    )
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, root.shut_down, f"{number.name} received")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, signal.SIGHUP))
    _watch_guardian(root, guardian_pid)
    if table.lost:
        root.alarm(table.lost)
    if root_starts > 1 or found.found:
        root.chronicle.tell(FactKind.ROOT_RECOVERED, found.sentence())
    root.begin()
    await root.closed.wait()
    return root.code if root.code is not None else 1


def _watch_guardian(root: Root, guardian_pid: int) -> None:
    """If the guardian is killed, nobody would start another root: stop in order."""
    guardian = OsProcess.open(guardian_pid)
    if guardian is None or os.getppid() != guardian_pid:
        root.loop.call_soon(root.shut_down, "the guardian is gone")
        return
    loop = root.loop

    def gone() -> None:
        loop.remove_reader(guardian.fileno())
        root.shut_down("the guardian was killed")

    loop.add_reader(guardian.fileno(), gone)


def _python_path() -> str:
    """Where our packages are, first; then what the user had."""
    own = str(Path(supervisor.__file__).parent.parent)
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH", ""))))


def _raise_open_files() -> None:
    """A child takes three descriptors (pidfd and two pipes): 1,024 would end at 300 children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
