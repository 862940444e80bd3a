"""Which event goes where; and after each event, until everything has settled."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import GOING_DOWN, Input, Intent
from supervisor.core.spec import ROOT_ID, TreeSpec
from supervisor.core.tree import (
    adopting,
    ending,
    operators,
    rolling,
    settling,
    starting,
    stopping,
    watching,
)
from supervisor.core.tree.child import Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.reasons import Shutdown
from wippy.errors import Internal


class Tree:
    """The supervision tree; the arguments are those of `Forest`."""

    def __init__(
        self,
        spec: TreeSpec,
        *,
        generations: Mapping[str, int] | None = None,
        held: Collection[str] = (),
        recovering: bool = False,
        start_parallel: int = 4,
    ) -> None:
        self.forest = Forest(
            spec,
            generations=generations or {},
            held=held,
            recovering=recovering,
            start_parallel=start_parallel,
        )

    def step(self, event: steps.Event, now_s: float) -> list[steps.Action]:
        """Take in one event; return what the shell has to do, in this order.

        Operators' events raise `NotFound`, `Invalid` or `Unavailable` where they cannot be
        obeyed; nothing has changed then.
        """
        forest = self.forest
        forest.now_s = now_s
        self._take(event)
        self._settle()
        settling.look(forest)
        actions, forest.actions = forest.actions, []
        return actions

    def next_deadline_s(self) -> float | None:
        """Return when `Tick` is due, monotonic seconds; None if nothing waits for time."""
        return self.forest.deadlines.next_s()

    @property
    def is_finished(self) -> bool:
        """Whether everything is down and `Finish` has been asked for."""
        return self.forest.is_finished

    def child(self, id: str) -> Child | None:
        """Return a child for reading."""
        return self.forest.children.get(id)

    def _take(self, event: steps.Event) -> None:
        forest = self.forest
        match event:
            case steps.Begin():
                if forest.children[ROOT_ID].state is State.IDLE:
                    starting.start(forest, forest.children[ROOT_ID])
            case steps.ShutDown(why, code):
                self._shut_down(why, code)
            case steps.Tick():
                self._due()
            case steps.OperatorStop(id):
                operators.hold(forest, id)
            case steps.OperatorStart(id):
                operators.start(forest, id)
            case steps.OperatorRestart(id):
                operators.restart(forest, id)
            case steps.Spawn():
                operators.spawn(forest, event)
            case steps.Adopt():
                adopting.adopt(forest, event)
            case _:
                child = forest.children.get(event.id)
                # A frame may name anything; a supervisor has no process that could say it.
                if child is None or child.supervision is not None:
                    return
                if child.generation == event.generation:
                    self._take_of_process(event, child)

    def _take_of_process(self, event: steps.Event, child: Child) -> None:
        forest = self.forest
        match event:
            case steps.Launched(os_pid=os_pid):
                child.os_pid = os_pid
            case steps.BecameReady() if child.state is State.STARTING:
                starting.ready(forest, child)
            case steps.SaidNotNeeded() if child.state is State.STARTING:
                child.intent = Intent.NOT_NEEDED
            case steps.Died():
                ending.died(forest, event)
            case steps.Beat():
                watching.beat(forest, child)
            case steps.OsSeen(os_state=os_state):
                watching.os_seen(forest, child, os_state)
            case steps.OverMemory():
                watching.over_memory(forest, child, event)
            case steps.Upgraded(version=version):
                adopting.upgraded(forest, child, version)
            case steps.NotUpgradable():
                adopting.not_upgradable(forest, child)
            case steps.UpgradeFailed(version=version, detail=detail):
                adopting.upgrade_failed(forest, child, version, detail)
            case steps.Displaced() if child.state in (State.STARTING, State.UP):
                stopping.stop(forest, child, Intent.CHANGED)

    def _shut_down(self, why: str, code: int) -> None:
        forest = self.forest
        top = forest.children[ROOT_ID]
        if forest.is_finished or top.state in GOING_DOWN:
            return
        forest.exit_code = code
        forest.note(FactKind.NODE_STOPPING, text=why)
        if top.state is State.IDLE:
            starting.start(forest, top)  # asked to end before it began: an empty life
        stopping.close(forest, top, Shutdown())

    def _due(self) -> None:
        forest = self.forest
        while (key := forest.deadlines.pop_due(forest.now_s)) is not None:
            id, purpose = key
            child = forest.children[id]
            if purpose == "beat":
                watching.beat_due(forest, child)
            elif purpose == "stable":
                watching.is_stable(forest, child)
            elif purpose == settling.PURPOSE:
                settling.due(forest)
            else:
                self._state_due(child)

    def _state_due(self, child: Child) -> None:
        forest = self.forest
        match child.state:
            case State.STARTING:
                stopping.stop(forest, child, Intent.START_TIMEOUT)
            case State.STOPPING:
                stopping.kill(forest, child, text="did not stop in time")
            case State.KILLING:
                stopping.overdue(forest, child)
            case State.BACKOFF:
                forest.move(child, Input.RETRY)
            case _:
                raise Internal(f"{child.id}: a deadline in state {child.state}")

    def _settle(self) -> None:
        """Bring every unsettled supervisor towards what it should be."""
        forest = self.forest
        while forest.unsettled and not forest.is_finished:
            id = next(iter(forest.unsettled))
            del forest.unsettled[id]
            supervisor = forest.children.get(id)
            if supervisor is not None and supervisor.supervision is not None:
                self._settle_one(supervisor)

    def _settle_one(self, supervisor: Child) -> None:
        if stopping.bring_down(self.forest, supervisor):
            return
        if supervisor.state is State.STOPPING:
            ending.supervisor_down(self.forest, supervisor)
        elif supervisor.state in (State.STARTING, State.UP):
            rolling.advance(self.forest, supervisor)
            starting.bring_up(self.forest, supervisor)
