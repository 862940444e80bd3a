"""Random trees in a random world: whatever happens, the rules of `tree_world` hold."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tree_language import CODE, spawn
from tree_world import Process, World

from supervisor.core import steps
from supervisor.core.order import find_circle
from supervisor.core.spec import (
    ROOT_ID,
    AutoShutdown,
    ChildSpec,
    Dedicated,
    IntensitySpec,
    Lifecycle,
    OnLimit,
    Restart,
    StartMode,
    Strategy,
    SupervisorSpec,
    TreeSpec,
)
from supervisor.core.tree import Tree
from supervisor.core.view import State
from wippy.core.backoff import Backoff
from wippy.core.reasons import Exit, Normal, Signal, StartFailed

T0_S = 100.0
NAMES = "abcdefghijkl"
LAUNCH = Dedicated("t:code", CODE)

intensities = st.builds(
    IntensitySpec, max_restarts=st.integers(0, 3), within_s=st.sampled_from([1.0, 5.0])
)
own_limits = st.sampled_from([None, None, None, 0, 1, 2])
lifecycles = st.builds(
    Lifecycle,
    auto_start=st.sampled_from([True] * 7 + [False]),
    restart=st.sampled_from(Restart),
    start_timeout_s=st.sampled_from([1.0, 5.0]),
    stop_timeout_s=st.sampled_from([0.0, 1.0]),
    stable_threshold_s=st.sampled_from([1.0, 5.0]),
    heartbeat_timeout_s=st.sampled_from([0.0, 3.0]),
    backoff=st.just(Backoff(initial_delay_s=0.5, max_delay_s=4.0)),
    max_restarts=own_limits,
    within_s=st.just(5.0),
    on_limit=st.sampled_from(OnLimit),
    significant=st.sampled_from([False, False, True]),
    essential=st.sampled_from([False] * 9 + [True]),
)


@st.composite
def trees(draw: st.DrawFn) -> TreeSpec:
    """A tree of at most three levels below the top, every start order possible."""
    names = iter(NAMES)
    specs: dict[str, ChildSpec] = {}
    ids = _children(draw, specs, names, ROOT_ID, depth=0)
    top = SupervisorSpec(
        children=ids,
        start=draw(st.sampled_from(StartMode)),
        intensity=IntensitySpec(draw(st.sampled_from([0, 3, 20])), 10.0),
    )
    specs[ROOT_ID] = ChildSpec(id=ROOT_ID, parent="", kind="supervisor", supervisor=top)
    tree = TreeSpec(specs)
    assume(not find_circle(tree))
    return tree


def _children(
    draw: st.DrawFn, specs: dict[str, ChildSpec], names: object, parent: str, *, depth: int
) -> tuple[str, ...]:
    ids = []
    for _ in range(draw(st.integers(1, 3))):
        name = next(names, None)  # type: ignore[call-overload]
        if name is None:
            break
        id = f"t:{name}"
        ids.append(id)
        lifecycle = draw(lifecycles)
        known = [f"t:{other}" for other in NAMES[: NAMES.index(name)]]
        if known and draw(st.sampled_from([False, False, True])):
            needed = draw(st.sampled_from(known))
            if needed not in _line(specs, parent):
                lifecycle = _with_need(lifecycle, needed)
        specs[id] = ChildSpec(id=id, parent=parent, kind="x", lifecycle=lifecycle, launch=LAUNCH)
        if depth < 2 and draw(st.booleans()):
            _make_supervisor(draw, specs, names, id, depth)
    return tuple(ids)


def _make_supervisor(
    draw: st.DrawFn, specs: dict[str, ChildSpec], names: object, id: str, depth: int
) -> None:
    strategy = draw(st.sampled_from(Strategy))
    own = specs[id]
    specs[id] = ChildSpec(
        id=id, parent=own.parent, kind="x", lifecycle=own.lifecycle, supervisor=SupervisorSpec()
    )
    ids = _children(draw, specs, names, id, depth=depth + 1)
    spec = SupervisorSpec(
        strategy=strategy,
        children=ids,
        intensity=draw(intensities),
        start=draw(st.sampled_from(StartMode)),
        auto_shutdown=draw(st.sampled_from([AutoShutdown.NEVER, *AutoShutdown])),
    )
    specs[id] = ChildSpec(
        id=id, parent=own.parent, kind="x", lifecycle=own.lifecycle, supervisor=spec
    )


def _line(specs: dict[str, ChildSpec], id: str) -> list[str]:
    line = []
    while id in specs:
        line.append(id)
        id = specs[id].parent
    return line


def _with_need(lifecycle: Lifecycle, needed: str) -> Lifecycle:
    fields = {name: getattr(lifecycle, name) for name in Lifecycle.__struct_fields__}
    return Lifecycle(**{**fields, "requires": (needed,)})


class TreeMachine(RuleBasedStateMachine):
    """The world does anything at any time; the operator too."""

    @initialize(tree=trees(), slots=st.integers(1, 4), recovering=st.booleans())
    def begin(self, tree: TreeSpec, slots: int, recovering: bool) -> None:
        core = Tree(tree, start_parallel=slots, recovering=recovering)
        self.world = World(tree, core, T0_S)
        self.count = 0
        manual = {c.id for c in tree.children.values() if not c.lifecycle.auto_start}
        self.world.held |= manual
        self.world.take(steps.Begin())

    def _pick(
        self, data: st.DataObject, fits: Callable[[Process], bool] = lambda process: True
    ) -> Process | None:
        found = [process for process in self.world.living.values() if fits(process)]
        return data.draw(st.sampled_from(found)) if found else None

    @property
    def is_running(self) -> bool:
        return self.world.finish is None

    @rule(data=st.data(), times=st.integers(1, 4))
    def something_gets_ready(self, data: st.DataObject, times: int) -> None:
        for _ in range(times):
            process = self._pick(data, lambda process: not process.is_ready)
            if process is not None:
                self.world.get_ready(process)

    @rule(
        data=st.data(),
        reason=st.sampled_from([Signal(9), Signal(11), Exit(3), Normal(), StartFailed("no file")]),
    )
    def something_dies(self, data: st.DataObject, reason: object) -> None:
        process = self._pick(data)
        if process is not None:
            self.world.die(process, reason)  # type: ignore[arg-type]

    @rule(data=st.data())
    def something_obeys(self, data: st.DataObject) -> None:
        process = self._pick(data, lambda process: bool(process.asked))
        if process is not None:
            self.world.obey(process)

    @rule(data=st.data())
    def something_is_not_needed(self, data: st.DataObject) -> None:
        process = self._pick(data, lambda process: not process.is_ready)
        if process is not None:
            self.world.take(steps.SaidNotNeeded(process.id, process.generation))
            self.world.die(process, Normal())

    @rule(data=st.data(), letter=st.sampled_from("TSRD"))
    def the_kernel_says(self, data: st.DataObject, letter: str) -> None:
        process = self._pick(data)
        if process is not None:
            self.world.take(steps.OsSeen(process.id, process.generation, letter))

    @rule(data=st.data())
    def something_beats(self, data: st.DataObject) -> None:
        process = self._pick(data)
        if process is not None:
            self.world.take(steps.Beat(process.id, process.generation))

    @rule(data=st.data())
    def something_eats_too_much(self, data: st.DataObject) -> None:
        process = self._pick(data)
        if process is not None:
            self.world.take(steps.OverMemory(process.id, process.generation, 2, 1))

    @rule(data=st.data(), off=st.integers(1, 2))
    def an_old_generation_speaks(self, data: st.DataObject, off: int) -> None:
        id = data.draw(st.sampled_from(sorted(self.world.spec.children)))
        child = self.world.tree.child(id)
        if child is not None:
            before = len(self.world.living)
            self.world.take(steps.Died(id, child.generation - off, Signal(9)))
            assert len(self.world.living) == before

    @rule(off_s=st.sampled_from([-1e-9, 0.0, 1e-9]), times=st.integers(1, 3))
    def time_passes_to_a_deadline(self, off_s: float, times: int) -> None:
        for _ in range(times):
            at_s = self.world.tree.next_deadline_s()
            if at_s is not None:
                self.world.tick_to(at_s + off_s)

    @rule(by_s=st.sampled_from([0.1, 1.0, 5.0, 10.0]))
    def time_passes(self, by_s: float) -> None:
        self.world.tick_to(self.world.now_s + by_s)

    @precondition(lambda self: self.is_running)
    @rule(
        data=st.data(),
        command=st.sampled_from([steps.OperatorStop, steps.OperatorStart, steps.OperatorRestart]),
    )
    def an_operator_commands(self, data: st.DataObject, command: type) -> None:
        ids = sorted(self.world.tree.forest.children)
        self.world.command(command(data.draw(st.sampled_from([*ids, "t:nobody"]))))

    @precondition(lambda self: self.is_running)
    @rule(data=st.data())
    def an_operator_spawns(self, data: st.DataObject) -> None:
        dynamic = [
            spec.id
            for spec in self.world.spec.children.values()
            if spec.supervisor and spec.supervisor.strategy is Strategy.DYNAMIC
        ]
        if dynamic:
            self.count += 1
            words = [f"t:new{self.count}", data.draw(st.sampled_from(sorted(Restart)))]
            need = data.draw(st.sampled_from(["", "requires=t:a"]))
            to = data.draw(st.sampled_from(dynamic))
            if need and "t:a" not in _line(self.world.spec.children, to):
                words.append(need)
            self.world.command(spawn(self.world.tree, to, words))

    @rule()
    def all_settles(self) -> None:
        self.world.settle()
        self.world.check_settled()

    @precondition(lambda self: self.is_running)
    @rule(chance=st.integers(0, 9))
    def all_is_shut_down(self, chance: int) -> None:
        if chance == 0:
            self.world.take(steps.ShutDown("the test says so"))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.settle()
        self.world.check_settled()
        if self.world.finish is None:
            self.world.take(steps.ShutDown("the test is over"))
            self.world.settle()
        assert self.world.finish is not None
        self.world.check_settled()
        assert self.world.tree.forest.children[ROOT_ID].state is State.HELD


TestTheTree = TreeMachine.TestCase
TestTheTree.settings = settings(
    max_examples=int(os.environ.get("WIPPY_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
