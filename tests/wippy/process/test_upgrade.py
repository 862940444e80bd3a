"""Newer code for running actors: the same pid, mailbox and bonds, another function."""

from __future__ import annotations

from pathlib import Path

import pytest
from actors_world import SETUP, ActorsWorld

from wippy.core.messages import (
    EVERY_ACTOR,
    Cancel,
    CodeRef,
    Ended,
    NotUpgradable,
    Outdated,
    StartActor,
    Upgraded,
    UpgradeFailed,
)
from wippy.core.reasons import Shutdown

OLD = """
async def main():
    process.set_options(upgradable=True)
    print('old', process.pid(), flush=True)
    first = await process.inbox().receive()
    event = await process.events().receive()
    print(event.kind, event.version, flush=True)
    try: process.upgrade({'count': first.payload})
    finally: print('left', flush=True)
"""
NEW = """
async def main(state):
    print('new', process.pid(), state, flush=True)
    async for message in process.inbox():
        print('got', message.payload, flush=True)
"""
OLD_DEF = """
def main():
    process.set_options(upgradable=True)
    print('old', process.pid(), flush=True)
    first = next(process.inbox())
    event = next(process.events())
    print(event.kind, event.version, flush=True)
    try: process.upgrade({'count': first.payload})
    finally: print('left', flush=True)
"""
NEW_DEF = """
def main(state):
    print('new', process.pid(), state, flush=True)
    for message in process.inbox():
        print('got', message.payload, flush=True)
"""
TELL = """
async def main(target):
    for number in (1, 2, 3): process.send(target, 'number', number)
    process.monitor(target)
    print('sent', flush=True)
    print((await process.events().receive()).exit, flush=True)
"""
WAITS = """
async def main():
    process.set_options(upgradable=True)
    print('old', flush=True)
    async for event in process.events():
        print(event.kind, event.version, flush=True)
        if event.kind == process.event.CANCEL: return
        try: process.upgrade()
        except Exception as error: print(type(error).__name__, error, flush=True)
"""


def code(text: str) -> CodeRef:
    return CodeRef(method="main", text=SETUP + text, origin="new.yaml:1")


def start_in_pool(world: ActorsWorld, text: str, ref: CodeRef | None = None) -> object:
    worker = world.start_worker("app:pool")
    order = StartActor(
        child="app:it", generation=4, actor=9, process="app:code", code=ref or code(text)
    )
    worker.tell(order)
    return worker


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (OLD_DEF, NEW_DEF), (OLD, NEW_DEF)])
def test_actor_of_a_process_goes_on_with_new_code_and_its_mailbox_and_monitors(
    world: ActorsWorld, old: str, new: str
) -> None:
    child = world.start_actor("app:it", old)
    world.start_actor("app:teller", TELL, "test/app:it.1/0")
    world.wait_line("app:teller", "sent")
    child.tell(Outdated(0, code(new), 7))
    pid = "test/app:it.1/0"
    lines = world.wait_line("app:it", "got 3")
    assert lines == [
        f"old {pid}",
        "outdated 7",
        "left",
        f"new {pid} {{'count': 1}}",
        "got 2",
        "got 3",
    ]
    world.wait(lambda: ("app:it", Upgraded(0, 7)) in world.frames)
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    world.say_gone("app:it", 1, Shutdown())
    world.wait_line("app:teller", str(Shutdown()))


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (OLD_DEF, NEW_DEF)])
def test_actor_of_a_pool_goes_on_with_new_code(world: ActorsWorld, old: str, new: str) -> None:
    worker = start_in_pool(world, old)
    pid = "test/app:pool#1.1/9"
    world.wait_line("app:pool#1", f"old {pid}")
    world.start_actor("app:teller", TELL, pid)
    worker.tell(Outdated(9, code(new), 2))  # type: ignore[attr-defined]
    lines = world.wait_line("app:pool#1", "got 3")
    assert lines[-3:] == [f"new {pid} {{'count': 1}}", "got 2", "got 3"]
    world.wait(lambda: ("app:pool#1", Upgraded(9, 2)) in world.frames)


def test_actor_that_is_not_upgradable_is_told_of_to_the_root_and_goes_on(
    world: ActorsWorld,
) -> None:
    child = world.start_actor(
        "app:it", "async def main():\n    print((await process.events().receive()).kind)\n"
    )
    child.tell(Outdated(0, code(NEW), 3))
    world.wait(lambda: ("app:it", NotUpgradable(0, 3)) in world.frames)
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    assert world.lines("app:it") == ["cancel"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("def main(:\n", "SyntaxError"),
        ("raise ValueError('at load')\n", "raised ValueError when loaded: at load"),
        ("def other(): pass\n", "has no function 'main'"),
        ("process.not_needed()\n", "not needed"),
    ],
)
def test_code_that_cannot_be_loaded_disturbs_nobody_and_the_root_is_told(
    world: ActorsWorld, text: str, detail: str
) -> None:
    child = world.start_actor("app:it", WAITS)
    world.wait_line("app:it", "old")
    child.tell(Outdated(0, code(text), 3))
    world.wait(lambda: any(isinstance(it, UpgradeFailed) for _, it in world.frames))
    failed = next(it for _, it in world.frames if isinstance(it, UpgradeFailed))
    assert (failed.actor, failed.version) == (0, 3)
    assert detail in failed.detail
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    said = [line for line in world.lines("app:it") if line in ("outdated 3", "cancel 0")]
    assert said == ["cancel 0"]


