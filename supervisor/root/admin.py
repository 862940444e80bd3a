"""Verbs of clients: questions are answered at once, commands when they have come true."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from supervisor.core import requests, steps
from supervisor.core.facts import Fact, FactKind
from supervisor.core.keeping import ForgetVersions
from supervisor.core.plan import if_dies
from supervisor.core.requests import Answer, Done, Reply, Request, WhyAnswer, WhyView
from supervisor.core.spec import FORKSERVER_ID, ChildSpec, Dedicated, PoolActor
from supervisor.core.tree import operators
from supervisor.core.tree.forest import Child
from supervisor.core.tree.rows import what_next
from supervisor.core.view import State
from supervisor.io.output import tail_lines
from supervisor.io.state_reader import StateReader
from wippy.core.reasons import SIGNAL_NAMES, sentence
from wippy.core.registry import ApplyChanges, ApplyVersion
from wippy.core.units import format_bytes
from wippy.errors import Failure, Internal, Invalid, NotFound, Unavailable, WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

WHY_FACTS = 200
WHY_LINES = 20
MAX_HISTORY = 10_000
CHANGE_TIMEOUT_S = 60.0
"""How long a change of the registry waits for the keeper: longer than its restart takes."""
ANSWER_S = 0.05
"""Time for an answer to leave through ZeroMQ's thread before the root kills itself."""
MAX_WAITING = 1000
"""Commands that may wait to come true."""


@dataclass(slots=True)
class Waiting:
    """A command that has not come true yet."""

    peer: bytes
    request_id: int
    id: str
    is_start: bool
    exits_before: int


