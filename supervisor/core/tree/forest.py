"""The state of the tree, and the few operations that change it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.core import steps
from supervisor.core.deadlines import Deadlines
from supervisor.core.facts import Fact, FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import GOING_DOWN, LIVING, Input, Intent, Watch, transition
from supervisor.core.spec import (
    FORKSERVER_TARGET,
    GROUP_STRATEGIES,
    ROOT_ID,
    SYSTEM_ID,
    ChildSpec,
    Foreign,
    PoolActor,
    StartMode,
    SupervisorSpec,
    System,
    TreeSpec,
)
from supervisor.core.view import State
from wippy.core.reasons import ExitReason

EXITS_KEPT = 20
"""Last exit reasons kept for each child: what `why` shows on one screen."""
EXITS_IN_CHAIN = 3
"""Last exits of the child named in a `gave_up`: enough to see whether they are all alike."""
KILL_WAIT_S = 5.0
"""Finite wait after SIGKILL before a child is called unkillable."""
CUTTABLE = LIVING - {State.UNKILLABLE}
"""States in which a child is waited for when it must go down; what SIGKILL could not end delays
nobody."""
CRASH_LOOP_LIVES = 5
"""Consecutive lives shorter than `stable_threshold` that make a crash loop."""


@dataclass(slots=True)
class Supervision:
    """What a supervisor knows beyond being a child.

    Attributes:
        spec: Strategy and so on.
        order: Its children, in start order.
        window: Restarts counted.
        cut: Children that must be down before anything is started, in start order; who is down
            leaves it.
        untold: Those of the cut that have not been asked to stop.
        settled: Children at the head of `order` that need no look: they had settled, and nothing
            has happened since. Without it a start of thousands would be quadratic.
        parting: With which reason it ends once its children are down.
        last_number: Of its dynamic children.
    """

    spec: SupervisorSpec
    order: list[str]
    window: Intensity
    cut: dict[str, None] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)
    settled: int = 0
    parting: ExitReason | None = None
    last_number: int = 0


@dataclass(slots=True)
class Child:
    """One child. Times are monotonic seconds; 0 where there is none."""

    spec: ChildSpec
    state: State = State.IDLE
    generation: int = 0
    intent: Intent = Intent.NONE
    then: Intent = Intent.NONE  # an operator's word while it was going down: what is to follow
    watch: Watch = Watch.ALIVE
    os_pid: int = 0
    launched_at_s: float = 0.0
    ready_at_s: float = 0.0
    died_at_s: float = 0.0
    beaten_at_s: float = 0.0
    over_memory: steps.OverMemory | None = None
    attempt: int = 0  # restarts since the last stable life: the back-off's exponent
    short_lives: int = 0
    restarts: int = 0
    restarted_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))
    exits: deque[ExitReason] = field(default_factory=lambda: deque(maxlen=EXITS_KEPT))
    window: Intensity | None = None
    caused_by: str = ""
    waits_for: str = ""
    supervision: Supervision | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.spec.id

    @property
    def is_living(self) -> bool:
        """Whether a process, or living children, stand behind it."""
        return self.state in LIVING

    def forgive(self) -> None:
        """Begin with a clean slate: an operator's start, or a new life of the supervisor."""
        self.attempt = self.short_lives = 0
        if self.window is not None:
            self.window = Intensity(self.window.max_restarts, self.window.window_s)


