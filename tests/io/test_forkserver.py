"""The forkserver: real servers, real kills.

`sitecustomize` of the server stands in for `wippy.runtime`: a birth is Python source, and is run.
What the server forks comes to the test process when the server dies (subreaper), as to the root.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.io.forkserver import BACKLOG, Fork, Forkserver
from supervisor.io.os_process import OsProcess
from supervisor.io.subreaper import become_subreaper, reap
from wippy.errors import Invalid, Unavailable

DEADLINE_S = 60.0
PACKAGES = Path(__file__).parents[2]
STAND_IN = """
import os, sys, types
if os.environ.get("WIPPY_FORKSERVER"):
    preload, boot = types.ModuleType("wippy.runtime.preload"), types.ModuleType("boot")
    def run(birth, parent_sentinel):
        names = {"parent_sentinel": parent_sentinel, "status": 0}
        exec(birth, names)
        return names["status"]
    boot.run = run
    sys.modules["wippy.runtime.preload"], sys.modules["wippy.runtime.boot"] = preload, boot
"""


class Server:
    """A forkserver under test and all it forked; `close` leaves nothing running."""

    def __init__(self, folder: Path, python_path: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.forkserver = Forkserver(
            python_path=python_path,
            node="test",
            preload=("json", "decimal"),
            temp_dir=folder,
            stderr_path=self.log,
        )
        self._processes: list[OsProcess] = []
        self._forks: list[Fork] = []

    def start(self) -> OsProcess:
        process = OsProcess.open(self.forkserver.start())
        assert process is not None
        self._processes.append(process)
        return process

    def fork(self, source: str) -> Fork:
        fork = self.forkserver.fork(textwrap.dedent(source).encode())
        self._forks.append(fork)
        return fork

    def born(self, source: str) -> tuple[Fork, OsProcess]:
        fork = self.fork(source)
        read_until(fork, lambda: fork.pid is not None)
        assert fork.pid is not None
        process = OsProcess.open(fork.pid)
        assert process is not None
        self._processes.append(process)
        return fork, process

    def close(self) -> None:
        for fork in self._forks:
            fork.read()
        self.forkserver.stop()
        for process in reversed(self._processes):
            process.signal(signal.SIGKILL)
        for process in self._processes:
            wait_readable(process.fileno())
            reap(process)
            process.close()
        for fork in self._forks:
            fork.close()


def wait_readable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000), "nothing came"


def read_until(fork: Fork, is_done: Callable[[], bool]) -> None:
    while not is_done():
        assert not fork.is_closed, "the status pipe has ended"
        wait_readable(fork.status_fd)
        fork.read()


def wait_returncode(fork: Fork) -> None:
    read_until(fork, lambda: fork.returncode is not None)


@pytest.fixture(scope="module", autouse=True)
def _subreaper() -> None:
    become_subreaper()


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    (folder / "sitecustomize.py").write_text(STAND_IN)
    server = Server(folder, f"{folder}:{PACKAGES}")
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder)


def test_a_child_tells_its_pid_and_then_its_exit_status(server: Server) -> None:
    server.start()
    fork = server.fork("status = 7")
    wait_returncode(fork)
    assert fork.pid
    assert fork.returncode == 7


def test_a_child_that_was_killed_tells_the_signal(server: Server) -> None:
    server.start()
    fork, process = server.born("import signal; signal.pause()")
    assert process.signal(signal.SIGKILL)
    wait_returncode(fork)
    assert fork.returncode == -signal.SIGKILL
    read_until(fork, lambda: fork.is_closed)


def test_requests_made_before_the_server_is_up_are_served(server: Server) -> None:
    server.start()
    forks = [server.fork(f"status = {n}") for n in range(8)]
    for number, fork in enumerate(forks):
        wait_returncode(fork)
        assert fork.returncode == number


def test_a_birth_larger_than_a_pipe_arrives_whole(server: Server) -> None:
    server.start()
    fork = server.fork(f"status = len({'x' * 3_000_000!r}) % 251")
    wait_returncode(fork)
    assert fork.returncode == 3_000_000 % 251


def test_the_server_has_its_own_environment_session_and_no_tracker(server: Server) -> None:
    before = dict(os.environ)
    process = server.start()
    assert dict(os.environ) == before
    fork = server.fork(
        """
        import os, sys
        assert os.environ["WIPPY_NODE"] == "test", os.environ
        assert os.environ["WIPPY_PRELOAD"] == "json,decimal"
        assert os.getsid(0) == os.getppid() != os.getpgid(1)
        assert "multiprocess.resource_tracker" in sys.modules
        assert "" not in sys.path
        """
    )
    wait_returncode(fork)
    assert fork.returncode == 0, server.log.read_text()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    assert children == ""
    assert os.getsid(process.pid) == process.pid


def test_a_child_that_exists_costs_one_descriptor(server: Server) -> None:
    server.start()
    before = len(os.listdir("/proc/self/fd"))
    fork = server.fork("import signal; signal.pause()")
    read_until(fork, lambda: fork.pid is not None)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    assert fork.pid is not None
    os.kill(fork.pid, signal.SIGKILL)
    wait_returncode(fork)


def test_a_kept_data_pipe_tells_that_the_child_became_another_program(server: Server) -> None:
    server.start()
    go = server.folder / "go"
    os.mkfifo(go)
    fork = server.fork(
        f"import os; open({str(go)!r}).read(); os.execvp('sleep', ['sleep', '1000'])"
    )
    fork.keeps_data = True
    read_until(fork, lambda: fork.pid is not None)
    assert fork.pid is not None
    poll = select.poll()
    poll.register(fork.data_fd, 0)
    assert poll.poll(0) == []
    go.write_bytes(b"")
    assert poll.poll(DEADLINE_S * 1000) == [(fork.data_fd, select.POLLERR)]
    os.kill(fork.pid, signal.SIGKILL)
    wait_returncode(fork)
    fork.close_data()
    assert fork.data_fd == -1


def test_children_get_the_python_path_of_the_root_and_not_that_of_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os; print('path', os.environ.get('PYTHONPATH'), flush=True)"
    monkeypatch.setenv("PYTHONPATH", "/of/the/root")
    server.start()
    wait_returncode(server.fork(source))
    server.forkserver.stop()
    monkeypatch.delenv("PYTHONPATH")
    server.start()
    wait_returncode(server.fork(source))
    assert server.log.read_text().split("\n") == ["path /of/the/root", "path None", ""]


def test_children_survive_a_killed_server_and_their_status_pipes_end(server: Server) -> None:
    first = server.start()
    fork, child = server.born("import signal; signal.pause()")
    first.signal(signal.SIGKILL)
    read_until(fork, lambda: fork.is_closed)
    assert fork.returncode is None
    assert not child.has_ended()
    wait_readable(first.fileno())  # its pipes are closed a moment before it counts as ended
    assert not server.forkserver.is_running()
    with pytest.raises(Unavailable):
        server.fork("")
    assert reap(first) == -signal.SIGKILL
    # The subreaper has adopted the child, and another server takes the place of the first.
    server.start()
    again = server.fork("status = 3")
    wait_returncode(again)
    assert again.returncode == 3
    child.signal(signal.SIGTERM)
    wait_readable(child.fileno())
    assert reap(child) == -signal.SIGTERM


def test_a_stopped_server_takes_no_time_of_ours_and_serves_when_continued(server: Server) -> None:
    process = server.start()
    first = server.fork("status = 1")
    wait_returncode(first)
    process.signal(signal.SIGSTOP)
    forks: list[Fork] = []

    def ask_for_ever() -> None:
        while True:
            forks.append(server.fork(f"status = {len(forks) % 100}"))

    with pytest.raises(Unavailable, match="takes no request"):
        ask_for_ever()
    assert BACKLOG <= len(forks) <= BACKLOG + 1
    assert server.forkserver.is_running()
    assert all(fork.pid is None for fork in forks)
    process.signal(signal.SIGCONT)
    for number, fork in enumerate(forks):
        wait_returncode(fork)
        assert fork.returncode == number % 100


def test_a_request_withdrawn_before_the_fork_never_lives(server: Server) -> None:
    process = server.start()
    first = server.fork("status = 1")
    wait_returncode(first)
    process.signal(signal.SIGSTOP)
    marker = server.folder / "marker"
    withdrawn = server.fork(f"open({str(marker)!r}, 'w')")
    withdrawn.close()
    process.signal(signal.SIGCONT)
    after = server.fork("status = 2")
    wait_returncode(after)
    server.forkserver.stop()
    wait_readable(process.fileno())
    assert not marker.exists()


def test_the_server_leaves_when_its_owner_is_killed_and_children_stay(server: Server) -> None:
    source = textwrap.dedent(
        f"""
        import os, signal, sys
        from pathlib import Path
        from supervisor.io.forkserver import Forkserver
        server = Forkserver(python_path={f"{server.folder}:{PACKAGES}"!r}, node="n", preload=(),
                            temp_dir=Path({str(server.folder)!r}), stderr_path=None)
        pid = server.start()
        fork = server.fork(b"import signal; signal.pause()")
        while fork.pid is None:
            fork.read()
        print(pid, fork.pid, flush=True)
        signal.pause()
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    owner = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert owner.stdout is not None
    pids = owner.stdout.readline().split()
    forkserver, child = (OsProcess.open(int(pid)) for pid in pids)
    assert forkserver is not None
    assert child is not None
    owner.kill()
    owner.wait()
    owner.stdout.close()
    try:
        wait_readable(forkserver.fileno())
        assert not child.has_ended()
    finally:
        for process in (child, forkserver):
            process.signal(signal.SIGKILL)
            wait_readable(process.fileno())
            reap(process)
            process.close()


