"""What comes in at a process: garbage, floods, forgeries are counted, and nobody else notices."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from wippy.core import framing, payload, wire
from wippy.core.ids import Pid, socket_name
from wippy.core.messages import FromProcess
from wippy.runtime.barrier import BARRIER
from wippy.runtime.context import EventChannel
from wippy.runtime.directory import Directory
from wippy.runtime.inbox import Inbox
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane
from wippy.runtime.sockets import PullSocket, PushSocket, endpoint

SLOT, GENERATION, DEADLINE_S = "app:me", 3, 30.0


class NoRoot:
    """Hears everything, answers nothing."""

    def send(self, message: FromProcess) -> None:
        """Do nothing."""


class Scene:
    """A plane with actors 0 and 1, in a folder of its own."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="w-")
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        pid = Pid("n", SLOT, GENERATION)
        self.plane = Plane(
            asyncio.get_running_loop(),
            NoRoot(),
            self.context,
            PullSocket(self.context, self.folder, socket_name(SLOT, GENERATION)),
            pid=pid,
            message_dir=self.folder,
            directory=Directory(self.folder),
        )
        self.actors = [
            LocalActor(number, f"n/{SLOT}.3/{number}", EventChannel()) for number in (0, 1)
        ]
        for actor in self.actors:
            self.plane.add(actor)

    def inbox(self, number: int) -> Inbox:
        return Inbox(self.plane, self.actors[number], self.actors[number].mailbox.inbox)

    def close(self) -> None:
        self.plane.close()
        self.context.destroy(linger=0)
        shutil.rmtree(self.folder)


def _in_scene(work: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        scene = Scene()
        try:
            await asyncio.wait_for(work(scene), DEADLINE_S)
        finally:
            scene.close()

    asyncio.run(main())


def _frame(*runs: tuple[int, int], to: int = GENERATION, topic: str = "t") -> bytes:
    """Return a frame of runs: (target, count of messages)."""
    items = [
        framing.whole_run(
            framing.run_head(target, 0, topic), [payload.encode(n) for n in range(count)], count
        )
        for target, count in runs
    ]
    return framing.whole_frame(framing.frame_head(to, "n", "app:other", 1), items)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=60).filter(lambda it: it != BARRIER), min_size=1, max_size=10))
def test_garbage_on_the_socket_is_counted_and_the_next_message_arrives(
    garbage: list[bytes],
) -> None:
    async def work(scene: Scene) -> None:
        push = PushSocket(scene.context, endpoint(scene.folder, SLOT, GENERATION))
        for data in garbage:
            push.send(data)
        push.send(_frame((0, 1)))
        message = await scene.inbox(0).receive()
        push.close(linger_ms=0)
        assert (message.topic, message.payload) == ("t", 0)
        assert scene.plane.dead_letters == {"malformed": len(garbage)}

    _in_scene(work)


def test_a_frame_for_another_generation_is_dropped_and_all_its_messages_are_counted() -> None:
    async def work(scene: Scene) -> None:
        scene.plane.take(_frame((0, 3), (1, 4), to=GENERATION - 1))
        assert scene.plane.dead_letters == {"wrong generation": 7}
        assert scene.plane.waiting() == 0

    _in_scene(work)


def test_a_flood_past_the_window_is_cut_off_and_counted_and_the_other_actor_is_served() -> None:
    async def work(scene: Scene) -> None:
        for _ in range(10):
            scene.plane.take(_frame((0, wire.WINDOW_UNITS)))
        assert scene.plane.dead_letters["window ignored"] > 0
        assert scene.plane.waiting() <= wire.FLOOD_UNITS + wire.WINDOW_UNITS
        scene.plane.take(_frame((1, 1)))
        assert (await scene.inbox(1).receive()).payload == 0

    _in_scene(work)


def test_messages_to_nobody_are_counted() -> None:
    async def work(scene: Scene) -> None:
        scene.plane.take(_frame((7, 5)))
        assert scene.plane.dead_letters == {"no such actor": 5}

    _in_scene(work)


def test_all_who_wait_are_stepped_though_one_of_them_leaves_by_sys_exit() -> None:
    """The loop is left by a `SystemExit`, as asyncio has it; run again, it goes on."""
    loop = asyncio.new_event_loop()
    seen: list[int] = []
    scenes: list[Scene] = []

    async def leave(scene: Scene) -> None:
        await scene.inbox(0).receive()
        raise SystemExit(3)

    async def stay(scene: Scene) -> None:
        seen.append((await scene.inbox(1).receive()).payload)

    async def main() -> None:
        scene = Scene()
        scenes.append(scene)
        leaving, staying = loop.create_task(leave(scene)), loop.create_task(stay(scene))
        await asyncio.sleep(0)
        push = PushSocket(scene.context, endpoint(scene.folder, SLOT, GENERATION))
        push.send(_frame((0, 1), (1, 1)))
        await asyncio.wait_for(staying, DEADLINE_S)
        assert isinstance(leaving.exception(), SystemExit)
        push.close(linger_ms=0)

    life = loop.create_task(main())
    escaped = 0
    while not life.done():
        try:
            loop.run_until_complete(life)
        except SystemExit:
            escaped += 1
    scenes[0].close()
    loop.close()
    assert (escaped, seen) == (1, [0])


def test_what_a_woken_actor_says_goes_out_with_its_step() -> None:
    async def work(scene: Scene) -> None:
        sent: list[bytes] = []

        class Wire:
            def send(self, frame: bytes) -> None:
                sent.append(frame)

            def close(self, *, linger_ms: int) -> None:
                """Nothing is open."""

        peer = scene.plane.peer("app:other", 1)
        peer._connect = lambda _: Wire()

        async def answer() -> None:
            async for message in scene.inbox(0):
                scene.plane.post.send(
                    scene.actors[0], message.sender, "re", payload.encode(message.payload)
                )

        task = asyncio.create_task(answer())
        await asyncio.sleep(0)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def deliver() -> None:
            scene.plane.take(_frame((0, 3)))
            scene.plane._taken_in()
            done.set_result(len(sent))

        asyncio.get_running_loop().call_soon(deliver)
        assert await done == 1, "three answers, one frame, before the turn is over"
        task.cancel()

    _in_scene(work)