class Forest:
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
        self.spec = tree
        self.recovering = recovering
        self.start_parallel = start_parallel
        self.held = set(held)
        self.generations = dict(generations)
        self.deadlines = Deadlines()
        self.now_s = 0.0
        self.actions: list[steps.Action] = []
        self.unsettled: dict[str, None] = {}
        self.starved: dict[str, None] = {}  # supervisors that found no free start slot
        self.starting_count = 0
        self.exit_code: int | None = None
        self.is_finished = False
        self.children: dict[str, Child] = {}
        self.dependents: dict[str, dict[str, None]] = {}  # no sets: their order is never the same
        for spec in tree.children.values():
            self.add(spec)
        for spec in tree.children.values():
            self.note_needs(spec)

    # --- reading ---

    def parent(self, child: Child) -> Child | None:
        """Return its supervisor; None for the top."""
        return self.children.get(child.spec.parent)

    def supervision(self, child: Child) -> Supervision:
        """Return what makes `child` a supervisor."""
        if child.supervision is None:
            raise TypeError(f"{child.id} is no supervisor")
        return child.supervision

    def children_of(self, supervisor: Child) -> Iterator[Child]:
        """Iterate over its children in start order."""
        return (self.children[id] for id in self.supervision(supervisor).order)

    def requires(self, child: Child) -> tuple[str, ...]:
        """Return what must be up before `child`; all that is not system needs the system."""
        own = child.spec.lifecycle.requires
        if child.spec.parent == ROOT_ID and child.id != SYSTEM_ID and SYSTEM_ID in self.children:
            return own if SYSTEM_ID in own else (SYSTEM_ID, *own)
        return own

    def is_ordered(self, supervisor: Child) -> bool:
        """Whether its children start one after the other just now.

        Group strategies always keep the order; the others only while the supervisor itself is
        starting, since afterwards a child's restart concerns nobody but the child.
        """
        spec = self.supervision(supervisor).spec
        if spec.strategy in GROUP_STRATEGIES:
            return True
        return spec.start is StartMode.ORDERED and supervisor.state is State.STARTING

    def heartbeat_timeout_s(self, child: Child) -> float:
        """Return the silence that means hung; 0 for what sends no heartbeats of its own."""
        match child.spec.launch:
            case Foreign() | PoolActor() | None:
                return 0.0
            case System(target=target) if target == FORKSERVER_TARGET:
                return 0.0
        return child.spec.lifecycle.heartbeat_timeout_s

    # --- changing ---

    def add(self, spec: ChildSpec) -> Child:
        """Add a child that is idle, or held where an operator or `auto_start: false` says so."""
        rests = spec.id in self.held or not spec.lifecycle.auto_start
        child = Child(spec=spec, state=State.HELD if rests else State.IDLE)
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
        return child

    def _last_number(self, spec: ChildSpec) -> int:
        """Return the number of the last dynamic child, also of those under an earlier root."""
        start = f"{spec.id}#"
        names = [id.removeprefix(start) for id in self.generations if id.startswith(start)]
        children = spec.supervisor.children if spec.supervisor else ()
        return max(len(children), *(int(name) for name in names if name.isdecimal()), 0)

    def restore(self, id: str) -> Child:
        """Add a listed child that was removed, and all that is listed below it."""
        child = self.add(self.spec.children[id])
        for below in self.supervision(child).order if child.supervision else ():
            if below not in self.children:
                self.restore(below)
        return child

    def remove(self, child: Child) -> None:
        """Forget a child that is down, and all below it but what SIGKILL could not end: that is
        forgotten when it dies."""
        for below in list(self.children_of(child)) if child.supervision else ():
            if below.state is not State.UNKILLABLE:
                self.remove(below)
        parent = self.parent(child)
        if parent is not None and child.id in self.supervision(parent).order:
            supervision = self.supervision(parent)
            supervision.order.remove(child.id)
            supervision.settled = 0
        if child.id in self.spec.children:  # it may come back, and goes on where it was
            self.generations[child.id] = child.generation
            if child.state is State.HELD:
                self.held.add(child.id)
        for purpose in ("state", "beat", "stable"):
            self.deadlines.clear((child.id, purpose))
        del self.children[child.id]
        self.act(steps.Forget(child.id))
        self.note(FactKind.REMOVED, child, text="removed")

    def move(self, child: Child, input: Input) -> None:
        """Put `child` through the table, and mark everyone whom that concerns."""
        was_starting = child.state is State.STARTING and child.supervision is None
        child.state = transition(child.state, input)
        self.deadlines.clear((child.id, "state"))
        parent = self.parent(child)
        if parent is not None:
            _note_in_parent(self.supervision(parent), child, input)
        if was_starting:
            self.starting_count -= 1
            self.unsettled.update(self.starved)
            self.starved.clear()
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
            for id in self.dependents.get(telling.pop(), ()):
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
        """Remember who has to look again when something changes that `spec` requires: its own
        supervisor, also when the needed one's supervisors change; and the supervisor of the two
        siblings, ancestors of both, between which the need orders a stop."""
        own = self._ancestry(spec)
        for id in self.requires(self.children[spec.id]):
            needed = self.children.get(id)
            above = self._ancestry(needed.spec) if needed is not None else []
            common = set(own) & set(above)
            apart = [id for id in above if id not in common]
            for id in apart:
                self.dependents.setdefault(id, {})[spec.id] = None
            if apart and common:
                sibling = next(id for id in reversed(own) if id not in common)
                self.dependents[apart[-1]][sibling] = None

    def _ancestry(self, spec: ChildSpec) -> list[str]:
        """Return the child and its supervisors, the top last."""
        line = [spec.id]
        while spec.parent in self.children:
            spec = self.children[spec.parent].spec
            line.append(spec.id)
        return line


def _note_in_parent(supervision: Supervision, child: Child, input: Input) -> None:
    if child.state is not State.UP and child.state is not State.STARTING:
        supervision.untold.pop(child.id, None)
    if child.state not in CUTTABLE:
        supervision.cut.pop(child.id, None)
    if input is not Input.LAUNCH and input is not Input.READY:
        supervision.settled = 0