def test_arguments_that_do_not_fit_are_an_error_in_the_old_code_which_may_try_again(
    world: ActorsWorld,
) -> None:
    child = world.start_actor("app:it", WAITS)
    world.wait_line("app:it", "old")
    child.tell(Outdated(0, code("async def main(needed): pass\n"), 3))
    said = (
        "Invalid the arguments do not fit: main() missing 1 required positional argument: 'needed'"
    )
    world.wait_line("app:it", said)
    child.tell(Outdated(0, code("async def main(): print('version 4', flush=True)\n"), 4))
    lines = world.wait_line("app:it", "version 4")
    assert lines == ["old", "outdated 3", said, "outdated 4", "version 4"]
    assert child.status() == 0


def test_upgrade_without_newer_code_or_in_another_task_is_an_error(world: ActorsWorld) -> None:
    child = world.start_actor(
        "app:it",
        "async def elsewhere():\n"
        "    try: process.upgrade(1)\n"
        "    except Exception as error: print(error, flush=True)\n"
        "async def main():\n"
        "    process.set_options(upgradable=True)\n"
        "    await elsewhere()\n"
        "    await process.events().receive()\n"
        "    await asyncio.create_task(elsewhere())\n",
    )
    world.wait_line("app:it", "there is no newer code: upgrade() answers an OUTDATED event")
    child.tell(Outdated(0, code(NEW), 3))
    world.wait_line(
        "app:it", "upgrade() leaves the entry function: call it there, not in another task"
    )
    assert child.status() == 0


@pytest.mark.parametrize("keyword", ["async def", "def"])
def test_stop_that_came_before_an_upgrade_reaches_the_new_code(
    world: ActorsWorld, keyword: str
) -> None:
    child = world.start_actor(
        "app:it",
        "async def main():\n"
        "    process.set_options(upgradable=True)\n"
        "    print('old', flush=True)\n"
        "    events = process.events()\n"
        "    print((await events.receive()).kind, flush=True)\n"
        "    await events.receive()\n"
        "    process.upgrade()\n",
    )
    world.wait_line("app:it", "old")
    wait = "await process.inbox().receive()" if keyword != "def" else "next(process.inbox())"
    child.tell(
        Outdated(0, code(f"{keyword} main():\n    print('new', flush=True)\n    {wait}\n"), 3)
    )
    world.wait_line("app:it", "outdated")
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    world.wait(lambda: ("app:it", Ended(1, Shutdown())) in world.frames)


def test_actors_that_others_spawned_in_a_pool_are_offered_the_code_and_new_ones_start_with_it(
    world: ActorsWorld,
) -> None:
    worker = world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:kind", WAITS)
    world.start_actor(
        "app:boss",
        "async def main():\n"
        "    process.spawn('app:kind', 'app:pool')\n"
        "    await process.inbox().receive()\n"
        "    process.spawn('app:kind', 'app:pool')\n"
        "    await process.inbox().receive()\n",
    )
    world.wait_line("app:pool#1", "old")
    new = "async def main():\n    process.send('app:boss', 'go on')\n    print('new', flush=True)\n"
    worker.tell(Outdated(EVERY_ACTOR, code(new), 5, "app:kind"))
    for _ in range(2):
        world.wait_line("app:pool#1", "new")
    world.wait(lambda: True)
    assert not any(isinstance(it, Upgraded | NotUpgradable) for _, it in world.frames)


def test_module_is_imported_again_and_a_broken_one_changes_nothing(
    world: ActorsWorld, tmp_path: Path
) -> None:
    (tmp_path / "growing.py").write_text(SETUP + WAITS)
    where = CodeRef(method="main", module="growing", search_path=str(tmp_path))
    worker = start_in_pool(world, "", where)
    world.wait_line("app:pool#1", "old")
    (tmp_path / "growing.py").write_text("def main(:\n# not Python\n")
    worker.tell(Outdated(9, where, 2))  # type: ignore[attr-defined]
    world.wait(lambda: any(isinstance(it, UpgradeFailed) for _, it in world.frames))
    (tmp_path / "growing.py").write_text(
        "async def main():\n    print('imported again', flush=True)\n"
    )
    worker.tell(Outdated(9, where, 3))  # type: ignore[attr-defined]
    world.wait_line("app:pool#1", "imported again")
    world.wait(lambda: ("app:pool#1", Upgraded(9, 3)) in world.frames)
