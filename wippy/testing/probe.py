"""An actor that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

from wippy import process
from wippy.core.ids import Pid
from wippy.core.mailbox import Message
from wippy.runtime.context import ActorContext, Event, current_actor
from wippy.runtime.memory_node import MemoryNode

T = TypeVar("T")


class Probe:
    """An actor that the test plays: it gets messages and events, and says what the test says.

    It traps links: the end of an actor that it is linked to is an event.

    Attributes:
        pid: Its pid.
        context: What makes code its own (`wippy.runtime.context.current_actor`).
    """

    def __init__(self, node: MemoryNode, slot: str, service: str) -> None:
        home = node.process(slot)
        local = home.add_actor(0)
        local.traps_links = True
        self.pid = local.pid
        self.context = ActorContext(
            pid=Pid.parse(local.pid),
            service=service,
            process=service,
            events=local.events,
            reads_events=True,
        )
        self.context.join(home.plane, local)

    async def receive(self) -> Message:
        """Wait for its next message."""
        return await self._as_it(process.inbox).receive()

    async def event(self) -> Event:
        """Wait for its next event: of a monitor, of a link."""
        return await self._as_it(process.events).receive()

    def send(self, target: str, topic: str, payload: Any = None) -> None:
        """See `process.send`."""
        self._as_it(process.send, target, topic, payload)

    def reply(self, message: Message, payload: Any = None) -> None:
        """See `process.reply`."""
        self._as_it(process.reply, message, payload)

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as this actor, beside the test: `probe.run(process.call(...))`."""
        return asyncio.get_running_loop().create_task(work, context=self._variables())

    def _as_it(self, work: Callable[..., T], *args: Any) -> T:
        return self._variables().run(work, *args)

    def _variables(self) -> Context:
        variables = copy_context()
        variables.run(current_actor.set, self.context)
        return variables
