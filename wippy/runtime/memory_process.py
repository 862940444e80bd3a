"""What would be an OS process, in a node in memory: a plane, a worker, and no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import zmq

from wippy.core import messages, wire
from wippy.core.codec import encode
from wippy.core.ids import Pid
from wippy.core.messages import FromProcess, ToProcess, WorkerJob
from wippy.runtime.context import EventChannel
from wippy.runtime.control import Control, Handler
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer, Transport
from wippy.runtime.plane import Plane
from wippy.runtime.sockets import Loopback, PullSocket
from wippy.runtime.worker import Worker

if TYPE_CHECKING:
    from wippy.runtime.memory_node import MemoryNode

GENERATION = 1
"""Of all processes: none is started again."""


class MemoryProcess:
    """What would be an OS process.

    Attributes:
        slot: Its place.
        plane: Its messages.
        control: Its way to the root.
        is_dedicated: It ends with its only actor.
    """

    def __init__(self, node: MemoryNode, slot: str) -> None:
        self.slot = slot
        self.control = MemoryControl(node, self)
        self.is_dedicated = False
        self._node = node
        self._pull = _Pull()
        self._worker: Worker | None = None
        self._life: asyncio.Task[int] | None = None
        self.plane = _MemoryPlane(node, self, self._pull)

    def add_actor(self, number: int) -> LocalActor:
        """Add an actor that is no function: the test plays it."""
        local = LocalActor(
            number, str(Pid(self._node.name, self.slot, GENERATION, number)), EventChannel()
        )
        self.plane.add(local)
        return local

    def host_actors(self) -> None:
        """Be a worker from now on."""
        if self._worker is not None:
            return
        job = WorkerJob(
            node=self._node.name,
            slot=self.slot,
            generation=GENERATION,
            title=self.slot,
            heartbeat_s=0.0,
            host=self.slot,
            number=1,
        )
        self._worker = Worker(job, cast("Control", self.control), self.plane)
        self._life = self._node.loop.create_task(
            self._worker.run(), context=self._node.context.copy()
        )

    def start(self, parent: Peer, order: wire.SpawnActor) -> None:
        """Start an actor, as a frame would."""
        assert self.plane.on_spawn is not None
        self.plane.watch(parent)
        self.plane.admission.admit(parent, order.cost)
        self.plane.on_spawn(parent, order)

    def take(self, data: bytes) -> None:
        """Take a frame from another process."""
        self.plane.take(data)
        self._pull.after()


class MemoryControl:
    """The control socket without a socket: frames to and from the root that `MemoryNode` plays."""

    def __init__(self, node: MemoryNode, process: MemoryProcess) -> None:
        self._node = node
        self._process = process
        self._handler: Handler | None = None

    def send(self, message: FromProcess) -> None:
        """Send a frame to the root."""
        self._node.later(self._node.take, self._process, encode(message))

    def tell(self, message: ToProcess) -> None:
        """Send a frame to the process."""
        self._node.later(self._take, messages.to_process.decode(encode(message)))

    def set_handler(self, handler: Handler) -> None:
        """See `Control`; what came before was for the plane, which has it."""
        self._handler = handler

    def _take(self, message: ToProcess) -> None:
        if self._handler is not None:
            self._handler(message)
        else:
            self._process.plane.told(message)


class _MemoryPlane(Plane):
    """A plane whose connections are method calls."""

    def __init__(self, node: MemoryNode, process: MemoryProcess, pull: _Pull) -> None:
        self._memory = node
        names = SimpleNamespace(
            service=node.service,
            is_known=node.is_known,
            name=node.holder,
            host=node.host,
            promised=node.promised,
            members=node.groups.members,
            observers=node.observers.row,
        )
        super().__init__(
            node.loop,
            process.control,
            # Never used: the two methods below are all that touches it.
            cast("zmq.Context[zmq.Socket[bytes]]", None),
            cast("PullSocket", pull),
            pid=Pid(node.name, process.slot, GENERATION),
            message_dir="",
            directory=cast("Directory", names),
        )

    def _connect(self, peer: Peer) -> Transport:
        self.watch(peer)
        return _Way(self._memory, peer.slot)

    def _connect_to_self(self) -> Transport:
        # Nothing is ever on its way here but calls of the loop, which keep their order.
        return Loopback(self.loop, self.take, self._variables)


class _Way:
    """The connection to one process; a `Transport`."""

    def __init__(self, node: MemoryNode, slot: str) -> None:
        self._node = node
        self._slot = slot

    def send(self, frame: bytes) -> None:
        self._node.carry(self._slot, frame)

    def close(self, *, linger_ms: int) -> None:
        """Nothing is open."""


class _Pull:
    """In place of the PULL socket."""

    def __init__(self) -> None:
        self.after: Callable[[], None] = lambda: None

    def start(self, _loop: object, _take: object, after: Callable[[], None]) -> None:
        self.after = after

    def close(self) -> None:
        """Nothing is open."""
