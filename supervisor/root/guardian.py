"""The guardian: starts the root, starts another when it dies, and is parent of last resort.

    python -m supervisor.root.guardian RUN_DIR

There is nothing else in it: no ZeroMQ, no LMDB, no asyncio, no user code, so there is nothing that
could make it fail. It holds the lock of the state folder, which each root inherits. SIGTERM, SIGINT
and SIGHUP are passed on to the root, which stops the tree in order (a second one: at once).

The root says over a pipe with which code the runtime is to end; a root that ends without a word
has died, and another is started: at once, then with back-off. It exits 70 when root after root
dies young, since nothing that it could do would help.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec
from setproctitle import setproctitle

from supervisor.io.node_file import read_node_file, write_node_file
from supervisor.io.state_lock import StateLock
from supervisor.io.subreaper import become_subreaper
from wippy.core.backoff import Backoff, delay_s
from wippy.errors import AlreadyExists, WippyError

STATE_IN_USE_CODE = 75
ROOT_KEEPS_DYING_CODE = 70
YOUNG_S = 10.0
"""A root that lived at least this long was well once: the back-off begins anew."""
MAX_YOUNG_DEATHS = 10
"""Roots in a row that died young before the guardian gives up."""
BACKOFF = Backoff(initial_delay_s=0.1, max_delay_s=5.0, factor=2.0, jitter=0.0)
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WATCHED = (*PASSED_ON, signal.SIGCHLD)


def main(argv: list[str]) -> int:
    """Run the node of the run folder `argv[1]`; return the exit code."""
    run_dir = Path(argv[1])
    node = read_node_file(run_dir)
    if node is None:
        print(
            f"{run_dir}: no node.json; start a node with: wippy-supervisor start", file=sys.stderr
        )
        return 2
    try:
        lock = StateLock.acquire(node.state_dir)
    except AlreadyExists as error:
        print(f"error: {error}", file=sys.stderr)
        return STATE_IN_USE_CODE
    except WippyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    setproctitle(f"wippy: guardian [{node.node}]")
    become_subreaper()
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    write_node_file(run_dir, msgspec.structs.replace(node, guardian_pid=os.getpid()))
    code = _Guardian(run_dir, lock).run()
    with contextlib.suppress(FileNotFoundError):
        (run_dir / "root").unlink()  # nobody listens there any more
    return code


class _Guardian:
    def __init__(self, run_dir: Path, lock: StateLock) -> None:
        self._run_dir = run_dir
        self._lock = lock
        self._attempt = 0
        self._young_deaths = 0
        self._stop_signals: list[int] = []

    def run(self) -> int:
        while True:
            self._attempt += 1
            started_s = time.monotonic()
            pid, report_fd = self._start_root()
            self._tell_clients(pid)
            status = self._watch(pid)
            code = _read_code(report_fd)
            if code is not None:
                return code
            if self._stop_signals:
                print(
                    f"the root died while it stopped the tree: {_ending(status)}", file=sys.stderr
                )
            is_young = time.monotonic() - started_s < YOUNG_S
            self._young_deaths = self._young_deaths + 1 if is_young else 1
            print(
                f"the root (pid {pid}) died: {_ending(status)}; starting another", file=sys.stderr
            )
            if self._young_deaths > MAX_YOUNG_DEATHS:
                print(
                    f"error: {MAX_YOUNG_DEATHS} roots in a row died young; giving up",
                    file=sys.stderr,
                )
                return ROOT_KEEPS_DYING_CODE
            self._wait_s(delay_s(BACKOFF, self._young_deaths - 1, 0.5))

    def _start_root(self) -> tuple[int, int]:
        report_r, report_w = os.pipe()
        lock_fd = self._lock.fileno()
        for fd in (report_w, lock_fd):
            os.set_inheritable(fd, True)
        arguments = [
            sys.executable, "-P", "-m", "supervisor.root.boot", str(self._run_dir),
            str(os.getpid()), str(self._attempt), str(lock_fd), str(report_w),
        ]  # fmt: skip
        # -P: a folder named `supervisor` where the user stands is not ours. Its own session: the
        # terminal's ^C is for the guardian alone. A signal to stop waits until the root, which
        # recovers first, can obey it.
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            os.environ,
            setsid=True,
            setsigmask=PASSED_ON,
            setsigdef=PASSED_ON,
        )
        os.close(report_w)
        os.set_inheritable(lock_fd, False)
        if self._stop_signals:
            os.kill(pid, signal.SIGTERM)  # asked to stop while there was no root
        return pid, report_r

    def _tell_clients(self, root_pid: int) -> None:
        node = read_node_file(self._run_dir)
        if node is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the guardian
                write_node_file(self._run_dir, msgspec.structs.replace(node, root_pid=root_pid))

    def _watch(self, root_pid: int) -> int:
        """Wait for the root's end, passing signals on and reaping strangers; return its status."""
        while True:
            status = _reap(root_pid)
            if status is not None:
                return status
            got = signal.sigwaitinfo(WATCHED)
            if got.si_signo in PASSED_ON:
                self._stop_signals.append(got.si_signo)
                os.kill(root_pid, signal.SIGTERM)  # it is not reaped yet, so it is the root

    def _wait_s(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            got = signal.sigtimedwait(WATCHED, left_s)
            if got is not None and got.si_signo in PASSED_ON:
                self._stop_signals.append(got.si_signo)
            _reap(0)


def _reap(root_pid: int) -> int | None:
    """Reap whatever has ended (as PID 1 of a container, strangers too); return the root's status.

    waitpid(-1) is right here and only here: the guardian waits for nobody but the root.
    """
    root_status = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return root_status
        if pid == 0:
            return root_status
        if pid == root_pid:
            root_status = status


def _read_code(report_fd: int) -> int | None:
    try:
        text = os.read(report_fd, 16)
    finally:
        os.close(report_fd)
    return int(text) if text else None


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {-code}"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