class Admin:
    """Answers the clients of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._waiting: list[Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # One for the whole process: LMDB may be opened once (its locks are the process's).
        self.stored = StateReader(Path(root.runtime.state_dir))

    def take(self, peer: bytes, request: Request) -> None:
        """Take a valid request; answer it now, or when it has come true."""
        try:
            answer = self._answer(peer, request)
        except WippyError as error:
            answer = Failure.of(error)
        if answer is not None:
            self._reply(peer, request.id, answer)

    def _reply(self, peer: bytes, request_id: int, answer: Answer) -> None:
        self._root.control.send_client(peer, Reply(request_id, answer))

    def _answer(self, peer: bytes, request: Request) -> Answer | None:
        match request.verb:
            case requests.GetView():
                return requests.ViewAnswer(self._root.views.node())
            case requests.Subscribe() as wish:
                self._root.subscribers.subscribe(peer, wish)
                return Done("subscribed")
            case requests.Why(id):
                self._child(id)
                self._later(peer, request.id, self._why(id))
            case requests.History(id, limit):
                self._later(peer, request.id, self._history(id, min(limit, MAX_HISTORY)))
            case requests.Kill(target, number):
                return self._kill(target, number, request.who)
            case requests.StopNode():
                who = f" by {request.who}" if request.who else ""
                self._root.chronicle.tell(FactKind.OPERATOR, f"stop of the node{who}")
                self._root.shut_down("stopped by an operator")
                return Done("stopping")
            case requests.Stop(id):
                self._command(peer, request, steps.OperatorStop(id), id, is_start=False)
            case requests.Start(id):
                self._command(peer, request, steps.OperatorStart(id), id, is_start=True)
            case requests.Restart(id):
                self._command(peer, request, steps.OperatorRestart(id), id, is_start=True)
            case requests.Backup(path):
                self._note(request, f"backup into {path}", "")
                self._later(peer, request.id, self._backup(path))
            case requests.ChangeRegistry(change):
                self._later(peer, request.id, self._change_registry(change))
            case requests.Reload(is_dry):
                self._note(request, "dry reload" if is_dry else "reload", "")
                self._later(
                    peer, request.id, self._root.live_files.reload(request.who, is_dry=is_dry)
                )
            case requests.Run() as order:
                self._root.runs.start(peer, request.id, order)
            case requests.EndRun() as order:
                self._root.runs.end(order)
                return Done()
            case requests.Spawn(id, args):
                spec = self._spawn_spec(id, args)
                event = steps.Spawn(id, spec)
                self._command(peer, request, event, spec.id, is_start=True)
        return None

    # --- commands ---

    def _command(
        self, peer: bytes, request: Request, event: steps.Event, id: str, *, is_start: bool
    ) -> None:
        if not isinstance(event, steps.Spawn):
            self._child(id)
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable(f"{MAX_WAITING} commands are waiting already")
        child = self._root.tree.child(id)
        before = child.state if child is not None else None
        exits = len(child.exits) if child is not None else 0
        verb = type(request.verb).__name__.lower()
        self._note(request, f"{verb} {id}", id)
        self._root.command(event)
        waiting = Waiting(peer, request.id, id, is_start, exits)
        if before is not None and self._is_true_already(before, is_start, verb):
            self._reply(peer, request.id, Done(f"{id} is already {before}", id))
        else:
            self._waiting.append(waiting)
            self.look()

    def _is_true_already(self, before: State, is_start: bool, verb: str) -> bool:
        if verb == "restart":
            return False
        return before is (State.UP if is_start else State.HELD)

    def _note(self, request: Request, text: str, id: str) -> None:
        who = f" by {request.who}" if request.who else ""
        self._root.chronicle.tell(FactKind.OPERATOR, text + who, id=id)

    def look(self) -> None:
        """Answer the commands that have come true, or cannot any more."""
        if not self._waiting:
            return
        still: list[Waiting] = []
        for waiting in self._waiting:
            answer = self._outcome(waiting)
            if answer is None:
                still.append(waiting)
            else:
                self._reply(waiting.peer, waiting.request_id, answer)
        self._waiting = still

    def _outcome(self, waiting: Waiting) -> Answer | None:
        child = self._root.tree.child(waiting.id)
        if child is None:
            return Done(f"{waiting.id} is gone", waiting.id)
        if not waiting.is_start:
            return None if child.is_living else Done(f"{waiting.id} is {child.state}", waiting.id)
        if child.state in (State.UP, State.DONE, State.IGNORED):
            who = f", pid {child.os_pid}" if child.os_pid else ""
            return Done(f"{waiting.id} is {child.state}{who}", waiting.id)
        if child.state in (State.BACKOFF, State.FAILED, State.HELD):
            last = sentence(child.exits[-1]) if child.exits else "it was stopped"
            text = f"{waiting.id} is {child.state}: {last}; see: wippy-supervisor why {waiting.id}"
            return Failure.of(Unavailable(text))
        if child.waits_for and child.state is State.IDLE:
            return Failure.of(Unavailable(f"{waiting.id} cannot start: {child.waits_for}"))
        return None

    def _kill(self, target: str, number: int, who: str) -> Done:
        if not 1 <= number <= 64:
            raise Invalid(f"{number} is no signal")
        pid, id = self._pid_of(target)
        name = SIGNAL_NAMES.get(number, f"signal {number}")
        by = f" by {who}" if who else ""
        self._root.chronicle.tell(FactKind.OPERATOR, f"{name} to pid {pid}{by}", id=id, os_pid=pid)
        vessel = self._root.fleet.vessel_of_pid(pid)
        if vessel is not None:
            self._root.fleet.signal(vessel, number)
        elif pid == self._root.performer.server_pid:
            self._root.performer.signal_server(number)
        else:
            # Ourselves, or our parent: the answer leaves first.
            self._root.loop.call_later(ANSWER_S, os.kill, pid, number)
        return Done(f"sent {name} to pid {pid} ({id or 'node'})", id)

    def _pid_of(self, target: str) -> tuple[int, str]:
        root = self._root
        own = {"wippy:root": root.views.pid, "wippy:guardian": root.guardian_pid}
        own[FORKSERVER_ID] = root.performer.server_pid
        if own.get(target):
            return own[target], target
        if target.isdigit():
            for id, pid in own.items():
                if pid == int(target):
                    return pid, id
            vessel = root.fleet.vessel_of_pid(int(target))
            if vessel is None:
                raise NotFound(f"pid {target} is no process of this node")
            return int(target), vessel.job.slot if vessel.job is not None else ""
        child = self._child(target)
        if child.supervision is not None:
            raise Invalid(f"{target} is a supervisor: it has no process of its own to be killed")
        if not child.os_pid:
            raise Unavailable(f"{target} has no process: it is {child.state}")
        return child.os_pid, target

    def _spawn_spec(self, id: str, args: tuple[object, ...] | None) -> ChildSpec:
        supervisor = self._child(id)
        template = supervisor.supervision.spec.template if supervisor.supervision else None
        if template is None:
            raise Invalid(f"{id} is no dynamic supervisor")
        launch = template.launch
        if args is not None:
            if not isinstance(launch, Dedicated | PoolActor):
                raise Invalid(f"children of {id} take no arguments")
            launch = msgspec.structs.replace(launch, args=tuple(args))
        new_id = operators.next_dynamic_id(self._root.tree.forest, id)
        return msgspec.structs.replace(template, id=new_id, parent=id, launch=launch)

    # --- questions that need a file ---

    def _child(self, id: str) -> Child:
        child = self._root.tree.child(id)
        if child is None:
            near = difflib.get_close_matches(id, self._root.tree.forest.children, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise NotFound(f"no {id!r} in the tree{hint}")
        return child

    def _later(self, peer: bytes, request_id: int, question: Coroutine[Any, Any, Answer]) -> None:
        async def answer() -> None:
            try:
                self._reply(peer, request_id, await question)
            except WippyError as error:
                self._reply(peer, request_id, Failure.of(error))
            except OSError as error:
                self._reply(peer, request_id, Failure.of(Internal(str(error))))

        task = self._root.loop.create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _why(self, id: str) -> Answer:
        root = self._root
        child = self._child(id)
        facts = await self._past(id)
        path = root.views.log_path(child.spec)
        output = await asyncio.to_thread(_tail, path) if path else ()
        spec = root.tree.forest.spec
        return WhyAnswer(
            WhyView(
                view=root.views.of_child(id),
                facts=facts,
                next=what_next(root.tree.forest, child, root.loop.time()),
                output=output,
                if_dies=if_dies(spec, id) if id in spec.children else "",
            )
        )

    async def _backup(self, path: str) -> Answer:
        root = self._root
        root.chronicle.pass_on()
        size_bytes = await root.keeper.backup(Path(path))
        return Done(f"{format_bytes(size_bytes)} in {path}")

    async def _change_registry(
        self, change: ApplyChanges | ApplyVersion | ForgetVersions
    ) -> Answer:
        keeper = self._root.keeper
        if isinstance(change, ForgetVersions):
            return await keeper.forget_versions(change.keep, timeout_s=CHANGE_TIMEOUT_S)
        return await keeper.change_registry(change, timeout_s=CHANGE_TIMEOUT_S)

    async def _past(self, id: str) -> tuple[Fact, ...]:
        """Return what is known of a child, and the deaths of roots, which ended lives of its."""
        own = await self._facts(id, WHY_FACTS)
        if not own:
            return own
        node = await self._facts("", MAX_HISTORY)
        since_s = own[0].at_s
        deaths = (f for f in node if f.kind is FactKind.ROOT_RECOVERED and f.at_s >= since_s)
        return tuple(sorted((*own, *deaths), key=lambda fact: fact.at_s))

    async def _history(self, id: str, limit: int) -> Answer:
        return requests.Facts(await self._facts(id, limit))

    async def _facts(self, id: str, limit: int) -> tuple[Fact, ...]:
        """What the disk knows, and what has not reached it yet."""
        root = self._root
        root.chronicle.pass_on()
        await root.keeper.flush(0.2)
        # First what is not known to be stored: what gets there meanwhile is found twice, not never.
        unsettled = root.chronicle.since(root.chronicle.last_seq - root.keeper.lag)
        stored = await asyncio.to_thread(self.stored.history, id, limit)
        known = {(fact.seq, fact.at_s) for fact in stored}
        fresh = [
            fact
            for fact in unsettled
            if (not id or fact.id == id) and (fact.seq, fact.at_s) not in known
        ]
        return (*stored, *fresh)[-limit:]


def _tail(path: str) -> tuple[str, ...]:
    try:
        return tuple(tail_lines(path, WHY_LINES))
    except OSError:
        return ()
