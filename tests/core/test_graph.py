"""Entries to a tree."""

from __future__ import annotations

from supervisor.core import graph, order
from supervisor.core.spec import (
    KEEPER_ID,
    ROOT_ID,
    SPAWNED_ID,
    SYSTEM_ID,
    Blueprint,
    Code,
    Dedicated,
    Entry,
    ExecEntry,
    Foreign,
    FunctionEntry,
    HostEntry,
    IntensitySpec,
    Isolation,
    LibraryCode,
    LibraryEntry,
    Lifecycle,
    Limits,
    PoolActor,
    PoolSize,
    PoolWorker,
    ProcessEntry,
    Restart,
    RuntimeSpec,
    ServiceEntry,
    StartMode,
    Strategy,
    SupervisorEntry,
    System,
    TreeSpec,
)

CODE = Code(method="run", text="def run(): ...", search_path="/etc/shop")


def build(*entries: Entry) -> TreeSpec:
    runtime = RuntimeSpec(node="n", state_dir="/s", run_dir="/r", log_dir="/l")
    code = ProcessEntry(id="app:code", code=CODE)
    every = {entry.id: entry for entry in (code, *entries)}
    return graph.build(Blueprint("/etc/shop", runtime, every))


def service(name: str, host: str | None = None, **lifecycle: object) -> ServiceEntry:
    own = Lifecycle(**lifecycle)  # type: ignore[arg-type]  # whatever the test says
    return ServiceEntry(id=name, process="app:code", host=host, input=(1,), lifecycle=own)


def children(tree: TreeSpec, id: str) -> tuple[str, ...]:
    supervisor = tree.children[id].supervisor
    assert supervisor is not None
    return supervisor.children


def test_the_system_comes_first_and_everything_else_at_the_top_requires_it() -> None:
    tree = build(service("app:b"), HostEntry(id="app:pool"), service("app:a"))
    assert children(tree, ROOT_ID) == (SYSTEM_ID, SPAWNED_ID, "app:b", "app:pool", "app:a")
    for id in ("app:b", "app:pool", "app:a"):
        assert tree.children[id].lifecycle.requires[0] == SYSTEM_ID
    assert tree.children[SYSTEM_ID].lifecycle.requires == ()


def test_the_runtimes_own_processes_are_restarted_without_limit() -> None:
    tree = build()
    system = tree.children[SYSTEM_ID].supervisor
    assert system is not None
    assert system.intensity.max_restarts == 1_000_000
    keeper = tree.children[KEEPER_ID]
    assert keeper.launch == System("supervisor.keeper.boot:main")
    assert (keeper.lifecycle.backoff.max_delay_s, keeper.lifecycle.heartbeat_timeout_s) == (2, 10)


def test_the_top_is_one_for_one_and_starts_side_by_side() -> None:
    top = build().children[ROOT_ID].supervisor
    assert top is not None
    assert (top.strategy, top.start) == (Strategy.ONE_FOR_ONE, StartMode.PARALLEL)
    assert top.intensity == IntensitySpec(20, 10.0)


def test_what_a_supervisor_lists_is_its_child_and_not_the_tops() -> None:
    inner = SupervisorEntry(id="app:inner", children=("app:b", "app:a"))
    outer = SupervisorEntry(id="app:outer", children=("app:inner",))
    tree = build(service("app:a"), service("app:b"), inner, outer)
    assert children(tree, ROOT_ID) == (SYSTEM_ID, SPAWNED_ID, "app:outer")
    assert children(tree, "app:inner") == ("app:b", "app:a")
    assert tree.children["app:a"].parent == "app:inner"
    assert tree.children["app:a"].lifecycle.requires == ()
    assert graph.ancestors(tree, "app:a") == ("app:inner", "app:outer", ROOT_ID)
    assert graph.descendants(tree, "app:outer") == ("app:inner", "app:b", "app:a")


def test_the_tree_is_in_tree_order() -> None:
    inner = SupervisorEntry(id="app:sup", children=("app:b", "app:a"))
    tree = build(service("app:a"), inner, service("app:b"), service("app:c"))
    ids = [id for id in tree.children if id.startswith("app:")]
    assert ids == ["app:sup", "app:b", "app:a", "app:c"]
    assert next(iter(tree.children)) == ROOT_ID


