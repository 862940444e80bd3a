"""Random trees in a random world: whatever happens, the rules of `tree_world` hold."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tree_language import spawn
from tree_shapes import changes, line_of, on_changes, trees
from tree_world import Process, World

from supervisor.core import steps
from supervisor.core.spec import ROOT_ID, OnChange, Restart, Strategy, TreeSpec
from supervisor.core.tree import Tree
from supervisor.core.view import State
from wippy.core.reasons import Exit, Normal, Signal, StartFailed

T0_S = 100.0


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
            if need and "t:a" not in line_of(self.world.spec.children, to):
                words.append(need)
            self.world.command(spawn(self.world.tree, to, words))

    @precondition(lambda self: self.is_running)
    @rule(data=st.data(), chance=st.integers(0, 2), on_change=on_changes)
    def the_configuration_changes(
        self, data: st.DataObject, chance: int, on_change: dict[str, OnChange]
    ) -> None:
        new = data.draw(trees() if chance == 0 else changes(self.world.spec))
        version = self.world.adopted + 1
        self.world.adopt(steps.Adopt(new, version, on_change, grace_s=float(chance)))

    @rule(data=st.data(), answer=st.sampled_from([steps.Upgraded, steps.NotUpgradable]))
    def something_answers_that_it_has_new_code(self, data: st.DataObject, answer: type) -> None:
        process = self._pick(data, lambda process: bool(process.upgrade))
        if process is not None:
            self.world.answer_upgrade(process, answer)

    @rule(data=st.data())
    def a_worker_is_stopped_on_purpose(self, data: st.DataObject) -> None:
        process = self._pick(data, lambda process: not process.asked)
        if process is not None:
            self.world.take(steps.Displaced(process.id, process.generation))

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
