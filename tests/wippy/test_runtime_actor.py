"""One actor in a process of its own: how it starts, how it ends, what it is told."""

from __future__ import annotations

import pytest
from fake_root import FakeRoot

from wippy.core.messages import Cancel, NotNeeded, Ready
from wippy.core.reasons import Error, Exit, Normal, Shutdown, StartFailed

CANCEL = Cancel("an operator", 30.0)
WAIT_FOR_EVER = """
import asyncio

async def main():
    print("begin")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("cleaned up")
"""


def test_actor_says_ready_gets_its_arguments_and_ends_normal(root: FakeRoot) -> None:
    child = root.actor(
        "from wippy import process\n"
        "async def main(a, b):\n"
        "    print(a, b, process.pid(), process.id())\n",
        1,
        {"two": 2},
    )
    assert child.expect(Ready).generation == 3
    assert child.ended() == Normal()
    assert child.status() == 0
    assert root.log() == "1 {'two': 2} test/app:actor.3/0 app:actor\n"


def test_actor_that_reads_no_events_is_cancelled_at_its_await_and_cleans_up(
    root: FakeRoot,
) -> None:
    child = root.actor(WAIT_FOR_EVER)
    child.expect(Ready)
    root.wait_logged("begin")
    child.tell(CANCEL)
    assert child.ended() == Shutdown()
    assert child.status() == 0
    assert root.log() == "begin\ncleaned up\n"


def test_actor_that_reads_events_gets_cancel_as_an_event_with_reason_and_deadline(
    root: FakeRoot,
) -> None:
    child = root.actor(
        "from wippy import process\n"
        "async def main():\n"
        "    events = process.events()\n"
        "    print('begin')\n"
        "    async for event in events:\n"
        "        print(event.kind == process.event.CANCEL, event.reason, 20 < event.left_s <= 30)\n"
        "        break\n"
    )
    child.expect(Ready)
    root.wait_logged("begin")
    child.tell(CANCEL)
    assert child.ended() == Shutdown()
    assert "True an operator True" in root.log()


def test_actor_that_asks_for_its_events_after_the_stop_still_finds_the_event(
    root: FakeRoot,
) -> None:
    child = root.actor(
        "import asyncio\n"
        "from wippy import process\n"
        "async def main():\n"
        "    print('begin')\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    except asyncio.CancelledError:\n"
        "        print((await process.events().receive()).reason)\n"
    )
    child.expect(Ready)
    root.wait_logged("begin")
    child.tell(CANCEL)
    assert child.ended() == Shutdown()
    assert "an operator" in root.log()


def test_plain_def_runs_in_a_thread_and_waits_for_its_events(root: FakeRoot) -> None:
    child = root.actor(
        "import threading\n"
        "from wippy import process\n"
        "def main(name):\n"
        "    events = process.events()\n"
        "    print(name, process.pid(), threading.current_thread() is threading.main_thread())\n"
        "    for event in events:\n"
        "        print(event.kind)\n"
        "        return\n",
        "plain",
    )
    child.expect(Ready)
    root.wait_logged("plain test/app:actor.3/0 False")
    child.tell(CANCEL)
    assert child.ended() == Shutdown()
    assert child.status() == 0


def test_plain_def_that_never_looks_at_events_leaves_the_process_answering(root: FakeRoot) -> None:
    from wippy.core.messages import Beat

    child = root.actor(
        "import threading\ndef main():\n    threading.Event().wait()\n", heartbeat_s=0.01
    )
    child.expect(Ready)
    child.tell(CANCEL)
    assert child.expect(Beat).actors == 1
    assert child.expect(Beat).generation == 3


def test_async_function_behind_a_plain_decorator_is_awaited(root: FakeRoot) -> None:
    child = root.actor(
        "def plain(f):\n"
        "    return lambda *args: f(*args)\n"
        "@plain\n"
        "async def main(x):\n"
        "    print('ran', x)\n",
        5,
    )
    child.expect(Ready)
    assert child.ended() == Normal()
    assert root.log() == "ran 5\n"


@pytest.mark.parametrize("keyword", ["async def", "def"])
def test_wrong_number_of_arguments_is_a_failed_start_that_says_which(
    root: FakeRoot, keyword: str
) -> None:
    child = root.actor(f"{keyword} main(url):\n    print('never')\n", 1, 2)
    reason = child.ended()
    assert isinstance(reason, StartFailed)
    assert reason.detail.startswith("the arguments do not fit: main()")
    assert "argument" in reason.detail
    assert child.status() == 1


def test_exception_ends_the_actor_with_type_message_and_the_lines_of_inline_code(
    root: FakeRoot,
) -> None:
    child = root.actor(
        "class Broken(Exception): pass\n"
        "def deeper():\n"
        "    raise Broken('no more')  # here\n"
        "async def main():\n"
        "    deeper()\n"
    )
    child.expect(Ready)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert (reason.type, reason.message) == ("app:code.Broken", "no more")
    assert 'File "app.yaml", line 9, in deeper' in reason.traceback
    assert "raise Broken('no more')  # here" in reason.traceback
    assert "wippy/runtime" not in reason.traceback
    assert reason.traceback in root.log()
    assert child.status() == 1