def test_a_pool_is_a_supervisor_over_its_workers() -> None:
    own = Lifecycle(
        restart=Restart.TRANSIENT, requires=("app:db",), auto_start=False, essential=True
    )
    limits = Limits(nice=3)
    host = HostEntry(
        id="app:pool", workers=2, limits=limits, lifecycle=own, intensity=IntensitySpec(9, 1.0)
    )
    tree = build(host, service("app:db"))
    pool = tree.children["app:pool"]
    assert pool.supervisor is not None
    assert (pool.kind, pool.supervisor.intensity) == ("process.host", IntensitySpec(9, 1.0))
    assert pool.supervisor.start is StartMode.PARALLEL
    assert pool.lifecycle.requires == (SYSTEM_ID, "app:db")
    assert (pool.lifecycle.auto_start, pool.lifecycle.essential) == (False, True)
    worker = tree.children["app:pool#2"]
    assert worker.launch == PoolWorker("app:pool", 2, limits, "/etc/shop")
    assert (worker.kind, worker.parent) == ("worker", "app:pool")
    assert worker.lifecycle.restart is Restart.TRANSIENT
    # The pool waits and is held; its workers start whenever it does.
    assert (worker.lifecycle.requires, worker.lifecycle.auto_start) == ((), True)


def test_an_actor_in_a_pool_requires_the_pool() -> None:
    tree = build(HostEntry(id="app:pool"), service("app:a", "app:pool", requires=("app:b",)),
                 service("app:b"))  # fmt: skip
    actor = tree.children["app:a"]
    assert actor.launch == PoolActor("app:code", "app:pool", CODE, (1,))
    assert actor.lifecycle.requires == (SYSTEM_ID, "app:b", "app:pool")
    assert actor.lifecycle.heartbeat_timeout_s == 0


def test_an_actor_without_a_host_has_an_os_process_of_its_own() -> None:
    actor = build(service("app:a")).children["app:a"]
    assert actor.launch == Dedicated("app:code", CODE, (1,), Limits())
    assert (actor.kind, actor.lifecycle.heartbeat_timeout_s) == ("process.service", 30.0)


def test_a_dedicated_host_is_no_child_and_gives_its_limits() -> None:
    host = HostEntry(
        id="app:alone",
        isolation=Isolation.DEDICATED,
        limits=Limits(nice=3, umask=0, env={"A": "1", "B": "1"}),
    )
    own = ServiceEntry(
        id="app:a", process="app:code", host="app:alone", limits=Limits(nice=5, env={"B": "2"})
    )
    tree = build(host, own)
    assert "app:alone" not in tree.children
    launch = tree.children["app:a"].launch
    assert isinstance(launch, Dedicated)
    assert launch.limits == Limits(nice=5, umask=0, env={"A": "1", "B": "2"})


def test_a_program_is_foreign_and_has_no_heartbeat() -> None:
    entry = ExecEntry(id="app:redis", command=("redis-server",), stop_signal=2)
    redis = build(entry).children["app:redis"]
    assert redis.launch == Foreign(("redis-server",), Limits(), 2)
    assert (redis.kind, redis.lifecycle.heartbeat_timeout_s) == ("exec.service", 0.0)


def test_a_dynamic_supervisor_makes_its_first_children_from_its_template() -> None:
    jobs = SupervisorEntry(id="app:jobs", strategy=Strategy.DYNAMIC, template="app:job", count=2)
    tree = build(jobs, service("app:job", auto_start=False, stop_timeout_s=1.0))
    assert "app:job" not in tree.children
    assert children(tree, "app:jobs") == ("app:jobs#1", "app:jobs#2")
    first, over = tree.children["app:jobs#1"], tree.children["app:jobs"].supervisor
    assert over is not None
    assert over.template is not None
    assert over.template.parent == first.parent == "app:jobs"
    assert first.launch == over.template.launch
    assert (first.kind, first.lifecycle.stop_timeout_s) == ("process.service", 1.0)
    assert first.lifecycle.auto_start


def test_what_is_not_started_by_itself_is_in_the_tree_too() -> None:
    tree = build(service("app:a", auto_start=False))
    assert not tree.children["app:a"].lifecycle.auto_start
    assert "app:a" in children(tree, ROOT_ID)


