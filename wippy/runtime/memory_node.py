"""A node in one event loop, for tests: real planes, workers and actors; no sockets, no processes.

What an OS process is in a node is a plane with a worker here. What they have in common with a node
is everything above the sockets: frames are encoded, carried, decoded and validated, mailboxes are
bounded, ends are told in the same order by the same code. What the root does (names, who is alive,
starting processes, code of entries, groups) is answered here, one turn of the loop later, as from
afar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from wippy.core import framing, messages, payload, wire
from wippy.core.directory import HostAddress, name_key
from wippy.core.ids import Pid, worker_slot
from wippy.core.messages import Gone, ToProcess
from wippy.core.reasons import ExitReason, Killed, Lost, StartFailed
from wippy.core.wire import Frame
from wippy.errors import Failure, NotFound
from wippy.runtime.memory_groups import FRAMES, MemoryGroups, MemoryObservers
from wippy.runtime.memory_process import GENERATION, MemoryProcess

ROOT = "wippy:root"
"""Slot of who watches every actor, to know how it ended."""
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
        groups: The process groups.
        observers: The observation bus.
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
        self.groups = MemoryGroups(self._tell)
        self.observers = MemoryObservers(self._tell, GENERATION)
        self._names: dict[str, Pid] = {}
        self._known: set[str] = set()
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
        self.groups.actor_gone(pid)
        self.services = {id: held for id, held in self.services.items() if held != pid}
        self._names = {name: held for name, held in self._names.items() if held != pid}

    def _process_ended(self, slot: str, reason: ExitReason) -> None:
        self.processes.pop(slot)
        self.groups.process_gone(slot)
        self.observers.process_gone(slot)
        for watcher in self._watches.pop(slot, []):
            watcher.control.tell(Gone(slot, GENERATION, reason))

    # --- what the directory says ------------------------------------------------------------------

    def serve(self, entry_id: str, pid: Pid) -> None:
        """Say who is a service from now on."""
        self.services[entry_id] = pid
        self._known.add(entry_id)

    def is_known(self, entry_id: str) -> bool:
        """See `Directory`."""
        return entry_id in self._known

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

    def promised(self, entry_id: str) -> None:
        """Every pool has its worker as soon as it is named."""

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
            case messages.Observe() as frame:
                self.observers.observe(process.slot, frame)
            case frame if isinstance(frame, FRAMES):
                self.groups.take(process.slot, frame)
            case _:
                return  # signs of life: nobody is killed here for want of them

    def _tell(self, slot: str, message: ToProcess) -> None:
        process = self.processes.get(slot)
        if process is not None:
            process.control.tell(message)

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