def test_exception_in_a_thread_shows_only_frames_of_user_code(root: FakeRoot) -> None:
    child = root.actor("def main():\n    1 / 0\n")
    child.expect(Ready)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.type == "ZeroDivisionError"
    assert "wippy/runtime" not in reason.traceback


def test_exception_that_cannot_be_printed_is_still_an_end_with_a_reason(root: FakeRoot) -> None:
    child = root.actor(
        "class Odd(Exception):\n"
        "    def __str__(self): raise ValueError('no')\n"
        "async def main():\n"
        "    raise Odd\n"
    )
    child.expect(Ready)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.message == "<no message: str() raised ValueError>"


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("0", Normal(), 0),
        ("", Normal(), 0),
        ("7", Exit(7), 7),
        ("'words'", Exit(1), 1),
        ("256 + 3", Exit(3), 3),
    ],
)
@pytest.mark.parametrize("keyword", ["async def", "def"])
def test_sys_exit_is_the_exit_status(
    root: FakeRoot, keyword: str, code: str, reason: object, status: int
) -> None:
    child = root.actor(f"import sys\n{keyword} main():\n    sys.exit({code})\n")
    child.expect(Ready)
    assert child.ended() == reason
    assert child.status() == status
    assert root.log() == ("words\n" if code == "'words'" else "")


def test_sys_exit_in_a_background_task_ends_the_process_and_finally_blocks_run(
    root: FakeRoot,
) -> None:
    child = root.actor(
        "import asyncio, sys\n"
        "async def leave():\n"
        "    sys.exit(9)\n"
        "async def main():\n"
        "    task = asyncio.create_task(leave())\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cleaned up')\n"
    )
    child.expect(Ready)
    assert child.ended() == Exit(9)
    assert child.status() == 9
    assert root.log() == "cleaned up\n"


def test_exception_after_a_stop_is_an_error_and_no_obedience(root: FakeRoot) -> None:
    child = root.actor(
        "import asyncio\n"
        "async def main():\n"
        "    print('begin')\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        raise ValueError('while stopping')\n"
    )
    child.expect(Ready)
    root.wait_logged("begin")
    child.tell(CANCEL)
    reason = child.ended()
    assert isinstance(reason, Error)
    assert reason.message == "while stopping"


@pytest.mark.parametrize("keyword", ["async def", "def"])
def test_not_needed_is_told_and_is_no_failure(root: FakeRoot, keyword: str) -> None:
    child = root.actor(
        f"from wippy import process\n{keyword} main():\n"
        "    try:\n"
        "        process.not_needed()\n"
        "    except Exception:\n"
        "        print('swallowed')\n"
    )
    child.expect(Ready)
    assert child.expect(NotNeeded).generation == 3
    assert child.status() == 0
    assert root.log() == ""


def test_tasks_left_behind_are_cancelled_and_atexit_handlers_run(root: FakeRoot) -> None:
    child = root.actor(
        "import asyncio, atexit\n"
        "async def other():\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('other cleaned up')\n"
        "async def main():\n"
        "    atexit.register(print, 'atexit')\n"
        "    globals()['task'] = asyncio.create_task(other())\n"
        "    await asyncio.sleep(0)\n"
    )
    child.expect(Ready)
    assert child.ended() == Normal()
    assert child.status() == 0
    assert root.log() == "other cleaned up\natexit\n"


@pytest.mark.parametrize(
    "leftover",
    [
        "threading.Thread(target=threading.Event().wait).start()",
        "atexit.register(threading.Event().wait)",
    ],
)
def test_what_user_code_leaves_running_does_not_keep_the_process(
    root: FakeRoot, leftover: str
) -> None:
    child = root.actor(f"import atexit, threading\nasync def main():\n    {leftover}\n")
    child.expect(Ready)
    assert child.ended() == Normal()
    assert child.status() == 0


def test_stop_that_comes_before_the_first_line_is_obeyed(root: FakeRoot) -> None:
    from wippy.core.messages import Assign

    child = root.bear()
    child.tell(Assign(root.actor_job(WAIT_FOR_EVER)))
    child.tell(CANCEL)
    while not isinstance(message := child.expect(object), Ready):
        break
    reason = child.ended() if isinstance(message, Ready) else message.reason  # type: ignore[attr-defined]
    assert reason == Shutdown()
    assert child.status() == 0


def test_actor_is_known_in_threads_that_user_code_starts(root: FakeRoot) -> None:
    child = root.actor(
        "import threading\n"
        "from wippy import log, process\n"
        "def work():\n"
        "    log.info('hello', by=process.id())\n"
        "async def main():\n"
        "    thread = threading.Thread(target=work)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    child.expect(Ready)
    assert child.ended() == Normal()
    assert root.log().endswith(" info app:actor test/app:actor.3/0 hello by=app:actor\n")
