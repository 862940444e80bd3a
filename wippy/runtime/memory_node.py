"""A node in one event loop, for tests: real planes, workers and actors; no sockets, no processes.

What an OS process is in a node is a plane with a worker here. What they have in common with a node
is everything above the sockets: frames are encoded, carried, decoded and validated, mailboxes are
bounded, ends are told in the same order by the same code. What the root does (names, who is alive,
starting processes, code of entries) is answered here, one turn of the loop later, as from afar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from types import SimpleNamespace
from typing import Any, cast

import zmq

from wippy.core import framing, messages, payload, wire
from wippy.core.codec import encode
from wippy.core.directory import HostAddress, name_key
from wippy.core.ids import Pid, worker_slot
from wippy.core.messages import FromProcess, Gone, ToProcess, WorkerJob
from wippy.core.reasons import ExitReason, Killed, Lost, StartFailed
from wippy.core.wire import Frame
from wippy.errors import Failure, NotFound
from wippy.runtime.context import EventChannel
from wippy.runtime.control import Control, Handler
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer, Transport
from wippy.runtime.plane import BARRIER, Plane
from wippy.runtime.sockets import PullSocket
from wippy.runtime.worker import Worker

ROOT = "wippy:root"
"""Slot of who watches every actor, to know how it ended."""
GENERATION = 1
FUNCTION_HOST = "test:functions"
"""The pool that runs all functions."""

OnFrame = Callable[[Frame, str], None]
OnEnd = Callable[[str, ExitReason, Any, str], None]


class MemoryNode:
    """All processes of a test.

    Args:
        loop: They all live in it.
        context: Context variables that they begin with.
        on_frame: Told of each frame before it is carried, with the slot that it is for.
        on_end: Told of each actor's end: pid, reason, value, and why the value is no data.

    Attributes:
        name: Of the node, in every pid.
        services: Who is a service, by entry id.
        codes: The code of entries.
        functions: Which of them are functions.
        processes: By slot.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        *,
        on_frame: OnFrame,
        on_end: OnEnd,
    ) -> None:
        self.name = "test"
        self.loop = loop
        self.context = context
        self.services: dict[str, Pid] = {}
        self.codes: dict[str, messages.CodeRef] = {}
        self.functions: set[str] = set()
        self.processes: dict[str, MemoryProcess] = {}
        self._names: dict[str, Pid] = {}
        self._hosts: set[str] = set()
        self._watches: dict[str, list[MemoryProcess]] = {}
        self._references = 0
        self._on_frame = on_frame
        self._on_end = on_end
        self._head = framing.frame_head(GENERATION, self.name, ROOT, GENERATION)

    # --- processes --------------------------------------------------------------------------------

    def process(self, slot: str) -> MemoryProcess:
        """Return the process at `slot`; it is made if it is not there."""
        found = self.processes.get(slot)
        if found is None:
            found = self.processes[slot] = MemoryProcess(self, slot)
        return found

    def worker(self, slot: str) -> MemoryProcess:
        """Return the process at `slot`, hosting actors."""
        found = self.process(slot)
        found.host_actors()
        return found

    def later(self, work: Callable[..., object], *args: Any) -> None:
        """Do `work` in a coming turn of the loop, as nobody's."""
        self.loop.call_soon(work, *args, context=self.context.copy())

    def carry(self, slot: str, data: bytes) -> None:
        """Carry a frame to the process at `slot`; to one that is not there it goes nowhere."""
        frame = framing.decode(data)
        self._on_frame(frame, slot)
        if slot == ROOT:
            self.later(self._take_ends, frame)
            return
        self.later(self._deliver, slot, data)
        for item in frame.items:
            if isinstance(item, wire.SpawnActor):
                self.watch_actor(slot, item.actor)

    def watch_actor(self, slot: str, actor: int) -> None:
        """Have `on_end` told of an actor's end."""
        self._references += 1
        item = framing.item(wire.Monitor(actor, 1, self._references))
        self.later(self._deliver, slot, framing.whole_frame(self._head, [item]))

    def _deliver(self, slot: str, data: bytes) -> None:
        process = self.processes.get(slot)
        if process is not None:
            process.take(data)

    def _take_ends(self, frame: Frame) -> None:
        for item in frame.items:
            if isinstance(item, wire.Ended) and item.reference > 0:
                pid = Pid(self.name, frame.slot, frame.generation, item.actor)
                self._actor_ended(pid)
                self._on_end(str(pid), item.reason, item.value, item.problem)
                if self.processes[frame.slot].is_dedicated:
                    self._process_ended(frame.slot, item.reason)

    def _actor_ended(self, pid: Pid) -> None:
        self.services = {id: held for id, held in self.services.items() if held != pid}
        self._names = {name: held for name, held in self._names.items() if held != pid}

    def _process_ended(self, slot: str, reason: ExitReason) -> None:
        self.processes.pop(slot)
        for watcher in self._watches.pop(slot, []):
            watcher.control.tell(Gone(slot, GENERATION, reason))

    # --- what the directory says ------------------------------------------------------------------

    def service(self, entry_id: str) -> Pid | None:
        """See `Directory`."""
        return self.services.get(entry_id)

    def holder(self, name: str) -> Pid | None:
        """Return who has registered `name`; `Invalid` if it can be no name."""
        name_key(name)
        return self._names.get(name)

    def host(self, entry_id: str) -> HostAddress:
        """Return the one worker of a pool: whoever is named as a host is one."""
        slot = worker_slot(entry_id, 1)
        self.worker(slot)
        return HostAddress(((slot, GENERATION, 0),))

    # --- what processes ask of the root -----------------------------------------------------------

    def take(self, process: MemoryProcess, data: bytes) -> None:
        """Take a frame for the root."""
        match messages.from_process.decode(data):
            case messages.WatchProcess(slot, generation):
                self._watch(process, slot, generation)
            case messages.Unwatch(slot):
                self._watches[slot] = [it for it in self._watches.get(slot, []) if it != process]
            case messages.SpawnProcess() as order:
                self._spawn(process, order)
            case messages.EndProcess(slot) as order:
                self._end(slot, order)
            case messages.RegisterName(name, pid):
                holder = self._names.setdefault(name, Pid.parse(pid))
                if str(holder) != pid:
                    process.control.tell(messages.NameTaken(name, str(holder)))
            case messages.UnregisterName(name, pid):
                if str(self._names.get(name)) == pid:
                    del self._names[name]
                process.control.tell(messages.NameFreed(name, pid))
            case messages.WantCode(id):
                process.control.tell(self._code(id))
            case messages.WantFunction(id):
                process.control.tell(self._function(id))
            case messages.WantWorker(host):
                self.host(host)
                process.control.tell(messages.HostReady(host))
            case _:
                return  # signs of life: nobody is killed here for want of them

    def _watch(self, process: MemoryProcess, slot: str, generation: int) -> None:
        if generation == GENERATION and (slot in self.processes or slot == ROOT):
            self._watches.setdefault(slot, []).append(process)
        else:
            process.control.tell(Gone(slot, generation, Lost(), noproc=True))

    def _spawn(self, parent: MemoryProcess, order: messages.SpawnProcess) -> None:
        if order.name and self._names.get(order.name) is not None:
            detail = f"the name {order.name!r} is registered for {self._names[order.name]}"
            parent.control.tell(Gone(order.slot, GENERATION, StartFailed(detail=detail)))
            return
        made = self.worker(order.slot)
        made.is_dedicated = True
        if order.monitor or order.link:
            self._watches.setdefault(order.slot, []).append(parent)
        spawn = wire.SpawnActor(
            0,
            Pid.parse(order.parent).actor,
            order.process,
            list(payload.restore(order.args)),
            link=order.link,
            name=order.name,
            context=payload.restore(order.context),
        )
        made.start(made.plane.peer(parent.slot, GENERATION), spawn)
        self.watch_actor(order.slot, 0)

    def _end(self, slot: str, order: messages.EndProcess) -> None:
        process = self.processes.get(slot)
        local = None if process is None else process.plane.actors.get(0)
        if local is None:
            return
        if order.how == "cancel":
            local.cancel(order.reason, max(0.0, order.deadline_s))
        else:
            local.end(Killed())

    def _function(self, function: str) -> messages.Function:
        if function in self.functions:
            return messages.Function(function, FUNCTION_HOST)
        error = NotFound(f"the test has defined no function {function!r}: world.function(id, code)")
        return messages.Function(function, problem=Failure.of(error))

    def _code(self, process: str) -> messages.Code:
        code = self.codes.get(process)
        if code is not None:
            return messages.Code(process, code)
        known = ", ".join(sorted(self.codes)) or "nothing"
        error = f"the test has defined no entry {process!r} (but {known}): world.define(id, code)"
        return messages.Code(process, error=error)


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
        names = SimpleNamespace(service=node.service, name=node.holder, host=node.host)
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

    def _barrier(self) -> None:
        # Nothing is ever on its way here but calls of the loop, which keep their order.
        self.loop.call_soon(self.take, BARRIER)


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
