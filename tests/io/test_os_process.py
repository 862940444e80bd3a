"""OS processes held by pidfds: signals reach that very process, its group, or nobody."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from supervisor.io.os_process import Identity, OsProcess, identity_of, session_members
from wippy.errors import PermissionDenied

DEADLINE_S = 60.0
PAUSE = "import signal; signal.pause()"
LEADER = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {PAUSE!r}])
print(child.pid, flush=True)
if sys.argv[1] == "stay":
    child.wait()
"""


def wait_ended(process: OsProcess) -> None:
    poll = select.poll()
    poll.register(process.fileno(), select.POLLIN)
    assert poll.poll(DEADLINE_S * 1000), f"{process.pid} did not end"


@contextmanager
def sleeper() -> Iterator[tuple[subprocess.Popen[bytes], OsProcess]]:
    child = subprocess.Popen([sys.executable, "-c", PAUSE])
    process = OsProcess.open(child.pid)
    assert process is not None
    try:
        yield child, process
    finally:
        child.kill()
        child.wait()
        process.close()


@contextmanager
def family(end: str) -> Iterator[tuple[subprocess.Popen[str], OsProcess, OsProcess]]:
    """A leader of its own session and its child; the leader ends at once or stays."""
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, end],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert leader.stdout is not None
    process = OsProcess.open(leader.pid)
    member = OsProcess.open(int(leader.stdout.readline()))
    assert process is not None
    assert member is not None
    try:
        yield leader, process, member
    finally:
        member.signal(signal.SIGKILL)
        leader.kill()
        leader.wait()
        leader.stdout.close()
        process.close()
        member.close()


def test_a_process_is_opened_while_it_lives_and_while_it_is_a_zombie() -> None:
    with sleeper() as (child, process):
        assert process.identity == identity_of(child.pid)
        assert not process.has_ended()
        assert process.signal(signal.SIGKILL)
        wait_ended(process)
        assert process.has_ended()
        zombie = OsProcess.open(child.pid)
        assert zombie is not None
        assert zombie.identity == process.identity
        assert zombie.os_state() == "Z"
        zombie.close()
        child.wait()
        assert OsProcess.open(child.pid) is None
        assert identity_of(child.pid) is None
        assert process.os_state() == ""


def test_a_process_that_has_ended_takes_no_signal() -> None:
    with sleeper() as (child, process):
        assert process.signal(signal.SIGTERM)
        wait_ended(process)
        assert not process.signal(signal.SIGTERM)
        child.wait()
        assert not process.signal(signal.SIGTERM)
        assert not process.signal_group(signal.SIGTERM)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_a_pid_that_nobody_has_opens_nothing(pid: int) -> None:
    assert OsProcess.open(pid) is None


def test_a_stranger_with_the_same_pid_is_never_opened() -> None:
    with sleeper() as (child, process):
        again = OsProcess.open_verified(process.identity)
        assert again is not None
        again.close()
        for change in ({"boot_id": "another"}, {"start_ticks": 1}):
            other = msgspec.structs.replace(process.identity, **change)
            assert OsProcess.open_verified(other) is None
        child.kill()
        child.wait()
        assert OsProcess.open_verified(process.identity) is None


def test_identity_is_data() -> None:
    identity = identity_of(os.getpid())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(identity), type=Identity) == identity


def test_a_name_with_spaces_and_parentheses_is_no_riddle() -> None:
    source = "open('/proc/self/comm','w').write(') S 1 (x y'); print(1, flush=True); " + PAUSE
    child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    process = OsProcess.open(child.pid)
    assert process is not None
    assert process.os_state() in {"R", "S"}
    assert child.pid not in session_members({os.getpid()})
    assert child.pid in session_members({os.getsid(0)})
    child.kill()
    child.wait()
    child.stdout.close()
    process.close()


def test_a_stopped_process_shows_as_stopped() -> None:
    with sleeper() as (_, process):
        process.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert process.os_state() == "T"


@pytest.fixture(params=["pidfd", "killpg"])
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This kernel, and one older than Linux 6.9."""
    real = signal.pidfd_send_signal

    def old(pidfd: int, number: int, info: object = None, flags: int = 0) -> None:
        if flags:
            raise OSError(errno.EINVAL, "Invalid argument")
        real(pidfd, number)

    if request.param == "killpg":
        monkeypatch.setattr(signal, "pidfd_send_signal", old)


@pytest.mark.usefixtures("_kernel")
def test_a_signal_to_the_group_reaches_every_member() -> None:
    with family("stay") as (_, process, member):
        assert process.signal_group(signal.SIGKILL)
        wait_ended(process)
        wait_ended(member)


@pytest.mark.usefixtures("_kernel")
def test_the_group_of_a_zombie_leader_gets_the_signal() -> None:
    with family("leave") as (_, process, member):
        wait_ended(process)
        assert not member.has_ended()
        assert process.signal_group(signal.SIGKILL)
        wait_ended(member)


def test_the_group_of_a_reaped_leader_gets_the_signal_where_the_kernel_can_tell() -> None:
    with family("leave") as (leader, process, member):
        leader.wait()
        assert process.signal_group(signal.SIGKILL)
        wait_ended(member)


def test_an_old_kernel_never_signals_the_group_of_a_reaped_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def old(pidfd: int, number: int, info: object = None, flags: int = 0) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    with family("leave") as (leader, process, member):
        leader.wait()
        with monkeypatch.context() as patch:
            patch.setattr(signal, "pidfd_send_signal", old)
            assert not process.signal_group(signal.SIGKILL)
        assert not member.has_ended()


@pytest.mark.usefixtures("_kernel")
def test_a_process_that_leads_no_group_yet_gets_the_signal_alone() -> None:
    with sleeper() as (_, process):
        assert process.signal_group(signal.SIGKILL)
        wait_ended(process)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may signal anybody")
def test_a_process_of_another_user_is_not_signalled() -> None:
    init = OsProcess.open(1)
    assert init is not None
    with pytest.raises(PermissionDenied):
        init.signal(signal.SIGCONT)
    init.close()


def test_permission_is_told_as_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with sleeper() as (_, process), monkeypatch.context() as patch:
        patch.setattr(signal, "pidfd_send_signal", denied)
        with pytest.raises(PermissionDenied, match=str(process.pid)):
            process.signal(signal.SIGTERM)
        with pytest.raises(PermissionDenied):
            process.signal_group(signal.SIGTERM)


def test_members_of_a_session_are_found_and_zombies_are_not() -> None:
    with family("leave") as (_, process, member):
        wait_ended(process)
        assert session_members({process.pid}) == [member.pid]
        assert session_members(set()) == []


def test_a_held_process_gives_its_descriptor_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with sleeper() as (_, process):
        process.close()
        process.close()
        assert process.fileno() == -1
        assert len(os.listdir("/proc/self/fd")) == before
