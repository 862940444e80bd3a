"""The state of the tree, for reading."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from supervisor.core import steps
from supervisor.core.deadlines import Deadlines
from supervisor.core.spec import (
    FORKSERVER_TARGET,
    GROUP_STRATEGIES,
    ROOT_ID,
    SYSTEM_ID,
    ChildSpec,
    Foreign,
    PoolActor,
    StartMode,
    System,
    TreeSpec,
)
from supervisor.core.tree.child import Adoption, Change, Child, Supervision
from supervisor.core.tree.needs import Needs
from supervisor.core.view import State


class Standing:
    """How all children stand. `Forest` alone changes it; its arguments are explained there."""

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
        self.idle: dict[str, dict[str, None]] = {}  # by supervisor: who waits for its turn to start
        self.known: dict[str, None] = {}  # ids that a configuration has listed at any time
        self.dependents = Needs()  # of what is to be
        self.clinging = Needs()  # of what lives as it was, and is to change
        self.changing: dict[str, int] = {}  # what is meant by that: generation by id
        self.departing: dict[str, None] = {}  # supervisors that somebody is leaving
        self.adoption: Adoption | None = None

    def parent(self, child: Child) -> Child | None:
        """Return its supervisor; None for the top, and where there is no such supervisor now."""
        parent = self.children.get(child.spec.parent)
        return parent if parent is not None and parent.supervision is not None else None

    def supervision(self, child: Child) -> Supervision:
        """Return what makes `child` a supervisor."""
        if child.supervision is None:
            raise TypeError(f"{child.id} is no supervisor")
        return child.supervision

    def children_of(self, supervisor: Child) -> Iterator[Child]:
        """Iterate over its children in start order."""
        return (self.children[id] for id in self.supervision(supervisor).order)

    def requires(self, spec: ChildSpec) -> tuple[str, ...]:
        """Return what must be up before a child; all that is not system needs the system."""
        own = spec.lifecycle.requires
        if spec.parent == ROOT_ID and spec.id != SYSTEM_ID and SYSTEM_ID in self.children:
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

    def is_awaited(self, child: Child) -> bool:
        """Whether the outcome of a changed configuration depends on it."""
        return self.adoption is not None and child.id in self.adoption.waiting

    def freshen(self, child: Child) -> None:
        """The outcome of a changed configuration may depend on what has happened to a child."""
        if self.adoption is not None:
            self.adoption.fresh[child.id] = None

    def heartbeat_timeout_s(self, child: Child, spec: ChildSpec | None = None) -> float:
        """Return the silence that means hung; 0 for what sends no heartbeats of its own. With
        `spec`, what it will be once the child has that one's lifecycle."""
        match child.spec.launch:
            case Foreign() | PoolActor() | None:
                return 0.0
            case System(target=target) if target == FORKSERVER_TARGET:
                return 0.0
        return (spec or child.spec).lifecycle.heartbeat_timeout_s

    def planned_line(self, id: str) -> list[str]:
        """Return a child and its supervisors as the configuration has them; empty if nobody knows
        it."""
        line = []
        while (spec := self.spec.children.get(id)) or id in self.children:
            line.append(id)
            id = spec.parent if spec is not None else self.children[id].spec.parent
        return line

    def is_leaving(self, child: Child) -> bool:
        """Whether it, or a supervisor above it, is to be stopped and removed."""
        return any(self.children[id].change is Change.LEAVING for id in self.line(child))

    def line(self, child: Child) -> list[str]:
        """Return the ids of a child and its supervisors, the top last."""
        found = [child.id]
        while (parent := self.parent(child)) is not None:
            found.append(parent.id)
            child = parent
        return found
