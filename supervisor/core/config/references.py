"""What entries say of each other: does it exist, is it of the right kind, is the tree a tree.

Everything here works on what could be read, so that an entry with a typo of its own does not hide
the wrong reference in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from supervisor.core.config import imports
from supervisor.core.config.decode import Draft
from supervisor.core.config.kinds import LIMIT_KEYS, UP_ABLE
from supervisor.core.config.nodes import path_text
from supervisor.core.config.problems import Problem, did_you_mean
from supervisor.core.config.reading import Reference, Role
from supervisor.core.spec import (
    AutoShutdown,
    FunctionEntry,
    HostEntry,
    Isolation,
    ServiceEntry,
    SupervisorEntry,
)

WANTED: Mapping[Role, frozenset[str]] = {
    Role.CHILD: UP_ABLE,
    Role.REQUIRES: UP_ABLE,
    Role.HOST: frozenset({"process.host"}),
    Role.POOL: frozenset({"process.host"}),
    Role.CODE: frozenset({"process.py"}),
    Role.IMPORT: frozenset({"library.py", "function.py"}),
    Role.TEMPLATE: frozenset({"process.service", "exec.service"}),
    Role.POLICY: frozenset({"security.policy"}),
}
"""Kinds that may stand in each role."""


def judge(drafts: Sequence[Draft], references: Sequence[Reference]) -> list[Problem]:
    """Return what is wrong between the entries of all files."""
    by_id: dict[str, Draft] = {}
    problems: list[Problem] = []
    for draft in drafts:
        if draft.id in by_id:
            problems.append(_duplicate(draft, by_id[draft.id]))
        by_id.setdefault(draft.id, draft)
    for reference in references:
        problems.extend(_judge_one(reference, by_id))
    parents = _parents(references)
    problems.extend(_two_parents(parents))
    problems.extend(_templates(references, parents, by_id))
    problems.extend(_self_contained(parents))
    problems.extend(_significant(drafts, parents, by_id))
    problems.extend(_limits_in_pools(drafts, by_id))
    problems.extend(imports.judge(drafts, references))
    return problems


def _at(reference: Reference, message: str, hint: str = "") -> Problem:
    return Problem(
        place=reference.place,
        path=path_text(reference.cursor.path),
        message=message,
        hint=hint,
        line=reference.line,
    )


def _duplicate(draft: Draft, first: Draft) -> Problem:
    place = first.cursor.at("name").node.place
    return draft.reading.problem(
        draft.cursor.at("name"), f"duplicate id {draft.id}", f"the first is at {place}"
    )


def _judge_one(reference: Reference, by_id: Mapping[str, Draft]) -> Iterator[Problem]:
    owner, target, role = reference.owner, reference.target, reference.role
    found = by_id.get(target)
    if found is None:
        right = [id_ for id_, draft in by_id.items() if draft.kind in WANTED[role]]
        message = f"{owner} {role} {target}, which is not there"
        yield _at(reference, message, did_you_mean(target, right))
    elif found.kind and found.kind not in WANTED[role]:
        message = f"{owner} {role} {target}, which is a {found.kind}"
        yield _at(reference, message, f"only for {', '.join(sorted(WANTED[role]))}")
    elif role in {Role.CHILD, Role.REQUIRES} and _is_dedicated(found):
        message = f"{owner} {role} {target}, which is a dedicated host and never runs by itself"
        yield _at(reference, message, "name the services that run in it")
    elif role in {Role.CHILD, Role.REQUIRES} and isinstance(found.entry, FunctionEntry):
        if found.entry.host is not None:
            message = f"{owner} {role} {target}, which has no pool of its own"
            yield _at(reference, message, f"name its host, {found.entry.host}")
    elif role is Role.POOL and _is_dedicated(found):
        message = f"{owner} {role} {target}, which is a dedicated host"
        yield _at(reference, message, "calls share OS processes; name a pool")


def _is_dedicated(draft: Draft | None) -> bool:
    entry = draft.entry if draft else None
    return isinstance(entry, HostEntry) and entry.isolation is Isolation.DEDICATED


def _parents(references: Iterable[Reference]) -> dict[str, list[Reference]]:
    """Return, for each child, the places where supervisors list it."""
    parents: dict[str, list[Reference]] = {}
    for reference in references:
        if reference.role is Role.CHILD:
            parents.setdefault(reference.target, []).append(reference)
    return parents


def _two_parents(parents: Mapping[str, list[Reference]]) -> Iterator[Problem]:
    for child, listings in parents.items():
        first = listings[0]
        for second in listings[1:]:
            if second.owner != first.owner:  # twice in one list: the list says so itself
                message = f"{child} has two supervisors: {first.owner} and {second.owner}"
                yield _at(second, message, f"the first lists it at {first.place}")


def _templates(
    references: Iterable[Reference],
    parents: Mapping[str, list[Reference]],
    by_id: Mapping[str, Draft],
) -> Iterator[Problem]:
    """A template is no child by itself: nobody lists it, and nobody can wait for it."""
    users = {r.target: r.owner for r in references if r.role is Role.TEMPLATE}
    for child, listings in parents.items():
        if child in users and child in by_id:
            message = f"{child} is the template of {users[child]}, so it cannot be a child too"
            yield _at(listings[0], message)
    for reference in references:
        if reference.role is Role.REQUIRES and reference.target in users:
            owner = users[reference.target]
            message = f"{reference.target} is only a template, so it is never up by itself"
            yield _at(reference, message, f"require {owner}, which makes children from it")


def _self_contained(parents: Mapping[str, list[Reference]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for start in parents:
        chain: list[Reference] = []
        here = start
        while here in parents and here not in seen:
            seen.add(here)
            chain.append(parents[here][0])
            here = chain[-1].owner
        ids = [reference.target for reference in chain]
        if here in ids:
            yield _loop(chain[ids.index(here) :])


def _loop(chain: list[Reference]) -> Problem:
    last = chain[-1]
    if len(chain) == 1:
        return _at(last, f"{last.owner} contains itself")
    steps = ", ".join(f"{r.owner} lists {r.target} ({r.place})" for r in reversed(chain))
    return _at(last, f"{last.owner} contains itself: {steps}")


def _significant(
    drafts: Iterable[Draft], parents: Mapping[str, list[Reference]], by_id: Mapping[str, Draft]
) -> Iterator[Problem]:
    """OTP refuses a significant child of a supervisor that never shuts down by itself."""
    for draft in drafts:
        lifecycle = getattr(draft.entry, "lifecycle", None)
        if lifecycle is None or not lifecycle.significant:
            continue
        listings = parents.get(draft.id)
        owner = by_id.get(listings[0].owner) if listings else None
        if owner is not None and not isinstance(owner.entry, SupervisorEntry):
            continue  # wrong in itself
        entry = owner.entry if owner else None
        if not isinstance(entry, SupervisorEntry) or entry.auto_shutdown is AutoShutdown.NEVER:
            who = owner.id if owner else "the top supervisor"
            message = f"{draft.id} is significant, but {who} never shuts down for that"
            hint = f"set auto_shutdown in {who}" if owner else "list it in a supervisor of its own"
            yield draft.reading.problem(draft.cursor.at("lifecycle", "significant"), message, hint)


def _limits_in_pools(drafts: Iterable[Draft], by_id: Mapping[str, Draft]) -> Iterator[Problem]:
    for draft in drafts:
        if not isinstance(draft.entry, ServiceEntry) or draft.entry.host is None:
            continue
        host = by_id.get(draft.entry.host)
        if host is None or not isinstance(host.entry, HostEntry) or _is_dedicated(host):
            continue
        for key, key_cursor, _ in draft.cursor.pairs():
            if key in LIMIT_KEYS:
                message = f"{key!r} of {draft.id} has no effect: it shares the workers of {host.id}"
                yield draft.reading.problem(key_cursor, message, f"set it in {host.id}")