def test_every_child_is_a_process_or_a_supervisor_and_its_parent_lists_it() -> None:
    jobs = SupervisorEntry(id="app:jobs", strategy=Strategy.DYNAMIC, template="app:t", count=3)
    tree = build(jobs, service("app:t"), HostEntry(id="app:pool", workers=3), service("app:x"))
    for spec in tree.children.values():
        assert (spec.launch is None) != (spec.supervisor is None)
        assert spec.id == ROOT_ID or spec.id in children(tree, spec.parent)


# --- functions, libraries, pools that grow -------------------------------------------------------

DUMPS = Code(method="dumps", module="json", search_path="/etc/shop")


def test_a_function_without_a_host_is_a_pool_of_its_own() -> None:
    function = FunctionEntry(id="app:f", code=DUMPS, pool=PoolSize(2, 8, 3, 9.0))
    tree = build(function, service("app:a", requires=("app:f",)))
    pool = tree.children["app:f"]
    assert pool.supervisor is not None
    assert (pool.kind, pool.supervisor.pool) == ("function.py", PoolSize(2, 8, 3, 9.0))
    assert children(tree, "app:f") == ("app:f#1", "app:f#2")
    assert tree.children["app:f#2"].launch == PoolWorker("app:f", 2, Limits(), "/etc/shop")
    assert pool.lifecycle.requires == (SYSTEM_ID,)
    assert order.waves(tree)[-1] == ("app:a",)


def test_a_lazy_function_begins_with_no_process_and_says_how_one_is_made() -> None:
    tree = build(FunctionEntry(id="app:f", code=DUMPS))
    assert children(tree, "app:f") == ()
    pool = tree.children["app:f"].supervisor
    assert pool is not None
    assert pool.template is not None
    worker = graph.pool_worker(pool.template, 3)
    assert (worker.id, worker.parent, worker.kind) == ("app:f#3", "app:f", "worker")
    assert worker.launch == PoolWorker("app:f", 3, Limits(), "/etc/shop")


def test_a_worker_made_later_is_like_those_made_first() -> None:
    host = HostEntry(id="app:pool", workers=PoolSize(1, 4), limits=Limits(nice=3),
                     lifecycle=Lifecycle(stop_timeout_s=1.0))  # fmt: skip
    tree = build(host)
    pool = tree.children["app:pool"].supervisor
    assert pool is not None
    assert pool.template is not None
    assert graph.pool_worker(pool.template, 1) == tree.children["app:pool#1"]
    assert pool.pool == PoolSize(1, 4)


def test_functions_with_a_host_and_libraries_are_not_in_the_tree() -> None:
    library = LibraryEntry(id="app:lib", code=LibraryCode(text=""))
    function = FunctionEntry(id="app:f", code=DUMPS, host="app:pool")
    tree = build(HostEntry(id="app:pool"), function, library)
    assert {"app:f", "app:lib"}.isdisjoint(tree.children)


def test_a_function_can_be_a_child_of_a_supervisor() -> None:
    function = FunctionEntry(id="app:f", code=DUMPS)
    sup = SupervisorEntry(id="app:sup", children=("app:a", "app:f"))
    tree = build(service("app:a"), function, sup)
    assert children(tree, "app:sup") == ("app:a", "app:f")
    assert tree.children["app:f"].parent == "app:sup"


def test_what_is_launched_has_its_libraries_and_its_mailbox() -> None:
    code = Code(method="run", text="", imports={"x": "app:lib"}, mailbox_messages=5)
    process = ProcessEntry(id="app:p", code=code)
    library = LibraryEntry(id="app:lib", code=LibraryCode(text="x"))
    plain = ServiceEntry(id="app:a", process="app:p")
    own = ServiceEntry(id="app:b", process="app:p", host="app:pool", mailbox_messages=9)
    tree = build(process, library, plain, own, HostEntry(id="app:pool"))
    first, second = tree.children["app:a"].launch, tree.children["app:b"].launch
    assert isinstance(first, Dedicated)
    assert isinstance(second, PoolActor)
    assert first.code.libraries == second.code.libraries == {"app:lib": LibraryCode(text="x")}
    assert (first.code.mailbox_messages, second.code.mailbox_messages) == (5, 9)
