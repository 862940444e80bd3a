"""A worker of a pool: many actors in one process, and none touches another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_root import Child, FakeRoot

from wippy.core.messages import (
    ActorEnded,
    ActorReady,
    Beat,
    Cancel,
    CancelActor,
    CodeRef,
    KillActor,
    Ready,
    StartActor,
    WorkerJob,
)
from wippy.core.reasons import Error, Exit, Killed, Normal, Shutdown, StartFailed

WAIT = "import asyncio\nasync def main():\n    await asyncio.Event().wait()\n"
STUBBORN = """
import asyncio
async def main():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("no")
"""


def worker(root: FakeRoot, **values: Any) -> Child:
    job = WorkerJob(
        node="test",
        slot="app:pool#1",
        generation=2,
        title="wippy: app:pool#1",
        host="app:pool",
        number=1,
        log_path=str(root.log_path),
        **{"heartbeat_s": 0.0, **values},
    )
    child = root.bear(job)
    assert child.expect(Ready).generation == 2
    return child


def start(child: Child, number: int, text: str, *args: Any, log_path: str = "") -> None:
    code = CodeRef(method="main", text=text, origin="app.yaml:7")
    child.tell(
        StartActor(
            child=f"app:a{number}",
            generation=5,
            actor=number,
            process="app:code",
            code=code,
            args=args,
            log_path=log_path,
        )
    )


def test_actor_of_a_pool_knows_who_it_is(root: FakeRoot) -> None:
    child = worker(root)
    start(
        child,
        4,
        "from wippy import process\n"
        "async def main(x):\n"
        "    print(process.pid(), process.id(), x)\n",
        "in",
    )
    assert child.expect(ActorReady) == ActorReady("app:a4", 5, 4)
    assert child.expect(ActorEnded) == ActorEnded("app:a4", 5, 4, Normal())
    assert root.log() == "test/app:pool#1.2/4 app:a4 in\n"


@pytest.mark.parametrize("keyword", ["async def", "def"])
def test_one_actors_end_never_touches_the_others(root: FakeRoot, keyword: str) -> None:
    child = worker(root)
    start(child, 1, WAIT)
    child.expect(ActorReady)
    for number, line, kind in (
        (2, "1 / 0", Error),
        (3, "raise SystemExit(4)", Exit),
        (4, "raise KeyboardInterrupt", Error),
        (5, "raise GeneratorExit", Error),
    ):
        start(child, number, f"{keyword} main():\n    {line}\n")
        child.expect(ActorReady)
        ended = child.expect(ActorEnded)
        assert ended.actor == number
        assert isinstance(ended.reason, kind)
    child.tell(CancelActor(1, "enough", 30.0))
    assert child.expect(ActorEnded) == ActorEnded("app:a1", 5, 1, Shutdown())


def test_sys_exit_in_a_background_task_ends_nobody_else(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, WAIT)
    child.expect(ActorReady)
    start(
        child,
        2,
        "import asyncio, sys\n"
        "async def leave(): sys.exit(3)\n"
        "async def main():\n"
        "    task = asyncio.create_task(leave())\n"
        "    while not task.done(): await asyncio.sleep(0)\n"
        "    print('still here')\n",
    )
    child.expect(ActorReady)
    assert child.expect(ActorEnded).reason == Normal()
    assert "still here" in root.log()
    child.tell(CancelActor(1, "enough", 30.0))
    assert child.expect(ActorEnded).reason == Shutdown()


def test_code_that_cannot_be_loaded_fails_that_start_alone(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, "def main(:\n")
    reason = child.expect(ActorEnded).reason
    assert isinstance(reason, StartFailed)
    assert "SyntaxError in app.yaml, line 7" in reason.detail
    start(child, 1, "async def main(): pass\n", "too", "many")
    reason = child.expect(ActorEnded).reason
    assert isinstance(reason, StartFailed)
    assert "the arguments do not fit" in reason.detail


def test_code_that_blocks_while_it_is_loaded_does_not_block_the_others(root: FakeRoot) -> None:
    child = worker(root, heartbeat_s=0.01)
    start(child, 1, "import threading\nthreading.Event().wait()\ndef main(): pass\n")
    start(child, 2, "async def main(): pass\n")
    assert child.expect(ActorReady).actor == 2
    assert child.expect(ActorEnded).actor == 2
    assert child.expect(Beat).actors == 1


def test_not_needed_is_told(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, "from wippy import process\nasync def main(): process.not_needed()\n")
    child.expect(ActorReady)
    assert child.expect(ActorEnded).not_needed


def test_number_in_use_is_not_started_twice(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, WAIT)
    child.expect(ActorReady)
    start(child, 1, WAIT)
    start(child, 2, WAIT)
    assert child.expect(ActorReady).actor == 2
    root.wait_logged("actor 1 is running")


def test_killed_actor_ends_even_if_it_swallows_a_few_cancellations(root: FakeRoot) -> None:
    child = worker(root)
    start(
        child,
        1,
        "import asyncio\n"
        "async def main():\n"
        "    for _ in range(3):\n"
        "        try:\n"
        "            await asyncio.Event().wait()\n"
        "        except asyncio.CancelledError:\n"
        "            pass\n",
    )
    child.expect(ActorReady)
    child.tell(KillActor(1))
    assert child.expect(ActorEnded).reason == Killed()


def test_actor_that_cannot_be_killed_leaves_the_worker_serving(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, STUBBORN)
    child.expect(ActorReady)
    child.tell(KillActor(1))
    root.wait_logged("does not end")
    start(child, 2, "async def main(): pass\n")
    assert child.expect(ActorReady).actor == 2


def test_asked_to_stop_a_worker_asks_all_its_actors_and_ends(root: FakeRoot) -> None:
    child = worker(root)
    for number in range(5):
        start(child, number, WAIT)
        child.expect(ActorReady)
    child.tell(Cancel("an operator", 30.0))
    ended = {child.expect(ActorEnded).actor for _ in range(5)}
    assert ended == set(range(5))
    assert child.ended() == Shutdown()
    assert child.status() == 0


def test_stopping_worker_reports_at_the_deadline_who_is_late(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, STUBBORN)
    child.expect(ActorReady)
    child.tell(Cancel("an operator", 0.05))
    assert child.expect(ActorEnded).reason == Killed()
    assert child.ended() == Shutdown()
    assert child.status() == 0


def test_stopping_worker_starts_nobody(root: FakeRoot) -> None:
    child = worker(root)
    start(child, 1, STUBBORN)
    child.expect(ActorReady)
    child.tell(Cancel("an operator", 30.0))
    start(child, 2, WAIT)
    reason = child.expect(ActorEnded).reason
    assert reason == StartFailed(detail="the worker is stopping")


def test_each_actor_prints_to_its_own_log_and_the_rest_goes_to_the_workers(
    root: FakeRoot, tmp_path: Path
) -> None:
    child = worker(root)
    text = (
        "import sys\n{keyword} main(word):\n"
        "    print('out', word)\n    print('err', word, file=sys.stderr)\n"
        "    if word == 'c': 1 / 0\n"
    )
    logs = {word: tmp_path / f"{word}.log" for word in "abc"}
    for number, (word, path) in enumerate(logs.items()):
        keyword = "def" if word == "b" else "async def"
        start(child, number, text.format(keyword=keyword), word, log_path=str(path))
        child.expect(ActorReady)
        child.expect(ActorEnded)
    assert logs["a"].read_text() == "out a\nerr a\n"
    assert logs["b"].read_text() == "out b\nerr b\n"
    assert logs["c"].read_text().startswith("out c\nerr c\nTraceback")
    assert root.log() == ""
    start(child, 9, text.format(keyword="def"), "d", log_path="/nowhere/d.log")
    child.expect(ActorReady)
    child.expect(ActorEnded)
    assert "cannot open /nowhere/d.log" in root.log()
    assert "out d\n" in root.log()


def test_thousand_actors_live_in_one_worker(root: FakeRoot) -> None:
    child = worker(root, heartbeat_s=0.01)
    count = 1000
    for number in range(count):
        start(child, number, WAIT)
    ready = {child.expect(ActorReady).actor for _ in range(count)}
    assert ready == set(range(count))
    assert child.expect(Beat).actors == count or child.expect(Beat).actors == count
    child.tell(Cancel("all", 30.0))
    reasons = [child.expect(ActorEnded).reason for _ in range(count)]
    assert reasons == [Shutdown()] * count
    assert child.ended() == Shutdown()
    assert child.status() == 0
