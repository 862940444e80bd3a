"""The state of the tree, and the few operations that change it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from supervisor.core import steps
from supervisor.core.facts import Fact, FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import GOING_DOWN, LIVING, Input, transition
from supervisor.core.spec import (
    ChildSpec,
    TreeSpec,
)
from supervisor.core.tree.child import (
    CRASH_LOOP_LIVES,
    CUTTABLE,
    EXITS_IN_CHAIN,
    EXITS_KEPT,
    KILL_WAIT_S,
    Change,
    Child,
    Supervision,
)
from supervisor.core.tree.standing import Standing
from supervisor.core.view import State

__all__ = [
    "CRASH_LOOP_LIVES",
    "CUTTABLE",
    "EXITS_IN_CHAIN",
    "EXITS_KEPT",
    "KILL_WAIT_S",
    "Child",
    "Forest",
    "Supervision",
]


class Forest(Standing):
    """All children by id, and what the step in progress has asked for so far.

    Args:
        tree: The specs.
        generations: Last generation of each child under an earlier root: numbers keep growing.
        held: Children an operator had stopped under an earlier root: they stay down.
        recovering: A root before this one had the tree up, so a child that fails to start is
            retried as a crash is, instead of failing the start of everything.
        start_parallel: Processes that may be starting at the same time.
    """

    def __init__(
        self,
        tree: TreeSpec,
        *,
        generations: Mapping[str, int],
        held: Collection[str],
        recovering: bool,
        start_parallel: int,
    ) -> None:
        super().__init__(
            tree,
            generations=generations,
            held=held,
            recovering=recovering,
            start_parallel=start_parallel,
        )
        for spec in tree.children.values():
            self.add(spec)
        for spec in tree.children.values():
            self.note_needs(spec)

    def add(self, spec: ChildSpec) -> Child:
        """Add a child that is idle, or held where an operator or `auto_start: false` says so."""
        rests = spec.id in self.held or not spec.lifecycle.auto_start
        child = Child(spec=spec, state=State.HELD if rests else State.IDLE)
        if spec.id in self.spec.children:
            self.known[spec.id] = None
        child.generation = self.generations.get(spec.id, 0)
        lifecycle = spec.lifecycle
        if lifecycle.max_restarts is not None:
            child.window = Intensity(lifecycle.max_restarts, lifecycle.within_s)
        if spec.supervisor is not None:
            intensity = spec.supervisor.intensity
            child.supervision = Supervision(
                spec=spec.supervisor,
                order=list(spec.supervisor.children),
                window=Intensity(intensity.max_restarts, intensity.within_s),
                last_number=self._last_number(spec),
            )
        self.children[spec.id] = child
        self._note_idle(child)
        return child

    def _note_idle(self, child: Child) -> None:
        idle = self.idle.setdefault(child.spec.parent, {})
        if child.state is State.IDLE:
            idle[child.id] = None
        else:
            idle.pop(child.id, None)

    def _last_number(self, spec: ChildSpec) -> int:
        """Return the number of the last dynamic child, also of those under an earlier root."""
        start = f"{spec.id}#"
        names = [id.removeprefix(start) for id in self.generations if id.startswith(start)]
        children = spec.supervisor.children if spec.supervisor else ()
        return max(len(children), *(int(name) for name in names if name.isdecimal()), 0)

    def restore(self, id: str) -> Child:
        """Add a listed child that is not there, and all that is listed below it."""
        child = self.add(self.spec.children[id])
        if child.supervision is not None:
            for below in child.supervision.spec.children:
                if below not in self.children:
                    self.restore(below)
            self.arrange(child)
        return child

    def arrange(self, supervisor: Child) -> None:
        """Put its children into the order of its spec. Who is leaving keeps its place among those
        around it until it is gone; who was made at run time comes last."""
        supervision = self.supervision(supervisor)
        here = (self.children.get(id) for id in supervision.order)
        present = {it.id: it for it in here if it is not None and it.spec.parent == supervisor.id}
        order = [id for id in supervision.spec.children if self._is_listed(id, supervisor)]
        listed, before = set(order), ""
        for id, child in present.items():
            if child.change is Change.LEAVING:
                order.insert(order.index(before) + 1 if before else 0, id)
            elif id not in listed:
                order.append(id)
            before = id
        supervision.order[:] = order
        supervision.cut = {id: None for id in order if id in supervision.cut}
        supervision.untold = {id: None for id in order if id in supervision.untold}
        supervision.settled = 0
        self.unsettled[supervisor.id] = None

    def _is_listed(self, id: str, supervisor: Child) -> bool:
        child = self.children.get(id)
        return (
            child is not None
            and child.spec.parent == supervisor.id
            and child.change is not Change.LEAVING
        )

    def remove(self, child: Child) -> None:
        """Forget a child that is down, and all below it but what SIGKILL could not end: that is
        forgotten when it dies. One that leaves for another place is added there."""
        for below in list(self.children_of(child)) if child.supervision else ():
            if below.state is not State.UNKILLABLE:
                self.remove(below)
        parent = self.parent(child)
        if parent is not None and child.id in self.supervision(parent).order:
            supervision = self.supervision(parent)
            supervision.order.remove(child.id)
            supervision.settled = 0
            supervision.leaving.pop(child.id, None)
            supervision.going.pop(child.id, None)
        if child.id in self.known:  # it may come back, and goes on where it was
            self.generations[child.id] = child.generation
        else:
            self.held.discard(child.id)
        for purpose in ("state", "beat", "stable"):
            self.deadlines.clear((child.id, purpose))
        del self.children[child.id]
        self.freshen(child)
        self.idle.get(child.spec.parent, {}).pop(child.id, None)
        self.act(steps.Forget(child.id))
        self.note(FactKind.REMOVED, child, text="removed")
        if child.change is Change.LEAVING:
            self.reinstate(child.id)

    def reinstate(self, id: str) -> Child | None:
        """Add a child in the place that its spec gives it, if there is one and it is there."""
        spec = self.spec.children.get(id)
        parent = self.children.get(spec.parent) if spec is not None else None
        if parent is None or parent.supervision is None or id in self.children:
            return None
        if self.is_leaving(parent):
            return None  # added with it, once it has gone from where it was
        child = self.restore(id)
        child.change = Change.NONE if child.state is State.HELD else Change.ADDED
        self.arrange(parent)
        return child

    def take_over(self, child: Child) -> None:
        """Make the next spec of a child that is down the one it has."""
        if child.next is not None:
            child.spec, child.next = child.next, None
            if child.change is not Change.NONE and child.change is not Change.LEAVING:
                child.change = Change.TRIED
                child.forgive()

    def move(self, child: Child, input: Input) -> None:
        """Put `child` through the table, and mark everyone whom that concerns."""
        was_starting = child.state is State.STARTING and child.supervision is None
        child.state = transition(child.state, input)
        if child.state not in LIVING:
            self.take_over(child)
        self._note_idle(child)
        self.freshen(child)
        self.deadlines.clear((child.id, "state"))
        parent = self.parent(child)
        if parent is not None:
            _note_in_parent(self.supervision(parent), child, input)
        if was_starting:
            self.starting_count -= 1
            self.unsettled.update(self.starved)
            self.starved.clear()
        if child.id in self.changing and child.state not in CUTTABLE:
            self.unsettled.update(self.departing)  # it clings to nothing any more
        # A start and a READY concern only who requires the child itself.
        self.unsettle(child, far=input not in (Input.LAUNCH, Input.READY))

    def cut(self, supervisor: Child, ids: Collection[str]) -> None:
        """Add children to those that must be down before anything is started. Who waits for a
        retry waits no longer: it starts with the others."""
        supervision = self.supervision(supervisor)
        for id in ids:
            if self.children[id].state is State.BACKOFF:
                self.move(self.children[id], Input.RETRY)
        going = {id for id in (*supervision.cut, *ids) if self.children[id].state in CUTTABLE}
        supervision.cut = {id: None for id in supervision.order if id in going}
        supervision.untold = {
            id: None for id in supervision.cut if self.children[id].state not in GOING_DOWN
        }
        self.unsettled[supervisor.id] = None

    def unsettle(self, child: Child, *, far: bool = True) -> None:
        """Mark what has to look again after a change of `child`; `far` includes those that wait for
        what waits for it."""
        if child.supervision is not None:
            self.unsettled[child.id] = None
        if child.spec.parent:
            self.unsettled[child.spec.parent] = None
        told, telling = {child.id}, [child.id]
        while telling:
            for id in self.dependents.of(telling.pop()):
                if id in told:
                    continue
                told.add(id)
                waiting = self.children.get(id)
                parent = self.parent(waiting) if waiting is not None else None
                if waiting is None or parent is None:
                    continue
                self.supervision(parent).settled = 0
                self.unsettled[parent.id] = None
                if far and waiting.state is State.IDLE:
                    telling.append(id)  # who waits for it waits for the same

    def act(self, action: steps.Action) -> None:
        """Ask the shell for something."""
        self.actions.append(action)

    def note(self, kind: FactKind, child: Child | None = None, **fields: Any) -> None:
        """Tell whoever listens."""
        about: dict[str, Any] = {}
        if child is not None:
            about = {"id": child.id, "generation": child.generation}
        self.act(steps.Note(Fact(kind=kind, **about, **fields)))

    def set_deadline(self, child: Child, purpose: str, after_s: float) -> None:
        """Ask to be woken for `child` in `after_s` seconds."""
        self.deadlines.set((child.id, purpose), self.now_s + after_s)

    def note_needs(self, spec: ChildSpec) -> None:
        """Remember who has to look again when something changes that a child is to require: its
        own supervisor, also when the needed one's supervisors change. What counts is where they
        are to be: who is not there now will be, and then it matters."""
        own = self.planned_line(spec.id)
        for id in self.requires(spec):
            above = self.planned_line(id)
            self.dependents.note(own, above)
            self.dependents.note_order(own, above)


def _note_in_parent(supervision: Supervision, child: Child, input: Input) -> None:
    if child.state is not State.UP and child.state is not State.STARTING:
        supervision.untold.pop(child.id, None)
        if child.id in supervision.leaving:
            del supervision.leaving[child.id]
            supervision.going[child.id] = None
    if child.state not in CUTTABLE:
        supervision.cut.pop(child.id, None)
    if input is not Input.LAUNCH and input is not Input.READY:
        supervision.settled = 0
