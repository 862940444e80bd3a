"""Start order: what must be up before what may start, and whether all of it can.

Each child has two moments, its start and its being up. What must come before what:

    start of the supervisor   before  start of the child
    every child up            before  its supervisor up
    earlier sibling up        before  start of the next        (ordered supervisors)
    required one up           before  start of who requires it

These are all the rules there are, so a circle among them is exactly a start that never ends, also
where the `requires` of one subtree meets the list order of another.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from supervisor.core.spec import ChildSpec, StartMode, Strategy, TreeSpec
from wippy.errors import Invalid

KEEP_ORDER = frozenset({Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL})
"""Strategies whose children start one after the other whatever `start` says: a group restart is
about their order."""


class Moment(enum.StrEnum):
    """A moment in the life of a child."""

    START = "start"
    UP = "up"


class Why(enum.StrEnum):
    """Why one moment comes before another."""

    ITSELF = "itself"
    CONTAINS = "contains"
    PART = "part"
    LISTED = "listed"
    REQUIRES = "requires"


Step = tuple[str, Moment]


@dataclass(frozen=True, slots=True)
class Edge:
    """`before` must come before `after`, because of `why`."""

    before: Step
    after: Step
    why: Why


def start_order(tree: TreeSpec) -> tuple[str, ...]:
    """Return the ids in an order in which they can start, supervisors before their children.

    Raises:
        Invalid: They cannot: the message names everything in the circle.
    """
    return tuple(id_ for wave in waves(tree) for id_ in wave)


def waves(tree: TreeSpec) -> tuple[tuple[str, ...], ...]:
    """Return the ids in waves: each can start as soon as the waves before are up.

    Raises:
        Invalid: As for `start_order`.
    """
    circle = find_circle(tree)
    if circle:
        raise Invalid(explain(circle))
    depth = _depths(tree)
    found: dict[int, list[str]] = {}
    for id_ in tree.children:
        found.setdefault(depth[id_, Moment.START], []).append(id_)
    return tuple(tuple(found[number]) for number in sorted(found))


def find_circle(tree: TreeSpec) -> tuple[Edge, ...]:
    """Return a shortest circle of edges; empty if everything can start."""
    after = _by_step(edges(tree))
    stuck = _stuck(after)
    for step in sorted(stuck):
        circle = _shortest_circle(step, after, stuck)
        if circle:
            return circle
    return ()


def edges(tree: TreeSpec) -> Iterator[Edge]:
    """Return every rule of order in the tree."""
    for spec in tree.children.values():
        start, up = (spec.id, Moment.START), (spec.id, Moment.UP)
        yield Edge(start, up, Why.ITSELF)
        for required in spec.lifecycle.requires:
            if required in tree.children:
                yield Edge((required, Moment.UP), start, Why.REQUIRES)
        if spec.supervisor is not None:
            yield from _inner_edges(tree, spec, spec.supervisor.children)


def _inner_edges(tree: TreeSpec, spec: ChildSpec, children: tuple[str, ...]) -> Iterator[Edge]:
    assert spec.supervisor is not None
    started: list[str] = []
    for child in children:
        yield Edge((spec.id, Moment.START), (child, Moment.START), Why.CONTAINS)
        # What only an operator starts holds nobody up.
        if tree.children[child].lifecycle.auto_start:
            yield Edge((child, Moment.UP), (spec.id, Moment.UP), Why.PART)
            started.append(child)
    if spec.supervisor.start is StartMode.ORDERED or spec.supervisor.strategy in KEEP_ORDER:
        for earlier, later in itertools.pairwise(started):
            yield Edge((earlier, Moment.UP), (later, Moment.START), Why.LISTED)


def _by_step(all_edges: Iterable[Edge]) -> dict[Step, list[Edge]]:
    after: dict[Step, list[Edge]] = {}
    for edge in all_edges:
        after.setdefault(edge.before, []).append(edge)
        after.setdefault(edge.after, [])
    return after


def _waits(after: Mapping[Step, list[Edge]]) -> dict[Step, int]:
    waits = dict.fromkeys(after, 0)
    for edge in (edge for out in after.values() for edge in out):
        waits[edge.after] += 1
    return waits


def _stuck(after: Mapping[Step, list[Edge]]) -> frozenset[Step]:
    """Return the moments that never come: those in a circle, or behind one."""
    waits = _waits(after)
    free = [step for step, count in waits.items() if count == 0]
    while free:
        for edge in after[free.pop()]:
            waits[edge.after] -= 1
            if waits[edge.after] == 0:
                free.append(edge.after)
    return frozenset(step for step, count in waits.items() if count)


def _shortest_circle(
    step: Step, after: Mapping[Step, list[Edge]], within: frozenset[Step]
) -> tuple[Edge, ...]:
    came: dict[Step, Edge] = {}
    queue = [step]
    for here in queue:  # breadth first: the queue grows while it is walked
        for edge in after[here]:
            if edge.after == step:
                return _walk_back(edge, step, came)
            if edge.after in within and edge.after not in came:
                came[edge.after] = edge
                queue.append(edge.after)
    return ()


def _walk_back(last: Edge, step: Step, came: Mapping[Step, Edge]) -> tuple[Edge, ...]:
    chain = [last]
    while chain[-1].before != step:
        chain.append(came[chain[-1].before])
    return tuple(reversed(chain))


def _depths(tree: TreeSpec) -> dict[Step, int]:
    """Return the wave of each moment; being up costs no wave of its own, waiting for it does."""
    after = _by_step(edges(tree))
    waits = _waits(after)
    depth = dict.fromkeys(after, 0)
    free = [step for step, count in waits.items() if count == 0]
    while free:
        step = free.pop()
        for edge in after[step]:
            takes = 1 if edge.why in {Why.REQUIRES, Why.LISTED} else 0
            depth[edge.after] = max(depth[edge.after], depth[step] + takes)
            waits[edge.after] -= 1
            if waits[edge.after] == 0:
                free.append(edge.after)
    return depth


# --- in words ------------------------------------------------------------------------------------


def explain(circle: tuple[Edge, ...], places: Mapping[tuple[str, str], str] | None = None) -> str:
    """Return a circle as a message that names every edge a user can change.

    Args:
        circle: From `find_circle`.
        places: Where (who, whom) of a `requires` is written, as text.
    """
    known = places or {}
    reasons = [_sentence(edge, known) for edge in told(circle)]
    if all(edge.why in {Why.REQUIRES, Why.ITSELF} for edge in circle) and len(reasons) == 1:
        return f"{reasons[0]}: it waits for itself"
    return f"a cycle, none of which can ever start: {', '.join(reasons)}"


def told(circle: tuple[Edge, ...]) -> list[Edge]:
    """Return the edges worth telling, who waits first, runs of list order as one."""
    told: list[Edge] = []
    for edge in reversed(circle):
        if edge.why is Why.ITSELF:
            continue
        last = told[-1] if told else None
        if edge.why is Why.LISTED and last is not None and last.why is Why.LISTED:
            told[-1] = Edge(edge.before, last.after, Why.LISTED)
        else:
            told.append(edge)
    if len(told) > 1 and told[0].why is told[-1].why is Why.LISTED:
        last = told.pop()
        told[0] = Edge(told[0].before, last.after, Why.LISTED)
    return _from_first_requires(told)


def _from_first_requires(told: list[Edge]) -> list[Edge]:
    """Turn the circle so that it begins with what a user wrote."""
    starts = [n for n, edge in enumerate(told) if edge.why is Why.REQUIRES]
    first = min(starts, key=lambda n: told[n].after[0]) if starts else 0
    return [*told[first:], *told[:first]]


def _sentence(edge: Edge, places: Mapping[tuple[str, str], str]) -> str:
    before, after = edge.before[0], edge.after[0]
    match edge.why:
        case Why.REQUIRES:
            place = places.get((after, before))
            return f"{after} requires {before}" + (f" ({place})" if place else "")
        case Why.LISTED:
            return f"{after} is listed after {before}"
        case Why.CONTAINS:
            return f"{after} is started by {before}"
        case _:
            return f"{after} is up only when {before} is"