def test_nothing_is_left_of_a_stopped_server(server: Server) -> None:
    process = server.start()
    server.forkserver.stop()
    server.forkserver.stop()
    wait_readable(process.fileno())
    assert reap(process) == 0
    assert {p.name for p in server.folder.iterdir()} <= {"sitecustomize.py", "log", "__pycache__"}


def test_a_socket_left_by_a_killed_root_is_no_obstacle(server: Server) -> None:
    server.start()
    second = Server(server.folder, f"{server.folder}:{PACKAGES}")
    try:
        second.start()
        fork = second.fork("status = 4")
        wait_returncode(fork)
        assert fork.returncode == 4
    finally:
        second.close()


def test_a_preload_that_fails_is_told_and_the_server_serves(server: Server) -> None:
    broken = STAND_IN + "    sys.modules['wippy.runtime.preload'] = None\n"
    (server.folder / "sitecustomize.py").write_text(broken)
    server.start()
    fork = server.fork("status = 6")
    wait_returncode(fork)
    assert fork.returncode == 6
    assert "wippy.runtime.preload" in server.log.read_text()


def test_a_path_too_long_for_a_socket_is_refused_in_words(tmp_path: Path) -> None:
    forkserver = Forkserver(
        python_path="", node="n", preload=(), temp_dir=tmp_path / ("x" * 100), stderr_path=None
    )
    with pytest.raises(Invalid, match="too long"):
        forkserver.start()


def test_a_folder_that_does_not_exist_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    folder.rmdir()
    forkserver = Forkserver(python_path="", node="n", preload=(), temp_dir=folder, stderr_path=None)
    with pytest.raises(Unavailable):
        forkserver.start()
    assert not forkserver.is_running()
    assert len(os.listdir("/proc/self/fd")) == before
