"""The root as parent of last resort: it reaps each child by itself, and finds the escaped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.io import subreaper
from supervisor.io.os_process import OsProcess
from supervisor.io.subreaper import become_subreaper, claim, orphans, reap, release

DEADLINE_S = 60.0
PAUSE = [sys.executable, "-c", "import signal; signal.pause()"]
ESCAPE = f"""
import subprocess
child = subprocess.Popen({PAUSE!r}, start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
"""


def wait_ended(process: OsProcess) -> None:
    poll = select.poll()
    poll.register(process.fileno(), select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000)


def start(*command: str) -> OsProcess:
    pid = os.posix_spawn(command[0], command, os.environ)
    process = OsProcess.open(pid)
    assert process is not None
    return process


def finish(process: OsProcess) -> None:
    process.signal(signal.SIGKILL)
    wait_ended(process)
    reap(process)
    process.close()


@pytest.fixture(autouse=True)
def _adopting() -> None:
    become_subreaper()


@pytest.fixture(params=["children", "scan"])
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without CONFIG_PROC_CHILDREN."""
    if request.param == "scan":
        monkeypatch.setattr(subreaper, "_children", subreaper._children_by_scan)


@pytest.fixture
def escaped() -> Iterator[OsProcess]:
    """A grandchild in a session of its own, whose parent is gone."""
    parent = subprocess.run(
        [sys.executable, "-c", ESCAPE], stdout=subprocess.PIPE, check=True, text=True
    )
    process = OsProcess.open(int(parent.stdout))
    assert process is not None
    yield process
    finish(process)


@pytest.mark.parametrize("status", [0, 9])
def test_an_exit_status_is_reaped_as_it_was_given(status: int) -> None:
    process = start(sys.executable, "-c", f"raise SystemExit({status})")
    wait_ended(process)
    assert reap(process) == status
    assert reap(process) is None
    process.close()


def test_the_signal_of_a_killed_child_is_told_by_pid_too() -> None:
    process = start(*PAUSE)
    assert reap(process) is None
    assert reap(process.pid) is None
    process.signal(signal.SIGKILL)
    wait_ended(process)
    assert reap(process.pid) == -signal.SIGKILL
    process.close()


def test_reaping_one_child_leaves_the_status_of_another() -> None:
    one, other = (start(sys.executable, "-c", f"raise SystemExit({n})") for n in (3, 4))
    wait_ended(one)
    wait_ended(other)
    assert reap(other) == 4
    assert reap(one) == 3
    one.close()
    other.close()


def test_what_is_no_child_is_not_reaped() -> None:
    parent = OsProcess.open(os.getppid())
    assert parent is not None
    assert reap(parent) is None
    parent.close()


@pytest.mark.usefixtures("_kernel")
def test_an_escaped_grandchild_is_found_and_reaped(escaped: OsProcess) -> None:
    assert escaped.pid in orphans(set())
    assert escaped.pid not in orphans({escaped.pid})
    escaped.signal(signal.SIGKILL)
    wait_ended(escaped)
    assert escaped.pid in orphans(set())  # a zombie waits to be reaped
    assert reap(escaped) == -signal.SIGKILL
    assert escaped.pid not in orphans(set())


@pytest.mark.usefixtures("_kernel")
def test_a_claimed_child_is_no_orphan() -> None:
    process = start(*PAUSE)
    claim(process.pid)
    assert process.pid not in orphans(set())
    release(process.pid)
    assert process.pid in orphans(set())
    finish(process)
