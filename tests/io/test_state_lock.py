"""The lock of a state folder, between real processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.io.state_lock import StateLock
from wippy.errors import AlreadyExists, Invalid, PermissionDenied

DEADLINE_S = 60.0
HOLD = """
import sys
from supervisor.io.state_lock import StateLock
lock = StateLock.adopt(int(sys.argv[2])) if len(sys.argv) > 2 else StateLock.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def hold(state_dir: Path, fd: int | None = None) -> subprocess.Popen[bytes]:
    """Return a process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir), *([] if fd is None else [str(fd)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        pass_fds=() if fd is None else (fd,),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def end(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=DEADLINE_S)


def test_a_held_folder_is_refused_with_the_holders_pid_and_command(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    try:
        with pytest.raises(AlreadyExists) as refused:
            StateLock.acquire(tmp_path)
    finally:
        end(holder)
    message = str(refused.value)
    assert f"state folder {tmp_path} is in use by another runtime (pid {holder.pid}: " in message
    assert "StateLock" in message  # the command that holds it
    assert "--state-dir" in message


def test_the_death_of_the_holder_frees_the_folder_at_once(tmp_path: Path) -> None:
    end(hold(tmp_path), kill=True)
    StateLock.acquire(tmp_path).release()


def test_the_lock_lives_while_either_the_guardian_or_the_root_lives(tmp_path: Path) -> None:
    guardian = StateLock.acquire(tmp_path)
    root = hold(tmp_path, guardian.fileno())
    guardian.release()
    try:
        with pytest.raises(AlreadyExists):
            StateLock.acquire(tmp_path)
    finally:
        end(root, kill=True)
    StateLock.acquire(tmp_path).release()


def test_the_lock_outlives_a_killed_root_while_the_guardian_has_it(tmp_path: Path) -> None:
    guardian = StateLock.acquire(tmp_path)
    end(hold(tmp_path, guardian.fileno()), kill=True)
    with pytest.raises(AlreadyExists, match=f"pid {os.getpid()}"):
        StateLock.acquire(tmp_path)
    guardian.release()


def test_a_holder_whose_writer_is_gone_is_said_to_be_what_it_started(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    (tmp_path / "lock").write_text(f"{2**22 + 1}\nan old command\n")  # above pid_max
    with pytest.raises(AlreadyExists, match="is gone, but what it started still runs"):
        StateLock.acquire(tmp_path)
    lock.release()


def test_an_unwritten_note_does_not_hide_the_lock(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    (tmp_path / "lock").write_text("")
    with pytest.raises(AlreadyExists, match="pid unknown"):
        StateLock.acquire(tmp_path)
    lock.release()


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "lock").stat().st_mode) == 0o600
    lock.release()


def test_the_descriptor_is_not_inherited_unless_it_is_passed(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    assert not os.get_inheritable(lock.fileno())
    lock.release()


def test_a_file_in_the_place_of_the_folder_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid, match="choose another with --state-dir"):
        StateLock.acquire(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written_is_permission_denied(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionDenied, match="check its owner"):
        StateLock.acquire(tmp_path)


def test_a_descriptor_that_is_no_lock_is_not_adopted(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no inherited lock"):
        StateLock.adopt(1_000_000)


def test_the_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, supervisor.io.state_lock; "
        "print([m for m in ('zmq', 'lmdb', 'asyncio', 'multiprocess') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=DEADLINE_S,
    )
    assert done.stdout == b"[]\n"
