"""Random trees, and random changes of a tree, for the machines."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from msgspec.structs import replace
from tree_language import CODE

from supervisor.core.order import find_circle
from supervisor.core.spec import (
    ROOT_ID,
    AutoShutdown,
    ChildSpec,
    Code,
    Dedicated,
    IntensitySpec,
    Lifecycle,
    Limits,
    OnChange,
    OnLimit,
    Restart,
    StartMode,
    Strategy,
    SupervisorSpec,
    TreeSpec,
)
from wippy.core.backoff import Backoff

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
            if needed not in line_of(specs, parent):
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


def line_of(specs: dict[str, ChildSpec], id: str) -> list[str]:
    line = []
    while id in specs:
        line.append(id)
        id = specs[id].parent
    return line


def _with_need(lifecycle: Lifecycle, needed: str) -> Lifecycle:
    fields = {name: getattr(lifecycle, name) for name in Lifecycle.__struct_fields__}
    return Lifecycle(**{**fields, "requires": (needed,)})


launches = st.sampled_from(
    [
        LAUNCH,
        replace(LAUNCH, code=Code(method="main", text="new")),
        replace(LAUNCH, args=(1,)),
        replace(LAUNCH, limits=Limits(memory_bytes=1)),
    ]
)


@st.composite
def changes(draw: st.DrawFn, tree: TreeSpec) -> TreeSpec:
    """A tree that is like `tree`, but for some of its children."""
    specs: dict[str, ChildSpec] = {}
    for spec in tree.children.values():
        kind = draw(st.sampled_from(["", "", "", "launch", "lifecycle", "gone"]))
        if spec.id == ROOT_ID or not kind:
            specs[spec.id] = spec
        elif kind == "launch" and spec.launch is not None:
            specs[spec.id] = replace(spec, launch=draw(launches))
        elif kind == "lifecycle":
            needs = spec.lifecycle.requires
            specs[spec.id] = replace(spec, lifecycle=replace(draw(lifecycles), requires=needs))
        elif kind == "launch" or spec.supervisor is not None:
            specs[spec.id] = replace(spec, supervisor=_other(draw, spec.supervisor))
    changed = _whole(specs)
    return tree if find_circle(changed) else changed


def _other(draw: st.DrawFn, spec: SupervisorSpec | None) -> SupervisorSpec:
    assert spec is not None
    return replace(
        spec,
        strategy=draw(st.sampled_from(Strategy)),
        intensity=draw(intensities),
        start=draw(st.sampled_from(StartMode)),
        children=tuple(draw(st.permutations(spec.children))),
    )


def _whole(specs: dict[str, ChildSpec]) -> TreeSpec:
    """Leave out what nobody lists or has any more."""
    for spec in list(specs.values()):
        if spec.supervisor is not None:
            kept = tuple(id for id in spec.supervisor.children if id in specs)
            specs[spec.id] = replace(spec, supervisor=replace(spec.supervisor, children=kept))
        needs = tuple(id for id in spec.lifecycle.requires if id in specs)
        spec = specs[spec.id]
        specs[spec.id] = replace(spec, lifecycle=replace(spec.lifecycle, requires=needs))
    return TreeSpec(specs)


on_changes = st.dictionaries(
    st.sampled_from([f"t:{name}" for name in NAMES]), st.sampled_from(OnChange)
)
