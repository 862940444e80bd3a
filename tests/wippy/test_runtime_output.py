"""Output of a process: its own log, whole lines, and a full disk that kills nobody."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from fake_root import FakeRoot

from wippy.core.messages import Beat, Ready
from wippy.core.reasons import Normal
from wippy.runtime import output


def test_full_disk_does_not_kill_an_actor_and_is_counted(root: FakeRoot) -> None:
    text = (
        "import asyncio, sys\nfrom wippy import process\n"
        "async def main():\n"
        "    for n in range(100):\n"
        "        print('x' * 99)\n"
        "        print('y' * 99, file=sys.stderr)\n"
        "    async for event in process.events():\n"
        "        break\n"
    )
    child = root.actor(text, log_path="/dev/full", heartbeat_s=0.01)
    child.expect(Ready)
    while (beat := child.expect(Beat)).output_dropped == 0:
        pass
    assert beat.output_dropped == 20_000


def test_full_disk_hides_no_exception_from_the_last_words(root: FakeRoot) -> None:
    from wippy.core.reasons import Error

    child = root.actor("async def main():\n    print('x')\n    1 / 0\n", log_path="/dev/full")
    child.expect(Ready)
    assert isinstance(child.ended(), Error)
    assert child.status() == 1


def test_last_line_before_a_crash_is_in_the_log(root: FakeRoot) -> None:
    # Its Hello may die with it: what zmq's thread has not sent yet is gone.
    child = root.fork(
        root.actor_job(
            "import os\nasync def main():\n"
            "    print('the last line')\n    os.kill(os.getpid(), 9)\n"
        )
    )
    assert child.status() == -signal.SIGKILL
    assert root.log() == "the last line\n"


def test_crash_of_the_interpreter_leaves_its_stack_in_the_log(root: FakeRoot) -> None:
    child = root.fork(
        root.actor_job(
            "import os, signal\nasync def main():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
        )
    )
    assert child.status() == -signal.SIGSEGV
    assert 'File "app.yaml", line 9 in main' in root.log()


def test_log_is_appended_to_and_what_children_write_is_in_it(root: FakeRoot) -> None:
    root.log_path.write_text("before\n")
    child = root.actor(
        "import subprocess, sys\nasync def main():\n    print('own')\n"
        "    subprocess.run(['echo', 'child'])\n    sys.stdout.buffer.write(b'bytes\\n')\n"
        "    sys.stdout.buffer.flush()\n    print('\\udcff', end='')\n"
    )
    child.expect(Ready)
    assert child.ended() == Normal()
    assert child.status() == 0
    assert root.log() == "before\nown\nchild\nbytes\n\\udcff"


def test_new_log_is_not_for_everybody(root: FakeRoot) -> None:
    child = root.actor("async def main(): pass\n")
    child.expect(Ready)
    child.status()
    assert root.log_path.stat().st_mode & 0o007 == 0


def test_line_stream_hands_each_line_to_the_kernel_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    stream = output.line_stream(fd, closefd=True)
    stream.write("one\n")
    assert path.read_text() == "one\n"
    stream.write("two")
    stream.close()
    assert path.read_text() == "one\ntwo"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_errors_that_are_no_full_disk_are_not_hidden() -> None:
    r, w = os.pipe()
    os.close(r)
    stream = output.line_stream(w, closefd=True)
    with pytest.raises(BrokenPipeError):
        stream.write("x\n")
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_stdin_is_empty(root: FakeRoot) -> None:
    child = root.actor("import sys\nasync def main():\n    print(repr(sys.stdin.read()))\n")
    child.expect(Ready)
    assert child.ended() == Normal()
    assert root.log() == "''\n"
