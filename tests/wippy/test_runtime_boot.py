"""A process's start and end: Hello, spares, stale code, titles, the death of the root."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fake_root import FakeRoot, mortal_root, start_forkserver, turns

from wippy.core.messages import (
    DUMP_SIGNAL,
    Assign,
    Beat,
    Cancel,
    CodeRef,
    Hello,
    Published,
    Ready,
    Stale,
    SystemJob,
    Told,
)
from wippy.core.reasons import Error, Normal, Shutdown, StartFailed

WAIT = "import asyncio\nasync def main():\n    print('begin')\n    await asyncio.Event().wait()\n"
BLOCK = "import time\nasync def main():\n    print('begin')\n    while True: time.sleep(1)\n"


def test_hello_says_that_the_runtime_was_preloaded(root: FakeRoot) -> None:
    assert root.fork().expect(Hello).preloaded


def test_process_leads_a_session_and_a_group_of_its_own(root: FakeRoot) -> None:
    child = root.bear()
    assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid


def test_titles_say_what_a_process_is(root: FakeRoot) -> None:
    child = root.bear()
    for _ in turns():
        if title_of(child.pid) == "wippy: spare [test]":
            break
    child.tell(Assign(root.actor_job(WAIT)))
    child.expect(Ready)
    assert title_of(child.pid) == "wippy: app:actor g3 [test]"


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def test_of_the_forkservers_descriptors_a_child_keeps_the_pipe_it_was_born_from_alone(
    root: FakeRoot,
) -> None:
    child = root.actor(WAIT)
    child.expect(Ready)
    pipes = [target for target in descriptors(child.pid) if target.startswith("pipe:")]
    assert len(pipes) == 1


def descriptors(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    targets = []
    for name in os.listdir(folder):
        # The child lives on: what it opened for a moment may be closed before it is read.
        with contextlib.suppress(FileNotFoundError):
            if int(name) > 2:
                targets.append(os.readlink(f"{folder}/{name}"))
    return targets


def test_forkserver_ends_with_its_root_while_children_live(tmp_path: Path) -> None:
    server = start_forkserver()
    fake = FakeRoot(server, tmp_path)
    child = fake.actor(WAIT)
    child.expect(Ready)
    server._stop()
    child.tell(Cancel("now", 30.0))
    assert child.ended() == Shutdown()
    fake.close()


def test_spare_becomes_what_it_is_assigned(root: FakeRoot) -> None:
    child = root.bear()
    child.tell(Assign(root.actor_job("async def main(x):\n    print(x)\n", 1)))
    child.expect(Ready)
    assert child.ended() == Normal()
    assert child.status() == 0
    assert root.log() == "1\n"


def test_spare_that_is_not_needed_any_more_ends_quietly(root: FakeRoot) -> None:
    child = root.bear()
    child.tell(Cancel("enough", 1.0))
    assert child.status() == 0


def test_bad_frames_are_dropped_and_do_no_harm(root: FakeRoot) -> None:
    child = root.bear()
    for frame in (b"", b"\xc1", b"\x81\xa4type\xa3abc", os.urandom(200)):
        child.tell(frame)
    child.tell(Told("not for a spare"))
    child.tell(Assign(root.actor_job(WAIT)))
    child.expect(Ready)
    child.tell(b"\xff")
    child.tell(Assign(root.actor_job(WAIT)))
    child.tell(Cancel("now", 30.0))
    assert child.ended() == Shutdown()
    assert "dropped a frame from the root: malformed frame" in root.log()
    assert "a Assign frame is not for a process of one actor" in root.log()


def test_beats_carry_generation_and_number_of_actors(root: FakeRoot) -> None:
    child = root.actor(WAIT, heartbeat_s=0.01)
    child.expect(Ready)
    beat = child.expect(Beat)
    assert (beat.generation, beat.actors, beat.output_dropped) == (3, 1, 0)
    assert beat.lag_s >= 0.0
    child.expect(Beat)


def test_blocked_loop_sends_no_beat_but_writes_its_stacks(root: FakeRoot) -> None:
    child = root.actor(BLOCK)
    child.expect(Ready)
    root.wait_logged("begin")
    os.kill(child.pid, DUMP_SIGNAL)
    assert 'File "app.yaml", line 10 in main' in root.wait_logged("in main")
    os.kill(child.pid, signal.SIGKILL)
    assert child.status() == -signal.SIGKILL


def test_spare_writes_its_stacks_too(root: FakeRoot) -> None:
    child = root.bear()
    os.kill(child.pid, DUMP_SIGNAL)
    child.tell(Assign(root.actor_job(WAIT)))
    child.expect(Ready)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_process_as_they_end_any_program(root: FakeRoot, number: int) -> None:
    child = root.actor(WAIT)
    child.expect(Ready)
    os.kill(child.pid, number)
    assert child.status() == -number


def test_broken_pipe_is_an_exception_and_no_death(root: FakeRoot) -> None:
    child = root.actor(
        "import os\nasync def main():\n    r, w = os.pipe()\n"
        "    os.close(r)\n    os.write(w, b'x')\n"
    )
    child.expect(Ready)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.type == "BrokenPipeError"


# --- the death of the root -----------------------------------------------------------------------


def test_orphan_ends_in_order_when_the_root_dies(root: FakeRoot) -> None:
    with mortal_root() as stand_in:
        child = root.bear(
            root.actor_job(
                "import asyncio\nasync def main():\n    print('begin')\n    try:\n"
                "        await asyncio.Event().wait()\n    finally:\n        print('cleaned up')\n"
            ),
            root_pid=stand_in.pid,
            orphan_timeout_s=60.0,
        )
        child.expect(Ready)
        root.wait_logged("begin")
        stand_in.kill()
        child.status()
    assert "cleaned up" in root.log()


def test_orphan_with_a_blocked_loop_is_killed_with_all_it_started(root: FakeRoot) -> None:
    text = (
        "import subprocess, time\nasync def main():\n"
        "    print('grandchild', subprocess.Popen(['sleep', '600']).pid)\n"
        "    while True: time.sleep(1)\n"
    )
    with mortal_root() as stand_in:
        child = root.bear(root.actor_job(text), root_pid=stand_in.pid, orphan_timeout_s=0.05)
        child.expect(Ready)
        grandchild = int(root.wait_logged("\n").split()[1])
        stand_in.kill()
        assert child.status() == -signal.SIGKILL
    for _ in turns():
        if not psutil.pid_exists(grandchild) or is_zombie(grandchild):
            break
    else:
        os.kill(grandchild, signal.SIGKILL)
        pytest.fail("the grandchild is still there")


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_spare_without_a_root_ends(root: FakeRoot) -> None:
    with mortal_root() as stand_in:
        child = root.bear(root_pid=stand_in.pid, orphan_timeout_s=60.0)
        stand_in.kill()
        child.status()


def test_process_whose_root_is_dead_at_birth_ends_at_once(root: FakeRoot) -> None:
    with mortal_root() as stand_in:
        pid = stand_in.pid
    child = root.fork(root.actor_job(WAIT), root_pid=pid, orphan_timeout_s=60.0)
    assert child.status() == -signal.SIGKILL
    assert not root.log_path.exists()


def test_younger_process_with_the_roots_number_is_no_root(root: FakeRoot) -> None:
    child = root.bear()
    # Clock ticks are 10 ms: what stands for a reused number must be visibly younger.
    for _ in turns():
        if time.clock_gettime(time.CLOCK_BOOTTIME) - age_reference(child.pid) > 0.05:
            break
    with mortal_root() as stranger:
        from wippy.runtime import watchdog

        assert watchdog.start_time_ticks(stranger.pid) > watchdog.start_time_ticks(child.pid)


def age_reference(pid: int) -> float:
    from wippy.runtime import watchdog

    return watchdog.start_time_ticks(pid) / os.sysconf("SC_CLK_TCK")


# --- code that was preloaded ---------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "code" / "shop_pre"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from shop_pre import part\nimport beside_pre\n")
    (tmp_path / "code" / "beside_pre.py").write_text("import textwrap\n")
    (folder / "part.py").write_text("VALUE = 1\nasync def main():\n    print('value', VALUE)\n")
    (tmp_path / "code" / "broken_pre.py").write_text("1 / 0\n")
    before_s = time.time() - 100.0
    for file in (*folder.iterdir(), folder.parent / "beside_pre.py"):
        os.utime(file, (before_s, before_s))
    return folder


@pytest.fixture
def preloaded_root(package: Path, tmp_path: Path) -> Iterator[FakeRoot]:
    server = start_forkserver("broken_pre, shop_pre", str(package.parent))
    fake = FakeRoot(server, tmp_path)
    # The forkserver takes requests once it has imported all.
    fake.bear()
    yield fake
    fake.close()
    server._stop()


def test_preloaded_code_runs_until_it_changes_then_the_process_says_stale(
    preloaded_root: FakeRoot, package: Path
) -> None:
    root = preloaded_root
    code = CodeRef(method="main", module="shop_pre.part")
    child = root.actor("", code=code)
    child.expect(Ready)
    assert child.ended() == Normal()
    assert root.log() == "value 1\n"

    spare = root.bear()
    (package / "part.py").write_text("VALUE = 2\nasync def main():\n    print('new')\n")
    spare.tell(Assign(root.actor_job("", code=code)))
    assert spare.expect(Stale).module == "shop_pre.part"
    assert spare.status() == 0
    assert root.log() == "value 1\n"


@pytest.mark.parametrize("file", ["shop_pre/part.py", "beside_pre.py"])
def test_file_that_is_gone_is_stale_too(preloaded_root: FakeRoot, package: Path, file: str) -> None:
    (package.parent / file).unlink()
    child = preloaded_root.actor("async def main(): pass")
    assert child.expect(Stale).module == file.removesuffix(".py").replace("/", ".")


def test_what_a_failed_preload_left_behind_is_imported_again(
    preloaded_root: FakeRoot, package: Path
) -> None:
    (package.parent / "broken_pre.py").write_text("VALUE = 3\n")
    child = preloaded_root.actor("import broken_pre\nasync def main(): print(broken_pre.VALUE)\n")
    child.expect(Ready)
    assert child.ended() == Normal()


def test_stale_code_does_not_stop_a_process_of_the_runtime(
    preloaded_root: FakeRoot, package: Path
) -> None:
    (package / "part.py").unlink()
    child = preloaded_root.bear(system_job("fake_system:returns"))
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.type == "ModuleNotFoundError"


# --- processes of the runtime --------------------------------------------------------------------

SYSTEM = """
from wippy.runtime.context import find_current

