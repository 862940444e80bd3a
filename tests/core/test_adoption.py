"""The difference of two trees, and its words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from supervisor.core.adoption import (
    Difference,
    Takes,
    compare,
    launch_change,
    sentences,
    summary,
)
from supervisor.core.plan import changes_text
from supervisor.core.spec import (
    ROOT_ID,
    ChildSpec,
    Code,
    Dedicated,
    Foreign,
    Launch,
    LibraryCode,
    Lifecycle,
    Limits,
    OnChange,
    PoolActor,
    PoolSize,
    Probe,
    ProbeKind,
    Strategy,
    SupervisorSpec,
    TreeSpec,
)

CODE = Code(method="main", text="a", origin="app.yaml:3")
ACTOR = Dedicated("app:code", CODE)
PROGRAM = Foreign(("sleep", "1"))
LIBRARY = {"app:lib": LibraryCode(text="x", origin="app.yaml:9")}
MOVED_LIBRARY = {"app:lib": LibraryCode(text="x", origin="app.yaml:1")}

FOLLOWS: list[tuple[Launch, Launch, Takes, tuple[str, ...]]] = [
    (ACTOR, ACTOR, Takes.NOTHING, ()),
    (ACTOR, replace(ACTOR, code=replace(CODE, origin="app.yaml:9")), Takes.NOTHING, ()),
    (
        replace(ACTOR, code=replace(CODE, libraries=LIBRARY)),
        replace(ACTOR, code=replace(CODE, libraries=MOVED_LIBRARY)),
        Takes.NOTHING,
        (),
    ),
    (ACTOR, replace(ACTOR, code=replace(CODE, text="b")), Takes.CODE, ("code",)),
    (ACTOR, replace(ACTOR, code=replace(CODE, libraries=LIBRARY)), Takes.CODE, ("code",)),
    (ACTOR, replace(ACTOR, code=replace(CODE, mailbox_messages=5)), Takes.RESTART, ("code",)),
    (ACTOR, replace(ACTOR, args=(1,)), Takes.RESTART, ("args",)),
    (ACTOR, replace(ACTOR, limits=Limits(memory_bytes=9)), Takes.NOTICE, ("limits",)),
    (ACTOR, replace(ACTOR, limits=Limits(env={"A": "b"})), Takes.RESTART, ("limits",)),
    (ACTOR, replace(ACTOR, limits=Limits(memory_bytes=9, nice=1)), Takes.RESTART, ("limits",)),
    (ACTOR, PoolActor("app:code", "app:pool", CODE), Takes.RESTART, ("host",)),
    (
        PoolActor("app:code", "app:pool", CODE),
        PoolActor("app:code", "app:other", CODE),
        Takes.RESTART,
        ("host",),
    ),
    (PROGRAM, replace(PROGRAM, command=("true",)), Takes.RESTART, ("command",)),
    (PROGRAM, replace(PROGRAM, stop_signal=2), Takes.NOTICE, ("stop_signal",)),
    (PROGRAM, replace(PROGRAM, readiness=Probe(ProbeKind.NOTIFY)), Takes.NOTICE, ("readiness",)),
]


@pytest.mark.parametrize(("old", "new", "takes", "what"), FOLLOWS)
def test_each_change_of_a_launch_takes_what_the_table_says(
    old: Launch, new: Launch, takes: Takes, what: tuple[str, ...]
) -> None:
    change = launch_change(old, new)
    assert (change.takes, change.what) == (takes, what)


def test_the_larger_of_two_changes_wins() -> None:
    both = replace(ACTOR, args=(1,), code=replace(CODE, text="b"))
    assert launch_change(ACTOR, both).takes is Takes.RESTART


def leaf(id: str, parent: str = ROOT_ID, launch: Launch = ACTOR, **more: Lifecycle) -> ChildSpec:
    """Return a process."""
    return ChildSpec(id=id, parent=parent, kind="x", launch=launch, **more)


def tree(*specs: ChildSpec, **top: object) -> TreeSpec:
    """Return a tree whose supervisors list what names them as parent."""
    children = {spec.id: spec for spec in specs}
    fields: dict[str, object] = {}
    root = ChildSpec(
        id=ROOT_ID, parent="", kind="supervisor", supervisor=SupervisorSpec(**top, **fields)
    )
    all_specs = {ROOT_ID: root, **children}
    for id, spec in all_specs.items():
        if spec.supervisor is not None:
            ids = tuple(it.id for it in specs if it.parent == id)
            all_specs[id] = replace(spec, supervisor=replace(spec.supervisor, children=ids))
    return TreeSpec(all_specs)


def test_equal_trees_do_not_differ() -> None:
    assert not compare(tree(leaf("a")), tree(leaf("a")))
    assert summary(Difference()) == "nothing"


def test_what_comes_and_goes_is_named_in_the_order_in_which_it_does() -> None:
    found = compare(tree(leaf("a"), leaf("b")), tree(leaf("c"), leaf("d")))
    assert found.added == ("c", "d")
    assert found.removed == ("b", "a")
    assert summary(found) == "+2 -2"


def test_a_new_order_of_those_that_stay_is_a_difference_of_their_supervisor() -> None:
    found = compare(tree(leaf("a"), leaf("b")), tree(leaf("b"), leaf("x"), leaf("a")))
    assert found.reordered == (ROOT_ID,)
    assert not compare(tree(leaf("a")), tree(leaf("x"), leaf("a"))).reordered


def test_a_child_under_another_supervisor_has_moved_and_one_of_another_sort_is_remade() -> None:
    sup = ChildSpec(id="s", parent=ROOT_ID, kind="supervisor", supervisor=SupervisorSpec())
    found = compare(tree(sup, leaf("a")), tree(sup, leaf("a", "s")))
    assert found.moved == (("a", ROOT_ID, "s"),)
    assert compare(tree(leaf("s")), tree(sup)).remade == ("s",)


def test_every_difference_has_its_sentence() -> None:
    pool = SupervisorSpec(pool=PoolSize(min=1, max=2))
    wide = SupervisorSpec(pool=PoolSize(min=3, max=3), strategy=Strategy.ONE_FOR_ALL)
    old = tree(
        leaf("a"),
        leaf("b"),
        leaf("c"),
        leaf("d"),
        ChildSpec(id="p", parent=ROOT_ID, kind="process.host", supervisor=pool),
    )
    new_code = replace(ACTOR, code=replace(CODE, text="b"))
    new = tree(
        leaf("a", launch=new_code),
        leaf("b", launch=new_code),
        leaf("c", launch=replace(ACTOR, args=(2,))),
        leaf("e", lifecycle=Lifecycle(stop_timeout_s=1.0)),
        ChildSpec(id="p", parent=ROOT_ID, kind="process.host", supervisor=wide),
    )
    on_change = {"a": OnChange.UPGRADE, "b": OnChange.IGNORE, "c": OnChange.IGNORE}
    assert list(sentences(compare(old, new), on_change)) == [
        "d is stopped and removed",
        "e is added and started when its turn comes",
        "a: code changed: it is told, and takes the new code when it is ready for it",
        "b: code changed: it goes on as it is, and has the new code from its next start on",
        "c: args changed: it is restarted, one at a time",
        "p takes over strategy; nothing is restarted",
        "p had 1 to 2 workers, and gets 3 workers",
    ]


def test_a_plan_says_what_a_new_configuration_would_do() -> None:
    assert changes_text(tree(leaf("a")), tree(leaf("a")), {}) == "nothing that runs is changed"
    text = changes_text(tree(leaf("a")), tree(leaf("a"), leaf("b")), {})
    assert text.splitlines() == [
        "+1, what is not named keeps its process:",
        "  b is added and started when its turn comes",
    ]
