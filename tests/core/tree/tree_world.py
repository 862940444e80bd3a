"""A fake world under a tree: processes that do what the test says, and what must always hold.

The world honours every action, keeps a dumb model beside the tree, and complains at once about
what must never happen: a twin, a start out of turn, a stop out of order, a revived `held` child.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.core import steps
from supervisor.core.facts import Fact, FactKind
from supervisor.core.lifecycle import GOING_DOWN
from supervisor.core.spec import (
    GROUP_STRATEGIES,
    ROOT_ID,
    ChildSpec,
    Restart,
    StartMode,
    Strategy,
    TreeSpec,
)
from supervisor.core.tree import Tree
from supervisor.core.tree.child import Change, Child
from supervisor.core.tree.rows import rows, what_next
from supervisor.core.view import State
from wippy.core.reasons import ExitReason, Shutdown, Signal
from wippy.errors import Internal, WippyError

RESTING = frozenset({State.HELD, State.FAILED, State.DONE, State.IGNORED, State.UNKILLABLE})
AWAITED = ("state", "stable", "adoption")
SETTLED = RESTING | {State.UP}


@dataclass
class Process:
    """A living process. `asked` is what it was last asked for."""

    id: str
    generation: int
    is_ready: bool = False
    asked: str = ""
    upgrade: int = 0


@dataclass
class World:
    """The processes under a tree, and the rules."""

    spec: TreeSpec
    tree: Tree
    now_s: float
    living: dict[str, Process] = field(default_factory=dict)
    last_generation: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    history: list[str] = field(default_factory=list)
    restarts: dict[str, list[float]] = field(default_factory=dict)
    finish: steps.Finish | None = None
    stopped: set[str] = field(default_factory=set)
    adopted: int = 0
    outcomes: list[steps.AdoptionSettled] = field(default_factory=list)

    # --- what happens ---

    def take(self, event: steps.Event) -> None:
        """Step the tree, honour its actions, check the rules."""
        self.history.append(f"{self.now_s:.3f} {event}")
        for action in self.tree.step(event, self.now_s):
            self.history.append(f"    {action}")
            self._honour(action)
        self._check()

    def die(self, process: Process, reason: ExitReason) -> None:
        """Let a process end."""
        del self.living[process.id]
        self.take(steps.Died(process.id, process.generation, reason))

    def get_ready(self, process: Process) -> None:
        """Let a process say READY."""
        process.is_ready = True
        self.take(steps.Launched(process.id, process.generation, 4711))
        self.take(steps.BecameReady(process.id, process.generation))

    def obey(self, process: Process) -> bool:
        """Let a process do what it was asked for; return whether there was anything."""
        if process.asked == "kill":
            self.die(process, Signal(9))
        elif process.asked == "stop":
            self.die(process, Shutdown())
        elif not process.is_ready:
            self.get_ready(process)
        elif process.upgrade:
            self.answer_upgrade(process, steps.Upgraded)
        else:
            return False
        return True

    def answer_upgrade(
        self, process: Process, answer: type[steps.Upgraded] | type[steps.NotUpgradable]
    ) -> None:
        """Let an actor that was told of its new code take it, or not."""
        version, process.upgrade = process.upgrade, 0
        self.take(answer(process.id, process.generation, version))

    def adopt(self, event: steps.Adopt) -> None:
        """Change the configuration."""
        if self.finish is not None or self.tree.forest.children[ROOT_ID].state in GOING_DOWN:
            self.take(event)
            return
        old, new = self.spec.children, event.spec.children
        changed = {id for id in {*old, *new} if _line(old, id) != _line(new, id)}
        self.done -= changed
        for id in changed & set(new):
            is_manual = not new[id].lifecycle.auto_start
            if is_manual and (id not in old or old[id].parent != new[id].parent):
                if id not in self.tree.forest.children:
                    self.held.add(id)
            elif not is_manual and id not in self.stopped:
                self.held.discard(id)
        self.adopted += 1
        self.spec = event.spec
        self.take(event)

    def command(self, event: steps.Event) -> None:
        """Give an operator's command; those that cannot be obeyed are refused, never half done."""
        before = _states(self.tree)
        held, done, stopped = set(self.held), set(self.done), set(self.stopped)
        match event:
            case steps.OperatorStop(id) if id in before:
                self.held.add(id)
                self.stopped.add(id)
            case steps.OperatorStart(id) | steps.OperatorRestart(id):
                self.held.discard(id)
                self.stopped.discard(id)
                self.done.discard(id)
        try:
            self.take(event)
        except WippyError as error:
            if isinstance(error, Internal):
                raise
            assert _states(self.tree) == before
            self.held, self.done, self.stopped = held, done, stopped

    def tick_to(self, at_s: float) -> None:
        """Let time pass."""
        self.now_s = max(self.now_s, at_s)
        self.take(steps.Tick())

    def settle(self) -> None:
        """Everything obeys and time passes, until nothing more can happen."""
        for _ in range(2000):
            if any(self.obey(process) for process in list(self.living.values())):
                continue
            at_s = self.tree.next_deadline_s()
            if at_s is None or not self._awaits_time():
                return
            self.now_s = max(self.now_s, at_s)
            self._beat_all()
            self.take(steps.Tick())
        raise AssertionError("it never settles\n" + "\n".join(self.history[-60:]))

    def _awaits_time(self) -> bool:
        """Whether something is due but the heartbeats, which go on for ever."""
        keys = ((id, purpose) for id in self.tree.forest.children for purpose in AWAITED)
        return any(self.tree.forest.deadlines.get(key) is not None for key in keys)

    def _beat_all(self) -> None:
        for process in list(self.living.values()):
            self.take(steps.Beat(process.id, process.generation))

    # --- the rules ---

    def _honour(self, action: steps.Action) -> None:
        match action:
            case steps.Launch(id, generation):
                self._launch(id, generation)
            case steps.AskStop(id, generation):
                self._ask(id, generation, "stop")
            case steps.Kill(id, generation):
                self._ask(id, generation, "kill")
            case steps.Note(fact):
                self._noted(fact)
            case steps.AskUpgrade(id, generation, version):
                assert self.living[id].generation == generation
                self.living[id].upgrade = version
            case steps.AdoptionSettled():
                self.outcomes.append(action)
            case steps.Finish():
                assert self.finish is None, "finished twice"
                self.finish = action

    def _launch(self, id: str, generation: int) -> None:
        assert self.finish is None
        assert id not in self.living, f"a twin of {id}"
        assert generation > self.last_generation.get(id, 0), "generations only grow"
        assert id not in self.held, f"{id} was stopped by an operator"
        assert id not in self.done, f"{id} was done"
        self.last_generation[id] = generation
        self._check_turn(id)
        self.living[id] = Process(id, generation)

    def _check_turn(self, id: str) -> None:
        """In group strategies, and at a first start in order, the earlier ones come first."""
        child = self.tree.forest.children[id]
        parent = self.tree.forest.children[child.spec.parent]
        for needed in child.spec.lifecycle.requires:
            other = self.tree.child(needed)
            if self._may_be_removed(needed):
                continue  # and made anew within this step; what is removed is not waited for
            fine = other is None or other.state in (State.UP, State.DONE, State.IGNORED)
            assert fine, f"{id} started before {needed}, which is {other and other.state}"
        spec = self.tree.forest.supervision(parent).spec
        in_order = spec.start is StartMode.ORDERED and parent.state is State.STARTING
        if spec.strategy not in GROUP_STRATEGIES and not in_order:
            return
        for earlier in self.tree.forest.children_of(parent):
            if earlier.id == id:
                return
            waits = earlier.state is State.IDLE and bool(earlier.waits_for)
            is_fine = earlier.state in SETTLED or waits or earlier.state is State.BACKOFF
            if spec.strategy in GROUP_STRATEGIES:
                is_fine = is_fine and earlier.state is not State.BACKOFF
            assert is_fine, f"{id} started while {earlier.id} is {earlier.state}"

    def _may_be_removed(self, id: str) -> bool:
        """Whether it, or a supervisor above it, is temporary."""
        while id in self.spec.children:
            spec = self.spec.children[id]
            if spec.lifecycle.restart is Restart.TEMPORARY:
                return True
            id = spec.parent
        return False

    def _ask(self, id: str, generation: int, what: str) -> None:
        process = self.living.get(id)
        assert process is not None, f"{what} to a dead {id}"
        assert process.generation == generation
        assert (process.asked, what) != ("stop", "stop"), f"{id} asked twice"
        process.asked = what
        self._check_reverse(id, what)

    def _check_reverse(self, id: str, what: str) -> None:
        """A sibling in an ordered supervisor is told when all after it in the group are dead."""
        child = self.tree.forest.children[id]
        if str(child.intent) not in ("group", "shutdown") or what != "stop":
            return
        parent = self.tree.forest.children[child.spec.parent]
        supervision = self.tree.forest.supervision(parent)
        spec = supervision.spec
        if spec.strategy is Strategy.DYNAMIC:
            return
        if spec.start is StartMode.PARALLEL and spec.strategy not in GROUP_STRATEGIES:
            return
        later = supervision.order[supervision.order.index(id) + 1 :]
        alive = [other for other in later if self._lives(self.tree.forest.children[other])]
        assert not alive, f"{id} told before {alive} were dead"

    def _lives(self, child: Child) -> bool:
        """Whether a process lives below, leaving out what SIGKILL could not end."""
        if child.supervision is None:
            return child.id in self.living and child.state is not State.UNKILLABLE
        return any(self._lives(below) for below in self.tree.forest.children_of(child))

    def _noted(self, fact: Fact) -> None:
        if fact.kind is FactKind.DONE:
            self.done.add(fact.id)
        elif fact.kind is FactKind.DECIDED:
            self._count(fact)
        elif fact.kind is FactKind.STARTING:
            # A new life of a supervisor begins anew, but for what an operator holds.
            below = {id for id in self.spec.children if self.spec.children[id].parent == fact.id}
            self.done -= below
            if below:
                self.restarts[fact.id] = []

    def _count(self, fact: Fact) -> None:
        """The intensity of the tree is that of a list of times."""
        if not fact.allowed:
            return  # it had to do with a changed configuration
        parent = self.tree.forest.children[fact.id].spec.parent
        counted = self.restarts.setdefault(parent, [])
        counted.append(self.now_s)
        recent = [at_s for at_s in counted if at_s >= self.now_s - fact.within_s]
        # A window that was made shorter, and longer again, has forgotten what was in between.
        is_right = fact.used <= len(recent) if self.adopted else fact.used == len(recent)
        assert is_right, f"{parent}: {fact.used} of {len(recent)} counted"
        assert fact.used <= fact.allowed

    def _check(self) -> None:
        forest = self.tree.forest
        starting = [c for c in forest.children.values() if c.state is State.STARTING]
        count = sum(child.supervision is None for child in starting)
        assert forest.starting_count == count <= forest.start_parallel
        for id in self.living:
            child = forest.children[id]
            assert child.generation == self.living[id].generation
            assert child.is_living, f"{id} lives, and is {child.state}"
        for child in forest.children.values():
            self._check_child(child)
        for row in rows(forest, self.now_s):
            what_next(forest, forest.children[row.id], self.now_s)

    def _check_child(self, child: Child) -> None:
        parent = self.tree.forest.parent(child)
        if child.supervision is None:
            is_there = child.id in self.living
            assert is_there == child.is_living, f"{child.id} is {child.state}, lives: {is_there}"
        if parent is not None and child.state in (State.UP, State.STARTING, *GOING_DOWN):
            assert parent.is_living, f"{child.id} is {child.state} under {parent.state}"
        if child.id in self.held and child.id in self.tree.forest.children:
            assert child.state in (State.HELD, State.UNKILLABLE, *GOING_DOWN)

    def check_settled(self) -> None:
        """Nothing waits for anything that could still come."""
        if self.finish is not None:
            assert not [p for p in self.living.values() if not self._is_unkillable(p)]
            return
        for child in self.tree.forest.children.values():
            parent = self.tree.forest.parent(child)
            below_rest = parent is not None and parent.state is not State.UP
            if child.state in SETTLED or below_rest:
                is_settled = child.change is Change.NONE or child.state is not State.UP
                assert is_settled or below_rest, f"{child.id} is still {child.change}"
                continue
            assert child.state is State.IDLE, f"{child.id} is stuck in {child.state}"
            assert child.waits_for, f"{child.id} does not start, and nobody says why"
        assert self.tree.forest.children[ROOT_ID].state is State.UP
        assert self.tree.forest.adoption is None

    def _is_unkillable(self, process: Process) -> bool:
        child = self.tree.child(process.id)
        return child is not None and child.state is State.UNKILLABLE


def _line(specs: dict[str, ChildSpec], id: str) -> list[ChildSpec]:
    """Return what a configuration says of a child and of its supervisors."""
    line = []
    while id in specs:
        line.append(specs[id])
        id = specs[id].parent
    return line


def _states(tree: Tree) -> dict[str, tuple[State, int, str]]:
    return {
        id: (child.state, child.generation, str(child.intent))
        for id, child in tree.forest.children.items()
    }