async def serves(port):
    port.publish("settings", {"seen": port.settings, "where": [port.node, port.slot]})
    port.ready()
    told = await port.told()
    port.publish("echo", {"topic": told.topic, **told.payload})
    port.publish("stop", {"reason": await port.cancelled()})

async def returns(port):
    port.ready()

async def breaks(port):
    raise OSError("no disk")
"""


def system_job(target: str) -> SystemJob:
    return SystemJob(
        node="test",
        slot="wippy:keeper",
        generation=1,
        title="wippy: keeper",
        target=target,
        settings={"a": 1},
        heartbeat_s=0.0,
    )


@pytest.fixture
def system_root(tmp_path: Path) -> Iterator[FakeRoot]:
    (tmp_path / "fake_system.py").write_text(SYSTEM)
    server = start_forkserver(path=str(tmp_path))
    fake = FakeRoot(server, tmp_path)
    yield fake
    fake.close()
    server._stop()


def test_system_process_serves_its_port_until_it_is_asked_to_stop(system_root: FakeRoot) -> None:
    child = system_root.bear(system_job("fake_system:serves"))
    seen = child.expect(Published)
    assert seen.payload == {"seen": {"a": 1}, "where": ["test", "wippy:keeper"]}
    child.expect(Ready)
    child.tell(Told("hi", {"n": 1}))
    assert child.expect(Published).payload == {"topic": "hi", "n": 1}
    child.tell(Cancel("the end", 30.0))
    assert child.expect(Published).payload == {"reason": "the end"}
    assert child.ended() == Shutdown()
    assert child.status() == 0


def test_system_process_that_returns_or_raises_ends_with_that(system_root: FakeRoot) -> None:
    child = system_root.bear(system_job("fake_system:returns"))
    child.expect(Ready)
    assert child.ended() == Normal()
    child = system_root.bear(system_job("fake_system:breaks"))
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.message == "no disk"
    assert child.status() == 1


def test_job_whose_log_cannot_be_opened_fails_to_start(root: FakeRoot) -> None:
    child = root.actor("", log_path="/nowhere/x.log")
    reason = child.ended()
    assert isinstance(reason, StartFailed)
    assert reason.detail == "cannot open the log /nowhere/x.log: No such file or directory"
    assert child.status() == 1
