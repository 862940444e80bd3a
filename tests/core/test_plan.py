"""What a death would do: the complete table of strategies and restart types, and the words."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from supervisor.core import graph, plan
from supervisor.core.spec import (
    ROOT_ID,
    SPAWNED_ID,
    AutoShutdown,
    Blueprint,
    Code,
    Entry,
    HostEntry,
    IntensitySpec,
    Lifecycle,
    OnLimit,
    ProcessEntry,
    Restart,
    RuntimeSpec,
    ServiceEntry,
    Strategy,
    SupervisorEntry,
    TreeSpec,
)
from wippy.errors import NotFound


def build(*entries: Entry) -> TreeSpec:
    runtime = RuntimeSpec(node="n", state_dir="/s", run_dir="/r", log_dir="/l")
    code = ProcessEntry(id="app:code", code=Code(method="run", text=""))
    every = {entry.id: entry for entry in (code, *entries)}
    return graph.build(Blueprint("/etc/shop", runtime, every))


def service(name: str, host: str | None = None, lifecycle: Lifecycle = Lifecycle()) -> ServiceEntry:  # noqa: B008  # frozen
    return ServiceEntry(id=f"app:{name}", process="app:code", host=host, lifecycle=lifecycle)


def ingest(strategy: Strategy, b: Lifecycle = Lifecycle(), **more: Lifecycle) -> TreeSpec:  # noqa: B008  # frozen
    sup = SupervisorEntry(
        id="app:ingest",
        strategy=strategy,
        intensity=IntensitySpec(3, 5.0),
        children=("app:a", "app:b", "app:c"),
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    own = {"b": b, **more}
    return build(sup, *(service(name, None, own.get(name, Lifecycle())) for name in "abc"))


STOPPED = {
    Strategy.ONE_FOR_ONE: (),
    Strategy.REST_FOR_ONE: ("app:c",),
    Strategy.ONE_FOR_ALL: ("app:c", "app:a"),
}
STARTED = {
    Strategy.ONE_FOR_ONE: ("app:b",),
    Strategy.REST_FOR_ONE: ("app:b", "app:c"),
    Strategy.ONE_FOR_ALL: ("app:a", "app:b", "app:c"),
}


@pytest.mark.parametrize(("strategy", "restart"), list(itertools.product(STOPPED, Restart)))
def test_every_strategy_with_every_restart_type(strategy: Strategy, restart: Restart) -> None:
    found = plan.death(ingest(strategy, Lifecycle(restart=restart)), "app:b")
    if restart is Restart.TEMPORARY:
        assert (found.stopped, found.started) == ((), ())
    else:
        assert (found.stopped, found.started) == (STOPPED[strategy], STARTED[strategy])


def test_the_words_name_who_is_stopped_and_started_and_the_limit() -> None:
    assert plan.if_dies(ingest(Strategy.REST_FOR_ONE), "app:b") == (
        "app:b dies: app:c is stopped, then app:b, app:c are started "
        "(rest_for_one, at most 3 in 5s; then app:ingest gives up and wippy:root decides)"
    )


def test_a_temporary_sibling_stopped_with_the_group_does_not_come_back() -> None:
    tree = ingest(Strategy.ONE_FOR_ALL, c=Lifecycle(restart=Restart.TEMPORARY))
    found = plan.death(tree, "app:a")
    assert (found.removed, found.started) == (("app:c",), ("app:a", "app:b"))
    assert "of which app:c is gone for good (temporary)" in found.text


def test_a_sibling_that_only_an_operator_starts_is_left_alone() -> None:
    tree = ingest(Strategy.ONE_FOR_ALL, c=Lifecycle(auto_start=False))
    assert plan.death(tree, "app:a").stopped == ("app:b",)


def test_a_transient_child_is_done_after_a_normal_end() -> None:
    text = plan.if_dies(ingest(Strategy.ONE_FOR_ALL, Lifecycle(restart=Restart.TRANSIENT)), "app:b")
    assert text.startswith("app:b dies by a crash: ")
    assert text.endswith("after a normal end it is done, and no sibling is touched")


@pytest.mark.parametrize(
    ("lifecycle", "said"),
    [
        (
            Lifecycle(max_restarts=1, within_s=60, on_limit=OnLimit.QUARANTINE),
            "at most 1 in 1m; then app:b is quarantined, and its siblings go on",
        ),
        (Lifecycle(max_restarts=1, within_s=2), "at most 1 in 2s; then app:ingest gives up"),
        (Lifecycle(max_restarts=0), "not even once; then app:ingest gives up"),
        (Lifecycle(essential=True), "when it fails for good the runtime ends with its exit code"),
        (
            Lifecycle(restart=Restart.TRANSIENT, significant=True),
            "when it ends for good app:ingest shuts down",
        ),
    ],
)
def test_limits_of_its_own_and_what_depends_on_it(lifecycle: Lifecycle, said: str) -> None:
    assert said in plan.if_dies(ingest(Strategy.ONE_FOR_ONE, lifecycle), "app:b")


def test_the_actors_of_a_pool_die_with_their_worker() -> None:
    tree = build(
        HostEntry(id="app:pool"), service("x", "app:pool"), service("y", "app:pool"), service("z")
    )
    found = plan.death(tree, "app:pool#1")
    assert found.lost == ("app:x", "app:y")
    assert found.started == ("app:pool#1",)
    assert "those of app:x, app:y that live there die with it" in found.text


def test_a_supervisor_at_the_top_that_gives_up_too_often_ends_the_runtime() -> None:
    assert plan.if_dies(ingest(Strategy.ONE_FOR_ONE), "app:ingest") == (
        "app:ingest gives up: app:ingest is started again with all below it "
        "(one_for_one, at most 20 in 10s; then wippy:root gives up and the runtime ends)"
    )


def test_the_system_is_restarted_as_often_as_it_takes() -> None:
    tree = build()
    assert "as often as it takes" in plan.if_dies(tree, "wippy:keeper")
    assert "running processes go on" in plan.if_dies(tree, "wippy:forkserver")
    assert "guardian" in plan.if_dies(tree, ROOT_ID)


def test_a_child_made_at_run_time_is_known_by_its_template() -> None:
    jobs = SupervisorEntry(id="app:jobs", strategy=Strategy.DYNAMIC, template="app:job", count=1)
    found = plan.death(build(jobs, service("job")), "app:jobs#7")
    assert found.started == ("app:jobs#7",)
    assert "(dynamic, at most 5 in 10s" in found.text


def test_an_unknown_child_is_not_found() -> None:
    with pytest.raises(NotFound, match="no child app:x#1"):
        plan.if_dies(build(), "app:x#1")


def test_the_plan_has_every_child_and_is_json() -> None:
    tree = ingest(Strategy.REST_FOR_ONE, c=Lifecycle(auto_start=False))
    found = plan.plan(tree)
    assert [death.id for death in found.deaths] == [
        id for id in tree.children if id not in (ROOT_ID, SPAWNED_ID)
    ]
    assert found.held == ("app:c",)
    again = msgspec.json.decode(msgspec.json.encode(found), type=plan.Plan)
    assert again == found
    assert "app:c (held)" in plan.text(found)
